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
The protocol of an evaluation: which starts and goals the episodes have.

Every method is compared on the same fixed starts, because the spread over starts (12-44 points of
normalised score) is larger than the differences between methods. A set of starts is either sampled
from a seed or read from a file, with the arrays ``state`` (N, S) and ``goal`` (N, 2), in the axes
of the robot's states: those of a point are D4RL's observation frame.
"""

from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
import zipfile

import numpy as np

from df_planner.errors import InvalidInput
from df_planner.files import replace_files
from df_planner.robots.kinds import POINT
from df_planner.robots.kinds import ROBOTS
from df_planner.sim.maze import in_maze
from df_planner.sim.maze import Maze

RESET_POSITION_NOISE_M = 0.1


@dataclass(frozen=True)
class Starts:
    """
    Start states and goals of N episodes of a robot.

    :param state: (N, S) float64; of a point row, column, velocity along rows, along columns.
    :param goal: (N, 2) float64, positions in the axes of the states.
    """

    state: np.ndarray
    goal: np.ndarray
    robot: str = POINT.name

    def __post_init__(self):
        size = ROBOTS[self.robot].signals.observation_size
        for name, array, width in (('state', self.state, size), ('goal', self.goal, 2)):
            if not np.issubdtype(np.asarray(array).dtype, np.number):
                raise InvalidInput(f'{name} must hold numbers, got dtype {array.dtype}')
            array = np.array(array, dtype=np.float64)
            if array.ndim != 2 or array.shape[1] != width:
                raise InvalidInput(f'{name} must have shape (N, {width}), got {array.shape}')
            if not np.all(np.isfinite(array)):
                row = int(np.argwhere(~np.isfinite(array))[0, 0])
                raise InvalidInput(f'{name} must be finite, got {array[row]} in row {row}')
            object.__setattr__(self, name, array)
        if len(self.state) != len(self.goal):
            raise InvalidInput('state and goal must have the same number of rows, got '
                               f'{len(self.state)} and {len(self.goal)}')
        if len(self.state) == 0:
            raise InvalidInput('state and goal must have at least one row, got none')

    def __len__(self) -> int:
        return len(self.state)

    def head(self, episodes: int) -> 'Starts':
        """Return the first ``episodes`` starts; InvalidInput if there are fewer."""
        if not 1 <= episodes <= len(self):
            raise InvalidInput(f'episodes must be in 1..{len(self)} for these starts, '
                               f'got {episodes}')
        return replace(self, state=self.state[:episodes], goal=self.goal[:episodes])

    def check_inside(self, maze: Maze) -> None:
        """Raise InvalidInput for a start or a goal in a wall or outside of the maze."""
        to_map = ROBOTS[self.robot].signals.observation_to_map
        for name, points in (('state', self.state[:, :2]), ('goal', self.goal)):
            blocked = np.flatnonzero(maze.is_wall(in_maze(points, to_map)))
            if len(blocked):
                row = int(blocked[0])
                raise InvalidInput(f'{name} in row {row}, {points[row]}, lies in a wall or '
                                   f'outside of maze {maze.name!r}')


def sample_starts(maze: Maze, episodes: int, seed: int, multi_goal: bool = False,
                  robot: str = POINT.name) -> Starts:
    """
    Sample starts exactly as D4RL resets its mazes; other robots start at rest, with any heading.

    The cell is uniform over the empty cells and the goal cell, the position is the cell plus
    U(-0.1, 0.1) per axis, the velocity 0.1 N(0, 1) per axis. Single-task episodes go to the goal
    cell of the maze; with ``multi_goal`` (Multi2D) the goal is a uniform cell plus U(-0.1, 0.1).
    Episode i depends on the seed and on i only, not on the number of episodes, and starts in the
    same state with and without ``multi_goal``.

    :raises InvalidInput: for fewer than 1 episode or a seed below 0.
    """
    from df_planner.sim.robots import simulated_robot  # takes MuJoCo along
    if episodes < 1:
        raise InvalidInput(f'episodes must be 1 or more, got {episodes}')
    if seed < 0:
        raise InvalidInput(f'seed must be 0 or more, got {seed}')
    cells = np.array(maze.cells, dtype=np.float64)
    simulated = simulated_robot(robot)
    state = np.empty((episodes, simulated.signals.observation_size))
    goal = np.empty((episodes, 2))
    for episode in range(episodes):
        rng = np.random.default_rng([seed, episode])
        state[episode] = simulated.start(_near_random_cell(rng, cells), rng)
        goal[episode] = simulated.from_maze(
            _near_random_cell(rng, cells) if multi_goal else maze.goal_cell)
    return Starts(state, goal, robot)


def save_starts(path: str | Path, starts: Starts) -> None:
    """Write starts to an npz file, whole or not at all; the name is kept as given."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_files({path: lambda file: np.savez(file, state=starts.state, goal=starts.goal)})


def load_starts(path: str | Path, robot: str = POINT.name) -> Starts:
    """Read starts from an npz file with the arrays ``state`` (N, S) and ``goal`` (N, 2)."""
    try:
        with open(path, 'rb') as file:
            if not zipfile.is_zipfile(file):
                raise ValueError('it is no npz file, as numpy.savez writes it')
        with np.load(path, allow_pickle=False) as arrays:
            missing = sorted({'state', 'goal'} - set(arrays))
            if missing:
                raise InvalidInput(f'{path} must hold the arrays state and goal, '
                                   f'got {sorted(arrays)}')
            return Starts(arrays['state'], arrays['goal'], robot)
    except InvalidInput as error:
        raise InvalidInput(f'starts file {path}: {error}') from error
    except (OSError, ValueError, TypeError, AttributeError, EOFError, KeyError,
            zipfile.BadZipFile) as error:
        raise InvalidInput(f'starts file {path} cannot be read: {error}') from error


def _near_random_cell(rng: np.random.Generator, cells: np.ndarray) -> np.ndarray:
    """Return a position (2,) near the centre of a uniformly drawn cell."""
    cell = cells[rng.integers(len(cells))]
    return cell + rng.uniform(-RESET_POSITION_NOISE_M, RESET_POSITION_NOISE_M, 2)
