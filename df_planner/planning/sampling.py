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
Sampling of candidates: from what is known to tokens, in one window or sliding along.

Sliding: trajectories longer than the model was trained for.

A window as long as the model was trained for slides along the trajectory. The tokens that it
shares with what is already there are pinned at level 0, and the rest of it is denoised. The last
window of a trajectory ends where the trajectory ends, so that whatever is pinned there, such as a
goal, has all of a window to be reached in; the first window is what is left, between the overlap
and a whole window.

Drawing: one sampler for all candidates of one request.
"""

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from df_planner.diffusion.denoiser import Denoiser
from df_planner.diffusion.denoiser import Pullback
from df_planner.diffusion.guidance import EVERY_REWARD
from df_planner.diffusion.guidance import Guidance
from df_planner.diffusion.guidance import Reward
from df_planner.diffusion.noise import NoiseSchedule
from df_planner.diffusion.sampler import Cancelled
from df_planner.diffusion.sampler import Pins
from df_planner.diffusion.sampler import sample
from df_planner.errors import PlanningCancelled
from df_planner.planning.clock import Clock
from df_planner.planning.tokens import Known
from df_planner.planning.tokens import TokenSpace


def sample_sliding(denoiser: Denoiser, noise: NoiseSchedule, x: Tensor,
                   schedule: Callable[[int], Tensor], pins: Pins, lengths: Tensor, window: int,
                   overlap: int | None = None, guidance: Guidance | None = None,
                   should_stop: Callable[[], bool] = lambda: False) -> Tensor:
    """
    Return normalised clean tokens (B, T, C) for any T, as ``sample`` does for T <= window.

    :param x: (B, T, C) standard normal noise.
    :param schedule: gives the scheduling matrix (M + 1, n) of a window of n tokens.
    :param pins: what is known of all T tokens.
    :param lengths: (B,) real tokens of each trajectory.
    :param window: the most tokens that are denoised together.
    :param overlap: tokens that a window shares with what is there, 1 or more; default: half.
    :param guidance: its reward is that of the trajectory from its first token on to the end of
        the window.
    """
    if x.shape[1] <= window:
        return sample(denoiser, noise, x, schedule(x.shape[1]), pins, lengths, guidance,
                      should_stop)
    overlap = window // 2 if overlap is None else overlap
    stride = window - overlap
    windows_left = ((lengths - window).clamp(min=0) + stride - 1) // stride
    ends = lengths - windows_left * stride
    first = torch.arange(int(ends.max()), device=x.device).expand(len(x), -1)
    pins = _fill(denoiser, noise, x, schedule, pins, first, ends, guidance, should_stop)
    while bool((ends < lengths).any()):
        rows = (ends < lengths).nonzero()[:, 0]
        ends[rows] += stride
        index = ends[rows, None] - window + torch.arange(window, device=x.device)
        part = Pins(pins.values[rows], pins.levels[rows])
        part = _fill(denoiser, noise, x[rows], schedule, part, index, ends[rows], guidance,
                     should_stop)
        pins.values[rows], pins.levels[rows] = part.values, part.levels
    return pins.values


def _fill(denoiser: Denoiser, noise: NoiseSchedule, x: Tensor, schedule: Callable[[int], Tensor],
          pins: Pins, index: Tensor, ends: Tensor, guidance: Guidance | None,
          should_stop: Callable[[], bool]) -> Pins:
    """
    Denoise one window and return the pins (B, T, ...) with its tokens pinned at level 0.

    :param index: (B, n) the tokens of the window.
    :param ends: (B,) tokens of the trajectory up to the end of the window; what lies beyond is
        padding.
    """
    tokens = sample(
        denoiser, noise, _take(x, index), schedule(index.shape[1]),
        Pins(_take(pins.values, index), _take(pins.levels, index)), ends - index[:, 0],
        guidance and _over_all(guidance, pins.values, index, ends), should_stop)
    filled = torch.arange(x.shape[1], device=x.device) < ends[:, None]
    return Pins(torch.where(filled[..., None], _put(pins.values, index, tokens), pins.values),
                pins.levels.masked_fill(filled[..., None], 0))


def _over_all(guidance: Guidance, values: Tensor, index: Tensor, ends: Tensor) -> Guidance:
    """Return guidance of every plan's window; the rewards see the tokens before it too."""
    size = int(ends.max())
    before = values[:, :size] * guidance.std + guidance.mean
    real = torch.arange(size, device=values.device) < ends[:, None]

    def over_all(term: Reward) -> Reward:
        return lambda tokens, _: term(_put(before, index, tokens), real)

    return replace(guidance, worth=EVERY_REWARD, terms={
        name: (over_all(term), weight) for name, (term, weight) in guidance.terms.items()})


def _take(values: Tensor, index: Tensor) -> Tensor:
    """Return the tokens (B, n, C) at index (B, n) of values (B, T, C)."""
    return values.gather(1, index[..., None].expand(-1, -1, values.shape[-1]))


def _put(values: Tensor, index: Tensor, tokens: Tensor) -> Tensor:
    """Return values (B, T, C) with tokens (B, n, C) at index (B, n)."""
    return values.scatter(1, index[..., None].expand(-1, -1, values.shape[-1]), tokens)


@dataclass
class Drawing:
    """
    Draw trajectories around what is known of them.

    :param schedule: gives the scheduling matrix (M + 1, n) of n tokens.
    :param generator: of the noise, on the CPU.
    :param temperature: standard deviation of the noise, but for what is drawn wide.
    :param should_stop: polled before each network call.
    :param clock: counts the calls of the network and the seconds of network and guidance.
    """

    denoiser: Denoiser
    space: TokenSpace
    schedule: Callable[[int], Tensor]
    generator: torch.Generator
    temperature: float
    guidance: Guidance | None
    should_stop: Callable[[], bool]
    clock: Clock = field(default_factory=Clock)

    def draw(self, known: Known, wide: bool = False) -> np.ndarray:
        """
        Return tokens (N, T, C) in physical units.

        :param wide: draw with a standard deviation of 1 at least.
        :raises PlanningCancelled: if told to stop.
        """
        self.clock.candidates += len(known.lengths)
        guidance = self.guidance and _TimedGuidance(**vars(self.guidance), clock=self.clock)
        temperature = max(self.temperature, 1.0) if wide else self.temperature
        noise = temperature * torch.randn(known.shape, generator=self.generator)
        noise = noise.to(self.space.device)
        try:
            tokens = sample_sliding(
                _Timed(self.denoiser, self.clock), self.space.noise, noise, self.schedule,
                known.pins(noise), torch.tensor(known.lengths, device=self.space.device),
                self.space.max_tokens, guidance=guidance, should_stop=self.should_stop)
        except Cancelled:
            raise PlanningCancelled('planning was cancelled between two network calls') from None
        return known.restored(self.space.physical(tokens))


class _Timed:
    """A network under the clock, as the sampler sees it."""

    def __init__(self, denoiser: Denoiser, clock: Clock):
        self.part_sizes = denoiser.part_sizes
        self.per_channel = denoiser.per_channel
        self._denoiser = denoiser
        self._clock = clock

    def __call__(self, x: Tensor, levels: Tensor, lengths: Tensor | None = None) -> Tensor:
        self._clock.network_calls += 1
        with self._clock.spending('network'):
            v = self._denoiser(x, levels, lengths)
            _wait_for(v)
        return v

    def with_pullback(self, x: Tensor, levels: Tensor, lengths: Tensor | None = None
                      ) -> tuple[Tensor, Pullback]:
        self._clock.network_calls += 1
        with self._clock.spending('network'):
            v, pullback = self._denoiser.with_pullback(x, levels, lengths)
            _wait_for(v)

        def timed(gradient: Tensor) -> Tensor:
            with self._clock.spending('guidance'):
                pulled = pullback(gradient)
                _wait_for(pulled)
            return pulled
        return v, timed


def _wait_for(tensor: Tensor) -> None:
    """Return when a GPU has computed a tensor, so that its time counts where it belongs."""
    if tensor.is_cuda:
        torch.cuda.synchronize(tensor.device)


@dataclass(frozen=True)
class _TimedGuidance(Guidance):
    """Guidance under the clock."""

    clock: Clock = field(default_factory=Clock)

    def gradient(self, x0: Tensor, real: Tensor) -> Tensor:
        with self.clock.spending('guidance'):
            return super().gradient(x0, real)

    def worth_it(self, x0: Tensor, real: Tensor) -> Tensor:
        with self.clock.spending('guidance'):
            return super().worth_it(x0, real)
