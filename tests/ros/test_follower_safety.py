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

"""The follower is the last one before the motors: what it refuses, limits and names."""

import math

from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticArray
from follower_robot import make_plan
from follower_robot import ROBOT
from follower_robot import Robot
from follower_robot import START_NS
from follower_robot import STATE
from follower_robot import TICK_NS
import numpy as np
from plan_messages import trajectory_message
import pytest

from df_planner.driving.executor import EXECUTIONS
from df_planner.driving.executor import Executor
from df_planner.driving.following import PlanFollower
from df_planner.planning.plan import Plan
from df_planner.ros import conversions
from df_planner.ros.timing import ResponseTimes

PLAN_TIMEOUT_S = 1.0


def make_follower(execution):
    """Return a follower out of lockstep."""
    return PlanFollower(Executor(execution), 0.01, PLAN_TIMEOUT_S, 0.5, False, 25)


@pytest.mark.parametrize('execution', EXECUTIONS)
@pytest.mark.parametrize('scale', [1.0, 5.0, -1e6, 1e308])
def test_no_command_exceeds_the_limits_whatever_the_plan_and_the_robot_do(execution, scale):
    follower = make_follower(execution)
    generator = np.random.default_rng(0)
    plan = Plan(scale * generator.uniform(-1, 1, (100, 2)),
                scale * generator.uniform(-1, 1, (100, 4)), 0.01, np.zeros(2))
    follower.take_plan(plan, START_NS)
    for step in range(120):
        state = -scale * generator.uniform(-1, 1, 4)
        with np.errstate(over='ignore', invalid='ignore'):
            follower.take_odometry(state, START_NS + step * TICK_NS)
            action = follower.answer().action
        assert np.isfinite(action).all() and np.abs(action).max() <= 1.0


def test_the_end_of_a_plan_is_held_and_then_braked_at():
    follower = make_follower('tracking')
    plan = make_plan(50)
    follower.take_plan(plan, START_NS)
    pushed = STATE + [0.1, 0.0, -STATE[2], -STATE[3]]  # at rest, 0.1 m off the end
    for step in (49, 60, 98):
        follower.take_odometry(pushed, START_NS + step * TICK_NS)
        assert follower.answer().action[0] < 0.0  # back
    follower.take_odometry(pushed, START_NS + 100 * TICK_NS)
    assert np.array_equal(follower.answer().action, np.zeros(2))


def test_a_plan_that_does_not_count_is_told_from_none():
    follower = make_follower('raw')
    follower.take_odometry(STATE, START_NS)
    assert not follower.has_current_plan and follower.plan_age_s is None
    for plan, late_steps, age_s in ((make_plan(), 0, 0.0), (make_plan(), 300, 3.0),
                                    (make_plan(), -400, -4.0), (None, 0, None)):
        follower.take_plan(plan, START_NS - late_steps * TICK_NS)
        assert follower.has_current_plan == (age_s == 0.0)
        assert follower.plan_age_s == (None if age_s is None else pytest.approx(age_s))


def test_response_times_are_told_with_their_tail():
    times = ResponseTimes()
    assert times.values() == {}
    for milliseconds in [1.0] * 197 + [9.0] * 3:
        times.add(1e-3 * milliseconds)
    assert times.values() == {'odom_to_command_p50_ms': '1.00', 'odom_to_command_p99_ms': '9.00',
                              'odom_to_command_longest_ms': '9.00'}


def trajectory(stamp_ns=START_NS, frame_id='map'):
    """Return a good plan as a message."""
    return trajectory_message(ROBOT, make_plan(), conversions.ns_to_stamp(stamp_ns), frame_id)


def spoilt(field, value, index=3):
    """Return a plan with one bad number."""
    msg = trajectory()
    point = msg.points[index]
    kind, _, name = field.partition('.')
    part = getattr(point, kind)[0]
    setattr(part.translation if kind == 'transforms' else part.linear, name, value)
    return msg


def timed(*times_s):
    """Return a plan whose first points come at these times."""
    msg = trajectory()
    for point, time_s in zip(msg.points, times_s):
        point.time_from_start = Duration(sec=math.floor(time_s),
                                         nanosec=round(1e9 * (time_s % 1.0)))
    return msg


def without(part):
    """Return a plan with a point that lacks a part."""
    msg = trajectory()
    setattr(msg.points[5], part, [])
    return msg


BAD_PLANS = {
    'NaN position': (spoilt('transforms.x', math.nan), 'INVALID_INPUT'),
    'NaN in the last point': (spoilt('transforms.y', math.nan, -1), 'INVALID_INPUT'),
    'infinite velocity': (spoilt('velocities.x', math.inf), 'INVALID_INPUT'),
    'infinite acceleration': (spoilt('accelerations.y', -math.inf), 'INVALID_INPUT'),
    'another frame': (trajectory(frame_id='camera'), 'TF_ERROR'),
    'no frame': (trajectory(frame_id=''), 'TF_ERROR'),
    'times that decrease': (timed(0.0, 0.01, 0.005), 'INVALID_INPUT'),
    'times that stand still': (timed(0.0, 0.01, 0.01), 'INVALID_INPUT'),
    'a negative time': (timed(-0.01), 'INVALID_INPUT'),
    'a late first point': (timed(0.005), 'INVALID_INPUT'),
    'another spacing': (timed(0.0, 0.015), 'INVALID_INPUT'),
    'no velocity': (without('velocities'), 'INVALID_INPUT'),
    'no position': (without('transforms'), 'INVALID_INPUT'),
}


@pytest.fixture(scope='module')
def shared(start_module_node, module_probe):
    """Return the follower that is shared by tests, and a robot."""
    node = start_module_node('follower', execution='raw', plan_timeout_s=PLAN_TIMEOUT_S,
                             odom_timeout_s=30.0)
    node.wait_for_log('raw execution')
    robot = Robot(module_probe)
    robot.node, robot.base_ns = node, START_NS
    robot.diagnostics = module_probe.listen(DiagnosticArray, '/diagnostics')
    return robot


@pytest.fixture
def robot(shared):
    """Return the robot, which is at rest and follows no plan, at a later time than before."""
    shared.base_ns += 1000 * TICK_NS
    return shared


def wait_for_status(robot, task, text):
    """Wait until a task's status contains a text, and return its values."""
    found = []

    def look():
        found.extend(status for msg in robot.diagnostics for status in msg.status
                     if status.name == f'follower: {task}' and text in status.message)
        robot.diagnostics.clear()
        return found
    robot.probe.wait_until(look, f'{text!r} in the status of {task}')
    return {pair.key: pair.value for pair in found[-1].values}


@pytest.mark.parametrize('what', BAD_PLANS)
def test_a_bad_plan_is_refused_by_name_and_the_one_in_hand_goes_on(robot, what):
    robot.answer(STATE, robot.base_ns)
    robot.plan(make_plan(), robot.base_ns)
    robot.probe.wait_until(
        lambda: robot.answer(STATE, robot.base_ns + 10 * TICK_NS)[0] > 0.009, 'the plan')
    msg, code = BAD_PLANS[what]
    msg.header.stamp = conversions.ns_to_stamp(robot.base_ns)
    robot.diagnostics.clear()
    robot.trajectories.publish(msg)
    wait_for_status(robot, 'inputs', f'refused {code}: trajectory')
    action = robot.answer(STATE, robot.base_ns + 20 * TICK_NS)
    assert action[0] == make_plan().actions[20, 0]
    robot.plan(make_plan(), robot.base_ns)
    wait_for_status(robot, 'inputs', 'all inputs accepted')


@pytest.mark.parametrize('shift_s, words', [
    (-5.0, 'the plan is stamped 5.0 s before'), (5.0, 'the plan is stamped 5.0 s after')])
def test_a_plan_of_another_time_is_not_followed_and_named(robot, shift_s, words):
    brake = Executor('raw').action(None, 0, STATE)
    robot.answer(STATE, robot.base_ns)
    robot.plan(make_plan(), robot.base_ns + round(shift_s * 1e9))
    wait_for_status(robot, 'following', words)
    assert robot.answer(STATE, robot.base_ns) == pytest.approx(brake)


def test_a_plan_beyond_the_limits_is_cut_to_them(robot):
    robot.answer(STATE, robot.base_ns)
    strong = make_plan()
    robot.plan(Plan(strong.actions + 50.0, strong.states, 0.01, strong.goal), robot.base_ns)
    robot.probe.wait_until(lambda: robot.answer(STATE, robot.base_ns)[0] == 1.0, 'the limit')
    assert max(abs(msg.wrench.force.x) for msg in robot.wrenches) <= 100.0
    assert max(abs(msg.wrench.force.y) for msg in robot.wrenches) <= 100.0


def test_the_time_from_odometry_to_command_is_in_diagnostics(robot):
    robot.answer(STATE, robot.base_ns)
    robot.diagnostics.clear()
    values = wait_for_status(robot, 'ticks', 'ticks later than')
    p50, p99, longest = (float(values[f'odom_to_command_{name}_ms'])
                         for name in ('p50', 'p99', 'longest'))
    assert 0.0 < p50 <= p99 <= longest < 5000.0


def test_it_ends_well(shared):
    assert shared.node.stop() == 0, shared.node.log
    assert 'Traceback' not in shared.node.log
