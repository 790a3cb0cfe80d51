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

"""The arrival time: a small network that tells when the robot should be at a goal."""

import numpy as np
import torch
from torch import nn
from torch import Tensor
from torch.nn import functional

from df_planner.model.normalizer import Normalizer

QUANTILES = (0.1, 0.5, 0.9)
FREQUENCIES = 6
POSITION_SIZE = 2
WIDTH, LAYERS = 128, 3


class ArrivalTime(nn.Module):
    """
    Quantiles of the time to a position: a multilayer perceptron on sines and cosines of positions.

    :param state_size: numbers in a state, its position first.
    """

    def __init__(self, state_size: int):
        super().__init__()
        self.register_buffer('frequencies', 0.7 * 2.0 ** torch.arange(FREQUENCIES),
                             persistent=False)
        inputs = state_size + POSITION_SIZE + 4 * POSITION_SIZE * FREQUENCIES
        sizes = [inputs, *[WIDTH] * LAYERS]
        self.hidden = nn.ModuleList(nn.Linear(*pair) for pair in zip(sizes, sizes[1:]))
        self.read_out = nn.Linear(WIDTH, len(QUANTILES))

    def forward(self, states: Tensor, goals: Tensor) -> Tensor:
        """Return seconds (B, 3), rising, for normalised states (B, S) and positions (B, 2)."""
        positions = torch.cat([states[:, :POSITION_SIZE], goals], dim=-1)
        angles = (positions[..., None] * self.frequencies).flatten(1)
        x = torch.cat([states, goals, angles.sin(), angles.cos()], dim=-1)
        for layer in self.hidden:
            x = functional.silu(layer(x))
        return functional.softplus(self.read_out(x)).cumsum(-1)

    def median_s(self, state: np.ndarray, goal: np.ndarray, normalizer: Normalizer) -> float:
        """Return the median of the seconds from a state (S,) to a position (2,)."""
        mean, std = normalizer.state_mean, normalizer.state_std
        goal = (goal - mean[:POSITION_SIZE]) / std[:POSITION_SIZE]
        states, goals = (torch.tensor(v, dtype=torch.float32)[None]
                         for v in ((state - mean) / std, goal))
        with torch.inference_mode():
            return float(self(states, goals)[0, QUANTILES.index(0.5)])
