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

"""Sampling: from what is known of trajectories to their tokens."""

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from df_planner.diffusion.denoiser import Network
from df_planner.diffusion.guidance import Guidance
from df_planner.diffusion.sampler import Cancelled
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

        :param wide: use noise of a standard deviation of at least 1, that of training, and
            guidance that only saves near misses, too: nothing was valid without.
        :raises PlanningCancelled: if ``should_stop`` returned True.
        :raises PlanningTimeout: if the next step would end after the deadline.
        """
        self.clock.candidates += len(known.lengths)
        temperature = max(self.temperature, 1.0) if wide else self.temperature
        noise = temperature * torch.randn(known.shape, generator=self.generator)
        noise = noise.to(self.space.device)
        is_off = not wide and self.guidance is not None and self.guidance.only_saves
        guidance = None if is_off else self.guidance
        sampler = Sampler(self.network, self.space.noise, guidance,
                          lambda: self.should_stop() or self.clock.is_over(), self._watch)
        try:
            tokens = sampler.sample(noise, self.schedule(noise.shape[1]), known.pins(),
                                    torch.tensor(known.lengths, device=self.space.device))
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
