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

"""Searching for a plan: the order of horizons, deadlines, and going on until they come."""

from dataclasses import replace
import time

import numpy as np
import pytest
import torch

from df_planner import Planner
from df_planner.errors import NoValidPlan
from df_planner.errors import PlanningCancelled
from df_planner.errors import PlanningTimeout
from df_planner.planning import sampling
from df_planner.planning.horizons import EXPECTED_SHARES
from df_planner.planning.horizons import horizons
from df_planner.planning.request import Request
from df_planner.planning.request import Task
from df_planner.planning.settings import PlannerSettings

START, GOAL = np.array([3.0, 1.0, 0.0, 0.0]), np.array([1.0, 1.0])


@pytest.fixture
def planner():
    torch.set_num_threads(1)
    return Planner.load('maze2d-umaze', backend='torch')


def batches(planner, arrival_s, previous=None, faster=False, **settings):
    task = Task(START, GOAL[None], 2, 24, request=Request(previous=previous, faster=faster))
    return horizons(task, arrival_s, PlannerSettings(**settings), planner.space,
                    np.array([5.0, 5.0]))


def test_horizons_near_the_expected_arrival_come_first(planner):
    likely, everywhere = batches(planner, arrival_s=1.2)
    assert len(likely) == len(EXPECTED_SHARES)
    assert likely[0].lengths.max() == 13 and likely[0].lengths.min() >= 8
    none, the_same = batches(planner, arrival_s=None)
    assert not none
    for got, wanted in zip(everywhere, the_same, strict=True):
        assert (got.lengths == wanted.lengths).all()


def test_the_fewest_tokens_are_those_of_the_fastest_way_through_the_stops(planner):
    for stops in ([GOAL], [np.array([1.0, 3.0]), GOAL]):
        _, everywhere = horizons(Task(START, np.array(stops), 2, 24), None, PlannerSettings(),
                                 planner.space, np.array([2.0, 2.0]))
        # 2 m at 2 m/s, tokens of 0.1 s; by the way-point 2 m twice.
        assert everywhere[0].lengths.min() == 1 + 10 * len(stops)


def test_the_arrival_by_a_way_point_is_expected_after_both_legs(planner):
    between = np.array([3.0, 3.0])
    legs = (planner._arrival_s(START, between),
            planner._arrival_s(np.array([*between, 0.0, 0.0]), GOAL))
    assert planner._arrival_s(START, between, GOAL) == pytest.approx(sum(legs))


def test_expected_horizons_stay_within_what_is_asked_for(planner):
    for arrival_s in (0.0, 100.0):
        assert all((2 <= batch.lengths).all() and (batch.lengths <= 24).all()
                   for stage in batches(planner, arrival_s) for batch in stage)


def test_what_comes_after_a_failure_is_drawn_with_all_of_the_noise(planner, monkeypatch):
    stds, slide = [], sampling.slide

    def noted(sampler, noise, *more):
        stds.append(float(noise.std()))
        return slide(sampler, noise, *more)
    monkeypatch.setattr(sampling, 'slide', noted)
    planner.settings = PlannerSettings(dynamics_tolerance=1e-3, refine_rounds=2, temperature=0.2)
    with pytest.raises(NoValidPlan):
        planner.plan(START, GOAL)
    likely = len(EXPECTED_SHARES)
    assert stds[:likely] == pytest.approx([0.2] * likely, rel=0.1)
    assert stds[likely:] == pytest.approx([1.0] * (len(stds) - likely), rel=0.1)
    assert len(stds) > likely + 4


def test_horizons_below_the_previous_plan_are_tried_anew_if_asked_for(planner):
    previous = planner.plan(START, GOAL)
    tokens = (len(previous) - 1) // planner.card.frame_stack + 1
    (nearby, *rest), _ = batches(planner, 1.2, previous, faster=True)
    assert nearby.previous is previous and not any(batch.improves for batch in rest[1:])
    assert rest[0].improves and rest[0].previous is None and rest[0].lengths.max() == tokens - 1
    assert not any(b.improves for stage in batches(planner, 1.2, previous) for b in stage)


def waiting(rows, steps=60):
    """Return the rows of a plan that stays where it is before it starts."""
    return np.concatenate([np.repeat(rows[:1], steps, axis=0), rows])


def test_looking_for_a_faster_plan_finds_one_where_the_plan_in_hand_is_slow(planner):
    plan = planner.plan(START, GOAL)
    slow = replace(plan, states=waiting(plan.states), actions=waiting(plan.actions),
                   uncertainty=waiting(plan.uncertainty))
    lengths = {faster: [len(planner.plan(START, GOAL, seed=seed, previous=slow, faster=faster))
                        for seed in range(10)] for faster in (False, True)}
    assert np.mean(lengths[True]) < np.mean(lengths[False])
    assert all(faster <= other for faster, other in zip(lengths[True], lengths[False]))


def test_the_arrival_expected_by_the_model_is_that_of_its_plans(planner):
    planner.settings = PlannerSettings(predict_horizon=False)
    for state, goal in ((START, GOAL), ([1.0, 1.0, 0.0, 0.0], [3.0, 3.0])):
        state, goal = np.array(state), np.array(goal)
        plan_s = len(planner.plan(state, goal)) * planner.card.dt_s
        planner.settings = PlannerSettings()
        assert 0.9 < planner._arrival_s(state, goal) / plan_s < 1.6  # data are slower than plans
        planner.settings = PlannerSettings(predict_horizon=False)
    assert planner._arrival_s(START, GOAL) is None


def test_knowing_the_arrival_saves_calls_of_the_network(planner):
    calls = {}
    for predict in (True, False):
        planner.settings = PlannerSettings(predict_horizon=predict)
        calls[predict] = np.mean([planner.plan(START, GOAL, seed=seed).network_calls
                                  for seed in range(5)])
    assert calls[True] < 0.6 * calls[False]


def test_the_timings_of_a_plan_add_up(planner):
    planner.settings = PlannerSettings(guidance_scale=1.0, guidance_from=0.6)
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
    slow_down(planner, 0.02)
    planner.settings = PlannerSettings(
        deadline_ms=600.0, robot_radius_m=0.45)  # no way is this wide
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
    planner.settings = PlannerSettings(deadline_ms=900.0, guidance_scale=0.0, robot_radius_m=0.45)
    started = time.monotonic()
    with pytest.raises(PlanningTimeout):
        planner.plan(START, GOAL)
    assert len(calls) > 1
    # A call of 200 ms that is begun within the last 200 ms would end too late.
    assert all(call - started <= 0.71 for call in calls[1:])


def test_anytime_returns_a_plan_that_is_as_early_or_earlier_by_the_deadline(planner):
    for seed in range(3):
        planner.settings = PlannerSettings(num_samples=64)
        first = planner.plan(START, GOAL, seed=seed)
        planner.settings = PlannerSettings(num_samples=64, anytime=True)
        best = planner.plan(START, GOAL, seed=seed)
        assert best.valid and len(best) <= len(first)
        assert best.network_calls >= first.network_calls
    planner.settings = PlannerSettings(num_samples=64, anytime=True, deadline_ms=2000.0)
    started = time.monotonic()
    assert planner.plan(START, GOAL).valid
    assert time.monotonic() - started < 4.0


def test_the_caller_still_cancels_under_a_deadline(planner):
    planner.settings = PlannerSettings(deadline_ms=5000.0)
    with pytest.raises(PlanningCancelled):
        planner.plan(START, GOAL, should_stop=lambda: True)
