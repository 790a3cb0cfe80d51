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

from collections.abc import Callable
from itertools import product

import click
import numpy as np
from scipy.stats import t as student_t

from df_planner.experiments.calibration_plans import CONDITIONS
from df_planner.experiments.calibration_plans import coverage
from df_planner.experiments.calibration_plans import CURVE
from df_planner.experiments.calibration_plans import draw_calibration_picture
from df_planner.experiments.calibration_plans import EXECUTIONS
from df_planner.experiments.calibration_plans import measure_plans
from df_planner.experiments.calibration_plans import NOMINAL
from df_planner.experiments.common import echo_table
from df_planner.experiments.common import held_out_windows
from df_planner.experiments.common import measure_options
from df_planner.experiments.common import open_point_planner
from df_planner.experiments.common import progress
from df_planner.experiments.common import result_folder
from df_planner.experiments.common import write_result
from df_planner.planning.planner import Planner
from df_planner.planning.reconstruction import reconstruct

KINDS = ('gaussian', 'ranks')
CHANNELS = {'position': slice(0, 2), 'velocity': slice(2, 4), 'actions': slice(4, None)}


def given_states(window: np.ndarray, condition: str) -> np.ndarray:
    """Return the states (T, 4) of a window (T, C) that the model sees, NaN elsewhere."""
    states = np.full((len(window), 4), np.nan)
    states[0] = window[0, :4]
    if condition == 'start and end':
        states[-1, :2] = window[-1, :2]
    return states


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
                samples = reconstruct(planner, given_states(window, condition),
                                      num_samples=num_samples, seed=seed + index).tokens
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
        ``by_axis``, ``by_token`` (NOMINAL, tokens), ``curve`` at ``CURVE`` and
        ``calibration_error``; ``std_by_token`` and ``error_by_token``, root mean squares in the
        part's unit. Tokens count from ``first_token``.
    """
    summary = {}
    for part, channels in CHANNELS.items():
        # The start's state is given, its actions are not; so is the end's position.
        first = 0 if part == 'actions' else 1
        last = -1 if part == 'position' and condition == 'start and end' else None
        chosen = {name: values[:, first:last, channels] for name, values in arrays.items()}
        summary[part] = {'first_token': first}
        for kind in KINDS:
            levels = chosen[kind]
            by_window = coverage(levels.reshape(len(levels), -1).T, NOMINAL)
            summary[part][kind] = {
                'coverage': by_window.mean(axis=1).tolist(),
                'standard_error': (by_window.std(axis=1) / np.sqrt(len(levels))).tolist(),
                'by_axis': coverage(levels.reshape(-1, levels.shape[-1]), NOMINAL).tolist(),
                'by_token': coverage(levels, NOMINAL).mean(axis=-1).tolist(),
                'curve': coverage(levels.reshape(-1), CURVE).tolist(),
                'calibration_error': calibration_error(levels)}
        for name in ('std', 'error'):
            summary[part][f'{name}_by_token'] = np.sqrt(
                np.square(chosen[name]).mean(axis=(0, 2))).tolist()
    return summary


@click.command(epilog='\b\nExamples:\n'
               '  df_planner measure calibration --checkpoint maze2d-medium\n'
               '  df_planner measure calibration --checkpoint maze2d-medium --temperature 1 '
               '--temperature 1.2\n'
               '  df_planner measure calibration --checkpoint maze2d-umaze --windows 40 '
               '--set sampling_steps=32')
@click.option('--windows', type=click.IntRange(min=2), default=200, show_default=True,
              help='Held-out windows, each as long as the model was trained for.')
@click.option('--samples', type=click.IntRange(min=2), default=32, show_default=True,
              help='Futures sampled of each window.')
@click.option('--plans', type=click.IntRange(min=1), default=50, show_default=True,
              help='Plans that are executed without replanning, to check Plan.uncertainty.')
@click.option('--temperature', 'temperatures', multiple=True, default=(1.0, 1.2),
              show_default=True, type=click.FloatRange(0.0, 2.0, min_open=True),
              help='Standard deviation of the noise that is denoised; may be repeated.')
@measure_options('calibration', seed_of='held-out windows and samples')
def calibration(checkpoint, windows, samples, plans, temperatures, seed, settings, device, out):
    """
    Check whether the model's uncertainty can be believed.

    Futures are sampled of held-out windows, given the start, or start and end. Their central 50 to
    95 % intervals should hold the truth as often as that; the calibration error is the mean
    distance from it. Intervals by ranks (quantiles of the samples) and as a Gaussian. Last come
    plans: whether a robot that executes one to its end stays within Plan.uncertainty.
    Ctrl-C reports the windows and plans until then.
    """
    planner, maze = open_point_planner('calibration', checkpoint, device, settings)
    card = planner.card
    truth = held_out_windows(card, windows, card.architecture.max_tokens, seed)
    with progress(windows * len(temperatures) * len(CONDITIONS), 'windows') as bar:
        measured = measure_calibration(planner, truth, temperatures, samples, seed,
                                       lambda: bar.update(1))
    if not measured['results']:
        raise KeyboardInterrupt
    planned = {'plans': 0, 'stopped': True, **dict.fromkeys(EXECUTIONS)}
    if not measured['stopped']:
        with progress(plans, 'plans') as bar:
            planned = measure_plans(planner, maze, plans, seed, lambda: bar.update(1))
    folder = result_folder('calibration', out)
    draw_calibration_picture(folder / 'calibration.png', maze, measured, truth[0],
                             card.frame_stack * card.dt_s)
    rows = [['given, temperature, part, kind', *(f'{p:.0%}' for p in NOMINAL), 'error']]
    for result in measured['results']:
        for part in CHANNELS:
            for kind in KINDS:
                found = result[part][kind]
                rows.append([f'{result["condition"]}, {result["temperature"]:g}, {part}, {kind}',
                             *(f'{share:.1%}' for share in found['coverage']),
                             f'{found["calibration_error"]:.3f}'])
    for execution in EXECUTIONS:
        if planned[execution]:
            rows.append([f'Plan.uncertainty, executed {execution}',
                         *(f'{share:.1%}' for share in planned[execution]['coverage']), ''])
    echo_table(rows)
    write_result(folder / 'calibration.json', checkpoint, seed, {
        'maze': maze.name, 'windows': windows, 'samples': samples,
        'settings': planner.settings.model_dump(), 'token_s': card.frame_stack * card.dt_s,
        'nominal': NOMINAL, 'curve_at': CURVE, 'results': measured['results'],
        'executed_plans': planned})
    if planned['stopped']:
        raise KeyboardInterrupt
