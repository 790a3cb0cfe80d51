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

"""What a search for a way looks at: cells of a map, and what it costs to get to neighbours."""

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
import math

import numpy as np
from scipy.sparse import csr_array

from df_planner.maps.grid import GridMap

NEIGHBOURS = (0, 1), (1, 0), (1, 1), (1, -1)  # and back


@dataclass(frozen=True)
class Lattice:
    """
    The cells of a map that a search looks at.

    :param steps: every how many.
    :param needed_m: the clearance (H, W) above which one is free.
    :param clearance_m: (H, W), and ``between_m`` those of what lies between neighbours, by where
        the neighbour is.
    :param finer: one with more cells, for what this one is too coarse for.
    """

    steps: int
    cell_m: float
    needed_m: float
    clearance_m: np.ndarray
    between_m: dict[tuple[int, int], list[np.ndarray]] = field(default_factory=dict)
    finer: 'Lattice | None' = None

    @classmethod
    def of(cls, grid: GridMap, radius_m: float) -> 'Lattice':
        """Return a lattice as coarse as the robot is large."""
        steps = max(1, int(radius_m / grid.resolution_m))
        cell_m = steps * grid.resolution_m
        # Half a cell may be missing where the nearest centre lies beside a narrow passage.
        first = steps // 2
        return cls(steps, cell_m, radius_m - cell_m / 2, _every(grid, steps, first, first))

    def coarser(self, grid: GridMap, times: int) -> 'Lattice':
        """Return one of so many times larger cells, which looks between its neighbours, too."""
        steps = self.steps * times
        first = steps // 2

        def between(part: int, down: int, right: int) -> np.ndarray:
            ahead = part * self.steps
            return _every(grid, steps, first + ahead * down,
                          first + ahead * right + (steps if right < 0 else 0))
        return replace(
            self, steps=steps, cell_m=times * self.cell_m, finer=self,
            clearance_m=_every(grid, steps, first, first), between_m={
                move: [between(part, *move) for part in range(1, times)]
                for move in NEIGHBOURS})

    @property
    def free(self) -> np.ndarray:
        """Return which cells are free, (H, W)."""
        return self.clearance_m > self.needed_m

    def numbers(self) -> np.ndarray:
        """Give the free cells numbers, (H, W); others have -1."""
        free = self.free
        index = np.full(free.shape, -1, np.int32)
        index[free] = np.arange(np.count_nonzero(free), dtype=np.int32)
        return index

    def edges(self, index: np.ndarray, cost_per_m: Callable[[np.ndarray], np.ndarray]
              ) -> csr_array:
        """
        Return the costs between neighbouring free cells, each pair once.

        :param index: as of ``numbers``.
        :param cost_per_m: returns the costs (F,) of a metre at clearances (F,).
        """
        per_m, (height, width) = cost_per_m(self.clearance_m[index >= 0]), index.shape
        rows, columns, costs = [], [], []
        for down, right in NEIGHBOURS:
            left = max(-right, 0)
            from_here = slice(0, height - down), slice(left, width - max(right, 0))
            here = index[from_here]
            there = index[down:, left + right:width + right - max(right, 0)]
            both = (here >= 0) & (there >= 0)
            for between_m in self.between_m.get((down, right), []):
                both &= between_m[:height - down, :both.shape[1]] > self.needed_m
            a, b = here[both], there[both]
            rows.append(a)
            columns.append(b)
            costs.append(self.cell_m * math.hypot(down, right) / 2.0 * (per_m[a] + per_m[b]))
        return csr_array((np.concatenate(costs), (np.concatenate(rows), np.concatenate(columns))),
                         shape=(len(per_m), len(per_m)))


def _every(grid: GridMap, steps: int, iy: int, ix: int) -> np.ndarray:
    """Return the clearance of every so many cells from one on."""
    return grid.distance_m[1 + iy:-1:steps, 1 + ix:-1:steps]
