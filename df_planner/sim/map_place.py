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
A map from a file as a place to drive in: its walls, its ways, its starts and goals.

What nobody has seen is a wall here: nobody knows that a robot can be there, and planners, unless
told otherwise, think the same. So is the edge of the map.
"""

from collections.abc import Sequence
from functools import cached_property
from functools import lru_cache
import math
from pathlib import Path
import re

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from df_planner.configuration import read_yaml
from df_planner.maps.free_space import FreeSpace
from df_planner.maps.generator import unseen_place
from df_planner.maps.grid import GridMap
from df_planner.maps.map_file import load_map
from df_planner.sim.maze import load_maze
from df_planner.sim.maze import MAZE_NAMES
from df_planner.sim.maze import OBSERVATION_TO_MAP
from df_planner.sim.place import Box
from df_planner.sim.place import Place

UNSEEN = 'unseen'  # names of random places begin so: unseen-17
SKIN_M = 0.15  # walls are boxes down to this depth; further inside, boxes may be hollow
APART_M = 1.0  # goals from their starts, at least
EDGE_M = 0.3  # thickness of the wall around the map
START_S, S_PER_M = 20.0, 3.0  # an episode may take so long, per metre of width and height
WAY_SPACING_M = 0.1  # of the lattice that ways lie on
WAY_CLEARANCE_M = 0.2  # that they keep; and where they can, ROOMY_M
ROOMY_M = 0.5
CROWDED_COST = 4.0  # times longer seems a way along a wall
WAYPOINT_EVERY = 3  # points of the lattice
MOVES = ((0, 1), (1, 0), (1, 1), (1, -1))  # and back


class MapPlace(Place):
    """
    A map with walls.

    To draw a position is an InvalidInput if there is no room for a robot.
    """

    kind = 'map'
    in_map_frame = True
    ends_at_goal = True
    waypoint_jitter_m = 0.0
    reference_return = None

    def __init__(self, grid: GridMap, name: str):
        self.name = name
        self._grid = grid
        self._in_place = grid.in_axes(OBSERVATION_TO_MAP)
        self._way_tree = lru_cache(8)(self._ways_to)

    @classmethod
    def load(cls, path: str | Path) -> 'MapPlace':
        """Load a map from its YAML file; ConfigError for a bad one."""
        return cls(load_map(path), Path(path).stem)

    @cached_property
    def _space(self) -> FreeSpace:
        return FreeSpace(self._in_place, str(self))

    @property
    def layout(self) -> tuple[str, ...]:
        """Return a hash of all that a map says."""
        return (self.grid.sha256,)

    @property
    def grid(self) -> GridMap:
        """Return the map, for positions in the map frame."""
        return self._grid

    def grid_to_publish(self, resolution_m: float) -> GridMap:
        """Return the map; it has a resolution of its own."""
        return self._grid

    @cached_property
    def boxes(self) -> Sequence[Box]:
        """Return the walls, made of few rectangles of cells."""
        edge = math.ceil(EDGE_M / self.grid.resolution_m)
        solid = np.pad(self.grid.solid, edge, constant_values=True)
        skin = np.zeros_like(solid)
        depth_m = np.where(self.grid.solid, self.grid.distance_m[1:-1, 1:-1], -np.inf)
        skin[edge:-edge, edge:-edge] = depth_m >= -SKIN_M
        for beyond, last in ((edge - 1, edge), (-edge, -edge - 1)):  # the edge of the map
            skin[beyond] |= ~solid[last]
            skin[:, beyond] |= ~solid[:, last]
        found = []
        for number, (iy, ix, height, width) in enumerate(rectangles(solid, skin)):
            middle = np.array([iy + (height - 1) / 2, ix + (width - 1) / 2]) - edge
            row, column = self._in_place.centers(middle).tolist()
            size_m = (height * self.grid.resolution_m, width * self.grid.resolution_m)
            found.append(Box(f'wall_{number}', (row, column), size_m, self.grid.origin_yaw))
        return found

    @cached_property
    def goal(self) -> np.ndarray:
        """Return the goal for whoever brings none, (2,): always the same."""
        return self._space.draw(np.random.default_rng(0))

    def episode_steps(self, dt_s: float) -> int:
        """Return the most steps of an episode; robots that reach their goals need far fewer."""
        around_m = self.grid.resolution_m * sum(self.grid.occupied.shape)
        return math.ceil((START_S + S_PER_M * around_m) / dt_s)

    def is_wall(self, position: Sequence[float] | np.ndarray) -> np.ndarray:
        """Tell which positions (..., 2) lie in a wall, in the unknown or outside, bool (...)."""
        return self._in_place.is_solid(np.asarray(position, float))

    def draw_position(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a position (2,) with room for a robot, which can be reached from all others."""
        return self._space.draw(rng)

    def draw_goal(self, start: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw a position (2,) as for starts, not beside the one that is given."""
        return self._space.draw_from(start, APART_M, rng)

    draw_anywhere = draw_position

    def way(self, start: np.ndarray, goal: np.ndarray) -> np.ndarray:
        """Return way-points (N, 2) from a position (2,) to another one, without the first."""
        nodes, towards, cells = self._lattice[0], self._way_tree(*map(float, goal)), []
        node = self._nearest(start)
        while node >= 0:
            cells.append(nodes[node])
            node = int(towards[node])
        points = self._in_place.centers(np.array(cells[1::WAYPOINT_EVERY]).reshape(-1, 2))
        return np.concatenate((points, [goal]))

    @cached_property
    def _lattice(self) -> tuple[np.ndarray, csr_array]:
        """Return the cells (N, 2) that ways lie on, and the costs (N, N) to their neighbours."""
        stride = max(int(WAY_SPACING_M / self.grid.resolution_m), 1)
        clearance_m = self.grid.distance_m[1:-1:stride, 1:-1:stride]
        free = clearance_m >= WAY_CLEARANCE_M
        numbers = np.cumsum(free).reshape(free.shape) - 1
        crowded = np.clip(1.0 - clearance_m / ROOMY_M, 0.0, 1.0)
        pairs, costs = [], []
        for up, right in MOVES:
            height, width = np.subtract(free.shape, (up, abs(right)))
            a = slice(0, height), slice(max(-right, 0), max(-right, 0) + width)
            b = slice(up, up + height), slice(max(right, 0), max(right, 0) + width)
            both = free[a] & free[b]
            pairs.append(np.stack([numbers[a][both], numbers[b][both]]))
            costs.append(math.hypot(up, right) * (
                1.0 + CROWDED_COST * (crowded[a] + crowded[b])[both]))
        count = int(free.sum())
        graph = coo_array((np.concatenate(costs), np.concatenate(pairs, axis=1)), (count, count))
        return stride * np.argwhere(free), graph.tocsr()

    def _nearest(self, position: np.ndarray) -> int:
        """Return the number of the node of the lattice that is nearest to a position (2,)."""
        nodes = self._lattice[0]
        matrix, offset = self._in_place.to_field_index()
        cell = matrix @ np.asarray(position) + offset - 1.0  # without the border of the field
        return int(np.square(nodes - cell).sum(axis=1).argmin())

    def _ways_to(self, row: float, column: float) -> np.ndarray:
        """Return for every node the next one on the way to a position, -9999 at its end."""
        return dijkstra(self._lattice[1], directed=False, indices=self._nearest((row, column)),
                        return_predecessors=True)[1]


def load_place(name_or_path: str | Path) -> Place:
    """
    Load a shipped maze by name, a random place (``unseen-17``), a maze file, or a map's YAML.

    :raises ConfigError: when there is no such maze, or the file describes neither.
    """
    path = Path(name_or_path)
    if random := re.fullmatch(rf'{UNSEEN}-(\d+)', str(name_or_path)):
        place = unseen_place(int(random[1]))
        return MapPlace(place.grid, place.name)
    if str(name_or_path) in MAZE_NAMES or not path.is_file() or 'layout' in read_yaml(path):
        return load_maze(name_or_path)
    return MapPlace.load(path)


def rectangles(solid: np.ndarray, wanted: np.ndarray) -> list[tuple[int, int, int, int]]:
    """
    Cover cells with few rectangles, each as large as it can be; return (iy, ix, height, width).

    :param solid: (H, W) bool, what rectangles may cover.
    :param wanted: (H, W) bool, what they must cover, a part of it.
    """
    right, up = _runs(solid), _runs(solid.T).T
    left, found = wanted.copy(), []
    for iy, ix in np.argwhere(wanted).tolist():
        if not left[iy, ix]:
            continue
        width, height = right[iy, ix], up[iy, ix]
        low = right[iy:iy + height, ix] < width  # as wide as can be, then as high as can be
        narrow = up[iy, ix:ix + width] < height
        wide = (int(low.argmax()) if low.any() else height), width
        high = height, (int(narrow.argmax()) if narrow.any() else width)
        best = max(wide, high, key=lambda size: left[iy:iy + size[0], ix:ix + size[1]].sum())
        left[iy:iy + best[0], ix:ix + best[1]] = False
        found.append((iy, ix, int(best[0]), int(best[1])))
    return found


def _runs(solid: np.ndarray) -> np.ndarray:
    """Return how many cells from each one to the right are solid without a gap, (H, W)."""
    columns = np.arange(solid.shape[1])
    gaps = np.where(solid, solid.shape[1], columns)
    return np.minimum.accumulate(gaps[:, ::-1], axis=1)[:, ::-1] - columns
