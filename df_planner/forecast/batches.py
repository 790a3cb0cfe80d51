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

"""Training batches of a series: windows at random rows, and the noise levels they get."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from df_planner.errors import ConfigError
from df_planner.forecast.config import ForecastConfig
from df_planner.forecast.series import Series
from df_planner.forecast.tokens import to_tokens
from df_planner.training.batches import Batch
from df_planner.training.batches import Share
from df_planner.training.batches import WHOLE


class SeriesBatches:
    """
    Windows of history and horizon that lie in the given rows; see ``BatchSource``.

    :param mean: (C,) and ``std`` (C,) that the values are normalised with.
    :raises ConfigError: if the rows hold no window.
    """

    def __init__(self, series: Series, rows: range, mean: np.ndarray, std: np.ndarray,
                 config: ForecastConfig):
        """Normalise the rows."""
        self._values = ((series.values[rows.start:rows.stop] - mean) / std).astype(np.float32)
        self._window = config.history + config.horizon
        self._config = config
        if len(rows) < self._window:
            raise ConfigError(f'{series.source}: {len(rows)} rows hold no window of history + '
                              f'horizon = {self._window} rows; give more rows, or lower them')

    def draw(self, stream: int, step: int, share: Share = WHOLE) -> Batch:
        """Return a share of the batch of a step; the same arguments give the same batch."""
        config = self._config
        random = np.random.default_rng([config.seed, stream, step])
        tokens = config.past_tokens + config.future_tokens
        count = max(1, config.tokens_per_batch // tokens)
        starts = random.integers(len(self._values) - self._window + 1, size=count)
        rows = share.rows(count)
        windows = self._values[starts[rows, None] + np.arange(self._window)]
        generator = torch.Generator().manual_seed(int(random.integers(2**63)))
        return Batch(torch.from_numpy(to_tokens(windows, config.rows_per_token)), rows, count,
                     generator)


@dataclass(frozen=True)
class KnownPast:
    """
    Draw noise levels as forecasting meets them: see ``DrawLevels``.

    :param past: tokens of the history.
    :param known: share of windows whose history is clean. Their future has one level for all
        tokens in a ``shared`` part of them, else a level per token. The other windows have a level
        per token throughout (Chen et al., 2024, algorithm 1).
    """

    past: int
    known: float
    shared: float

    def __call__(self, batch: int, tokens: int, parts: int, num_levels: int,
                 generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return levels (batch, tokens, parts) and what carries loss, (batch, tokens) bool."""
        def share(part: float) -> Tensor:
            return torch.rand((batch, 1), generator=generator) < part

        levels = torch.randint(1, num_levels + 1, (batch, tokens), generator=generator)
        known, shared = share(self.known), share(self.shared)
        levels = torch.where(known & shared, levels[:, -1:], levels)
        levels = torch.where(known & (torch.arange(tokens) < self.past), 0, levels)
        return (levels[..., None].repeat(1, 1, parts),
                torch.ones((batch, tokens), dtype=torch.bool))
