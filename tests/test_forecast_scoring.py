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

"""Scores of forecasts, and the baselines."""

import math

import numpy as np
import pytest

from df_planner.errors import ConfigError
from df_planner.forecast.baselines import candidates
from df_planner.forecast.baselines import num_candidates
from df_planner.forecast.score import mean_and_error
from df_planner.forecast.score import Origins
from df_planner.forecast.series import Series


def series_of(values: np.ndarray) -> Series:
    """Return a series of values (N, C), all observed."""
    return Series('values', tuple('abc'[:values.shape[1]]), values, np.isfinite(values))


def crps_of(samples: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the scores of samples (m, N, C) about a truth (N, C), in its units."""
    values = np.random.default_rng(2).normal(size=(20 * len(truth), truth.shape[1]))
    values[-len(truth):] = truth
    origins = Origins(series_of(values), 'test', len(truth), 2 * len(truth), 2 * len(truth))
    return origins.crps(lambda origin: samples)[-1] * origins.std  # the last ends with the series


def test_crps_is_its_definition():
    random = np.random.default_rng(0)
    samples, truth = random.normal(size=(7, 4, 3)), random.normal(size=(4, 3))
    truth[1, 2] = np.nan
    pairs = np.abs(samples[:, None] - samples[None]).sum(axis=(0, 1)) / (7 * 6)

    np.testing.assert_allclose(crps_of(samples, truth),
                               np.abs(samples - truth).mean(axis=0) - pairs / 2, rtol=1e-12)


@pytest.mark.parametrize('count', [2, 5, 50])
def test_crps_does_not_depend_on_the_number_of_samples(count):
    """For a standard normal forecast of 0 it is 2 pdf(0) - 1 / sqrt(pi), closed form."""
    samples = np.random.default_rng(1).normal(size=(count, 200_000, 1))
    expected = 2.0 / math.sqrt(2.0 * math.pi) - 1.0 / math.sqrt(math.pi)

    assert crps_of(samples, np.zeros((200_000, 1))).mean() == pytest.approx(expected, abs=4e-3)


def test_error_is_over_blocks_and_leaves_out_what_was_not_observed():
    scores = np.array([1.0, 3.0, np.nan, 4.0, 6.0, 6.0])
    mean, error = mean_and_error(scores, np.array([0, 0, 1, 1, 2, 2]))

    assert mean == pytest.approx(4.0)  # of 2, 4 and 6
    assert error == pytest.approx(2.0 / math.sqrt(3.0))


def test_baselines_are_exact_where_they_hold_and_only_there():
    """A rotation with a constant is linear in one lag, and repeats every 12 rows."""
    angle = 2.0 * math.pi * np.arange(600) / 12
    values = 5.0 + np.stack([np.cos(angle), 2.0 * np.sin(angle)], axis=1)
    origins = Origins(series_of(values), 'test', 6, stride=7, block=28)

    scores = {(baseline.name, baseline.choices): origins.mean(origins.crps(
        lambda origin, baseline=baseline: baseline.sample(
            values, origin, 10, np.random.default_rng(origin))))[0]
        for baseline in candidates(values[:420], 6, seasons=(12,), lags=(1, 5))}

    assert len(scores) == num_candidates((12,), (1, 5))
    for (name, choices), score in scores.items():
        if name == 'seasonal naive' or 'one phase' in choices:
            assert score < 1e-3, (name, choices)
        if name == 'random walk' and 'all origins' in choices:
            assert score > 0.3
        if name == 'ridge on lags' and 'strength 1,' in choices:
            assert score < 0.02


def test_residual_paths_are_drawn_whole_and_of_the_phase_of_the_origin():
    """Noise of one phase only: other phases are forecast without spread."""
    random = np.random.default_rng(0)
    values = np.zeros((400, 1))
    values[::4, 0] = random.normal(size=100)
    baseline = next(b for b in candidates(values[:280], 1, (4,), ())
                    if b.name == 'seasonal naive' and 'one phase' in b.choices)

    spread = [baseline.sample(values, origin, 50, random).std() for origin in range(300, 304)]

    assert spread[0] > 0.3 and max(spread[1:]) == 0.0


def test_missing_values_are_not_scored():
    values = np.random.default_rng(0).normal(size=(400, 2))
    series = Series('values', ('a', 'b'), values, np.ones((400, 2), bool))
    series.observed[350] = False
    origins = Origins(series, 'test', 4, stride=5, block=20)

    scores = origins.crps(lambda origin: np.zeros((3, 4, 2)))

    assert np.isnan(scores).sum() == 2
    assert np.isfinite(origins.mean(scores)).all()
    assert np.allclose(scores[0], np.abs(values[340:344]) / values[:280].std(axis=0))


def test_a_part_without_two_blocks_is_refused():
    with pytest.raises(ConfigError, match='lower --block'):
        Origins(series_of(np.zeros((100, 1))), 'test', 4, stride=1, block=15)
