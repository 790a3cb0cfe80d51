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
costmap at every control step, and brakes at once if an obstacle is in the way, or will be if it
comes nearer as fast as it did.
"""

from collections import deque

import numpy as np

from df_planner.driving.stamps import NS_PER_S
from df_planner.driving.stamps import seconds_to_ns
from df_planner.maps.grid import GridMap
from df_planner.planning.settings import PlannerSettings

BRAKE_AHEAD_S, TIMEOUT_S = 0.5, 1.0
APART_NS = 200_000_000  # between two local maps that tell how fast obstacles come nearer
FASTEST_MPS, FAR_M = 4.0, 10.0  # of obstacles, and beyond all that are seen


def first_hit(clearance_m: np.ndarray, needed_m: float) -> int | None:
    """
    Return the first of N points that is too near to an obstacle, None if none is.

    :param clearance_m: (N,) distance of each to the nearest obstacle.
    :param needed_m: least clearance; from an obstacle that is nearer to the first point, a robot
        may leave, but get no nearer.
    """
    hits = clearance_m < min(needed_m, max(clearance_m[0], 0.0))
    return int(hits.argmax()) if hits.any() else None


class Obstacles:
    """
    The newest local map.

    :param needed_m: least clearance of the centre of the robot while it drives.
    :param ahead_s: how much of a plan is checked at every control step.
    :ivar map: what stands; local obstacles beside those of the map are the same.
    :ivar timeout_s: a local map whose stamp is this far from that of the odometry is stale. The
        robot must not move then: nobody looks out. Before the first one, nobody is expected to.
    """

    def __init__(self, needed_m: float = 0.0, ahead_s: float = BRAKE_AHEAD_S,
                 timeout_s: float = TIMEOUT_S):
        self.map: GridMap | None = None
        self.timeout_s = timeout_s
        self._needed_m, self._ahead_ns = needed_m, seconds_to_ns(ahead_s)
        self._local: GridMap | None = None
        self._moving: GridMap | None = None  # what the map does not have
        self._earlier: deque[tuple[GridMap, int]] = deque()  # the same, with its stamp
        self._stamp_ns = 0

    @property
    def are_told(self) -> bool:
        """Tell whether there has been a local map."""
        return self._local is not None

    def take(self, local: GridMap | None, stamp_ns: int = 0) -> None:
        """Take a local map, None to expect none any more."""
        if local is None or self._moving is None or stamp_ns <= self._stamp_ns:
            self._earlier.clear()
        else:
            self._earlier.append((self._moving, self._stamp_ns))
        while len(self._earlier) > 1 and self._earlier[1][1] <= stamp_ns - APART_NS:
            self._earlier.popleft()
        self._local, self._stamp_ns = local, stamp_ns
        self._moving = local and (local if self.map is None else local.apart_from(self.map))

    def planning_map(self, settings: PlannerSettings) -> GridMap | None:
        """
        Return what to plan on: the map with the local obstacles, if there are both.

        Plans keep ``obstacle_margin_m`` beyond the robot from what the map does not have: it may
        move, and no overlap with it is tolerated.
        """
        if self.map is None or self._local is None:
            return self.map
        tolerance_m = settings.collision_tolerance_m
        needed_m = max(settings.robot_radius_m - tolerance_m, 0.01)
        return self.map.with_local(self._local, needed_m, 0.0).with_local(
            self._moving, needed_m, tolerance_m + settings.obstacle_margin_m)

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

    def are_in_way(self, points: np.ndarray, step_s: float, now_ns: int) -> bool:
        """
        Tell whether a robot hits one soon.

        :param points: (N, 2) where it is, and where it will be from now on at every control step.
        :param step_s: duration of a control step.
        """
        if self._moving is None:
            return False
        late_s = (now_ns - self._stamp_ns) / NS_PER_S
        times_s = late_s + step_s * np.maximum(np.arange(len(points)) - 1.0, 0.0)
        clearance_m = self._moving.clearance(points)
        nearing_mps = self._nearing_mps(points, clearance_m)
        return first_hit(clearance_m - nearing_mps * times_s, self._needed_m) is not None

    def _nearing_mps(self, points: np.ndarray, clearance_m: np.ndarray) -> np.ndarray:
        """Return how fast obstacles came nearer to points (N, 2) of late, (N,), 0 if they left."""
        if not self._earlier or self._earlier[0][1] > self._stamp_ns - APART_NS:
            return np.zeros(len(points))
        moving, stamp_ns = self._earlier[0]
        before_m, now_m = np.minimum((moving.clearance(points), clearance_m), FAR_M)
        nearing_mps = (before_m - now_m) * NS_PER_S / (self._stamp_ns - stamp_ns)
        # One that was not seen before has appeared, not come.
        return np.where(nearing_mps > FASTEST_MPS, 0.0, np.maximum(nearing_mps, 0.0))
