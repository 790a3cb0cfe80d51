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

"""Sampled futures of a series, given its history: the history is pinned at noise level 0."""

from pathlib import Path
from typing import Self

import numpy as np
import torch

from df_planner.diffusion.denoiser import Denoiser
from df_planner.diffusion.noise import NoiseSchedule
from df_planner.diffusion.sampler import Pins
from df_planner.diffusion.sampler import sample
from df_planner.diffusion.schedule import scheduling_matrix
from df_planner.errors import InvalidInput
from df_planner.forecast.checkpoint import ForecastCard
from df_planner.forecast.checkpoint import load_forecaster
from df_planner.forecast.tokens import to_rows
from df_planner.forecast.tokens import to_tokens

SCHEDULE, SAMPLING_STEPS, UNCERTAINTY_SCALE = 'pyramid', 10, 1.0


class Forecaster:
    """
    A trained forecaster.

    :param denoiser: in evaluation mode.
    """

    def __init__(self, denoiser: Denoiser, card: ForecastCard, schedule: str = SCHEDULE,
                 sampling_steps: int = SAMPLING_STEPS):
        """Make the scheduling matrix: near tokens are denoised ahead of far ones."""
        self.card, self.config = card, card.config()
        self._denoiser = denoiser
        self._noise = NoiseSchedule(self.config.num_levels)
        future = scheduling_matrix(schedule, self.config.future_tokens, sampling_steps,
                                   self.config.num_levels, UNCERTAINTY_SCALE)
        past = future[:, :1].expand(-1, self.config.past_tokens)
        self._schedule = torch.cat([past, future], dim=1)

    @classmethod
    def load(cls, path: Path, **settings: object) -> Self:
        """
        Read a checkpoint.

        :raises CheckpointError: if it cannot be read.
        """
        return cls(*load_forecaster(path), **settings)

    def sample(self, history: np.ndarray, samples: int, seed: int, horizon: int | None = None
               ) -> np.ndarray:
        """
        Return futures (samples, horizon, C) in the units of the series.

        A horizon beyond the trained one slides: what was sampled becomes history.

        :param history: (H, C) rows before the forecast; the last ``history`` of them count.
        :param horizon: rows, by default as trained.
        :raises InvalidInput: if the history is too short, not finite or of other variables.
        """
        config, names = self.config, self.card.names
        history = np.asarray(history, np.float64)
        if history.ndim != 2 or history.shape[1] != len(names):
            raise InvalidInput(f'history must have shape (H, {len(names)}) for '
                               f'{", ".join(names)}, got {history.shape}')
        if len(history) < config.history:
            raise InvalidInput(f'history must have {config.history} rows or more, got '
                               f'{len(history)}')
        if not np.isfinite(history).all():
            raise InvalidInput('history must be finite')
        horizon = config.horizon if horizon is None else horizon
        generator = torch.Generator().manual_seed(seed)
        known = self.card.normalized(history[-config.history:]).astype(np.float32)
        rows = np.repeat(known[None], samples, axis=0)
        while rows.shape[1] - config.history < horizon:
            future = self._next(rows[:, -config.history:], generator)
            rows = np.concatenate([rows, future], axis=1)
        return self.card.physical(rows[:, config.history:config.history + horizon].astype(float))

    def _next(self, history: np.ndarray, generator: torch.Generator) -> np.ndarray:
        """Return the next rows (B, horizon, C), normalised, of as many histories."""
        config = self.config
        tokens = torch.from_numpy(to_tokens(history, config.rows_per_token))
        batch, past, channels = tokens.shape
        x = torch.randn((batch, past + config.future_tokens, channels), generator=generator)
        known = torch.arange(x.shape[1]) < past
        levels = torch.where(known, 0, config.num_levels)[None, :, None]
        values = torch.cat([tokens, x[:, past:]], dim=1)
        result = sample(self._denoiser, self._noise, x, self._schedule,
                        Pins(values, levels.expand(batch, -1, len(self.card.names))))
        return to_rows(result[:, past:].numpy(), config.rows_per_token)
