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

"""Reward guidance: exact where theory gives the answer, and the same for one plan as for many."""

import pytest
import torch

from df_planner.diffusion.guidance import GoalDistance
from df_planner.diffusion.guidance import Guidance
from df_planner.diffusion.noise import NoiseSchedule
from df_planner.diffusion.sampler import sample
from df_planner.diffusion.schedule import scheduling_matrix

NUM_LEVELS = 200


class StandardNormalDenoiser:
    """The exact denoiser of independent N(0, 1) data: x0 = alpha * x."""

    part_sizes = (2, 2)

    def __init__(self, noise):
        self.noise = noise

    def per_channel(self, levels):
        return levels[..., torch.tensor([0, 0, 1, 1])]

    def __call__(self, x, levels, lengths=None):
        return torch.zeros_like(x)


@pytest.fixture
def noise():
    return NoiseSchedule(NUM_LEVELS)


def linear_guidance(direction, scale):
    term = (lambda tokens, real: (tokens * direction).sum((1, 2)), 1.0)
    return Guidance({'linear': term}, scale, torch.zeros(4), torch.ones(4))


def test_shifts_a_gaussian_towards_the_reward(noise):
    # p(x) exp(scale * <d, x>) of a standard normal is a normal with mean scale * d.
    torch.manual_seed(0)
    direction = torch.tensor([1.0, 0.0, -0.5, 0.0])
    matrix = scheduling_matrix('full_sequence', 3, 100, NUM_LEVELS)
    x = sample(StandardNormalDenoiser(noise), noise, torch.randn(4000, 3, 4), matrix,
               guidance=linear_guidance(direction, 0.4))
    mean = x.mean((0, 1))
    assert mean[1].abs() < 0.05 and mean[3].abs() < 0.05
    assert mean[0] == pytest.approx(-2.0 * mean[2].item(), abs=0.05)
    assert mean[0] == pytest.approx(0.4, rel=0.35)
    assert x.std(0).mean() == pytest.approx(1.0, rel=0.05)


def test_strength_does_not_depend_on_the_batch(noise):
    denoiser = StandardNormalDenoiser(noise)
    matrix = scheduling_matrix('pyramid', 3, 5, NUM_LEVELS)
    goal = Guidance({'goal': (GoalDistance(torch.tensor([2.0, 1.0])), 1.0)}, 0.5,
                    torch.zeros(4), torch.ones(4))
    start = torch.randn(16, 3, 4)
    together = sample(denoiser, noise, start, matrix, guidance=goal)
    alone = torch.cat([sample(denoiser, noise, s[None], matrix, guidance=goal) for s in start])
    assert torch.allclose(together, alone, atol=1e-5)


def test_goal_distance_is_the_sum_over_future_real_tokens_in_metres():
    tokens = torch.zeros(2, 4, 4)
    tokens[:, :, 0] = torch.tensor([9.0, 3.0, 3.0, 7.0])
    real = torch.tensor([[True] * 4, [True, True, True, False]])
    reward = GoalDistance(torch.tensor([0.0, 4.0]))(tokens, real)
    far = (7.0**2 + 4.0**2) ** 0.5
    assert reward.tolist() == pytest.approx([-(5.0 + 5.0 + far), -10.0], abs=1e-3)


def test_the_gradient_is_finite_exactly_at_the_goal():
    tokens = torch.ones(1, 3, 4, requires_grad=True)
    reward = GoalDistance(torch.tensor([1.0, 1.0]))(tokens, torch.ones(1, 3, dtype=torch.bool))
    gradient, = torch.autograd.grad(reward.sum(), tokens)
    assert torch.isfinite(gradient).all()


def test_rewards_act_in_physical_units():
    guidance = Guidance({'goal': (GoalDistance(torch.tensor([10.0, 0.0])), 2.0)}, 1.0,
                        torch.tensor([10.0, 0.0, 0.0, 0.0]), torch.tensor([5.0, 5.0, 1.0, 1.0]))
    x0 = torch.zeros(1, 2, 4)
    x0[0, 1, 1] = 1.0  # 5 m from the goal
    reward = guidance.reward(x0, torch.ones(1, 2, dtype=torch.bool))
    assert reward.item() == pytest.approx(-10.0, abs=1e-3)


def test_guided_plans_end_nearer_to_the_goal(noise):
    torch.manual_seed(0)
    matrix = scheduling_matrix('full_sequence', 4, 20, NUM_LEVELS)
    start, goal = torch.randn(200, 4, 4), torch.tensor([1.5, -1.0])
    distances = []
    for scale in (0.0, 0.5, 2.0):
        guidance = Guidance({'goal': (GoalDistance(goal), 1.0)}, scale, torch.zeros(4),
                            torch.ones(4))
        x = sample(StandardNormalDenoiser(noise), noise, start, matrix, guidance=guidance)
        distances.append((x[:, 1:, :2] - goal).norm(dim=-1).mean().item())
        assert torch.isfinite(x).all()
    assert distances[0] > 1.2 * distances[1] > 1.2 * distances[2]
