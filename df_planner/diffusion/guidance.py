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

import torch
from torch import Tensor

from df_planner.diffusion.denoiser import Pullback

# reward(tokens (B, T, C) in physical units, real (B, T) bool) -> (B,), one reward per plan
Reward = Callable[[Tensor, Tensor], Tensor]
Estimate = Callable[[Tensor], tuple[Tensor, Pullback]]

# Below this share of signal the clean estimate says too little to be steered further per step.
MIN_ALPHA = 0.1
EVERY_REWARD = (-math.inf, math.inf)


@dataclass(frozen=True)
class Guidance:
    """
    A weighted sum of reward terms and how strongly it steers.

    :param terms: reward and weight by name.
    :param scale: guidance scale; 0 leaves the samples as they are.
    :param mean: (C,) and ``std`` (C,): physical = normalised * std + mean.
    :param samples: futures that the gradient is averaged over, 1 = no Monte Carlo Guidance.
    :param generator: of the noise of those futures, on the CPU; None takes torch's own.
    :param interval: levels (above, up to) at which tokens are steered. Guidance within an interval
        of noise levels does as well as everywhere, at a fraction of the cost (Kynkäänniemi et
        al., 2024); a row that moves no token from within it costs one call of the network.
    :param worth: rewards (above, up to) of the plans that are steered, as they are estimated at a
        row: one that is good enough already needs no steering, one that is too bad is not saved by
        it. The gradient, which costs several calls of the network, is taken of the others only.
    """

    terms: dict[str, tuple[Reward, float]]
    scale: float
    mean: Tensor
    std: Tensor
    samples: int = 1
    generator: torch.Generator | None = None
    interval: tuple[int, int] = (0, sys.maxsize)
    worth: tuple[float, float] = EVERY_REWARD

    def reward(self, x0: Tensor, real: Tensor) -> Tensor:
        """Return the reward of normalised clean tokens: (B, T, C) in, (B,) out."""
        return self.physical_reward(x0 * self.std + self.mean, real)

    def physical_reward(self, tokens: Tensor, real: Tensor) -> Tensor:
        """Return the reward of tokens in physical units: (B, T, C) in, (B,) out."""
        return sum(weight * term(tokens, real) for term, weight in self.terms.values())

    def gradient(self, x0: Tensor, real: Tensor) -> Tensor:
        """Differentiate the rewards by normalised clean tokens: (B, T, C) in and out."""
        with torch.enable_grad():
            x0 = x0.detach().requires_grad_()
            return torch.autograd.grad(self.reward(x0, real).sum(), x0)[0]

    def expected_gradient(self, x: Tensor, x0: Tensor, pullback: Pullback, alpha: Tensor,
                          sigma: Tensor, real: Tensor, tail: Tensor, estimate: Estimate) -> Tensor:
        """
        Return the gradient by x (B, T, C), averaged over sampled futures (see the module).

        :param x0: (B, T, C) the clean estimate of ``x``, and the ``pullback`` from it to x.
        :param tail: (B, T, C) bool, what is drawn anew.
        :param estimate: gives x0 and pullback of other tokens at the levels of ``x``.
        """
        gradient = pullback(self.gradient(x0, real))
        if self.samples == 1 or not bool(tail.any()):
            return gradient
        for _ in range(self.samples - 1):
            noise = torch.randn(x.shape, generator=self.generator).to(x.device)
            future = alpha * x0 + sigma * noise
            drawn_x0, drawn_pullback = estimate(torch.where(tail, future, x))
            gradient = gradient + drawn_pullback(self.gradient(drawn_x0, real))
        return gradient / self.samples

    def steered(self, level: Tensor, next_level: Tensor) -> Tensor:
        """Return what is steered on the way from a level to the next: bool, of their shape."""
        above, up_to = self.interval
        inside = (level > above) & (level <= up_to) & (next_level < level)
        return inside & (self.scale != 0.0)

    def worth_it(self, x0: Tensor, real: Tensor) -> Tensor:
        """Return which plans are worth steering, by their clean estimates: (B,) bool."""
        above, up_to = self.worth
        reward = self.reward(x0, real)
        return (reward > above) & (reward <= up_to)

    def steer(self, x0: Tensor, gradient: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
        """
        Return x0 moved along the gradient of the reward by x.

        The noise estimate moves by -sigma * scale * gradient (Dhariwal and Nichol, 2021), written
        for x0.
        """
        return x0 + self.scale * sigma.square() / alpha.clamp(min=MIN_ALPHA) * gradient
