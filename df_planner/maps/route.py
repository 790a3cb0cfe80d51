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
The route: by which way to a goal, from a search on the map.

A model knows how its robot moves; where it may go, the map says. Dijkstra's algorithm finds the
cost from every cell to the goal once per goal and map: metres, dearer near obstacles. From any
start the way downhill is a polyline, which planning takes as a noisy observation of the positions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from functools import cached_property
import math
from typing import Self

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.ndimage import label
from scipy.sparse.csgraph import dijkstra

from df_planner.errors import At
from df_planner.errors import NoValidPlan
from df_planner.maps.grid import GridMap
from df_planner.maps.lattice import Lattice

MARGIN_M = 0.25  # nearer to an obstacle than this, beyond the robot, a metre costs more
CONTACT_COST = 4.0  # of a metre in touch with an obstacle
SPACING_M = 0.1  # of the points of a way
NODES_M = 0.2  # between the points that straight lines of a way lead to
LINES = 1, 2, 4, 8, 16, 32  # nodes from one end of a line to the other
BLOCKED = 100.0  # cost of a metre that is not free
SMOOTHINGS = 10
SIMILAR_M = 1.0  # by how much another way may cost more
MOST_WAYS = 3
KNOT_M = 4.0  # between places from which the rest of a way is found once
KNOT_AHEAD_M = 2.0  # beyond what is asked for: ways that part have come together by then
BAND_CELLS = 3.0  # width of what counts as so far ahead
REACH_M = 1.0  # within which a way comes from a place that is too near to an obstacle
IN_SIGHT = 16  # cells that are looked at together
DIAGONALS_TOO = np.ones((3, 3))
MOST_CELLS = 100_000  # of a search; of more it looks at every second, or third
COARSEST = 3


@dataclass(frozen=True, eq=False)
class Way:
    """
    A polyline: ``points`` (N, 2), evenly spaced, from where the robot is to the goal.

    :param stops_m: (W + 1,) its length up to each stop, the last of which is the goal.
    """

    points: np.ndarray
    stops_m: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @classmethod
    def over(cls, parts: Sequence[np.ndarray]) -> Self:
        """Return the way over polylines (n, 2), each of which ends at a stop."""
        way = cls(np.concatenate([parts[0], *(part[1:] for part in parts[1:])]))
        ends = np.cumsum([len(part) - 1 for part in parts])
        return replace(way, stops_m=way.lengths_m[ends])

    @cached_property
    def lengths_m(self) -> np.ndarray:
        """Return the length of the way up to each point, (N,)."""
        steps = np.linalg.norm(np.diff(self.points, axis=0), axis=-1)
        return np.concatenate([[0.0], np.cumsum(steps)])

    @property
    def length_m(self) -> float:
        """Return the length of the whole way."""
        return float(self.lengths_m[-1])

    def at(self, along_m: np.ndarray) -> np.ndarray:
        """Return the positions (M, 2) after lengths (M,) of the way; beyond its end, the end."""
        return np.stack([np.interp(along_m, self.lengths_m, self.points[:, axis])
                         for axis in range(2)], axis=-1)


class Route:
    """
    The ways to one goal from anywhere on a map.

    :param goal: (2,) in the axes of the data.
    :param radius_m: of the robot; its centre keeps so far from obstacles.
    :raises NoValidPlan: if there is no room for the robot, anywhere or around the goal.
    """

    def __init__(self, grid: GridMap, goal: np.ndarray, radius_m: float):
        self.goal = np.asarray(goal, float)
        self.grid, self.radius_m = grid, radius_m
        lattice = Lattice.of(grid, radius_m)
        count = np.count_nonzero(lattice.free)
        if not count:
            raise NoValidPlan(f'the map has no room for a robot of radius {radius_m:g} m')
        times = min(math.ceil(math.sqrt(count / MOST_CELLS)), COARSEST)
        self._search(lattice if times == 1 else lattice.coarser(grid, times))

    def _search(self, lattice: Lattice) -> None:
        """Find the cost from every cell of a lattice to the goal."""
        self._lattice = lattice
        self._centers = self.grid.centers(
            np.argwhere(lattice.free) * lattice.steps + lattice.steps // 2)
        self._index = lattice.numbers()
        near = self._in_sight(self.goal)
        if not len(near):
            if lattice.finer is not None:
                return self._search(lattice.finer)
            raise self._enclosed('goal', self.goal)
        self._rests: dict[int, np.ndarray] = {}
        self._edges = lattice.edges(self._index, self._per_m)
        self._cost, self._next = dijkstra(
            self._edges, directed=False, indices=near[0], return_predecessors=True)

    @cached_property
    def costs_m(self) -> np.ndarray:
        """Return the cost in metres to the goal of the cells that the search looked at, (H, W)."""
        costs = np.full(self._lattice.free.shape, np.inf)
        costs[self._lattice.free] = self._cost
        away, nearest = distance_transform_edt(np.isinf(costs), return_indices=True)
        return costs[tuple(nearest)] + self._lattice.cell_m * away

    def to_index(self, grid: GridMap) -> tuple[np.ndarray, np.ndarray]:
        """
        Return (2, 2) and (2,): ``point @ matrix.T + offset`` is an index of ``costs_m``.

        :param grid: the map of the route, in the frame of the points.
        """
        matrix, offset = grid.to_field_index()
        steps = self._lattice.steps
        return matrix / steps, (offset - 1.0 - steps // 2) / steps

    def way(self, start: np.ndarray) -> Way:
        """Return the best way from a start (2,); NoValidPlan if there is none."""
        return self.ways(start)[0]

    def ways(self, start: np.ndarray, ahead_m: float = math.inf) -> list[Way]:
        """
        Return the ways from a start (2,), the best first.

        :param ahead_m: of a way that are looked at now; what comes later may be from before. Ways
            that lead to different places so far ahead, and cost at most ``SIMILAR_M`` more than
            the best, are returned, too.
        :raises NoValidPlan: if there is none.
        """
        near = self._in_sight(start)
        joined = near[np.isfinite(self._cost[near])]
        if not len(joined) and self._lattice.finer is not None:
            self._search(self._lattice.finer)
            return self.ways(start, ahead_m)
        if not len(joined):
            raise self._parted(start, near[0]) if len(near) else self._enclosed('start', start)
        return [self._way(start, cells, ahead_m)
                for cells in self._similar(joined[0], ahead_m)]

    def _similar(self, cell: int, ahead_m: float) -> list[list[int]]:
        """Return the cells of the best way from a cell, and of similar ones."""
        best = [_followed(self._next, cell)]
        if self._cost[cell] <= ahead_m:
            return best
        free, cell_m = self._lattice.free, self._lattice.cell_m
        ahead, back = dijkstra(self._edges, directed=False, indices=cell, limit=ahead_m,
                               return_predecessors=True)
        total = ahead + self._cost
        there = np.zeros(free.shape, bool)
        there[free] = (ahead > ahead_m - BAND_CELLS * cell_m) & (
            total <= self._cost[cell] + SIMILAR_M)
        place = label(there, DIAGONALS_TOO)[0][free]
        through = [members[total[members].argmin()] for members in (
            np.flatnonzero(place == number) for number in range(1, place.max() + 1))]
        if len(through) < 2:
            return best
        through.sort(key=lambda via: total[via])
        return [_followed(back, via)[:0:-1] + _followed(self._next, via)
                for via in through[:MOST_WAYS]]

    def _way(self, start: np.ndarray, cells: list[int], ahead_m: float) -> Way:
        """Return the way from a start (2,) over cells to the goal."""
        left_m = self._cost[cells[0]] - ahead_m - KNOT_AHEAD_M
        if left_m < KNOT_M:
            return Way.over([self._shortened(np.vstack([
                start, self._centers[cells[1:-1]], self.goal]))])
        knot = int((self._cost[cells] <= left_m // KNOT_M * KNOT_M).argmax())
        rest = self._rests.get(cells[knot])
        if rest is None:
            rest = self._rests[cells[knot]] = self._shortened(
                np.vstack([self._centers[cells[knot:-1]], self.goal]))
        head = self._shortened(np.vstack([start, self._centers[cells[1:knot + 1]]]))
        return Way.over([np.vstack([head, rest[1:]])])

    def _shortened(self, points: np.ndarray) -> np.ndarray:
        """
        Return a way from cell to cell (N, 2) as it is driven: short, and smooth.

        :returns: points SPACING_M apart.
        """
        points = self._straightened(self._straightened(points))
        for _ in range(SMOOTHINGS):
            smooth = (points[:-2] + 2.0 * points[1:-1] + points[2:]) / 4.0
            keeps = self.grid.clearance(smooth) >= self.radius_m
            points[1:-1] = np.where(keeps[:, None], smooth, points[1:-1])
        return points

    def _straightened(self, points: np.ndarray) -> np.ndarray:
        """Return the cheapest sequence of straight lines between points (N, 2) of a way."""
        nodes = even(points, NODES_M)
        starts = np.arange(len(nodes))[:, None] - np.array(LINES)
        inside = starts >= 0
        starts[~inside] = 0
        costs = np.full(starts.shape, np.inf)
        costs[inside] = self._line_costs(nodes[starts[inside]], nodes[inside.nonzero()[0]])
        # The next node can be reached, if badly.
        costs[1:, 0] = np.minimum(costs[1:, 0], BLOCKED * NODES_M)
        cost, before = np.zeros(len(nodes)), np.full(len(nodes), -1)
        for end in range(1, len(nodes)):
            over = cost[starts[end]] + costs[end]
            before[end], cost[end] = starts[end, over.argmin()], over.min()
        return even(nodes[_followed(before, len(nodes) - 1)[::-1]])

    def _line_costs(self, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Return the costs (N,) of straight lines between points (N, 2); blocked, infinite."""
        lengths_m = np.linalg.norm(ends - starts, axis=-1)
        counts = np.ceil(lengths_m / SPACING_M).astype(int) + 1
        first = np.cumsum(counts) - counts
        line = np.repeat(np.arange(len(ends)), counts)
        shares = (np.arange(len(line)) - first[line]) / np.maximum(counts[line] - 1, 1)
        clearance_m = self.grid.clearance(
            starts[line] + shares[:, None] * (ends - starts)[line])
        within = (shares > 0.0) & (shares < 1.0)
        per_m = self._per_m(clearance_m)
        per_m[within & (clearance_m < self.radius_m)] = np.inf
        return lengths_m * np.add.reduceat(per_m, first) / counts

    def _per_m(self, clearance_m: np.ndarray) -> np.ndarray:
        """Return the cost of a metre at these distances from obstacles."""
        short = np.maximum(1.0 - (clearance_m - self.radius_m) / MARGIN_M, 0.0)
        return 1.0 + (CONTACT_COST - 1.0) * short ** 2

    def _in_sight(self, point: np.ndarray) -> np.ndarray:
        """
        Return free cells (n,) that straight lines lead to from a point (2,), the nearest first.

        They lie within ``REACH_M``; there are none only if no cell is in sight.
        """
        matrix, offset = self.to_index(self.grid)
        middle = matrix @ point + offset
        reach = REACH_M / self._lattice.cell_m
        low = np.maximum(np.floor(middle - reach), 0.0).astype(int)
        high = np.maximum(np.ceil(middle + reach) + 1.0, 0.0).astype(int)
        around = self._index[low[0]:high[0], low[1]:high[1]]
        near = around[around >= 0]
        away_m = np.linalg.norm(self._centers[near] - point, axis=-1)
        near = near[np.argsort(away_m, kind='stable')]
        shares = np.linspace(0.0, 1.0, math.ceil(REACH_M / self.grid.resolution_m) + 1)[1:, None]
        found = near[:0]
        for some in np.array_split(near, len(near) // IN_SIGHT + 1):
            lines = point + shares * (self._centers[some, None] - point)
            sees = (self.grid.clearance(lines) > 0.0).all(axis=1)
            found = np.append(found, some[sees])
            if len(found):
                break
        return found

    def _enclosed(self, what: str, point: np.ndarray) -> NoValidPlan:
        return NoValidPlan(f'the {what} ', At(*point), ' is enclosed by obstacles: around it they '
                           f'leave no room for a robot of radius {self.radius_m:g} m')

    def _parted(self, start: np.ndarray, cell: int) -> NoValidPlan:
        """
        Return the error that says why no way leads from a start (2,), in a free cell, to the goal.

        Of the two, the one with less room around it counts as enclosed.
        """
        free = self._lattice.free
        region, _ = label(free, DIAGONALS_TOO)
        ends = np.argwhere(free)[[cell, self._cost.argmin()]].T
        areas_m2 = np.bincount(region.ravel())[region[*ends]] * self._lattice.cell_m ** 2
        what = ('start', 'goal')[areas_m2.argmin()]
        first, last = 0, 1
        if self._region_with_unknown is not None:
            first, last = self._region_with_unknown[*ends]
        by = ('obstacles' if first != last else 'cells that the map does not know (unknown): map '
              'the place, or set allow_unknown')
        return NoValidPlan('no way on the map leads from ', At(*start), ' to ', At(*self.goal),
                           f': the {what}, with {areas_m2.min():.1f} m2 of room around it, '
                           f'is enclosed by {by}')

    @cached_property
    def _region_with_unknown(self) -> np.ndarray | None:
        """Return what would be joined if all that is unknown were free, None if all is known."""
        if self.grid.allow_unknown or not self.grid.unknown.any():
            return None
        free = Lattice.of(self.grid.with_unknown_free(), self.radius_m).free
        return label(free, DIAGONALS_TOO)[0]


def even(corners: np.ndarray, spacing_m: float = SPACING_M) -> np.ndarray:
    """Return a polyline (N, 2) as points about so far apart, two at least."""
    way = Way(corners)
    count = max(2, round(way.length_m / spacing_m) + 1)
    return way.at(np.linspace(0.0, way.length_m, count))


def _followed(following: np.ndarray, cell: int) -> list[int]:
    """Return the cells from one on, each followed by the one that ``following`` (F,) tells."""
    cells = [int(cell)]
    while following[cells[-1]] >= 0:
        cells.append(int(following[cells[-1]]))
    return cells
