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

"""Sliding: roll-outs and plans that are longer than the model was trained for."""

import numpy as np
import pytest
import torch
from torch import nn

from df_planner import Planner
from df_planner.diffusion.denoiser import Denoiser
from df_planner.diffusion.guidance import Guidance
from df_planner.diffusion.guidance import Term
from df_planner.diffusion.noise import NoiseSchedule
from df_planner.diffusion.sampler import Pins
from df_planner.diffusion.sampler import Sampler
from df_planner.diffusion.schedule import scheduling_matrix
from df_planner.errors import GoalOccupied
from df_planner.errors import InvalidInput
from df_planner.errors import NoValidPlan
from df_planner.planning.sampling import slide
from df_planner.planning.settings import PlannerSettings

START, GOAL = np.array([3.0, 1.0, 0.0, 0.0]), np.array([1.0, 1.0])
LEVELS = 100
NOISE = NoiseSchedule(LEVELS)


class Recorder(nn.Module):
    """A small network that keeps what it was asked."""

    with_pullback = Denoiser.with_pullback

    def __init__(self):
        super().__init__()
        self.part_sizes = (2, 2, 4)
        self.mix = nn.Conv1d(8, 8, 5, padding=2)
        self.asked = []

    def per_channel(self, levels):
        return levels[..., [0, 0, 1, 1, 2, 2, 2, 2]]

    def forward(self, x, levels, lengths=None):
        self.asked.append((x.detach().clone(), levels, lengths))
        return self.mix(x.transpose(1, 2)).transpose(1, 2)


@pytest.fixture
def denoiser():
    """Return a network of random weights, always the same ones."""
    torch.manual_seed(0)
    return Recorder().eval()


def schedule(num_tokens):
    return scheduling_matrix('full_sequence', num_tokens, 4, LEVELS)


def slid(denoiser, num_tokens, lengths, pins=None, guidance=None):
    x = torch.randn(len(lengths), num_tokens, 8, generator=torch.Generator().manual_seed(0))
    if pins is None:
        pins = Pins(torch.zeros_like(x), torch.full((*x.shape[:2], 3), LEVELS))
    sampler = Sampler(denoiser, NOISE, guidance)
    return slide(sampler, x, schedule, pins, torch.tensor(lengths), 6), x, pins


@pytest.fixture(scope='module')
def shipped():
    """Return the shipped planner, which draws with the noise that it learnt from."""
    torch.set_num_threads(1)
    return Planner.load('maze2d-umaze', settings=PlannerSettings(temperature=1.0))


@pytest.fixture
def short_sighted(shipped):
    """Return the shipped network as if it had been trained for 8 tokens, 0.7 s."""
    architecture = shipped.card.architecture.model_copy(update={'max_tokens': 8})
    return Planner(shipped.network, shipped.card.model_copy(
        update={'architecture': architecture}), shipped.map)


def dynamics(planner, states):
    """Return velocity changes and drifts (N, T - 1) by their limits; states (N, H, 4)."""
    tokens, token_s = states[:, ::planner.card.frame_stack], 0.1
    before, after = tokens[:, :-1], tokens[:, 1:]
    mean_velocity = (after[..., 2:] + before[..., 2:]) / 2
    return np.concatenate([
        np.abs(after[..., 2:] - before[..., 2:]) / planner.card.statistics.velocity_change,
        np.abs(after[..., :2] - before[..., :2] - token_s * mean_velocity)
        / planner.card.statistics.drift], axis=-1).max(-1)


def test_what_fits_into_a_window_is_sampled_as_ever(denoiser):
    tokens, x, pins = slid(denoiser, 6, [6, 4])
    assert torch.equal(tokens, Sampler(denoiser, NOISE).sample(
        x, schedule(6), pins, torch.tensor([6, 4])))


def test_windows_overlap_and_each_starts_from_what_is_there(denoiser):
    tokens, _, _ = slid(denoiser, 11, [11])
    assert [x.shape[1] for x, _, _ in denoiser.asked] == [5] * 4 + [6] * 8
    for call, first in ((4, 2), (8, 5)):
        x, levels, _ = denoiser.asked[call]
        assert torch.equal(x[0, :3], tokens[0, first:first + 3])
        assert levels[0, :, 0].tolist() == [0] * 3 + [LEVELS] * 3
    assert bool(torch.isfinite(tokens).all())


def test_horizons_of_one_batch_end_each_in_a_window_of_its_own(denoiser):
    lengths = [3, 6, 7, 12]
    pins = Pins(torch.zeros(4, 12, 8), torch.full((4, 12, 3), LEVELS))
    for row, length in enumerate(lengths):
        pins.values[row, length - 1, :2] = 0.1 * length
        pins.levels[row, length - 1, 0] = 0
    tokens, _, _ = slid(denoiser, 12, lengths, pins)
    for row, length in enumerate(lengths):
        assert tokens[row, length - 1, :2].tolist() == pytest.approx([0.1 * length] * 2)
        assert bool((tokens[row, :length].abs().sum(-1) > 0).all())
    first_lengths = denoiser.asked[0][2].tolist()
    assert first_lengths == [3, 6, 4, 6], 'the last window of each is a whole one'


def test_the_rewards_of_a_window_see_the_way_there(denoiser):
    seen = []

    def reward(tokens, real):
        seen.append((tokens.detach().clone(), real))
        return (tokens[..., 0] * real).sum(-1)

    def guided(scale):
        guidance = Guidance({'r': Term(reward, 1.0)}, scale, torch.zeros(8), torch.ones(8))
        return slid(denoiser, 12, [12], guidance=guidance)[0]

    assert guided(5.0)[..., 0].mean() > guided(0.0)[..., 0].mean() + 0.1
    lengths = [tokens.shape[1] for tokens, _ in seen]
    assert lengths == [6] * 4 + [9] * 4 + [12] * 4
    assert torch.equal(seen[-1][0][0, :9], guided(5.0)[0, :9])


def test_a_roll_out_goes_on_for_as_long_as_asked(shipped):
    states, actions = shipped.rollout(START, 705, num_samples=8)
    assert states.shape == (8, 705, 4) and actions.shape == (8, 705, 2)
    assert np.array_equal(states[:, 0], np.tile(START, (8, 1)))
    assert np.abs(actions).max() <= 1.0
    assert (shipped.map.clearance(states[..., :2]) > 0.04).mean() > 0.9, 'it keeps to the maze'
    assert np.median(dynamics(shipped, states)) < 1.0, 'it moves as the robot moves'
    assert np.linalg.norm(states[:, 600:, 2:], axis=-1).mean() > 0.5, 'it does not die down'
    again, _ = shipped.rollout(START, 705, num_samples=8)
    other, _ = shipped.rollout(START, 705, num_samples=8, seed=1)
    assert np.array_equal(states, again) and not np.allclose(states, other)


def test_seams_between_windows_move_like_the_inside_of_windows(shipped):
    states, _ = shipped.rollout(START, 591, num_samples=8)  # 60 tokens: 24 and 3 times 12
    ratio = dynamics(shipped, states)
    seams = [23, 35, 47]
    assert np.median(ratio[:, seams]) < 2.0 * np.median(ratio)


@pytest.mark.parametrize('horizon', [1, 7, 30])
def test_a_roll_out_may_be_short(shipped, horizon):
    states, actions = shipped.rollout(START, horizon, num_samples=2)
    assert states.shape == (2, horizon, 4) and actions.shape == (2, horizon, 2)


def test_a_roll_out_to_a_goal_ends_there(shipped):
    states, _ = shipped.rollout(START, 301, num_samples=4, goal=GOAL)
    assert states[:, -1, :2] == pytest.approx(np.tile(GOAL, (4, 1)))


def test_guidance_draws_a_roll_out_all_the_way(shipped):
    distances = []
    for scale in (0.0, 6.0):
        shipped.settings = PlannerSettings(
            pin_goal=False, guidance_scale=scale, guide_goal=1.0, guidance_from=1.0,
            guidance_to=0.0)
        states, _ = shipped.rollout(START, 401, num_samples=16, goal=GOAL)
        distances.append(np.linalg.norm(states[..., :2] - GOAL, axis=-1)[:, 250:].mean())
    shipped.settings = PlannerSettings()
    assert distances[1] < 0.7 * distances[0]


def test_bad_roll_outs_are_refused(shipped):
    with pytest.raises(InvalidInput, match='horizon must be 1 or more, got 0'):
        shipped.rollout(START, 0)
    with pytest.raises(GoalOccupied):
        shipped.rollout(START, 100, goal=[2.0, 1.0])


def test_a_plan_may_be_longer_than_the_model_was_trained_for(short_sighted):
    with pytest.raises(NoValidPlan):
        short_sighted.plan(START, GOAL)
    for plan in (short_sighted.plan(START, GOAL, horizon=250),
                 short_sighted.plan(START, GOAL, horizon=250, seed=1)):
        assert plan.valid and len(plan) > 80
        assert np.array_equal(plan.states[0], START)
        assert np.array_equal(plan.states[-1, :2], GOAL)


@pytest.mark.parametrize('settings', [
    {'guidance_scale': 0.3},
    {'guidance_scale': 0.1, 'schedule': 'pyramid', 'guidance_samples': 2, 'sampling_steps': 4},
    {'select_by': 'reward', 'num_samples': 16},
])
def test_the_setting_slides_with_every_kind_of_guidance(short_sighted, settings):
    short_sighted.settings = PlannerSettings(horizon_steps=250, **settings)
    assert short_sighted.plan(START, GOAL).valid
