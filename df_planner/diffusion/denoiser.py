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
What every denoising network is: it is told the noise level of every part of every token.

A token is split into parts (for a robot: position, velocity, actions). The network sees the noised
tokens with their levels and predicts v for all of them (see ``noise.py``). The networks themselves
are in ``networks.py``.
"""

from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Iterable
import math
from typing import Protocol

import torch
from torch import nn
from torch import Tensor

Pullback = Callable[[Tensor], Tensor]

LEVEL_FREQUENCIES = 8


class Network(Protocol):
    """What the sampler calls: a ``Denoiser``, or one that a backend evaluates."""

    part_sizes: tuple[int, ...]
    max_tokens: int

    def per_channel(self, levels: Tensor) -> Tensor:
        """Spread levels of parts (B, T, P) over the channels (B, T, C)."""

    def __call__(self, x: Tensor, levels: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return v (B, T, C); see ``Denoiser.forward``."""

    def with_pullback(self, x: Tensor, levels: Tensor, lengths: Tensor | None = None
                      ) -> tuple[Tensor, Pullback]:
        """Return v, and the function that turns a gradient by v into the gradient by x."""

    def prepare(self, batch_sizes: Iterable[int]) -> None:
        """Compile for batches of these sizes now rather than at their first call."""


class Denoiser(nn.Module, ABC):
    """
    The interface of the networks, and the way into them: tokens embedded with their levels.

    :param part_sizes: channels of each part of a token, for example (2, 2, 20).
    :param max_tokens: the longest trajectory.
    :param num_levels: the level of pure noise.
    :param width: features of an embedded token.
    """

    def __init__(self, part_sizes: tuple[int, ...], max_tokens: int, num_levels: int, width: int):
        super().__init__()
        self.part_sizes = tuple(part_sizes)
        self.max_tokens = max_tokens
        self.num_levels = num_levels
        level_features = 2 * LEVEL_FREQUENCIES * len(part_sizes)
        self.embed = nn.Linear(sum(part_sizes) + level_features, width)
        self.register_buffer('part_of_channel', torch.repeat_interleave(
            torch.arange(len(part_sizes)), torch.tensor(part_sizes)), persistent=False)
        self.register_buffer('frequencies', math.pi / 2 * 2.0 ** torch.arange(
            LEVEL_FREQUENCIES), persistent=False)

    def per_channel(self, levels: Tensor) -> Tensor:
        """Spread levels of parts (B, T, P) over the channels (B, T, C)."""
        return levels[..., self.part_of_channel]

    def embedded(self, x: Tensor, levels: Tensor) -> Tensor:
        """Return every token with its levels, (B, T, W), from (B, T, C) and (B, T, P)."""
        angle = (levels / self.num_levels)[..., None] * self.frequencies
        features = torch.cat([angle.sin(), angle.cos()], dim=-1).flatten(2)
        return self.embed(torch.cat([x, features], dim=-1))

    @abstractmethod
    def forward(self, x: Tensor, levels: Tensor, lengths: Tensor | None = None) -> Tensor:
        """
        Return v (B, T, C).

        :param x: (B, T, C) noised tokens, each part at its level.
        :param levels: (B, T, P) integer levels.
        :param lengths: (B,) tokens that are real; later ones are padding, which changes nothing.
            None means all T.
        """

    def with_pullback(self, x: Tensor, levels: Tensor, lengths: Tensor | None = None
                      ) -> tuple[Tensor, Pullback]:
        """Return v, and the function that turns a gradient by v into the gradient by x."""
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            v = self(x, levels, lengths)
        return v.detach(), lambda gradient: torch.autograd.grad(v, x, gradient)[0]

    def prepare(self, batch_sizes: Iterable[int]) -> None:
        """Do nothing: torch compiles nothing."""


def zero_linear(inputs: int, outputs: int) -> nn.Linear:
    """Return a linear layer that starts at zero: an untrained network predicts 0."""
    layer = nn.Linear(inputs, outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
