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

A kind is the parameter ``robot`` of every node. It decides on the command topic and on how
odometry, commands and plans become arrays of its signals (``robots/signals.py``) and back.
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

from df_planner.driving.stamps import seconds_to_ns
from df_planner.planning.plan import Plan
from df_planner.ros.conversions import MapAxes
from df_planner.ros.conversions import stamp_to_ns
from df_planner.ros.trajectory_cdr import path_bytes
from df_planner.ros.trajectory_cdr import TrajectoryRows


class RobotMessages(ABC):
    """
    The messages of a kind of robot with S observations and A actions.

    :ivar command_type: class of the commands on the topic ``topics.COMMANDS`` of the kind.
    """

    command_type: type

    def __init__(self, axes: MapAxes):
        """Take the axes of the arrays."""
        self.axes = axes

    @abstractmethod
    def state(self, msg: Odometry, frames: Collection[str]) -> np.ndarray:
        """Return odometry as state, (S,); FrameError or InvalidInput for a bad one."""

    @abstractmethod
    def odometry(self, state: np.ndarray, stamp: Time, frame_id: str, child_frame_id: str
                 ) -> Odometry:
        """Return the odometry of a state (S,)."""

    @abstractmethod
    def at_rest(self, pose: Pose, what: str) -> np.ndarray:
        """Return the state (S,) at rest in a pose; InvalidInput naming ``what`` for a bad one."""

    @abstractmethod
    def pose(self, state: np.ndarray) -> Pose:
        """Return the pose of a state (S,)."""

    def trajectory(self, plan: Plan | None, stamp: Time, frame_id: str) -> TrajectoryRows:
        """
        Return a plan as a timed trajectory; without a plan an empty one, "brake".

        Point i is that of ``stamp + i dt``.
        """
        stamp_ns = stamp_to_ns(stamp)
        if plan is None:
            return TrajectoryRows(frame_id, stamp_ns, np.zeros(0, np.int64), np.zeros((0, 7)),
                                  np.zeros((0, 6)), np.zeros((0, 6)))
        times_ns = seconds_to_ns(plan.dt_s) * np.arange(len(plan))
        return TrajectoryRows(frame_id, stamp_ns, times_ns, *self._points(plan))

    @abstractmethod
    def _points(self, plan: Plan) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the transforms (H, 7), velocities and accelerations (H, 6) of a plan."""

    def path(self, plan: Plan | None, stamp: Time, frame_id: str) -> Path:
        """Return a plan's poses, each stamped with its time; without a plan an empty path."""
        return deserialize_message(path_bytes(self.trajectory(plan, stamp, frame_id)), Path)

    @abstractmethod
    def command(self, action: np.ndarray, stamp: Time, map_frame_id: str, base_frame_id: str
                ) -> Any:
        """Return the command of an action (A,), in the frame that the kind takes commands in."""

    @abstractmethod
    def action(self, msg: Any, frames: Collection[str]) -> np.ndarray:
        """Return a command as action, (A,); FrameError or InvalidInput for a bad one."""

    @abstractmethod
    def plan(self, rows: TrajectoryRows, frames: Collection[str], dt_s: float) -> Plan | None:
        """
        Return the plan that a trajectory carries, None for an empty one.

        :param dt_s: the control step; the points must be this far apart.
        """
