# Copyright 2026 the df_planner authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""
Calibration of plans: whether a robot that executes one plan stays within its ``uncertainty``.

Plans are executed to their end without replanning. ``Plan.uncertainty`` is read as the standard
deviation of a round Gaussian around the planned position: at every step a share p of the robots
should be within the distance that holds p of it.
"""

from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure
import numpy as np

from df_planner.driving.executor import Executor
from df_planner.errors import NoValidPlan
from df_planner.evaluation.picture import draw_walls
from df_planner.evaluation.protocol import sample_starts
from df_planner.planning.plan import Plan
from df_planner.planning.planner import Planner
from df_planner.sim.maze import Maze
from df_planner.sim.world import World

NOMINAL = (0.5, 0.8, 0.9, 0.95)
CURVE = tuple(np.linspace(0.05, 0.95, 19).round(2).tolist())
CONDITIONS = ('start', 'start and end')

EXECUTIONS = ('raw', 'tracking')
TIME_BINS = 10  # of a plan's duration
LEAST_M = 1e-3  # uncertainty at the ends, which are pinned


def disc_level(distance_m: np.ndarray, uncertainty_m: np.ndarray) -> np.ndarray:
    """
    Return the probability (...) of the disc whose edge is at a distance (...).

    ``uncertainty_m**2`` is the sum of the variances of both axes, so the squared distance over it
    is exponentially distributed.
    """
    return 1.0 - np.exp(-np.square(distance_m / np.maximum(uncertainty_m, LEAST_M)))


def executed_gap(world: World, plan: Plan, execution: str) -> np.ndarray:
    """Return the distance in metres (H,) of the robot from the plan, without replanning."""
    executor = Executor(execution)
    world.set_state(plan.states[0])
    states = [world.state]
    for step in range(len(plan) - 1):
        states.append(world.step(executor.action(plan, step, states[-1])))
    return np.linalg.norm(np.array(states)[:, :2] - plan.states[:, :2], axis=-1)


def measure_plans(planner: Planner, maze: Maze, count: int, seed: int,
                  on_plan: Callable[[], None] = lambda: None) -> dict:
    """
    Plan between random places and execute every plan; Ctrl-C ends it early.

    :returns: ``plans``, ``failed``, ``stopped`` (whether by Ctrl-C) and by execution:
        ``coverage`` at ``NOMINAL``, ``by_time`` (the same in tenths of the duration, (TIME_BINS,
        NOMINAL)), and the root mean squares ``gap_m`` and ``uncertainty_m``. None without a plan.
    """
    starts = sample_starts(maze, count, seed, multi_goal=True)
    world = World(maze)
    found, stopped = [], False
    try:
        for index, (state, goal) in enumerate(zip(starts.state, starts.goal)):
            found.append(_executed(planner, world, state, goal, seed + index))
            on_plan()
    except KeyboardInterrupt:
        stopped = True
    executed = [plan for plan in found if plan is not None]
    result = {'plans': len(found), 'failed': len(found) - len(executed), 'stopped': stopped}
    for execution in EXECUTIONS:
        level, when, gap, spread = (
            np.concatenate([plan[execution][part] for plan in executed] or [np.empty(0)])
            for part in range(4))
        result[execution] = {
            'coverage': coverage(level, NOMINAL).tolist(),
            'by_time': [coverage(level[when == k], NOMINAL).tolist() for k in range(TIME_BINS)],
            'gap_m': float(np.sqrt(np.square(gap).mean())),
            'uncertainty_m': float(np.sqrt(np.square(spread).mean()))} if len(level) else None
    return result


def _executed(planner: Planner, world: World, state: np.ndarray, goal: np.ndarray, seed: int
              ) -> dict[str, tuple[np.ndarray, ...]] | None:
    """
    Plan once and execute; return level, tenth of the duration, gap and uncertainty (H - 2,) each.

    By execution; both ends are known and left out. None without a plan.
    """
    try:
        plan = planner.plan(state, goal, seed=seed)
    except NoValidPlan:
        return None
    spread = plan.uncertainty[1:-1]
    tenth = np.arange(len(spread)) * TIME_BINS // max(len(spread), 1)
    gaps = {name: executed_gap(world, plan, name)[1:-1] for name in EXECUTIONS}
    return {name: (disc_level(gap, spread), tenth, gap, spread) for name, gap in gaps.items()}


COLORS = ('#1f77ff', '#d1344b', '#2b9d5c', '#ffb000')
LINES = {'gaussian': '--', 'ranks': '-'}
LEVEL_COLORS = ('#9ecbff', '#5fa4f5', '#1f77ff', '#0b3d91')
SHOWN = 'position'


def draw_calibration_picture(path: Path, maze: Maze, measured: dict, window: np.ndarray,
                             token_s: float) -> None:
    """
    Draw a row per condition to a PNG file; coverage and spread are those of the position.

    :param measured: of ``measure_calibration``.
    :param window: (T, C) the first window, the truth of ``examples``.
    """
    figure = Figure(figsize=(15.0, 7.6), layout='constrained')
    panels = figure.subplots(len(CONDITIONS), 4)
    for axis in panels[len(measured['examples']):].ravel():
        axis.set_axis_off()  # stopped by Ctrl-C before
    for condition, axes in zip(measured['examples'], panels):
        results = [r for r in measured['results'] if r['condition'] == condition]
        _draw_futures(axes[0], maze, measured['examples'][condition], window)
        axes[0].set_title(f'given {condition}: sampled futures', fontsize=10)
        _draw_reliability(axes[1], results)
        _draw_coverage(axes[2], results[0], token_s)
        _draw_spread(axes[3], results, token_s)
    figure.savefig(path, dpi=120)


def _draw_futures(axis, maze: Maze, samples: np.ndarray, window: np.ndarray) -> None:
    draw_walls(axis, maze)
    for states in samples:
        axis.plot(states[:, 1], states[:, 0], color=COLORS[0], linewidth=0.7, alpha=0.5)
    axis.plot(window[:, 1], window[:, 0], color='black', linewidth=2.0, label='truth')
    axis.plot(*window[0, 1::-1], marker='o', color='white', markeredgecolor='black')
    axis.legend(fontsize=8, loc='lower left')


def _draw_reliability(axis, results: list[dict]) -> None:
    axis.plot([0, 1], [0, 1], color='#888888', linewidth=0.8)
    for color, result in zip(COLORS, results):
        for kind, line in LINES.items():
            axis.plot(CURVE, result[SHOWN][kind]['curve'], line, color=color, marker='.',
                      markersize=4, label=f'temperature {result["temperature"]:g}, {kind}')
    axis.set(xlim=(0, 1), ylim=(0, 1), xlabel='nominal', ylabel='holds the truth',
             title='reliability')
    axis.legend(fontsize=8, frameon=False)


def _draw_coverage(axis, result: dict, token_s: float) -> None:
    part = result[SHOWN]
    time_s = _times_s(part, part['ranks']['by_token'][0], token_s)
    for nominal, color, covered in zip(NOMINAL, LEVEL_COLORS, part['ranks']['by_token']):
        axis.axhline(nominal, color=color, linewidth=0.8)
        axis.plot(time_s, covered, color=color, marker='.', label=f'{nominal:.0%}')
    axis.set(ylim=(0, 1), xlabel='time into the future [s]', ylabel='holds the truth',
             title=f'coverage (ranks), temperature {result["temperature"]:g}')
    axis.legend(fontsize=8, frameon=False, loc='lower right')


def _draw_spread(axis, results: list[dict], token_s: float) -> None:
    for color, result in zip(COLORS, results):
        part = result[SHOWN]
        time_s = _times_s(part, part['std_by_token'], token_s)
        label = f'temperature {result["temperature"]:g}'
        axis.plot(time_s, part['std_by_token'], color=color, label=f'spread, {label}')
        axis.plot(time_s, part['error_by_token'], ':', color=color, label=f'error, {label}')
    axis.set(xlabel='time into the future [s]', ylabel='metres per axis', ylim=(0, None),
             title='spread of samples, error of their mean')
    axis.legend(fontsize=8, frameon=False)


def _times_s(part: dict, by_token: list[float], token_s: float) -> np.ndarray:
    return token_s * (part['first_token'] + np.arange(len(by_token)))


def coverage(levels: np.ndarray, nominal: tuple[float, ...]) -> np.ndarray:
    """Return the share of levels (W, ...) within each nominal one, (len(nominal), ...)."""
    return np.stack([(levels <= p).mean(axis=0) for p in nominal])
