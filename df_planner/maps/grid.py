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
from collections.abc import Iterable
from collections.abc import Sequence
from copy import copy
from functools import cached_property
import hashlib
import math

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.ndimage import map_coordinates

from df_planner.errors import InvalidInput

AXES_OF_THE_MAP = ((1.0, 0.0), (0.0, 1.0))  # of data that are in the map frame themselves
OCCUPIED_THRESHOLD = 65  # Nav2's
FAR_M = 2.0  # nobody asks for more clearance than this
NOWHERE = 1e6  # cells to the nearest obstacle where there is none
SAME_M = 0.1  # between an obstacle on the map and the same one as a sensor sees it
AROUND = np.array([(0, 0), *((np.cos(a), np.sin(a)) for a in np.arange(8) * np.pi / 4)])
LOG_RESOLUTION_M = 0.05  # of maps from logs
MOST_CELLS = 50_000_000  # 7000 x 7000: the distance field takes 8 bytes a cell
UNKNOWN, FREE, OCCUPIED = -1, 0, 100  # cells of nav_msgs/OccupancyGrid


class GridMap:
    """
    An occupancy grid that is queried with positions in the axes of the data.

    :param occupied: (H, W) bool, row-major from the lower-left corner (REP-103, as in
        ``nav_msgs/OccupancyGrid``): ``occupied[iy, ix]``.
    :param resolution_m: edge of a grid cell.
    :param origin_xy: (2,) position of the lower-left corner in the map frame.
    :param observation_to_map: (2, 2) matrix that turns axes of the data into map axes.
    :param origin_yaw: the grid's x axis in the map frame, in radians; maps may be turned.
    :param unknown: (H, W) bool, cells that nobody has seen; none by default.
    :param allow_unknown: unknown cells are free; otherwise they are obstacles.
    :param closed: what lies beyond the grid counts as an obstacle; around a local map it is free.
    :raises InvalidInput: for a grid that describes no plane.
    :ivar base: of a map with local obstacles (see ``with_local``) the map without them.

    ``distance_m`` (H + 2, W + 2) holds the distance at the centres of the cells, with a border of
    one cell around the grid.
    """

    def __init__(self, occupied: np.ndarray, resolution_m: float, origin_xy: np.ndarray,
                 observation_to_map: np.ndarray | Sequence[Sequence[float]] = AXES_OF_THE_MAP, *,
                 origin_yaw: float = 0.0, unknown: np.ndarray | None = None,
                 allow_unknown: bool = False, closed: bool = True):
        self.base: GridMap | None = None
        self.closed = closed
        self.occupied = np.asarray(occupied, bool)
        if self.occupied.ndim != 2 or self.occupied.size == 0:
            raise InvalidInput(f'occupied must be (H, W), got {self.occupied.shape}')
        self.unknown = (np.zeros_like(self.occupied) if unknown is None
                        else np.asarray(unknown, bool))
        if self.unknown.shape != self.occupied.shape:
            raise InvalidInput(f'unknown must be {self.occupied.shape}, got {self.unknown.shape}')
        self.unknown = self.unknown & ~self.occupied
        if not 0.0 < resolution_m < np.inf:
            raise InvalidInput(f'resolution_m must be above 0, got {resolution_m}')
        self.resolution_m = float(resolution_m)
        self.origin_xy = np.asarray(origin_xy, float)
        self.origin_yaw = float(origin_yaw)
        if self.origin_xy.shape != (2,) or not np.isfinite([*self.origin_xy, origin_yaw]).all():
            raise InvalidInput(f'the origin must be three finite numbers, got {origin_xy} and '
                               f'{origin_yaw}')
        self.observation_to_map = np.asarray(observation_to_map, float)
        self.allow_unknown = allow_unknown
        cosine, sine = np.cos(self.origin_yaw), np.sin(self.origin_yaw)
        self._to_grid = np.array([[cosine, sine], [-sine, cosine]])  # axes of the map to its cells

    @cached_property
    def distance_m(self) -> np.ndarray:
        """Return the distance field; it takes seconds on a large map, once."""
        # Beyond the grid nothing is known, so a border of obstacles closes it.
        return self.resolution_m * signed_distance(
            np.pad(self.solid, 1, constant_values=self.closed))

    @classmethod
    def from_cells(cls, cells: np.ndarray, resolution_m: float, origin_xy: np.ndarray,
                   observation_to_map: np.ndarray | Sequence[Sequence[float]] = AXES_OF_THE_MAP,
                   *, origin_yaw: float = 0.0, occupied_threshold: int = OCCUPIED_THRESHOLD,
                   allow_unknown: bool = False, closed: bool = True) -> 'GridMap':
        """
        Return the map of the cells of a ``nav_msgs/OccupancyGrid``.

        :param cells: (H, W) int8, -1 unknown, 0 free to 100 occupied.
        :param occupied_threshold: cells of this value or above are obstacles.
        """
        return cls(cells >= occupied_threshold, resolution_m, origin_xy, observation_to_map,
                   origin_yaw=origin_yaw, unknown=cells < 0, allow_unknown=allow_unknown,
                   closed=closed)

    @classmethod
    def from_log(cls, drives: Iterable[np.ndarray], reach_m: float, max_step_m: float,
                 observation_to_map: np.ndarray | Sequence[Sequence[float]] = AXES_OF_THE_MAP
                 ) -> 'GridMap':
        """
        Return the map that a log tells: where the robot has been is free, all else is unknown.

        :param drives: positions (N, 2) in the axes of the data, piece by piece.
        :param reach_m: how far around its positions the robot has shown that space is free, at
            least its radius; cells whose centres are nearer are free.
        :param max_step_m: a longer move from row to row is a jump: nothing was driven over.
        :raises InvalidInput: without a position, or for more than ``MOST_CELLS``.
        """
        resolution_m = LOG_RESOLUTION_M
        turn, cells = np.asarray(observation_to_map, float).T, np.zeros((0, 2), np.int64)
        for positions in drives:
            found = swept(np.asarray(positions, float) @ turn / resolution_m,
                          max_step_m / resolution_m)
            cells = np.unique(np.concatenate([cells, found]), axis=0)
        if not len(cells):
            raise InvalidInput('a log without positions tells no map')
        around = math.ceil(reach_m / resolution_m) + 1
        low = cells.min(axis=0) - around
        width, height = (cells.max(axis=0) + around + 1 - low).tolist()
        if width * height > MOST_CELLS:
            raise InvalidInput(
                f'the log spans {width * resolution_m:.0f} m x {height * resolution_m:.0f} m, '
                f'more than {MOST_CELLS} cells; cut it, or look for a position that is wrong')
        been = np.zeros((height, width), bool)
        been[*(cells - low).T[::-1]] = True
        free = distance_transform_edt(~been) < reach_m / resolution_m - 1e-6
        return cls(np.zeros_like(free), resolution_m, low * resolution_m, observation_to_map,
                   unknown=~free)

    @property
    def solid(self) -> np.ndarray:
        """Return which cells are obstacles, bool (H, W)."""
        return self.occupied if self.allow_unknown else self.occupied | self.unknown

    @property
    def cells(self) -> np.ndarray:
        """Return the cells as in a ``nav_msgs/OccupancyGrid``, int8 (H, W)."""
        known = np.where(self.occupied, OCCUPIED, FREE)
        return np.where(self.unknown, UNKNOWN, known).astype(np.int8)

    @property
    def sha256(self) -> str:
        """Return a hash of all that the map says, in its own axes."""
        numbers = [*self.cells.shape, self.resolution_m, *self.origin_xy, self.origin_yaw]
        return hashlib.sha256(self.cells.tobytes() + np.array(numbers).tobytes()).hexdigest()

    def in_axes(self, observation_to_map: np.ndarray | Sequence[Sequence[float]]) -> 'GridMap':
        """Return the same map for positions in other axes."""
        other = copy(self)
        other.base = None
        other.observation_to_map = np.asarray(observation_to_map, float)
        return other

    def with_unknown_free(self) -> 'GridMap':
        """Return the same map with unknown cells as free ones."""
        return GridMap(self.occupied, self.resolution_m, self.origin_xy, self.observation_to_map,
                       origin_yaw=self.origin_yaw, unknown=self.unknown, allow_unknown=True)

    def seen_from(self, origin: np.ndarray, turn: np.ndarray) -> 'GridMap':
        """
        Return the same map for positions in another frame.

        :param origin: (2,) of that frame in the axes of the data.
        :param turn: (2, 2) matrix that turns its axes into those of the data.
        """
        other = copy(self)
        other.base = None
        other.observation_to_map = self.observation_to_map @ turn
        other.origin_xy = self.origin_xy - self.observation_to_map @ origin
        return other

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Return whether points (..., 2) lie within the grid."""
        cells = self._cells(points)
        return np.all((cells >= 0.0) & (cells < self.occupied.shape), axis=-1)

    def is_solid(self, points: np.ndarray) -> np.ndarray:
        """Return whether points (..., 2) lie in an obstacle or beyond a closed grid."""
        cells = self._cells(points)
        inside = np.all((cells >= 0.0) & (cells < self.occupied.shape), axis=-1)
        iy, ix = np.moveaxis(np.where(inside[..., None], cells, 0.0).astype(int), -1, 0)
        return (~inside & self.closed) | (inside & self.solid[iy, ix])

    def clearance(self, points: np.ndarray) -> np.ndarray:
        """
        Return the distance (...) in metres from points (..., 2) to the nearest obstacle edge.

        Negative inside an obstacle and beyond the grid; beyond an open one infinite.
        """
        cells = self._cells(points) + 0.5  # the border shifts by one, centres by half a cell
        flat = cells.reshape(-1, 2).T
        values = map_coordinates(self.distance_m, flat, order=1, mode='nearest')
        values = values.reshape(cells.shape[:-1])
        return values if self.closed else np.where(self.contains(points), values, np.inf)

    def is_unknown_near(self, point: np.ndarray) -> bool:
        """Tell whether the obstacle nearest to a point (2,) is a cell that nobody has seen."""
        cell = self._cells(point)
        reach = max(float(self.clearance(point)), 0.0) / self.resolution_m + 2.0
        low, high = np.floor(cell - reach).astype(int), np.ceil(cell + reach).astype(int)
        window = tuple(slice(max(a, 0), max(b, 0)) for a, b in zip(low, high))
        solid = np.argwhere(self.solid[window])
        if len(solid) == 0:
            return False
        away = np.linalg.norm(solid + np.maximum(low, 0) + 0.5 - cell, axis=-1)
        return bool(self.unknown[window][tuple(solid[away.argmin()])])

    def to_field_index(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (2, 2) and (2,): ``point @ matrix.T + offset`` is an index of ``distance_m``."""
        matrix = (self._to_grid @ self.observation_to_map / self.resolution_m)[::-1]
        # The border shifts by one cell, centres by half a cell.
        return matrix, 0.5 - (self._to_grid @ self.origin_xy / self.resolution_m)[::-1]

    def centers(self, cells: np.ndarray) -> np.ndarray:
        """Return the centres of cells (..., 2), each (iy, ix), in the axes of the data."""
        xy = self.origin_xy + self.resolution_m * (cells[..., ::-1] + 0.5) @ self._to_grid
        return xy @ np.linalg.inv(self.observation_to_map).T

    def with_occupied(self, covers: Callable[[np.ndarray], np.ndarray]) -> 'GridMap':
        """
        Return the map with more obstacles.

        :param covers: tells of points (H, W, 2), the centres of the cells in the axes of the data,
            which are occupied, bool (H, W).
        """
        points = self.centers(np.moveaxis(np.indices(self.occupied.shape), 0, -1))
        return GridMap(self.occupied | covers(points), self.resolution_m, self.origin_xy,
                       self.observation_to_map, origin_yaw=self.origin_yaw, unknown=self.unknown,
                       allow_unknown=self.allow_unknown)

    def apart_from(self, other: 'GridMap') -> 'GridMap':
        """Return the map without obstacles that are those of another, within SAME_M."""
        cells = np.argwhere(self.occupied)
        points = self.centers(cells)[:, None] + SAME_M * AROUND
        same = other.is_solid(points).any(axis=1)
        occupied = self.occupied.copy()
        occupied[tuple(cells[same].T)] = False
        return GridMap(occupied, self.resolution_m, self.origin_xy, self.observation_to_map,
                       origin_yaw=self.origin_yaw, unknown=self.unknown,
                       allow_unknown=self.allow_unknown, closed=self.closed)

    def with_cells(self, cells: np.ndarray, low: Sequence[int] = (0, 0),
                   occupied_threshold: int = OCCUPIED_THRESHOLD) -> 'GridMap':
        """
        Return the map with some cells as they are now, in the time that their number takes.

        Distances above ``FAR_M`` are not kept up to date: they stay above it.

        :param cells: (h, w) int8 as of ``from_cells``.
        :param low: (iy, ix) of the first of them.
        """
        window = tuple(slice(first, first + count) for first, count in zip(low, cells.shape))
        other = copy(self)
        other.base = None
        other.occupied, other.unknown = self.occupied.copy(), self.unknown.copy()
        other.occupied[window] = cells >= occupied_threshold
        other.unknown[window] = cells < 0
        changed = np.argwhere(other._solid_in(window) != self._solid_in(window))
        if len(changed) and 'distance_m' in vars(self):  # else it is measured when asked for
            far = math.ceil(FAR_M / self.resolution_m)
            other.distance_m = self.distance_m.copy()
            other._measure(low + changed.min(axis=0) - far, low + changed.max(axis=0) + far + 1,
                           far)
        return other

    def _solid_in(self, window: tuple[slice, ...]) -> np.ndarray:
        """Return which cells of a window are obstacles."""
        unknown = self.unknown[window] & (not self.allow_unknown)
        return self.occupied[window] | unknown

    def _measure(self, low: np.ndarray, high: np.ndarray, far: int) -> None:
        """Measure the distances of cells from (iy, ix) to before another, as far as ``far``."""
        size = np.array(self.occupied.shape)
        low, high = np.maximum(low, -1), np.minimum(high, size + 1)  # the border, too
        first, last = np.maximum(low - far, -1), np.minimum(high + far, size + 1)
        solid = np.full(last - first, self.closed)
        inside = tuple(slice(max(a, 0), min(b, n)) for a, b, n in zip(first, last, size))
        solid[*(slice(part.start - a, part.stop - a) for part, a in zip(inside, first))] = (
            self._solid_in(inside))
        found = tuple(slice(a - c, b - c) for a, b, c in zip(low, high, first))
        self.distance_m[*(slice(a + 1, b + 1) for a, b in zip(low, high))] = (
            self.resolution_m * signed_distance(solid)[found])

    def with_local(self, local: 'GridMap', needed_m: float, margin_m: float) -> 'GridMap':
        """
        Return the map with the obstacles of a local one, which is open, beside its own.

        A local obstacle counts as ``margin_m`` nearer than it is for whoever keeps ``needed_m``
        from obstacles; but it is touched by nobody who does not touch it.
        """
        height, width = local.occupied.shape
        corners = self._cells(local.centers(np.array(
            [(iy, ix) for iy in (-0.5, height - 0.5) for ix in (-0.5, width - 0.5)])))
        low, high = (np.clip(edge, 0, self.occupied.shape).astype(int) for edge in (
            np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0))))
        window = tuple(slice(*ends) for ends in zip(low, high))
        field = tuple(slice(*ends) for ends in zip(low + 1, high + 1))  # it has a border
        away_m = local.clearance(self.centers(np.moveaxis(np.mgrid[window], 0, -1)))
        other = copy(self)
        other.base = self.base or self
        other.occupied, other.distance_m = self.occupied.copy(), self.distance_m.copy()
        other.occupied[window] |= away_m < self.resolution_m / 2
        other.unknown = self.unknown & ~other.occupied
        near = away_m * needed_m / (needed_m + margin_m)
        seen_m = np.where(away_m < needed_m + margin_m, near, away_m - margin_m)
        other.distance_m[field] = np.minimum(self.distance_m[field], seen_m)
        return other

    def _cells(self, points: np.ndarray) -> np.ndarray:
        """Return (..., 2) fractional (iy, ix) of points, 0 at the lower-left corner."""
        matrix, offset = self.to_field_index()  # `@` would take all cores for many points
        return np.einsum('...j,ij->...i', np.asarray(points, float), matrix) + (offset - 0.5)


def signed_distance(solid: np.ndarray) -> np.ndarray:
    """Return the distance (H, W) in cells from the centres of cells to the edge of obstacles."""
    # The distance between centres, less half a cell, is the distance to the edge.
    outside, inside = (distance_transform_edt(part) if not part.all()
                       else np.full(part.shape, NOWHERE) for part in (~solid, solid))
    return np.where(solid, 0.5 - inside, outside - 0.5)


def swept(positions: np.ndarray, max_step: float) -> np.ndarray:
    """
    Return the cells (M, 2) that a way leads through, as whole numbers.

    :param positions: (N, 2) in cells; longer steps than ``max_step`` are not taken.
    """
    steps = np.diff(positions, axis=0)
    lengths = np.linalg.norm(steps, axis=-1)
    taken = lengths <= max_step
    parts = math.ceil(lengths[taken].max(initial=0.0) * 2.0)  # half a cell each
    between = [positions[:-1][taken] + share * steps[taken]
               for share in np.arange(1, parts) / max(parts, 1)]
    return np.unique(np.floor(np.concatenate([positions, *between])).astype(np.int64), axis=0)
