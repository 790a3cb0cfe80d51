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

from itertools import pairwise
import time

import numpy as np
import pytest
import torch

from df_planner import Planner
from df_planner.diffusion.sampler import Sampler
from df_planner.errors import NoValidPlan
from df_planner.errors import PlanningCancelled
from df_planner.errors import PlanningTimeout
from df_planner.maps.route import even
from df_planner.maps.route import Way
from df_planner.planning.horizons import ahead_m
from df_planner.planning.horizons import along
from df_planner.planning.horizons import CRUISE
from df_planner.planning.horizons import FIRST
from df_planner.planning.horizons import SLOWER
from df_planner.planning.horizons import SPEEDS
from df_planner.planning.horizons import STAY_TOKENS
from df_planner.planning.horizons import Stretch
from df_planner.planning.request import Request
from df_planner.planning.request import Task
from df_planner.planning.settings import PlannerSettings
from df_planner.sim.maze import maze_map

START, GOAL = np.array([3.0, 1.0, 0.0, 0.0]), np.array([1.0, 1.0])
FASTEST_MPS, MOST_MPS2 = 5.0, 20.0


@pytest.fixture
def planner():
    torch.set_num_threads(1)
    return Planner.load('point', grid=maze_map('umaze'), backend='torch')


def over(*corners):
    """Return the way over corners."""
    return Way(np.concatenate([even(np.array(pair, float))[1:] if index else
                               even(np.array(pair, float))
                               for index, pair in enumerate(pairwise(corners))]))


def batches(planner, *stretches, velocity=(0.0, 0.0), fewest=2, most=32, at_goal=False, rest=False,
            **settings):
    """Return what is sampled together along stretches of ways from the origin."""
    task = Task(np.array([0.0, 0.0, *velocity]), np.zeros((0, 2)), stretches[0].way.points[-1],
                fewest, most, at_goal, request=Request(rest_at_goal=rest))
    return [*along([*stretches], task, planner.space, PlannerSettings(**settings), FASTEST_MPS,
                   MOST_MPS2)]


def straight(way_m, length_m):
    """Return the first part of a straight way."""
    return Stretch(over((0, 0), (way_m, 0)), length_m, way_m - length_m)


def test_the_batches_are_along_the_way_and_slower_and_slower(planner):
    found = batches(planner, straight(3.0, 2.0), num_samples=4)
    assert len(found) == len(SLOWER) and all(len(batch.lengths) == 4 for batch in found)
    fastest = [int(batch.lengths.min()) for batch in found]
    cruise = SPEEDS[0] * FASTEST_MPS
    at_once_s = cruise / MOST_MPS2 + (2.0 - cruise ** 2 / (2 * MOST_MPS2)) / cruise
    assert fastest[0] == 1 + np.ceil(at_once_s / 0.1)
    assert fastest == sorted(fastest) and fastest[-1] > fastest[0]
    assert len(set(found[0].lengths)) == 4, 'candidates differ in how long they take'
    for batch in found:
        assert (batch.ends == [2.0, 0.0]).all()
        assert batch.left_s == pytest.approx(1.0 / (CRUISE * FASTEST_MPS))
        for row, tokens in zip(batch.route, batch.lengths):
            steps_m = np.diff(row[:tokens, 0])
            assert row[[0, tokens - 1], 0] == pytest.approx([0.0, 2.0]) and (steps_m > 0.0).all()
            assert steps_m[0] < 0.8 * steps_m.max() == pytest.approx(0.8 * steps_m[-1], rel=1e-3)
    assert [batch.batch for batch in found] == [1, 2, 3, 4]
    assert all((batch.left_s == 0.0).all() for batch in batches(planner, straight(2.0, 2.0)))


def test_the_fastest_of_a_batch_are_sampled_first(planner):
    parts = batches(planner, straight(3.0, 2.0), num_samples=9)
    assert [len(part.lengths) for part in parts] == [4, 5] * 4
    assert [part.batch for part in parts] == [1, 1, 2, 2, 3, 3, 4, 4]
    for fast, slow in zip(parts[::2], parts[1::2]):
        assert fast.lengths.max() <= slow.lengths.min()
    compared = batches(planner, straight(3.0, 2.0), num_samples=9, select_by='reward')
    assert [len(batch.lengths) for batch in compared] == [9] * 4, 'by reward all are compared'


def test_candidates_take_turns_along_the_ways(planner):
    aside = Stretch(over((0, 0), (0, 4)), 1.0, 3.0)
    for batch in batches(planner, straight(3.0, 2.0), aside, num_samples=5, select_by='reward'):
        assert batch.stretch.tolist() == [0, 1, 0, 1, 0]
        ends = np.array([[2.0, 0.0], [0.0, 1.0]])[batch.stretch]
        assert batch.ends == pytest.approx(ends)
        assert batch.left_s[1] == pytest.approx(3.0 * batch.left_s[0])
        last = batch.route[np.arange(5), batch.lengths - 1]
        assert last == pytest.approx(ends)
        again = batch.only(np.full(3, 1))
        assert (again.stretch == 1).all() and (again.lengths == batch.lengths[1]).all()
        assert (again.ends == [0.0, 1.0]).all() and (again.left_s == batch.left_s[1]).all()


def test_candidates_take_as_long_as_the_robot_can(planner):
    def fewest(stretch=straight(2.0, 2.0), **more):
        return batches(planner, stretch, **more)[0].lengths.min()
    assert fewest(velocity=(4.0, 0.0)) < fewest(velocity=(0.0, 4.0)) == fewest()
    assert fewest(velocity=(-4.0, 0.0)) == fewest(), 'it turns round first'
    assert fewest(rest=True) > fewest()
    assert fewest(straight(3.0, 2.0), rest=True) == fewest(), 'its end is not the goal'


CRUISES = np.array([0.5, 2.0, 5.0])


@pytest.mark.parametrize('first_mps', [0.0, 1.5])
@pytest.mark.parametrize('rests', [False, True])
def test_a_way_takes_the_time_that_acceleration_and_speed_allow(first_mps, rests):
    times_s, along_m = straight(4.0, 3.0).times_s(CRUISES, first_mps, rests, MOST_MPS2)
    assert times_s.shape == (3, len(along_m)) and along_m[[0, -1]] == pytest.approx([0.0, 3.0])
    assert (times_s[:, 0] == 0.0).all() and np.isfinite(times_s).all()
    mean_mps = np.diff(along_m) / np.diff(times_s)
    assert (mean_mps <= CRUISES[:, None] * (1.0 + 1e-9)).all()
    assert mean_mps.max(1) == pytest.approx(CRUISES), 'as fast as asked for, somewhere'
    shortest_s = (np.sqrt(first_mps ** 2 + 2.0 * MOST_MPS2 * along_m) - first_mps) / MOST_MPS2
    assert (times_s >= shortest_s - 1e-9).all()
    left_m, left_s = 3.0 - along_m, times_s[:, -1:] - times_s
    if rests:
        assert (left_s >= np.sqrt(2.0 * left_m / MOST_MPS2) - 1e-9).all()
    else:
        assert mean_mps[:, -1] == pytest.approx(CRUISES), 'it does not slow down for its end'


def test_a_way_is_slower_through_a_bend():
    bent = Stretch(over((0, 0), (2, 0), (2, 2)), 4.0, 0.0)
    times_s, along_m = bent.times_s(CRUISES, 5.0, False, MOST_MPS2)
    straight_s, _ = straight(4.0, 4.0).times_s(CRUISES, 5.0, False, MOST_MPS2)
    mean_mps = np.diff(along_m) / np.diff(times_s)
    middle = len(mean_mps[0]) // 2
    assert times_s[2, -1] > straight_s[2, -1] + 0.1
    assert mean_mps[2].argmin() in (middle - 1, middle) and mean_mps[2].min() < 2.5
    assert mean_mps[2, [0, -1]] == pytest.approx(5.0), 'far from it as fast as asked for'
    assert times_s[0] == pytest.approx(straight_s[0]), 'slow enough already'


def test_horizons_stay_within_what_is_asked_for(planner):
    for length_m in (0.1, 90.0):
        for batch in batches(planner, straight(100.0, length_m), fewest=7, most=20):
            assert (7 <= batch.lengths).all() and (batch.lengths <= 20).all()


def test_a_plan_that_stays_at_its_goal_is_short(planner):
    assert all(set(batch.lengths) == set(STAY_TOKENS)
               for batch in batches(planner, straight(0.2, 0.2), at_goal=True))


def test_of_a_long_way_the_first_part_is_diffused_and_a_short_one_to_its_end():
    first_m = ahead_m(32, 0.1, FASTEST_MPS)
    assert 4.0 < first_m < 31 * 0.1 * FASTEST_MPS / 2
    assert ahead_m(12, 0.1, FASTEST_MPS) < first_m / 2
    long = Stretch.of(over((0, 0), (50, 0)), first_m)
    assert long.end == pytest.approx([first_m, 0.0]) and long.left_m == pytest.approx(50 - first_m)
    short = Stretch.of(over((0, 0), (5.5, 0)), first_m)
    assert short.length_m == pytest.approx(5.5) and 5.5 > first_m and short.left_m == 0.0


def test_what_comes_after_a_failure_is_drawn_with_all_of_the_noise(planner, monkeypatch):
    stds, sample = [], Sampler.sample

    def noted(sampler, noise, *more):
        stds.append(float(noise.std()))
        return sample(sampler, noise, *more)
    monkeypatch.setattr(Sampler, 'sample', noted)
    planner.settings = PlannerSettings(temperature=0.2)
    planner.plan(START, GOAL)
    parts = planner.clock.candidates // FIRST
    assert stds == pytest.approx([0.2] * parts, rel=0.1) and parts <= 2, 'the first batch'
    stds.clear()
    planner.settings = PlannerSettings(dynamics_tolerance=1e-3, temperature=0.2)
    with pytest.raises(NoValidPlan, match='of 32 candidates .* 32 exceed the dynamics'):
        planner.plan(START, GOAL)
    assert stds == pytest.approx([0.2] * 2 + [1.0] * 6, rel=0.1)


def test_the_timings_of_a_plan_add_up(planner):
    planner.settings = PlannerSettings(guide_goal=1e-3)
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
