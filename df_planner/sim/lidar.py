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
A lidar that turns once at an instant, and the local costmap that its ranges make.

Everything here is in the axes of the map: ranges begin at the heading of the robot and go
counter-clockwise.
"""

import mujoco
import numpy as np

from df_planner.maps.grid import GridMap

RAYS = 360
RANGE_M = 5.0
WINDOW_M = 4.0  # edge of the costmap, which has the robot in its middle
RESOLUTION_M = 0.05
SKIN_M = 0.01  # a hit is that deep in the obstacle, so that it falls into a cell of its own


def bearings() -> np.ndarray:
    """Return the directions (RAYS,) of the rays, from the heading of the robot, in radians."""
    return np.linspace(-np.pi, np.pi, RAYS, endpoint=False)


def ranges(model: mujoco.MjModel, data: mujoco.MjData, origin: np.ndarray, directions: np.ndarray,
           robot: str) -> np.ndarray:
    """
    Return the distances (RAYS,) in metres to what rays hit, infinite beyond RANGE_M.

    :param origin: (3,) in MuJoCo's world, and ``directions`` (RAYS, 2) of length 1.
    :param robot: name of the body that the lidar is mounted on.
    """
    rays = np.hstack([directions, np.zeros((RAYS, 1))])
    hit, found_m = np.zeros(RAYS, np.int32), np.zeros(RAYS)
    mujoco.mj_multiRay(model, data, origin, rays.ravel(), None, True, model.body(robot).id, hit,
                       found_m, None, RAYS, RANGE_M)
    return np.where((hit >= 0) & (found_m <= RANGE_M), found_m, np.inf)


def local_costmap(ranges_m: np.ndarray, position: np.ndarray, yaw: float) -> GridMap:
    """
    Return the cells around a robot as its lidar sees them.

    What rays hit is an obstacle, what they cross is free, all else unknown.

    :param ranges_m: (RAYS,) as ``ranges`` returns them.
    :param position: (2,) of the robot in the map, with heading ``yaw``.
    """
    count = round(WINDOW_M / RESOLUTION_M)
    origin = np.floor(position / RESOLUTION_M) * RESOLUTION_M - WINDOW_M / 2
    angles = yaw + bearings()
    rays = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    reach_m = np.minimum(ranges_m, WINDOW_M)
    steps_m = np.arange(0.0, WINDOW_M, RESOLUTION_M)
    crossed = (position + steps_m[:, None, None] * rays)[steps_m[:, None] < reach_m]
    seen = np.isfinite(ranges_m)
    hits = position + (ranges_m[seen, None] + SKIN_M) * rays[seen]
    occupied, unknown = np.zeros((count, count), bool), np.ones((count, count), bool)
    for points, cells, value in ((crossed, unknown, False), (hits, occupied, True)):
        iy, ix = np.floor((points - origin) / RESOLUTION_M).astype(int)[:, ::-1].T
        inside = (0 <= iy) & (iy < count) & (0 <= ix) & (ix < count)
        cells[iy[inside], ix[inside]] = value
    return GridMap(occupied, RESOLUTION_M, origin, unknown=unknown, allow_unknown=True,
                   closed=False)
