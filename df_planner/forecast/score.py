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
The score of forecasts (CRPS), beside naive and linear baselines.

The continuous ranked probability score of samples, and its mean over origins with its error.

Scores of forecasts at rolling origins: CRPS per variable and lead.

Values are scored in standard deviations of the training rows, so that variables can be averaged.

A forecaster, trained with one or more seeds, beside the baselines on one part of a series.
"""

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field

import numpy as np

from df_planner.errors import ConfigError
from df_planner.forecast.baselines import Baseline
from df_planner.forecast.baselines import candidates
from df_planner.forecast.forecaster import Forecaster
from df_planner.forecast.series import open_series
from df_planner.forecast.series import Series


def fair_crps(samples: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """
    Return the CRPS (...) of samples (m, ...) about a truth (...), m at least 2.

    mean |x_i - y| - sum_ij |x_i - x_j| / (2 m (m - 1)): what it estimates does not depend on m
    (Ferro, 2014), so ensembles of different sizes compare.
    """
    count = len(samples)
    ordered = np.sort(samples, axis=0)
    ranks = np.arange(1 - count, count, 2).reshape(-1, *[1] * truth.ndim)
    spread = (ranks * ordered).sum(axis=0) / (count * (count - 1))
    return np.abs(samples - truth).mean(axis=0) - spread


def mean_and_error(scores: np.ndarray, blocks: np.ndarray) -> tuple[float, float]:
    """
    Return the mean of scores (N,), and its standard error over blocks.

    Origins near each other share their future; blocks of them are taken to be independent. NaN
    scores are left out.

    :param blocks: (N,) the block of each score; two blocks or more.
    """
    means = np.array([np.nanmean(scores[blocks == block]) for block in np.unique(blocks)])
    return float(means.mean()), float(means.std(ddof=1) / np.sqrt(len(means)))


# origin -> futures (samples, horizon, C)
Sampler = Callable[[int], np.ndarray]


@dataclass(frozen=True)
class Origins:
    """
    Where forecasts begin.

    :param rows: first rows of the forecasts.
    :param blocks: the block of each, for the standard error.
    :param std: (C,) of the training rows.
    """

    series: Series
    rows: np.ndarray
    blocks: np.ndarray
    horizon: int
    std: np.ndarray = field(repr=False)

    @classmethod
    def of_part(cls, series: Series, part: str, horizon: int, stride: int, block: int
                ) -> 'Origins':
        """
        Return origins every ``stride`` rows of a part; whole horizons lie in it.

        :param block: rows of a block.
        :raises ConfigError: if the part holds fewer than two blocks.
        """
        rows = series.part(part)
        origins = np.arange(rows.start, rows.stop - horizon + 1, stride)
        blocks = (origins - rows.start) // block
        if len(np.unique(blocks)) < 2:
            raise ConfigError(f'{series.source}: the {part} part has {len(rows)} rows, two blocks '
                              f'of {block} rows or more are needed; lower --block')
        train = series.part('train')
        return cls(series, origins, blocks, horizon,
                   series.values[train.start:train.stop].std(axis=0))

    def truth(self, origin: int) -> np.ndarray:
        """Return what came (horizon, C); NaN where it was not observed."""
        rows = slice(origin, origin + self.horizon)
        return np.where(self.series.observed[rows], self.series.values[rows], np.nan)

    def crps(self, sampler: Sampler, advance: Callable[[], object] = lambda: None) -> np.ndarray:
        """Return the scores (origins, horizon, C), in standard deviations."""
        scores = []
        for origin in self.rows:
            scores.append(fair_crps(sampler(int(origin)), self.truth(origin)) / self.std)
            advance()
        return np.array(scores)

    def mean(self, scores: np.ndarray) -> tuple[float, float]:
        """Return the mean of scores (origins, horizon, C) or (origins, horizon), and its error."""
        return mean_and_error(np.nanmean(scores.reshape(len(scores), -1), axis=1), self.blocks)


def sampler_of(forecaster: Forecaster, series: Series, samples: int, seed: int) -> Sampler:
    """Return what samples a forecaster at an origin, the same whatever came before."""
    return lambda origin: forecaster.sample(series.values[:origin], samples, seed + origin)


def sampler_of_baseline(baseline: Baseline, series: Series, samples: int, seed: int) -> Sampler:
    """Return what samples a baseline at an origin, the same whatever came before."""
    return lambda origin: baseline.sample(series.values, origin, samples,
                                          np.random.default_rng([seed, origin]))


Advance = Callable[[], object]
FORECASTER = 'diffusion forcing'


def series_of(forecasters: Sequence[Forecaster]) -> Series:
    """
    Return the series that all of them were trained on.

    :raises ConfigError: if they differ in series or horizon, or the series has changed.
    :raises DatasetError: if the series cannot be read.
    """
    first = forecasters[0]
    series = open_series(first.config.series)
    for forecaster in forecasters:
        if forecaster.card.series_sha256 != series.sha256:
            raise ConfigError(f'{forecaster.config.name}: was trained on '
                              f'{forecaster.config.series}, which is not {series.source} as it is '
                              'now; score it beside others of its series, or train it again')
        if forecaster.config.horizon != first.config.horizon:
            raise ConfigError(f'{forecaster.config.name}: has a horizon of '
                              f'{forecaster.config.horizon} rows, {first.config.name} '
                              f'{first.config.horizon}; score them apart')
    return series


class Comparison:
    """
    Scores of all at the same origins.

    :param samples: futures per origin.
    :param seed: of the samples.
    """

    def __init__(self, series: Series, part: str, horizon: int, stride: int, block: int,
                 samples: int, seed: int):
        """Choose the origins."""
        self.origins = Origins.of_part(series, part, horizon, stride, block)
        self._validation = Origins.of_part(series, 'validation', horizon, stride, block)
        self._samples, self._seed = samples, seed
        self._scores: dict[str, np.ndarray] = {}  # (origins, horizon, C)
        self._choices: dict[str, str] = {}
        self._seeds: list[tuple[float, float]] = []

    def add_baselines(self, seasons: tuple[int, ...], lags: tuple[int, ...], advance: Advance
                      ) -> None:
        """Score, of every kind of baseline, the one that is best on the validation part."""
        series = self.origins.series
        train = series.part('train')
        best: dict[str, tuple[float, Baseline]] = {}
        for baseline in candidates(series.values[train.start:train.stop], self.origins.horizon,
                                   seasons, lags):
            score, _ = self._validation.mean(self._baseline_scores(baseline, self._validation))
            if baseline.name not in best or score < best[baseline.name][0]:
                best[baseline.name] = score, baseline
            advance()
        for name, (score, baseline) in best.items():
            self._scores[name] = self._baseline_scores(baseline, self.origins)
            self._choices[name] = f'{baseline.choices} (validation: {score:.4f})'

    def add_forecasters(self, forecasters: Sequence[Forecaster], advance: Advance) -> None:
        """Score all seeds; their mean score at every origin stands for the model."""
        scores = [self.origins.crps(sampler_of(
            forecaster, self.origins.series, self._samples, self._seed), advance)
            for forecaster in forecasters]
        self._seeds = [self.origins.mean(each) for each in scores]
        self._scores[FORECASTER] = np.mean(scores, axis=0)

    def by_lead(self) -> dict[str, np.ndarray]:
        """Return the mean score (horizon,) by name."""
        return {name: np.nanmean(scores, axis=(0, 2)) for name, scores in self._scores.items()}

    def table(self) -> list[list[str]]:
        """Return rows: the score, the difference from each baseline, and each variable."""
        baselines = list(self._choices)
        rows = [['CRPS', 'mean', *(f'less than {name}' for name in baselines),
                 *self.origins.series.names]]
        for name, scores in self._scores.items():
            differences = ['' if name == other else self._text(self._scores[other] - scores)
                           for other in baselines]
            variables = [self._text(scores[..., index] * std)
                         for index, std in enumerate(self.origins.std)]
            rows.append([name, self._text(scores), *differences, *variables])
        return rows

    def results(self) -> dict:
        """Return plain values: what the baselines chose, scores, differences, seeds, leads."""
        return {
            'choices': self._choices,
            'crps': {name: self.origins.mean(scores) for name, scores in self._scores.items()},
            'crps_of_variables': {name: {
                variable: self.origins.mean(scores[..., index] * self.origins.std[index])
                for index, variable in enumerate(self.origins.series.names)}
                for name, scores in self._scores.items()},
            'less_than': {name: {
                other: self.origins.mean(self._scores[other] - scores)
                for other in self._choices if other != name}
                for name, scores in self._scores.items()},
            'training_seeds': self._seeds,
            'by_lead': {name: values.tolist() for name, values in self.by_lead().items()}}

    def _baseline_scores(self, baseline: Baseline, origins: Origins) -> np.ndarray:
        return origins.crps(sampler_of_baseline(baseline, origins.series, self._samples,
                                                self._seed))

    def _text(self, scores: np.ndarray) -> str:
        mean, error = self.origins.mean(scores)
        return f'{mean:.4g} ± {error:.2g}'
