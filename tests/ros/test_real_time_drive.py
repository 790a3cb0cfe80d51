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

"""Real time: ticks are kept while the planner is saturated, plans meet the robot where it is."""

from dataclasses import replace
import json
import math
import os
import subprocess
import sys
import time

from diagnostic_msgs.msg import DiagnosticArray
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from geometry_msgs.msg import WrenchStamped
from nav_msgs.msg import Odometry
import numpy as np
import profiles
import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from std_msgs.msg import Float64
from tiny_model import write_tiny_model
from trajectory_msgs.msg import MultiDOFJointTrajectory

from df_planner.driving.executor import Executor
from df_planner.driving.following import PlanFollower
from df_planner.nodes.planner.report import parts_of
from df_planner.nodes.planner.report import PlanTimes
from df_planner.planning.plan import Plan
from df_planner.robots.kinds import POINT
from df_planner.ros.conversions import ForceScale
from df_planner.ros.conversions import MapAxes
from df_planner.ros.conversions import ns_to_stamp
from df_planner.ros.conversions import stamp_to_ns
from df_planner.ros.robots.point import PointRobot
from df_planner.ros.timing import TickMeter
from df_planner.ros.trajectory_cdr import rows_from_message

START_UP_S = 90.0  # torch takes its time to load on a busy machine
TICK_NS = 10_000_000
AXES = MapAxes((0.0, 1.0, -1.0, 0.0))
ROBOT = PointRobot(AXES, ForceScale(POINT.max_force_n, POINT.mass_kg))
GOAL = (1.0, -1.0)  # x, y in the umaze
REST = np.array([3.0, 1.0, 0.0, 0.0])
# An untrained model plans noise: without the collision check that is a plan like any other.
QUICK = {'collision_check': False, 'num_samples': 4, 'sampling_steps': 2, 'hold_at_goal': False}
# Some tenths of a second per plan, or more, and one after the other.
SATURATED = {'collision_check': False, 'num_samples': 32, 'sampling_steps': 150,
             'timeout_s': 120.0, 'odom_timeout_s': 60.0, 'planning_frequency_hz': 100.0,
             'hold_at_goal': False}


def line(speed_mps=1.0, steps=100, action=0.1):
    """Return a plan along the columns at a constant speed."""
    states = np.tile(REST, (steps + 1, 1))
    states[:, 1] += speed_mps * 0.01 * np.arange(steps + 1)
    states[:, 3] = speed_mps
    return Plan(np.full((steps + 1, 2), action), states, 0.01, states[-1, :2])


# Parts


def test_ticks_are_counted_and_late_ones_named():
    meter = TickMeter(0.01)
    for now_s in (1.0, 1.01, 1.02, 1.045, 1.05):
        meter.tick(now_s)
    values = meter.values()
    assert (values['ticks'], values['late_ticks']) == (5, 1)
    assert values['longest_gap_ms'] == '25.0'
    meter.interrupt()
    assert meter.tick(9.0) is None
    assert meter.late == 1


def test_a_new_plan_is_entered_where_the_robot_will_be_on_it():
    plan, new_ns = line(), 104 * TICK_NS
    follower = PlanFollower(Executor('tracking'), 0.01, 2.0, 0.5, False, 25)
    assert follower.entered(plan, new_ns, 10) == (plan, new_ns), 'no plan to follow until then'
    follower.take_odometry(plan.states[0], 100 * TICK_NS)
    follower.take_plan(plan, 100 * TICK_NS)
    follower.take_odometry(plan.states[5], 105 * TICK_NS)
    entered, stamp_ns = follower.entered(plan, new_ns, 10)
    assert np.array_equal(entered.states, plan.states[15:]) and stamp_ns == 115 * TICK_NS
    elsewhere = replace(plan, states=plan.states + [1.0, 0.0, 0.0, 0.0])
    assert follower.entered(elsewhere, new_ns, 10) == (elsewhere, new_ns)


def test_a_plan_stamped_ahead_waits_and_a_late_one_is_entered_where_the_robot_is():
    follower = PlanFollower(Executor('raw'), 0.01, 2.0, 0.5, False, 25)

    def action_at(step):
        follower.take_odometry(REST, step * TICK_NS)
        return follower.answer()

    def ramp(first):
        return Plan(np.stack([first + 1e-3 * np.arange(100), np.zeros(100)], 1),
                    np.tile(REST, (100, 1)), 0.01, REST[:2])

    follower.take_plan(ramp(0.0), 100 * TICK_NS)
    assert action_at(100).action[0] == pytest.approx(0.0)
    follower.take_plan(ramp(0.5), 120 * TICK_NS)
    assert action_at(119).action[0] == pytest.approx(0.019)
    seam = action_at(120)
    assert seam.action[0] == pytest.approx(0.5)
    assert seam.seam_jump == pytest.approx(0.48, abs=1e-6)
    follower.take_plan(ramp(-0.5), 125 * TICK_NS)  # 5 steps on: late by 26 when it is seen
    assert action_at(151).action[0] == pytest.approx(-0.474)
    assert action_at(152).seam_jump is None
    follower.take_plan(ramp(0.5), 160 * TICK_NS)
    follower.take_plan(None, 153 * TICK_NS)  # "brake" takes the next plan with it
    assert action_at(165).tracking_error_m is None


def test_where_the_time_of_plans_went():
    plan = Plan(np.zeros((2, 2)), np.zeros((2, 4)), 0.01, np.zeros(2),
                timings={'network': 0.03, 'checks': 0.01, 'total': 0.045})
    parts = parts_of(plan, 0.05)
    assert parts == pytest.approx({'total_ms': 50.0, 'network_ms': 30.0, 'checks_ms': 10.0,
                                   'other_ms': 10.0})
    times = PlanTimes()
    for scale in (1.0, 2.0, 3.0):
        times.add({name: scale * value for name, value in parts.items()})
    assert times.values()['network_ms'] == '60.0 / 87.0 / 89.4'


# Nodes


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    """Return the path of a tiny model."""
    return write_tiny_model(tmp_path_factory.mktemp('model'))


class Listener:
    """What the nodes of a namespace say, and a goal for them."""

    def __init__(self, probe, namespace):
        self.probe, self.namespace = probe, namespace
        self.odometry = self.listen(Odometry, 'odom')
        self.wrenches = self.listen(WrenchStamped, 'cmd_wrench')
        self.trajectories = self.listen(MultiDOFJointTrajectory, 'plan_trajectory')
        self.periods = self.listen(Float64, 'follower/command_period')
        self.times = self.listen(Float64, 'planner/planning_time')
        self.details = self.listen(DiagnosticStatus, 'planner/planning_time_detail')
        self.diagnostics = probe.listen(DiagnosticArray, '/diagnostics')

    def listen(self, message_type, topic):
        """Return a list that fills with every message of a topic."""
        return self.probe.listen(message_type, f'{self.namespace}/{topic}', profiles.RECORDING_QOS)

    def send_goal(self, position=GOAL, stamp_ns=0, subscribers=1):
        """Publish a goal; the first one, once there are so many to hear it."""
        if not hasattr(self, '_goals'):
            self._goals = self.probe.publisher(
                PoseStamped, f'{self.namespace}/goal_pose', profiles.LATEST_QOS, subscribers)
        msg = PoseStamped()
        msg.header.frame_id, msg.header.stamp = 'map', ns_to_stamp(stamp_ns)
        msg.pose.position.x, msg.pose.position.y = position
        self._goals.publish(msg)

    def values(self, task):
        """Wait for the next status of a task and return its values."""
        self.diagnostics.clear()

        def found():
            return [status for msg in self.diagnostics for status in msg.status
                    if status.name == f'{self.namespace}/{task}'.lstrip('/')]
        self.probe.wait_until(found, f'the status of {task}')
        return {pair.key: pair.value for pair in found()[-1].values}


def test_ticks_are_kept_while_the_planner_is_saturated(start_node, probe, model):
    arguments = ('-r', '__ns:=/busy')
    start_node('maze_sim', arguments, maze='umaze')
    planner = start_node('planner', arguments, checkpoint='point', use_sim_time=True,
                         **{**SATURATED, 'num_samples': 8, 'sampling_steps': 80})
    start_node('follower', arguments, use_sim_time=True)
    planner.wait_for_log('Ready for goals', START_UP_S)
    busy = Listener(probe, '/busy')
    probe.wait_until(lambda: busy.odometry, 'odometry')
    busy.send_goal(subscribers=2)  # planner and simulator
    probe.wait_until(lambda: busy.wrenches, 'commands on the first plan', 60.0)
    busy.wrenches.clear()
    busy.periods.clear()  # and with them what happened while the nodes started
    began = time.monotonic()
    planned = len(busy.times)  # two plans on, the robot is still on its way
    probe.wait_until(lambda: len(busy.times) >= planned + 2, 'more plans', 60.0)
    probe.wait_until(lambda: stamp_to_ns(busy.wrenches[-1].header.stamp)
                     >= stamp_to_ns(busy.odometry[-1].header.stamp) - 20 * TICK_NS, 'answers')
    elapsed_s = time.monotonic() - began

    # In two plans' time, which nobody waited for, (nearly) every odometry had its answer.
    plan_s = min(msg.data for msg in busy.times)
    answered = sorted({stamp_to_ns(msg.header.stamp) for msg in busy.wrenches})
    heard = [msg for msg in busy.odometry
             if answered[0] <= stamp_to_ns(msg.header.stamp) <= answered[-1]]
    assert plan_s > 0.1 and elapsed_s > plan_s
    assert len(answered) > 0.9 * len(heard)
    assert max(np.diff(answered)) * 1e-9 < 0.5 * plan_s
    assert len(busy.periods) > 0.9 * len(heard)
    assert max(msg.data for msg in busy.periods) < 0.5 * plan_s
    values = busy.values('follower: ticks')
    assert float(values['longest_gap_ms']) >= 1e3 * max(msg.data for msg in busy.periods) - 0.1
    assert abs(float(values['period_p50_ms']) - 10.0) < 2.0
    assert {'late_ticks', 'period_p99_ms', 'jitter_p99_ms', 'scheduling', 'seams',
            'odom_to_command_p50_ms', 'odom_to_command_p99_ms'} <= set(values)
    values = busy.values('planner: inference')
    assert float(values['p99_s']) >= float(values['p50_s']) > 0.1
    assert int(values['overruns']) == int(values['plans']) >= 3
    assert int(values['expected_latency_steps']) > 10
    assert {'late_plans', 'network_ms p50 / p95 / p99', 'checks_ms p50 / p95 / p99'} <= set(values)
    assert busy.values('planner: model')['num_threads'] == '1'
    # A cancelled plan has no detail.
    message, seconds = [(message, seconds.data) for message, seconds in zip(
        busy.details, busy.times) if message.values][-1]
    detail = {pair.key: float(pair.value) for pair in message.values}
    assert detail['total_ms'] == pytest.approx(1e3 * seconds)
    parts = [detail[f'{name}_ms'] for name in ('route', 'network', 'guidance', 'checks', 'other')]
    assert parts[1] > 0.0 and parts[3] > 0.0 and sum(parts) == pytest.approx(detail['total_ms'])


def test_a_plan_begins_where_the_one_before_will_have_led(start_node, probe, model):
    node = start_node('planner', ('-r', '__ns:=/ahead'), checkpoint=model,
                      planning_frequency_hz=20.0, **QUICK)
    node.wait_for_log('Ready for goals', START_UP_S)
    ahead = Listener(probe, '/ahead')
    odometry = probe.publisher(Odometry, '/ahead/odom')
    ahead.send_goal()
    probe.wait_until_found_by('/ahead/planner')

    def be(tick, state):
        msg = Odometry(child_frame_id='base_link')
        msg.header.frame_id, msg.header.stamp = 'odom', ns_to_stamp(tick * TICK_NS)
        x, y = AXES.to_map(state[:2])
        msg.pose.pose.position.x, msg.pose.pose.position.y = float(x), float(y)
        vx, vy = AXES.to_map(state[2:])
        msg.twist.twist.linear.x, msg.twist.twist.linear.y = float(vx), float(vy)
        odometry.publish(msg)
        assert np.allclose(ROBOT.state(msg, ('odom',)), state)

    def next_plan(tick, state):
        """Send odometry and return the plan that answers it, and its first tick."""
        known = len(ahead.trajectories)
        be(tick, state)
        probe.wait_until(lambda: len(ahead.trajectories) > known, 'a plan')
        found = ahead.trajectories[-1]
        plan = ROBOT.plan(rows_from_message(found), ('map',), 0.01)
        return plan, stamp_to_ns(found.header.stamp) // TICK_NS

    be(99, REST)  # a source is driven by from its second stamp on
    first, first_tick = next_plan(100, REST)
    assert first_tick == 100
    second, second_tick = next_plan(105, first.states[5])  # nothing is known of latency yet
    assert second_tick == 105 and np.allclose(second.states[0], first.states[5], atol=1e-6)
    third, third_tick = next_plan(110, second.states[5])
    assert third_tick > 111
    expected = second.states[min(third_tick - 105, len(second) - 1)]
    assert np.allclose(third.states[0, :2], expected[:2], atol=1e-6)
    # A robot that is elsewhere does not follow the plan.
    where = np.array([3.0, 3.0, 0.0, 0.0])
    fourth, fourth_tick = next_plan(third_tick + 30, where)
    assert fourth_tick == third_tick + 30
    assert np.allclose(fourth.states[0], where, atol=1e-6)
    assert node.stop() == 0


def test_a_new_goal_ends_planning_between_two_calls_of_the_network(start_node, probe, model):
    node = start_node('planner', ('-r', '__ns:=/cancel'), checkpoint=model,
                      **{**SATURATED, 'sampling_steps': 1000, 'compensate_latency': False,
                         'lockstep': True})  # its stamps are invented
    node.wait_for_log('Ready for goals', START_UP_S)
    cancel = Listener(probe, '/cancel')
    odometry = probe.publisher(Odometry, '/cancel/odom')
    change = probe.client(SetParameters, '/cancel/planner/set_parameters')

    def be(tick):
        msg = Odometry(child_frame_id='base_link')
        msg.header.frame_id, msg.header.stamp = 'odom', ns_to_stamp(tick * TICK_NS)
        msg.pose.pose.position.x, msg.pose.pose.position.y = 1.0, -3.0
        odometry.publish(msg)

    probe.wait_until_found_by('/cancel/planner')
    cancel.send_goal()
    be(1)
    probe.wait_until(lambda: cancel.times, 'a plan', 60.0)
    slow_s = cancel.times[0].data
    assert slow_s > 0.3
    cancel.send_goal(stamp_ns=2 * TICK_NS)
    be(2)
    probe.spin_for(0.1)
    assert len(cancel.trajectories) == 1
    # From here on plans are quick, once the slow one has stopped.
    began = time.monotonic()
    probe.call(change, SetParameters.Request(
        parameters=[Parameter('sampling_steps', value=2).to_parameter_msg()]))
    cancel.send_goal((3.0, -3.0), stamp_ns=3 * TICK_NS)
    be(3)
    probe.wait_until(lambda: len(cancel.trajectories) > 1, 'a plan to the new goal', 60.0)
    assert time.monotonic() - began < 0.7 * slow_s
    end = cancel.trajectories[1].points[-1].transforms[0].translation
    assert math.dist((end.x, end.y), (3.0, -3.0)) <= 0.5
    assert node.stop() == 0


def test_the_command_measures_and_leaves_a_report(model, tmp_path):
    command = [sys.executable, '-m', 'df_planner.cli', 'measure', 'realtime', '--checkpoint',
               str(model), '--maze', 'umaze', '--episodes', '1', '--out', str(tmp_path / 'out')]
    for name in ('collision_check=false', 'num_samples=4', 'sampling_steps=2'):
        command += ['--set', name]
    environment = {key: value for key, value in os.environ.items() if key != 'ROS_DOMAIN_ID'}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=150)
    assert result.returncode == 0, result.stdout + result.stderr
    for words in ('ticks later than 20 ms', 'odometry to command', 'share of lockstep'):
        assert words in result.stdout
    found = json.loads((tmp_path / 'out/realtime.json').read_text())
    assert found['episodes'] == 1
    # Of an episode of 300 steps; a busy machine skips some.
    assert 100 < found['ticks']['count'] < 500
    assert found['diagnostics']['planner: inference']['plans']
    assert found['settings'] == {
        'collision_check': False, 'num_samples': 4, 'sampling_steps': 2}
    assert (tmp_path / 'out/realtime.png').stat().st_size > 10_000
