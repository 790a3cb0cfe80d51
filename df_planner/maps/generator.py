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
Places that nobody has seen: random maps with starts and goals, for tests and for training.

    place = unseen_place(17)
    place.grid, place.starts, place.goals

A seed gives the same place for ever. Places for training are drawn apart from those for tests: no
seed gives both. Corridors, doors and gaps are 0.8 to 3 m wide.
"""

from dataclasses import dataclass

import numpy as np

from df_planner.maps.free_space import FreeSpace
from df_planner.maps.grid import GridMap

NARROWEST_M, WIDEST_M = 0.8, 3.0  # of corridors and gaps
RESOLUTIONS_M = (0.05, 0.1)
SMALLEST, LARGEST = (2, 2), (8, 6)  # corridors across and along: 5 x 5 to 17 x 13 cells of a maze
LARGER, SHARE_OF_LARGER = (14, 10), 0.1
APART = 0.3  # of the diagonal: how far a goal is at least from its start


@dataclass(frozen=True)
class UnseenPlace:
    """
    A random place.

    :param starts: (N, 2) and ``goals`` (N, 2), positions in the map frame; a way leads from each
        start to its goal.
    """

    name: str
    grid: GridMap
    starts: np.ndarray
    goals: np.ndarray


def unseen_place(seed: int, drives: int = 2, training: bool = False) -> UnseenPlace:
    """
    Return the place of a seed; its kind is that of ``KINDS`` by turns.

    :param drives: number N of starts and goals.
    :param training: return a place for training, which is never one of the others.
    """
    kind = tuple(KINDS)[seed % len(KINDS)]
    rng = np.random.default_rng([int(training), seed])
    resolution_m = float(rng.choice(RESOLUTIONS_M))
    walls = KINDS[kind](rng, resolution_m)
    grid = GridMap(walls, resolution_m, rng.uniform(-20.0, 20.0, 2),
                   origin_yaw=rng.choice([0.0, rng.uniform(-np.pi, np.pi)]))
    name = f'{kind}-{seed}' + '-training' * training
    space = FreeSpace(grid, name)
    apart_m = APART * resolution_m * np.hypot(*walls.shape)
    starts = np.array([space.draw(rng) for _ in range(drives)])
    goals = np.array([space.draw_from(start, apart_m, rng) for start in starts])
    return UnseenPlace(name, grid, starts, goals)


def _tree(rng: np.random.Generator, resolution_m: float) -> np.ndarray:
    """Return the walls, bool (H, W), of a maze with one way between any two places."""
    return _maze(rng, resolution_m, loops=0.0)


def _loops(rng: np.random.Generator, resolution_m: float) -> np.ndarray:
    """Return the walls of a maze with several ways."""
    return _maze(rng, resolution_m, loops=rng.uniform(0.1, 0.6))


def _maze(rng: np.random.Generator, resolution_m: float, loops: float) -> np.ndarray:
    columns, rows = _size(rng)
    across, up = _openings(rng, rows, columns, loops)
    blocks = np.ones((2 * rows + 1, 2 * columns + 1), bool)
    blocks[1::2, 1::2] = False
    blocks[1::2, 2:-1:2], blocks[2:-1:2, 1::2] = ~across, ~up
    if rng.random() < 0.5:  # one width for all, as in the mazes of D4RL
        corridors = np.full(rows + columns, rng.uniform(NARROWEST_M, WIDEST_M))
        wall_m = corridors[0] if rng.random() < 0.5 else rng.uniform(0.1, 1.0)
    else:
        corridors, wall_m = _log_uniform(rng, rows + columns), rng.uniform(0.1, 1.0)
    heights, widths = _with_walls(corridors[:rows], wall_m), _with_walls(corridors[rows:], wall_m)
    return blocks.repeat(_cells(heights, resolution_m), 0).repeat(_cells(widths, resolution_m), 1)


def _rooms(rng: np.random.Generator, resolution_m: float) -> np.ndarray:
    """Return the walls of rooms side by side, with doors between them."""
    columns, rows = (max(count // 2, 2) for count in _size(rng))
    across, up = _openings(rng, rows, columns, loops=0.3)
    wall_m = rng.uniform(0.1, 0.3)
    heights, widths = (_cells(_with_walls(rng.uniform(2.0, 6.0, count), wall_m), resolution_m)
                       for count in (rows, columns))
    bottom, left = (np.concatenate(([0], np.cumsum(sizes))) for sizes in (heights, widths))
    walls = np.zeros((bottom[-1], left[-1]), bool)
    for edges, part in ((bottom, walls), (left, walls.T)):
        for first, last in zip(edges[::2], edges[1::2]):
            part[first:last] = True
    for row, column in np.argwhere(across):  # a door in the wall to the right of a room
        door = _door(rng, bottom[2 * row + 1], bottom[2 * row + 2], resolution_m)
        walls[door, left[2 * column + 2]:left[2 * column + 3]] = False
    for row, column in np.argwhere(up):
        door = _door(rng, left[2 * column + 1], left[2 * column + 2], resolution_m)
        walls[bottom[2 * row + 2]:bottom[2 * row + 3], door] = False
    return walls


def _blocks(rng: np.random.Generator, resolution_m: float) -> np.ndarray:
    """Return the walls of a hall with boxes, turned in any direction, and round pillars."""
    size_m = rng.uniform((5.0, 5.0), (16.0, 12.0)) * (2.0 if rng.random() < SHARE_OF_LARGER else 1)
    width, height = _cells(size_m, resolution_m)
    walls = np.ones((height + 2, width + 2), bool)
    walls[1:-1, 1:-1] = False
    centers = (np.moveaxis(np.indices(walls.shape), 0, -1)[..., ::-1] - 0.5) * resolution_m
    placed: list[tuple[np.ndarray, float]] = []
    for _ in range(rng.integers(50, 500)):
        radius = np.exp(rng.uniform(np.log(0.15), np.log(1.2)))  # of the circle around it
        at = rng.uniform(0.0, size_m)
        beside = np.minimum(at, size_m - at).min() - radius
        between = min((np.linalg.norm(at - other) - radius - r for other, r in placed), default=9)
        if min(beside, between) < NARROWEST_M + resolution_m:
            continue
        placed.append((at, radius))
        angle, slant = rng.uniform(0.0, np.pi), rng.uniform(0.3, 1.2)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        inside = np.abs((centers - at) @ turn) <= radius * np.array([np.cos(slant), np.sin(slant)])
        walls |= (np.linalg.norm(centers - at, axis=-1) <= radius if rng.random() < 0.3
                  else inside.all(-1))
    return walls


KINDS = {'tree': _tree, 'loops': _loops, 'blocks': _blocks, 'rooms': _rooms}


def _size(rng: np.random.Generator) -> tuple[int, int]:
    """Draw how many corridors lie side by side across and along."""
    largest = LARGER if rng.random() < SHARE_OF_LARGER else LARGEST
    columns, rows = rng.integers(SMALLEST, np.array(largest) + 1).tolist()
    return columns, rows


def _openings(rng: np.random.Generator, rows: int, columns: int, loops: float
              ) -> tuple[np.ndarray, np.ndarray]:
    """
    Open walls between the nodes of a lattice until all are connected: a random depth-first walk.

    :param loops: share of the other walls that are opened too.
    :returns: which are open to the next column, bool (rows, columns - 1), and to the next row.
    """
    across = rng.random((rows, columns - 1)) < loops
    up = rng.random((rows - 1, columns)) < loops
    seen, trail = {(0, 0)}, [(0, 0)]
    while trail:
        row, column = trail[-1]
        fresh = [(r, c) for r, c in ((row + 1, column), (row - 1, column),
                                     (row, column + 1), (row, column - 1))
                 if 0 <= r < rows and 0 <= c < columns and (r, c) not in seen]
        if not fresh:
            trail.pop()
            continue
        r, c = fresh[rng.integers(len(fresh))]
        (across if r == row else up)[min(r, row), min(c, column)] = True
        seen.add((r, c))
        trail.append((r, c))
    return across, up


def _log_uniform(rng: np.random.Generator, count: int) -> np.ndarray:
    """Draw widths of corridors in metres, narrow ones more often."""
    return np.exp(rng.uniform(np.log(NARROWEST_M), np.log(WIDEST_M), count))


def _with_walls(widths_m: np.ndarray, wall_m: float) -> np.ndarray:
    """Return widths with a wall before, between and after them."""
    return np.insert(np.full(len(widths_m) + 1, wall_m), range(1, len(widths_m) + 1), widths_m)


def _door(rng: np.random.Generator, first: int, last: int, resolution_m: float) -> slice:
    """Return the cells of a door in a wall from one cell to another, not at its ends."""
    width = min(_cells(rng.uniform(NARROWEST_M, 1.4), resolution_m), last - first)
    begin = rng.integers(first, last - width + 1)
    return slice(begin, begin + width)


def _cells(lengths_m: np.ndarray | float, resolution_m: float) -> np.ndarray:
    """Return lengths in whole cells, not below."""
    return np.ceil(np.asarray(lengths_m) / resolution_m - 1e-9).astype(int)
