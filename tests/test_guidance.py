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

from df_planner.diffusion.denoiser import Denoiser
from df_planner.diffusion.guidance import Guidance
from df_planner.diffusion.guidance import Term
from df_planner.diffusion.guidance import Worth
from df_planner.diffusion.noise import NoiseSchedule
from df_planner.diffusion.sampler import Sampler
from df_planner.diffusion.schedule import scheduling_matrix

NUM_LEVELS = 200


class StandardNormalDenoiser:
    """The exact denoiser of independent N(0, 1) data: x0 = alpha * x."""

    part_sizes = (2, 2)
    with_pullback = Denoiser.with_pullback

    def __init__(self, noise):
        self.noise = noise

    def per_channel(self, levels):
        return levels[..., torch.tensor([0, 0, 1, 1])]

    def __call__(self, x, levels, lengths=None):
        return 0.0 * x


@pytest.fixture
def noise():
    return NoiseSchedule(NUM_LEVELS)


def linear_guidance(direction, scale):
    term = Term(lambda tokens, real: (tokens * direction).sum((1, 2)), 1.0)
    return Guidance({'linear': term}, scale, torch.zeros(4), torch.ones(4))


def distance_guidance(goal, scale, weight=1.0, mean=(0.0,) * 4, std=(1.0,) * 4, worth=None,
                      **more):
    """Return guidance by minus the summed distance of the real tokens' first two channels."""
    def reward(tokens, real):
        return -((tokens[..., :2] - torch.tensor(goal)).norm(dim=-1) * real).sum(-1)
    return Guidance({'goal': Term(reward, weight, worth)}, scale, torch.tensor(mean),
                    torch.tensor(std), **more)


def test_shifts_a_gaussian_towards_the_reward(noise):
    # p(x) exp(scale * <d, x>) of a standard normal is a normal with mean scale * d.
    torch.manual_seed(0)
    direction = torch.tensor([1.0, 0.0, -0.5, 0.0])
    matrix = scheduling_matrix('full_sequence', 3, 100, NUM_LEVELS)
    x = Sampler(StandardNormalDenoiser(noise), noise, linear_guidance(direction, 0.4)).sample(
        torch.randn(4000, 3, 4), matrix)
    mean = x.mean((0, 1))
    assert mean[1].abs() < 0.05 and mean[3].abs() < 0.05
    assert mean[0] == pytest.approx(-2.0 * mean[2].item(), abs=0.05)
    assert mean[0] == pytest.approx(0.4, rel=0.35)
    assert x.std(0).mean() == pytest.approx(1.0, rel=0.05)


def test_strength_does_not_depend_on_the_batch(noise):
    denoiser = StandardNormalDenoiser(noise)
    matrix = scheduling_matrix('pyramid', 3, 5, NUM_LEVELS)
    goal = distance_guidance([2.0, 1.0], 0.5)
    start = torch.randn(16, 3, 4)
    together = Sampler(denoiser, noise, goal).sample(start, matrix)
    alone = torch.cat([Sampler(denoiser, noise, goal).sample(s[None], matrix) for s in start])
    assert torch.allclose(together, alone, atol=1e-5)


def test_rewards_act_in_physical_units():
    guidance = distance_guidance([10.0, 0.0], 1.0, weight=2.0, mean=[10.0, 0.0, 0.0, 0.0],
                                 std=[5.0, 5.0, 1.0, 1.0])
    x0 = torch.zeros(1, 2, 4)
    x0[0, 1, 1] = 1.0  # 5 m from the goal
    reward = guidance.reward(x0, torch.ones(1, 2, dtype=torch.bool))
    assert reward.item() == pytest.approx(-10.0, abs=1e-3)
    assert guidance.physical_reward(torch.tensor([[[10.0, 5.0, 0.0, 0.0]]]),
                                    torch.ones(1, 1, dtype=torch.bool)).item() == -10.0


def test_guided_plans_end_nearer_to_the_goal(noise):
    torch.manual_seed(0)
    matrix = scheduling_matrix('full_sequence', 4, 20, NUM_LEVELS)
    start, goal = torch.randn(200, 4, 4), [1.5, -1.0]
    distances = []
    for scale in (0.0, 0.5, 2.0):
        guidance = distance_guidance(goal, scale)
        x = Sampler(StandardNormalDenoiser(noise), noise, guidance).sample(start, matrix)
        distances.append((x[:, :, :2] - torch.tensor(goal)).norm(dim=-1).mean().item())
        assert torch.isfinite(x).all()
    assert distances[0] > 1.2 * distances[1] > 1.2 * distances[2]


def test_padding_does_not_change_the_strength(noise):
    matrix = scheduling_matrix('pyramid', 5, 5, NUM_LEVELS)
    start = torch.randn(3, 5, 4)
    guidance = distance_guidance([2.0, 1.0], 0.5)
    denoiser = StandardNormalDenoiser(noise)
    padded = Sampler(denoiser, noise, guidance).sample(
        start, matrix, lengths=torch.tensor([3, 3, 3]))
    short = Sampler(denoiser, noise, guidance).sample(
        start[:, :3], scheduling_matrix('pyramid', 3, 5, NUM_LEVELS))
    assert torch.allclose(padded[:, :3], short, atol=1e-5)


class MixingDenoiser(StandardNormalDenoiser):
    """Clean estimates that depend on all tokens: their mean over the trajectory."""

    def __call__(self, x, levels, lengths=None):
        level = self.per_channel(levels)
        alpha, sigma = self.noise.alpha(level), self.noise.sigma(level)
        x0 = x.mean(1, keepdim=True).expand_as(x)
        return (alpha * x - x0) / sigma.clamp(min=1e-6)


def cubic(tokens, real):
    return (tokens**3).sum((1, 2)) / 3


def front_gradients(noise, samples, repeats=4000):
    """Return gradients (repeats, C) on the first of 4 tokens whose future is still noise."""
    torch.manual_seed(1)
    denoiser = MixingDenoiser(noise)
    levels = torch.tensor([NUM_LEVELS // 2] + [NUM_LEVELS] * 3)[None, :, None]
    levels = levels.expand(repeats, 4, 2)
    level = denoiser.per_channel(levels)
    alpha, sigma = noise.alpha(level), noise.sigma(level)
    real = torch.ones(repeats, 4, dtype=torch.bool)
    x = torch.randn(repeats, 4, 4)
    x[:, 0] = 0.4

    def gradient_at(noised):
        v, pullback = denoiser.with_pullback(noised, levels)
        x0 = alpha * noised - sigma * v
        gradient = guidance.gradient(x0, real)
        return x0, alpha * gradient - pullback(sigma * gradient)

    guidance = Guidance({'cubic': Term(cubic, 1.0)}, 1.0, torch.zeros(4), torch.ones(4), samples,
                        torch.Generator().manual_seed(2))
    tail = level > level[:, :1]
    return guidance.expected_gradient(x, alpha, sigma, tail, gradient_at)[1][:, 0]


def test_monte_carlo_guidance_keeps_the_mean_and_divides_the_variance(noise):
    # x0 of every token is the mean m of all, the reward sum m^3 / 3 * 4 tokens, its gradient m^2;
    # m = 0.1 + N(0, 3 / 16), so E m^2 = 0.01 + 3 / 16.
    variances = {}
    for samples in (1, 4, 16):
        gradients = front_gradients(noise, samples)
        assert gradients.mean().item() == pytest.approx(0.01 + 3 / 16, rel=0.05)
        variances[samples] = gradients.var(0).mean().item()
    assert variances[4] == pytest.approx(variances[1] / 4, rel=0.15)
    assert variances[16] == pytest.approx(variances[1] / 16, rel=0.15)


@pytest.mark.parametrize(('schedule', 'more_calls'), [('full_sequence', False), ('pyramid', True)])
def test_monte_carlo_guidance_draws_where_there_is_a_future_to_draw(noise, schedule, more_calls):
    calls = []

    class Counting(StandardNormalDenoiser):

        def __call__(self, x, levels, lengths=None):
            calls.append(len(x))
            return super().__call__(x, levels)

    matrix = scheduling_matrix(schedule, 4, 5, NUM_LEVELS)
    guidance = distance_guidance([2.0, 1.0], 0.5, samples=3)
    lengths = torch.tensor([4, 3])  # padding is noise, but no future
    Sampler(Counting(noise), noise, guidance).sample(torch.randn(2, 4, 4), matrix, lengths=lengths)
    rows = len(matrix) - 1
    assert (len(calls) > rows) == more_calls and len(calls) <= 3 * rows


def test_monte_carlo_guidance_is_repeatable_with_a_generator(noise):
    matrix, x = scheduling_matrix('pyramid', 4, 5, NUM_LEVELS), torch.randn(2, 4, 4)

    def once(seed):
        guidance = distance_guidance([2.0, 1.0], 2.0, samples=4,
                                     generator=torch.Generator().manual_seed(seed))
        return Sampler(MixingDenoiser(noise), noise, guidance).sample(x, matrix)
    assert torch.equal(once(0), once(0))
    assert not torch.equal(once(0), once(1))


def test_only_plans_that_are_worth_it_are_steered(noise):
    denoiser = StandardNormalDenoiser(noise)
    steered = []

    def with_pullback(x, levels, lengths=None):
        steered.append((len(x), lengths.tolist()))
        return Denoiser.with_pullback(denoiser, x, levels, lengths)
    denoiser.with_pullback = with_pullback
    torch.manual_seed(3)
    x, lengths = torch.randn(6, 4, 4), torch.tensor([4, 3, 4, 2, 4, 4])
    matrix = torch.tensor([[NUM_LEVELS] * 4, [60] * 4, [0] * 4])
    everyone = distance_guidance([1.0, 0.0], 0.3, interval=(0, 60))

    def sampled(guidance):
        return Sampler(denoiser, noise, guidance).sample(x, matrix, lengths=lengths)
    plain, guided = sampled(None), sampled(everyone)
    assert [len(numbers) for _, numbers in steered] == [6]
    # The clean estimate at the guided row: v = 0, so x0 = alpha * x there.
    real = torch.arange(4) < lengths[:, None]
    rewards = everyone.reward(noise.alpha(torch.tensor(60)) * noise_at_60(noise, x), real)
    above, up_to = rewards.sort().values[[1, 4]].tolist()
    chosen = (rewards > above) & (rewards <= up_to)
    some = sampled(distance_guidance([1.0, 0.0], 0.3, interval=(0, 60), worth=Worth(above, up_to)))
    assert steered[-1] == (3, lengths[chosen].tolist())
    assert torch.allclose(some, torch.where(chosen[:, None, None], guided, plain), atol=1e-6)
    assert (guided - plain).abs().amax((1, 2)).min() > 1e-3
    none = sampled(distance_guidance([1.0, 0.0], 0.3, interval=(0, 60), worth=Worth(1.0, 2.0)))
    assert torch.allclose(none, plain, atol=1e-6) and len(steered) == 2


def noise_at_60(noise, x):
    """Return where an unguided step from pure noise with v = 0 leads."""
    level = torch.full_like(x, NUM_LEVELS, dtype=torch.long)
    return noise.add_noise(*noise.split(x, torch.zeros_like(x), level),
                           torch.full_like(x, 60, dtype=torch.long))
