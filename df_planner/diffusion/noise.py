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
Noise levels: how much of the signal is left at each level.

A level k is an integer in 0..K. Level 0 is clean, level K is pure noise. A noised value is
``alpha[k] * x0 + sigma[k] * eps`` with ``alpha**2 + sigma**2 == 1`` (variance preserving). Every
token of a trajectory, and every part of a token, may sit at its own level (Chen et al., 2024,
section 3.1).
"""

import math

import torch
from torch import Tensor


class NoiseSchedule:
    """
    The cosine schedule (Nichol and Dhariwal, 2021) over levels 0..K, without an offset.

    The signal angle grows linearly with the level, so that level 0 is exactly clean and level K
    exactly pure noise; pinned and unknown tokens need both ends to be exact.
    """

    def __init__(self, num_levels: int = 1000, device: torch.device | str = 'cpu'):
        if num_levels < 1:
            raise ValueError(f'num_levels must be 1 or more, got {num_levels}')
        self.num_levels = num_levels
        angle = torch.linspace(0.0, math.pi / 2, num_levels + 1, dtype=torch.float64)
        alpha, sigma = torch.cos(angle), torch.sin(angle)
        alpha[-1], sigma[-1] = 0.0, 1.0
        self._alpha = alpha.float().to(device)
        self._sigma = sigma.float().to(device)

    def alpha(self, level: Tensor) -> Tensor:
        """Return the share of signal at integer levels (any shape)."""
        return self._alpha[level]

    def sigma(self, level: Tensor) -> Tensor:
        """Return the share of noise at integer levels (any shape)."""
        return self._sigma[level]

    def level_of_noise(self, std: float) -> int:
        """Return the level that noise of ``std`` on a value amounts to: sigma / alpha = std."""
        return round(self.num_levels * math.atan(std) / (math.pi / 2))

    def add_noise(self, x0: Tensor, eps: Tensor, level: Tensor) -> Tensor:
        """Return x at ``level``; all three arguments broadcast to one shape."""
        return self.alpha(level) * x0 + self.sigma(level) * eps

    def velocity(self, x0: Tensor, eps: Tensor, level: Tensor) -> Tensor:
        """Return the v-prediction target alpha * eps - sigma * x0 (Salimans and Ho, 2022)."""
        return self.alpha(level) * eps - self.sigma(level) * x0

    def split(self, x: Tensor, v: Tensor, level: Tensor) -> tuple[Tensor, Tensor]:
        """Return the clean value and the noise (x0, eps) that x and a predicted v imply."""
        alpha, sigma = self.alpha(level), self.sigma(level)
        return alpha * x - sigma * v, sigma * x + alpha * v
