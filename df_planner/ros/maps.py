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


"""Occupancy grids as messages, and as the planner's distance field."""

from array import array

from builtin_interfaces.msg import Time
from nav_msgs.msg import OccupancyGrid
import numpy as np
from std_msgs.msg import Header

from df_planner.errors import InvalidInput
from df_planner.planning.map import GridMap
from df_planner.ros.conversions import check_frame
from df_planner.ros.conversions import finite
from df_planner.ros.conversions import MapAxes


def occupancy_grid_message(data: np.ndarray, origin_xy: np.ndarray, resolution_m: float,
                           stamp: Time, frame_id: str) -> OccupancyGrid:
    """
    Return cells as a map message.

    :param data: int8 (H, W), row-major from the lower-left corner, 0 free to 100 occupied.
    :param origin_xy: (2,) position of that corner in the frame.
    """
    msg = OccupancyGrid(header=Header(stamp=stamp, frame_id=frame_id))
    msg.info.map_load_time = stamp
    msg.info.resolution = resolution_m
    msg.info.height, msg.info.width = data.shape
    msg.info.origin.position.x, msg.info.origin.position.y = np.asarray(origin_xy).tolist()
    msg.info.origin.orientation.w = 1.0
    msg.data = array('b', data.astype(np.int8).tobytes())
    return msg


def grid_map_from_message(msg: OccupancyGrid, axes: MapAxes, frame_id: str,
                          occupied_threshold: int = 65) -> GridMap:
    """
    Return a map message as a distance field; unknown cells count as occupied.

    :param occupied_threshold: cells of this value or above are obstacles.
    """
    check_frame(msg.header.frame_id, (frame_id,), 'map')
    height, width = msg.info.height, msg.info.width
    if height == 0 or width == 0 or len(msg.data) != height * width:
        raise InvalidInput(f'map: {height} x {width} cells announced, {len(msg.data)} given')
    origin, turn = msg.info.origin.position, msg.info.origin.orientation
    resolution_m, x, y = finite((msg.info.resolution, origin.x, origin.y), 'map').tolist()
    if resolution_m <= 0.0:
        raise InvalidInput(f'map: resolution must be above 0, got {resolution_m}')
    if any(abs(value) > 1e-6 for value in (turn.x, turn.y, turn.z)):
        raise InvalidInput('map: a turned map origin is not supported')
    cells = np.array(msg.data, dtype=np.int8).reshape(height, width)
    # The message holds the resolution as a float32; a millionth of a metre is finer than any map.
    return GridMap((cells < 0) | (cells >= occupied_threshold), round(resolution_m, 6),
                   np.array([x, y]), axes.observation_to_map)
