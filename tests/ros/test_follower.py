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


"""The follower: which plan counts when, and the node over DDS."""

import itertools
import math
from pathlib import Path
import signal
import subprocess
import sys
import time

from diagnostic_msgs.msg import DiagnosticArray
from diagnostic_msgs.msg import DiagnosticStatus
from follower_robot import make_plan
from follower_robot import ROBOT
from follower_robot import Robot
from follower_robot import SCALE
from follower_robot import START_NS
from follower_robot import STATE
from follower_robot import TICK_NS
from follower_robot import TREMBLE_M
from geometry_msgs.msg import Twist
from geometry_msgs.msg import Vector3
from nav_msgs.msg import OccupancyGrid
import numpy as np
from plan_messages import trajectory_message
import profiles
import pytest
from std_msgs.msg import Float64

from df_planner.driving.executor import Executor
from df_planner.driving.following import PlanFollower
from df_planner.driving.rest import Rest
from df_planner.errors import StaleInput
from df_planner.planning.plan import Plan
from df_planner.ros import conversions
from df_planner.ros.maps import occupancy_grid_message
from df_planner.sim.maze import load_maze


def make_follower(lockstep=False, execution='raw'):
    """Return a follower whose plans last 25 steps in lockstep, else 1 s."""
    return PlanFollower(Executor(execution), 0.01, 1.0, 0.5, lockstep, 25)


def answer_at(follower, stamp_ns):
    """Return the answer to STATE at a stamp."""
    follower.take_odometry(STATE, stamp_ns)
    return follower.answer()


BRAKE = Executor('raw').action(None, 0, STATE)


def test_step_is_counted_by_stamps():
    follower = make_follower()
    follower.take_plan(make_plan(), START_NS)
    for step in (0, 1, 7, 30, 70):
        answer = answer_at(follower, START_NS + step * TICK_NS)
        assert answer.action[0] == pytest.approx(1e-3 * step)
        assert answer.stamp_ns == START_NS + step * TICK_NS
        assert answer.tracking_error_m == 0.0


def test_brakes_without_plan_and_when_it_is_old():
    follower = make_follower()
    assert np.array_equal(answer_at(follower, START_NS).action, BRAKE)
    follower.take_plan(make_plan(), START_NS)
    for step in (50, 99):
        assert answer_at(follower, START_NS + step * TICK_NS).tracking_error_m is not None
    late = answer_at(follower, START_NS + 100 * TICK_NS)
    assert np.array_equal(late.action, BRAKE) and late.tracking_error_m is None


def test_empty_plan_brakes():
    follower = make_follower()
    follower.take_plan(make_plan(), START_NS)
    follower.take_plan(None, START_NS + TICK_NS)
    assert np.array_equal(answer_at(follower, START_NS + TICK_NS).action, BRAKE)


class Base:
    """A point robot that obeys the answers of a follower, tick by tick."""

    def __init__(self, follower):
        self.follower, self.state, self.stamp_ns = follower, STATE.copy(), START_NS

    def drive(self, ticks):
        """Return the answers of the next ticks; None for silence."""
        answers = []
        for _ in range(ticks):
            self.stamp_ns += TICK_NS
            self.follower.take_odometry(self.state.copy(), self.stamp_ns)
            answers.append(self.follower.answer())
            force = np.zeros(2) if answers[-1] is None else answers[-1].action
            self.state[2:] += 0.01 * SCALE.acceleration(force)
            self.state[:2] += 0.01 * self.state[2:]
        return answers


def ways_to_end(follower, base):
    """Return what ends a plan, by name."""
    return {'brake': lambda: follower.take_plan(None, base.stamp_ns),
            'time-out': lambda: None,
            'another time': lambda: follower.take_plan(make_plan(), base.stamp_ns + 10**12)}


@pytest.mark.parametrize('how', ways_to_end(None, None))
def test_the_end_of_a_plan_is_the_end_of_control(how):
    follower = make_follower()
    base = Base(follower)
    for drive in range(2):  # silence does not last
        base.state[2:] = 0.5
        follower.take_plan(make_plan(), base.stamp_ns)
        assert all(answer.tracking_error_m is not None for answer in base.drive(50))
        ways_to_end(follower, base)[how]()
        answers = base.drive(150)
        answered = [answer for answer in answers if answer is not None]
        braking = [answer for answer in answered if answer.tracking_error_m is None]
        assert answers[:len(answered)] == answered and answers[-1] is None
        assert np.abs(base.state[2:]).max() < 0.01  # it was braked, then let go
        assert len(braking) >= 25 and not braking[-1].action.any()
        assert not follower.has_control

        base.state += [1.5, 0.0, 0.7, 0.0]  # somebody pushes it
        follower.take_plan(None, base.stamp_ns)  # the planner may say so again and again
        assert base.drive(100) == [None] * 100
        assert base.state[2] == pytest.approx(0.7, abs=0.01)


def test_a_robot_that_turns_in_place_or_tells_no_speed_is_not_at_rest():
    rest, state = Rest(), np.array([1.0, 2.0, 0.0, 0.0, 1.0, 0.0])
    for step in range(100):
        rest.take(state + [0.01 * step, 0.0, 0.0, 0.0, 0.0, 0.0], step * TICK_NS)
        assert not rest.is_reached
    for step in range(100, 200):
        heading = np.cos(0.01 * step), np.sin(0.01 * step)
        rest.take(np.concatenate([state[:4], heading]), step * TICK_NS)
        assert not rest.is_reached
    rest.take(state, 200 * TICK_NS)
    rest.take(state, 224 * TICK_NS)
    assert not rest.is_reached
    rest.take(state, 225 * TICK_NS)
    assert rest.is_reached
    rest.take(state, 100 * TICK_NS)  # the clock jumped back
    assert not rest.is_reached


def test_lockstep_waits_for_a_young_plan():
    follower = make_follower(lockstep=True)
    assert answer_at(follower, START_NS) is None
    follower.take_plan(make_plan(), START_NS)
    assert follower.answer().stamp_ns == START_NS
    assert follower.answer() is None  # once
    assert answer_at(follower, START_NS) is not None  # and again when asked again
    assert answer_at(follower, START_NS + 24 * TICK_NS) is not None
    assert answer_at(follower, START_NS + 25 * TICK_NS) is None
    follower.take_plan(None, START_NS + 25 * TICK_NS)
    assert np.array_equal(follower.answer().action, BRAKE)
    at_rest = STATE * [1.0, 1.0, 0.0, 0.0]
    for step in range(26, 200):  # no tick without one
        stamp_ns = START_NS + step * TICK_NS
        follower.take_plan(None, stamp_ns)
        follower.take_odometry(at_rest, stamp_ns)
        assert not follower.answer().action.any()


@pytest.mark.parametrize('lockstep', [True, False])
def test_gap_in_time_ends_the_plan_made_before_it(lockstep):
    follower = make_follower(lockstep)
    follower.take_plan(make_plan(), START_NS)
    answer_at(follower, START_NS)
    after_ns = START_NS + 60 * TICK_NS
    follower.take_odometry(STATE, after_ns)
    assert not follower.has_current_plan
    follower.take_plan(make_plan(), after_ns)
    assert follower.answer().action[0] == 0.0


def test_plan_made_after_a_gap_may_come_before_its_odometry():
    follower = make_follower(lockstep=True)
    follower.take_plan(make_plan(), START_NS)
    answer_at(follower, START_NS)
    after_ns = START_NS + 200 * TICK_NS
    follower.take_plan(make_plan(), after_ns)
    assert answer_at(follower, after_ns) is not None


def test_restarted_source_ends_the_plan_from_its_future():
    follower = make_follower()
    follower.take_plan(make_plan(), START_NS)
    answer_at(follower, START_NS)
    assert answer_at(follower, 0).tracking_error_m is None
    with pytest.raises(StaleInput):
        follower.take_plan(make_plan(), TICK_NS)
        answer_at(follower, 2 * TICK_NS)
        follower.take_odometry(STATE, TICK_NS)


@pytest.mark.parametrize('lockstep', [False, True])
def test_a_base_that_cannot_hear_the_commands_is_named(start_node, probe, lockstep):
    """In lockstep, too, which has an executor of its own."""
    probe.listen(Twist, 'cmd_vel')
    diagnostics = probe.listen(DiagnosticArray, '/diagnostics')
    node = start_node('follower', robot='diff_drive', lockstep=lockstep)
    text = ('/cmd_vel: follower sends TwistStamped, but /probe listens to Twist: set '
            'enable_stamped_cmd_vel:=false')
    node.wait_for_log(text)
    probe.wait_until(lambda: any(
        status.name == 'follower: topics' and status.level == DiagnosticStatus.ERROR
        and text in status.message and 'nobody sends /odom' in status.message
        for msg in diagnostics for status in msg.status), 'the type in diagnostics')
    assert node.log.count(text) == 1


def test_node_follows_brakes_and_refuses(start_node, probe):
    node = start_node('follower', odom_timeout_s=60.0, execution='raw')
    node.wait_for_log('raw execution')
    errors = probe.listen(Float64, 'follower/tracking_error')
    robot = Robot(probe)
    diagnostics = probe.listen(DiagnosticArray, '/diagnostics')
    assert robot.answer(STATE, START_NS) == pytest.approx(BRAKE)

    robot.plan(make_plan(), START_NS)

    def follows():
        return robot.answer(STATE, START_NS + 10 * TICK_NS)[0] == make_plan().actions[10, 0]

    probe.wait_until(follows, 'the plan to be followed')
    probe.wait_until(lambda: errors, 'the tracking error')
    assert errors[-1].data == pytest.approx(TREMBLE_M)

    # Refused, each by name, while the plan in hand goes on.
    nan_plan = trajectory_message(ROBOT, make_plan(), conversions.ns_to_stamp(START_NS))
    nan_plan.points[3].accelerations[0].linear.x = float('nan')
    robot.trajectories.publish(nan_plan)
    node.wait_for_log('INVALID_INPUT: trajectory: must be finite')
    nan_plan.header.frame_id = 'moon'
    robot.trajectories.publish(nan_plan)
    node.wait_for_log('TF_ERROR: trajectory')
    robot.be(np.full(4, np.nan), START_NS + 11 * TICK_NS)
    node.wait_for_log('INVALID_INPUT: odometry')
    robot.be(STATE, START_NS + 11 * TICK_NS, 'moon')
    node.wait_for_log('TF_ERROR: odometry')
    robot.be(STATE, START_NS)
    node.wait_for_log('STALE_INPUT: odometry')
    probe.wait_until(lambda: any('STALE_INPUT' in status.message
                                 for msg in diagnostics for status in msg.status),
                     'the refusal in diagnostics')
    assert robot.answer(STATE, START_NS + 12 * TICK_NS)[0] == make_plan().actions[12, 0]
    # It ends: let go, whatever the plan says.
    assert node.stop(signal.SIGTERM) == 0
    probe.wait_until(lambda: robot.wrenches[-1].wrench.force == Vector3(), 'zero force at the end')
    assert 'Traceback' not in node.log


def test_node_is_silent_after_a_plan_until_the_next_one_and_brakes_before_it_ends(
        start_node, probe):
    node = start_node('follower', execution='raw', odom_timeout_s=60.0, plan_timeout_s=600.0)
    node.wait_for_log('raw execution')
    robot = Robot(probe)
    at_rest, stamps_ns = STATE * [1.0, 1.0, 0.0, 0.0], itertools.count(START_NS, TICK_NS)

    def drive_until(state, condition, what):
        """Publish odometry, 50 times a second, until something is so."""
        due_s = time.monotonic()

        def look():
            nonlocal due_s
            if time.monotonic() >= due_s:
                robot.be(state, next(stamps_ns))
                due_s = time.monotonic() + 0.02
            return condition()
        probe.wait_until(look, what)

    def action():
        return ROBOT.action(robot.wrenches[-1], ('map',)) if robot.wrenches else np.zeros(2)

    def follow():
        robot.plan(make_plan(3000), next(stamps_ns))
        drive_until(STATE, lambda: action()[0] > 0.0, 'the plan to be followed')

    follow()
    diagnostics = probe.listen(DiagnosticArray, '/diagnostics')
    robot.plan(None, START_NS)
    drive_until(at_rest, lambda: any('no commands' in status.message for msg in diagnostics
                                     for status in msg.status), 'the end of control')
    probe.wait_until(lambda: not action().any(), 'the last command')
    pushed_ns = next(stamps_ns)

    def is_heard():
        robot.be(STATE, pushed_ns)
        robot.be(STATE, pushed_ns, 'moon')
        return 'TF_ERROR: odometry' in node.log
    probe.wait_until(is_heard, 'the odometry of a robot that is pushed')
    follow()
    assert not any(conversions.stamp_to_ns(msg.header.stamp) == pushed_ns
                   for msg in robot.wrenches)

    # It ends in mid-drive: brakes while there is odometry, lets go, and leaves.
    node.process.send_signal(signal.SIGTERM)
    drive_until(STATE, lambda: action()[0] < 0.0, 'the brake')
    drive_until(at_rest, lambda: node.process.poll() is not None, 'the end')
    assert node.process.returncode == 0
    probe.wait_until(lambda: not action().any(), 'zero force at the end')
    assert 'Traceback' not in node.log


def test_node_does_not_follow_when_odometry_stops_or_does_not_advance(start_node, probe):
    node = start_node('follower', odom_timeout_s=0.4, execution='raw')
    node.wait_for_log('raw execution')
    robot = Robot(probe)
    statuses = probe.listen(DiagnosticArray, '/diagnostics')

    def answer(stamp_ns):
        moving = (0.5 * time.monotonic(), *STATE[1:])
        return robot.answer(moving, stamp_ns, again_s=0.05)

    def follows():
        now_ns = time.monotonic_ns()
        robot.plan(make_plan(), now_ns - 10 * TICK_NS)
        return answer(now_ns)[0] > 0.0

    def says(task, text):
        return any(text in status.message for msg in statuses for status in msg.status
                   if status.name == f'follower: {task}' and status.level != b'\0')

    # Odometry stops: let go, once. After the gap the old plan does not count: brake.
    probe.wait_until(follows, 'the plan to be followed')
    node.wait_for_log('no odometry for')
    probe.wait_until(lambda: robot.wrenches[-1].wrench.force.x == 0.0, 'zero force')
    assert answer(time.monotonic_ns()) == pytest.approx(BRAKE)

    # It goes on, but its stamps do not: brake, say why, and follow no new plan either.
    probe.wait_until(follows, 'the plan to be followed again')
    stuck_ns = time.monotonic_ns()
    probe.wait_until(lambda: answer(stuck_ns) == pytest.approx(BRAKE), 'the brake')
    probe.wait_until(lambda: answer(stuck_ns) is not None and says(
        'following', 'odometry does not advance: its stamp has stood at'), 'the reason')
    assert says('inputs', 'STALE_INPUT: odometry does not advance')
    robot.plan(make_plan(), stuck_ns)
    probe.spin_for(0.1)
    assert answer(stuck_ns) == pytest.approx(BRAKE)
    # When they advance, a new plan counts again.
    probe.wait_until(follows, 'the plan to be followed after all')
    assert node.stop() == 0


def test_node_in_lockstep_answers_when_the_plan_comes(start_node, probe):
    node = start_node('follower', lockstep=True, lockstep_plan_steps=5, execution='raw')
    node.wait_for_log('raw execution')
    robot = Robot(probe)
    robot.be(STATE, START_NS)
    probe.spin_for(0.3)
    assert not robot.wrenches
    robot.plan(make_plan(), START_NS)
    probe.wait_until(lambda: len(robot.wrenches) == 1, 'the answer to the waiting odometry')
    for step in range(1, 5):
        action = robot.answer(STATE, START_NS + step * TICK_NS, again_s=math.inf)
        assert action[0] == make_plan().actions[step, 0]
    robot.be(STATE, START_NS + 5 * TICK_NS)
    probe.spin_for(0.2)
    assert len(robot.wrenches) == 5
    robot.plan(None, START_NS + 5 * TICK_NS)
    probe.wait_until(lambda: len(robot.wrenches) == 6, 'the answer to the empty plan')
    assert node.stop() == 0


def test_node_drives_time_optimally_once_it_has_a_map(start_node, probe):
    node = start_node('follower', execution='time_optimal', odom_timeout_s=5.0)
    node.wait_for_log('time_optimal execution')
    robot = Robot(probe)
    states = np.zeros((201, 4))
    states[:, 0], states[:, 1] = 3.0, np.linspace(1.0, 3.0, 201)  # 2 m in 2 s
    plan = Plan(np.zeros((201, 2)), states, 0.01, states[-1, :2])
    rest = states[0]
    robot.plan(plan, START_NS)
    assert robot.answer(rest, START_NS) == pytest.approx(np.zeros(2))  # brakes, at rest already

    data, origin = load_maze('umaze').occupancy_grid(0.1)
    maps = probe.publisher(OccupancyGrid, 'map', profiles.LATCHED_QOS)
    maps.publish(occupancy_grid_message(data, origin, 0.1, conversions.ns_to_stamp(0), 'map'))

    def accelerates():
        robot.be(rest, START_NS)
        return robot.answer(rest, START_NS + TICK_NS)[1] > 0.8
    probe.wait_until(accelerates, 'full force along the way')
    braking = robot.answer(np.array([3.0, 2.6, 0.0, 4.0]), START_NS + 40 * TICK_NS)
    assert braking[1] < -0.5  # half-way in time of the plan as it was, near the end as it is
    assert node.stop() == 0
    assert 'Traceback' not in node.log


def test_process_loads_neither_network_nor_simulator():
    code = 'import df_planner.nodes.follower.node, sys; print(*sys.modules)'
    loaded = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                            check=True, cwd=Path(__file__).parents[2]).stdout.split()
    assert 'rclpy' in loaded
    assert not {'torch', 'mujoco', 'df_planner.sim.world'} & set(loaded)
