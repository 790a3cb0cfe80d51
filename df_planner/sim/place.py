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
A place to drive in: what the simulator, the protocol and the reports ask of it.

A maze by name (``sim/maze.py``) is one, a map from a file (``sim/map_place.py``) another. In the
code positions are (row, column) of the observation frame, which is (-y, x) of the map frame. What
users read and write is (row, column) in a maze and (x, y) on a map.
"""

from abc import ABC
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from df_planner.errors import ConfigError
from df_planner.maps.grid import GridMap


@dataclass(frozen=True)
class Box:
    """
    A piece of wall.

    :param center: (row, column).
    :param size_m: along rows and along columns, before it is turned.
    :param yaw: counter-clockwise as seen on the map, in radians.
    """

    name: str
    center: tuple[float, float]
    size_m: tuple[float, float]
    yaw: float = 0.0


class Place(ABC):
    """
    Free space among walls.

    :cvar kind: ``maze`` or ``map``.
    :cvar in_map_frame: users read and write (x, y), not (row, column).
    :cvar ends_at_goal: an episode has a goal of its own and ends there; else, as in D4RL, all go
        to the goal of the maze and last equally long.
    :cvar waypoint_jitter_m: how far, along each axis, a way-point may be moved.
    """

    kind: str
    in_map_frame: bool
    ends_at_goal: bool
    waypoint_jitter_m: float
    name: str
    reference_return: tuple[float, float] | None

    def __str__(self) -> str:
        return f'{self.kind} {self.name!r}'

    @property
    def axes(self) -> tuple[str, str]:
        """Return what users call the axes."""
        return ('x', 'y') if self.in_map_frame else ('row', 'column')

    def shown(self, position: np.ndarray) -> np.ndarray:
        """Return a (row, column) as users read it."""
        row, column = position
        return np.array((column, -row) if self.in_map_frame else (row, column))

    @property
    @abstractmethod
    def layout(self) -> tuple[str, ...]:
        """Return texts that no other place has, to tell results apart."""

    @property
    @abstractmethod
    def grid(self) -> GridMap:
        """Return the map, for positions in the map frame."""

    @abstractmethod
    def grid_to_publish(self, resolution_m: float) -> GridMap:
        """Return the map, at this resolution unless it has its own."""

    @property
    def corners(self) -> np.ndarray:
        """Return the least and the largest (row, column) of the map, (2, 2)."""
        size = self.grid.occupied.shape
        ends = self.grid.centers(np.array([(iy, ix) for iy in (-0.5, size[0] - 0.5)
                                           for ix in (-0.5, size[1] - 0.5)]))
        points = np.stack((-ends[:, 1], ends[:, 0]), axis=-1)
        return np.stack((points.min(axis=0), points.max(axis=0)))

    @property
    @abstractmethod
    def boxes(self) -> Sequence[Box]:
        """Return the walls that robots touch."""

    @property
    @abstractmethod
    def goal(self) -> np.ndarray:
        """Return the goal for whoever brings none, (2,)."""

    @abstractmethod
    def episode_steps(self, dt_s: float) -> int:
        """Return the most steps of an episode."""

    def normalized_score(self, episode_return: float, dense: bool = False) -> float:
        """Return a return in percent of the reference, where there is one."""
        raise ConfigError(f'{self} has no reference return to score against')

    @abstractmethod
    def is_wall(self, position: Sequence[float] | np.ndarray) -> np.ndarray:
        """Tell which positions (..., 2) lie in a wall or outside, bool (...)."""

    @abstractmethod
    def draw_position(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a position (2,) of a start or a goal of an episode."""

    @abstractmethod
    def draw_goal(self, start: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw a position (2,) of the goal of an episode from a position (2,)."""

    @abstractmethod
    def draw_anywhere(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a free position (2,) of a drive in a log."""

    @abstractmethod
    def way(self, start: np.ndarray, goal: np.ndarray) -> np.ndarray:
        """Return way-points (N, 2) from a position (2,) to another one, without the first."""
