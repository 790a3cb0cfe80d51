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
A point: forces in the map's axes on ``cmd_wrench``, however its base is turned.

What is published of it, here and by the simulator, is not turned.
"""

from collections.abc import Collection

from builtin_interfaces.msg import Time
from geometry_msgs.msg import WrenchStamped
import numpy as np
from std_msgs.msg import Header

from df_planner.planning.plan import Plan
from df_planner.ros import conversions
from df_planner.ros.conversions import ForceScale
from df_planner.ros.conversions import MapAxes
from df_planner.ros.robots.messages import RobotMessages
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

    def _state(self, position: np.ndarray, velocity: np.ndarray, heading: np.ndarray
               ) -> np.ndarray:
        return self._to_observation(position, velocity)

    def _velocity(self, state: np.ndarray) -> np.ndarray:
        return self.axes.to_map(state[2:])  # its pose is not turned

    def command(self, action: np.ndarray, stamp: Time, map_frame_id: str, base_frame_id: str
                ) -> WrenchStamped:
        """Return the force of an action (2,), in the map's frame."""
        msg = WrenchStamped(header=Header(stamp=stamp, frame_id=map_frame_id))
        msg.wrench.force = conversions.planar(self.axes.to_map(self._scale.force(action)))
        return msg

    def action(self, msg: WrenchStamped, frames: Collection[str]) -> np.ndarray:
        """Return the planar force as action, (2,)."""
        conversions.check_frame(msg.header.frame_id, frames, 'wrench')
        force = conversions.finite((msg.wrench.force.x, msg.wrench.force.y), 'wrench')
        return self._scale.action(self.axes.to_observation(force))

    def _fill(self, rows: TrajectoryRows, plan: Plan) -> None:
        rows.transforms[:, 6] = 1.0
        rows.accelerations[:, :2] = self.axes.to_map(self._scale.acceleration(plan.actions))

    def _steps(self, rows: TrajectoryRows, dt_s: float) -> tuple[np.ndarray, np.ndarray]:
        numbers = conversions.finite(np.concatenate((
            rows.transforms[:, :2], rows.velocities[:, :2], rows.accelerations[:, :2]), axis=1),
            'trajectory')
        states = self._to_observation(numbers[:, :2], numbers[:, 2:4])
        return states, self._scale.action_of_acceleration(self.axes.to_observation(numbers[:, 4:]))
