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
The controllers that make the data, and the baselines of the planners.

They know the maze: value iteration over its cells finds the way to a goal. Way-points are jittered
so that the data cover the corridors.
"""

from collections.abc import Sequence
import math

import numpy as np

from df_planner.sim.maze import map_to_observation
from df_planner.sim.maze import MAX_WAYPOINTS
from df_planner.sim.maze import Maze
from df_planner.sim.maze import next_cells
from df_planner.sim.maze import observation_to_map
from df_planner.sim.place import Place

REACHED_M = 0.1

# D4RL's controller: action per metre to the way-point and, braking, per m/s.
POSITION_GAIN, VELOCITY_GAIN = 10.0, 1.0
JITTER_M = 0.2  # way-points move by up to this much towards negative rows and columns

CRUISE_MPS = 0.9  # what is left up to the limit is for feedback on plans
TURN_GAIN_PER_S = 4.0
MAX_TURN_RADPS = 3.0
TURN_IN_PLACE_RAD = math.radians(60.0)
NEXT_WAYPOINT_M = 0.35  # a way-point nearer than this is passed
SLOWING_PER_S, SLOWEST_MPS = 2.0, 0.15  # of the distance to the goal

BALL_MPS = 2.0  # on a map: as fast as D4RL's controller is in its mazes
AHEAD_M = 0.4  # a way-point nearer than this is passed
SPEED_GAIN = 1.0  # action per m/s


class WaypointController:
    """
    Drive from way-point to way-point by force: the controller behind D4RL's data and scores.

    Planning happens when the *cell* of the goal changes and at no other time, as in D4RL: without
    ``reset`` a second episode with the same goal goes on with the way-points of the first.

    :param rng: source of the way-point jitter; anything with ``random(size=None)`` in [0, 1).
    """

    def __init__(self, maze: Maze, rng: np.random.Generator | np.random.RandomState):
        self.maze = maze
        self._rng = rng
        self.reset()

    def reset(self) -> None:
        """Forget the goal, so that the next call plans."""
        self._goal: tuple[int, int] | None = None
        self._waypoints: list[tuple[float, float]] = []
        self._index = 0
        self._previous = (0.0, 0.0)

    def action(self, state: Sequence[float], goal: Sequence[float]
               ) -> tuple[float, float, bool]:
        """
        Return the action for a state (4,), clipped to [-1, 1], and whether the goal is reached.

        The goal (2,) is rounded to its cell.
        """
        row, column, row_velocity, column_velocity = state
        goal_cell = (round(goal[0]), round(goal[1]))
        if goal_cell != self._goal:
            self._plan((round(row), round(column)), goal_cell)
        # A step moves less than the tolerance; only the first one after planning, measured from
        # the centre of the cell, may not count as an arrival.
        settled = math.hypot(row - self._previous[0], column - self._previous[1]) < 0.1
        reached = settled and math.hypot(row - goal_cell[0], column - goal_cell[1]) < REACHED_M
        target = goal_cell if reached else self._waypoints[self._index]
        row_error, column_error = target[0] - row, target[1] - column
        if settled and not reached and math.hypot(row_error, column_error) < REACHED_M:
            self._index += 1
        self._previous = (row, column)
        return (clip(POSITION_GAIN * row_error - VELOCITY_GAIN * row_velocity),
                clip(POSITION_GAIN * column_error - VELOCITY_GAIN * column_velocity), reached)

    def _plan(self, start: tuple[int, int], goal: tuple[int, int]) -> None:
        """Follow the values from the start's cell to the goal's and jitter the way."""
        following, cell = next_cells(self.maze, goal), start
        waypoints: list[tuple[float, float]] = []
        while len(waypoints) < MAX_WAYPOINTS:
            cell = following[cell]
            self._rng.random()  # D4RL's grid draws the outcome of each move, though it is certain
            if cell == goal:
                waypoints.append(cell)
                break
            jitter = self._rng.random(2) * JITTER_M
            waypoints.append((cell[0] - float(jitter[0]), cell[1] - float(jitter[1])))
        self._goal = goal
        self._waypoints = waypoints
        self._index = 0
        self._previous = start


def clip(action: float) -> float:
    """Return an action of one axis within [-1, 1]."""
    return min(max(action, -1.0), 1.0)


class TwistController:
    """
    Drive on two wheels from cell to cell to the goal; positions are in the map frame.

    It turns in place towards a way-point far off its heading, and drives there, slower the more it
    has to turn.

    :param rng: source of the way-point jitter.
    """

    def __init__(self, place: Place, rng: np.random.Generator):
        self.place = place
        self._rng = rng
        self.reset()

    def reset(self) -> None:
        """Forget the goal, so that the next call plans."""
        self._goal: tuple[float, float] | None = None
        self._waypoints: list[tuple[float, float]] = []

    def action(self, state: Sequence[float], goal: Sequence[float]
               ) -> tuple[float, float, bool]:
        """
        Return the velocities of the robot in m/s and rad/s, and whether the goal is reached.

        :param state: (6,) position, velocity, cosine and sine of the heading.
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
        is_reached = is_last and distance < REACHED_M
        limit = max(SLOWING_PER_S * distance, SLOWEST_MPS) if is_last else CRUISE_MPS
        turn = min(max(TURN_GAIN_PER_S * bearing, -MAX_TURN_RADPS), MAX_TURN_RADPS)
        velocities = self._velocities(bearing, min(CRUISE_MPS, limit), turn)
        return *((0.0,) * len(velocities) if is_reached else velocities), is_reached

    def _velocities(self, bearing: float, limit_mps: float, turn_radps: float) -> tuple:
        """
        Return the velocities towards a way-point.

        :param bearing: of the way-point, in radians to the left of the heading.
        :param turn_radps: turning rate to it.
        """
        if abs(bearing) > TURN_IN_PLACE_RAD:
            return 0.0, turn_radps
        return min(CRUISE_MPS * math.cos(bearing) ** 2, limit_mps), turn_radps

    def _plan(self, start: tuple[float, float], goal: tuple[float, float]) -> None:
        """Follow the values from the start's cell to the goal's, and jitter the way."""
        way = self.place.way(map_to_observation(start), map_to_observation(goal))
        jitter_m = self.place.waypoint_jitter_m
        way += self._rng.uniform(-jitter_m, jitter_m, way.shape)
        self._waypoints = [tuple(point) for point in observation_to_map(way).tolist()]
        self._waypoints[-1:] = [goal]
        self._goal = goal


class ForceController:
    """Push a ball along the way to its goal on a map; positions are (row, column)."""

    def __init__(self, place: Place):
        self.place = place
        self.reset()

    def reset(self) -> None:
        """Forget the goal, so that the next call plans."""
        self._goal: tuple[float, float] | None = None
        self._waypoints: list[list[float]] = []

    def action(self, state: Sequence[float], goal: Sequence[float]
               ) -> tuple[float, float, bool]:
        """Return the action for a state (4,), within [-1, 1], and whether the goal is reached."""
        position, goal = (float(state[0]), float(state[1])), (float(goal[0]), float(goal[1]))
        if goal != self._goal:
            self._goal = goal
            self._waypoints = self.place.way(np.array(position), np.array(goal)).tolist()
        while len(self._waypoints) > 1 and math.dist(position, self._waypoints[0]) < AHEAD_M:
            self._waypoints.pop(0)
        target = self._waypoints[0]
        distance = math.dist(position, target)
        speed = min(BALL_MPS, SLOWING_PER_S * math.dist(position, goal))
        scale = speed / max(distance, 1e-6)
        return (clip(SPEED_GAIN * (scale * (target[0] - position[0]) - state[2])),
                clip(SPEED_GAIN * (scale * (target[1] - position[1]) - state[3])),
                math.dist(position, goal) < REACHED_M)


class OmniController(TwistController):
    """Drive in any direction from cell to cell to the goal, and turn there on the way."""

    def _velocities(self, bearing: float, limit_mps: float, turn_radps: float) -> tuple:
        return limit_mps * math.cos(bearing), limit_mps * math.sin(bearing), turn_radps
