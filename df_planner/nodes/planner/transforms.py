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
Transform poses into the map frame, with tf2 where it is installed; nothing here blocks.

Without tf2, poses must be in the map frame or in an equivalent one. With it, a pose whose
transform is missing is tried again for TIMEOUT_S.
"""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Sequence
from dataclasses import dataclass
import math
import time
from typing import Any

from geometry_msgs.msg import PoseStamped
from geometry_msgs.msg import Quaternion
from geometry_msgs.msg import TransformStamped
import numpy as np
from rclpy.clock import Clock
from rclpy.clock import ClockType
from rclpy.node import Node
from rclpy.time import Time

from df_planner.errors import DFPlannerError
from df_planner.errors import FrameError
from df_planner.geometry import headings_of
from df_planner.geometry import unit_quaternions
from df_planner.ros.conversions import check_frame
from df_planner.ros.conversions import finite
from df_planner.ros.conversions import quaternion
from df_planner.ros.rclpy_gaps import optional_type
from df_planner.ros.worker import Outcome

TIMEOUT_S = 1.0  # wall time
RETRY_S = 0.05
SAME_M, SAME_RAD = 0.05, 0.02  # frames that are closer than this are the same


def tf_buffer(node: Node) -> Any | None:
    """Return a tf2 buffer with its listener, None without tf2."""
    buffer_type = optional_type('tf2_ros/Buffer', node, 'goals in other frames than the map')
    if buffer_type is None:
        return None
    from tf2_ros import TransformListener
    buffer = buffer_type()
    buffer.listener = TransformListener(buffer, node)  # ``MapFrame.close`` ends it
    return buffer


def transformed(pose: PoseStamped, transform: TransformStamped) -> PoseStamped:
    """
    Return a pose in the parent frame of a transform from its own frame.

    :param transform: its ``child_frame_id`` is the frame of the pose.
    """
    move = transform.transform.translation
    finite((move.x, move.y, move.z), 'transform')
    x, y, z, w = finite(unit_quaternions(np.array(quaternion(transform.transform.rotation))),
                        'rotation of the transform').tolist()
    turn = Quaternion(x=x, y=y, z=z, w=w)
    at = pose.pose.position
    rotated = _product(_product(turn, Quaternion(x=at.x, y=at.y, z=at.z, w=0.0)),
                       Quaternion(x=-turn.x, y=-turn.y, z=-turn.z, w=turn.w))
    found = PoseStamped()
    found.header.stamp, found.header.frame_id = pose.header.stamp, transform.header.frame_id
    found.pose.position.x = rotated.x + move.x
    found.pose.position.y = rotated.y + move.y
    found.pose.position.z = rotated.z + move.z
    found.pose.orientation = _product(turn, pose.pose.orientation)
    return found


def _product(a: Quaternion, b: Quaternion) -> Quaternion:
    return Quaternion(x=a.w * b.x + a.x * b.w + a.y * b.z - a.z * b.y,
                      y=a.w * b.y - a.x * b.z + a.y * b.w + a.z * b.x,
                      z=a.w * b.z + a.x * b.y - a.y * b.x + a.z * b.w,
                      w=a.w * b.w - a.x * b.x - a.y * b.y - a.z * b.z)


@dataclass
class _Request:
    poses: Sequence[tuple[PoseStamped, str]]
    done: Callable[[Outcome], None]
    deadline_s: float


class MapFrame:
    """
    Transform poses into the map frame.

    :param frames: returns the map frame, then all frames that are equivalent to it.
    :param buffer: with tf2's ``lookup_transform(target, source, time)``; None to do without.
    """

    def __init__(self, node: Node, frames: Callable[[], Sequence[str]], buffer: Any | None):
        self._node = node
        self._frames = frames
        self._buffer = buffer
        self._waiting: dict[str, _Request] = {}
        self._timer = node.create_timer(RETRY_S, self._retry, autostart=False,
                                        clock=Clock(clock_type=ClockType.STEADY_TIME))

    @property
    def has_transforms(self) -> bool:
        """Tell whether there is tf2 to ask."""
        return self._buffer is not None

    def resolve(self, key: str, poses: Sequence[tuple[PoseStamped, str]],
                done: Callable[[Outcome], None]) -> None:
        """
        Call ``done`` with the poses in the map frame, or a FrameError: at once if possible.

        :param key: a newer request of the same key replaces a waiting one, whose ``done`` is not
            called.
        :param poses: each with its name for errors.
        """
        self._waiting[key] = _Request(poses, done, time.monotonic() + TIMEOUT_S)
        self._try(key)
        if self._waiting:
            self._timer.reset()

    def cancel(self, key: str) -> None:
        """Drop a waiting request."""
        self._waiting.pop(key, None)

    def close(self) -> None:
        """Drop all requests and stop listening."""
        self._waiting.clear()
        self._node.destroy_timer(self._timer)
        if self._buffer is not None:
            self._buffer.listener.unregister()

    def check_same(self, frame_id: str) -> None:
        """
        Check that a frame equals the map, if tf2 knows their transform.

        :raises FrameError: if it is not the identity.
        """
        map_frame = self._frames()[0]
        if self._buffer is None or frame_id == map_frame:
            return
        try:
            transform = self._buffer.lookup_transform(map_frame, frame_id, Time()).transform
        except Exception:  # no such transform: nothing to compare
            return
        away_m = math.hypot(transform.translation.x, transform.translation.y)
        cosine, sine = headings_of(np.array(quaternion(transform.rotation))).tolist()
        turned_rad = abs(math.atan2(sine, cosine))
        if not (away_m <= SAME_M and turned_rad <= SAME_RAD):
            raise FrameError(
                f'odom: {frame_id!r} is taken to be {map_frame!r}, but lies {away_m:.2f} m and '
                f'{math.degrees(turned_rad):.0f} degrees away from it; remap odom to odometry '
                f'in {map_frame!r}')

    def forget(self) -> None:
        """Drop all transforms: time has jumped back."""
        if self._buffer is not None:
            self._buffer.clear()

    def _retry(self) -> None:
        for key in list(self._waiting):
            self._try(key)
        if not self._waiting:
            self._timer.cancel()

    def _try(self, key: str) -> None:
        request = self._waiting[key]
        try:
            outcome = Outcome([self._in_map(pose, what) for pose, what in request.poses])
        except DFPlannerError as error:
            can_wait = self._buffer is not None and error.__cause__ is not None
            if can_wait and time.monotonic() < request.deadline_s:
                return
            outcome = Outcome(error=error)
        del self._waiting[key]
        request.done(outcome)

    def _in_map(self, pose: PoseStamped, what: str) -> PoseStamped:
        same: Collection[str] = self._frames()
        frame_id = pose.header.frame_id
        if self._buffer is None or not frame_id or frame_id in same:
            check_frame(frame_id, same, what)
            return pose
        map_frame = self._frames()[0]
        try:
            transform = self._buffer.lookup_transform(
                map_frame, frame_id, Time.from_msg(pose.header.stamp))
        except Exception as error:  # the base class of tf2's errors cannot be imported here
            raise FrameError(
                f'{what}: no transform from {frame_id!r} to {map_frame!r}: {error}') from error
        return transformed(pose, transform)
