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

"""Configuration of a forecaster; defaults are a choice on the validation part of ``traffic``."""

from typing import Self

from pydantic import Field
from pydantic import model_validator

from df_planner.training.checkpoint import Architecture
from df_planner.training.config import RunConfig

# Where the defaults are not those of a planner.
DEFAULTS = {'network': 'gru', 'width': 128, 'num_layers': 1, 'num_levels': 100, 'steps': 15000,
            'tokens_per_batch': 1024, 'learning_rate': 2e-3, 'warmup_steps': 100,
            'ema_decay': 0.995, 'log_interval_steps': 250}


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

    def architecture(self, variables: int) -> Architecture:
        """Return the network for a series of so many variables."""
        return Architecture(
            network=self.network, part_sizes=(self.rows_per_token,) * variables,
            max_tokens=self.past_tokens + self.future_tokens, num_levels=self.num_levels,
            width=self.width, num_layers=self.num_layers, num_heads=self.num_heads)
