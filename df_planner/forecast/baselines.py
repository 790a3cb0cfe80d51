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
The baselines of a forecaster: random walk, seasonal naive, and ridge regression on lags.

Each is a point forecast plus residual paths of the training rows, drawn whole, so that errors keep
their dependence along time and between variables (residual bootstrap). Ridge strength, lags,
season and the phase of the residuals are chosen on the validation part, by the score itself.
"""

from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from df_planner.forecast.series import optional

STRENGTHS = (1.0, 10.0, 100.0, 1000.0, 10000.0)

# history (B, H, C) -> (B, horizon, C)
PointForecast = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Baseline:
    """
    A point forecast with its residuals on the training rows.

    :param history: rows that it looks back.
    :param residuals: (N, horizon, C) at consecutive training origins from row ``history`` on.
    :param season: rows of a season: only residuals at the origin's phase are drawn; 1 for all.
    """

    name: str
    choices: str
    history: int
    point: PointForecast = field(repr=False)
    residuals: np.ndarray = field(repr=False)
    season: int

    def sample(self, values: np.ndarray, origin: int, samples: int,
               random: np.random.Generator) -> np.ndarray:
        """Return futures (samples, horizon, C) of values (N, C) from row ``origin`` on."""
        point = self.point(values[None, origin - self.history:origin])[0]
        first = (origin - self.history) % self.season
        alike = np.arange(first, len(self.residuals), self.season)
        return point + self.residuals[random.choice(alike, samples)]


def candidates(train: np.ndarray, horizon: int, seasons: tuple[int, ...], lags: tuple[int, ...]
               ) -> Iterator[Baseline]:
    """
    Yield the baselines with all their choices, fitted to the training rows (N, C).

    :param seasons: rows of a season (a day, a week) that a choice may be.
    :param lags: numbers of rows that the regression may look back.
    """
    def fitted(name: str, choices: str, history: int, point: PointForecast) -> Iterator[Baseline]:
        windows = sliding_window_view(train, history + horizon, axis=0).swapaxes(1, 2)
        residuals = windows[:, history:] - point(windows[:, :history])
        for season in (1, *seasons):
            if len(residuals) >= 2 * season:
                yield Baseline(name, f'{choices}residuals of '
                               + ('all origins' if season == 1 else f'one phase of {season} rows'),
                               history, point, residuals, season)

    yield from fitted('random walk', '', 1, lambda history: np.repeat(
        history[:, -1:], horizon, axis=1))
    for season in seasons:
        yield from fitted('seasonal naive', f'season {season}, ', season, _repeat(season, horizon))
    for count in lags:
        for strength in STRENGTHS:
            yield from fitted('ridge on lags', f'{count} lags, strength {strength:g}, ', count,
                              _ridge(train, horizon, count, strength))


def num_candidates(seasons: tuple[int, ...], lags: tuple[int, ...]) -> int:
    """Return how many baselines ``candidates`` has on a series that is long enough."""
    return (1 + len(seasons)) * (1 + len(seasons) + len(lags) * len(STRENGTHS))


def _repeat(season: int, horizon: int) -> PointForecast:
    return lambda history: history[:, np.arange(horizon) % season - season]


def _ridge(train: np.ndarray, horizon: int, lags: int, strength: float) -> PointForecast:
    """
    Return a direct forecast linear in the last ``lags`` rows.

    Every variable at every lead is regressed on all variables at all lags (a vector
    autoregression, one regression per lead), with an intercept that is not penalised.

    :raises ConfigError: if scikit-learn is not installed.
    """
    windows = sliding_window_view(train, lags + horizon, axis=0).swapaxes(1, 2)
    x, y = (part.reshape(len(windows), -1) for part in (windows[:, :lags], windows[:, lags:]))
    model = optional('sklearn.linear_model').Ridge(alpha=strength).fit(x, y)
    return lambda history: model.predict(history.reshape(len(history), -1)).reshape(
        len(history), horizon, -1)
