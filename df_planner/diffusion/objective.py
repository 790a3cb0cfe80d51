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
The training objective: noise every token to its own level, predict v, average the error.

Diffusion Forcing draws the levels of all tokens independently (Chen et al., 2024, algorithm 1).
Here a share of the trajectories gets one common level instead, which is what ``full_sequence``
sampling meets, and the ends are often pinned at level 0, which is what planning meets.

How levels are drawn is all that sets the classic baselines apart: one common level for all is
full-sequence diffusion (Janner et al., 2022), a clean past with one noisy token teacher forcing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from df_planner.diffusion.denoiser import Denoiser
from df_planner.diffusion.noise import NoiseSchedule

# (batch, tokens, parts, num_levels, generator) -> levels (batch, tokens, parts) and what carries
# loss, (batch, tokens) bool
DrawLevels = Callable[[int, int, int, int, torch.Generator | None], tuple[Tensor, Tensor]]
Levels = Literal['diffusion_forcing', 'full_sequence', 'teacher_forcing']


@dataclass(frozen=True)
class LevelSampler:
    """
    Draw the noise levels of training trajectories.

    :param shared: share of trajectories with one level for all tokens (1 = full-sequence
        diffusion); the others draw a level per token, and half of those a level per token and
        part.
    :param pin_start: share of trajectories whose first state is clean.
    :param pin_end: share of trajectories whose last position is clean.
    """

    shared: float = 0.5
    pin_start: float = 0.8
    pin_end: float = 0.6

    def __call__(self, batch: int, tokens: int, parts: int, num_levels: int,
                 generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return levels (batch, tokens, parts) and what carries loss, (batch, tokens) bool."""
        def uniform(*shape):
            return torch.rand(shape, generator=generator)

        def levels(*shape):
            # 1..K: level 0 carries no loss, so it is only ever given by a pin.
            return torch.randint(1, num_levels + 1, shape, generator=generator)

        kind = uniform(batch, 1, 1)
        is_shared, is_per_token = kind < self.shared, kind < (1.0 + self.shared) / 2
        per_token, per_part = levels(batch, tokens, 1), levels(batch, tokens, parts)
        result = torch.where(is_shared, levels(batch, 1, 1),
                             torch.where(is_per_token, per_token, per_part))
        _pin(result, uniform(batch) < self.pin_start, uniform(batch) < self.pin_end)
        return result, torch.ones((batch, tokens), dtype=torch.bool)


@dataclass(frozen=True)
class TeacherForcing:
    """
    Draw levels that train the next token alone: a clean past, one noisy token, an unknown future.

    The next token is any of the trajectory's. The first has no past, and the state it starts from
    is always known.

    :param pin_end: share of trajectories whose last position is clean.
    """

    pin_end: float = 0.6

    def __call__(self, batch: int, tokens: int, parts: int, num_levels: int,
                 generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return levels (batch, tokens, parts) and what carries loss, (batch, tokens) bool."""
        index = torch.arange(tokens)
        following = torch.randint(0, tokens, (batch, 1), generator=generator)
        level = torch.randint(1, num_levels + 1, (batch, 1), generator=generator)
        per_token = torch.where(index == following, level, num_levels).where(index >= following, 0)
        result = per_token[..., None].repeat(1, 1, parts)
        _pin(result, torch.ones(batch, dtype=torch.bool),
             torch.rand(batch, generator=generator) < self.pin_end)
        return result, index == following


def _pin(levels: Tensor, start: Tensor, end: Tensor) -> None:
    """Make the first state, all parts but the actions, or the last position of rows (B,) clean."""
    levels[start, 0, :-1] = 0
    levels[end, -1, 0] = 0


def follow_routes(levels: Tensor, route_level: Tensor, num_levels: int, pin_start: float,
                  pin_end: float, generator: torch.Generator | None = None) -> None:
    """
    Write the levels of trajectories whose positions a route tells.

    Velocities and actions have one level, unknown in half of them.

    :param levels: (B, T, P), in place.
    :param route_level: (B,) of the positions; 0 leaves a trajectory as it is.
    :param pin_start: and ``pin_end``: shares as of ``LevelSampler``.
    """
    batch = len(levels)
    rows = (route_level > 0).nonzero()[:, 0]
    unknown = torch.rand(batch, generator=generator) < 0.5
    others = torch.randint(1, num_levels + 1, (batch,), generator=generator)
    others = torch.where(unknown, num_levels, others)
    result = others[:, None, None].expand_as(levels).clone()
    result[..., 0] = route_level[:, None]
    _pin(result, torch.rand(batch, generator=generator) < pin_start,
         torch.rand(batch, generator=generator) < pin_end)
    levels[rows] = result[rows]


def _error_of(route: Tensor, follows: Tensor, positions: Tensor, noise: NoiseSchedule,
              level: Tensor) -> Tensor:
    """Return as noise of a level what routes are off the positions, 0 for those not followed."""
    error = (noise.alpha(level) / noise.sigma(level).clamp(min=1e-3)) * (route - positions)
    return torch.where(follows[:, None, None] & (level > 0), error, 0.0)


def level_sampler(levels: Levels, shared: float, pin_start: float,
                  pin_end: float) -> LevelSampler | TeacherForcing:
    """Return the sampler of levels by name; ``shared`` applies to diffusion forcing only."""
    if levels == 'teacher_forcing':
        return TeacherForcing(pin_end)
    return LevelSampler(1.0 if levels == 'full_sequence' else shared, pin_start, pin_end)


def diffusion_loss(denoiser: Denoiser, noise: NoiseSchedule, x0: Tensor, levels: Tensor,
                   generator: torch.Generator | None = None,
                   carries_loss: Tensor | None = None, share: slice = slice(None),
                   route: tuple[Tensor, Tensor] | None = None) -> Tensor:
    """
    Return the scalar training loss of a batch, or what a share of it contributes.

    The error of v, uniform over levels, weighs the error of x0 by SNR + 1 (Salimans and Ho, 2022).
    It is averaged within a part first, so that a part with many channels (the stacked actions)
    does not drown the others. Level 0 has no noise to predict and carries no loss.

    The averages are over the noised tokens of the whole batch, so the losses of all shares add up
    to the loss of the batch, and so do their gradients.

    :param x0: (b, T, C) clean normalised tokens, those of the share.
    :param levels: (B, T, P) integer levels of the whole batch.
    :param generator: draws the noise of the whole batch.
    :param carries_loss: (B, T) bool; None means all tokens.
    :param share: the rows of the batch that ``x0`` is.
    """
    eps = torch.randn((len(levels), *x0.shape[1:]), generator=generator)[share].to(x0.device)
    noised = levels > 0
    if carries_loss is not None:
        noised = noised & carries_loss[..., None]
    per_channel = levels[share][..., denoiser.part_of_channel]
    if route is not None:
        eps[..., :2] += _error_of(route[0], route[1], x0[..., :2], noise, per_channel[..., :2])
    x = noise.add_noise(x0, eps, per_channel)
    velocity = noise.velocity(x0, eps, per_channel)
    error = (denoiser(x, levels[share]) - velocity).square()
    losses = []
    for part, part_error in enumerate(error.split(denoiser.part_sizes, dim=-1)):
        weight = noised[..., part].to(error.dtype)
        losses.append((part_error.mean(-1) * weight[share]).sum() / weight.sum().clamp(min=1.0))
    return torch.stack(losses).mean()
