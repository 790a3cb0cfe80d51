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
from contextlib import AbstractContextManager
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from df_planner.diffusion.denoiser import Network
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


@dataclass(frozen=True)
class Sampler:
    """
    Denoise trajectories with a network.

    :param should_stop: polled before each step.
    :param watch: observes the work: it is entered with ``network`` or ``guidance`` around each
        piece of it.
    """

    network: Network
    noise: NoiseSchedule
    guidance: Guidance | None = None
    should_stop: Callable[[], bool] = lambda: False
    watch: Callable[[str], AbstractContextManager] = nullcontext

    @torch.no_grad()
    def sample(self, x: Tensor, schedule: Tensor, pins: Pins | None = None,
               lengths: Tensor | None = None) -> Tensor:
        """
        Return normalised tokens (B, T, C) at the levels of the schedule's last row: clean ones.

        Parts that are pinned at level 0 come out as they went in. A row that moves no token costs
        nothing.

        :param x: (B, T, C) standard normal noise; it decides the sample, nothing else is random.
        :param schedule: (M + 1, T) scheduling matrix.
        :param lengths: (B,) real tokens of each trajectory; the rest stays noise and is ignored.
        :raises Cancelled: if ``should_stop`` returned True.
        :raises ValueError: if the scheduling matrix does not fit.
        """
        batch, tokens, _ = x.shape
        unknown = self.noise.num_levels
        check_schedule(schedule, tokens, unknown)
        known = torch.full((batch, tokens, len(self.network.part_sizes)), unknown, device=x.device)
        if pins is not None:
            known = pins.levels
            x = torch.where(self.network.per_channel(known) < unknown, pins.values, x)
        real = _real(x, lengths)

        def part_levels(row: Tensor) -> Tensor:
            levels = torch.where(real, row.to(x.device), unknown)
            return torch.minimum(levels[..., None], known)

        now = part_levels(schedule[0])
        for row in schedule[1:]:
            then = part_levels(row)
            if torch.equal(then, now):
                continue
            if self.should_stop():
                raise Cancelled
            x = self.step(x, now, then, lengths)
            now = then
        return x

    def step(self, x: Tensor, now: Tensor, then: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Take x (B, T, C) from levels ``now`` to levels ``then`` (B, T, P)."""
        level, next_level = self.network.per_channel(now), self.network.per_channel(then)
        moved, real, guidance = next_level < level, _real(x, lengths), self.guidance
        steered = guidance and moved & real[..., None] & guidance.acts_at(level)
        if guidance is None or not bool(steered.any()):
            x0, eps = self._clean(x, now, level, lengths)
        elif guidance.steers_every_plan:
            x0, eps = self._guided(x, now, level, moved, steered, lengths)
        else:
            x0, eps = self._clean(x, now, level, lengths)
            with self.watch('guidance'):
                rows = guidance.worth_it(x0, real)
            if bool(rows.any()):
                x0[rows], eps[rows] = self._guided(
                    x[rows], now[rows], level[rows], moved[rows], steered[rows],
                    None if lengths is None else lengths[rows])
        return torch.where(moved, self.noise.add_noise(x0, eps, next_level), x)

    def _clean(self, x: Tensor, now: Tensor, level: Tensor, lengths: Tensor | None
               ) -> tuple[Tensor, Tensor]:
        """Return the clean estimate and the noise (x0, eps) of x, (B, T, C)."""
        with self.watch('network'):
            v = self.network(x, now, lengths)
        return self.noise.split(x, v, level)

    def _guided(self, x: Tensor, now: Tensor, level: Tensor, moved: Tensor, steered: Tensor,
                lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return (x0, eps) of x, with x0 moved along the reward where it is ``steered``."""
        alpha, sigma, real = self.noise.alpha(level), self.noise.sigma(level), _real(x, lengths)

        def gradient_at(x: Tensor) -> tuple[Tensor, Tensor]:
            with self.watch('network'):
                v, pullback = self.network.with_pullback(x, now, lengths)
            x0 = alpha * x - sigma * v
            with self.watch('guidance'):
                by_x0 = self.guidance.gradient(x0, real)
                return x0, alpha * by_x0 - pullback(sigma * by_x0)

        # The future: what is noisier than the least noisy token that moves.
        nearest = torch.where(moved, level, level.max() + 1).amin((1, 2), keepdim=True)
        future = (level > nearest) & real[..., None]
        x0, gradient = self.guidance.expected_gradient(x, alpha, sigma, future, gradient_at)
        x0 = torch.where(steered, self.guidance.steer(x0, gradient, alpha, sigma), x0)
        return x0, (x - alpha * x0) / sigma.clamp(min=1e-6)


def _real(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Return which tokens of x (B, T, C) are real: (B, T) bool."""
    if lengths is None:
        return torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
    return torch.arange(x.shape[1], device=x.device) < lengths[:, None]
