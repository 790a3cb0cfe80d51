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
A differential-drive robot among the walls of a maze, on MuJoCo.

States and goals are in the axes of the ROS ``map`` frame (REP 103), which are those of MuJoCo's
world here. A step turns a twist, clipped to the robot's limits, into speeds of the two wheels
(the inverse kinematics of the differential drive) and lets their servos work for 50 ms.
"""

from collections.abc import Sequence
import math

import mujoco
import numpy as np

from df_planner.robots.kinds import DIFF_DRIVE
from df_planner.sim.maze import Maze
from df_planner.sim.world import build_map_model
from df_planner.sim.world import finite
from df_planner.sim.world import heading_of

WHEEL_RADIUS_M = 0.035
TRACK_M = 0.18  # from wheel to wheel
CHASSIS_HEIGHT_M = 0.035  # of its frame above the floor, at rest


class DiffDriveWorld:
    """
    One robot in a maze, with the interface of ``World``.

    States (6,) are (x, y, vx, vy, cosine and sine of the heading), actions (2,) the linear
    velocity in m/s and the angular velocity in rad/s. Wheel speeds and yaw rate are not part of a
    state: ``set_state`` gives the wheels the speed of the chassis and no yaw rate.
    """

    signals = DIFF_DRIVE.signals

    def __init__(self, maze: Maze):
        self.maze = maze
        self._model = build_map_model('diff_drive', maze)
        self._data = mujoco.MjData(self._model)
        self._chassis = self._model.geom('chassis').id
        self._substeps = round(self.signals.dt_s / self._model.opt.timestep)

    @property
    def state(self) -> np.ndarray:
        """Return the state, (6,)."""
        return np.array(self._state())

    @property
    def in_contact(self) -> bool:
        """Tell whether the chassis touches a wall; the floor, under its wheels, does not count."""
        return bool((self._data.contact.geom == self._chassis).any())

    def set_state(self, state: Sequence[float] | np.ndarray) -> None:
        """Put the robot into a state (6,), level on the floor; InvalidInput if it is not one."""
        state = finite(state, (6,), 'state')
        x, y, vx, vy = state[:4].tolist()
        yaw = heading_of(state)
        mujoco.mj_resetData(self._model, self._data)
        self._data.qpos[:7] = (x, y, CHASSIS_HEIGHT_M, math.cos(yaw / 2), 0, 0, math.sin(yaw / 2))
        self._data.qvel[:2] = vx, vy
        self._data.qvel[6:] = (vx * math.cos(yaw) + vy * math.sin(yaw)) / WHEEL_RADIUS_M
        mujoco.mj_forward(self._model, self._data)

    def step(self, action: Sequence[float] | np.ndarray) -> np.ndarray:
        """Drive with a twist (2,), clipped to the limits, for 50 ms; return the new state (6,)."""
        linear, angular = finite(action, (2,), 'action')
        return np.array(self.advance(float(linear), float(angular)))

    def advance(self, linear_mps: float, angular_radps: float) -> list[float]:
        """Step in plain floats, unchecked: what the inner loop of the data generator calls."""
        max_linear, max_angular = self.signals.action_limits
        linear = min(max(linear_mps, -max_linear), max_linear)
        angular = min(max(angular_radps, -max_angular), max_angular)
        self._data.ctrl[0] = (linear - angular * TRACK_M / 2) / WHEEL_RADIUS_M
        self._data.ctrl[1] = (linear + angular * TRACK_M / 2) / WHEEL_RADIUS_M
        mujoco.mj_step(self._model, self._data, self._substeps)
        return self._state()

    def _state(self) -> list[float]:
        x, y, _, qw, qx, qy, qz = self._data.qpos[:7].tolist()
        yaw = math.atan2(2 * (qw * qz + qx * qy), 1 - 2 * (qy * qy + qz * qz))
        return [x, y, *self._data.qvel[:2].tolist(), math.cos(yaw), math.sin(yaw)]
