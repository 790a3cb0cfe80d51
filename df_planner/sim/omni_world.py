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

"""A base that drives in any direction among the walls of a maze, on MuJoCo."""

from collections.abc import Sequence
import math

import mujoco
import numpy as np

from df_planner.robots.kinds import OMNI
from df_planner.sim.maze import Maze
from df_planner.sim.world import build_map_model
from df_planner.sim.world import finite
from df_planner.sim.world import heading_of


class OmniWorld:
    """
    One robot in a maze, with the interface of ``World``, in the axes of the ROS ``map`` frame.

    States (6,) are (x, y, vx, vy, cosine and sine of the heading), actions (3,) the velocities
    ahead and to the left in m/s and the angular velocity in rad/s. The yaw rate is not part of a
    state: ``set_state`` makes it zero.
    """

    signals = OMNI.signals

    def __init__(self, maze: Maze):
        self.maze = maze
        self._model = build_map_model('omni', maze)
        self._data = mujoco.MjData(self._model)
        self._substeps = round(self.signals.dt_s / self._model.opt.timestep)

    @property
    def state(self) -> np.ndarray:
        """Return the state, (6,)."""
        yaw = float(self._data.qpos[2])
        return np.array((*self._data.qpos[:2], *self._data.qvel[:2], math.cos(yaw), math.sin(yaw)))

    @property
    def in_contact(self) -> bool:
        """Tell whether the robot touches a wall."""
        return self._data.ncon > 0

    def set_state(self, state: Sequence[float] | np.ndarray) -> None:
        """Put the robot into a state (6,); InvalidInput if it is not one."""
        state = finite(state, (6,), 'state')
        yaw = heading_of(state)
        mujoco.mj_resetData(self._model, self._data)
        self._data.qpos[:] = *state[:2], yaw
        self._data.qvel[:2] = state[2:4]
        mujoco.mj_forward(self._model, self._data)

    def step(self, action: Sequence[float] | np.ndarray) -> np.ndarray:
        """Drive with velocities (3,), clipped to the limits, for 50 ms; return the state (6,)."""
        limits = self.signals.action_limits
        ahead, left, turn_rate = np.clip(finite(action, (3,), 'action'), np.negative(limits),
                                         limits).tolist()
        for _ in range(self._substeps):
            yaw = float(self._data.qpos[2])
            cosine, sine = math.cos(yaw), math.sin(yaw)
            self._data.ctrl[:] = (cosine * ahead - sine * left, sine * ahead + cosine * left,
                                  turn_rate)
            mujoco.mj_step(self._model, self._data)
        return self.state
