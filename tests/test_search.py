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

"""Searching for a plan: the order of the batches, deadlines, and going on until they come."""

import time

import numpy as np
import pytest
import torch

from df_planner import Planner
from df_planner.diffusion.sampler import Sampler
from df_planner.errors import NoValidPlan
from df_planner.errors import PlanningCancelled
from df_planner.errors import PlanningTimeout
from df_planner.maps.route import Way
from df_planner.planning.horizons import along
from df_planner.planning.horizons import diffused_m
from df_planner.planning.horizons import SLOWER
from df_planner.planning.horizons import STAY_TOKENS
from df_planner.planning.request import Task
from df_planner.planning.settings import PlannerSettings
from df_planner.sim.maze import maze_map

START, GOAL = np.array([3.0, 1.0, 0.0, 0.0]), np.array([1.0, 1.0])
FASTEST_MPS = 5.0


@pytest.fixture
def planner():
    torch.set_num_threads(1)
    return Planner.load('point', grid=maze_map('umaze'), backend='torch')


def batches(planner, way_m, length_m, fewest=2, most=32, at_goal=False, **settings):
    """Return the batches along a straight way, of which the first part is diffused."""
    way = Way(np.stack([np.linspace(0.0, way_m, 50), np.zeros(50)], axis=1))
    task = Task(np.zeros(4), way.at(np.array([length_m])), fewest, most, at_goal)
    return along(way, length_m, length_m == way_m, task, planner.space,
                 PlannerSettings(**settings), FASTEST_MPS)


def test_the_batches_are_along_the_way_and_slower_and_slower(planner):
    found = batches(planner, 3.0, 2.0, num_samples=5)
    assert len(found) == len(SLOWER) and all(len(batch.lengths) == 5 for batch in found)
    fastest = [int(batch.lengths.min()) for batch in found]
    assert fastest[0] == 1 + np.ceil(2.0 / (0.95 * FASTEST_MPS * 0.1))
    assert fastest == sorted(fastest) and fastest[-1] > fastest[0]
    assert len(set(found[0].lengths)) == 5, 'candidates differ in how long they take'
    for batch in found:
        assert not batch.ends_at_goal
        for row, tokens in zip(batch.route, batch.lengths):
            assert row[:tokens, 0] == pytest.approx(np.linspace(0.0, 2.0, tokens))
    assert [batch.wide for batch in found] == [False, True, True, True]
    assert all(batch.ends_at_goal for batch in batches(planner, 2.0, 2.0))


def test_horizons_stay_within_what_is_asked_for(planner):
    for length_m in (0.1, 90.0):
        for batch in batches(planner, 100.0, length_m, fewest=7, most=20):
            assert (7 <= batch.lengths).all() and (batch.lengths <= 20).all()


def test_a_plan_that_stays_at_its_goal_is_short(planner):
    assert all(set(batch.lengths) == set(STAY_TOKENS)
               for batch in batches(planner, 0.2, 0.2, at_goal=True))


def test_of_a_long_way_the_first_part_is_diffused_and_a_short_one_to_its_end():
    long, short = (Way(np.array([[0.0, 0.0], [end_m, 0.0]])) for end_m in (50.0, 5.5))
    first_m = diffused_m(long, 32, 0.1, FASTEST_MPS)
    assert 4.0 < first_m < 31 * 0.1 * FASTEST_MPS / 2
    assert diffused_m(short, 32, 0.1, FASTEST_MPS) == 5.5 > first_m
    assert diffused_m(long, 12, 0.1, FASTEST_MPS) < first_m / 2


def test_what_comes_after_a_failure_is_drawn_with_all_of_the_noise(planner, monkeypatch):
    stds, sample = [], Sampler.sample

    def noted(sampler, noise, *more):
        stds.append(float(noise.std()))
        return sample(sampler, noise, *more)
    monkeypatch.setattr(Sampler, 'sample', noted)
    planner.settings = PlannerSettings(temperature=0.2)
    planner.plan(START, GOAL)
    assert stds == pytest.approx([0.2], rel=0.1), 'a batch with a valid candidate is the last'
    assert planner.clock.candidates == planner.settings.num_samples
    stds.clear()
    planner.settings = PlannerSettings(dynamics_tolerance=1e-3, temperature=0.2)
    with pytest.raises(NoValidPlan, match='of 32 candidates .* 32 exceed the dynamics'):
        planner.plan(START, GOAL)
    assert stds == pytest.approx([0.2, 1.0, 1.0, 1.0], rel=0.1)


def test_the_timings_of_a_plan_add_up(planner):
    plan = planner.plan(START, GOAL)
    parts = [seconds for name, seconds in plan.timings.items() if name != 'total']
    assert all(seconds > 0.0 for seconds in parts)
    assert sum(parts) == pytest.approx(plan.timings['total'])
    assert {'network', 'guidance', 'checks'} < set(plan.timings)


def slow_down(planner, call_s):
    """Make every call of the network take so long."""
    network = planner.network

    class Slow:
        part_sizes, per_channel = network.part_sizes, network.per_channel
        with_pullback = network.with_pullback

        def __call__(self, *arguments):
            time.sleep(call_s)
            return network(*arguments)
    planner.network = Slow()


def test_a_deadline_ends_a_search_that_found_nothing(planner):
    slow_down(planner, 0.1)
    planner.settings = PlannerSettings(deadline_ms=600.0, dynamics_tolerance=1e-3)
    started = time.monotonic()
    complaint = 'no valid plan .* deadline_ms of 600 exceeded'
    with pytest.raises(PlanningTimeout, match=complaint) as raised:
        planner.plan(START, GOAL)
    assert time.monotonic() - started > 0.3
    assert raised.value.code == 'TIMEOUT' and isinstance(raised.value, NoValidPlan)


def test_a_deadline_too_short_for_a_single_call_says_so(planner):
    planner.settings = PlannerSettings(deadline_ms=0.001)
    with pytest.raises(PlanningTimeout, match='deadline_ms of 0.001 exceeded'):
        planner.plan(START, GOAL)


def test_no_call_is_begun_that_would_end_after_the_deadline(planner):
    slow_down(planner, 0.2)
    calls = []
    network = planner.network

    class Counted:
        part_sizes, per_channel = network.part_sizes, network.per_channel
        with_pullback = network.with_pullback

        def __call__(self, *arguments):
            calls.append(time.monotonic())
            return network(*arguments)
    planner.network = Counted()
    planner.settings = PlannerSettings(deadline_ms=900.0, guidance_scale=0.0,
                                       dynamics_tolerance=1e-3)
    started = time.monotonic()
    with pytest.raises(PlanningTimeout):
        planner.plan(START, GOAL)
    assert len(calls) > 1
    # A call of 200 ms that is begun within the last 200 ms would end too late.
    assert all(call - started <= 0.71 for call in calls[1:])


def test_after_the_deadline_a_plan_goes_on_as_its_route(planner):
    network, calls = planner.network, []

    class Stuck:
        part_sizes, per_channel = network.part_sizes, network.per_channel

        def __call__(self, *arguments):
            calls.append(len(calls))
            time.sleep(2.0 if len(calls) == 3 else 0.0)  # in the second piece
            return network(*arguments)
    start, goal = np.array([1.0, 1.0, 0.0, 0.0]), np.array([6.0, 6.0])
    planner.map, planner.network = maze_map('medium'), Stuck()
    planner.settings = PlannerSettings(
        horizon_steps=1000, guidance_scale=0.0, deadline_ms=1900.0)
    plan = planner.plan(start, goal)
    assert plan.valid and plan.states[-1, :2] == pytest.approx(goal)
    assert plan.network_calls == len(calls) == 3
    assert not plan.actions[-50:].any(), 'the route has no actions'


def test_the_caller_still_cancels_under_a_deadline(planner):
    planner.settings = PlannerSettings(deadline_ms=5000.0)
    with pytest.raises(PlanningCancelled):
        planner.plan(START, GOAL, should_stop=lambda: True)
