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

from dataclasses import dataclass
from dataclasses import replace
from functools import cached_property
import math

import numpy as np
from scipy.ndimage import label
from scipy.sparse.csgraph import dijkstra

from df_planner.errors import At
from df_planner.errors import NoValidPlan
from df_planner.maps.grid import GridMap
from df_planner.maps.lattice import Lattice
from df_planner.planning.plan import OTHERS
from df_planner.planning.plan import Plan

MARGIN_M = 0.25  # nearer to an obstacle than this, beyond the robot, a metre costs more
CONTACT_COST = 4.0  # of a metre in touch with an obstacle
SPACING_M = 0.1  # of the points of a way
SMOOTHINGS = 10
REACH_M = 1.0  # within which a way comes from a place that is too near to an obstacle
IN_SIGHT = 16  # cells that are looked at together
DIAGONALS_TOO = np.ones((3, 3))
MOST_CELLS = 100_000  # of a search; of more it looks at every second, or third
COARSEST = 3
JOIN_M = 1.0  # within which the rest of a way comes from the end of a plan to the way


@dataclass(frozen=True, eq=False)
class Way:
    """A polyline: ``points`` (N, 2), evenly spaced, from where the robot is to the goal."""

    points: np.ndarray

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


def extended(plan: Plan, way: Way, from_m: float, has_heading: bool) -> Plan:
    """
    Return a plan that goes on along a way after ``from_m``, at the mean speed so far.

    :param has_heading: it heads along the way; what else is observed stays as it was.
    """
    speed_mps = from_m / max((len(plan) - 1) * plan.dt_s, plan.dt_s)
    end = plan.states[-1, :2]
    away_m = np.linalg.norm(way.points - end, axis=-1)
    away_m[way.lengths_m < from_m - JOIN_M] = np.inf
    nearest_m = way.lengths_m[away_m.argmin()]
    count = max(1, int(np.ceil((way.length_m - nearest_m) / (speed_mps * plan.dt_s))))
    along_m = np.linspace(nearest_m, way.length_m, count + 1)
    points = way.at(along_m)
    # The plan ends beside the way: the rest comes back to it.
    join_m = max(min(JOIN_M, way.length_m - nearest_m), SPACING_M)
    beside = np.maximum(1.0 - (along_m - nearest_m) / join_m, 0.0)[:, None]
    points = points + beside * (end - points[0])
    steps = np.diff(points, axis=0) / plan.dt_s
    others = np.tile(plan.states[-1, OTHERS], (count, 1))
    if has_heading:
        others = steps / np.linalg.norm(steps, axis=-1, keepdims=True).clip(1e-9)
    rest = np.hstack([points[1:], steps, others])
    return replace(
        plan, diffused_steps=len(plan), states=np.vstack([plan.states, rest]),
        actions=np.vstack([plan.actions, np.zeros((count, plan.actions.shape[1]))]),
        uncertainty=np.append(plan.uncertainty, np.full(count, plan.uncertainty[-1])))


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
        self._cost, self._next = dijkstra(
            lattice.edges(self._index, self._per_m), directed=False, indices=near[0],
            return_predecessors=True)

    def cost_to_go(self, points: np.ndarray) -> np.ndarray:
        """Return the cost (...) in metres from points (..., 2) to the goal; inf without a way."""
        costs = [min((self._cost[cell] + np.linalg.norm(self._centers[cell] - point)
                      for cell in self._in_sight(point)[:1]), default=math.inf)
                 for point in points.reshape(-1, 2)]
        return np.reshape(costs, points.shape[:-1])

    def way(self, start: np.ndarray) -> Way:
        """
        Return the way from a start (2,).

        :raises NoValidPlan: if there is none.
        """
        near = self._in_sight(start)
        joined = near[np.isfinite(self._cost[near])]
        if not len(joined) and self._lattice.finer is not None:
            self._search(self._lattice.finer)
            return self.way(start)
        if not len(joined):
            raise self._parted(start, near[0]) if len(near) else self._enclosed('start', start)
        cells = [joined[0]]
        while self._next[cells[-1]] >= 0:
            cells.append(self._next[cells[-1]])
        points = np.vstack([start, self._centers[cells[1:-1]], self.goal])
        points = self._pulled(self._pulled(points)[::-1])[::-1]
        for _ in range(SMOOTHINGS):
            smooth = (points[:-2] + 2.0 * points[1:-1] + points[2:]) / 4.0
            keeps = self.grid.clearance(smooth) >= self.radius_m
            points[1:-1] = np.where(keeps[:, None], smooth, points[1:-1])
        return Way(points)

    def _pulled(self, points: np.ndarray) -> np.ndarray:
        """Return a way from cell to cell (N, 2) with straight lines where these cost no more."""
        points = _even(points)
        steps_m = np.linalg.norm(np.diff(points, axis=0), axis=-1)
        per_m = self._per_m(self.grid.clearance(points))
        cost = np.concatenate([[0.0], np.cumsum(steps_m * (per_m[1:] + per_m[:-1]) / 2.0)])
        corners = [0]
        while corners[-1] < len(points) - 1:
            here, ahead = corners[-1], len(points) - 1 - corners[-1]
            while ahead > 1 and self._line_cost(points[here], points[here + ahead]) > (
                    cost[here + ahead] - cost[here]):
                ahead //= 2
            corners.append(here + ahead)
        return _even(points[corners])

    def _line_cost(self, start: np.ndarray, end: np.ndarray) -> float:
        length_m = float(np.linalg.norm(end - start))
        shares = np.linspace(0.0, 1.0, math.ceil(length_m / SPACING_M) + 1)[:, None]
        clearance_m = self.grid.clearance(start + shares * (end - start))
        if clearance_m[1:-1].min(initial=np.inf) < self.radius_m:
            return math.inf
        return length_m * float(self._per_m(clearance_m).mean())

    def _per_m(self, clearance_m: np.ndarray) -> np.ndarray:
        """Return the cost of a metre at these distances from obstacles."""
        short = np.maximum(1.0 - (clearance_m - self.radius_m) / MARGIN_M, 0.0)
        return 1.0 + (CONTACT_COST - 1.0) * short ** 2

    def _in_sight(self, point: np.ndarray) -> np.ndarray:
        """
        Return free cells (n,) that straight lines lead to from a point (2,), the nearest first.

        They lie within ``REACH_M``; there are none only if no cell is in sight.
        """
        matrix, offset = self.grid.to_field_index()
        steps = self._lattice.steps
        middle = (matrix @ point + offset - 1.0 - steps // 2) / steps
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


class Routes:
    """The routes of the latest request: a robot asks for the same goal again and again."""

    def __init__(self):
        self._to: dict[bytes, Route] = {}

    def way(self, grid: GridMap | None, radius_m: float, start: np.ndarray, *stops: np.ndarray
            ) -> Way:
        """
        Return the way from a start (2,) over all stops (2,); straight without a map.

        Local obstacles come and go: only where one is in the way another one is searched.
        """
        if grid is None:
            return Way(_even(np.array([start, *stops])))
        base = grid.base or grid
        points, before = [start[None]], self._to
        self._to = {}  # kept also if there is no way: it will be asked for again
        for stop in stops:
            route = before.get(stop.tobytes())
            if route is None or route.grid is not base or route.radius_m != radius_m:
                route = Route(base, stop, radius_m)
            self._to[stop.tobytes()] = route
            way = route.way(points[-1][-1]).points
            needed_m = np.minimum(base.clearance(way), radius_m)
            if (grid.clearance(way) < needed_m).any():
                way = Route(grid, stop, radius_m).way(points[-1][-1]).points
            points.append(way[1:])
        return Way(np.concatenate(points))


def _even(corners: np.ndarray) -> np.ndarray:
    """Return a polyline (N, 2) as points SPACING_M apart."""
    way = Way(corners)
    count = max(2, round(way.length_m / SPACING_M) + 1)
    return way.at(np.linspace(0.0, way.length_m, count))
