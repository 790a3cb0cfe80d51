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
Obstacles that move: discs and boxes that wander from place to place, whatever the robot does.

They follow the ways of the place (``Place.way``), each at a speed of its own, and pass through
each other. None looks out for a robot that drives. Before one that stands still they turn back, as
people do: nothing that a standing robot could do would spare it the touch.
"""

from collections.abc import Callable

import mujoco
import numpy as np

from df_planner.sim.place import Place

RADII_M = (0.1, 0.2)  # of the circle around an obstacle
SLOWEST = 0.25  # share of the highest speed
KEEP_OFF_M = 1.0  # of start and goal of the robot, where obstacles begin
GAP_M = 0.05  # that they leave to a robot that stands still
STILL_MPS = 0.2
STOPS = 6  # positions that they wander between
MOST_DRAWS = 1000


class Movers:
    """
    N obstacles in a place; every second one is a box.

    :param max_speed_mps: of the fastest.
    :ivar positions: (N, 2) of their centres, (row, column).
    """

    def __init__(self, place: Place, count: int, max_speed_mps: float, seed: int = 0):
        self._place, self._max_speed_mps = place, max_speed_mps
        self._rng = np.random.default_rng(seed)
        self.radii_m = self._rng.uniform(*RADII_M, count)
        self.positions = np.zeros((count, 2))
        self._geoms: list[int] = []
        self._bodies: list[int] = []
        self._to_world: Callable[[np.ndarray], np.ndarray]
        self.start(np.zeros((0, 2)), seed)

    def start(self, keep_off: np.ndarray, seed: int) -> None:
        """
        Begin anew.

        :param keep_off: (K, 2) positions that no obstacle begins beside.
        :param seed: decides all that they do.
        """
        self._rng = rng = np.random.default_rng(seed)
        count = len(self.positions)
        self._stops = [self._place.draw_anywhere(rng) for _ in range(STOPS)]
        self._speeds_mps = self._max_speed_mps * rng.uniform(SLOWEST, 1.0, count)
        self._along_m, self._turn = np.zeros(count), np.ones(count)
        self._ways, self._lengths_m = [np.zeros((0, 2))] * count, [np.zeros(0)] * count
        for index in range(count):
            for _ in range(MOST_DRAWS):
                position = self._place.draw_anywhere(rng)
                if (np.linalg.norm(keep_off - position, axis=-1) > KEEP_OFF_M).all():
                    break
            self._set_out(index, position)

    def advance(self, dt_s: float, robot: np.ndarray, radius_m: float, speed_mps: float) -> None:
        """
        Move for a time.

        :param robot: (2,) where the robot is; ``radius_m`` and ``speed_mps`` are its own.
        """
        for index, way in enumerate(self._ways):
            lengths_m = self._lengths_m[index]
            along_m = self._along_m[index] + self._turn[index] * self._speeds_mps[index] * dt_s
            position = np.array([np.interp(along_m, lengths_m, way[:, axis]) for axis in (0, 1)])
            away_m = np.linalg.norm(position - robot)
            if speed_mps < STILL_MPS and (
                    away_m < self.radii_m[index] + radius_m + GAP_M
                    and away_m < np.linalg.norm(self.positions[index] - robot)):
                self._turn[index] *= -1.0
                continue
            self.positions[index], self._along_m[index] = position, along_m
            if not 0.0 < along_m < lengths_m[-1]:
                self._set_out(index, position)

    def _set_out(self, index: int, position: np.ndarray) -> None:
        """Send an obstacle from a position (2,) to one of the stops."""
        for _ in range(MOST_DRAWS):
            stop = self._stops[self._rng.integers(STOPS)]
            way = np.vstack([position, self._place.way(position, stop)])
            if np.linalg.norm(way[-1] - position) > max(RADII_M):
                break
        steps_m = np.linalg.norm(np.diff(way, axis=0), axis=-1)
        self._ways[index], self._lengths_m[index] = way, np.append(0.0, np.cumsum(steps_m))
        self.positions[index], self._along_m[index], self._turn[index] = position, 0.0, 1.0

    # In MuJoCo

    def add_to(self, spec: mujoco.MjSpec, height_m: float) -> None:
        """Add them to a model as bodies that are moved, from the floor of its walls upwards."""
        wall = spec.find_default('wall')
        for index, radius_m in enumerate(self.radii_m.tolist()):
            body = spec.worldbody.add_body(name=f'mover_{index}', mocap=True)
            if index % 2:
                half_m = radius_m / np.sqrt(2.0)
                body.add_geom(wall, name=f'mover_{index}', size=[half_m, half_m, height_m])
            else:
                body.add_geom(wall, name=f'mover_{index}', type=mujoco.mjtGeom.mjGEOM_CYLINDER,
                              size=[radius_m, height_m, 0.0])

    def bind(self, model: mujoco.MjModel, to_world: Callable[[np.ndarray], np.ndarray]) -> None:
        """
        Take the compiled model.

        :param to_world: turns positions (N, 2) into those of MuJoCo (N, 3).
        """
        names = [f'mover_{index}' for index in range(len(self.positions))]
        self._geoms = [model.geom(name).id for name in names]
        self._bodies = [int(model.body(name).mocapid[0]) for name in names]
        self._to_world = to_world

    def place_in(self, data: mujoco.MjData) -> None:
        """Put their bodies where they are."""
        data.mocap_pos[self._bodies] = self._to_world(self.positions)

    def are_touched(self, data: mujoco.MjData) -> bool:
        """Tell whether anything touches one of them."""
        return bool(np.isin(data.contact.geom, self._geoms).any())
