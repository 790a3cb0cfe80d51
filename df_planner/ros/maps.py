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
Maps: as messages, as the planner's distance field, and read from the topic.

A node takes maps with a ``MapReader``; another source of maps is added here and in ``topics.py``.
"""

from array import array
from collections import deque
from collections.abc import Callable
from functools import partial
import math
from typing import Any

from builtin_interfaces.msg import Time
from nav_msgs.msg import OccupancyGrid
import numpy as np
from rclpy.node import Node
from std_msgs.msg import Header

from df_planner.errors import InvalidInput
from df_planner.geometry import headings_of
from df_planner.geometry import IDENTITY_TOLERANCE
from df_planner.maps.grid import GridMap
from df_planner.maps.grid import OCCUPIED_THRESHOLD
from df_planner.ros import conversions
from df_planner.ros import qos
from df_planner.ros import topics
from df_planner.ros.conversions import MapAxes
from df_planner.ros.diagnostics import Complaints
from df_planner.ros.diagnostics import guarded
from df_planner.ros.rclpy_gaps import optional_type
from df_planner.ros.worker import Outcome
from df_planner.ros.worker import Worker


def occupancy_grid_message(data: np.ndarray, origin_xy: np.ndarray, resolution_m: float,
                           stamp: Time, frame_id: str, origin_yaw: float = 0.0) -> OccupancyGrid:
    """
    Return cells as a map message.

    :param data: int8 (H, W), row-major from the lower-left corner, -1 unknown, 0 free to 100
        occupied.
    :param origin_xy: (2,) position of that corner in the frame.
    :param origin_yaw: of the rows in the frame, in radians.
    """
    msg = OccupancyGrid(header=Header(stamp=stamp, frame_id=frame_id))
    msg.info.map_load_time = stamp
    msg.info.resolution = resolution_m
    msg.info.height, msg.info.width = data.shape
    msg.info.origin.position.x, msg.info.origin.position.y = np.asarray(origin_xy).tolist()
    msg.info.origin.orientation.z = math.sin(origin_yaw / 2)
    msg.info.origin.orientation.w = math.cos(origin_yaw / 2)
    msg.data = array('b', data.astype(np.int8).tobytes())
    return msg


def grid_map_from_message(msg: OccupancyGrid, axes: MapAxes, frame_id: str,
                          occupied_threshold: int = OCCUPIED_THRESHOLD,
                          allow_unknown: bool = False, closed: bool = True,
                          like: GridMap | None = None) -> GridMap:
    """
    Return a map message as a distance field; its origin may be turned about the vertical.

    :param occupied_threshold: cells of this value or above are obstacles.
    :param allow_unknown: unknown cells are free; otherwise they are obstacles.
    :param closed: what lies beyond the map counts as an obstacle.
    :param like: the map before this one: if the same place is meant, only changes are measured.
    """
    conversions.check_frame(msg.header.frame_id, (frame_id,), 'map')
    cells = _cells(msg.data, msg.info.height, msg.info.width)
    origin, turn = msg.info.origin.position, conversions.quaternion(msg.info.origin.orientation)
    resolution_m, x, y = conversions.finite(
        (msg.info.resolution, origin.x, origin.y), 'map').tolist()
    if resolution_m <= 0.0:
        raise InvalidInput(f'map: resolution must be above 0, got {resolution_m}')
    heading = headings_of(np.array(turn))
    is_flat = max(abs(turn[0]), abs(turn[1])) <= IDENTITY_TOLERANCE
    if not is_flat or not np.isfinite(heading).all():
        raise InvalidInput('map: the orientation of its origin may turn about the vertical (z) '
                           f'only, got (x, y, z, w) = {turn}')
    # The message holds the resolution as a float32; a millionth of a metre is finer than any map.
    resolution_m, yaw = round(resolution_m, 6), math.atan2(heading[1], heading[0])
    if like is not None and like.allow_unknown == allow_unknown and cells.shape == (
            like.occupied.shape) and (resolution_m, x, y, yaw) == (
            like.resolution_m, *like.origin_xy, like.origin_yaw):
        return like.with_cells(cells, (0, 0), occupied_threshold)
    return GridMap.from_cells(
        cells, resolution_m, np.array([x, y]), axes.observation_to_map, origin_yaw=yaw,
        occupied_threshold=occupied_threshold, allow_unknown=allow_unknown, closed=closed)


def updated(grid: GridMap | None, msg: Any, frame_id: str, occupied_threshold: int) -> GridMap:
    """Return a map with the cells of a ``map_msgs/OccupancyGridUpdate``."""
    conversions.check_frame(msg.header.frame_id, (frame_id,), 'map_updates')
    if grid is None:
        raise InvalidInput('map_updates: an update came before the map; publish the map first, '
                           'latched')
    cells = _cells(msg.data, msg.height, msg.width, 'map_updates')
    height, width = grid.occupied.shape
    if min(msg.x, msg.y) < 0 or msg.x + msg.width > width or msg.y + msg.height > height:
        raise InvalidInput(f'map_updates: {msg.width} x {msg.height} cells from ({msg.x}, '
                           f'{msg.y}) on are not within the {width} x {height} of the map')
    return grid.with_cells(cells, (msg.y, msg.x), occupied_threshold)


def _cells(data: array, height: int, width: int, what: str = 'map') -> np.ndarray:
    """Return the cells of a message, int8 (height, width)."""
    if height == 0 or width == 0 or len(data) != height * width:
        raise InvalidInput(f'{what}: {height} x {width} cells announced, {len(data)} sent')
    return np.array(data, dtype=np.int8).reshape(height, width)


class MapReader:
    """
    Subscribe to the map and its updates, and read them beside the executor.

    A large map takes longer than a tick. Of one that comes again, as SLAM sends it, only the cells
    that have changed are measured.

    :param settings: returns the parameters, with ``global_frame_id``, ``occupied_threshold`` and
        ``allow_unknown``.
    :param take: called in the executor's thread with every map; a bad one is a complaint.
    :param worker: None to read in the executor's thread.
    :param distances: compute the distance field there, too; it takes longest.
    """

    def __init__(self, node: Node, axes: MapAxes, settings: Callable[[], Any],
                 take: Callable[[GridMap], None], complaints: Complaints, worker: Worker | None,
                 distances: bool = True):
        self._distances = distances
        self._node, self._axes, self._settings, self._worker = node, axes, settings, worker
        self._done = guarded(lambda outcome: take(outcome.result()), 'map', complaints)
        self._unread: deque[Any] = deque()  # messages that no job has taken yet
        self._grid: GridMap | None = None  # of the jobs
        self._subscriptions = [qos.subscription(node, topics.MAP, self._on_message)]
        if optional_type(topics.MAP_UPDATES.kind, node, 'updates of the map') is not None:
            self._subscriptions.append(
                qos.subscription(node, topics.MAP_UPDATES, self._on_message))

    def close(self) -> None:
        """Destroy the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _on_message(self, msg: Any) -> None:
        self._unread.append(msg)
        if self._worker is None:
            self._done(Outcome.of(self._read))
        else:  # a job that waits is replaced by the newer one, which reads its message too
            self._worker.submit('map', lambda should_stop: self._read(), self._done)

    def _read(self) -> GridMap:
        while self._unread:
            msg, settings = self._unread.popleft(), self._settings()
            if isinstance(msg, OccupancyGrid):
                self._grid = grid_map_from_message(
                    msg, self._axes, settings.global_frame_id, settings.occupied_threshold,
                    settings.allow_unknown, like=self._grid)
            else:
                self._grid = updated(self._grid, msg, settings.global_frame_id,
                                     settings.occupied_threshold)
        if self._distances and self._grid is not None:
            self._grid.distance_m  # noqa: B018  # it is kept
        return self._grid


class LocalMapReader:
    """
    Subscribe to the local costmap; unknown cells and what lies beyond it are free.

    :param settings: returns the parameters, with ``local_occupied_threshold``.
    :param frames: returns the frames that it may be in, all taken to equal the map.
    :param take: called in the executor's thread with every map and its stamp; a bad one is a
        complaint.
    :param worker: None to read in the executor's thread.
    """

    def __init__(self, node: Node, axes: MapAxes, settings: Callable[[], Any],
                 frames: Callable[[], tuple[str, ...]], take: Callable[[GridMap, int], None],
                 complaints: Complaints, worker: Worker | None):
        self._node, self._axes, self._settings, self._worker = node, axes, settings, worker
        self._frames = frames
        self._done = guarded(lambda outcome: take(*outcome.result()), 'local_costmap', complaints)
        self._subscription = qos.subscription(node, topics.LOCAL_COSTMAP, self._on_costmap)

    def close(self) -> None:
        """Destroy the subscription."""
        self._node.destroy_subscription(self._subscription)

    def _on_costmap(self, msg: OccupancyGrid) -> None:
        read = partial(self._read, msg, self._settings().local_occupied_threshold, self._frames())
        if self._worker is None:
            self._done(Outcome.of(read))
        else:
            self._worker.submit('local costmap', lambda should_stop: read(), self._done)

    def _read(self, msg: OccupancyGrid, threshold: int, frames: tuple[str, ...]
              ) -> tuple[GridMap, int]:
        conversions.check_frame(msg.header.frame_id, frames, 'local_costmap')
        local = grid_map_from_message(msg, self._axes, msg.header.frame_id, threshold,
                                      allow_unknown=True, closed=False)
        return local, conversions.stamp_to_ns(msg.header.stamp)
