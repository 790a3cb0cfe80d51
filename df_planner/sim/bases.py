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
Bases with a heading among walls, on MuJoCo.

States and goals are in the axes of the ROS ``map`` frame (REP 103), which are those of MuJoCo's
world here.
"""

from abc import ABC
from abc import abstractmethod
from collections.abc import Sequence
import math

import mujoco
import numpy as np

from df_planner.errors import InvalidInput
from df_planner.files import share_path
from df_planner.robots.kinds import DIFF_DRIVE
from df_planner.robots.kinds import OMNI
from df_planner.robots.signals import Signals
from df_planner.sim import lidar
from df_planner.sim.maze import map_to_observation
from df_planner.sim.maze import observation_to_map
from df_planner.sim.movers import Movers
from df_planner.sim.place import Place
from df_planner.sim.world import finite

WALL_CENTER_M = 0.1  # above the floor, where walls begin
WHEEL_RADIUS_M = 0.035
TRACK_M = 0.18  # from wheel to wheel
CHASSIS_HEIGHT_M = 0.035  # of its frame above the floor, at rest


class BaseWorld(ABC):
    """
    One robot in a place, with the interface of ``World``.

    States (6,) are (x, y, vx, vy, cosine and sine of the heading). The yaw rate is not part of a
    state: ``set_state`` makes it zero.
    """

    model_name: str  # of sim/NAME.xml
    signals: Signals

    def __init__(self, place: Place, *, movers: Movers | None = None):
        self.place = place
        self.movers = movers
        spec = mujoco.MjSpec.from_file(str(share_path(f'sim/{self.model_name}.xml')))
        wall = spec.find_default('wall')
        for box in place.boxes:
            x, y = observation_to_map(box.center)
            spec.worldbody.add_geom(
                wall, name=box.name, pos=[x, y, WALL_CENTER_M],
                size=[box.size_m[1] / 2, box.size_m[0] / 2, WALL_CENTER_M],
                quat=[math.cos(box.yaw / 2), 0.0, 0.0, math.sin(box.yaw / 2)])
        if movers is not None:
            movers.add_to(spec, WALL_CENTER_M)
        self._model = spec.compile()
        self._data = mujoco.MjData(self._model)
        if movers is not None:
            movers.bind(self._model, lambda positions: np.pad(
                observation_to_map(positions), ((0, 0), (0, 1)), constant_values=WALL_CENTER_M))
        self._substeps = round(self.signals.dt_s / self._model.opt.timestep)

    @property
    def state(self) -> np.ndarray:
        """Return the state, (6,)."""
        yaw = self._yaw()
        return np.array((*self._data.qpos[:2], *self._data.qvel[:2], math.cos(yaw), math.sin(yaw)))

    @property
    def in_contact(self) -> bool:
        """Tell whether the robot touches a wall."""
        return self._data.ncon > 0

    @property
    def touches_mover(self) -> bool:
        """Tell whether the robot touches an obstacle that moves."""
        return self.movers is not None and self.movers.are_touched(self._data)

    def ranges(self) -> np.ndarray:
        """Return what a lidar above the robot measures (see ``lidar.ranges``)."""
        angles = self._yaw() + lidar.bearings()
        origin = np.array([*self._data.qpos[:2], WALL_CENTER_M])
        return lidar.ranges(self._model, self._data, origin,
                            np.stack([np.cos(angles), np.sin(angles)], axis=-1), 'chassis')

    def set_state(self, state: Sequence[float] | np.ndarray) -> None:
        """
        Put the robot into a state (6,).

        :raises InvalidInput: unless it is finite, and the heading about a unit vector.
        """
        x, y, vx, vy, cosine, sine = finite(state, (6,), 'state').tolist()
        if not 0.5 < math.hypot(cosine, sine) < 2.0:
            raise InvalidInput('heading_cos and heading_sin must be a unit vector, '
                               f'got {cosine:.3f}, {sine:.3f}')
        mujoco.mj_resetData(self._model, self._data)
        self._data.qpos[:2] = x, y
        self._data.qvel[:2] = vx, vy
        self._turn_to(math.atan2(sine, cosine))
        if self.movers is not None:
            self.movers.place_in(self._data)
        mujoco.mj_forward(self._model, self._data)

    def step(self, action: Sequence[float] | np.ndarray) -> np.ndarray:
        """Drive with velocities (A,), clipped to the limits, for 50 ms; return the state (6,)."""
        limits = np.array(self.signals.action_limits)
        if self.movers is not None:
            self.movers.advance(
                self.signals.dt_s, map_to_observation(self._data.qpos[:2]),
                self.signals.robot_radius_m, float(np.linalg.norm(self._data.qvel[:2])))
            self.movers.place_in(self._data)
        self._drive(*np.clip(finite(action, limits.shape, 'action'), -limits, limits).tolist())
        return self.state

    @abstractmethod
    def _yaw(self) -> float:
        """Return the heading in radians."""

    @abstractmethod
    def _turn_to(self, yaw: float) -> None:
        """Set the heading, and all that position and velocity do not say."""

    @abstractmethod
    def _drive(self, *velocities: float) -> None:
        """Advance 50 ms with velocities within the limits."""


class DiffDriveWorld(BaseWorld):
    """
    A differential drive; actions (2,) are linear (m/s) and angular velocity (rad/s).

    A step turns the twist into speeds of the two wheels (the inverse kinematics) and lets their
    servos work. Wheel speeds are not part of a state: ``set_state`` makes them fit the chassis.
    """

    model_name = DIFF_DRIVE.name
    signals = DIFF_DRIVE.signals

    @property
    def in_contact(self) -> bool:
        """Tell whether the chassis touches a wall; the floor, under its wheels, does not count."""
        return bool((self._data.contact.geom == self._model.geom('chassis').id).any())

    def _yaw(self) -> float:
        qw, qx, qy, qz = self._data.qpos[3:7].tolist()
        return math.atan2(2 * (qw * qz + qx * qy), 1 - 2 * (qy * qy + qz * qz))

    def _turn_to(self, yaw: float) -> None:
        self._data.qpos[2:7] = CHASSIS_HEIGHT_M, math.cos(yaw / 2), 0, 0, math.sin(yaw / 2)
        vx, vy = self._data.qvel[:2].tolist()
        self._data.qvel[6:] = (vx * math.cos(yaw) + vy * math.sin(yaw)) / WHEEL_RADIUS_M

    def _drive(self, linear: float, angular: float) -> None:
        self._data.ctrl[0] = (linear - angular * TRACK_M / 2) / WHEEL_RADIUS_M
        self._data.ctrl[1] = (linear + angular * TRACK_M / 2) / WHEEL_RADIUS_M
        mujoco.mj_step(self._model, self._data, self._substeps)


class OmniWorld(BaseWorld):
    """A base that drives in any direction; actions (3,) are ahead, left (m/s), turning (rad/s)."""

    model_name = OMNI.name
    signals = OMNI.signals

    def _yaw(self) -> float:
        return float(self._data.qpos[2])

    def _turn_to(self, yaw: float) -> None:
        self._data.qpos[2] = yaw

    def _drive(self, ahead: float, left: float, turn_rate: float) -> None:
        for _ in range(self._substeps):
            cosine, sine = math.cos(self._yaw()), math.sin(self._yaw())
            self._data.ctrl[:] = (cosine * ahead - sine * left, sine * ahead + cosine * left,
                                  turn_rate)
            mujoco.mj_step(self._model, self._data)
