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


"""Messages and arrays: exact round trips, and every malformed message refused by name."""

from pathlib import Path

from drive_bag import STORE
import numpy as np
from plan_messages import trajectory_message
import pytest
from rclpy.serialization import deserialize_message
from rclpy.serialization import serialize_message

from df_planner.data.sources.message_fields import message_fields
from df_planner.data.sources.message_fields import ODOMETRY
from df_planner.data.sources.message_fields import OF_ODOMETRY
from df_planner.drives import bag
from df_planner.errors import BagError
from df_planner.errors import ConfigError
from df_planner.errors import FrameError
from df_planner.errors import InvalidInput
from df_planner.planning.plan import Plan
from df_planner.robots.kinds import POINT
from df_planner.robots.kinds import ROBOTS
from df_planner.ros import conversions
from df_planner.ros.maps import grid_map_from_message
from df_planner.ros.maps import occupancy_grid_message
from df_planner.ros.robots.kinds import robot_messages
from df_planner.ros.robots.point import PointRobot
from df_planner.ros.trajectory_cdr import rows_from_bytes
from df_planner.sim.maze import load_maze
from df_planner.sim.maze import OBSERVATION_TO_MAP
from df_planner.sim.maze import observation_to_map

AXES = conversions.MapAxes(OBSERVATION_TO_MAP)
SCALE = conversions.ForceScale(POINT.max_force_n, POINT.mass_kg)
ROBOT = PointRobot(AXES, SCALE)
STAMP = conversions.ns_to_stamp(12_345_678_901)


def over_the_wire(msg):
    """Return a message as a subscriber would get it."""
    return deserialize_message(serialize_message(msg), type(msg))


def make_plan(steps=40, seed=0):
    """Return a plan of random states and float32 actions."""
    rng = np.random.default_rng(seed)
    actions = rng.uniform(-1.0, 1.0, (steps, 2)).astype(np.float32).astype(np.float64)
    states = rng.normal(3.0, 2.0, (steps, 4))
    return Plan(actions=actions, states=states, dt_s=0.01, goal=states[-1, :2])


def trajectory(plan):
    """Return the message of a plan."""
    return trajectory_message(ROBOT, plan, STAMP)


def read(msg):
    """Return the plan of a message."""
    rows = rows_from_bytes(serialize_message(msg))
    return ROBOT.plan(rows, ('map',), 0.01)


def test_axes_are_those_of_the_maze():
    points = np.random.default_rng(0).normal(size=(100, 2))
    assert np.array_equal(AXES.to_map(points), observation_to_map(points))
    assert np.array_equal(AXES.to_observation(AXES.to_map(points)), points)


@pytest.mark.parametrize('matrix', [(1.0, 0.0, 0.0), (1.0, 1.0, 0.0, 1.0), (0.0, 2.0, -0.5, 0.0),
                                    (float('nan'), 0.0, 0.0, 1.0), (0.0,) * 4])
def test_axes_must_swap_and_negate(matrix):
    with pytest.raises(ConfigError, match='swap and negate'):
        conversions.MapAxes(matrix)


@pytest.mark.parametrize('time_ns', [0, 1, 999_999_999, 1_000_000_000, 86_400_010_000_000])
def test_stamps_are_exact(time_ns):
    assert conversions.stamp_to_ns(conversions.ns_to_stamp(time_ns)) == time_ns


def test_state_crosses_exactly():
    rng = np.random.default_rng(1)
    for state in rng.normal(0.0, 5.0, (200, 4)):
        msg = over_the_wire(ROBOT.odometry(state, STAMP, 'odom', 'base_link'))
        assert np.array_equal(ROBOT.state(msg, ('odom',)), state)
        assert msg.pose.pose.position.x == state[1] and msg.pose.pose.position.y == -state[0]
        assert msg.twist.twist.linear.x == state[3] and msg.twist.twist.linear.y == -state[2]


@pytest.mark.parametrize('length', [1.0, 1.001, -0.999])
@pytest.mark.parametrize('yaw_deg', [0.0, 90.0, 180.0, -135.0])
@pytest.mark.parametrize('child', ['base_link', '', 'odom', 'map'])
def test_a_twist_is_read_alike_everywhere(child, yaw_deg, length):
    """In nodes, of any kind of robot, by ``data import`` and by ``report``."""
    yaw, twist = np.radians(yaw_deg), np.array((0.3, -0.7))
    msg = ROBOT.odometry(np.zeros(4), STAMP, 'odom', child)
    msg.twist.twist.linear = conversions.planar(twist)
    turn = msg.pose.pose.orientation
    turn.z, turn.w = length * np.sin(yaw / 2), length * np.cos(yaw / 2)
    turned = np.array(((np.cos(yaw), -np.sin(yaw)), (np.sin(yaw), np.cos(yaw)))) @ twist
    expected = twist if child in ('odom', 'map') else turned
    for kind in ROBOTS:
        state = robot_messages(kind, AXES).state(msg, ('odom', 'map'))
        assert np.allclose(AXES.to_map(state[2:4]), expected, rtol=0.0, atol=1e-12)
        if len(state) > 4:
            assert np.allclose(AXES.to_map(state[4:6]), (np.cos(yaw), np.sin(yaw)))
    if child == 'map':
        msg.child_frame_id = 'odom'  # a log does not tell that the frames are equal
    fields = message_fields(OF_ODOMETRY, ODOMETRY, STORE.fielddefs)
    imported, = fields.convert(np.array([fields.read(msg)]))
    assert np.allclose(imported, (*expected, np.cos(yaw), np.sin(yaw)), rtol=0.0, atol=1e-12)
    reported, = bag._states(Path('bag'), np.array([bag._odometry(msg)]))
    assert np.allclose(reported[2:], expected, rtol=0.0, atol=1e-12)


@pytest.mark.parametrize('rotation', [
    (0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.2), (0.0, 0.0, float('nan'), 1.0),
    (1.0, 0.0, 0.0, 0.0), (0.0, 0.5 ** 0.5, 0.0, 0.5 ** 0.5)])
def test_what_is_no_orientation_is_refused_everywhere(rotation):
    """All zeros, too long, NaN, upside down, pointing down."""
    msg = ROBOT.odometry(np.zeros(4), STAMP, 'odom', 'base_link')
    turn = msg.pose.pose.orientation
    turn.x, turn.y, turn.z, turn.w = rotation
    for kind in ROBOTS:
        with pytest.raises(InvalidInput, match='odometry: orientation must be'):
            robot_messages(kind, AXES).state(msg, ('odom',))
    fields = message_fields(OF_ODOMETRY, ODOMETRY, STORE.fielddefs)
    assert np.isnan(fields.convert(np.array([fields.read(msg)]))).all()
    with pytest.raises(BagError, match='bag: has odometry'):
        bag._states(Path('bag'), np.array([bag._odometry(msg)]))


def test_float32_action_crosses_exactly():
    rng = np.random.default_rng(2)
    for action in rng.uniform(-1.0, 1.0, (2000, 2)).astype(np.float32).astype(np.float64):
        msg = ROBOT.command(action, STAMP, 'map', 'base_link')
        assert np.array_equal(ROBOT.action(msg, ('map',)), action)
    assert msg.wrench.force.x == pytest.approx(100.0 * action[1])
    assert msg.wrench.force.y == pytest.approx(-100.0 * action[0])


def test_plan_crosses_exactly():
    plan = make_plan(steps=600)
    msg = over_the_wire(trajectory(plan))
    copy = read(msg)
    assert np.array_equal(copy.states, plan.states)
    assert np.array_equal(copy.actions, plan.actions)
    assert np.array_equal(copy.goal, plan.goal)
    assert msg.points[3].time_from_start.nanosec == 30_000_000
    force_n = SCALE.mass_kg * msg.points[3].accelerations[0].linear.x
    assert force_n == pytest.approx(100.0 * plan.actions[3, 1])


def test_no_plan_is_an_empty_trajectory():
    msg = over_the_wire(trajectory(None))
    assert msg.header.stamp == STAMP
    assert read(msg) is None
    assert ROBOT.path(None, STAMP, 'map').poses == []


def test_path_has_frame_and_time_in_every_pose():
    plan = make_plan()
    path = ROBOT.path(plan, STAMP, 'map')
    assert {pose.header.frame_id for pose in path.poses} == {'map'}
    times_ns = [conversions.stamp_to_ns(pose.header.stamp) for pose in path.poses]
    assert np.array_equal(np.diff(times_ns), np.full(len(plan) - 1, 10_000_000))
    assert np.array_equal(conversions.position_from_pose(path.poses[7].pose, AXES),
                          plan.states[7, :2])


def break_time(msg):
    """Make two points simultaneous."""
    msg.points[2].time_from_start = msg.points[1].time_from_start


def break_spacing(msg):
    """Leave a point out."""
    del msg.points[1]


def break_value(msg):
    """Put a NaN into a velocity."""
    msg.points[4].velocities[0].linear.y = float('nan')


def break_point(msg):
    """Take a point's accelerations away."""
    msg.points[4].accelerations = []


@pytest.mark.parametrize('damage, text', [
    (break_time, 'must increase'), (break_spacing, '0.01 s apart'), (break_value, 'finite'),
    (break_point, 'one transform')])
def test_malformed_trajectory_is_refused(damage, text):
    msg = trajectory(make_plan())
    damage(msg)
    with pytest.raises(InvalidInput, match=text):
        read(msg)


def test_wrong_frames_are_refused():
    odometry = ROBOT.odometry(np.zeros(4), STAMP, 'moon', 'base_link')
    with pytest.raises(FrameError, match="'odom', 'map'.*'moon'"):
        ROBOT.state(odometry, ('odom', 'map'))
    wrench = ROBOT.command(np.zeros(2), STAMP, '', 'base_link')
    with pytest.raises(FrameError):
        ROBOT.action(wrench, ('map',))
    msg = trajectory(make_plan())
    msg.header.frame_id = 'odom'
    with pytest.raises(FrameError):
        read(msg)


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
def test_values_that_are_not_finite_are_refused(value):
    odometry = ROBOT.odometry(np.zeros(4), STAMP, 'odom', 'base_link')
    odometry.pose.pose.position.y = value
    with pytest.raises(InvalidInput, match='finite'):
        ROBOT.state(odometry, ('odom',))
    with pytest.raises(InvalidInput, match='finite'):
        conversions.position_from_pose(odometry.pose.pose, AXES)


def test_map_crosses():
    maze = load_maze('medium')
    data, origin_xy = maze.occupancy_grid(0.1)
    msg = over_the_wire(occupancy_grid_message(data, origin_xy, 0.1, STAMP, 'map'))
    grid = grid_map_from_message(msg, AXES, 'map')
    points = np.random.default_rng(0).uniform(-2.0, 9.0, (5000, 2))
    edge = np.abs(points + 0.7 - np.round(points + 0.7)).min(axis=-1) < 0.11
    assert np.array_equal(grid.clearance(points)[~edge] < 0.0, maze.is_wall(points)[~edge])


def test_a_turned_map_with_unknown_cells_crosses():
    cells = np.array([[0, 100, -1], [0, 64, 65]], np.int8)
    msg = over_the_wire(occupancy_grid_message(
        cells, np.array([2.0, -1.0]), 0.5, STAMP, 'map', origin_yaw=2.5))
    for allowed in (False, True):
        grid = grid_map_from_message(msg, AXES, 'map', allow_unknown=allowed)
        assert grid.cells.tolist() == [[0, 100, -1], [0, 0, 100]]
        assert grid.origin_yaw == pytest.approx(2.5)
        assert grid.solid.sum() == (2 if allowed else 3)


def test_a_map_that_is_tilted_is_refused():
    msg = occupancy_grid_message(np.zeros((2, 2)), np.zeros(2), 0.5, STAMP, 'map')
    msg.info.origin.orientation.x = 0.1
    with pytest.raises(InvalidInput, match='about the vertical'):
        grid_map_from_message(msg, AXES, 'map')


def test_malformed_map_is_refused():
    data, origin_xy = load_maze('umaze').occupancy_grid(0.1)
    msg = occupancy_grid_message(data, origin_xy, 0.1, STAMP, 'map')
    msg.info.width += 1
    with pytest.raises(InvalidInput, match='announced'):
        grid_map_from_message(msg, AXES, 'map')
    msg.info.width -= 1
    msg.info.resolution = 0.0
    with pytest.raises(InvalidInput, match='resolution'):
        grid_map_from_message(msg, AXES, 'map')
    msg.info.resolution = 0.1
    for turn in ((0.1, 0.0, 0.0, 0.995), (0.0, 0.0, float('nan'), 1.0), (1.0, 0.0, 0.0, 0.0),
                 (0.0, 0.0, 0.0, 0.0)):
        at = msg.info.origin.orientation
        at.x, at.y, at.z, at.w = turn
        with pytest.raises(InvalidInput, match='orientation of its origin'):
            grid_map_from_message(msg, AXES, 'map')
    at.w = -1.0  # turns nothing either
    assert grid_map_from_message(msg, AXES, 'map').occupied.any()
    msg.header.frame_id = 'odom'
    with pytest.raises(FrameError):
        grid_map_from_message(msg, AXES, 'map')
