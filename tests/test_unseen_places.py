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

"""Random places: the same for ever by seed, wide enough, and with a way from start to goal."""

import numpy as np
import pytest
from scipy.ndimage import label

from df_planner.errors import InvalidInput
from df_planner.maps.free_space import FreeSpace
from df_planner.maps.generator import KINDS
from df_planner.maps.generator import NARROWEST_M
from df_planner.maps.generator import unseen_place
from df_planner.maps.grid import GridMap

PLACES = [unseen_place(seed, drives=3) for seed in range(40)]


def regions(grid, clearance_m):
    """Return the number of the connected part of every cell, and what looks points up in them."""
    numbers, _ = label(np.pad(grid.distance_m[1:-1, 1:-1] >= clearance_m, 1))
    matrix, offset = grid.to_field_index()
    return numbers, lambda points: numbers[
        tuple(np.rint(points @ matrix.T + offset).astype(int).T)]


@pytest.mark.parametrize('place', PLACES, ids=lambda place: place.name)
def test_a_way_leads_from_every_start_to_its_goal(place):
    grid = place.grid
    _, look_up = regions(grid, 0.2)
    assert (look_up(place.starts) == look_up(place.goals)).all() and look_up(place.starts).all()
    assert grid.clearance(np.concatenate((place.starts, place.goals))).min() > 0.2
    apart = np.linalg.norm(place.goals - place.starts, axis=1)
    assert apart.min() > 0.25 * grid.resolution_m * np.hypot(*grid.occupied.shape)


@pytest.mark.parametrize('place', PLACES, ids=lambda place: place.name)
def test_no_corridor_is_too_narrow_and_nothing_is_walled_in(place):
    wide, _ = regions(place.grid, NARROWEST_M / 2 - 1.1 * place.grid.resolution_m)
    free, count = label(~place.grid.occupied)
    assert count == 1 and wide.max() == 1
    assert place.grid.occupied[[0, -1]].all() and place.grid.occupied[:, [0, -1]].all()


def test_a_seed_gives_the_same_place_for_ever():
    seen = [(p.name, p.grid.occupied.shape, int(p.grid.occupied.sum())) for p in PLACES[:4]]
    assert seen == [('tree-0', (75, 138), 3095),
                    ('loops-1', (87, 227), 2424),
                    ('blocks-2', (95, 97), 615),
                    ('rooms-3', (81, 143), 2133)]
    assert PLACES[2].starts[0] == pytest.approx([8.76, 27.935], abs=1e-3)


def test_places_differ_and_those_for_training_are_others():
    tests = {p.grid.occupied.tobytes() for p in PLACES}
    training = {unseen_place(seed, training=True).grid.occupied.tobytes() for seed in range(40)}
    assert len(tests) == len(training) == 40 and not tests & training


def test_places_are_of_all_kinds_and_many_sizes():
    assert {place.name.split('-')[0] for place in PLACES} == set(KINDS)
    sizes = np.array([p.grid.resolution_m * np.array(p.grid.occupied.shape) for p in PLACES])
    assert sizes.min() < 7.0 and sizes.max() > 20.0
    assert {place.grid.resolution_m for place in PLACES} == {0.05, 0.1}
    assert len({place.grid.origin_yaw for place in PLACES}) > 10


def test_a_map_without_room_says_so():
    occupied = np.ones((9, 9), bool)
    occupied[4, 4] = False
    with pytest.raises(InvalidInput, match='tiny: no free cell is 0.3 m from every obstacle'):
        FreeSpace(GridMap(occupied, 0.1, np.zeros(2)), 'tiny')
    space = FreeSpace(GridMap(np.zeros((9, 9), bool), 0.1, np.zeros(2)), 'tiny')
    with pytest.raises(InvalidInput, match='tiny: there is no free position 5.0 m from'):
        space.draw_from(np.zeros(2), 5.0, np.random.default_rng(0))
