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
The sampler: walk a scheduling matrix from pure noise to a clean trajectory.

Every step takes each token from its level in row m to its level in row m + 1 with the
deterministic DDIM rule (Song et al., 2021), so neighbours may move by different amounts or not at
all (Chen et al., 2024, algorithm 2).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from df_planner.diffusion.denoiser import Denoiser
from df_planner.diffusion.denoiser import Pullback
from df_planner.diffusion.guidance import EVERY_REWARD
from df_planner.diffusion.guidance import Guidance
from df_planner.diffusion.noise import NoiseSchedule
from df_planner.diffusion.schedule import check_schedule


class Cancelled(Exception):
    """The caller stopped the sampler between two network calls."""


@dataclass(frozen=True)
class Pins:
    """
    What is known: conditioning is a matter of noise level.

    A part enters at its level and is denoised from there, once the schedule has come down to it:
    level 0 is known exactly and stays as it is, ``num_levels`` is unknown. In between lie a noisy
    observation, which enters as alpha(level) times what was observed at the level that matches its
    noise (``NoiseSchedule.level_of_noise``) and comes out filtered, and an earlier plan that was
    noised again, which comes out adapted (warm start).

    :param values: (B, T, C) normalised tokens at their levels; unknown parts are not read.
    :param levels: (B, T, P) integer levels.
    """

    values: Tensor
    levels: Tensor


@torch.no_grad()
def sample(denoiser: Denoiser, noise: NoiseSchedule, x: Tensor, schedule: Tensor,
           pins: Pins | None = None, lengths: Tensor | None = None,
           guidance: Guidance | None = None,
           should_stop: Callable[[], bool] = lambda: False) -> Tensor:
    """
    Return normalised tokens (B, T, C) at the levels of the schedule's last row, which are clean.

    Parts that are pinned at level 0 come out as they went in. Rows that move nothing cost nothing.

    :param x: (B, T, C) standard normal noise; it decides the sample, nothing else is random.
    :param schedule: (M + 1, T) scheduling matrix.
    :param lengths: (B,) real tokens of each trajectory; the rest stays noise and is ignored.
    :param should_stop: polled before each network call.
    :raises Cancelled: if ``should_stop`` returned True.
    :raises ValueError: if the scheduling matrix does not fit.
    """
    batch, tokens, _ = x.shape
    check_schedule(schedule, tokens, noise.num_levels)
    unknown = torch.full((batch, tokens, len(denoiser.part_sizes)), noise.num_levels,
                         device=x.device)
    known = unknown if pins is None else pins.levels
    if pins is not None:
        x = torch.where(denoiser.per_channel(known) < noise.num_levels, pins.values, x)
    index = torch.arange(tokens, device=x.device)
    real = torch.ones((batch, tokens), dtype=torch.bool, device=x.device) if lengths is None \
        else index < lengths[:, None]

    def part_levels(row: Tensor) -> Tensor:
        levels = torch.where(real, row.to(x.device), noise.num_levels)
        return torch.minimum(levels[..., None], known)

    now = part_levels(schedule[0])
    for row in schedule[1:]:
        then = part_levels(row)
        if torch.equal(then, now):
            continue
        if should_stop():
            raise Cancelled
        x = _step(denoiser, noise, x, now, then, lengths, real, guidance)
        now = then
    return x


def _step(denoiser: Denoiser, noise: NoiseSchedule, x: Tensor, now: Tensor, then: Tensor,
          lengths: Tensor | None, real: Tensor, guidance: Guidance | None) -> Tensor:
    """Take x (B, T, C) from levels ``now`` to levels ``then`` (B, T, P)."""
    level, next_level = denoiser.per_channel(now), denoiser.per_channel(then)
    steered = None if guidance is None else guidance.steered(level, next_level) & real[..., None]
    if steered is None or not bool(steered.any()):
        x0, eps = noise.split(x, denoiser(x, now, lengths), level)
    elif guidance.worth == EVERY_REWARD:
        x0, eps = _guided(denoiser, noise, x, now, then, lengths, real, guidance)
    else:
        x0, eps = noise.split(x, denoiser(x, now, lengths), level)
        rows = guidance.worth_it(x0, real)
        if bool(rows.any()):
            x0[rows], eps[rows] = _guided(
                denoiser, noise, x[rows], now[rows], then[rows],
                None if lengths is None else lengths[rows], real[rows], guidance)
    return torch.where(next_level < level, noise.add_noise(x0, eps, next_level), x)


def _guided(denoiser: Denoiser, noise: NoiseSchedule, x: Tensor, now: Tensor, then: Tensor,
            lengths: Tensor | None, real: Tensor, guidance: Guidance) -> tuple[Tensor, Tensor]:
    """Return x0 and eps (B, T, C) of x, with x0 steered where the row moves a token."""
    level, next_level = denoiser.per_channel(now), denoiser.per_channel(then)
    alpha, sigma = noise.alpha(level), noise.sigma(level)

    def estimate(x: Tensor) -> tuple[Tensor, Pullback]:
        v, pullback = denoiser.with_pullback(x, now, lengths)
        return alpha * x - sigma * v, lambda by_x0: alpha * by_x0 - pullback(sigma * by_x0)

    x0, pullback = estimate(x)
    gradient = guidance.expected_gradient(
        x, x0, pullback, alpha, sigma, real, _tail(level, next_level) & real[..., None], estimate)
    steered = guidance.steered(level, next_level) & real[..., None]
    x0 = torch.where(steered, guidance.steer(x0, gradient, alpha, sigma), x0)
    return x0, (x - alpha * x0) / sigma.clamp(min=1e-6)


def _tail(level: Tensor, next_level: Tensor) -> Tensor:
    """Return what is noisier than the least noisy token that moves: (B, T, C) bool."""
    moving = torch.where(next_level < level, level, level.max() + 1)
    return level > moving.amin((1, 2), keepdim=True)
