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

"""Pictures of a maze, drawn with numpy alone: no display, no OpenGL."""

from collections.abc import Sequence

import numpy as np

from df_planner.sim.maze import BALL_RADIUS_M
from df_planner.sim.maze import CELL_LOWER_EDGE_M
from df_planner.sim.maze import GOAL_RADIUS_M
from df_planner.sim.maze import Maze

PIXELS_PER_M = 48
WALL_RGB = (90, 96, 110)
FLOOR_RGB = (246, 246, 242)
GOAL_RGB = (120, 190, 120)
BALL_RGB = (200, 70, 50)


def draw_maze(maze: Maze, state: Sequence[float], goal: Sequence[float]) -> np.ndarray:
    """
    Draw the maze with the ball (state (4,), of which the position counts) and the goal (2,).

    Rows run down and columns to the right, as in the layout. Returns (height, width, 3) uint8.
    """
    tile = np.ones((PIXELS_PER_M, PIXELS_PER_M), dtype=bool)
    wall = np.kron(maze.walls, tile)[..., None]
    picture = np.where(wall, np.array(WALL_RGB, float), np.array(FLOOR_RGB, float))
    _blend_disc(picture, goal, GOAL_RADIUS_M, GOAL_RGB, 0.6)
    _blend_disc(picture, state[:2], BALL_RADIUS_M, BALL_RGB, 1.0)
    return np.rint(picture).astype(np.uint8)


def _blend_disc(picture: np.ndarray, centre: Sequence[float], radius_m: float,
                rgb: tuple[int, int, int], opacity: float) -> None:
    """Blend an anti-aliased disc into a float picture (height, width, 3), in place."""
    rows = (np.arange(picture.shape[0]) + 0.5) / PIXELS_PER_M + CELL_LOWER_EDGE_M
    columns = (np.arange(picture.shape[1]) + 0.5) / PIXELS_PER_M + CELL_LOWER_EDGE_M
    distance = np.hypot(rows[:, None] - centre[0], columns[None, :] - centre[1])
    cover = opacity * np.clip((radius_m - distance) * PIXELS_PER_M + 0.5, 0.0, 1.0)[..., None]
    picture += cover * (np.array(rgb, float) - picture)
