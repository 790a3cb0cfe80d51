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

"""What is known before sampling: an earlier plan noised again, ..."""

import numpy as np
import pytest
import torch

from df_planner import Planner
from df_planner.planning.plan import Plan
from df_planner.planning.settings import PlannerSettings
from df_planner.planning.tokens import Known

START, GOAL = np.array([3.0, 1.0, 0.0, 0.0]), np.array([1.0, 1.0])


@pytest.fixture(scope='module')
def shipped():
    torch.set_num_threads(1)
    return Planner.load('maze2d-umaze')


@pytest.fixture
def planner(shipped):
    """Return the shipped planner with fresh settings."""
    shipped.settings = PlannerSettings()
    return shipped


def network_calls(planner, work):
    """Return what the work returns, and how often the network was called."""
    return work(), planner.clock.network_calls


def counting_plan(steps):
    """Return a plan whose rows tell their number."""
    rows = np.arange(steps, dtype=float)[:, None]
    return Plan(actions=np.repeat(rows, 2, 1) / 1000, states=np.repeat(rows, 4, 1), dt_s=0.01,
                goal=np.zeros(2))


def test_an_earlier_plan_enters_at_every_token_noised_to_its_level(planner):
    space = planner.space
    known = Known(space, np.array([4, 2]))
    known.noised_again(space.tokens_of(counting_plan(27), 4), 300)
    noise = torch.randn(2, 4, 24, generator=torch.Generator().manual_seed(0))
    pins = known.pins(noise)
    assert (pins.levels[0] == 300).all() and (pins.levels[1, :2] == 300).all()
    assert (pins.levels[1, 2:] == 1000).all(), 'padding is not known'
    alpha, sigma = np.cos(0.3 * np.pi / 2), np.sin(0.3 * np.pi / 2)
    tokens = space.physical((pins.values[0] - sigma * noise[0]) / alpha)
    assert tokens[:, 0] == pytest.approx([0, 10, 20, 26], abs=1e-4), 'it stays at its end'
    assert tokens[1, 4::2] == pytest.approx(np.arange(10, 20) / 1000, abs=1e-4)
    assert tokens[2, 4::2] == pytest.approx([*np.arange(20, 27) / 1000, *[0.026] * 3], abs=1e-4)


def test_the_present_and_the_goal_override_an_earlier_plan(planner):
    space = planner.space
    known = Known(space, np.array([3]))
    known.noised_again(space.tokens_of(counting_plan(25), 3), 500)
    known.start(START)
    known.end(GOAL, rest=True)
    noise = torch.randn(1, 3, 24)
    pins = known.pins(noise)
    assert pins.levels[0].tolist() == [[0, 0, 500], [500] * 3, [0, 0, 500]]
    tokens = space.physical(pins.values)
    assert tokens[0, 0, :4] == pytest.approx(START, abs=1e-6)
    assert tokens[0, 2, :4] == pytest.approx([*GOAL, 0.0, 0.0], abs=1e-6)


def test_a_warm_start_costs_only_the_rows_below_its_level(planner):
    previous = planner.plan(START, GOAL).shifted(25)
    for share, calls in ((0.5, 4), (0.2, 2), (0.0, 8)):
        planner.settings = PlannerSettings(warm_start=share, sampling_steps=8,
                                           guidance_scale=0.0)
        plan, counted = network_calls(planner, lambda: planner.plan(
            previous.states[0], GOAL, previous=previous, seed=2))
        assert plan.valid and counted == calls


def off(plan, previous):
    """Return how far a plan leads from the way of the previous one in the mean, in metres."""
    gaps = np.linalg.norm(plan.states[:, None, :2] - previous.states[None, :, :2], axis=-1)
    return gaps.min(1).mean()


def test_a_warm_start_stays_near_the_previous_plan(planner):
    previous = planner.plan(START, GOAL).shifted(25)
    distances = []
    for share in (0.1, 0.25, 0.0):
        planner.settings = PlannerSettings(warm_start=share, sampling_steps=8,
                                           guidance_scale=0.0, predict_horizon=False)
        plans = [planner.plan(previous.states[0], GOAL, previous=previous, seed=seed)
                 for seed in range(8)]
        distances.append(np.mean([off(plan, previous) for plan in plans]))
    assert distances[1] < distances[2]
    assert distances[0] < 0.7 * distances[2]


def test_guidance_without_a_pinned_goal_starts_warm_too(planner):
    previous = planner.plan(START, GOAL).shifted(25)
    planner.settings = PlannerSettings(
        pin_goal=False, guidance_scale=0.3, guide_goal=1.0, guidance_from=1.0, guidance_to=0.0,
        warm_start=0.3, sampling_steps=8)
    plan, counted = network_calls(planner, lambda: planner.plan(
        previous.states[0], GOAL, previous=previous))
    assert plan.valid and counted == 3
