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

"""Trajectories read from bytes are those of the message objects."""

import time

import numpy as np
import pytest
from rclpy.serialization import deserialize_message
from rclpy.serialization import serialize_message
from trajectory_msgs.msg import MultiDOFJointTrajectory
from trajectory_msgs.msg import MultiDOFJointTrajectoryPoint

from df_planner.errors import InvalidInput
from df_planner.planning.plan import Plan
from df_planner.ros import trajectory_rows
from df_planner.ros.conversions import MapAxes
from df_planner.ros.conversions import ns_to_stamp
from df_planner.ros.diff_drive_robot import DiffDriveRobot
from df_planner.ros.trajectory_rows import rows_from_bytes
from df_planner.ros.trajectory_rows import rows_from_message

ROBOT = DiffDriveRobot(MapAxes([0.0, 1.0, -1.0, 0.0]))  # fills more of a point than the other


def trajectory(steps=30, frame_id='map', joint='base_link'):
    """Return a message with random numbers."""
    rng = np.random.default_rng(steps)
    states = rng.normal(size=(steps, 6))
    plan = Plan(actions=rng.uniform(-1.0, 1.0, (steps, 2)), states=states, dt_s=0.05,
                goal=states[-1, :2])
    return ROBOT.trajectory(plan, ns_to_stamp(12_345_678_901), frame_id, joint)


def assert_same(rows, others):
    """Compare every field, to the last bit."""
    assert (rows.frame_id, rows.stamp_ns) == (others.frame_id, others.stamp_ns)
    for name in ('times_ns', 'transforms', 'velocities', 'accelerations'):
        assert np.array_equal(getattr(rows, name), getattr(others, name)), name


@pytest.fixture
def no_long_way(monkeypatch):
    """Fail if a message object is made."""
    monkeypatch.setattr(trajectory_rows, 'deserialize_message', None)


@pytest.mark.parametrize('joint', ['', 'a', 'ab', 'abc', 'abcd', 'base_link', 'base_footprint'])
@pytest.mark.parametrize('frame_id', ['', 'map', 'odom', 'a/map', 'Straße'])
@pytest.mark.parametrize('steps', [1, 2, 30])
def test_bytes_are_read_without_message_objects(no_long_way, steps, frame_id, joint):
    msg = trajectory(steps, frame_id, joint)
    rows = rows_from_bytes(serialize_message(msg))
    assert len(rows) == steps and rows.frame_id == frame_id
    assert_same(rows, rows_from_message(msg))


def test_an_empty_trajectory_has_no_rows(no_long_way):
    msg = MultiDOFJointTrajectory(joint_names=['base_link'])
    rows = rows_from_bytes(serialize_message(msg))
    assert len(rows) == 0
    assert_same(rows, rows_from_message(msg))


@pytest.mark.parametrize('part', ['transforms', 'velocities', 'accelerations'])
@pytest.mark.parametrize('count', [0, 2])
def test_points_that_lack_a_part_are_refused(part, count):
    msg = trajectory()
    setattr(msg.points[4], part, list(getattr(msg.points[4], part)) * count)
    with pytest.raises(InvalidInput, match='one transform, velocity and acceleration'):
        rows_from_bytes(serialize_message(msg))


def test_a_layout_of_another_kind_is_read_as_a_message(monkeypatch):
    msg = trajectory()
    asked = []

    def long_way(data, kind):
        asked.append(kind)
        return msg
    monkeypatch.setattr(trajectory_rows, 'deserialize_message', long_way)
    data = serialize_message(msg)
    cut = [data[:length] for length in (0, 3, 11, 17, 30, 50, len(data) - 8)]
    for other in [b'\x00\x00' + data[2:], *cut]:
        assert_same(rows_from_bytes(other), rows_from_message(msg))
    assert asked == [MultiDOFJointTrajectory] * (1 + len(cut))


def test_reading_bytes_is_far_faster_than_reading_the_message():
    data = serialize_message(trajectory(600))

    def fastest_s(read):
        times = []
        for _ in range(5):
            started = time.perf_counter()
            read()
            times.append(time.perf_counter() - started)
        return min(times)
    slow_s = fastest_s(lambda: deserialize_message(data, MultiDOFJointTrajectory))
    assert fastest_s(lambda: rows_from_bytes(data)) < slow_s / 10


def test_a_point_has_the_size_that_is_read():
    sizes = [len(serialize_message(MultiDOFJointTrajectory(points=[_point()] * n)))
             for n in (2, 3)]
    assert sizes[1] - sizes[0] == trajectory_rows.POINT.itemsize


def _point():
    return MultiDOFJointTrajectoryPoint(**{
        name: list(getattr(trajectory(1).points[0], name))
        for name in ('transforms', 'velocities', 'accelerations')})
