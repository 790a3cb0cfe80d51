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
The kinds of robots, as messages: what a state and an action are on topics.

The parameter ``robot`` of every node names the kind. The kind decides which topic carries
commands, and how odometry, commands and plans become arrays of its signals (``robots/signals.py``)
and back. A bad message raises a FrameError or an InvalidInput.
"""

from abc import ABC
from abc import abstractmethod
from collections.abc import Collection
from typing import Any

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Pose
from nav_msgs.msg import Odometry
from nav_msgs.msg import Path
import numpy as np
from rclpy.serialization import deserialize_message
from std_msgs.msg import Header

from df_planner.driving.stamps import seconds_to_ns
from df_planner.errors import InvalidInput
from df_planner.geometry import turned
from df_planner.geometry import twist_is_of_robot
from df_planner.planning.plan import Plan
from df_planner.ros import conversions
from df_planner.ros.conversions import MapAxes
from df_planner.ros.trajectory_cdr import path_bytes
from df_planner.ros.trajectory_cdr import TrajectoryRows


class RobotMessages(ABC):
    """
    The messages of a kind of robot with S observations and A actions.

    :ivar command_type: class of the commands on the topic ``topics.COMMANDS`` of the kind.
    """

    command_type: type

    def __init__(self, axes: MapAxes):
        self.axes = axes

    def state(self, msg: Odometry, frames: Collection[str]) -> np.ndarray:
        """Return odometry as state, (S,)."""
        conversions.check_frame(msg.header.frame_id, frames, 'odometry')
        position, linear = msg.pose.pose.position, msg.twist.twist.linear
        values = conversions.finite((position.x, position.y, linear.x, linear.y), 'odometry')
        heading = conversions.heading(msg.pose.pose.orientation, 'odometry')
        velocity = values[2:]
        if twist_is_of_robot(msg.child_frame_id, frames):
            velocity = turned(velocity, heading)
        return self._state(values[:2], velocity, heading)

    def at_rest(self, pose: Pose, what: str) -> np.ndarray:
        """Return the state (S,) at rest in a pose; ``what`` names the pose in errors."""
        position = conversions.finite((pose.position.x, pose.position.y), what)
        return self._state(position, np.zeros(2), conversions.heading(pose.orientation, what))

    @abstractmethod
    def _state(self, position: np.ndarray, velocity: np.ndarray, heading: np.ndarray
               ) -> np.ndarray:
        """Return a state (S,) from position, velocity and heading (2,), all in the map's axes."""

    def odometry(self, state: np.ndarray, stamp: Time, frame_id: str, child_frame_id: str
                 ) -> Odometry:
        """Return the odometry of a state (S,); it has no angular velocity."""
        msg = Odometry(header=Header(stamp=stamp, frame_id=frame_id),
                       child_frame_id=child_frame_id)
        msg.pose.pose = self.pose(state)
        msg.twist.twist.linear = conversions.planar(self._velocity(state))
        return msg

    @abstractmethod
    def _velocity(self, state: np.ndarray) -> np.ndarray:
        """Return the velocity (2,) of a state (S,) in the axes of the robot."""

    def pose(self, state: np.ndarray) -> Pose:
        """Return the pose of a state (S,)."""
        return conversions.pose_from_position(state[:2], self.axes)

    def trajectory(self, plan: Plan | None, stamp: Time, frame_id: str) -> TrajectoryRows:
        """
        Return a plan as a timed trajectory; without a plan an empty one, "brake".

        Point i is that of ``stamp + i dt``.
        """
        points = 0 if plan is None else len(plan)
        step_ns = 0 if plan is None else seconds_to_ns(plan.dt_s)
        rows = TrajectoryRows(
            frame_id, conversions.stamp_to_ns(stamp), step_ns * np.arange(points),
            *(np.zeros((points, size)) for size in (7, 6, 6)))
        if plan is not None:
            rows.transforms[:, :2] = self.axes.to_map(plan.states[:, :2])
            rows.velocities[:, :2] = self.axes.to_map(plan.states[:, 2:4])
            self._fill(rows, plan)
        return rows

    @abstractmethod
    def _fill(self, rows: TrajectoryRows, plan: Plan) -> None:
        """Write orientations, angular velocities and accelerations of a plan into its rows."""

    def path(self, plan: Plan | None, stamp: Time, frame_id: str) -> Path:
        """Return a plan's poses, each stamped with its time; without a plan an empty path."""
        return deserialize_message(path_bytes(self.trajectory(plan, stamp, frame_id)), Path)

    def plan(self, rows: TrajectoryRows, frames: Collection[str], dt_s: float) -> Plan | None:
        """
        Return the plan that a trajectory carries, None for an empty one.

        Its goal is the last planned position.

        :param dt_s: the control step.
        :raises FrameError: for a frame that is not one of ``frames``.
        :raises InvalidInput: for points that are not ``dt_s`` apart, from 0 s on, or bad numbers.
        """
        conversions.check_frame(rows.frame_id, frames, 'trajectory')
        if (np.diff(rows.times_ns) <= 0).any():
            raise InvalidInput('trajectory: time_from_start must increase from point to point')
        if not np.array_equal(rows.times_ns, seconds_to_ns(dt_s) * np.arange(len(rows))):
            raise InvalidInput(f'trajectory: points must be {dt_s} s apart, starting at 0 s')
        if not len(rows):
            return None
        states, actions = self._steps(rows, dt_s)
        return Plan(actions=actions, states=states, dt_s=dt_s, goal=states[-1, :2])

    @abstractmethod
    def _steps(self, rows: TrajectoryRows, dt_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the states (H, S) and the actions (H, A) of a trajectory."""

    @abstractmethod
    def command(self, action: np.ndarray, stamp: Time, map_frame_id: str, base_frame_id: str
                ) -> Any:
        """Return the command of an action (A,), in the frame that the kind takes commands in."""

    @abstractmethod
    def action(self, msg: Any, frames: Collection[str]) -> np.ndarray:
        """Return a command as action, (A,); what the robot cannot do is ignored."""

    def _to_observation(self, *vectors: np.ndarray) -> np.ndarray:
        """Join vectors (..., 2) of the map's axes to states (..., S) of the data's."""
        return np.concatenate([self.axes.to_observation(vector) for vector in vectors], axis=-1)
