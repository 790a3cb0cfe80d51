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
The controller behind the data of the differential-drive robot, and the baseline of its planner.

It knows the maze: value iteration over the cells finds the way, as for D4RL's controller. It turns
in place towards a way-point far off its heading, and drives there, slower the more it has to turn.
"""

from collections.abc import Sequence
import math

import numpy as np

from df_planner.sim.maze import cell_center
from df_planner.sim.maze import map_to_observation
from df_planner.sim.maze import Maze
from df_planner.sim.maze import observation_to_map
from df_planner.sim.waypoint_controller import next_cells

CRUISE_MPS = 0.9  # what is left up to the limit is for feedback on plans
TURN_GAIN_PER_S = 4.0
MAX_TURN_RADPS = 3.0
TURN_IN_PLACE_RAD = math.radians(60.0)
NEXT_WAYPOINT_M = 0.35  # a way-point nearer than this is passed
REACHED_M = 0.1
SLOWING_PER_S, SLOWEST_MPS = 2.0, 0.15  # of the distance to the goal
MAX_WAYPOINTS = 100


class TwistController:
    """
    Drive from cell to cell to the goal; positions are in the map frame.

    :param rng: source of the way-point jitter.
    :param jitter_m: way-points lie up to this far from the centres of cells, along each axis.
    """

    def __init__(self, maze: Maze, rng: np.random.Generator, jitter_m: float = 0.1):
        self.maze = maze
        self.jitter_m = jitter_m
        self._rng = rng
        self._next_cells: dict[tuple[int, int], dict] = {}
        self.reset()

    def reset(self) -> None:
        """Forget the goal, so that the next call plans anew."""
        self._goal: tuple[float, float] | None = None
        self._waypoints: list[tuple[float, float]] = []

    def action(self, state: Sequence[float], goal: Sequence[float]
               ) -> tuple[float, float, bool]:
        """
        Return linear velocity in m/s, angular velocity in rad/s, and whether the goal is reached.

        :param state: (6,) as of ``DiffDriveWorld``.
        :param goal: (2,) a free position; a new one is planned for.
        """
        x, y, _, _, cosine, sine = state
        goal = (float(goal[0]), float(goal[1]))
        if goal != self._goal:
            self._plan((x, y), goal)
        while len(self._waypoints) > 1 and math.dist((x, y), self._waypoints[0]) < NEXT_WAYPOINT_M:
            self._waypoints.pop(0)
        target_x, target_y = self._waypoints[0]
        ahead = cosine * (target_x - x) + sine * (target_y - y)
        left = cosine * (target_y - y) - sine * (target_x - x)
        distance, bearing = math.hypot(ahead, left), math.atan2(left, ahead)
        is_last = len(self._waypoints) == 1
        if is_last and distance < REACHED_M:
            return 0.0, 0.0, True
        turn = min(max(TURN_GAIN_PER_S * bearing, -MAX_TURN_RADPS), MAX_TURN_RADPS)
        if abs(bearing) > TURN_IN_PLACE_RAD:
            return 0.0, turn, False
        speed = CRUISE_MPS * math.cos(bearing) ** 2
        if is_last:
            speed = min(speed, max(SLOWING_PER_S * distance, SLOWEST_MPS))
        return speed, turn, False

    def _plan(self, start: tuple[float, float], goal: tuple[float, float]) -> None:
        """Follow the values from the start's cell to the goal's, and jitter the way."""
        goal_cell = self.maze.cell_of(map_to_observation(goal))
        if goal_cell not in self._next_cells:
            self._next_cells[goal_cell] = next_cells(self.maze, goal_cell)
        cell = self.maze.cell_of(map_to_observation(start))
        self._waypoints = []
        while cell != goal_cell and len(self._waypoints) < MAX_WAYPOINTS:
            cell = self._next_cells[goal_cell][cell]
            jitter = self._rng.uniform(-self.jitter_m, self.jitter_m, 2)
            self._waypoints.append(tuple(observation_to_map(cell_center(cell) + jitter).tolist()))
        self._waypoints[-1:] = [goal]
        self._goal = goal
