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
Tokens: between what is known in physical units and the normalised tokens of the network.

A token is the state (row, column, row velocity, column velocity) at its first control step and the
actions of its ``frame_stack`` steps.
"""

import numpy as np
import torch
from torch import Tensor

from df_planner.diffusion.sampler import Pins
from df_planner.training.checkpoint import ModelCard

POSITION, VELOCITY = 0, 1  # parts of a token


class TokenSpace:
    """Normalised tokens on the device of the network, physical ones in numpy."""

    def __init__(self, card: ModelCard, device: str):
        """Take shape and moments of tokens from the model card."""
        mean, std = card.normalizer().token_moments(card.frame_stack)
        self.mean = torch.tensor(mean, dtype=torch.float32, device=device)
        self.std = torch.tensor(std, dtype=torch.float32, device=device)
        self.part_sizes = card.architecture.part_sizes
        self.max_tokens = card.architecture.max_tokens
        self.num_levels = card.architecture.num_levels
        self.frame_stack = card.frame_stack
        self.token_s = card.frame_stack * card.dt_s
        self.device = device

    def normalised(self, tokens: np.ndarray) -> Tensor:
        """Return physical tokens (..., C) as the network sees them."""
        values = torch.tensor(tokens, dtype=torch.float32).to(self.device)
        return (values - self.mean) / self.std

    def physical(self, tokens: Tensor) -> np.ndarray:
        """Return normalised tokens (..., C) in physical units, float64."""
        return (tokens * self.std + self.mean).cpu().double().numpy()


class Known:
    """
    What is known of N trajectories before they are sampled; without a call, nothing is.

    :param lengths: (N,) tokens of each trajectory.
    """

    def __init__(self, space: TokenSpace, lengths: np.ndarray):
        """Start with pure noise everywhere."""
        self.lengths = lengths
        self._space = space
        shape = (len(lengths), int(lengths.max()))
        self._values = np.zeros((*shape, sum(space.part_sizes)))
        self._levels = np.full((*shape, len(space.part_sizes)), space.num_levels)
        self._given = np.zeros(self._values.shape, bool)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Trajectories, tokens, channels: (N, T, C)."""
        return self._values.shape

    def start(self, state: np.ndarray) -> None:
        """Pin the first state to ``state`` (4,)."""
        self._values[:, 0, :4] = state
        self._levels[:, 0, [POSITION, VELOCITY]] = 0
        self._given[:, 0, :4] = True

    def end(self, goal: np.ndarray, rest: bool) -> None:
        """Pin the last position to ``goal`` (2,) and, with ``rest``, the last velocity to zero."""
        rows, last = np.arange(len(self.lengths)), self.lengths - 1
        self._values[rows, last, :2] = goal
        self._levels[rows, last, POSITION] = 0
        self._given[rows, last, :2] = True
        if rest:
            self._levels[rows, last, VELOCITY] = 0

    def pins(self) -> Pins:
        """Return it for the sampler."""
        return Pins(self._space.normalised(self._values),
                    torch.tensor(self._levels, device=self._space.device))

    def restored(self, tokens: np.ndarray) -> np.ndarray:
        """Return physical tokens (N, T, C) with what was given free of rounding to float32."""
        return np.where(self._given, self._values, tokens)
