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

"""The plan in hand: which plan counts at which stamp, what is left of it, where it leads."""

import numpy as np
import pytest

from df_planner.driving.stamps import has_restarted
from df_planner.driving.stamps import RESTART_NS
from df_planner.driving.timeline import entered_at
from df_planner.driving.timeline import from_nearest_row
from df_planner.driving.timeline import Latency
from df_planner.driving.timeline import ON_PLAN_M
from df_planner.driving.timeline import TimedPlan
from df_planner.driving.timeline import Timeline
from df_planner.errors import StaleInput
from df_planner.planning.plan import Plan

TICK_NS = 10_000_000
REST = np.array([3.0, 1.0, 0.0, 0.0])


def line(speed_mps=1.0, steps=100, start_m=1.0):
    """Return a plan along the columns at a constant speed."""
    states = np.tile(REST, (steps + 1, 1))
    states[:, 1] = start_m + speed_mps * 0.01 * np.arange(steps + 1)
    states[:, 3] = speed_mps
    return Plan(np.full((steps + 1, 2), 0.1), states, 0.01, states[-1, :2])


@pytest.fixture
def timeline():
    """Return a timeline with control steps of one tick."""
    return Timeline(0.01)


def test_without_a_plan_there_is_nothing_to_follow(timeline):
    assert timeline.in_hand is None and timeline.pop_replaced() is None
    assert timeline.rest_at(0) is None and timeline.rest_from(REST, 0) is None
    assert timeline.off(REST, 0) is None and timeline.state_at(5, REST, 0, rests=True) is None
    timeline.take(None, 0, 0)  # nor after "brake"
    assert timeline.current == TimedPlan(None, 0) and timeline.in_hand is None
    assert timeline.rest_at(0) is None and timeline.rest_from(REST, 0) is None
    assert timeline.off(REST, 0) is None and timeline.state_at(5, REST, 0, rests=True) is None


def test_stamps_are_counted_in_the_nearest_whole_steps(timeline):
    now_ns = 1_700_000_000_123_456_789  # a float could not hold it
    assert timeline.steps(now_ns, now_ns + 25 * TICK_NS) == 25
    assert timeline.steps(now_ns, now_ns - 3 * TICK_NS) == -3
    assert timeline.steps(now_ns, now_ns + TICK_NS + TICK_NS // 2 - 1) == 1
    assert timeline.steps(now_ns, now_ns + TICK_NS + TICK_NS // 2 + 1) == 2


def test_a_plan_ahead_waits_for_its_time_and_replaces_the_one_followed(timeline):
    first, second = line(), line(2.0)
    timeline.take(first, 100 * TICK_NS, 100 * TICK_NS)
    timeline.take(second, 120 * TICK_NS, 105 * TICK_NS)
    assert timeline.current.plan is first and timeline.in_hand.plan is second
    timeline.advance(119 * TICK_NS)
    assert timeline.current.plan is first
    timeline.advance(120 * TICK_NS)
    assert timeline.current == timeline.in_hand == TimedPlan(second, 120 * TICK_NS)
    assert timeline.ahead is None
    assert timeline.pop_replaced() == TimedPlan(first, 100 * TICK_NS)
    assert timeline.pop_replaced() is None, 'once only'


def test_a_newer_plan_ahead_replaces_one_that_has_not_begun(timeline):
    first, third = line(), line(3.0)
    timeline.take(first, 0, 0)
    timeline.take(line(2.0), 20 * TICK_NS, 5 * TICK_NS)
    timeline.take(third, 30 * TICK_NS, 10 * TICK_NS)
    timeline.advance(25 * TICK_NS)
    assert timeline.current.plan is first and timeline.in_hand.plan is third


@pytest.mark.parametrize('now_ns', [None, 0, 30 * TICK_NS])
def test_a_plan_counts_at_once_if_there_is_none_to_follow_until_then(timeline, now_ns):
    timeline.take(line(), 20 * TICK_NS, now_ns)
    assert timeline.current is timeline.in_hand is not None and timeline.ahead is None


def test_braking_counts_at_once_and_takes_the_next_plan_with_it(timeline):
    timeline.take(line(), 0, 0)
    timeline.take(line(2.0), 20 * TICK_NS, 5 * TICK_NS)
    timeline.take(None, 50 * TICK_NS, 6 * TICK_NS)
    assert timeline.in_hand is None and timeline.ahead is None
    timeline.advance(30 * TICK_NS)
    assert timeline.in_hand is None


def test_forgetting_takes_all_plans_or_all_but_the_next(timeline):
    for keep_ahead in (True, False):
        timeline.take(line(), 0, 0)
        timeline.take(line(2.0), 20 * TICK_NS, 5 * TICK_NS)
        timeline.clear(keep_ahead)
        assert timeline.current is None and timeline.pop_replaced() is None
        assert (timeline.ahead is not None) == keep_ahead
        assert timeline.off(REST, 10 * TICK_NS) is None


def test_what_is_left_by_time_and_by_place(timeline):
    plan = line()
    timeline.take(plan, 100 * TICK_NS, 100 * TICK_NS)
    assert np.array_equal(timeline.rest_at(110 * TICK_NS).states, plan.states[10:])
    assert len(timeline.rest_at(90 * TICK_NS)) == len(plan)
    assert len(timeline.rest_at(900 * TICK_NS)) == 1, 'the arrival always stays'
    # A robot ahead of time is where it is; one that lags is where it should be by now.
    rest = timeline.rest_from(plan.states[30] + 1e-3, 110 * TICK_NS)
    assert rest.stamp_ns == 110 * TICK_NS
    assert np.array_equal(rest.plan.states, plan.states[30:])
    rest = timeline.rest_from(plan.states[3], 110 * TICK_NS)
    assert np.array_equal(rest.plan.states, plan.states[10:])
    # A plan that has not begun is left whole, wherever the robot is.
    timeline.take(plan, 150 * TICK_NS, 110 * TICK_NS)
    assert timeline.rest_from(plan.states[30], 110 * TICK_NS) == timeline.ahead


def test_the_robot_is_predicted_along_its_plan(timeline):
    plan, now_ns = line(), 10 * TICK_NS
    timeline.take(plan, 0, 0)
    off = np.array([0.02, 0.0, 0.1, 0.0])
    robot = plan.states[10] + off
    assert np.allclose(timeline.off(robot, now_ns), off)
    assert np.allclose(timeline.state_at(30 * TICK_NS, robot, now_ns, rests=True),
                       plan.states[30] + off)
    # At its end the robot is held at rest, if the follower does so.
    end = timeline.state_at(110 * TICK_NS, robot, now_ns, rests=True)
    assert np.array_equal(end[2:], np.zeros(2))
    assert np.allclose(timeline.state_at(110 * TICK_NS, robot, now_ns, rests=False),
                       plan.states[-1] + off)
    # Off the plan, the robot does not follow it.
    away = plan.states[10] + [1.01 * ON_PLAN_M, 0.0, 0.0, 0.0]
    assert timeline.off(away, now_ns) is None
    assert timeline.state_at(30 * TICK_NS, away, now_ns, rests=True) is None


def test_the_robot_is_predicted_from_the_plan_it_follows_on_to_the_next(timeline):
    first, now_ns = line(), 10 * TICK_NS
    off, gap = np.array([0.02, 0.0, 0.1, 0.0]), np.array([0.0, 0.05, 0.0, 1.0])
    second = line(2.0, start_m=first.states[20, 1] + 0.05)  # begins a little ahead of the first
    robot = first.states[10] + off
    timeline.take(first, 0, 0)
    timeline.take(second, 20 * TICK_NS, now_ns)
    assert np.allclose(timeline.state_at(15 * TICK_NS, robot, now_ns, rests=True),
                       first.states[15] + off)
    assert np.allclose(timeline.state_at(25 * TICK_NS, robot, now_ns, rests=True),
                       second.states[5] + off - gap)


def test_predicting_changes_no_plan(timeline):
    plan = line()
    before = plan.states.copy()
    timeline.take(plan, 0, 0)
    timeline.state_at(200 * TICK_NS, plan.states[5] + 0.1, 5 * TICK_NS, rests=True)
    assert np.array_equal(plan.states, before)


def test_a_plan_is_entered_where_the_robot_will_be_on_it():
    plan = line()
    fast = plan.states[40] + [0.01, 0.0, 0.0, 3.0]
    assert np.array_equal(from_nearest_row(plan, fast).states, plan.states[40:])
    entered = entered_at(plan, fast)
    assert len(entered) == len(plan) - 40
    assert np.array_equal(entered.states[0], fast)
    assert np.array_equal(entered.states[1:], plan.states[41:])
    assert entered_at(plan, plan.states[40] + [1.0, 0.0, 0.0, 0.0]) is None
    assert entered_at(plan, plan.states[-1]) is None


def test_latency_is_that_of_slow_plans_in_whole_steps():
    latency = Latency()
    assert latency.steps(0.01) == 0
    for _ in range(20):
        latency.add(0.034)
    assert latency.steps(0.01) == 5  # and one on its way
    for _ in range(2):
        latency.add(0.5)
    assert latency.steps(0.01) == 51


def test_odometry_far_in_the_past_is_a_restart_and_a_little_older_one_is_late():
    assert not has_restarted(None, 5)
    assert not has_restarted(5, 5) and not has_restarted(5, 6)
    with pytest.raises(StaleInput, match='odometry: 0.010 s older than the one before'):
        has_restarted(2 * RESTART_NS, 2 * RESTART_NS - TICK_NS)
    assert has_restarted(2 * RESTART_NS, RESTART_NS)
