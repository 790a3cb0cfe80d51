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

"""Maps that change while nodes run, over DDS: reasons for no way, updates, large maps."""

from importlib import import_module
import time

from follower_robot import Robot as FollowerRobot
from follower_robot import START_NS
from follower_robot import TICK_NS
import message_build
import numpy as np
import profiles
import pytest
from robot import GOAL
from robot import Robot
from robot import START_UP_S
from std_msgs.msg import Float64

from df_planner.planning.plan import Plan
from df_planner.ros.conversions import ns_to_stamp
from df_planner.ros.conversions import stamp_to_ns
from df_planner.ros.maps import occupancy_grid_message
from df_planner.sim.maze import load_maze

TOP, BOTTOM = slice(30, 40), slice(10, 20)  # rows of the umaze's corridors, in cells of 0.1 m


HOLD_PERIODS = 5  # of control, for which a command stands


@pytest.fixture(scope='module')
def update_type(tmp_path_factory):
    """Return map_msgs/OccupancyGridUpdate, which processes find while the tests run."""
    if not message_build.have_compiler():
        pytest.skip('no C++ compiler')
    folder = tmp_path_factory.mktemp('messages')
    message_build.build('map_msgs', folder)
    with message_build.installed(folder):
        yield import_module('map_msgs.msg').OccupancyGridUpdate


@pytest.fixture(scope='module')
def robot(start_module_node, module_probe, update_type):
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


def wait_for_plan(robot, is_wanted=True):
    """Send odometry, half a second later each time, until there is a plan, or none any more."""
    robot.trajectories.clear()

    def is_there():
        robot.base += 50
        robot.send_odometry(robot.base)
        return robot.trajectories and bool(robot.trajectories[-1].points) == is_wanted
    robot.probe.wait_until(is_there, 'a plan' if is_wanted else 'that the robot brakes')


@pytest.mark.parametrize('shut, what', [(TOP, 'goal'), (BOTTOM, 'start')])
def test_no_way_is_said_with_its_reason_before_any_search(robot, shut, what):
    robot.base += 200
    robot.maps.publish(umaze(shut))
    robot.set_goal(GOAL)
    robot.times.clear()
    wait_for_plan(robot, is_wanted=False)  # the map may be read after the goal
    robot.wait_for_status('inputs', 'NO_VALID_PATH: no way on the map leads from (1.00, -3.00) to '
                          f'(1.00, -1.00): the {what}, with ')
    robot.probe.wait_until(lambda: robot.times, 'the time it took')
    assert robot.times[-1].data < 0.1 and not robot.trajectories[-1].points
    robot.maps.publish(umaze())
    wait_for_plan(robot)
    robot.clear_goal()


def update_of(kind, cells, x, y, frame_id='map'):
    """Return a message of cells, (H, W), the first of them being (x, y) of the map."""
    msg = kind(x=x, y=y, width=cells.shape[1], height=cells.shape[0])
    msg.header.frame_id = frame_id
    msg.data = cells.astype(np.int8).ravel().tolist()
    return msg


def test_updates_of_the_map_shut_and_open_a_way(robot, update_type):
    robot.base += 200
    updates = robot.probe.publisher(update_type, 'map_updates', profiles.STANDARD_QOS)
    robot.wait_until_found()
    robot.maps.publish(umaze())
    robot.set_goal(GOAL)
    wait_for_plan(robot)
    updates.publish(update_of(update_type, np.full((10, 2), 100), 25, 30))
    wait_for_plan(robot, is_wanted=False)
    robot.wait_for_status('inputs', 'NO_VALID_PATH: no way on the map leads from (1.00, -3.00)')
    updates.publish(update_of(update_type, np.zeros((10, 2)), 25, 30))
    wait_for_plan(robot)
    updates.publish(update_of(update_type, np.zeros((10, 2)), 49, 30))
    robot.wait_for_status('inputs', 'INVALID_INPUT: map_updates: 2 x 10 cells from (49, 30) on '
                          'are not within the 50 x 50 of the map')
    robot.clear_goal()


def test_updates_of_a_large_map_cost_no_tick(robot, start_node, probe, update_type):
    """The follower reads maps for time_optimal: 10 updates of a map of 2000 x 2000 cells."""
    node = start_node('follower', execution='time_optimal', odom_timeout_s=5.0,
                      plan_timeout_s=60.0)
    node.wait_for_log('time_optimal execution')
    maps, robot = robot.maps, FollowerRobot(probe)  # that of the tests before is latched
    updates = probe.publisher(update_type, 'map_updates', profiles.STANDARD_QOS)
    probe.wait_until_found_by('follower')
    cells = np.zeros((2000, 2000), np.int8)
    cells[::40, ::40] = 100
    maps.publish(occupancy_grid_message(cells, (-50.0, -50.0), 0.05, ns_to_stamp(0), 'map'))
    states = np.zeros((2001, 4))
    states[:, 0], states[:, 1], states[:, 3] = 1.0, np.linspace(1.0, 7.0, 2001), 0.3
    robot.plan(Plan(np.zeros((2001, 2)), states, 0.01, states[-1, :2]), START_NS)
    sent = 0

    def unanswered(ticks, every_20th=lambda: None):
        """Drive on, and return the longest run of odometry messages without a command."""
        nonlocal sent
        first, robot.wrenches[:] = sent, []
        for _ in range(ticks):
            robot.be(states[sent], START_NS + sent * TICK_NS)
            if sent % 20 == 0:
                every_20th()
            sent += 1
            probe.spin_for(0.01)
        probe.spin_for(0.2)
        answered = {(stamp_to_ns(msg.header.stamp) - START_NS) // TICK_NS
                    for msg in robot.wrenches}
        ends = [first - 1, *sorted(answered & set(range(first, sent))), sent]
        return int(np.diff(ends).max()) - 1

    def moves():
        unanswered(10)
        return any(msg.wrench.force.x for msg in robot.wrenches)
    probe.wait_until(moves, 'commands, once the map is read')
    before = unanswered(200)
    box = np.full((100, 100), 100)

    def change():
        """Put a box somewhere and take the one before away."""
        box[:] = 100 - box
        updates.publish(update_of(update_type, box, *np.random.randint(0, 1900, 2).tolist()))
    began_s = time.monotonic()
    during = unanswered(200, change)
    assert during <= max(before, 1), f'{during} ticks without a command, {before} before'
    assert during < HOLD_PERIODS and time.monotonic() - began_s < 30.0
    assert node.stop() == 0 and 'Traceback' not in node.log
    assert 'INVALID_INPUT' not in node.log
