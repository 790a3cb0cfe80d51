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
The robots that a place can be driven with, by kind: physics, controller and starts.

``world.signals`` says what states and actions are; ``action_limits``, ``dt_s`` and
``observation_to_map`` are in there.
"""

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import Protocol

import numpy as np

from df_planner.errors import ConfigError
from df_planner.robots.signals import Signals
from df_planner.sim.bases import DiffDriveWorld
from df_planner.sim.bases import OmniWorld
from df_planner.sim.controllers import ForceController
from df_planner.sim.controllers import OmniController
from df_planner.sim.controllers import TwistController
from df_planner.sim.controllers import WaypointController
from df_planner.sim.maze import in_maze
from df_planner.sim.maze import Maze
from df_planner.sim.maze import observation_to_map
from df_planner.sim.movers import Movers
from df_planner.sim.place import Place
from df_planner.sim.world import MAX_SPEED_MPS
from df_planner.sim.world import World


class RobotWorld(Protocol):
    """One robot in one place."""

    signals: Signals
    place: Place
    movers: Movers | None

    def __init__(self, place: Place, *, movers: Movers | None = None):
        """Build the physics of a place, and of obstacles that move in it."""

    @property
    def state(self) -> np.ndarray:
        """Return a copy of the present state, (S,)."""

    @property
    def in_contact(self) -> bool:
        """Tell whether the robot touches a wall."""

    @property
    def touches_mover(self) -> bool:
        """Tell whether the robot touches an obstacle that moves."""

    def ranges(self) -> np.ndarray:
        """Return what a lidar on the robot measures (see ``lidar.ranges``)."""

    def set_state(self, state: Sequence[float] | np.ndarray) -> None:
        """Put the robot into a state (S,)."""

    def step(self, action: Sequence[float] | np.ndarray) -> np.ndarray:
        """Apply an action (A,), clipped to the limits, for ``dt_s``; return the state (S,)."""


class Controller(Protocol):
    """It knows the place and drives to a goal; generated logs are its drives."""

    def action(self, state: Sequence[float], goal: Sequence[float]) -> tuple:
        """Return the A numbers of the action for a state (S,), and whether the goal is reached."""


@dataclass(frozen=True)
class SimulatedRobot:
    """
    A kind of robot in a place.

    :param world: makes the physics of a place.
    :param controller: makes the controller for a place and a source of randomness.
    :param draw_others: draws what a start state (S,) has besides the position, (S - 2,).
    :param top_speed_mps: the highest speed of a state along an axis, collisions included.
    """

    world: type[RobotWorld]
    controller: Callable[[Place, np.random.Generator], Controller]
    draw_others: Callable[[np.random.Generator], np.ndarray]
    top_speed_mps: float

    @property
    def signals(self) -> Signals:
        """Return what its states and actions are."""
        return self.world.signals

    def to_maze(self, positions: np.ndarray) -> np.ndarray:
        """Turn positions (..., 2) of its states into (row, column) of the place."""
        return in_maze(positions, self.signals.observation_to_map)

    def from_maze(self, positions: np.ndarray) -> np.ndarray:
        """Turn (row, column) positions (..., 2) of the place into those of its states."""
        return observation_to_map(positions) @ np.array(self.signals.observation_to_map)

    def start(self, position: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return a state (S,) that an episode starts from at a (row, column) of the place."""
        return np.concatenate((self.from_maze(position), self.draw_others(rng)))


def almost_at_rest(rng: np.random.Generator) -> np.ndarray:
    """Draw a velocity (2,) as D4RL does: 0.1 m/s deviation per axis."""
    return 0.1 * rng.standard_normal(2)


def _force_controller(place: Place, rng: np.random.Generator) -> Controller:
    """Return D4RL's controller in a maze, another one on a map."""
    return WaypointController(place, rng) if isinstance(place, Maze) else ForceController(place)


def _of_any_heading(rng: np.random.Generator) -> np.ndarray:
    """Draw a heading; return no velocity, its cosine and its sine, (4,)."""
    heading = rng.uniform(-math.pi, math.pi)
    return np.array([0.0, 0.0, math.cos(heading), math.sin(heading)])


ROBOTS = {
    'point': SimulatedRobot(World, _force_controller, almost_at_rest, 1.05 * MAX_SPEED_MPS),
    'diff_drive': SimulatedRobot(DiffDriveWorld, TwistController, _of_any_heading, 2.0),
    'omni': SimulatedRobot(OmniWorld, OmniController, _of_any_heading, 2.0),
}


def simulated_robot(kind: str | None) -> SimulatedRobot:
    """Return a robot by kind; ConfigError if there is none of that kind."""
    if kind not in ROBOTS:
        raise ConfigError(f'no simulated robot {kind!r}, must be one of {", ".join(ROBOTS)}')
    return ROBOTS[kind]
