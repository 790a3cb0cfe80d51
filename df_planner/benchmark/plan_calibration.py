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

import numpy as np

from df_planner.benchmark.calibration import coverage
from df_planner.benchmark.calibration import NOMINAL
from df_planner.benchmark.protocol import sample_starts
from df_planner.errors import NoValidPlan
from df_planner.planning.execution import Executor
from df_planner.planning.plan import Plan
from df_planner.planning.planner import Planner
from df_planner.sim.maze import Maze
from df_planner.sim.world import World

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
