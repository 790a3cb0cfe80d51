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

from df_planner.geometry import quaternions_of
from df_planner.geometry import to_left
from df_planner.planning.plan import Plan
from df_planner.ros import conversions
from df_planner.ros.conversions import MapAxes
from df_planner.ros.robots.messages import RobotMessages
from df_planner.ros.trajectory_cdr import TrajectoryRows


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

    def _state(self, position: np.ndarray, velocity: np.ndarray, heading: np.ndarray
               ) -> np.ndarray:
        return self._to_observation(position, velocity, heading)

    def _velocity(self, state: np.ndarray) -> np.ndarray:
        heading, velocity = self.axes.to_map(state[4:6]), self.axes.to_map(state[2:4])
        return np.array((velocity @ heading, velocity @ to_left(heading)))

    def pose(self, state: np.ndarray) -> Pose:
        """Return position and heading of a state (6,)."""
        pose = super().pose(state)
        x, y, z, w = quaternions_of(self.axes.to_map(state[4:6])).tolist()
        pose.orientation = Quaternion(x=x, y=y, z=z, w=w)
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
        rows.transforms[:, 3:] = quaternions_of(headings)
        rows.velocities[:, 5] = self._turn * plan.actions[:, -1]
        commanded = (plan.actions[:, :-1, None] * self._directions(headings)).sum(axis=1)
        rows.accelerations[:, :2] = (commanded - rows.velocities[:, :2]) / plan.dt_s

    def _steps(self, rows: TrajectoryRows, dt_s: float) -> tuple[np.ndarray, np.ndarray]:
        numbers = conversions.finite(np.concatenate(
            (rows.transforms[:, :2], rows.velocities[:, :2], rows.accelerations[:, :2],
             rows.velocities[:, 5:]), axis=1), 'trajectory')
        headings = conversions.headings(rows.transforms[:, 3:], 'trajectory')
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
