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

"""
Plans as CDR bytes: written straight from arrays, and read back, without an object per point.

To fill the message objects of a six-second plan, or to read them, takes some 15 ms, more than a
control period; to plan takes no longer. Here it is a hundred times faster. A publisher that is
given bytes sends them as they are, and a raw subscription receives them. The layout is that of CDR
as DDS sends it (OMG DDS-XTypes 1.3, 7.4): little-endian, numbers aligned to their size. Anything
laid out otherwise is read through the message object.
"""

from collections.abc import Callable
from dataclasses import dataclass
import struct

import numpy as np
from rclpy.serialization import deserialize_message
from trajectory_msgs.msg import MultiDOFJointTrajectory

from df_planner.driving.stamps import NS_PER_S
from df_planner.errors import InvalidInput
from df_planner.ros.conversions import stamp_to_ns

LITTLE_ENDIAN = b'\x00\x01'  # how the encapsulation of plain CDR begins
ENCAPSULATION = 4  # bytes; alignment counts from behind them


@dataclass(frozen=True)
class TrajectoryRows:
    """
    A ``MultiDOFJointTrajectory`` of one joint.

    :param frame_id: of the header, like ``stamp_ns``.
    :param times_ns: (n,) from the stamp to each point.
    :param transforms: (n, 7) translation and rotation (x, y, z, w).
    :param velocities: (n, 6) linear and angular, like ``accelerations``.
    """

    frame_id: str
    stamp_ns: int
    times_ns: np.ndarray
    transforms: np.ndarray
    velocities: np.ndarray
    accelerations: np.ndarray

    def __len__(self) -> int:
        return len(self.times_ns)


def point_layout(at: int) -> np.dtype:
    """
    Return the layout of a point with one transform, velocity and acceleration.

    Fields that end in ``_n`` count them, those in ``_pad`` align numbers.

    :param at: 0 or 4, how many bytes behind a multiple of 8 it begins.
    """
    pad = [('transform_pad', '<u4')] if at == 0 else []
    return np.dtype([
        ('transform_n', '<u4'), *pad, ('transform', '<f8', 7),
        ('velocity_n', '<u4'), ('velocity_pad', '<u4'), ('velocity', '<f8', 6),
        ('acceleration_n', '<u4'), ('acceleration_pad', '<u4'), ('acceleration', '<f8', 6),
        ('sec', '<i4'), ('nanosec', '<u4')])


def rows_from_bytes(data: bytes) -> TrajectoryRows:
    """Return a serialized message as arrays; InvalidInput if a point lacks a part."""
    try:
        return _read(data)
    except (struct.error, ValueError):  # UnicodeDecodeError is a ValueError, too
        return rows_from_message(deserialize_message(data, MultiDOFJointTrajectory))


def rows_from_message(msg: MultiDOFJointTrajectory) -> TrajectoryRows:
    """Return a message as arrays; InvalidInput if a point lacks a part."""
    if any(not len(p.transforms) == len(p.velocities) == len(p.accelerations) == 1
           for p in msg.points):
        raise InvalidInput('trajectory: a point needs one transform, velocity and acceleration')
    transforms = [(t.translation.x, t.translation.y, t.translation.z,
                   t.rotation.x, t.rotation.y, t.rotation.z, t.rotation.w)
                  for t in (point.transforms[0] for point in msg.points)]
    return TrajectoryRows(
        msg.header.frame_id, stamp_to_ns(msg.header.stamp),
        np.array([stamp_to_ns(point.time_from_start) for point in msg.points], np.int64),
        np.array(transforms).reshape(-1, 7),
        _twists([point.velocities[0] for point in msg.points]),
        _twists([point.accelerations[0] for point in msg.points]))


def _read(data: bytes) -> TrajectoryRows:
    """Return arrays; ValueError or struct.error for another layout."""
    if data[:2] != LITTLE_ENDIAN:
        raise ValueError('not little-endian')
    body = memoryview(data)[ENCAPSULATION:]
    sec, nanosec = struct.unpack_from('<iI', body)
    frame_id, at = _read_string(body, 8)
    at = _aligned(at)
    joints, at = *struct.unpack_from('<I', body, at), at + 4
    for _ in range(joints):
        _, at = _read_string(body, _aligned(at))
    at = _aligned(at)
    count, at = *struct.unpack_from('<I', body, at), at + 4
    # Read before anything of that length is made: it may be wrong.
    first = np.frombuffer(body, point_layout(at % 8), min(count, 1), at)
    rest = np.frombuffer(body, point_layout(0), max(count - 1, 0), at + first.nbytes)
    points = {name: np.concatenate((first[name], rest[name])) for name in point_layout(4).names}
    if any((points[name] != 1).any() for name in ('transform_n', 'velocity_n', 'acceleration_n')):
        raise ValueError('not one transform, velocity and acceleration in every point')
    return TrajectoryRows(
        frame_id, sec * NS_PER_S + nanosec,
        points['sec'].astype(np.int64) * NS_PER_S + points['nanosec'],
        points['transform'], points['velocity'], points['acceleration'])


def _read_string(body: memoryview, at: int) -> tuple[str, int]:
    """Return the string there, and where it ends."""
    length, = struct.unpack_from('<I', body, at)
    end = at + 4 + length
    if length == 0 or end > len(body):
        raise ValueError('no string')
    return bytes(body[at + 4:end - 1]).decode(), end


def _aligned(at: int) -> int:
    """Return the next multiple of 4."""
    return -(-at // 4) * 4


def _twists(twists: list) -> np.ndarray:
    return np.array([(t.linear.x, t.linear.y, t.linear.z, t.angular.x, t.angular.y, t.angular.z)
                     for t in twists]).reshape(-1, 6)


def trajectory_bytes(rows: TrajectoryRows, joint: str) -> bytes:
    """Return a ``MultiDOFJointTrajectory`` of one joint."""
    start = _header(rows) + struct.pack('<I', 1) + _string(joint)
    once = np.ones(len(rows), np.uint32)
    sec, nanosec = _stamp(rows.times_ns)
    return _message(start, point_layout, len(rows), {
        'transform_n': once, 'transform': rows.transforms,
        'velocity_n': once, 'velocity': rows.velocities,
        'acceleration_n': once, 'acceleration': rows.accelerations,
        'sec': sec, 'nanosec': nanosec})


def path_bytes(rows: TrajectoryRows) -> bytes:
    """Return a ``nav_msgs/Path`` of the poses, each stamped with its time."""
    frame_id = _text(rows.frame_id)
    sec, nanosec = _stamp(rows.stamp_ns + rows.times_ns)

    def pose_layout(at: int) -> np.dtype:
        pad = -(at + 12 + len(frame_id)) % 8
        return np.dtype([('sec', '<i4'), ('nanosec', '<u4'), ('length', '<u4'),
                         ('frame_id', np.void, len(frame_id)), ('pad', np.void, pad),
                         ('pose', '<f8', 7)])
    return _message(_header(rows), pose_layout, len(rows), {
        'sec': sec, 'nanosec': nanosec, 'length': np.full(len(rows), len(frame_id), np.uint32),
        'frame_id': np.full(len(rows), np.void(frame_id)), 'pose': rows.transforms})


def _message(start: bytes, layout: Callable[[int], np.dtype], count: int,
             columns: dict[str, np.ndarray]) -> bytes:
    """
    Return a message that ends with a sequence.

    :param layout: of an element that begins so many bytes behind a multiple of 8; all but the
        first begin at one.
    :param columns: (count, ...) of each field.
    """
    start = _padded(start) + struct.pack('<I', count)
    first = np.zeros(min(count, 1), layout(len(start) % 8))
    rest = np.zeros(max(count - 1, 0), layout(0))
    for name, column in columns.items():
        first[name], rest[name] = column[:1], column[1:]
    return LITTLE_ENDIAN + b'\0\0' + start + first.tobytes() + rest.tobytes()


def _header(rows: TrajectoryRows) -> bytes:
    """Return a ``std_msgs/Header``, padded for a number to follow."""
    return _padded(struct.pack('<iI', *divmod(rows.stamp_ns, NS_PER_S)) + _string(rows.frame_id))


def _string(text: str) -> bytes:
    return struct.pack('<I', len(_text(text))) + _text(text)


def _padded(data: bytes) -> bytes:
    """Return data with zeros up to a multiple of 4."""
    return data.ljust(_aligned(len(data)), b'\0')


def _text(text: str) -> bytes:
    return text.encode() + b'\0'


def _stamp(times_ns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.divmod(times_ns, NS_PER_S)
