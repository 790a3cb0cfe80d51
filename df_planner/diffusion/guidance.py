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
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# reward(tokens (B, T, C) in physical units, real (B, T) bool) -> (B,), one reward per plan
Reward = Callable[[Tensor, Tensor], Tensor]

# Below this share of signal the clean estimate says too little to be steered further per step.
MIN_ALPHA = 0.1


@dataclass(frozen=True)
class GoalDistance:
    """
    Minus the distance to the goal in metres, summed over all future tokens.

    Summing over all of them, rather than taking the last, makes every token want to be there: the
    plan arrives early and stays (Chen et al., 2024, section 4.2).

    :param goal: (2,) position.
    :param position: channels of the position within a token.
    """

    goal: Tensor
    position: tuple[int, ...] = (0, 1)
    smoothing_m: float = 1e-3

    def __call__(self, tokens: Tensor, real: Tensor) -> Tensor:
        """Return (B,); the first token is the present and does not count."""
        offset = tokens[:, 1:, list(self.position)] - self.goal
        # The smoothing keeps the gradient finite exactly at the goal.
        distance = (offset.square().sum(-1) + self.smoothing_m ** 2).sqrt()
        return -(distance * real[:, 1:]).sum(-1)


@dataclass(frozen=True)
class Guidance:
    """
    A weighted sum of reward terms and how strongly it steers.

    :param terms: reward and weight by name.
    :param scale: guidance scale; 0 leaves the samples as they are.
    :param mean: (C,) and ``std`` (C,): physical = normalised * std + mean.
    """

    terms: dict[str, tuple[Reward, float]]
    scale: float
    mean: Tensor
    std: Tensor

    def reward(self, x0: Tensor, real: Tensor) -> Tensor:
        """Return the reward of normalised clean tokens: (B, T, C) in, (B,) out."""
        tokens = x0 * self.std + self.mean
        return sum(weight * term(tokens, real) for term, weight in self.terms.values())

    def steer(self, x: Tensor, x0: Tensor, alpha: Tensor, sigma: Tensor, real: Tensor) -> Tensor:
        """
        Return x0 moved along the reward gradient with respect to x.

        ``x0`` must have been computed from ``x`` with gradients on. The noise estimate moves by
        -sigma * scale * gradient (Dhariwal and Nichol, 2021), written for x0.
        """
        gradient, = torch.autograd.grad(self.reward(x0, real).sum(), x)
        return x0.detach() + self.scale * sigma.square() / alpha.clamp(min=MIN_ALPHA) * gradient
