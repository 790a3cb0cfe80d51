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

"""The sampler, against the closed-form denoiser of a Gaussian and against plain DDIM."""

import pytest
import torch

from df_planner.diffusion.guidance import Guidance
from df_planner.diffusion.guidance import Term
from df_planner.diffusion.noise import NoiseSchedule
from df_planner.diffusion.sampler import Cancelled
from df_planner.diffusion.sampler import Pins
from df_planner.diffusion.sampler import Sampler
from df_planner.diffusion.schedule import SCHEDULES
from df_planner.diffusion.schedule import scheduling_matrix

NUM_LEVELS = 200


class GaussianDenoiser:
    """The exact denoiser of independent N(0, std^2) data, by Bayes' rule."""

    part_sizes = (1, 2)

    def __init__(self, noise, std):
        self.noise, self.std, self.calls = noise, std, 0

    def per_channel(self, levels):
        return levels[..., torch.tensor([0, 1, 1])]

    def __call__(self, x, levels, lengths=None):
        self.calls += 1
        level = self.per_channel(levels)
        alpha, sigma = self.noise.alpha(level), self.noise.sigma(level)
        x0 = alpha * self.std**2 / (alpha**2 * self.std**2 + sigma**2) * x
        eps = (x - alpha * x0) / sigma.clamp(min=1e-9)
        return self.noise.velocity(x0, eps, level)


@pytest.fixture
def noise():
    return NoiseSchedule(NUM_LEVELS)


@pytest.fixture
def denoiser(noise):
    return GaussianDenoiser(noise, std=0.3)


def ddim(denoiser, noise, x, levels):
    """Plain DDIM (Song et al., 2021, equation 12, eta 0) with one level for all, written anew."""
    for now, then in zip(levels[:-1], levels[1:]):
        a, s = noise.alpha(now), noise.sigma(now)
        v = denoiser(x, now.expand(*x.shape[:2], 2))
        x0, eps = a * x - s * v, s * x + a * v
        x = noise.alpha(then) * x0 + noise.sigma(then) * eps
    return x


def test_equals_plain_ddim_without_guidance(denoiser, noise):
    x = torch.randn(4, 6, 3)
    matrix = scheduling_matrix('full_sequence', 6, 10, NUM_LEVELS)
    expected = ddim(denoiser, noise, x, matrix[:, 0])
    assert torch.allclose(Sampler(denoiser, noise).sample(x, matrix), expected, atol=1e-6)
    no_force = Guidance({'any': Term(lambda x, real: x.sum((1, 2)), 1.0)}, 0.0, torch.zeros(3),
                        torch.ones(3))
    assert torch.equal(Sampler(denoiser, noise, no_force).sample(x, matrix),
                       Sampler(denoiser, noise).sample(x, matrix))


@pytest.mark.parametrize('schedule', SCHEDULES)
def test_samples_have_the_distribution_of_the_data(denoiser, noise, schedule):
    torch.manual_seed(0)
    matrix = scheduling_matrix(schedule, 5, 100, NUM_LEVELS)
    x = Sampler(denoiser, noise).sample(torch.randn(2000, 5, 3), matrix)
    assert x.std(0).mean() == pytest.approx(0.3, rel=0.05)


@pytest.mark.parametrize('schedule', SCHEDULES)
def test_pinned_parts_come_out_unchanged(denoiser, noise, schedule):
    values = torch.randn(3, 5, 3)
    levels = torch.where(torch.rand(3, 5, 2) < 0.4, 0, NUM_LEVELS)
    matrix = scheduling_matrix(schedule, 5, 4, NUM_LEVELS)
    x = Sampler(denoiser, noise).sample(torch.randn(3, 5, 3), matrix, Pins(values, levels))
    where = denoiser.per_channel(levels) == 0
    assert torch.equal(x[where], values[where])
    assert not torch.isclose(x[~where], values[~where]).any()


def test_a_noisy_observation_comes_out_filtered(denoiser, noise):
    truth = 0.3 * torch.randn(20000, 1, 3)
    observed = truth + 0.4 * torch.randn(20000, 1, 3)
    level = noise.level_of_noise(0.4)
    alpha = noise.alpha(torch.tensor(level))
    assert (noise.sigma(torch.tensor(level)) / alpha).item() == pytest.approx(0.4, abs=0.01)
    x = Sampler(denoiser, noise).sample(
        torch.randn(20000, 1, 3),
        scheduling_matrix('full_sequence', 1, NUM_LEVELS, NUM_LEVELS),
        Pins(alpha * observed, torch.full((20000, 1, 2), level)))
    # Samples of the probability flow have the posterior's gain in a Gaussian world, by symmetry
    # of the flow: x0 = alpha * y * std / sqrt(alpha^2 std^2 + sigma^2) at the level of y.
    gain = (x * observed).mean() / observed.square().mean()
    assert x.std() == pytest.approx(0.3, rel=0.02), 'the noise is gone'
    assert gain == pytest.approx(0.3 / (0.3**2 + 0.4**2) ** 0.5, abs=0.01)
    assert (x - truth).square().mean() < (observed - truth).square().mean()


def test_what_is_known_with_noise_skips_the_rows_above_its_level(denoiser, noise):
    matrix = scheduling_matrix('full_sequence', 5, 8, NUM_LEVELS)
    level = NUM_LEVELS // 2
    start = torch.randn(2, 5, 3)
    x = Sampler(denoiser, noise).sample(
        torch.randn(2, 5, 3), matrix, Pins(start, torch.full((2, 5, 2), level)))
    assert denoiser.calls == 4
    assert torch.allclose(x, ddim(denoiser, noise, start, matrix[4:, 0]), atol=1e-6)


def test_padding_stays_pure_noise(denoiser, noise):
    start = torch.randn(2, 6, 3)
    matrix = scheduling_matrix('full_sequence', 6, 4, NUM_LEVELS)
    x = Sampler(denoiser, noise).sample(start, matrix, lengths=torch.tensor([6, 3]))
    assert torch.equal(x[1, 3:], start[1, 3:])
    assert not torch.isclose(x[1, :3], start[1, :3]).any()


def test_a_token_the_schedule_has_not_reached_is_not_touched(denoiser, noise):
    start = torch.randn(1, 3, 3)
    matrix = scheduling_matrix('autoregressive', 3, 2, NUM_LEVELS)[:3]  # only token 0 is done
    x = Sampler(denoiser, noise).sample(start, matrix)
    assert torch.equal(x[:, 1:], start[:, 1:])
    assert not torch.isclose(x[:, 0], start[:, 0]).any()


def test_one_network_call_per_row(denoiser, noise):
    matrix = scheduling_matrix('pyramid', 5, 4, NUM_LEVELS)
    Sampler(denoiser, noise).sample(torch.randn(1, 5, 3), matrix)
    assert denoiser.calls == len(matrix) - 1


def test_can_be_cancelled_between_calls(denoiser, noise):
    matrix = scheduling_matrix('full_sequence', 5, 8, NUM_LEVELS)
    with pytest.raises(Cancelled):
        Sampler(denoiser, noise, should_stop=lambda: denoiser.calls == 3).sample(
            torch.randn(1, 5, 3), matrix)
    assert denoiser.calls == 3


def test_a_wrong_matrix_is_refused(denoiser, noise):
    with pytest.raises(ValueError, match='shape'):
        Sampler(denoiser, noise).sample(
            torch.randn(1, 5, 3), scheduling_matrix('pyramid', 4, 4, NUM_LEVELS))
