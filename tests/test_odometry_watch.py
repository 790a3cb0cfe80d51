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

"""Odometry that keeps arriving but does not advance is found, and honest odometry is not."""

from itertools import count

import numpy as np
import pytest

from df_planner.driving.executor import Executor
from df_planner.driving.following import PlanFollower
from df_planner.driving.odometry_watch import OdometryWatch
from df_planner.planning.plan import Plan

NS_PER_S = 1_000_000_000
TIMEOUT_S = 0.5
EPOCH_S = 1_700_000_000.0


class Source:
    """A robot on a straight line whose driver may be at fault; every field is a function of s."""

    def __init__(self, speed=1.0, rate_hz=100.0):
        self.rate_hz = rate_hz
        self.stamp_s = lambda s: EPOCH_S + s
        self.state = lambda s: (speed * s, 2.0, speed, 0.0)
        self.clock_s = lambda s: None
        self.arrives_s = lambda s: s
        self.share = lambda s: 0.0
        self.watch = OdometryWatch(TIMEOUT_S)

    def faults(self, from_s, to_s):
        """Run for a while; return the seconds at which there was a fault, and the faults."""
        found = {}
        for index in count(round(from_s * self.rate_hz)):
            s = index / self.rate_hz
            if s >= to_s:
                return found
            fault = self.watch.hear(
                np.array(self.state(s)), round(self.stamp_s(s) * NS_PER_S), self.arrives_s(s),
                self.clock_s(s))
            if fault is not None:
                found[s] = fault
            self.watch.commanded(self.share(s))


def whole_seconds(s):
    """Return the stamp of a driver that forgets the nanoseconds."""
    return float(int(EPOCH_S + s))


@pytest.mark.parametrize('change, words', [
    ({'stamp_s': lambda s: 0.0}, 'its stamps are all 0; the driver must stamp'),
    ({'stamp_s': lambda s: 5.25}, 'its stamp has stood at 5.250 s'),
    ({'stamp_s': lambda s: EPOCH_S - 0.1 * s}, 'its stamp has stood'),
    ({'stamp_s': whole_seconds}, 'a stamp of whole seconds has stood'),
    ({'state': lambda s: (1.0, 2.0, 0.5, 0.0)}, 'position has stood still'),
    ({'state': lambda s: (1.0, 2.0, 0.5 + 0.01 * (s % 0.1), 0.0)}, 'position has stood still'),
    ({'state': lambda s: (1.0, 2.0, 0.0, 0.0), 'share': lambda s: 1.0}, 'to the last bit'),
    ({'state': lambda s: (s + 0.4 * (round(100 * s) % 2), 2.0, 1.0, 0.0)},
     'its position jumps by 0.4'),
    ({'stamp_s': lambda s: s + EPOCH_S * (round(100 * s) % 2)}, 'back and forth by 1.7e+09 s'),
    ({'stamp_s': lambda s: 0.1 * s}, '0.1 times as fast as the wall clock'),
    ({'stamp_s': lambda s: 20.0 * s}, '20 times as fast as the wall clock'),
    ({'clock_s': lambda s: 3.0 * s}, '0.33 times as fast as /clock'),
    ({'clock_s': lambda s: 0.0}, 'nobody publishes it'),
])
def test_what_stands_still_or_contradicts_itself_is_found_and_named(change, words):
    source = Source()
    assert not source.faults(0.0, 2.0)
    watch = source.watch
    source = Source()
    source.watch = watch
    vars(source).update(change)
    found = source.faults(2.0, 8.0)
    assert min(found) < 2.0 + 2.0 * TIMEOUT_S
    assert [s for s in np.arange(4.0, 8.0, 0.01) if round(s, 2) not in found] == []
    assert words in found[max(found)]
    assert found[max(found)].startswith('odometry does not advance: ')
    # It is trusted again by itself; a robot that did not budge once its plan has ended.
    watch.release()
    source = Source()
    source.watch = watch
    assert not [s for s in source.faults(8.0, 12.0) if s > 8.0 + 3.0 * TIMEOUT_S]


def late(s):
    """Return when a message is taken by a process that hangs for 0.8 s every 2 s."""
    return max(s, s - s % 2.0 + 0.8)


@pytest.mark.parametrize('change', [
    {},
    {'state': lambda s: (1.0, 2.0, 0.0, 0.0)},  # it stands
    {'state': lambda s: (1.0, 2.0, 0.03 * np.sin(50.0 * s), 0.02)},  # with a noisy velocity
    {'state': lambda s: (1.0, 2.0, 0.0, 0.0), 'share': lambda s: 0.2},  # held against friction
    {'state': lambda s: (1.0, 2.0, 0.0, 0.0), 'share': lambda s: 1.0 * (s < 0.3)},
    {'state': lambda s: (s + 0.5 * int(s / 2.0), 2.0, 1.0, 0.0)},  # put elsewhere now and then
    {'state': lambda s: (np.floor(5.0 * s) / 5.0, 2.0, 1.0, 0.0)},  # located five times a second
    {'rate_hz': 10.0}, {'rate_hz': 2.5}, {'rate_hz': 1.0},
    {'stamp_s': lambda s: EPOCH_S + np.floor(10.0 * s) / 10.0},  # each stamp comes ten times
    {'stamp_s': lambda s: s, 'clock_s': lambda s: EPOCH_S + s},  # since the robot was switched on
    {'stamp_s': lambda s: 0.1 * s, 'clock_s': lambda s: 0.1 * s},  # a slow simulation
    {'stamp_s': lambda s: 40.0 * s, 'clock_s': lambda s: 40.0 * s},  # a fast one
    {'stamp_s': lambda s: s % 3.0, 'clock_s': lambda s: s % 3.0},  # one that starts again
    {'arrives_s': late},  # a burst after each pause of the machine
])
def test_honest_odometry_is_trusted(change):
    source = Source()
    vars(source).update(change)
    assert not source.faults(0.0, 12.0)


def test_a_plan_counts_from_the_second_stamp_of_a_new_or_restarted_source_on():
    watch = OdometryWatch(TIMEOUT_S)
    assert watch.is_sound  # nothing has been heard in lockstep
    for s, stamp_ns, is_sound in ((0.0, 100, False), (0.01, 100, False), (0.02, 200, True),
                                  (0.03, 200, True), (0.04, 100 - 2 * NS_PER_S, False),
                                  (0.05, 100 - 2 * NS_PER_S, False), (0.06, 0, True)):
        watch.hear(np.zeros(4), stamp_ns, s)
        assert watch.is_sound == is_sound


def test_a_pause_between_messages_is_no_fault_of_theirs():
    source = Source()
    source.clock_s = lambda s: s - 30.0 * (s >= 40.0)  # the simulation is paused meanwhile
    source.stamp_s = source.clock_s
    source.state = lambda s: (source.stamp_s(s), 2.0, 1.0, 0.0)
    assert not source.faults(0.0, 10.0) and not source.faults(40.0, 45.0)


def test_a_frozen_position_is_not_trusted_again_because_the_robot_has_braked():
    source = Source()
    source.state = lambda s: (1.0, 2.0, 1.0 * (s < 2.0), 0.0)
    assert min(source.faults(0.0, 2.0)) < TIMEOUT_S
    assert max(source.faults(2.0, 9.0)) > 8.9
    source.state = lambda s: (1.3, 2.0, 0.0, 0.0)
    assert max(source.faults(9.0, 12.0)) < 9.0 + 3.0 * TIMEOUT_S


def test_a_robot_that_did_not_budge_is_pushed_again_when_it_moves_or_its_plan_has_ended():
    source = Source()
    source.state, source.share = (lambda s: (1.0, 2.0, 0.0, 0.0)), (lambda s: 1.0)
    assert source.faults(0.0, 1.0)
    source.share = lambda s: 0.0
    assert max(source.faults(1.0, 9.0)) > 8.9  # it waits for somebody
    source.watch.release()
    assert max(source.faults(9.0, 12.0), default=0.0) < 9.0 + 3.0 * TIMEOUT_S


def driven(follower, state, stamp_s, seconds, start_s=0.0):
    """Run a follower at 100 Hz; return its actions."""
    actions = []
    for s in (start_s + np.arange(0.0, seconds, 0.01)).tolist():
        follower.take_odometry(np.array(state(s)), round(stamp_s(s) * NS_PER_S), s)
        actions.append(follower.answer().action)
    return np.array(actions)


def plan():
    """Return a plan of five seconds at full force."""
    states = np.tile((1.0, 2.0, 0.5, 0.0), (500, 1))
    return Plan(np.ones((500, 2)), states, 0.01, states[-1, :2])


@pytest.mark.parametrize('execution', ['raw', 'tracking'])
def test_a_follower_brakes_drops_the_plan_and_takes_a_new_one_when_it_advances(execution):
    follower = PlanFollower(Executor(execution), 0.01, 2.0, TIMEOUT_S, False, 25)
    follower.take_plan(plan(), 0)
    driven(follower, lambda s: (1.0 + 0.5 * s, 2.0, 0.5, 0.0), lambda s: min(s, 0.1), 0.4)
    assert follower.has_current_plan
    actions = driven(follower, lambda s: (1.0 + 0.5 * s, 2.0, 0.5, 0.0), lambda s: 0.1, 1.0, 0.4)
    assert not follower.has_current_plan
    assert (actions[25:, 0] < 0.0).all()  # by the velocity, which is alive
    follower.take_plan(plan(), 0)
    assert not follower.has_current_plan
    driven(follower, lambda s: (1.0 + 0.5 * s, 2.0, 0.5, 0.0), lambda s: s, 2.0, 2.0)
    assert follower.watch.fault is None and not follower.has_current_plan
    follower.take_plan(plan(), round(4.0 * NS_PER_S))
    assert follower.has_current_plan


def test_a_follower_does_not_brake_by_a_frozen_velocity():
    follower = PlanFollower(Executor('tracking'), 0.01, 2.0, TIMEOUT_S, False, 25)
    actions = driven(follower, lambda s: (1.0, 2.0, 0.5, 0.0), lambda s: s, 3.0)
    assert (actions[:6, 0] < 0.0).all() and (actions[15:] == 0.0).all()


def test_in_lockstep_nothing_is_watched():
    follower = PlanFollower(Executor('raw'), 0.01, 2.0, TIMEOUT_S, True, 25)
    follower.take_plan(plan(), 0)
    for _ in range(1000):
        follower.take_odometry(np.array((1.0, 2.0, 0.5, 0.0)), 0)
    assert follower.has_current_plan and follower.answer().action.tolist() == [1.0, 1.0]


def test_a_robot_that_is_put_elsewhere_follows_no_plan_from_before():
    follower = PlanFollower(Executor('tracking'), 0.01, 2.0, TIMEOUT_S, False, 25)
    for s in np.arange(0.0, 0.5, 0.01).tolist():
        x = 1.0 if s < 0.3 else 4.0
        follower.take_odometry(np.array((x, 2.0, 0.0, 0.0)), round(s * NS_PER_S), s)
        follower.take_plan(plan(), 0)  # the last ones were on their way
        assert follower.has_current_plan == (0.0 < s < 0.3)
    there = plan()
    there.states[:, 0] += 3.0
    follower.take_plan(there, round(0.49 * NS_PER_S))
    assert follower.has_current_plan


@pytest.mark.parametrize('back_s, is_named', [(0.05, False), (0.1, False), (0.15, True),
                                              (0.3, True), (0.9, True)])
def test_stamps_that_go_back_are_named_at_once(back_s, is_named):
    """Until they catch up, no message counts: the robot would be without commands for so long."""
    watch, found = OdometryWatch(TIMEOUT_S), []
    for step in range(350):
        now_s = 0.01 * step
        stamp_s = now_s - back_s * (step >= 100)
        found.append(watch.hear(np.array([now_s, 0.0, 1.0, 0.0]), round(stamp_s * NS_PER_S),
                                now_s))
    assert found[:100] == [None] * 100
    assert ('went back' in (found[100] or '')) == is_named
    if is_named:
        assert found[-1] is None  # it is trusted again after a while
