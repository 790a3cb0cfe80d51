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
Robots with a heading: twists in their own axes on ``cmd_vel`` (REP 103 and 105).

Odometry has its velocity in the frame of the robot, as nav_msgs/Odometry says; states and plans
have it in the axes of the position.
"""

from collections.abc import Collection

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Pose
from geometry_msgs.msg import Quaternion
from geometry_msgs.msg import Twist
from geometry_msgs.msg import TwistStamped
from geometry_msgs.msg import Vector3
import numpy as np
from std_msgs.msg import Header

from df_planner.errors import InvalidInput
from df_planner.planning.plan import Plan
from df_planner.ros import conversions
from df_planner.ros.conversions import MapAxes
from df_planner.ros.robots.messages import RobotMessages
from df_planner.ros.trajectory_cdr import TrajectoryRows

UNIT_TOLERANCE = 0.01  # by which the norm of an orientation may differ from 1


class TwistRobot(RobotMessages):
    """
    States (6,) are position, velocity and the cosine and sine of the heading.

    Actions (A,) are the velocity ahead, that to the left of a robot that drives sideways, and the
    angular velocity, in m/s and rad/s.

    :param sideways: the robot drives sideways, too.
    :param stamped: commands are TwistStamped, else Twist.
    """

    def __init__(self, axes: MapAxes, sideways: bool = False, stamped: bool = True):
        super().__init__(axes)
        self._sideways = sideways
        self.command_type = TwistStamped if stamped else Twist
        # Axes that mirror the map turn the other way round.
        self._turn = float(np.linalg.det(axes.observation_to_map).round())

    def _state(self, position: np.ndarray, velocity: np.ndarray, orientation: Quaternion,
               what: str) -> np.ndarray:
        q = orientation
        heading, = headings_from_quaternions(np.array([(q.x, q.y, q.z, q.w)]), what)
        velocity = velocity[0] * heading + velocity[1] * to_left(heading)
        return self._to_observation(position, velocity, heading)

    def _velocity(self, state: np.ndarray) -> np.ndarray:
        heading, velocity = self.axes.to_map(state[4:6]), self.axes.to_map(state[2:4])
        return np.array((velocity @ heading, velocity @ to_left(heading)))

    def pose(self, state: np.ndarray) -> Pose:
        """Return position and heading of a state (6,)."""
        pose = super().pose(state)
        heading = self.axes.to_map(state[4:6])
        half_turn = 0.5 * np.arctan2(heading[1], heading[0])
        pose.orientation = Quaternion(z=float(np.sin(half_turn)), w=float(np.cos(half_turn)))
        return pose

    def command(self, action: np.ndarray, stamp: Time, map_frame_id: str, base_frame_id: str
                ) -> TwistStamped | Twist:
        """Return the twist of an action (A,)."""
        twist = Twist(linear=Vector3(x=float(action[0])),
                      angular=Vector3(z=float(self._turn * action[-1])))
        if self._sideways:
            twist.linear.y = float(self._turn * action[1])
        if self.command_type is Twist:
            return twist
        return TwistStamped(header=Header(stamp=stamp, frame_id=base_frame_id), twist=twist)

    def action(self, msg: TwistStamped | Twist, frames: Collection[str]) -> np.ndarray:
        """Return a twist as action, (A,)."""
        stamped = conversions.stamped_twist(msg)
        conversions.check_frame(stamped.header.frame_id, frames, 'cmd_vel')
        twist = stamped.twist
        ahead, left, angular = conversions.finite(
            (twist.linear.x, twist.linear.y if self._sideways else 0.0, twist.angular.z),
            'cmd_vel')
        sideways = (self._turn * left,) if self._sideways else ()
        return np.array((ahead, *sideways, self._turn * angular))

    def _fill(self, rows: TrajectoryRows, plan: Plan) -> None:
        """
        Write headings, commanded angular velocities and accelerations.

        An acceleration would take the planned velocity to the commanded one within a control step.
        """
        headings = self.axes.to_map(plan.states[:, 4:6])
        headings = headings / np.linalg.norm(headings, axis=1, keepdims=True)
        half_turns = 0.5 * np.arctan2(headings[:, 1], headings[:, 0])
        rows.transforms[:, 5], rows.transforms[:, 6] = np.sin(half_turns), np.cos(half_turns)
        rows.velocities[:, 5] = self._turn * plan.actions[:, -1]
        commanded = (plan.actions[:, :-1, None] * self._directions(headings)).sum(axis=1)
        rows.accelerations[:, :2] = (commanded - rows.velocities[:, :2]) / plan.dt_s

    def _steps(self, rows: TrajectoryRows, dt_s: float) -> tuple[np.ndarray, np.ndarray]:
        numbers = conversions.finite(np.concatenate(
            (rows.transforms[:, :2], rows.velocities[:, :2], rows.accelerations[:, :2],
             rows.velocities[:, 5:]), axis=1), 'trajectory')
        headings = headings_from_quaternions(rows.transforms[:, 3:], 'trajectory')
        states = self._to_observation(numbers[:, :2], numbers[:, 2:4], headings)
        commanded = numbers[:, 2:4] + dt_s * numbers[:, 4:6]
        linear = (commanded[:, None] * self._directions(headings)).sum(axis=2)
        # Actions are float32 numbers: rounding undoes the way there and back.
        actions = np.column_stack((linear, self._turn * numbers[:, 6])).astype(np.float32)
        return states, actions.astype(np.float64)

    def _directions(self, headings: np.ndarray) -> np.ndarray:
        """Return the directions (H, A - 1, 2) on the map that linear velocities point in."""
        sideways = (self._turn * to_left(headings),) if self._sideways else ()
        return np.stack((headings, *sideways), axis=1)


def to_left(headings: np.ndarray) -> np.ndarray:
    """Return vectors (..., 2) of the map, turned by a quarter to the left."""
    return np.stack((-headings[..., 1], headings[..., 0]), axis=-1)


def headings_from_quaternions(rotations: np.ndarray, what: str) -> np.ndarray:
    """
    Return where the x axes of orientations (n, 4) point on the plane: cosine and sine, (n, 2).

    :raises InvalidInput: for one that is not finite, is no rotation, or points up or down.
    """
    x, y, z, w = conversions.finite(rotations, what).T
    headings = np.stack((w * w + x * x - y * y - z * z, 2.0 * (x * y + w * z)), axis=1)
    lengths = np.linalg.norm(headings, axis=1, keepdims=True)
    bad = (np.abs(w * w + x * x + y * y + z * z - 1.0) > UNIT_TOLERANCE) | (lengths[:, 0] < 0.5)
    if bad.any():
        raise InvalidInput(f'{what}: orientation must be a rotation about z of length 1, '
                           f'got {rotations[bad.argmax()].tolist()}')
    return headings / lengths
