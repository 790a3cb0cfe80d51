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
Drive with noisy odometry, with plans that know the noise (matched) or assume none (exact).

    df_planner measure noise --checkpoint point
"""

from collections.abc import Callable
from pathlib import Path

import click
from matplotlib.figure import Figure
import numpy as np

from df_planner.console import examples
from df_planner.console import refuse_given
from df_planner.console import RESUME
from df_planner.console import text_table
from df_planner.driving.policy import Policy
from df_planner.evaluation.journal import Journal
from df_planner.evaluation.metrics import episode_record
from df_planner.evaluation.metrics import statistics
from df_planner.evaluation.protocol import sample_starts
from df_planner.experiments import common
from df_planner.maps.grid import GridMap
from df_planner.planning.planner import Planner
from df_planner.planning.settings import PlannerSettings
from df_planner.sim.maze import Maze
from df_planner.sim.world import World

ARMS = ('exact', 'matched')
COLORS = {'raw': '#d1344b', 'tracking': '#1f77ff', 'time_optimal': '#2b9d5c'}
LINES = {'exact': '--', 'matched': '-'}
MAX_DRAWS = 100
KEPT = ('episode', 'return', 'score', 'reached', 'first_reach_step', 'plans', 'failed_plans',
        'plan_execution_gap')


class NoisyOdometry:
    """
    The true state plus Gaussian noise of one standard deviation in m and in m/s.

    A position in an obstacle is drawn again, because the planner refuses such starts; ``redrawn``
    counts these. Step t has the same draws in every episode of the same seed.
    """

    def __init__(self, grid: GridMap, std: float, seed: tuple[int, ...]):
        self.redrawn = 0
        self._grid = grid
        self._std = std
        self._seed = seed
        self._step = 0

    def observe(self, state: np.ndarray) -> np.ndarray:
        """Return the state (4,) with noise; to be called once per control step."""
        rng = np.random.default_rng([*self._seed, self._step])
        self._step += 1
        seen = state + self._std * rng.standard_normal(4)
        if self._grid.clearance(seen[:2]) > 0.0:
            return seen
        self.redrawn += 1
        draws = state[:2] + self._std * rng.standard_normal((MAX_DRAWS, 2))
        free = np.flatnonzero(self._grid.clearance(draws) > 0.0)
        seen[:2] = draws[free[0]] if len(free) else state[:2]
        return seen


def arm_settings(settings: PlannerSettings, arm: str, std: float) -> PlannerSettings:
    """Return the settings of an arm: ``matched`` knows the noise, ``exact`` assumes none."""
    told = std if arm == 'matched' else 0.0
    return PlannerSettings(**{**settings.model_dump(), 'position_noise_std_m': told,
                              'velocity_noise_std_mps': told})


def drive(planner: Planner, maze: Maze, execution: str, std: float, episode: int,
          start: np.ndarray, goal: np.ndarray, seed: int) -> dict:
    """
    Drive one episode of the maze's full length, as ``EpisodeRunner`` does.

    :returns: the fields ``KEPT`` of ``episode_record``, and ``redrawn_share`` of control steps.
    """
    policy = Policy(planner, execution, seed=seed)
    odometry = NoisyOdometry(planner.map, std, (seed, episode))
    world = World(maze)
    world.set_state(start)
    policy.reset(goal)
    states, actions = [world.state], []
    for _ in range(maze.max_episode_steps):
        actions.append(policy.act(odometry.observe(states[-1])))
        states.append(world.step(actions[-1]))
    record = episode_record(maze, episode, start, goal, np.array(states), np.array(actions),
                            policy.plans, policy.planning_times_s)
    return {**{name: record[name] for name in KEPT},
            'redrawn_share': odometry.redrawn / maze.max_episode_steps}


def measure_noise(planner: Planner, maze: Maze, episodes: int, stds: tuple[float, ...],
                  executions: tuple[str, ...], seed: int, journal: Journal,
                  on_episode: Callable[[], None] = lambda: None) -> list[dict]:
    """
    Drive the same starts at every noise, with every execution and arm.

    :param stds: in m and in m/s; at 0 both arms are the same and driven once.
    :param journal: keeps every finished drive at once; those that it holds are not driven again.
    :param on_episode: called after every drive, also for those that were there.
    :returns: per noise and execution, see ``summarize``, with the records by arm.
    """
    starts = sample_starts(maze, episodes, seed)
    before = planner.settings
    results, index = [], 0
    for std in stds:
        for execution in executions:
            records = {}
            for arm in arms_at(std):
                planner.settings = arm_settings(before, arm, std)
                records[arm] = []
                for episode, (start, goal) in enumerate(zip(starts.state, starts.goal)):
                    if index not in journal.episodes:
                        journal.add({
                            'record': {'episode': index, 'noise_std': std, 'execution': execution,
                                       'arm': arm},
                            'drive': drive(planner, maze, execution, std, episode, start, goal,
                                           seed)})
                    records[arm].append(journal.episodes[index]['drive'])
                    index += 1
                    on_episode()
            results.append({'noise_std': std, 'execution': execution, **summarize(records),
                            'episodes': records})
    planner.settings = before
    return results


def arms_at(std: float) -> tuple[str, ...]:
    """Return the arms to drive at a noise."""
    return ARMS if std > 0.0 else ARMS[:1]


def summarize(records: dict[str, list[dict]]) -> dict:
    """
    Return statistics by arm and of their difference, start by start.

    :param records: by arm, episode by episode.
    :returns: by arm: ``score`` (the return in a maze without a reference), ``reached`` (share),
        ``failed_plans``, ``redrawn_share``; and ``difference``, of matched less exact.
    """
    scores = {arm: [record['return'] if record['score'] is None else record['score']
                    for record in found] for arm, found in records.items()}
    summary = {arm: {'score': statistics(scores[arm]), **{
        name: float(np.mean([record[name] for record in found]))
        for name in ('reached', 'failed_plans', 'redrawn_share')}}
        for arm, found in records.items()}
    if len(records) == 2:
        summary['difference'] = statistics(np.subtract(scores['matched'], scores['exact']))
    return summary


def draw_noise_picture(path: Path, results: list[dict]) -> None:
    """Draw the results of ``measure_noise`` to a PNG file; bars are one standard error."""
    figure = Figure(figsize=(11.0, 4.2), layout='constrained')
    scores, differences = figure.subplots(1, 2, sharex=True)
    differences.axhline(0.0, color='#888888', linewidth=0.8)
    for execution in dict.fromkeys(result['execution'] for result in results):
        driven = [result for result in results if result['execution'] == execution]
        for arm in ARMS:
            # Without noise the arms are the same.
            found = [(result['noise_std'], result.get(arm, result['exact'])['score'])
                     for result in driven]
            _draw_errorbars(scores, found, COLORS[execution], LINES[arm], f'{execution}, {arm}')
        _draw_errorbars(differences, [(result['noise_std'], result['difference'])
                                      for result in driven if 'difference' in result],
                        COLORS[execution], '-', execution)
    scores.set(title='score')
    differences.set(title='matched less exact, start by start')
    for axis in (scores, differences):
        axis.set_xlabel('noise of the odometry [m] and [m/s]')
        axis.legend(fontsize=8, frameon=False, handlelength=3.5)
    figure.savefig(path, dpi=120)


def _draw_errorbars(axis, found: list[tuple[float, dict]], color: str, line: str,
                    label: str) -> None:
    axis.errorbar([std for std, _ in found], [score['mean'] for _, score in found],
                  [score['stderr'] or 0.0 for _, score in found], linestyle=line, color=color,
                  marker='.', capsize=2, label=label)


@click.command(epilog=examples(
    'df_planner measure noise --checkpoint point --maze medium',
    'df_planner measure noise --checkpoint point --maze umaze --episodes 10 --noise 0.1 '
    '--execution tracking'))
@click.option('--episodes', type=click.IntRange(min=1), default=30,
              help='Fixed starts, the same for every noise, execution and arm.')
@click.option('--noise', 'stds', multiple=True, type=click.FloatRange(0.0, 10.0),
              default=(0.0, 0.02, 0.05, 0.1, 0.2),
              help='Standard deviation, in m of the position and in m/s of the velocity; may be '
                   'repeated.')
@click.option('--execution', 'executions', multiple=True, default=('raw', 'tracking'),
              type=click.Choice(['raw', 'tracking', 'time_optimal']), help='May be repeated.')
@RESUME
@common.measure_options('noise', seed_of='starts, noise and plans',
                        files='noise.json, noise.png and drives.jsonl')
def noise(checkpoint, maze, episodes, stds, executions, resume, seed, settings, device, out):
    """
    Drive with noisy odometry, told to the planner or not.

    The policy sees the state plus new noise in every control step; the simulator keeps the truth.
    Arms: exact (the noisy state is pinned at noise level 0) and matched (at the level of its
    noise, so that planning filters it). A position in a wall is drawn again.
    Every drive is on disk at once: after Ctrl-C, --resume with the same --out goes on.
    """
    planner, maze = common.open_point_planner('noise', checkpoint, maze, device, settings)
    total = episodes * len(executions) * sum(len(arms_at(std)) for std in stds)
    if out is None:
        refuse_given('without --out, where the run is that goes on', 'resume')
    folder = common.result_folder('noise', out)
    specification = common.specification_of(checkpoint, maze, device, settings)
    with common.open_journal(folder / 'drives.jsonl', specification, resume, episodes=episodes,
                             noise_stds=stds, executions=executions, seed=seed) as kept, \
            common.progress(total, 'drives') as advance:
        results = measure_noise(planner, maze, episodes, stds, executions, seed, kept, advance)
    draw_noise_picture(folder / 'noise.png', results)
    rows = [['noise, execution, arm', 'score', '+-', 'reached', 'failed plans', 'redrawn',
             'matched less exact']]
    for result in results:
        for arm in arms_at(result['noise_std']):
            found = result[arm]
            rows.append([
                f'{result["noise_std"]:g}, {result["execution"]}, {arm}',
                f'{found["score"]["mean"]:.1f}', f'{found["score"]["stderr"] or 0.0:.1f}',
                f'{found["reached"]:.0%}', f'{found["failed_plans"]:.1f}',
                f'{found["redrawn_share"]:.1%}',
                f'{result["difference"]["mean"]:+.1f} +- {result["difference"]["stderr"] or 0:.1f}'
                if arm == 'matched' else ''])
    click.echo(text_table(rows))
    common.write_result(folder / 'noise.json', checkpoint, seed, {
        'maze': maze.name, 'settings': planner.settings.model_dump(), 'results': results})
