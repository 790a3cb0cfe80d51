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

"""The map as the planner sees it: clearance from a signed distance field of an occupancy grid."""

from collections.abc import Callable
from collections.abc import Sequence

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.ndimage import map_coordinates

from df_planner.sim.maze import load_maze
from df_planner.sim.maze import OBSERVATION_TO_MAP

MAZE_RESOLUTION_M = 0.1


class GridMap:
    """
    An occupancy grid that is queried with positions in the observation frame of the data.

    :param occupied: (H, W) bool, row-major from the lower-left corner in the map frame (REP-103,
        as in ``nav_msgs/OccupancyGrid``): ``occupied[iy, ix]``.
    :param resolution_m: edge of a grid cell.
    :param origin_xy: (2,) position of the lower-left corner in the map frame.
    :param observation_to_map: (2, 2) matrix that turns observation axes into map axes.
    :param unknown: (H, W) bool, the occupied cells that nobody has seen; None if there are none.

    ``distance_m`` (H + 2, W + 2) holds the distance at the centres of the cells, with a border of
    one cell around the grid.
    """

    def __init__(self, occupied: np.ndarray, resolution_m: float, origin_xy: np.ndarray,
                 observation_to_map: np.ndarray, unknown: np.ndarray | None = None):
        self.unknown = unknown
        self.occupied = np.asarray(occupied, bool)
        if self.occupied.ndim != 2 or self.occupied.size == 0:
            raise ValueError(f'occupied must be (H, W), got {self.occupied.shape}')
        if not resolution_m > 0.0:
            raise ValueError(f'resolution_m must be above 0, got {resolution_m}')
        self.resolution_m = float(resolution_m)
        self.origin_xy = np.asarray(origin_xy, float)
        self.observation_to_map = np.asarray(observation_to_map, float)
        # The distance between cell centres, less half a cell, is the distance to the edge. Beyond
        # the grid nothing is known, so a border of obstacles closes it.
        solid = np.pad(self.occupied, 1, constant_values=True)
        outside = distance_transform_edt(~solid)
        inside = distance_transform_edt(solid)
        self.distance_m = self.resolution_m * np.where(solid, 0.5 - inside, outside - 0.5)

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Return whether points (..., 2) lie within the grid."""
        cells = self._cells(points)
        return np.all((cells >= 0.0) & (cells < self.occupied.shape), axis=-1)

    def clearance(self, points: np.ndarray) -> np.ndarray:
        """
        Return the distance (...) in metres from points (..., 2) to the nearest obstacle edge.

        Negative inside an obstacle and beyond the grid.
        """
        cells = self._cells(points) + 0.5  # the border shifts by one, centres by half a cell
        flat = cells.reshape(-1, 2).T
        values = map_coordinates(self.distance_m, flat, order=1, mode='nearest')
        return values.reshape(cells.shape[:-1])

    def is_unknown_near(self, point: np.ndarray) -> bool:
        """Tell whether the obstacle nearest to a point (2,) is a cell that nobody has seen."""
        if self.unknown is None:
            return False
        cell = self._cells(point)
        reach = max(float(self.clearance(point)), 0.0) / self.resolution_m + 2.0
        low, high = np.floor(cell - reach).astype(int), np.ceil(cell + reach).astype(int)
        window = tuple(slice(max(a, 0), max(b, 0)) for a, b in zip(low, high))
        solid = np.argwhere(self.occupied[window])
        if len(solid) == 0:
            return False
        away = np.linalg.norm(solid + np.maximum(low, 0) + 0.5 - cell, axis=-1)
        return bool(self.unknown[window][tuple(solid[away.argmin()])])

    def to_field_index(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (2, 2) and (2,): ``point @ matrix.T + offset`` is an index of ``distance_m``."""
        matrix = (self.observation_to_map / self.resolution_m)[::-1]
        # The border shifts by one cell, centres by half a cell.
        return matrix, 0.5 - (self.origin_xy / self.resolution_m)[::-1]

    def with_occupied(self, covers: Callable[[np.ndarray], np.ndarray]) -> 'GridMap':
        """
        Return the map with more obstacles.

        :param covers: tells of points (H, W, 2), the centres of the cells in the observation
            frame, which are occupied, bool (H, W).
        """
        iy, ix = np.indices(self.occupied.shape)
        xy = self.origin_xy + self.resolution_m * (np.stack([ix, iy], axis=-1) + 0.5)
        points = xy @ np.linalg.inv(self.observation_to_map).T
        return GridMap(self.occupied | covers(points), self.resolution_m, self.origin_xy,
                       self.observation_to_map, self.unknown)

    def _cells(self, points: np.ndarray) -> np.ndarray:
        """Return (..., 2) fractional (iy, ix) of points, 0 at the lower-left corner."""
        xy = np.asarray(points, float) @ self.observation_to_map.T
        return ((xy - self.origin_xy) / self.resolution_m)[..., ::-1]


def maze_map(name: str, observation_to_map: Sequence[Sequence[float]] = OBSERVATION_TO_MAP
             ) -> GridMap:
    """Return the map of a maze by name, or of a maze file, for models of these axes."""
    data, origin_xy = load_maze(name).occupancy_grid(MAZE_RESOLUTION_M)
    return GridMap(data > 0, MAZE_RESOLUTION_M, origin_xy, np.array(observation_to_map))
