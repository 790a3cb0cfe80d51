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

"""A planner that is killed in mid-drive, and a clock that jumps back: the goal outlives both."""

import math
import signal

from geometry_msgs.msg import PoseStamped
from profiles import LATCHED_QOS
from profiles import SENSOR_DATA_QOS
import pytest
from robot import end_of
from robot import GOAL
from robot import pose
from robot import Robot
from robot import START_UP_S
from robot import TICK_NS
from rosgraph_msgs.msg import Clock
from std_srvs.srv import Trigger
from tiny_model import write_tiny_model

from df_planner.ros.conversions import ns_to_stamp

QUICK = {'collision_check': False, 'num_samples': 4, 'sampling_steps': 2, 'backend': 'torch',
         'compensate_latency': False, 'odom_timeout_s': 60.0, 'lockstep': True}


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    """Return the path of a tiny model."""
    return write_tiny_model(tmp_path_factory.mktemp('model'))


def test_a_killed_planner_resumes_its_goal_but_not_one_that_was_cleared(start_node, probe, model):
    namespace = ('-r', '__ns:=/resumed')

    def start_planner():
        node = start_node('planner', namespace, checkpoint=model, **QUICK)
        node.wait_for_log('Ready for goals', START_UP_S)
        return node

    start_node('follower', namespace)  # it keeps the goal
    node = start_planner()
    robot = Robot(probe, '/resumed')
    kept = probe.listen(PoseStamped, '/resumed/resume_goal', LATCHED_QOS)
    robot.send_map()
    robot.set_goal(GOAL)
    robot.plan(1)
    probe.wait_until(lambda: kept and kept[-1].header.frame_id, 'the goal, kept', START_UP_S)
    assert node.stop(signal.SIGKILL) == -signal.SIGKILL

    robot.trajectories.clear()
    node = start_planner()
    node.wait_for_log('Resuming the goal of the planner before this one')
    # Odometry is not repeated, and the new planner may need a moment to be found.
    ticks = iter(range(100, 10000))

    def planned():
        robot.send_odometry(next(ticks))
        return robot.trajectories and robot.trajectories[-1].points

    robot.send_map()
    probe.wait_until(planned, 'a plan for the goal of before', 30.0)
    assert math.dist(end_of(robot.trajectories[-1]), GOAL) <= 0.5
    assert robot.call(Trigger, 'clear_goal').success
    probe.wait_until(lambda: not robot.trajectories[-1].points, 'no plan any more')
    probe.wait_until(lambda: not kept[-1].header.frame_id, 'nothing kept any more', START_UP_S)
    assert node.stop(signal.SIGKILL) == -signal.SIGKILL

    robot.trajectories.clear()
    node = start_planner()
    probe.spin_for(0.5)
    for tick in range(11000, 11020):
        robot.send_odometry(tick)
        probe.spin_for(0.02)
    assert not any(trajectory.points for trajectory in robot.trajectories)
    assert 'Resuming the goal' not in node.log
    assert node.stop() == 0

    # Nor the goal of an action, which its client can neither watch nor cancel any more.
    by_action = pose(GOAL, tick=1)
    probe.publisher(PoseStamped, '/resumed/active_goal', LATCHED_QOS).publish(by_action)
    probe.wait_until(lambda: kept[-1].header == by_action.header, 'the goal, kept')
    node = start_planner()
    for tick in range(12000, 12020):
        robot.send_odometry(tick)
        probe.spin_for(0.02)
    assert 'Resuming the goal' not in node.log
    assert node.stop() == 0


def test_after_the_clock_has_jumped_back_the_goal_is_planned_for_from_new_odometry(
        start_node, probe, model):
    node = start_node('planner', ('-r', '__ns:=/jumping'), checkpoint=model, use_sim_time=True,
                      **QUICK)
    node.wait_for_log('Ready for goals', START_UP_S)
    robot = Robot(probe, '/jumping')
    robot.send_map()
    clock = probe.publisher(Clock, '/clock', SENSOR_DATA_QOS)
    probe.wait_until_found_by('/jumping/planner')

    def set_clock(tick):
        clock.publish(Clock(clock=ns_to_stamp(tick * TICK_NS)))
        robot.state()  # heard, by when this is answered

    set_clock(10000)
    robot.set_goal(GOAL, tick=10000)
    assert robot.plan(10001).points
    set_clock(10100)
    assert 'The clock jumped back' not in node.log
    for jumps in (1, 2):  # a simulator that starts again and again
        set_clock(10)
        probe.wait_until(lambda: node.log.count('The clock jumped back') == jumps, 'the jump')
        robot.probe.spin_for(0.2)
        assert robot.trajectories == []  # the odometry of before is of another time
        again = robot.plan(11)
        assert math.dist(end_of(again), GOAL) <= 0.5
        assert robot.plan(36).points
        set_clock(5000)
    # Paused: the clock stands still, and so does what hangs on it, but the node answers.
    robot.probe.spin_for(0.3)
    assert robot.trajectories == []
    assert robot.call(Trigger, 'replan').success
    assert robot.plan(5001).points
    assert node.stop() == 0
    assert not robot.next_trajectory().points  # the last word: brake
