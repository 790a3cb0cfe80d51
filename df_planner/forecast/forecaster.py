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
A trained forecaster: its configuration, its card, and samples of the future.

A token is some consecutive rows of a series; each variable is a part with its own noise level.
The history is pinned at noise level 0.
"""

from pathlib import Path
from typing import Self

import numpy as np
from pydantic import Field
from pydantic import model_validator
import torch

from df_planner.diffusion.denoiser import Denoiser
from df_planner.diffusion.noise import NoiseSchedule
from df_planner.diffusion.sampler import Pins
from df_planner.diffusion.sampler import Sampler
from df_planner.diffusion.schedule import scheduling_matrix
from df_planner.errors import InvalidInput
from df_planner.model.checkpoint import Architecture
from df_planner.model.checkpoint import Card
from df_planner.model.checkpoint import load_denoiser
from df_planner.model.checkpoint import read_card
from df_planner.training.config import RunConfig

FORMAT_VERSION = 'forecaster 2'
UNCERTAINTY_SCALE = 1.0


def to_tokens(rows: np.ndarray, rows_per_token: int) -> np.ndarray:
    """Return (..., T, C * R) of rows (..., T * R, C): one variable after the other."""
    *batch, count, variables = rows.shape
    stacked = rows.reshape(*batch, count // rows_per_token, rows_per_token, variables)
    return stacked.swapaxes(-1, -2).reshape(*stacked.shape[:-2], -1)


def to_rows(tokens: np.ndarray, rows_per_token: int) -> np.ndarray:
    """Return (..., T * R, C) of tokens (..., T, C * R)."""
    *batch, count, channels = tokens.shape
    stacked = tokens.reshape(*batch, count, channels // rows_per_token, rows_per_token)
    return stacked.swapaxes(-1, -2).reshape(*batch, count * rows_per_token, -1)


class ForecastConfig(RunConfig):
    """What ``df_planner forecast train`` takes by --set, besides its own options."""

    series: str = Field(description='CSV file, or traffic')
    history: int = Field(168, ge=1, description='rows that a forecast looks back')
    horizon: int = Field(24, ge=1, description='rows that are forecast')
    rows_per_token: int = Field(6, ge=1, le=256, description='consecutive rows of a token')
    known_past: float = Field(0.75, ge=0.0, le=1.0, description=(
        'share of windows with a clean history, as a forecast meets it; the others have a noise '
        'level per token'))
    shared_level: float = Field(0.5, ge=0.0, le=1.0, description=(
        'share of those whose future has one noise level for all tokens'))

    @model_validator(mode='after')
    def _check_tokens(self) -> Self:
        for name in ('history', 'horizon'):
            if getattr(self, name) % self.rows_per_token:
                raise ValueError(f'{name} must be a multiple of rows_per_token '
                                 f'({self.rows_per_token}), got {getattr(self, name)}')
        return self

    @property
    def past_tokens(self) -> int:
        """Return the tokens of the history."""
        return self.history // self.rows_per_token

    @property
    def future_tokens(self) -> int:
        """Return the tokens of the horizon."""
        return self.horizon // self.rows_per_token

    def architecture_of(self, variables: int) -> Architecture:
        """Return the network for a series of so many variables."""
        return self.architecture((self.rows_per_token,) * variables,
                                 self.past_tokens + self.future_tokens)


class ForecastCard(Card):
    """
    Everything about a forecaster but its weights.

    :param step_s: from row to row of the series, where its dates say it.
    :param mean: (C,) and ``std`` (C,) of the training rows, in the units of the series.
    """

    names: tuple[str, ...]
    step_s: float | None = None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    series_sha256: str
    training_config: dict[str, str | int | float | bool]
    training_steps: int
    training_hours: float
    held_out_loss: float | None


class Forecaster:
    """A trained forecaster; the denoiser is in evaluation mode."""

    def __init__(self, denoiser: Denoiser, card: ForecastCard, schedule: str = 'pyramid',
                 sampling_steps: int = 10):
        """Make the scheduling matrix: near tokens are denoised ahead of far ones."""
        self.card = card
        self.config = config = ForecastConfig(**card.training_config)
        self._mean, self._std = np.array(card.mean), np.array(card.std)
        self._denoiser = denoiser
        self._noise = NoiseSchedule(config.num_levels)
        future = scheduling_matrix(schedule, config.future_tokens, sampling_steps,
                                   config.num_levels, UNCERTAINTY_SCALE)
        past = future[:, :1].expand(-1, config.past_tokens)
        self._schedule = torch.cat([past, future], dim=1)

    @classmethod
    def load(cls, path: Path, **settings: object) -> Self:
        """
        Read a checkpoint; ``settings`` are those of the class.

        :raises CheckpointError: if it is missing, broken, or not that of a forecaster.
        """
        card = read_card(path, ForecastCard, FORMAT_VERSION)
        architecture = ForecastConfig(**card.training_config).architecture_of(len(card.names))
        return cls(load_denoiser(path, architecture), card, **settings)

    def sample(self, history: np.ndarray, samples: int, seed: int, horizon: int | None = None
               ) -> np.ndarray:
        """
        Return futures (samples, horizon, C) in the units of the series.

        For a horizon beyond the trained one, sampled rows become history and sampling goes on.

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
        generator = torch.Generator().manual_seed(int(seed))
        known = ((history[-config.history:] - self._mean) / self._std).astype(np.float32)
        rows = np.repeat(known[None], samples, axis=0)
        while rows.shape[1] - config.history < horizon:
            future = self._next(rows[:, -config.history:], generator)
            rows = np.concatenate([rows, future], axis=1)
        future = rows[:, config.history:config.history + horizon].astype(float)
        return future * self._std + self._mean

    def _next(self, history: np.ndarray, generator: torch.Generator) -> np.ndarray:
        """Return the next rows (B, horizon, C), normalised, of as many histories."""
        config = self.config
        tokens = torch.from_numpy(to_tokens(history, config.rows_per_token))
        batch, past, channels = tokens.shape
        x = torch.randn((batch, past + config.future_tokens, channels), generator=generator)
        known = torch.arange(x.shape[1]) < past
        levels = torch.where(known, 0, config.num_levels)[None, :, None]
        values = torch.cat([tokens, x[:, past:]], dim=1)
        result = Sampler(self._denoiser, self._noise).sample(
            x, self._schedule, Pins(values, levels.expand(batch, -1, len(self.card.names))))
        return to_rows(result[:, past:].numpy(), config.rows_per_token)
