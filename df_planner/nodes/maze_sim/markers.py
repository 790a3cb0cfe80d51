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

"""What RViz and Foxglove show of a simulation: walls, robot and goal."""

from collections.abc import Iterator
from collections.abc import Sequence

from geometry_msgs.msg import Point
from geometry_msgs.msg import Pose
from geometry_msgs.msg import Quaternion
from geometry_msgs.msg import Vector3
import numpy as np
from std_msgs.msg import ColorRGBA
from std_msgs.msg import Header
from visualization_msgs.msg import Marker
from visualization_msgs.msg import MarkerArray

from df_planner.robots.kinds import ROBOTS
from df_planner.sim.maze import CELL_M
from df_planner.sim.maze import GOAL_RADIUS_M
from df_planner.sim.maze import Maze
from df_planner.sim.maze import observation_to_map
from df_planner.sim.movers import Movers
from df_planner.sim.place import Place

WALL_HEIGHT_M = 0.4
WALL_COLOR = ColorRGBA(r=0.25, g=0.27, b=0.32, a=1.0)
ROBOT_COLOR = ColorRGBA(r=0.05, g=0.45, b=0.9, a=1.0)
# Of a robot: type of marker, and its size in diameters. The box is longer than wide.
SHAPES = {'sphere': (Marker.SPHERE, (1.0, 1.0, 1.0)), 'box': (Marker.CUBE, (1.0, 0.5, 0.5)),
          'cylinder': (Marker.CYLINDER, (1.0, 1.0, 0.5))}
MOVING_COLOR = ColorRGBA(r=0.85, g=0.5, b=0.1, a=1.0)
GOAL_COLOR = ColorRGBA(r=0.85, g=0.2, b=0.3, a=0.4)


def place_markers(place: Place, robot: str, robot_pose: Pose, goal_pose: Pose,
                  movers: Movers | None, header: Header) -> MarkerArray:
    """
    Return the walls of a maze as a list of cubes, the robot in the shape of its kind, the goal.

    Obstacles that move are round here, boxes too.

    The cubes of a list are of one size, so that the walls of a map are seen on the map only.
    """
    walls = _marker('walls', header, Marker.CUBE_LIST, WALL_COLOR, (CELL_M, CELL_M, WALL_HEIGHT_M),
                    Pose(orientation=Quaternion(w=1.0)))
    if isinstance(place, Maze):
        walls.points = [Point(x=x, y=y) for x, y in observation_to_map(
            np.array([box.center for box in place.boxes])).tolist()]
    shape, shares = SHAPES[ROBOTS[robot].shape]
    size = [2 * ROBOTS[robot].signals.robot_radius_m * share for share in shares]
    disc = (2 * GOAL_RADIUS_M, 2 * GOAL_RADIUS_M, 0.02)
    return MarkerArray(markers=[
        walls, _marker('robot', header, shape, ROBOT_COLOR, size, robot_pose),
        _marker('goal', header, Marker.CYLINDER, GOAL_COLOR, disc, goal_pose),
        *([] if movers is None else _moving(movers, header))])


def _moving(movers: Movers, header: Header) -> Iterator[Marker]:
    for number, (position, radius_m) in enumerate(
            zip(observation_to_map(movers.positions).tolist(), movers.radii_m.tolist())):
        marker = _marker('moving', header, Marker.CYLINDER, MOVING_COLOR, (
            2 * radius_m, 2 * radius_m, WALL_HEIGHT_M), Pose(orientation=Quaternion(w=1.0)))
        marker.id = number
        marker.pose.position.x, marker.pose.position.y = position
        yield marker


def _marker(namespace: str, header: Header, kind: int, color: ColorRGBA, size: Sequence[float],
            pose: Pose) -> Marker:
    return Marker(header=header, ns=namespace, type=kind, action=Marker.ADD, color=color,
                  scale=Vector3(x=size[0], y=size[1], z=size[2]), pose=pose)
