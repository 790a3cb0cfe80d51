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

"""Trajectories and paths that are read from bytes, or written to, are those of message objects."""

import time

from nav_msgs.msg import Path
import numpy as np
from plan_messages import trajectory_message
import pytest
from rclpy.serialization import deserialize_message
from rclpy.serialization import serialize_message
from std_msgs.msg import Header
from trajectory_msgs.msg import MultiDOFJointTrajectory
from trajectory_msgs.msg import MultiDOFJointTrajectoryPoint

from df_planner.errors import InvalidInput
from df_planner.planning.plan import Plan
from df_planner.ros import trajectory_cdr as trajectory_rows
from df_planner.ros.conversions import MapAxes
from df_planner.ros.conversions import ns_to_stamp
from df_planner.ros.conversions import stamp_to_ns
from df_planner.ros.robots.twist import TwistRobot
from df_planner.ros.trajectory_cdr import path_bytes
from df_planner.ros.trajectory_cdr import point_layout
from df_planner.ros.trajectory_cdr import rows_from_bytes
from df_planner.ros.trajectory_cdr import rows_from_message
from df_planner.ros.trajectory_cdr import trajectory_bytes

STAMP = ns_to_stamp(12_345_678_901)
ROBOT = TwistRobot(MapAxes([0.0, 1.0, -1.0, 0.0]))  # fills more of a point than the other


def plan(steps):
    """Return a plan of random numbers."""
    rng = np.random.default_rng(steps)
    states = rng.normal(size=(steps, 6))
    return Plan(actions=rng.uniform(-1.0, 1.0, (steps, 2)), states=states, dt_s=0.05,
                goal=states[-1, :2])


def trajectory(steps=30, frame_id='map', joint='base_link'):
    """Return a message with random numbers."""
    return trajectory_message(ROBOT, plan(steps), STAMP, frame_id, joint)


def assert_same(rows, others):
    """Compare every field, to the last bit."""
    assert (rows.frame_id, rows.stamp_ns) == (others.frame_id, others.stamp_ns)
    for name in ('times_ns', 'transforms', 'velocities', 'accelerations'):
        assert np.array_equal(getattr(rows, name), getattr(others, name)), name


@pytest.fixture
def no_long_way(monkeypatch):
    """Fail if a message object is made."""
    monkeypatch.setattr(trajectory_rows, 'deserialize_message', None)


@pytest.fixture(params=['', 'a', 'ab', 'abc', 'abcd', 'base_link', 'base_footprint'])
def joint(request):
    """Return names of all lengths, on which the alignment depends."""
    return request.param


@pytest.fixture(params=['', 'map', 'odom', 'a/map', 'Straße'])
def frame_id(request):
    """Return the same for frames."""
    return request.param


@pytest.mark.parametrize('steps', [1, 2, 30])
def test_bytes_are_read_without_message_objects(no_long_way, steps, frame_id, joint):
    msg = trajectory(steps, frame_id, joint)
    rows = rows_from_bytes(serialize_message(msg))
    assert len(rows) == steps and rows.frame_id == frame_id
    assert_same(rows, rows_from_message(msg))


@pytest.mark.parametrize('steps', [0, 1, 2, 30])
def test_written_bytes_are_the_message(steps, frame_id, joint):
    rows = ROBOT.trajectory(plan(steps) if steps else None, STAMP, frame_id)
    data = trajectory_bytes(rows, joint)
    msg = deserialize_message(data, MultiDOFJointTrajectory)
    assert (msg.header.stamp, msg.joint_names) == (STAMP, [joint])
    assert len(msg.points) == steps
    assert_same(rows, rows_from_message(msg))
    assert len(data) == len(serialize_message(msg))


@pytest.mark.parametrize('steps', [0, 1, 2, 30])
def test_written_bytes_are_the_path(steps, frame_id):
    rows = ROBOT.trajectory(plan(steps) if steps else None, STAMP, frame_id)
    data = path_bytes(rows)
    path = deserialize_message(data, Path)
    assert path.header == Header(stamp=STAMP, frame_id=frame_id)
    assert [pose.header.frame_id for pose in path.poses] == [frame_id] * steps
    assert [stamp_to_ns(pose.header.stamp) for pose in path.poses] == [
        rows.stamp_ns + step * 50_000_000 for step in range(steps)]
    poses = [[p.x, p.y, p.z, q.x, q.y, q.z, q.w]
             for p, q in ((s.pose.position, s.pose.orientation) for s in path.poses)]
    assert poses == rows.transforms.tolist()
    assert len(data) == len(serialize_message(path))


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
    count_at = data.index(b'\x1e\0\0\0')
    endless = data[:count_at] + b'\xff' * 4 + data[count_at + 4:]
    for other in [b'\x00\x00' + data[2:], endless, *cut]:
        assert_same(rows_from_bytes(other), rows_from_message(msg))
    assert asked == [MultiDOFJointTrajectory] * (2 + len(cut))


def fastest_s(work):
    """Return the shortest time that something takes."""
    times = []
    for _ in range(5):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def test_bytes_are_far_faster_than_messages():
    rows = ROBOT.trajectory(plan(600), STAMP, 'map')
    msg, path = trajectory(600), ROBOT.path(plan(600), STAMP, 'map')
    assert fastest_s(lambda: trajectory_bytes(rows, 'base_link')) < fastest_s(
        lambda: serialize_message(msg)) / 5
    assert fastest_s(lambda: path_bytes(rows)) < fastest_s(lambda: serialize_message(path)) / 5
    data = serialize_message(msg)
    slow_s = fastest_s(lambda: deserialize_message(data, MultiDOFJointTrajectory))
    assert fastest_s(lambda: rows_from_bytes(data)) < slow_s / 10


def test_a_point_has_the_size_that_is_read():
    sizes = [len(serialize_message(MultiDOFJointTrajectory(points=[_point()] * n)))
             for n in (2, 3)]
    assert sizes[1] - sizes[0] == point_layout(0).itemsize


def _point():
    return MultiDOFJointTrajectoryPoint(**{
        name: list(getattr(trajectory(1).points[0], name))
        for name in ('transforms', 'velocities', 'accelerations')})
