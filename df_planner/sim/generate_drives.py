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
Generate logs of a simulated robot, in D4RL's format.

The controller of the robot drives from random goal to random goal, from starts anywhere. Slowly
varying noise on its actions, of another strength in every drive, shows the model how the robot
moves off the ways that the controller prefers.
"""

import math
from pathlib import Path

import numpy as np

from df_planner.sim.generate import check_numbers
from df_planner.sim.generate import default_path
from df_planner.sim.generate import write_log
from df_planner.sim.map_place import load_place
from df_planner.sim.maze import GOAL_RADIUS_M
from df_planner.sim.place import Place
from df_planner.sim.robots import simulated_robot
from df_planner.sim.robots import SimulatedRobot

GENERATOR_VERSION = 1
NOISE_CORRELATION_S = 0.5
DRIVES_PER_START = 10  # so many goals in a row, then a start elsewhere
LONGEST_DRIVE_STEPS = 800  # in a maze; then noise has driven it into a corner
KEYS = ('observations', 'actions', 'rewards', 'terminals', 'timeouts', 'infos/goal')


def generate(robot: str, maze: str, num_steps: int, seed: int = 0, noise_std: float = 0.5,
             progress: bool = True, out: Path | None = None) -> Path:
    """
    Write a data set and return its path.

    :param robot: kind of the robot.
    :param maze: a shipped maze's name, or the YAML file of a maze or of a map.
    :param num_steps: rows of the file.
    :param noise_std: of the noise on each action, as a share of its limit, in the noisiest drives.
    :param out: the file, by default ``default_path(maze, robot)``; appears only when complete.
    :raises InvalidInput: for a bad number.
    :raises ConfigError: if there is no such maze or robot.
    """
    check_numbers(num_steps, noise_std)
    place, simulated = load_place(maze), simulated_robot(robot)
    return write_log(
        default_path(maze, robot) if out is None else Path(out), place, num_steps,
        _Source(simulated, place, seed, noise_std).rows, progress,
        {'robot': robot, 'seed': seed, 'noise_std': noise_std,
         'generator_version': GENERATOR_VERSION}, keys=KEYS, signals=simulated.signals)


class _Source:
    """Drive after drive, handed out in stretches."""

    def __init__(self, robot: SimulatedRobot, place: Place, seed: int, noise_std: float):
        self._robot = robot
        self._place = place
        self._noise_std = noise_std
        self._rng = np.random.default_rng(seed)
        self._world = robot.world(place)
        self._controller = robot.controller(place, self._rng)
        self._limits = np.array(robot.signals.action_limits)
        self._decay = math.exp(-robot.signals.dt_s / NOISE_CORRELATION_S)
        self._longest = (place.episode_steps(robot.signals.dt_s) if place.ends_at_goal
                         else LONGEST_DRIVE_STEPS)
        self._drives_left = 0
        self._start_elsewhere()

    def rows(self, count: int) -> dict[str, np.ndarray]:
        """Return the next ``count`` rows under the keys ``KEYS``."""
        observations, actions, goals, timeouts, terminals = [], [], [], [], []
        for _ in range(count):
            observations.append(self._state)
            goals.append(self._goal)
            *wanted, reached = self._controller.action(self._state, self._goal)
            action = np.clip(np.array(wanted) + self._next_noise(), -self._limits, self._limits)
            actions.append(action)
            self._state = self._world.step(action).tolist()
            self._drive_steps += 1
            is_lost = self._drive_steps == self._longest
            is_last = is_lost or reached and self._drives_left == 0
            timeouts.append(reached)
            terminals.append(is_last)
            if is_last:
                self._start_elsewhere()
            elif reached:
                self._next_drive()
        seen = np.array(observations, dtype=np.float32)
        fixed_goal = self._robot.from_maze(self._place.goal)
        distance = np.linalg.norm(seen[:, :2] - fixed_goal, axis=1)
        return {
            'observations': seen,
            'actions': np.array(actions, dtype=np.float32),
            'rewards': (distance <= GOAL_RADIUS_M).astype(np.float32),
            'terminals': np.array(terminals),
            'timeouts': np.array(timeouts),
            'infos/goal': np.array(goals, dtype=np.float32)}

    def _start_elsewhere(self) -> None:
        """Begin somewhere, and go on to a few goals from there."""
        others = self._robot.draw_others(self._rng)
        self._world.set_state(np.concatenate((self._draw_position(), others)))
        self._state = self._world.state.tolist()
        self._drives_left = DRIVES_PER_START
        self._next_drive()

    def _next_drive(self) -> None:
        """Draw a goal, and how noisy the way there is."""
        self._goal = self._draw_position().tolist()
        self._drives_left -= 1
        self._drive_steps = 0
        self._noise_of_drive = self._rng.uniform(0.0, self._noise_std) * self._limits
        self._noise = np.zeros(len(self._limits))

    def _next_noise(self) -> np.ndarray:
        """Return noise (A,) on the action, an Ornstein-Uhlenbeck process."""
        fresh = math.sqrt(1.0 - self._decay**2) * self._rng.standard_normal(len(self._limits))
        self._noise = self._decay * self._noise + fresh * self._noise_of_drive
        return self._noise

    def _draw_position(self) -> np.ndarray:
        """Draw a position (2,) in the free space, in the axes of the states."""
        return self._robot.from_maze(self._place.draw_anywhere(self._rng))
