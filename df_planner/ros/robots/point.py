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

"""A point that does not turn: forces in the map's axes on ``cmd_wrench``."""

from collections.abc import Collection

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Pose
from geometry_msgs.msg import WrenchStamped
from nav_msgs.msg import Odometry
import numpy as np

from df_planner.planning.plan import Plan
from df_planner.ros import conversions
from df_planner.ros.conversions import ForceScale
from df_planner.ros.conversions import MapAxes
from df_planner.ros.robots.messages import RobotMessages
from df_planner.ros.trajectory_cdr import plan_from_trajectory
from df_planner.ros.trajectory_cdr import TrajectoryRows


class PointRobot(RobotMessages):
    """
    States (4,) are position and velocity, actions (2,) forces in units of the largest.

    :param scale: of the forces.
    """

    command_type = WrenchStamped

    def __init__(self, axes: MapAxes, scale: ForceScale):
        super().__init__(axes)
        self._scale = scale

    def state(self, msg: Odometry, frames: Collection[str]) -> np.ndarray:
        """Return position and velocity (4,)."""
        return conversions.state_from_odometry(msg, self.axes, frames)

    def odometry(self, state: np.ndarray, stamp: Time, frame_id: str, child_frame_id: str
                 ) -> Odometry:
        """Return the odometry of position and velocity (4,)."""
        return conversions.odometry_from_state(state, self.axes, stamp, frame_id, child_frame_id)

    def at_rest(self, pose: Pose, what: str) -> np.ndarray:
        """Return the position of a pose with no velocity, (4,)."""
        position = conversions.position_from_pose(pose, self.axes, what)
        return np.concatenate((position, np.zeros(2)))

    def pose(self, state: np.ndarray) -> Pose:
        """Return the position, facing along the map's x."""
        return conversions.pose_from_position(state[:2], self.axes)

    def command(self, action: np.ndarray, stamp: Time, map_frame_id: str, base_frame_id: str
                ) -> WrenchStamped:
        """Return the force of an action (2,), in the map's frame."""
        return conversions.wrench_from_action(action, self.axes, self._scale, stamp, map_frame_id)

    def action(self, msg: WrenchStamped, frames: Collection[str]) -> np.ndarray:
        """Return a force as action, (2,)."""
        return conversions.action_from_wrench(msg, self.axes, self._scale, frames)

    def _points(self, plan: Plan) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return positions, velocities and, as accelerations, force divided by mass."""
        transforms, (velocities, accelerations) = np.zeros((len(plan), 7)), np.zeros(
            (2, len(plan), 6))
        transforms[:, :2] = self.axes.to_map(plan.states[:, :2])
        transforms[:, 6] = 1.0
        velocities[:, :2] = self.axes.to_map(plan.states[:, 2:4])
        accelerations[:, :2] = self.axes.to_map(self._scale.acceleration(plan.actions))
        return transforms, velocities, accelerations

    def plan(self, rows: TrajectoryRows, frames: Collection[str], dt_s: float) -> Plan | None:
        """Return the plan of positions, velocities and accelerations."""
        return plan_from_trajectory(rows, self.axes, self._scale, frames, dt_s)
