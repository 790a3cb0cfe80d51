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
Check whether the model's uncertainty can be believed.

    df_planner measure calibration --checkpoint point

Sampled futures of held-out windows are compared with the truth. Then plans are executed to their
end without replanning: ``Plan.uncertainty`` is read as the standard deviation of a round Gaussian
around the planned position, so that a share p of the robots should be within the disc of level p.
"""

from collections.abc import Callable
from itertools import product
from pathlib import Path

import click
from matplotlib.figure import Figure
import numpy as np
from scipy.stats import t as student_t

from df_planner.console import examples
from df_planner.console import text_table
from df_planner.driving.executor import Executor
from df_planner.errors import NoValidPlan
from df_planner.evaluation.picture import draw_walls
from df_planner.evaluation.protocol import sample_starts
from df_planner.experiments import common
from df_planner.planning.plan import Plan
from df_planner.planning.planner import Planner
from df_planner.planning.reconstruction import reconstruct
from df_planner.sim.maze import Maze
from df_planner.sim.world import World

NOMINAL = (0.5, 0.8, 0.9, 0.95)
CURVE = tuple(np.linspace(0.05, 0.95, 19).round(2).tolist())
CONDITIONS = ('start', 'start and end')
EXECUTIONS = ('raw', 'tracking')
LEAST_M = 1e-3  # uncertainty at the ends, which are pinned
LINES = {'gaussian': '--', 'ranks': '-'}  # by kind of interval
COLORS = ('#1f77ff', '#d1344b', '#2b9d5c', '#ffb000')
LEVEL_COLORS = ('#9ecbff', '#5fa4f5', '#1f77ff', '#0b3d91')
CHANNELS = {'position': slice(0, 2), 'velocity': slice(2, 4), 'actions': slice(4, None)}


def gaussian_level(truth: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """
    Return the level (...) of the central interval whose edge the truth (...) lies on.

    The interval is the one that predicts one more value after N samples of a Gaussian, by
    Student's t; uniform over [0, 1] if truth and samples share that Gaussian.

    :param samples: (N, ...), N at least 2.
    """
    count = len(samples)
    width = samples.std(axis=0, ddof=1) * np.sqrt(1.0 + 1.0 / count)
    distance = np.abs(truth - samples.mean(axis=0)) / np.maximum(width, 1e-12)
    return 1.0 - 2.0 * student_t.sf(distance, count - 1)


def rank_level(truth: np.ndarray, samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """
    Return the level (...) of the central quantile interval whose edge the truth (...) lies on.

    The rank of the truth among the samples (N, ...) is spread evenly over its interval, so that
    the level is uniform over [0, 1] whatever distribution truth and samples share.
    """
    below = (samples < truth).sum(axis=0)
    ties = (samples == truth).sum(axis=0)
    share = (below + rng.uniform(size=truth.shape) * (ties + 1)) / (len(samples) + 1)
    return np.abs(2.0 * share - 1.0)


def coverage(levels: np.ndarray, nominal: tuple[float, ...]) -> np.ndarray:
    """Return the share of levels (W, ...) within each nominal one, (len(nominal), ...)."""
    return np.stack([(levels <= p).mean(axis=0) for p in nominal])


def calibration_error(levels: np.ndarray) -> float:
    """Return the mean distance of coverage from nominal over ``CURVE``, of levels of any shape."""
    return float(np.abs(coverage(levels.reshape(-1), CURVE) - CURVE).mean())


def measure_calibration(planner: Planner, windows: np.ndarray, temperatures: tuple[float, ...],
                        num_samples: int, seed: int,
                        on_window: Callable[[], None] = lambda: None) -> dict:
    """
    Sample futures of every window, per condition and temperature; Ctrl-C ends it early.

    :param windows: (W, T, C) held-out tokens.
    :returns: one entry per condition and temperature, in a list (see ``summarize``), under
        ``results``, with the number of ``windows`` that it is of; ``examples`` holds samples
        (N, T, 4) of the first window by condition; ``stopped``, whether by Ctrl-C.
    """
    before = planner.settings
    results, examples, stopped = [], {}, False
    for condition, temperature in product(CONDITIONS, temperatures):
        planner.settings = before.model_copy(update={'temperature': temperature})
        rng = np.random.default_rng(seed)
        parts = []
        try:
            for index, window in enumerate(windows):
                given = np.full((len(window), 4), np.nan)
                given[0] = window[0, :4]
                if condition == 'start and end':
                    given[-1, :2] = window[-1, :2]
                samples = reconstruct(planner, given, num_samples=num_samples,
                                      seed=seed + index).tokens
                # As they are executed; the actions in the data are often at their limit, too.
                samples[..., 4:] = samples[..., 4:].clip(-1.0, 1.0)
                parts.append({
                    'gaussian': gaussian_level(window, samples),
                    'ranks': rank_level(window, samples, rng),
                    'std': samples.std(axis=0, ddof=1),
                    'error': samples.mean(axis=0) - window})
                if index == 0:
                    examples.setdefault(condition, samples[..., :4])
                on_window()
        except KeyboardInterrupt:
            stopped = True
        if parts:
            arrays = {name: np.stack([part[name] for part in parts]) for name in parts[0]}
            results.append({'condition': condition, 'temperature': temperature,
                            'windows': len(parts), **summarize(arrays, condition)})
        if stopped:
            break
    planner.settings = before
    return {'results': results, 'examples': examples, 'stopped': stopped}


def summarize(arrays: dict[str, np.ndarray], condition: str) -> dict:
    """
    Return coverage and spread, per part of a token, over what the model had to predict.

    :param arrays: ``gaussian`` and ``ranks``, levels, and ``std`` and ``error``, each (W, T, C).
    :returns: by part: by kind ``coverage`` at ``NOMINAL``, its ``standard_error`` over windows,
        ``by_token`` (NOMINAL, tokens), ``curve`` at ``CURVE``, ``calibration_error``;
        ``std_by_token`` and ``error_by_token``, root mean squares in the part's unit. Tokens count
        from ``first_token``.
    """
    summary = {}
    for part, channels in CHANNELS.items():
        # The start's state is given, its actions are not; so is the end's position.
        first = 0 if part == 'actions' else 1
        last = -1 if part == 'position' and condition == 'start and end' else None
        chosen = {name: values[:, first:last, channels] for name, values in arrays.items()}
        summary[part] = {'first_token': first}
        for kind in LINES:
            levels = chosen[kind]
            by_window = coverage(levels.reshape(len(levels), -1).T, NOMINAL)
            summary[part][kind] = {
                'coverage': by_window.mean(axis=1).tolist(),
                'standard_error': (by_window.std(axis=1) / np.sqrt(len(levels))).tolist(),
                'by_token': coverage(levels, NOMINAL).mean(axis=-1).tolist(),
                'curve': coverage(levels.reshape(-1), CURVE).tolist(),
                'calibration_error': calibration_error(levels)}
        for name in ('std', 'error'):
            summary[part][f'{name}_by_token'] = np.sqrt(
                np.square(chosen[name]).mean(axis=(0, 2))).tolist()
    return summary


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
        ``coverage`` at ``NOMINAL``, and the root mean squares ``gap_m`` and ``uncertainty_m``,
        both ends left out; None without a plan.
    """
    starts = sample_starts(maze, count, seed, multi_goal=True)
    world = World(maze)
    done, failed, stopped = [], 0, False
    try:
        for index, (state, goal) in enumerate(zip(starts.state, starts.goal)):
            try:
                plan = planner.plan(state, goal, seed=seed + index)
                done.append((plan.uncertainty[1:-1], *(
                    executed_gap(world, plan, name)[1:-1] for name in EXECUTIONS)))
            except NoValidPlan:
                failed += 1
            on_plan()
    except KeyboardInterrupt:
        stopped = True
    result = {'plans': len(done) + failed, 'failed': failed, 'stopped': stopped}
    spread, *gaps = ([np.concatenate(parts) for parts in zip(*done)]
                     or np.empty((1 + len(EXECUTIONS), 0)))
    if not len(spread):
        return {**result, **dict.fromkeys(EXECUTIONS)}
    return {**result, **{name: {
        'coverage': coverage(disc_level(gap, spread), NOMINAL).tolist(),
        'gap_m': float(np.sqrt(np.square(gap).mean())),
        'uncertainty_m': float(np.sqrt(np.square(spread).mean()))}
        for name, gap in zip(EXECUTIONS, gaps)}}


def draw_calibration_picture(path: Path, maze: Maze, measured: dict, window: np.ndarray,
                             token_s: float) -> None:
    """
    Draw a row per condition of ``measure_calibration``; coverage and spread of the position.

    :param window: (T, C) the first window, the truth of ``examples``.
    """
    figure = Figure(figsize=(15.0, 7.6), layout='constrained')
    panels = figure.subplots(len(CONDITIONS), 4)
    for axis in panels[len(measured['examples']):].ravel():
        axis.set_axis_off()
    for condition, axes in zip(measured['examples'], panels):
        results = [r for r in measured['results'] if r['condition'] == condition]
        _draw_futures(axes[0], maze, measured['examples'][condition], window)
        axes[0].set_title(f'given {condition}: sampled futures', fontsize=10)
        _draw_curves(axes[1:], results, token_s)
    figure.savefig(path, dpi=120)


def _draw_futures(axis, maze: Maze, samples: np.ndarray, window: np.ndarray) -> None:
    draw_walls(axis, maze)
    for states in samples:
        axis.plot(states[:, 1], states[:, 0], color=COLORS[0], linewidth=0.7, alpha=0.5)
    axis.plot(window[:, 1], window[:, 0], color='black', linewidth=2.0, label='truth')
    axis.plot(*window[0, 1::-1], marker='o', color='white', markeredgecolor='black')
    axis.legend(fontsize=8, loc='lower left')


def _draw_curves(axes, results: list[dict], token_s: float) -> None:
    reliability, covered, spread = axes
    reliability.plot([0, 1], [0, 1], color='#888888', linewidth=0.8)
    for color, result in zip(COLORS, results):
        part, label = result['position'], f'temperature {result["temperature"]:g}'
        time_s = token_s * np.arange(1, 1 + len(part['std_by_token']))
        for kind, line in LINES.items():
            reliability.plot(CURVE, part[kind]['curve'], line, color=color, marker='.',
                             markersize=4, label=f'{label}, {kind}')
        spread.plot(time_s, part['std_by_token'], color=color, label=f'spread, {label}')
        spread.plot(time_s, part['error_by_token'], ':', color=color, label=f'error, {label}')
    by_token = results[0]['position']['ranks']['by_token']
    for nominal, color, share in zip(NOMINAL, LEVEL_COLORS, by_token):
        covered.axhline(nominal, color=color, linewidth=0.8)
        covered.plot(token_s * np.arange(1, 1 + len(share)), share, color=color, marker='.',
                     label=f'{nominal:.0%}')
    reliability.set(xlim=(0, 1), ylim=(0, 1), xlabel='nominal', ylabel='holds the truth',
                    title='reliability')
    covered.set(ylim=(0, 1), xlabel='time into the future [s]', ylabel='holds the truth',
                title=f'coverage (ranks), temperature {results[0]["temperature"]:g}')
    spread.set(xlabel='time into the future [s]', ylabel='metres per axis', ylim=(0, None),
               title='spread of samples, error of their mean')
    for axis in axes:
        axis.legend(fontsize=8, frameon=False)


@click.command(epilog=examples(
    'df_planner measure calibration --checkpoint point --maze medium',
    'df_planner measure calibration --checkpoint point --temperature 1 --temperature 1.2',
    'df_planner measure calibration --checkpoint point --maze umaze --windows 40 '
    '--set sampling_steps=32'))
@click.option('--windows', type=click.IntRange(min=2), default=200,
              help='Held-out windows, each as long as the model was trained for.')
@click.option('--samples', type=click.IntRange(min=2), default=32,
              help='Futures sampled of each window.')
@click.option('--plans', type=click.IntRange(min=1), default=50,
              help='Plans that are executed without replanning, to check Plan.uncertainty.')
@click.option('--temperature', 'temperatures', multiple=True, default=(1.0, 1.2),
              type=click.FloatRange(0.0, 2.0, min_open=True),
              help='Standard deviation of the noise that is denoised; may be repeated.')
@common.measure_options('calibration', seed_of='held-out windows and samples')
def calibration(checkpoint, maze, windows, samples, plans, temperatures, seed, settings, device,
                out):
    """
    Check whether the model's uncertainty can be believed.

    Futures of held-out windows are sampled, given the start, or start and end. Their central 50 to
    95 % intervals should hold the truth as often as that; the calibration error is the mean
    distance from it. Intervals are by ranks (quantiles of the samples) and as a Gaussian. Then
    plans are executed to their end: does the robot stay within Plan.uncertainty?
    Ctrl-C reports the windows and plans until then.
    """
    planner, maze = common.open_point_planner('calibration', checkpoint, maze, device, settings)
    card = planner.card
    truth = common.held_out_windows(card, maze.name, windows, card.architecture.max_tokens,
                                    seed)
    with common.progress(windows * len(temperatures) * len(CONDITIONS), 'windows') as advance:
        measured = measure_calibration(planner, truth, temperatures, samples, seed, advance)
    if not measured['results']:
        raise KeyboardInterrupt
    planned = {'plans': 0, 'stopped': True, **dict.fromkeys(EXECUTIONS)}
    if not measured['stopped']:
        with common.progress(plans, 'plans') as advance:
            planned = measure_plans(planner, maze, plans, seed, advance)
    folder = common.result_folder('calibration', out)
    draw_calibration_picture(folder / 'calibration.png', maze, measured, truth[0],
                             card.frame_stack * card.dt_s)
    rows = [['given, temperature, part, kind', *(f'{p:.0%}' for p in NOMINAL), 'error']]
    for result, part, kind in product(measured['results'], CHANNELS, LINES):
        found = result[part][kind]
        rows.append([f'{result["condition"]}, {result["temperature"]:g}, {part}, {kind}',
                     *(f'{share:.1%}' for share in found['coverage']),
                     f'{found["calibration_error"]:.3f}'])
    for execution in EXECUTIONS:
        if planned[execution]:
            rows.append([f'Plan.uncertainty, executed {execution}',
                         *(f'{share:.1%}' for share in planned[execution]['coverage']), ''])
    click.echo(text_table(rows))
    common.write_result(folder / 'calibration.json', checkpoint, seed, {
        'maze': maze.name, 'windows': windows, 'samples': samples,
        'settings': planner.settings.model_dump(), 'token_s': card.frame_stack * card.dt_s,
        'nominal': NOMINAL, 'curve_at': CURVE, 'results': measured['results'],
        'executed_plans': planned})
    if planned['stopped']:
        raise KeyboardInterrupt
