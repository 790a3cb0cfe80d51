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
Scores of forecasters beside baselines, at rolling origins of one part of a series.

The score is the continuous ranked probability score (CRPS) of samples, per variable and lead, in
standard deviations of the training rows, so that variables can be averaged.
"""

from collections.abc import Callable
from collections.abc import Sequence

import numpy as np

from df_planner.errors import ConfigError
from df_planner.forecast.baselines import Baseline
from df_planner.forecast.baselines import candidates
from df_planner.forecast.forecaster import Forecaster
from df_planner.forecast.series import open_series
from df_planner.forecast.series import optional
from df_planner.forecast.series import Series

FORECASTER = 'diffusion forcing'
Sampler = Callable[[int], np.ndarray]  # origin -> futures (samples, horizon, C)
Advance = Callable[[], object]


def mean_and_error(scores: np.ndarray, blocks: np.ndarray) -> tuple[float, float]:
    """
    Return the mean of scores (N,), and its standard error over blocks; NaN scores are left out.

    Origins near each other share their future; blocks of origins are taken to be independent.

    :param blocks: (N,) the block of each score; two blocks or more.
    """
    means = np.array([np.nanmean(scores[blocks == block]) for block in np.unique(blocks)])
    return float(means.mean()), float(means.std(ddof=1) / np.sqrt(len(means)))


class Origins:
    """
    The rows at which forecasts begin: every ``stride`` rows of a part, whole horizons inside it.

    :param block: rows of a block for the standard error.
    :raises ConfigError: if the part holds fewer than two blocks.
    """

    def __init__(self, series: Series, part: str, horizon: int, stride: int, block: int):
        self.series, self.horizon = series, horizon
        rows, train = series.part(part), series.part('train')
        self.rows = np.arange(rows.start, rows.stop - horizon + 1, stride)
        self._blocks = (self.rows - rows.start) // block
        std = series.values[train.start:train.stop].std(axis=0)
        self.std = np.where(std > 1e-9, std, 1.0)  # of a constant, as in training
        if len(np.unique(self._blocks)) < 2:
            raise ConfigError(f'{series.source}: the {part} part has {len(rows)} rows, two blocks '
                              f'of {block} rows or more are needed; lower --block')

    def truth(self, origin: int) -> np.ndarray:
        """Return the rows of the series from an origin on (horizon, C); NaN if not observed."""
        rows = slice(origin, origin + self.horizon)
        return np.where(self.series.observed[rows], self.series.values[rows], np.nan)

    def crps(self, sampler: Sampler, advance: Advance = lambda: None) -> np.ndarray:
        """
        Return the scores (origins, horizon, C), in standard deviations.

        By probability weighted moments (Zamo and Naveau, 2018), which is the fair estimator of
        Ferro (2014): ensembles of different sizes compare.

        :raises ConfigError: if scoringrules is not installed.
        """
        crps_ensemble = optional('scoringrules').crps_ensemble
        scores = []
        for origin in self.rows:
            scores.append(crps_ensemble(self.truth(origin), sampler(int(origin)), m_axis=0,
                                        estimator='pwm', backend='numpy') / self.std)
            advance()
        return np.array(scores)

    def mean(self, scores: np.ndarray) -> tuple[float, float]:
        """Return the mean of scores (origins, horizon, C) or (origins, horizon), and its error."""
        return mean_and_error(np.nanmean(scores.reshape(len(scores), -1), axis=1), self._blocks)


def series_of(forecasters: Sequence[Forecaster]) -> Series:
    """
    Return the series that all forecasters were trained on.

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
                              f'{first.config.horizon}; score them separately')
    return series


class Comparison:
    """
    Scores of a forecaster, trained with one or more seeds, and of the baselines.

    :param samples: futures per origin.
    :param seed: of the samples.
    """

    def __init__(self, series: Series, part: str, horizon: int, stride: int, block: int,
                 samples: int, seed: int):
        self.origins = Origins(series, part, horizon, stride, block)
        self._validation = Origins(series, 'validation', horizon, stride, block)
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
            score, _ = self._validation.mean(self._validation.crps(self._sampler(baseline)))
            if baseline.name not in best or score < best[baseline.name][0]:
                best[baseline.name] = score, baseline
            advance()
        for name, (score, baseline) in best.items():
            self._scores[name] = self.origins.crps(self._sampler(baseline))
            self._choices[name] = f'{baseline.choices} (validation: {score:.4f})'

    def add_forecasters(self, forecasters: Sequence[Forecaster], advance: Advance) -> None:
        """Score all seeds; their mean score at every origin is that of the model."""
        scores = [self.origins.crps(lambda origin, forecaster=forecaster: forecaster.sample(
            self.origins.series.values[:origin], self._samples, self._seed + origin), advance)
            for forecaster in forecasters]
        self._seeds = [self.origins.mean(each) for each in scores]
        self._scores[FORECASTER] = np.mean(scores, axis=0)

    def by_lead(self) -> dict[str, np.ndarray]:
        """Return the mean score (horizon,) by name."""
        return {name: np.nanmean(scores, axis=(0, 2)) for name, scores in self._scores.items()}

    def results(self) -> dict:
        """Return plain values; a score is a pair of its mean and its standard error."""
        mean, names = self.origins.mean, self.origins.series.names
        return {
            'choices': self._choices,
            'crps': {name: mean(scores) for name, scores in self._scores.items()},
            'crps_of_variables': {name: {
                variable: mean(scores[..., index] * self.origins.std[index])
                for index, variable in enumerate(names)}
                for name, scores in self._scores.items()},
            'less_than': {name: {
                other: mean(self._scores[other] - scores)
                for other in self._choices if other != name}
                for name, scores in self._scores.items()},
            'training_seeds': self._seeds,
            'by_lead': {name: values.tolist() for name, values in self.by_lead().items()}}

    def _sampler(self, baseline: Baseline) -> Sampler:
        """Return a sampler whose random numbers depend on seed and origin alone."""
        return lambda origin: baseline.sample(
            self.origins.series.values, origin, self._samples,
            np.random.default_rng([self._seed, origin]))


def table(results: dict) -> list[list[str]]:
    """Return ``Comparison.results`` as rows: score, difference from each baseline, variables."""
    def text(score: tuple[float, float] | None) -> str:
        return '' if score is None else f'{score[0]:.4g} ± {score[1]:.2g}'

    variables, baselines = results['crps_of_variables'], list(results['choices'])
    rows = [['CRPS', 'mean', *(f'less than {name}' for name in baselines),
             *next(iter(variables.values()))]]
    for name, score in results['crps'].items():
        differences = (results['less_than'][name].get(other) for other in baselines)
        rows.append([name, *map(text, (score, *differences, *variables[name].values()))])
    return rows
