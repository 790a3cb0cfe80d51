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

"""The ways of a request: routes that are kept while driving, plans that go on along them."""

from dataclasses import replace
from itertools import pairwise

import numpy as np

from df_planner.maps.grid import GridMap
from df_planner.maps.route import even
from df_planner.maps.route import Route
from df_planner.maps.route import SPACING_M
from df_planner.maps.route import Way
from df_planner.planning.plan import OTHERS
from df_planner.planning.plan import Plan

JOIN_M = 1.0  # within which the rest of a way comes from the end of a plan to the way


class Routes:
    """The routes of the latest request: a robot asks for the same goal again and again."""

    def __init__(self):
        self._to: dict[bytes, Route] = {}

    def to(self, stop: np.ndarray) -> Route | None:
        """Return the route to a stop (2,) of the latest request; None without a map."""
        return self._to.get(stop.tobytes())

    def ways(self, grid: GridMap | None, radius_m: float, start: np.ndarray, stops: np.ndarray,
             ahead_m: float) -> list[Way]:
        """
        Return the ways from a start (2,) over all stops (W + 1, 2), the best first.

        Those beside the best lead to other places ``ahead_m`` ahead, before the first stop.
        Without a map there is one: straight. Local obstacles come and go: only where one is in all
        ways others are searched.

        :raises NoValidPlan: if there is none.
        """
        before, self._to = self._to, {}  # kept also if there is no way: it will be asked for again
        if grid is None:
            return [Way.over([even(np.stack(pair)) for pair in pairwise([start, *stops])])]
        parts = []
        for index, (leg, stop) in enumerate(pairwise([start, *stops])):
            route = before.get(stop.tobytes())
            if route is None or route.grid is not (grid.base or grid) or (
                    route.radius_m != radius_m):
                route = Route(grid.base or grid, stop, radius_m)
            self._to[stop.tobytes()] = route
            ahead = {'ahead_m': ahead_m} if index == 0 else {}
            ways = [way for way in route.ways(leg, **ahead) if _is_free(way, grid, radius_m)]
            parts.append(ways or Route(grid, stop, radius_m).ways(leg, **ahead))
        rest = [ways[0].points for ways in parts[1:]]
        return [Way.over([way.points, *rest]) for way in parts[0]]


def _is_free(way: Way, grid: GridMap, radius_m: float) -> bool:
    """Tell whether local obstacles leave a way free."""
    if grid.base is None:
        return True
    needed_m = np.minimum(grid.base.clearance(way.points), radius_m)
    return not (grid.clearance(way.points) < needed_m).any()


def joined(plan: Plan, piece: Plan) -> Plan:
    """Return a plan that goes on as a piece, which begins with its last state."""
    return replace(
        piece, states=np.concatenate([plan.states, piece.states[1:]]),
        actions=np.concatenate([plan.actions[:-1], piece.actions]),
        uncertainty=np.concatenate([plan.uncertainty, piece.uncertainty[1:]]),
        batches=max(plan.batches, piece.batches), reward=plan.reward + piece.reward,
        candidates=plan.candidates,
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
