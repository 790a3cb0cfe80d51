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
Generate Maze2D data the way D4RL's were made.

A way-point controller drives one endless trajectory from random goal to random goal; Gaussian
noise on its actions makes the data the ones that D4RL published (without it, their statistics
differ).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from df_planner.data.d4rl import CHUNK_ROWS
from df_planner.data.d4rl import dataset_writer
from df_planner.errors import InvalidInput
from df_planner.robots.kinds import POINT
from df_planner.robots.kinds import ROBOTS
from df_planner.sim.controllers import clip
from df_planner.sim.controllers import WaypointController
from df_planner.sim.maze import GOAL_RADIUS_M
from df_planner.sim.maze import load_maze
from df_planner.sim.maze import Maze
from df_planner.sim.place import Place
from df_planner.sim.robots import almost_at_rest
from df_planner.sim.world import World

GENERATOR_VERSION = 1
D4RL_NUM_STEPS = {'umaze': 1_000_000, 'medium': 2_000_000, 'large': 4_000_000}


def default_path(maze: str, robot: str = POINT.name) -> Path:
    """Return where the data set of a robot in a maze goes by default."""
    return Path('data') / f'{ROBOTS[robot].prefix}-{Path(maze).stem}.hdf5'


def generate(maze: str, num_steps: int, seed: int = 0, noise_std: float = 0.5,
             repair_stale: bool = False, progress: bool = True, out: Path | None = None) -> Path:
    """
    Write a data set of D4RL's format and statistics and return its path.

    :param maze: a shipped maze's name or a YAML file.
    :param num_steps: rows of the file.
    :param noise_std: of the Gaussian noise on each action, before clipping.
    :param repair_stale: show the controller the true observation after a reached goal; False
        repeats the old one there, as D4RL did, for the controller and in the file.
    :param out: the file, by default ``default_path(maze)``; appears only when complete.
    """
    check_numbers(num_steps, noise_std)
    layout = load_maze(maze)
    return write_log(
        default_path(maze) if out is None else Path(out), layout, num_steps,
        _Source(layout, seed, noise_std, repair_stale).rows, progress,
        {'seed': seed, 'noise_std': noise_std, 'repair_stale': repair_stale,
         'generator_version': GENERATOR_VERSION})


def check_numbers(num_steps: int, noise_std: float) -> None:
    """Raise InvalidInput for fewer than two rows, or noise that is negative or not finite."""
    if num_steps < 2:
        raise InvalidInput(f'num_steps must be at least 2, got {num_steps}')
    if not 0.0 <= noise_std < float('inf'):
        raise InvalidInput(f'noise_std must be a finite number >= 0, got {noise_std}')


def write_log(out: Path, place: Place, num_steps: int, rows: Callable[[int], dict],
              progress: bool, attributes: dict, **layout: Any) -> Path:
    """
    Write a log of a robot in a place, with a progress bar, and return its path.

    :param rows: gives so many of the next rows under their keys.
    :param attributes: of the file, besides the place.
    :param layout: ``keys`` and ``signals`` as ``dataset_writer`` takes them.
    """
    attributes = {place.kind: place.name, 'layout': '\n'.join(place.layout), **attributes}
    with dataset_writer(out, num_steps, attributes=attributes, **layout) as write, tqdm(
            total=num_steps, desc=f'{place.name} data', unit='step', unit_scale=True,
            disable=not progress) as bar:
        for first_row in range(0, num_steps, CHUNK_ROWS):
            count = min(CHUNK_ROWS, num_steps - first_row)
            write(first_row, rows(count))
            bar.update(count)
    return out


class _Source:
    """The endless trajectory, handed out in stretches."""

    def __init__(self, maze: Maze, seed: int, noise_std: float, repair_stale: bool):
        self._maze = maze
        self._noise_std = noise_std
        self._repair_stale = repair_stale
        self._rng = np.random.default_rng(seed)
        self._world = World(maze)
        self._controller = WaypointController(maze, self._rng)
        self._goal = maze.draw_position(self._rng)
        start = np.concatenate((maze.draw_position(self._rng), almost_at_rest(self._rng)))
        self._world.set_state(start)
        self._state = self._observation = start.tolist()

    def rows(self, count: int) -> dict[str, np.ndarray]:
        """Return the next rows under D4RL's keys; rewards are those of the maze's own goal."""
        noise = (self._noise_std * self._rng.standard_normal((count, 2))).tolist()
        act, advance = self._controller.action, self._world.advance
        state, observation, goal = self._state, self._observation, self._goal
        observations, states, actions, goals, timeouts = [], [], [], [], []
        for row_noise, column_noise in noise:
            row_action, column_action, reached = act(observation, goal)
            action = (clip(row_action + row_noise), clip(column_action + column_noise))
            observations.append(observation)
            states.append(state)
            actions.append(action)
            goals.append(goal)
            timeouts.append(reached)
            state = advance(*action)
            if reached:
                goal = self._maze.draw_position(self._rng)
            if self._repair_stale or not reached:
                observation = state
        self._state, self._observation, self._goal = state, observation, goal
        seen = np.array(observations, dtype=np.float32)
        true = np.array(states, dtype=np.float32)
        distance = np.linalg.norm(seen[:, :2] - np.array(self._maze.goal_cell), axis=1)
        return {
            'observations': seen,
            'actions': np.array(actions, dtype=np.float32),
            'rewards': (distance <= GOAL_RADIUS_M).astype(np.float32),
            'terminals': np.zeros(len(seen), dtype=bool),
            'timeouts': np.array(timeouts),
            'infos/goal': np.array(goals, dtype=np.float32),
            'infos/qpos': true[:, :2],
            'infos/qvel': true[:, 2:]}
