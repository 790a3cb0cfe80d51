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
Between messages and arrays: the one place where either side's conventions are known.

Arrays are in the observation frame of the data, messages in the map frame (REP 103); ``MapAxes``
turns one into the other by swaps and signs only, so that a round trip is exact to the last bit. A
force crosses exactly if the action is a float32 number, which actions of the planner are.

Messages are checked here: a wrong frame raises a FrameError; a value that is not finite, or a
message that contradicts itself, raises an InvalidInput.
"""

from collections.abc import Collection
from collections.abc import Sequence

from builtin_interfaces.msg import Duration
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Pose
from geometry_msgs.msg import Quaternion
from geometry_msgs.msg import Twist
from geometry_msgs.msg import TwistStamped
from geometry_msgs.msg import Vector3
import numpy as np

from df_planner.driving.stamps import NS_PER_S
from df_planner.errors import ConfigError
from df_planner.errors import FrameError
from df_planner.errors import InvalidInput
from df_planner.geometry import headings_of
from df_planner.geometry import ORIENTATION_RULE


class MapAxes:
    """
    Observation axes and map axes over the same plane.

    :param observation_to_map: (2, 2) or four numbers row by row, a signed permutation: the map's
        (x, y) is this matrix times the observation's vector.
    """

    def __init__(self, observation_to_map: Sequence):
        matrix = np.array(observation_to_map, dtype=np.float64)
        if matrix.size == 4:
            matrix = matrix.reshape(2, 2)
        if (matrix.shape != (2, 2) or not np.isin(matrix, (-1.0, 0.0, 1.0)).all()
                or not np.array_equal(matrix @ matrix.T, np.eye(2))):
            raise ConfigError('observation_to_map must be four numbers that swap and negate axes, '
                              f'got {matrix.ravel().tolist()}')
        self.observation_to_map = matrix

    def to_map(self, vector: np.ndarray) -> np.ndarray:
        """Turn positions, velocities or forces (..., 2) into map axes."""
        return np.asarray(vector, np.float64) @ self.observation_to_map.T

    def to_observation(self, vector: np.ndarray) -> np.ndarray:
        """Turn positions, velocities or forces (..., 2) into observation axes."""
        return np.asarray(vector, np.float64) @ self.observation_to_map


class ForceScale:
    """
    Forces of actions.

    :param max_force_n: force per axis at action 1.
    :param mass_kg: mass that the force accelerates.
    """

    def __init__(self, max_force_n: float, mass_kg: float):
        self.max_force_n = max_force_n
        self.mass_kg = mass_kg

    def force(self, action: np.ndarray) -> np.ndarray:
        """Return the forces in newtons of actions (..., 2)."""
        return self.max_force_n * np.asarray(action, np.float64)

    def action(self, force: np.ndarray) -> np.ndarray:
        """Return the actions (..., 2) of forces in newtons."""
        return np.asarray(force, np.float64) / self.max_force_n

    def acceleration(self, action: np.ndarray) -> np.ndarray:
        """Return the accelerations in m/s^2 of actions (..., 2)."""
        return self.force(action) / self.mass_kg

    def action_of_acceleration(self, acceleration: np.ndarray) -> np.ndarray:
        """Return the actions (..., 2) of accelerations, rounded to float32 to undo the scaling."""
        action = self.action(np.asarray(acceleration, np.float64) * self.mass_kg)
        return action.astype(np.float32).astype(np.float64)


def stamp_to_ns(stamp: Time | Duration) -> int:
    """Return a stamp or a duration in nanoseconds."""
    return stamp.sec * NS_PER_S + stamp.nanosec


def ns_to_stamp(time_ns: int) -> Time:
    """Return nanoseconds as a stamp."""
    return Time(sec=time_ns // NS_PER_S, nanosec=time_ns % NS_PER_S)


def ns_to_duration(time_ns: int) -> Duration:
    """Return nanoseconds as a duration."""
    return Duration(sec=time_ns // NS_PER_S, nanosec=time_ns % NS_PER_S)


def check_frame(frame_id: str, allowed: Collection[str], what: str) -> None:
    """Raise a FrameError for a message in a frame that is not one of the allowed."""
    if frame_id not in allowed:
        raise FrameError(f'{what}: frame_id must be one of '
                         f'{", ".join(map(repr, dict.fromkeys(allowed)))}, got {frame_id!r:.60}')


def finite(values: Sequence[float], what: str) -> np.ndarray:
    """Return the values as float64; raise an InvalidInput if one is NaN or infinite."""
    array = np.array(values, dtype=np.float64)
    if not np.isfinite(array).all():
        rows = np.atleast_2d(array)
        row = int(np.flatnonzero(~np.isfinite(rows).all(axis=1))[0])
        where = f' in row {row}' if array.ndim > 1 else ''
        raise InvalidInput(f'{what}: must be finite, got {rows[row].tolist()}{where}')
    return array


def headings(quaternions: np.ndarray, what: str) -> np.ndarray:
    """
    Return cosine and sine (n, 2) of the yaw of orientations (n, 4), (x, y, z, w).

    :raises InvalidInput: for one that is no rotation, or does not stand upright.
    """
    found = headings_of(quaternions)
    bad = np.isnan(found[:, 0])
    if bad.any():
        got = np.asarray(quaternions)[bad.argmax()].tolist()
        raise InvalidInput(f'{what}: {ORIENTATION_RULE}, got (x, y, z, w) = {got}')
    return found


def heading(orientation: Quaternion, what: str) -> np.ndarray:
    """Return cosine and sine (2,) of the yaw of an orientation; see ``headings``."""
    return headings(np.array([quaternion(orientation)]), what)[0]


def quaternion(orientation: Quaternion) -> tuple[float, float, float, float]:
    """Return x, y, z and w."""
    return orientation.x, orientation.y, orientation.z, orientation.w


def position_from_pose(pose: Pose, axes: MapAxes, what: str = 'pose') -> np.ndarray:
    """Return the position (2,) of a pose in the observation frame."""
    return axes.to_observation(finite((pose.position.x, pose.position.y), what))


def pose_from_position(position: np.ndarray, axes: MapAxes) -> Pose:
    """Return the pose at a position (2,) of the observation frame, facing along the map's x."""
    pose = Pose()
    pose.position.x, pose.position.y = axes.to_map(position).tolist()
    pose.orientation.w = 1.0
    return pose


def stamped_twist(msg: TwistStamped | Twist) -> TwistStamped:
    """Return a command on ``cmd_vel`` with a header; one that had none has no stamp, no frame."""
    return msg if isinstance(msg, TwistStamped) else TwistStamped(twist=msg)


def planar(xy: np.ndarray) -> Vector3:
    """Return a planar vector (2,) as a message."""
    return Vector3(x=float(xy[0]), y=float(xy[1]))
