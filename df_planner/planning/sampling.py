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
Sampling: from what is known of trajectories to their tokens, in one window or sliding along.

A trajectory longer than the model was trained for is sampled window by window. The tokens that a
window shares with what is already there are pinned at level 0, and the rest of it is denoised. The
last window ends where the trajectory ends, so that whatever is pinned there, such as a goal, has
all of a window to be reached in; the first window is what is left, between the overlap and a whole
window.
"""

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from df_planner.diffusion.denoiser import Network
from df_planner.diffusion.guidance import Guidance
from df_planner.diffusion.guidance import Reward
from df_planner.diffusion.guidance import Term
from df_planner.diffusion.sampler import Cancelled
from df_planner.diffusion.sampler import Pins
from df_planner.diffusion.sampler import Sampler
from df_planner.errors import PlanningCancelled
from df_planner.errors import PlanningTimeout
from df_planner.planning.clock import Clock
from df_planner.planning.tokens import Known
from df_planner.planning.tokens import TokenSpace


@dataclass(frozen=True)
class Sampling:
    """
    Sample the trajectories of one request, under its deadline.

    :param schedule: gives the scheduling matrix (M + 1, n) of n tokens.
    :param generator: of the noise, on the CPU.
    :param temperature: standard deviation of the noise.
    :param clock: holds the deadline; counts candidates, network calls and seconds.
    :param should_stop: whether the caller cancelled; polled before each network call.
    """

    network: Network
    space: TokenSpace
    schedule: Callable[[int], Tensor]
    generator: torch.Generator
    temperature: float
    clock: Clock
    guidance: Guidance | None = None
    should_stop: Callable[[], bool] = lambda: False

    def draw(self, known: Known, wide: bool = False) -> np.ndarray:
        """
        Return tokens (N, T, C) in physical units.

        :param wide: use noise of a standard deviation of at least 1, that of training.
        :raises PlanningCancelled: if ``should_stop`` returned True.
        :raises PlanningTimeout: if the next step would end after the deadline.
        """
        self.clock.candidates += len(known.lengths)
        temperature = max(self.temperature, 1.0) if wide else self.temperature
        noise = temperature * torch.randn(known.shape, generator=self.generator)
        noise = noise.to(self.space.device)
        sampler = Sampler(self.network, self.space.noise, self.guidance,
                          lambda: self.should_stop() or self.clock.is_over(), self._watch)
        try:
            tokens = slide(sampler, noise, self.schedule, known.pins(noise),
                           torch.tensor(known.lengths, device=self.space.device),
                           self.space.max_tokens)
        except Cancelled:
            if self.should_stop():
                raise PlanningCancelled('planning was cancelled') from None
            raise PlanningTimeout(
                f'deadline_ms of {self.clock.deadline_s * 1e3:g} exceeded') from None
        return known.restored(self.space.physical(tokens))

    @contextmanager
    def _watch(self, work: str) -> Iterator[None]:
        """Count work of the sampler, and wait for a GPU to finish it."""
        self.clock.network_calls += work == 'network'
        with self.clock.spending(work):
            yield
            if self.space.mean.is_cuda:
                torch.cuda.synchronize(self.space.device)


def slide(sampler: Sampler, x: Tensor, schedule: Callable[[int], Tensor], pins: Pins,
          lengths: Tensor, window: int) -> Tensor:
    """
    Return normalised clean tokens (B, T, C) for any T, as ``Sampler.sample`` for T <= window.

    Guidance rewards a trajectory from its first token to the end of the window.

    :param x: (B, T, C) standard normal noise.
    :param schedule: gives the scheduling matrix (M + 1, n) of a window of n tokens.
    :param pins: what is known of all T tokens.
    :param lengths: (B,) real tokens of each trajectory.
    :param window: the most tokens that are denoised together; two windows share half of them.
    """
    if x.shape[1] <= window:
        return sampler.sample(x, schedule(x.shape[1]), pins, lengths)
    stride = window - window // 2
    windows_left = ((lengths - window).clamp(min=0) + stride - 1) // stride
    ends = lengths - windows_left * stride
    first = torch.arange(int(ends.max()), device=x.device).expand(len(x), -1)
    pins = _fill(sampler, x, schedule, pins, first, ends)
    while bool((ends < lengths).any()):
        rows = (ends < lengths).nonzero()[:, 0]
        ends[rows] += stride
        index = ends[rows, None] - window + torch.arange(window, device=x.device)
        part = Pins(pins.values[rows], pins.levels[rows])
        part = _fill(sampler, x[rows], schedule, part, index, ends[rows])
        pins.values[rows], pins.levels[rows] = part.values, part.levels
    return pins.values


def _fill(sampler: Sampler, x: Tensor, schedule: Callable[[int], Tensor], pins: Pins,
          index: Tensor, ends: Tensor) -> Pins:
    """
    Denoise one window and return the pins (B, T, ...) with its tokens pinned at level 0.

    :param index: (B, n) the tokens of the window.
    :param ends: (B,) tokens of the trajectory up to the end of the window; later ones are padding.
    """
    if sampler.guidance is not None:
        sampler = replace(sampler, guidance=_over_all(sampler.guidance, pins.values, index, ends))
    tokens = sampler.sample(_take(x, index), schedule(index.shape[1]),
                            Pins(_take(pins.values, index), _take(pins.levels, index)),
                            ends - index[:, 0])
    filled = torch.arange(x.shape[1], device=x.device) < ends[:, None]
    return Pins(torch.where(filled[..., None], _put(pins.values, index, tokens), pins.values),
                pins.levels.masked_fill(filled[..., None], 0))


def _over_all(guidance: Guidance, values: Tensor, index: Tensor, ends: Tensor) -> Guidance:
    """Return guidance of the window whose rewards see the tokens before it too."""
    size = int(ends.max())
    before = values[:, :size] * guidance.std + guidance.mean
    real = torch.arange(size, device=values.device) < ends[:, None]

    def over_all(term: Reward) -> Reward:
        return lambda tokens, _: term(_put(before, index, tokens), real)

    return replace(guidance, terms={
        name: Term(over_all(term.reward), term.weight) for name, term in guidance.terms.items()})


def _take(values: Tensor, index: Tensor) -> Tensor:
    """Return the tokens (B, n, C) at index (B, n) of values (B, T, C)."""
    return values.gather(1, index[..., None].expand(-1, -1, values.shape[-1]))


def _put(values: Tensor, index: Tensor, tokens: Tensor) -> Tensor:
    """Return values (B, T, C) with tokens (B, n, C) at index (B, n)."""
    return values.scatter(1, index[..., None].expand(-1, -1, values.shape[-1]), tokens)
