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

"""Maps that change while the planner node runs, over DDS, with the shipped model of a point."""

import pytest
from robot import GOAL
from robot import Robot
from robot import START_UP_S
from std_msgs.msg import Float64

from df_planner.ros.conversions import ns_to_stamp
from df_planner.ros.maps import occupancy_grid_message
from df_planner.sim.maze import load_maze

TOP, BOTTOM = slice(30, 40), slice(10, 20)  # rows of the umaze's corridors, in cells of 0.1 m


@pytest.fixture(scope='module')
def robot(start_module_node, module_probe):
    """Return the robot around a planner of any place."""
    node = start_module_node('planner', checkpoint='point', compensate_latency=False,
                             lockstep=True, odom_timeout_s=60.0)
    node.wait_for_log('Ready for goals', START_UP_S)
    robot = Robot(module_probe)
    robot.times = robot.listen(Float64, 'planner/planning_time')
    robot.wait_until_found()
    return robot


def umaze(shut=None):
    """Return the map of the umaze, with a wall at x = 1.8 m across one of its corridors."""
    data, origin = load_maze('umaze').occupancy_grid(0.1)
    if shut is not None:
        data[shut, 25:27] = 100
    return occupancy_grid_message(data, origin, 0.1, ns_to_stamp(0), 'map')


@pytest.mark.parametrize('shut, what', [(TOP, 'goal'), (BOTTOM, 'start')])
def test_no_way_is_said_with_its_reason_before_any_search(robot, shut, what):
    robot.base += 200
    robot.maps.publish(umaze(shut))
    robot.set_goal(GOAL)
    robot.times.clear()
    robot.send_odometry(robot.base)
    robot.wait_for_status('inputs', 'NO_VALID_PATH: no way on the map leads from (1.00, -3.00) to '
                          f'(1.00, -1.00): the {what}, with ')
    robot.probe.wait_until(lambda: robot.times, 'the time it took')
    assert robot.times[0].data < 0.1 and not robot.trajectories[-1].points
    robot.maps.publish(umaze())
    robot.trajectories.clear()
    robot.send_odometry(robot.base + 100)
    robot.probe.wait_until(lambda: robot.trajectories and robot.trajectories[-1].points, 'a plan')
    robot.clear_goal()
