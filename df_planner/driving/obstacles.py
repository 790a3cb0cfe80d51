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
What moves: the newest local costmap, and whether a robot may go on by what it shows.

A local costmap tells of obstacles near the robot that are not on the map. Planning takes them as
they are now (``planning_map``). Whoever executes a plan checks its next part against the newest
costmap at every control step, and brakes at once if an obstacle is in the way.
"""

import numpy as np

from df_planner.driving.stamps import NS_PER_S
from df_planner.driving.stamps import seconds_to_ns
from df_planner.maps.grid import GridMap
from df_planner.planning.settings import PlannerSettings


def first_hit(points: np.ndarray, grid: GridMap, needed_m: float) -> int | None:
    """
    Return the first of points (N, 2) that is too near to an obstacle, None if none is.

    :param needed_m: least clearance; from an obstacle that is nearer to the first point, a robot
        may leave, but get no nearer.
    """
    clearance_m = grid.clearance(points)
    hits = clearance_m < min(needed_m, max(clearance_m[0], 0.0))
    return int(hits.argmax()) if hits.any() else None


class Obstacles:
    """
    The newest local map.

    :param needed_m: least clearance of the centre of the robot while it drives.
    :param ahead_s: how much of a plan is checked at every control step.
    :ivar timeout_s: a local map whose stamp is this far from that of the odometry is stale. The
        robot must not move then: nobody looks out. Before the first one, nobody is expected to.
    """

    def __init__(self, needed_m: float = 0.0, ahead_s: float = 0.0, timeout_s: float = 1.0):
        self.timeout_s = timeout_s
        self._needed_m, self._ahead_ns = needed_m, seconds_to_ns(ahead_s)
        self._local: GridMap | None = None
        self._stamp_ns = 0

    @property
    def are_told(self) -> bool:
        """Tell whether there has been a local map."""
        return self._local is not None

    def take(self, local: GridMap | None, stamp_ns: int = 0) -> None:
        """Take a local map, None to expect none any more."""
        self._local, self._stamp_ns = local, stamp_ns

    def planning_map(self, grid: GridMap | None, settings: PlannerSettings) -> GridMap | None:
        """
        Return what to plan on: the map with the local obstacles, if there are both.

        Plans keep ``obstacle_margin_m`` beyond the robot from local obstacles: these may move, and
        no overlap with them is tolerated.
        """
        if grid is None or self._local is None:
            return grid
        tolerance_m = settings.collision_tolerance_m
        return grid.with_local(self._local, max(settings.robot_radius_m - tolerance_m, 0.01),
                               tolerance_m + settings.obstacle_margin_m)

    def staleness(self, now_ns: int) -> str | None:
        """Return how a stale local map differs in time from the odometry, None if it is not."""
        late_ns = now_ns - self._stamp_ns
        if self._local is None or abs(late_ns) <= seconds_to_ns(self.timeout_s):
            return None
        order = 'before' if late_ns > 0 else 'after'
        return (f'a newer local_costmap/costmap (stamped {abs(late_ns) / NS_PER_S:.1f} s {order} '
                'the odometry)')

    def steps_ahead(self, step_ns: int) -> int:
        """Return how many control steps of a plan are checked, the present one included."""
        return self._ahead_ns // step_ns + 1

    def are_in_way(self, points: np.ndarray) -> bool:
        """Tell whether a robot hits one; points (N, 2) are where it is, and where it will be."""
        return self._local is not None and (
            first_hit(points, self._local, self._needed_m) is not None)
