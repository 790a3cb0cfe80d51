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
Maze layouts and every frame conversion of the project.

Three frames describe the same plane:

- *observation*: D4RL's, ``(row, column)`` with rows counted downwards. Data, planner and
  environment use it. The cell ``(r, c)`` spans ``[r - 0.7, r + 0.3] x [c - 0.7, c + 0.3]``: a
  corridor's centre is at ``r - 0.2``, while goals and resets are at the integer cell.
- *world*: MuJoCo's, ``observation + 1.2`` on both axes.
- *map*: ROS (REP 103), x to the right and y up: ``x = column, y = -row``. Only a swap and a
  negation, so that a round trip is exact to the last bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from functools import cached_property
from pathlib import Path

import numpy as np

from df_planner.configuration import read_yaml
from df_planner.errors import ConfigError
from df_planner.errors import InvalidInput
from df_planner.files import share_path
from df_planner.maps.grid import GridMap
from df_planner.robots.signals import MAZE2D
from df_planner.sim.place import Box
from df_planner.sim.place import Place

DT_S = MAZE2D.dt_s
GOAL_RADIUS_M = 0.5
MAP_RESOLUTION_M = 0.1  # of the map of a maze
AROUND_CENTER_M = 0.3  # of a cell, along each axis: where logs have goals and starts
BALL_RADIUS_M = MAZE2D.robot_radius_m
CELL_M = 1.0
WORLD_OFFSET_M = 1.2
CELL_LOWER_EDGE_M = -0.7  # of a cell, seen from its integer coordinate in the observation frame
OBSERVATION_TO_MAP = MAZE2D.observation_to_map
MOVES = ((0, 0), (0, -1), (0, 1), (-1, 0), (1, 0))  # in the order in which ties are resolved
DISCOUNT = 0.99
VALUE_SWEEPS = 50
MAX_WAYPOINTS = 100
D4RL_MAZES = ('umaze', 'medium', 'large', 'eval-umaze', 'eval-medium', 'eval-large')
MAZE_NAMES = (*D4RL_MAZES, 'giant')


def observation_to_map(vector: np.ndarray) -> np.ndarray:
    """Turn positions, velocities or forces (..., 2) from (row, column) into the map's (x, y)."""
    vector = np.asarray(vector)
    return np.stack((vector[..., 1], -vector[..., 0]), axis=-1)


def map_to_observation(vector: np.ndarray) -> np.ndarray:
    """Turn positions, velocities or forces (..., 2) from the map's (x, y) into (row, column)."""
    vector = np.asarray(vector)
    return np.stack((-vector[..., 1], vector[..., 0]), axis=-1)


def in_maze(positions: np.ndarray, to_map: Sequence[Sequence[float]]) -> np.ndarray:
    """
    Turn positions (..., 2) of a robot's states into (row, column).

    :param to_map: matrix from the axes of the states to those of the map.
    """
    return map_to_observation(np.asarray(positions) @ np.array(to_map).T)


def observation_to_world(position: np.ndarray) -> np.ndarray:
    """Turn positions (..., 2) of the observation frame into MuJoCo's world coordinates."""
    return np.asarray(position) + WORLD_OFFSET_M


def cell_center(cell: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the centre (..., 2) of cells (..., 2) in the observation frame."""
    return np.asarray(cell, dtype=float) + CELL_LOWER_EDGE_M + CELL_M / 2


@dataclass(frozen=True)
class Block:
    """
    A square obstacle that stands in a maze, its edges along the axes.

    :param center: (row, column) in the observation frame.
    :param edge_m: length of its edges.
    """

    center: tuple[float, float]
    edge_m: float

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Tell how far points (..., 2) are from the block, in metres (...), 0 inside."""
        beyond = np.abs(np.asarray(points) - self.center) - self.edge_m / 2
        return np.linalg.norm(np.maximum(beyond, 0.0), axis=-1)


@dataclass(frozen=True)
class Maze(Place):
    """A maze of unit cells: the layout, the length of an episode and the scores it is rated by."""

    kind = 'maze'
    in_map_frame = False
    ends_at_goal = False
    waypoint_jitter_m = 0.1

    name: str
    rows: tuple[str, ...]
    max_episode_steps: int
    reference_return: tuple[float, float] | None = None
    dense_reference_return: tuple[float, float] | None = None

    def __post_init__(self):
        """Reject a layout that no ball could live in."""
        lengths = {len(row) for row in self.rows}
        if len(lengths) != 1:
            raise ConfigError(f'maze {self.name}: rows must be of one length, got {lengths}')
        unknown = set(''.join(self.rows)) - set('#OG')
        if unknown:
            raise ConfigError(f'maze {self.name}: unknown tiles {sorted(unknown)}, use # O G')
        if not self.cells:
            raise ConfigError(f'maze {self.name}: no empty cell')
        if ''.join(self.rows).count('G') > 1:
            raise ConfigError(f'maze {self.name}: more than one goal')
        border = self.rows[0] + self.rows[-1] + ''.join(row[0] + row[-1] for row in self.rows)
        if set(border) != {'#'}:
            raise ConfigError(f'maze {self.name}: the border must be all wall')
        if not isinstance(self.max_episode_steps, int) or self.max_episode_steps < 1:
            raise ConfigError(
                f'maze {self.name}: max_episode_steps must be a positive integer, '
                f'got {self.max_episode_steps!r}')

    @property
    def layout(self) -> tuple[str, ...]:
        """Return the rows."""
        return self.rows

    @cached_property
    def grid(self) -> GridMap:
        """Return the map, for positions in the map frame."""
        return self.grid_to_publish(MAP_RESOLUTION_M)

    def grid_to_publish(self, resolution_m: float) -> GridMap:
        """Return the map at a resolution; a whole number of its cells must make 1 m."""
        data, origin_xy = self.occupancy_grid(resolution_m)
        return GridMap.from_cells(data, resolution_m, origin_xy)

    @property
    def boxes(self) -> list[Box]:
        """Return the cells that are walls."""
        return [Box(f'wall_{row}_{column}', tuple(cell_center((row, column)).tolist()),
                    (CELL_M, CELL_M)) for row, column in np.argwhere(self.walls)]

    @property
    def goal(self) -> np.ndarray:
        """Return the integer position (2,) of the goal's cell."""
        return np.array(self.goal_cell, dtype=float)

    def episode_steps(self, dt_s: float) -> int:
        """Return the number of steps of an episode, of whatever length."""
        return self.max_episode_steps

    @cached_property
    def walls(self) -> np.ndarray:
        """Return which cells are walls, bool (R, C), read-only."""
        walls = np.array([[tile == '#' for tile in row] for row in self.rows])
        walls.setflags(write=False)
        return walls

    def _cells_of(self, tile: str) -> list[tuple[int, int]]:
        return [(r, c) for r, row in enumerate(self.rows)
                for c, other in enumerate(row) if other == tile]

    @cached_property
    def cells(self) -> list[tuple[int, int]]:
        """Return the free cells in D4RL's order: the empty ones sorted, then the goal."""
        return self._cells_of('O') + self._cells_of('G')

    @cached_property
    def goal_cell(self) -> tuple[int, int]:
        """Return the goal's cell, the first empty one if the layout marks none."""
        return (self._cells_of('G') or self.cells)[0]

    def draw_position(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a position (2,) as D4RL does: a free cell, up to 0.1 m off its integer per axis."""
        cell = np.array(self.cells[rng.integers(len(self.cells))], dtype=float)
        return cell + rng.uniform(-0.1, 0.1, size=2)

    def draw_goal(self, start: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw a position (2,) as for starts, wherever the start is."""
        return self.draw_position(rng)

    def draw_anywhere(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a position (2,) within a free cell."""
        cell = self.cells[rng.integers(len(self.cells))]
        return cell_center(cell) + rng.uniform(-AROUND_CENTER_M, AROUND_CENTER_M, 2)

    def way(self, start: np.ndarray, goal: np.ndarray) -> np.ndarray:
        """Return the centres (N, 2) of the cells from a position (2,) to another one."""
        end, cell = self.cell_of(goal), self.cell_of(start)
        following, way = next_cells(self, end), []
        while cell != end and len(way) < MAX_WAYPOINTS:
            cell = following[cell]
            way.append(cell)
        return cell_center(np.array(way).reshape(-1, 2))

    def normalized_score(self, episode_return: float, dense: bool = False) -> float:
        """Return D4RL's score in percent: 0 is the random policy, 100 the reference one."""
        reference = self.dense_reference_return if dense else self.reference_return
        if reference is None:
            raise ConfigError(f'maze {self.name} has no reference return to score against')
        low, high = reference
        return 100.0 * (episode_return - low) / (high - low)

    def is_wall(self, position: Sequence[float] | np.ndarray) -> np.ndarray:
        """Tell which positions (..., 2) lie in a wall cell or outside the maze, bool (...)."""
        cell = np.floor(np.asarray(position, dtype=float) - CELL_LOWER_EDGE_M)
        inside = np.all((cell >= 0) & (cell < self.walls.shape), axis=-1)
        row, column = np.moveaxis(np.where(inside[..., None], cell, 0).astype(int), -1, 0)
        return ~inside | self.walls[row, column]

    def cell_of(self, position: Sequence[float] | np.ndarray) -> tuple[int, int]:
        """Return the cell that a position (2,) lies in."""
        row, column = np.floor(np.asarray(position, dtype=float) - CELL_LOWER_EDGE_M)
        return int(row), int(column)

    def occupancy_grid(self, resolution_m: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
        """
        Return the maze as a ROS occupancy grid: (data int8 (H, W), origin_xy (2,)).

        Data are row-major from the lower-left corner of the map frame, 0 free and 100 occupied;
        the origin is that corner.

        :param resolution_m: edge of a grid cell; a whole number of them must make 1 m.
        """
        per_cell = round(CELL_M / resolution_m) if resolution_m > 0 else 0
        if per_cell < 1 or abs(per_cell * resolution_m - CELL_M) > 1e-9:
            raise InvalidInput(f'resolution_m must divide {CELL_M} m, got {resolution_m}')
        occupied = np.kron(self.walls[::-1], np.ones((per_cell, per_cell), dtype=bool))
        last_row = self.walls.shape[0] - 1
        lower_left = (last_row + CELL_LOWER_EDGE_M + CELL_M, CELL_LOWER_EDGE_M)
        return np.where(occupied, 100, 0).astype(np.int8), observation_to_map(lower_left)


def load_maze(name_or_path: str | Path) -> Maze:
    """
    Load a shipped maze by name, or any maze from a YAML file.

    :raises ConfigError: when there is no such maze or its file does not describe one.
    """
    name = str(name_or_path)
    if name in MAZE_NAMES:
        path = share_path(f'sim/mazes/{name}.yaml')
    else:
        path = Path(name)
        if not path.is_file():
            raise ConfigError(f'no maze {name!r}: neither a file nor one of '
                              + ', '.join(MAZE_NAMES))
        name = path.stem
    content = read_yaml(path)
    if not {'layout', 'max_episode_steps'} <= set(content):
        raise ConfigError(f'{path}: needs the keys layout and max_episode_steps')
    layout = content['layout']
    if not isinstance(layout, list) or not all(isinstance(row, str) for row in layout):
        raise ConfigError(f'{path}: layout must be a list of strings')
    return Maze(name, tuple(layout), content['max_episode_steps'],
                _reference(path, content, 'reference_return'),
                _reference(path, content, 'dense_reference_return'))


@cache
def next_cells(maze: Maze, goal: tuple[int, int]) -> dict[tuple[int, int], tuple[int, int]]:
    """
    Return for every cell the best next one on the way to the goal.

    Wall cells are included: a ball that hugs a wall may round to one. Do not change the result:
    it is kept for the next call.
    """
    shape = maze.walls.shape
    successors = {}
    for cell in np.ndindex(shape):
        moved = [(cell[0] + row, cell[1] + column) for row, column in MOVES]
        successors[cell] = [
            other if 0 <= other[0] < shape[0] and 0 <= other[1] < shape[1]
            and not maze.walls[other] else cell for other in moved]
    values = dict.fromkeys(successors, 0.0)
    action_values = {}
    for _ in range(VALUE_SWEEPS):
        action_values = {
            cell: [float(cell == goal) + DISCOUNT * values[other] for other in others]
            for cell, others in successors.items()}
        values = {cell: max(row) for cell, row in action_values.items()}
    return {cell: others[int(np.argmax(action_values[cell]))]
            for cell, others in successors.items()}


def maze_map(name: str, observation_to_map: Sequence[Sequence[float]] = OBSERVATION_TO_MAP
             ) -> GridMap:
    """Return the map of a maze by name, or of a maze file, for models of these axes."""
    return load_maze(name).grid.in_axes(observation_to_map)


def _reference(path: Path, content: dict, key: str) -> tuple[float, float] | None:
    """Return the pair (random, reference) under a key, None if the file has none."""
    value = content.get(key)
    if value is None:
        return None
    numbers = isinstance(value, list) and all(type(v) in (int, float) for v in value)
    if not numbers or len(value) != 2 or not value[0] < value[1]:
        raise ConfigError(f'{path}: {key} must be two rising numbers, got {value!r}')
    return float(value[0]), float(value[1])
