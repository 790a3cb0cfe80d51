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
Scores of forecasts at rolling origins: CRPS per variable and lead.

Values are scored in standard deviations of the training rows, so that variables can be averaged.
"""

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field

import numpy as np

from df_planner.errors import ConfigError
from df_planner.forecast.baselines import Baseline
from df_planner.forecast.crps import fair_crps
from df_planner.forecast.crps import mean_and_error
from df_planner.forecast.forecaster import Forecaster
from df_planner.forecast.series import Series

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
