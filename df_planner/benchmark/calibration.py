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
Calibration: whether the model knows how uncertain it is.

Of held-out windows the model sees the start, or start and end, and samples futures. An interval
that is said to hold p % of them should hold the truth p % of the time, at every time into the
future. Two kinds of central interval are checked: that of a Gaussian with the samples' mean and
standard deviation, and that between the samples' quantiles, which allows for several ways to go.

Both are exact for a finite number of samples: if truth and samples come from one distribution,
coverage is nominal (for the Gaussian kind, if that distribution is a Gaussian). So what is left is
the model's, not the counting's.
"""

from collections.abc import Callable
from itertools import product

import numpy as np
from scipy.stats import t as student_t

from df_planner.planning.planner import Planner
from df_planner.planning.reconstruction import reconstruct

NOMINAL = (0.5, 0.8, 0.9, 0.95)
CURVE = tuple(np.linspace(0.05, 0.95, 19).round(2).tolist())
KINDS = ('gaussian', 'ranks')
CHANNELS = {'position': slice(0, 2), 'velocity': slice(2, 4), 'actions': slice(4, None)}
CONDITIONS = ('start', 'start and end')


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
