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


class ArrivalTime(nn.Module):
    """
    Quantiles of the time to a position.

    :param state_size: numbers in a state, its position first.
    :param position_size: numbers in a position.
    """

    def __init__(self, state_size: int = 4, position_size: int = 2, width: int = 128,
                 num_layers: int = 3):
        """Build a multilayer perceptron on positions as sines and cosines."""
        super().__init__()
        self.position_size = position_size
        self.register_buffer('frequencies', 0.7 * 2.0 ** torch.arange(FREQUENCIES),
                             persistent=False)
        inputs = state_size + position_size + 4 * position_size * FREQUENCIES
        sizes = [inputs, *[width] * num_layers]
        self.hidden = nn.ModuleList(nn.Linear(*pair) for pair in zip(sizes, sizes[1:]))
        self.read_out = nn.Linear(width, len(QUANTILES))

    def forward(self, states: Tensor, goals: Tensor) -> Tensor:
        """Return seconds (B, 3), rising, for normalised states (B, S) and positions (B, P)."""
        positions = torch.cat([states[:, :self.position_size], goals], dim=-1)
        angles = (positions[..., None] * self.frequencies).flatten(1)
        x = torch.cat([states, goals, angles.sin(), angles.cos()], dim=-1)
        for layer in self.hidden:
            x = functional.silu(layer(x))
        return functional.softplus(self.read_out(x)).cumsum(-1)

    def median_s(self, state: np.ndarray, goal: np.ndarray, normalizer: Normalizer) -> float:
        """Return the median of the seconds from a state (S,) to a position (P,)."""
        mean, std = normalizer.state_mean, normalizer.state_std
        size = self.position_size
        states = torch.tensor((state - mean) / std, dtype=torch.float32)[None]
        goals = torch.tensor((goal - mean[:size]) / std[:size], dtype=torch.float32)[None]
        with torch.inference_mode():
            return float(self(states, goals)[0, QUANTILES.index(0.5)])
