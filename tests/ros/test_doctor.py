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

"""``df_planner doctor`` beside a robot, over DDS; ``../test_doctor_rules.py`` has every rule."""

import math
import signal
import subprocess
import sys

from click.testing import CliRunner
import pytest
from stand_in_robot import Fault
from stand_in_robot import Judge
from stand_in_robot import Motion
from stand_in_robot import StandInRobot
from tiny_model import write_tiny_model

from df_planner.cli.main import main
from df_planner.ros.conversions import ns_to_stamp
from df_planner.ros.maps import occupancy_grid_message
from df_planner.sim.maze import load_maze

RADIUS_M, SPEED_MPS = 0.25, 0.5


def on_a_circle(true, began, age_s):
    """Return the motion of a robot that somebody drives in circles, in a cell of the umaze."""
    angle = age_s * SPEED_MPS / RADIUS_M
    yaw = angle + math.pi / 2
    return Motion(began.x + RADIUS_M * math.cos(angle), began.y + RADIUS_M * math.sin(angle), yaw,
                  SPEED_MPS * math.cos(yaw), SPEED_MPS * math.sin(yaw), SPEED_MPS / RADIUS_M)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """Return an untrained model of the umaze."""
    return str(write_tiny_model(tmp_path_factory.mktemp('model')))


@pytest.fixture
def robot(ros_context):
    """Return a robot at (1, -1) of the umaze that publishes the map too."""
    robot = StandInRobot(ros_context, 'point', Motion(1.0, -1.0), Judge(0.5))
    data, origin = load_maze('umaze').occupancy_grid(0.1)
    robot.send_map(occupancy_grid_message(data, origin, 0.1, ns_to_stamp(0), 'map'))
    yield robot
    robot.close()


def doctor(*arguments):
    """Run the command in this process, where torch is loaded once: exit code and lines."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        result = CliRunner().invoke(main, ['doctor', '--seconds', '2', *arguments])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return result.exit_code, result.stdout.splitlines()


def test_a_healthy_robot_and_what_the_command_looks_like(robot, checkpoint):
    robot.begin(Fault(report=on_a_circle))
    result = subprocess.run(
        [sys.executable, '-m', 'df_planner.cli', 'doctor', '--seconds', '3', '--checkpoint',
         checkpoint, '--ros-args', '-p', 'backend:=torch', '-p', 'odom_timeout_s:=5.0'],
        capture_output=True, text=True)

    lines = result.stdout.splitlines()
    assert result.returncode == 0, result.stdout + result.stderr
    assert lines[-1] == 'The planner would drive.'
    assert not [line for line in lines if line.startswith('BAD')], result.stdout
    for words in ('ok   model: ', 'ok   odom: ', 'nav_msgs/msg/Odometry, odom -> base_link',
                  'ok   twist: agrees', 'ok   map: ', 'ok   start: map (',
                  'ok   commands: /stand_in_robot listens to /cmd_wrench'):
        assert words in result.stdout


def test_what_is_wrong_with_the_odometry(robot, checkpoint):
    robot.begin(Fault(report=on_a_circle, stamp=lambda now_ns, began_ns: 0,
                      twist_of_the_map=True))
    code, lines = doctor('--checkpoint', checkpoint, '--ros-args', '-p', 'backend:=torch')

    assert code == 1, lines
    bad = [line for line in lines if line.startswith('BAD')]
    assert any('odom: odometry does not advance: its stamps are all 0' in line for line in bad)
    assert any('twist: does not agree with how the position moves: it is in the axes of the'
               in line for line in bad)
    assert 'things to mend, first odom: ' in lines[-1]


def test_what_is_wrong_with_names_and_parameters(robot, checkpoint):
    code, lines = doctor('--checkpoint', checkpoint, '--ros-args', '-r', '__ns:=/robot1',
                         '-p', 'use_sim_time:=true', '-p', 'backend:=torch',
                         '-p', 'robot_radius:=0.35', '-r', 'cmd_wrench:=/cmd_wrench')

    assert code == 1, lines
    told = '\n'.join(lines)
    assert 'BAD  clock: use_sim_time is true, but nobody publishes /clock' in told
    assert 'BAD  odom: nobody sends /robot1/odom ' in told and 'there is /odom of' in told
    assert 'BAD  map: nobody sends /robot1/map' in told
    assert 'ok   commands: /stand_in_robot listens to /cmd_wrench' in told
    assert 'robot_radius_m' in told


def test_nodes_that_run_are_examined(robot, checkpoint, start_node):
    robot.begin(Fault(report=on_a_circle))
    start_node('follower', arguments=('-r', 'cmd_wrench:=force'))
    planner = start_node('planner', checkpoint=checkpoint, backend='torch')
    planner.wait_for_log('Ready for goals')
    code, lines = doctor('--seconds', '4', '--ros-args', '-p', 'seed:=7')

    told = '\n'.join(lines)
    assert code == 1, lines
    assert 'ok   planner: runs, and its diagnostics are OK' in told
    assert 'seed is 0 in the planner that runs, not 7' in told
    assert 'commands: nobody listens to /force' in told
