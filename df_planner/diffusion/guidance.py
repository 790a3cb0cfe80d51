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
Reward guidance: the gradient of a plan's reward steers its tokens while they are denoised.

A reward is a sum of named terms, each a differentiable function of the denoised trajectory in
physical units (Chen et al., 2024, section 3.3, after Janner et al., 2022). Rewards are per plan
and summed over the batch before differentiation, so the scale means the same for one plan and for
many.

**Monte Carlo Guidance** (Chen et al., 2024, section 3.3). While near tokens are denoised ahead of
far ones, the reward of a plan hangs on a future that is still noise, and its gradient is a sample.
It is averaged over n samples of that future:

    g = 1/n * sum_i grad R(x0(x_i)),   x_i = x on the near tokens,
                                       x_i = alpha * x0(x) + sigma * eps_i on the tail,

with independent standard normal eps_i, x_1 = x, and the gradient taken with respect to x_i. The
tail are the tokens noisier than the least noisy token that the row moves. Where it is still pure
noise (alpha = 0) the draw is exact, elsewhere it re-noises the present clean estimate. A
``full_sequence`` row has no tail, so there n changes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
import math
import sys
from typing import NamedTuple

import torch
from torch import Tensor

# reward(tokens (B, T, C) in physical units, real (B, T) bool) -> (B,), one reward per plan
Reward = Callable[[Tensor, Tensor], Tensor]

# Below this share of signal the clean estimate says too little to be steered further per step.
MIN_ALPHA = 0.1


class Worth(NamedTuple):
    """
    Which plans are worth the gradient of a term: it costs several calls of the network.

    A plan above ``up_to`` is good enough already, one at or below ``above`` is not saved by it.
    """

    above: float
    up_to: float

    def __call__(self, reward: Tensor) -> Tensor:
        """Return which plans are steered, bool, by their rewards (B,) before weighting."""
        return (reward > self.above) & (reward <= self.up_to)


class Term(NamedTuple):
    """A reward, its weight, and which plans are worth its gradient; None means all."""

    reward: Reward
    weight: float
    worth: Worth | None = None


@dataclass(frozen=True)
class Guidance:
    """
    A weighted sum of reward terms and how strongly it steers.

    :param terms: by name.
    :param scale: guidance scale; 0 leaves the samples as they are.
    :param mean: (C,) and ``std`` (C,): physical = normalised * std + mean.
    :param samples: futures that the gradient is averaged over, 1 = no Monte Carlo Guidance.
    :param generator: of the noise of those futures, on the CPU; None takes torch's own.
    :param interval: levels (above, up to) at which tokens are steered. Guidance within an interval
        of noise levels does as well as everywhere, at a fraction of the cost (Kynkäänniemi et
        al., 2024); a row that moves no token from within it costs one call of the network.
    """

    terms: dict[str, Term]
    scale: float
    mean: Tensor
    std: Tensor
    samples: int = 1
    generator: torch.Generator | None = None
    interval: tuple[int, int] = (0, sys.maxsize)

    def reward(self, x0: Tensor, real: Tensor) -> Tensor:
        """Return the reward of normalised clean tokens: (B, T, C) in, (B,) out."""
        return self.physical_reward(x0 * self.std + self.mean, real)

    def physical_reward(self, tokens: Tensor, real: Tensor) -> Tensor:
        """Return the reward of tokens in physical units: (B, T, C) in, (B,) out."""
        return sum(term.weight * term.reward(tokens, real) for term in self.terms.values())

    def gradient(self, x0: Tensor, real: Tensor) -> Tensor:
        """Differentiate the rewards by normalised clean tokens: (B, T, C) in and out."""
        with torch.enable_grad():
            x0 = x0.detach().requires_grad_()
            return torch.autograd.grad(self.reward(x0, real).sum(), x0)[0]

    def expected_gradient(self, x: Tensor, alpha: Tensor, sigma: Tensor, tail: Tensor,
                          gradient_at: Callable[[Tensor], tuple[Tensor, Tensor]]
                          ) -> tuple[Tensor, Tensor]:
        """
        Return x0 and the gradient by x, averaged over sampled futures (see the module).

        :param tail: (B, T, C) bool, the future that is sampled.
        :param gradient_at: gives x0 and the gradient of other tokens at the levels of ``x``.
        """
        x0, gradient = gradient_at(x)
        if self.samples == 1 or not bool(tail.any()):
            return x0, gradient
        for _ in range(self.samples - 1):
            noise = torch.randn(x.shape, generator=self.generator).to(x.device)
            future = alpha * x0 + sigma * noise
            gradient = gradient + gradient_at(torch.where(tail, future, x))[1]
        return x0, gradient / self.samples

    def acts_at(self, level: Tensor) -> Tensor:
        """Return where tokens of these levels are steered: bool, of the same shape."""
        above, up_to = self.interval
        return (level > above) & (level <= up_to) & (self.scale != 0.0)

    @property
    def only_saves(self) -> bool:
        """Whether all terms are worth their gradient for near misses only."""
        return all(term.worth is not None and term.worth.above > -math.inf
                   for term in self.terms.values())

    @property
    def steers_every_plan(self) -> bool:
        """Whether some term has a gradient for every plan."""
        return any(term.worth is None for term in self.terms.values())

    def worth_it(self, x0: Tensor, real: Tensor) -> Tensor:
        """Return for which plans some term is worth its gradient, by x0: (B,) bool."""
        tokens = x0 * self.std + self.mean
        return torch.stack([term.worth(term.reward(tokens, real))
                            for term in self.terms.values()]).any(0)

    def steer(self, x0: Tensor, gradient: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """
        Return x0 moved along the gradient of the reward by x.

        The noise estimate moves by -sigma * scale * gradient (Dhariwal and Nichol, 2021), written
        for x0.
        """
        return x0 + self.scale * sigma.square() / alpha.clamp(min=MIN_ALPHA) * gradient
