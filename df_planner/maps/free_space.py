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

"""Where a robot may start and where it may go: the connected free space of a map."""

import numpy as np
from scipy.ndimage import label

from df_planner.errors import At
from df_planner.errors import InvalidInput
from df_planner.maps.grid import GridMap

CLEARANCE_M = 0.3  # of starts and goals: the widest robot here has a radius of 0.15 m
PASSAGE_M = 0.2  # clearance that a way keeps
MOST_DRAWS = 1000


class FreeSpace:
    """
    The largest part of a map that a robot can reach from anywhere else in it.

    :param name: of the map, for the error.
    :raises InvalidInput: if there is no place to stand.
    """

    def __init__(self, grid: GridMap, name: str):
        self.grid = grid
        self._name = name
        distance_m = grid.distance_m[1:-1, 1:-1]  # without its border
        region, _ = label(distance_m >= PASSAGE_M)
        roomy = distance_m >= CLEARANCE_M
        sizes = np.bincount(region[roomy], minlength=1)
        if not roomy.any():
            raise InvalidInput(f'{name}: no free cell is {CLEARANCE_M} m from every obstacle; '
                               'check resolution, negate and the thresholds of the map')
        self._cells = np.argwhere(roomy & (region == sizes.argmax()))

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a position (2,), in the axes of the map, uniform over what is clear enough."""
        cell = self._cells[rng.integers(len(self._cells))]
        return self.grid.centers(cell + rng.uniform(-0.5, 0.5, 2))

    def draw_from(self, start: np.ndarray, apart_m: float, rng: np.random.Generator) -> np.ndarray:
        """Draw a position (2,) that is at least so far from another one, as the crow flies."""
        for _ in range(MOST_DRAWS):
            position = self.draw(rng)
            if np.linalg.norm(position - start) >= apart_m:
                return position
        raise InvalidInput(f'{self._name}: there is no free position {apart_m:.1f} m from ',
                           At(*start), '; the map is too small')
