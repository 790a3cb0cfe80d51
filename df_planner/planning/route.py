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
from dataclasses import field
from dataclasses import replace
from functools import cached_property
import math

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from df_planner.errors import At
from df_planner.errors import NoValidPlan
from df_planner.maps.grid import GridMap
from df_planner.planning.plan import OTHERS
from df_planner.planning.plan import Plan

MARGIN_M = 0.25  # nearer to an obstacle than this, beyond the robot, a metre costs more
CONTACT_COST = 4.0  # of a metre in touch with an obstacle
SPACING_M = 0.1  # of the points of a way
SMOOTHINGS = 10
JOIN_M = 1.0  # within which the rest of a way comes from the end of a plan to the way


@dataclass(frozen=True, eq=False)
class Way:
    """
    A polyline: ``points`` (N, 2), evenly spaced, from where the robot is to the goal.

    :param stops_m: (W + 1,) its length up to each stop, the last of which is the goal.
    """

    points: np.ndarray
    stops_m: np.ndarray = field(default_factory=lambda: np.zeros(0))

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


def joined(plan: Plan, piece: Plan) -> Plan:
    """Return a plan that goes on as a piece, which begins with its last state."""
    return replace(
        piece, states=np.concatenate([plan.states, piece.states[1:]]),
        actions=np.concatenate([plan.actions[:-1], piece.actions]),
        uncertainty=np.concatenate([plan.uncertainty, piece.uncertainty[1:]]),
        reward=plan.reward + piece.reward, candidates=plan.candidates,
        candidate_rewards=plan.candidate_rewards)


def extended(plan: Plan, way: Way, from_m: float, speed_mps: float, has_heading: bool) -> Plan:
    """
    Return a plan that goes on along a way after ``from_m``, at a constant speed.

    :param has_heading: it heads along the way; what else is observed stays as it was.
    """
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
    :raises NoValidPlan: if obstacles are nearer to the goal than that on all sides.
    """

    def __init__(self, grid: GridMap, goal: np.ndarray, radius_m: float):
        self.goal = np.asarray(goal, float)
        self.grid, self.radius_m = grid, radius_m
        clearance_m = grid.distance_m[1:-1, 1:-1]
        steps = max(1, int(radius_m / grid.resolution_m))  # as coarse as the robot is large
        clearance_m = clearance_m[steps // 2::steps, steps // 2::steps]
        self._cell_m = steps * grid.resolution_m
        # Half a cell may be missing where the nearest centre lies beside a narrow passage.
        free = clearance_m > radius_m - self._cell_m / 2
        self._cells = np.argwhere(free) * steps + steps // 2
        if not len(self._cells):
            raise NoValidPlan(f'the map has no room for a robot of radius {radius_m:g} m')
        self._centers = grid.centers(self._cells)
        self._cost, self._next = dijkstra(
            _edges(free, self._per_m(clearance_m[free]), self._cell_m), directed=False,
            indices=self._nearest(self.goal), return_predecessors=True)

    def cost_to_go(self, points: np.ndarray) -> np.ndarray:
        """Return the cost (...) in metres from points (..., 2) to the goal; inf without a way."""
        index = np.array([self._nearest(point) for point in points.reshape(-1, 2)])
        away_m = np.linalg.norm(self._centers[index] - points.reshape(-1, 2), axis=-1)
        return (self._cost[index] + away_m).reshape(points.shape[:-1])

    def way(self, start: np.ndarray) -> Way:
        """
        Return the way from a start (2,).

        :raises NoValidPlan: if there is none.
        """
        index = self._nearest(start)
        if not np.isfinite(self._cost[index]):
            raise NoValidPlan('no way on the map leads from ', At(*start), ' to ', At(*self.goal),
                              ': obstacles part them')
        cells = [index]
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

    def _nearest(self, point: np.ndarray) -> int:
        return int(np.square(self._centers - point).sum(-1).argmin())


class Routes:
    """The routes of the latest request: a robot asks for the same goal again and again."""

    def __init__(self):
        self._to: dict[bytes, Route] = {}

    def way(self, grid: GridMap | None, radius_m: float, start: np.ndarray, stops: np.ndarray
            ) -> Way:
        """Return the way from a start (2,) over all stops (W + 1, 2); straight without a map."""
        points, routes = [start[None]], {}
        for stop in stops:
            if grid is None:
                points.append(_even(np.stack([points[-1][-1], stop]))[1:])
                continue
            route = self._to.get(stop.tobytes())
            if route is None or route.grid is not grid or route.radius_m != radius_m:
                route = Route(grid, stop, radius_m)
            routes[stop.tobytes()] = route
            points.append(route.way(points[-1][-1]).points[1:])
        self._to = routes
        way = Way(np.concatenate(points))
        ends = np.cumsum([len(part) for part in points])[1:] - 1
        return replace(way, stops_m=way.lengths_m[ends])


def _even(corners: np.ndarray) -> np.ndarray:
    """Return a polyline (N, 2) as points SPACING_M apart."""
    way = Way(corners)
    count = max(2, round(way.length_m / SPACING_M) + 1)
    return way.at(np.linspace(0.0, way.length_m, count))


def _edges(free: np.ndarray, per_m: np.ndarray, cell_m: float) -> csr_array:
    """
    Return the costs between neighbouring free cells, each pair once.

    :param free: (H, W) bool; ``per_m`` (F,) the cost of a metre in each of the F free cells.
    """
    index = np.full(free.shape, -1, np.int32)
    index[free] = np.arange(len(per_m), dtype=np.int32)
    height, width = free.shape
    rows, columns, costs = [], [], []
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        left = max(-right, 0)
        here = index[:height - down, left:width - max(right, 0)]
        there = index[down:, left + right:width + right - max(right, 0)]
        both = (here >= 0) & (there >= 0)
        a, b = here[both], there[both]
        rows.append(a)
        columns.append(b)
        costs.append(cell_m * math.hypot(down, right) / 2.0 * (per_m[a] + per_m[b]))
    return csr_array((np.concatenate(costs), (np.concatenate(rows), np.concatenate(columns))),
                     shape=(len(per_m), len(per_m)))
