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

"""The objective: how levels are drawn, what carries loss, and learning a toy distribution."""

import pytest
import torch

from df_planner.diffusion.networks import TransformerDenoiser
from df_planner.diffusion.noise import NoiseSchedule
from df_planner.diffusion.objective import diffusion_loss
from df_planner.diffusion.objective import level_sampler
from df_planner.diffusion.objective import LevelSampler
from df_planner.diffusion.objective import TeacherForcing
from df_planner.diffusion.sampler import Pins
from df_planner.diffusion.sampler import Sampler
from df_planner.diffusion.schedule import SCHEDULES
from df_planner.diffusion.schedule import scheduling_matrix

NUM_LEVELS = 50
LEVELS_OF_SEED_5 = [
    [[0, 0, 319], [289, 424, 501], [528, 410, 110]],
    [[0, 0, 287], [287, 287, 287], [287, 287, 287]],
    [[405, 975, 886], [675, 631, 986], [0, 235, 426]],
]


def test_independent_levels_differ_between_tokens():
    levels, carries_loss = LevelSampler(0.0, 0.0, 0.0)(4000, 6, 1, NUM_LEVELS)
    assert carries_loss.all()
    assert levels.min() == 1 and levels.max() == NUM_LEVELS
    tokens = levels[..., 0].double()
    correlation = torch.corrcoef(tokens.T) - torch.eye(6)
    assert correlation.abs().max() < 0.06
    assert tokens.mean() == pytest.approx((1 + NUM_LEVELS) / 2, rel=0.03)


def test_shared_level_is_full_sequence_diffusion():
    sampler = level_sampler('full_sequence', shared=0.5, pin_start=0.0, pin_end=0.0)
    levels, carries_loss = sampler(4000, 6, 3, NUM_LEVELS)
    assert (levels == levels[:, :1, :1]).all() and carries_loss.all()
    assert levels.min() == 1 and levels.max() == NUM_LEVELS
    assert levels.double().mean() == pytest.approx((1 + NUM_LEVELS) / 2, rel=0.03)


def test_a_seed_draws_the_levels_of_the_models_that_were_trained_with_it():
    generator = torch.Generator().manual_seed(5)
    sampler = level_sampler('diffusion_forcing', shared=0.5, pin_start=0.8, pin_end=0.6)
    levels, _ = sampler(3, 3, 3, 1000, generator)
    assert levels.tolist() == LEVELS_OF_SEED_5


@pytest.mark.parametrize('levels', ['diffusion_forcing', 'full_sequence'])
def test_pins_have_the_asked_shares(levels):
    sampler = level_sampler(levels, shared=0.5, pin_start=0.8, pin_end=0.25)
    levels, _ = sampler(5000, 4, 3, NUM_LEVELS)
    clean = (levels == 0).float().mean(0)
    assert clean[0].tolist() == pytest.approx([0.8, 0.8, 0.0], abs=0.03)
    assert clean[-1].tolist() == pytest.approx([0.25, 0.0, 0.0], abs=0.03)
    assert (clean[1:-1] == 0).all()


def test_teacher_forcing_trains_one_token_after_a_clean_past():
    tokens = 5
    levels, carries_loss = TeacherForcing(pin_end=0.0)(10000, tokens, 3, NUM_LEVELS)
    assert (carries_loss.sum(1) == 1).all()
    following = carries_loss.long().argmax(1)
    share = torch.bincount(following, minlength=tokens) / 10000
    assert share.tolist() == pytest.approx([1 / tokens] * tokens, abs=0.02)
    index = torch.arange(tokens)
    assert (levels[index < following[:, None]] == 0).all()
    assert (levels[index > following[:, None]] == NUM_LEVELS).all()
    noisy = levels[carries_loss][following > 0]
    assert (noisy == noisy[:, :1]).all(), 'all parts of a token at one level'
    assert noisy.min() == 1 and noisy.max() == NUM_LEVELS
    assert noisy.double().mean() == pytest.approx((1 + NUM_LEVELS) / 2, rel=0.03)
    first = levels[following == 0, 0]
    assert (first[:, :2] == 0).all() and (first[:, 2] > 0).all(), 'the state at the start is known'


def test_teacher_forcing_pins_the_end_whatever_the_next_token_is():
    levels, carries_loss = level_sampler('teacher_forcing', 0.5, 0.0, 0.4)(
        20000, 3, 3, NUM_LEVELS)
    for following in range(3):
        last = levels[carries_loss[:, following], -1] == 0
        assert last.float().mean(0).tolist() == pytest.approx([0.4, 0.0, 0.0], abs=0.02)


def test_tokens_can_be_left_without_loss():
    denoiser, noise = TransformerDenoiser((2,), 8, NUM_LEVELS, width=16, num_layers=1), \
        NoiseSchedule(NUM_LEVELS)
    levels = torch.full((2, 3, 1), NUM_LEVELS)
    x0 = torch.tensor([1.0, 2.0, 3.0])[None, :, None].repeat(2, 1, 2)
    carries_loss = torch.tensor([[True, False, False], [False, False, True]])
    # An untrained denoiser predicts 0 and the target at level K is -x0.
    assert diffusion_loss(denoiser, noise, x0, levels).item() == pytest.approx((1 + 4 + 9) / 3)
    assert diffusion_loss(denoiser, noise, x0, levels, carries_loss=carries_loss).item() \
        == pytest.approx((1 + 9) / 2)


def test_level_0_carries_no_loss():
    torch.manual_seed(0)
    denoiser, noise = TransformerDenoiser((2, 3), 8, NUM_LEVELS, width=16, num_layers=1), \
        NoiseSchedule(NUM_LEVELS)
    x0 = torch.randn(4, 5, 5)
    assert diffusion_loss(denoiser, noise, x0, torch.zeros(4, 5, 2, dtype=torch.long)) == 0.0


def test_parts_weigh_the_same_whatever_their_size():
    torch.manual_seed(0)
    denoiser, noise = TransformerDenoiser((1, 99), 8, NUM_LEVELS, width=16, num_layers=1), \
        NoiseSchedule(NUM_LEVELS)
    levels = torch.full((64, 8, 2), NUM_LEVELS)
    x0 = torch.cat([3.0 * torch.randn(64, 8, 1), torch.zeros(64, 8, 99)], -1)
    # An untrained denoiser predicts 0 and the target at level K is -x0: 9 for one part, 0 for
    # the other.
    assert diffusion_loss(denoiser, noise, x0, levels).item() == pytest.approx(4.5, rel=0.15)


@pytest.fixture(scope='module')
def toy():
    """Train on sequences of four equal signs: x = +1 or -1 throughout, plus a little noise."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    noise = NoiseSchedule(NUM_LEVELS)
    denoiser = TransformerDenoiser((1,), 4, NUM_LEVELS, width=32, num_layers=2)
    optimizer = torch.optim.Adam(denoiser.parameters(), 3e-3)
    sampler = LevelSampler(shared=0.3, pin_start=0.0, pin_end=0.0)
    losses = []
    for _ in range(500):
        x0 = torch.randn(128, 1, 1).sign() + 0.05 * torch.randn(128, 4, 1)
        levels, _ = sampler(128, 4, 1, NUM_LEVELS)
        levels[torch.rand(128) < 0.3, 0] = 0
        loss = diffusion_loss(denoiser, noise, x0, levels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return denoiser.eval().requires_grad_(False), noise, losses


def test_the_loss_falls_on_a_toy_sequence(toy):
    _, _, losses = toy
    assert sum(losses[-50:]) < 0.4 * sum(losses[:10]) * 5


@pytest.mark.parametrize('schedule', SCHEDULES)
def test_samples_match_the_toy_distribution_under_every_schedule(toy, schedule):
    denoiser, noise, _ = toy
    torch.manual_seed(1)
    matrix = scheduling_matrix(schedule, 4, 10, NUM_LEVELS)
    x = Sampler(denoiser, noise).sample(torch.randn(400, 4, 1), matrix)[..., 0]
    assert (x.sign() == x[:, :1].sign()).all(1).float().mean() > 0.97, 'tokens must agree'
    assert (x.abs() - 1).abs().mean() < 0.12
    assert (x[:, 0] > 0).float().mean() == pytest.approx(0.5, abs=0.12), 'both modes, evenly'


def test_a_pinned_token_decides_the_others(toy):
    denoiser, noise, _ = toy
    torch.manual_seed(2)
    values = torch.zeros(100, 4, 1)
    levels = torch.full((100, 4, 1), noise.num_levels)
    values[:50, 0], values[50:, 0], levels[:, 0] = 1.0, -1.0, 0
    matrix = scheduling_matrix('full_sequence', 4, 10, NUM_LEVELS)
    x = Sampler(denoiser, noise).sample(torch.randn(100, 4, 1), matrix, Pins(values, levels))
    assert (x.sign() == values[:, :1].sign()).float().mean() > 0.97
