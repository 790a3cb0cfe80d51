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


"""What RViz and Foxglove show of a maze: walls, robot and goal."""

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point
from geometry_msgs.msg import Pose
from geometry_msgs.msg import Vector3
import numpy as np
from std_msgs.msg import ColorRGBA
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from df_planner.robots.kinds import ROBOTS
from df_planner.sim.maze import CELL_LOWER_EDGE_M
from df_planner.sim.maze import CELL_M
from df_planner.sim.maze import GOAL_RADIUS_M
from df_planner.sim.maze import Maze
from df_planner.sim.maze import observation_to_map

WALL_HEIGHT_M = 0.4
WALL_COLOR = ColorRGBA(r=0.25, g=0.27, b=0.32, a=1.0)
ROBOT_COLOR = ColorRGBA(r=0.05, g=0.45, b=0.9, a=1.0)
# Of a robot: type of marker, and its size in diameters. The box is longer than wide.
SHAPES = {'sphere': (Marker.SPHERE, (1.0, 1.0, 1.0)), 'box': (Marker.CUBE, (1.0, 0.5, 0.5)),
          'cylinder': (Marker.CYLINDER, (1.0, 1.0, 0.5))}
GOAL_COLOR = ColorRGBA(r=0.85, g=0.2, b=0.3, a=0.4)


def walls_marker(maze: Maze, stamp: Time, frame_id: str) -> Marker:
    """Return all walls as one list of cubes."""
    marker = _marker('walls', Marker.CUBE_LIST, stamp, frame_id, WALL_COLOR,
                     (CELL_M, CELL_M, WALL_HEIGHT_M))
    centres = np.argwhere(maze.walls) + CELL_LOWER_EDGE_M + CELL_M / 2
    marker.points = [Point(x=x, y=y) for x, y in observation_to_map(centres).tolist()]
    return marker


def robot_marker(robot: str, pose: Pose, stamp: Time, frame_id: str) -> Marker:
    """Return the robot in the shape of its kind."""
    kind = ROBOTS[robot]
    marker_type, scale = SHAPES[kind.shape]
    diameter_m = 2 * kind.signals.robot_radius_m
    marker = _marker('robot', marker_type, stamp, frame_id, ROBOT_COLOR,
                     tuple(diameter_m * share for share in scale))
    marker.pose = pose
    return marker


def goal_marker(pose: Pose, stamp: Time, frame_id: str) -> Marker:
    """Return the goal's disc."""
    diameter_m = 2 * GOAL_RADIUS_M
    marker = _marker('goal', Marker.CYLINDER, stamp, frame_id, GOAL_COLOR,
                     (diameter_m, diameter_m, 0.02))
    marker.pose = pose
    return marker


def _marker(namespace: str, kind: int, stamp: Time, frame_id: str, color: ColorRGBA,
            scale: tuple[float, float, float]) -> Marker:
    marker = Marker(header=Header(stamp=stamp, frame_id=frame_id), ns=namespace, type=kind,
                    action=Marker.ADD, color=color,
                    scale=Vector3(x=scale[0], y=scale[1], z=scale[2]))
    marker.pose.orientation.w = 1.0
    return marker
