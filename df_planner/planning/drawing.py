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

"""Drawing: one sampler for all candidates of one request."""

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field

import numpy as np
import torch
from torch import Tensor

from df_planner.diffusion.denoiser import Denoiser
from df_planner.diffusion.denoiser import Pullback
from df_planner.diffusion.guidance import Guidance
from df_planner.diffusion.sampler import Cancelled
from df_planner.errors import PlanningCancelled
from df_planner.planning.clock import Clock
from df_planner.planning.sliding import sample_sliding
from df_planner.planning.tokens import Known
from df_planner.planning.tokens import TokenSpace


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
