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
Drive over ROS 2 in real time, and the same starts in lockstep: what latency costs.

    df_planner measure realtime --checkpoint point
"""

from collections.abc import Sequence
import json
import math
from pathlib import Path

import click
from matplotlib.figure import Figure
import numpy as np
import yaml

from df_planner.configuration import assignments
from df_planner.console import examples
from df_planner.console import refuse_given
from df_planner.console import text_table
from df_planner.errors import ConfigError
from df_planner.evaluation.episodes import Specification
from df_planner.evaluation.evaluate import evaluate
from df_planner.evaluation.metrics import statistics
from df_planner.evaluation.protocol import sample_starts
from df_planner.evaluation.protocol import save_starts
from df_planner.experiments import common
from df_planner.files import share_path
from df_planner.launching.runner import run
from df_planner.sim.maze import DT_S
from df_planner.sim.maze import load_maze
from df_planner.sim.maze import Maze

LATE_S = 2 * DT_S
PERCENTILES = (50, 95, 99)
MIN_SHARE_OF_LOCKSTEP = 0.97  # of the score in real time
REPLAN_INTERVAL_S = {'raw': 0.1, 'tracking': 0.25, 'time_optimal': 0.25}  # of the lockstep run
BLUE, RED, GREY = '#1f77ff', '#d1344b', '#888888'


def ticks(periods_s: Sequence[float]) -> dict:
    """
    Return how evenly commands came, all in seconds.

    :param periods_s: wall time from each command to the next, one or more.
    :returns: ``count``, ``p50_s``, ``p99_s``, ``jitter_p99_s`` (99 % of the periods are at most
        this far from a control step), ``longest_s``, and ``late``, how many were longer than two
        control steps.
    """
    periods = np.asarray(periods_s, np.float64)
    p50_s, p99_s = np.percentile(periods, (50, 99))
    return {'count': len(periods), 'p50_s': float(p50_s), 'p99_s': float(p99_s),
            'jitter_p99_s': float(np.percentile(np.abs(periods - DT_S), 99)),
            'longest_s': float(periods.max()), 'late': int((periods > LATE_S).sum())}


def price_of_latency(maze: Maze, real_time: Sequence[dict], lockstep: Sequence[dict]) -> dict:
    """
    Compare the same starts, driven in real time and in lockstep.

    :param real_time: records of ``episode_record``, and ``lockstep`` those of the same episodes.
    :returns: ``real_time``, ``lockstep`` and ``difference`` (start by start), statistics of the
        score, or of the return in a maze without a reference; ``share``, of the mean in real time
        in that of lockstep; ``first_plan``, of the part of the difference that comes from
        standing still until the first plan; ``planning_s``, percentiles of the planning time.
    """
    scored = maze.reference_return is not None
    of_step = maze.normalized_score(1.0) - maze.normalized_score(0.0) if scored else 1.0
    field = 'score' if scored else 'return'
    found = {'real_time': [record[field] for record in real_time],
             'lockstep': [record[field] for record in lockstep]}
    times_s = [value for record in real_time for value in record['planning_times_s']]
    waits_s = [(record['planning_times_s'] or [0.0])[0] for record in real_time]
    result = {name: statistics(values) for name, values in found.items()}
    return {
        **result,
        'difference': statistics(np.subtract(found['real_time'], found['lockstep'])),
        'share': result['real_time']['mean'] / result['lockstep']['mean'],
        'first_plan': statistics([-of_step * wait_s / DT_S for wait_s in waits_s]),
        'first_plan_s': statistics(waits_s),
        'planning_s': {f'p{rank}': float(value) for rank, value in zip(
            PERCENTILES, np.percentile(times_s or [0.0], PERCENTILES))}}


def draw_real_time_picture(path: Path, periods_s: Sequence[float], real_time: Sequence[dict],
                           lockstep: Sequence[dict]) -> None:
    """Draw periods of the commands and records of the same episodes to a PNG file."""
    figure = Figure(figsize=(13.0, 4.0), layout='constrained')
    over_time, planning, scores = figure.subplots(1, 3)
    periods_ms = 1e3 * np.asarray(periods_s)
    over_time.plot(np.cumsum(periods_ms) / 60e3, periods_ms, ',', color=BLUE)
    over_time.axhline(1e3 * LATE_S, color=RED, linewidth=0.8)
    over_time.set(title='period of the commands', xlabel='time [min]', ylabel='[ms]',
                  ylim=(0.0, max(1.1 * periods_ms.max(), 1.2e3 * LATE_S)))
    times_ms = [1e3 * value for record in real_time for value in record['planning_times_s']]
    planning.hist(times_ms, bins=60, color=BLUE)
    planning.set(title='planning time', xlabel='[ms]', ylabel='plans', yscale='log')
    pairs = [(a['return'], b['return']) for a, b in zip(lockstep, real_time)]
    most = max(max(pair) for pair in pairs)
    scores.plot([0.0, most], [0.0, most], color=GREY, linewidth=0.8)
    scores.plot(*zip(*pairs), '.', color=BLUE)
    scores.set(title='return, start by start', xlabel='lockstep [steps]',
               ylabel='real time [steps]')
    figure.savefig(path, dpi=120)


@click.command('realtime', epilog=examples(
    'df_planner measure realtime --checkpoint point --maze medium',
    'df_planner measure realtime --checkpoint point --episodes 20 --execution time_optimal',
    'df_planner measure realtime --checkpoint point --maze medium --minutes 2 '
    '--planning-frequency-hz 4'))
@click.option('--minutes', type=click.FloatRange(min=0.05), default=10.0,
              help='Of driving, rounded up to whole episodes.')
@click.option('--episodes', type=click.IntRange(min=1), help='Of driving, instead of --minutes.')
@click.option('--execution', type=click.Choice(list(REPLAN_INTERVAL_S)), default='tracking')
@click.option('--planning-frequency-hz', type=click.FloatRange(min=0.1, max=100.0), default=100.0,
              help='100: as fast as the planner can.')
@common.measure_options('realtime', seed_of='starts and plans')
def realtime(checkpoint, maze, minutes, episodes, execution, planning_frequency_hz, seed,
             settings, device, out):
    """
    Drive over ROS 2 in real time, and the same starts in lockstep.

    Starts simulator, planner, follower and benchmark as `df_planner demo --lockstep false` does,
    with replanning as fast as the planner can. Reports how evenly the follower's commands came,
    how long plans took, and the score beside that of lockstep, where time stands still while a
    plan is made (as in `df_planner evaluate`, a plan every 0.25 s, or 0.1 s with raw). Anything
    else that runs on the machine shows in the result.
    """
    if episodes is not None:
        refuse_given('with --episodes', 'minutes')
    maze_name, maze = maze, load_maze(maze)
    specification = Specification(
        maze_name, checkpoint=checkpoint, execution=execution, planner_seed=seed, device=device,
        replan_interval_s=REPLAN_INTERVAL_S[execution], settings=assignments(settings))
    if episodes is None:
        episodes = math.ceil(60.0 * minutes / (maze.max_episode_steps * DT_S))
    starts = sample_starts(maze, episodes, seed)
    folder = common.result_folder('realtime', out)
    save_starts(folder / 'starts.npz', starts)
    driven, heard = _drive_in_real_time(specification, planning_frequency_hz, folder)
    with common.progress(len(driven), 'lockstep') as advance:
        compared = evaluate(specification, starts.head(len(driven)), folder / 'lockstep',
                            baseline=False, on_episode=lambda record: advance())['episodes']
    tick, price = ticks(heard['command_periods_s']), price_of_latency(maze, driven, compared)
    draw_real_time_picture(folder / 'realtime.png', heard['command_periods_s'], driven, compared)
    click.echo(text_table(_rows(tick, price, heard['diagnostics']['follower: ticks'])))
    click.echo(f'bars: {tick["late"]} of {tick["count"]} ticks later than 20 ms (0 allowed); '
               f'{price["share"]:.1%} of the lockstep score ({MIN_SHARE_OF_LOCKSTEP:.0%} wanted)')
    common.write_result(folder / 'realtime.json', checkpoint, seed, {
        'maze': maze_name, 'execution': execution, 'episodes': len(driven),
        'planning_frequency_hz': planning_frequency_hz, 'settings': specification.settings,
        'lockstep_replan_interval_s': specification.replan_interval_s, 'ticks': tick,
        'price': price, 'diagnostics': heard['diagnostics']})


def _drive_in_real_time(specification: Specification, planning_frequency_hz: float, folder: Path
                        ) -> tuple[list[dict], dict]:
    """
    Return the records of the episodes, and periods and diagnostics from the recorder.

    :raises KeyboardInterrupt: if the run was stopped.
    """
    parameters = yaml.safe_load(share_path('config/params.yaml').read_text(encoding='utf-8'))
    chosen = specification.planner_settings.model_dump(include=set(specification.settings))
    parameters['/**/planner']['ros__parameters'] |= chosen
    (folder / 'params.yaml').write_text(yaml.safe_dump(parameters), encoding='utf-8')
    code = run({
        'maze': specification.maze, 'checkpoint': specification.checkpoint, 'episodes': 0,
        'starts': str(folder / 'starts.npz'), 'seed': specification.planner_seed,
        'execution': specification.execution, 'device': specification.device,
        'planning_frequency_hz': planning_frequency_hz, 'lockstep': 'false',
        'params_file': str(folder / 'params.yaml'), 'results_dir': str(folder / 'real_time')})
    written = sorted((folder / 'real_time').glob('*/real_time.json'))
    if code > 128:
        click.echo(f'stopped; finished episodes are in {folder / "real_time"}', err=True)
        raise KeyboardInterrupt
    if not written:
        raise ConfigError(f'the run in real time left no results (exit code {code}); see above')
    results = json.loads((written[-1].parent / 'results.json').read_text(encoding='utf-8'))
    return results['episodes'], json.loads(written[-1].read_text(encoding='utf-8'))


def _rows(tick: dict, price: dict, follower: dict) -> list[list[str]]:
    def score(name: str) -> str:
        found = price[name]
        return f'{found["mean"]:.1f} +- {found["stderr"] or 0.0:.1f}'

    planning = price['planning_s']
    return [
        ['', 'value'],
        ['period of the commands, p50 / p99 / longest [ms]',
         f'{1e3 * tick["p50_s"]:.2f} / {1e3 * tick["p99_s"]:.2f} / {1e3 * tick["longest_s"]:.1f}'],
        ['jitter p99 [ms]', f'{1e3 * tick["jitter_p99_s"]:.2f}'],
        ['ticks later than 20 ms', f'{tick["late"]} of {tick["count"]}'],
        ['odometry to command, p50 / p99 / longest [ms]', ' / '.join(
            follower[f'odom_to_command_{name}_ms'] for name in ('p50', 'p99', 'longest'))],
        ['planning time, p50 / p95 / p99 [ms]',
         ' / '.join(f'{1e3 * planning[name]:.0f}' for name in ('p50', 'p95', 'p99'))],
        ['score in real time', score('real_time')],
        ['score in lockstep', score('lockstep')],
        ['difference, start by start', score('difference')],
        ['of which waiting for the first plan', score('first_plan')],
        ['share of lockstep', f'{price["share"]:.1%}']]
