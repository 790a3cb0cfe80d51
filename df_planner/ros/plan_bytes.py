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
Plans as serialized messages, without a Python object for every point.

To fill a trajectory and a path of six seconds with message objects and serialize them takes as
long as to plan them. A publisher that is given bytes sends them as they are. They are CDR, which
``trajectory_rows.py`` reads.
"""

from collections.abc import Callable
import struct

import numpy as np

from df_planner.ros.conversions import NS_PER_S
from df_planner.ros.trajectory_rows import LITTLE_ENDIAN
from df_planner.ros.trajectory_rows import point_layout
from df_planner.ros.trajectory_rows import TrajectoryRows


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
    start = _aligned(start) + struct.pack('<I', count)
    first = np.zeros(min(count, 1), layout(len(start) % 8))
    rest = np.zeros(max(count - 1, 0), layout(0))
    for name, column in columns.items():
        first[name], rest[name] = column[:1], column[1:]
    return LITTLE_ENDIAN + b'\0\0' + start + first.tobytes() + rest.tobytes()


def _header(rows: TrajectoryRows) -> bytes:
    """Return a ``std_msgs/Header``, padded for a number to follow."""
    return _aligned(struct.pack('<iI', *divmod(rows.stamp_ns, NS_PER_S)) + _string(rows.frame_id))


def _string(text: str) -> bytes:
    return struct.pack('<I', len(_text(text))) + _text(text)


def _text(text: str) -> bytes:
    return text.encode() + b'\0'


def _aligned(data: bytes) -> bytes:
    """Return what is a multiple of 4 long."""
    return data + bytes(-len(data) % 4)


def _stamp(times_ns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return seconds and nanoseconds."""
    return np.divmod(times_ns, NS_PER_S)
