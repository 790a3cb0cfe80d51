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

"""The route: shortest ways on small maps whose answers are known."""

import time

import numpy as np
import pytest

from df_planner.errors import NoValidPlan
from df_planner.maps.grid import GridMap
from df_planner.planning.route import Route
from df_planner.planning.route import Routes
from df_planner.planning.route import Way


def room(*walls: tuple[slice, slice], cells: int = 100, resolution_m: float = 0.1) -> GridMap:
    """Return a square room, its lower left corner at (0, 0), with walls of cells (iy, ix)."""
    occupied = np.zeros((cells, cells), bool)
    for wall in walls:
        occupied[wall] = True
    return GridMap(occupied, resolution_m, np.zeros(2))


def test_a_way_in_the_open_is_straight():
    route = Route(room(), np.array([8.0, 5.0]), 0.1)
    way = route.way(np.array([2.0, 5.0]))
    assert way.length_m == pytest.approx(6.0, abs=0.02)
    np.testing.assert_allclose(way.points[[0, -1]], [[2.0, 5.0], [8.0, 5.0]])
    np.testing.assert_allclose(way.at(np.array([3.0, 99.0])), [[5.0, 5.0], [8.0, 5.0]], atol=0.05)


def test_a_way_goes_round_a_wall_and_keeps_off_it():
    wall = slice(0, 70), slice(48, 52)
    grid = room(wall)
    way = Route(grid, np.array([8.0, 2.0]), 0.2).way(np.array([2.0, 2.0]))
    assert way.points[:, 1].max() > 7.0  # above the wall, which ends at 7 m
    assert grid.clearance(way.points).min() >= 0.2
    shortest = 2 * np.hypot(3.0, 5.0)
    assert shortest < way.length_m < 1.1 * shortest


def test_the_cost_to_go_is_the_way_not_the_straight_line():
    route = Route(room((slice(0, 70), slice(48, 52))), np.array([8.0, 2.0]), 0.1)
    beside, above = route.cost_to_go(np.array([[4.0, 2.0], [5.0, 8.0]]))
    assert beside > 10.0
    assert above == pytest.approx(np.hypot(3.0, 6.0), rel=0.1)


def test_a_narrow_passage_is_found_and_a_narrower_one_is_not():
    def with_gap(gap: int) -> GridMap:
        return room((slice(0, 50), slice(48, 52)), (slice(50 + gap, 100), slice(48, 52)))
    start, goal = np.array([2.0, 5.0]), np.array([8.0, 5.0])
    assert Route(with_gap(5), goal, 0.2).way(start).length_m < 6.5
    with pytest.raises(NoValidPlan, match='is enclosed by obstacles'):
        Route(with_gap(2), goal, 0.2).way(start)


BOX = [(slice(20, 40), slice(20, 22)), (slice(20, 40), slice(38, 40)),
       (slice(20, 22), slice(20, 40)), (slice(38, 40), slice(20, 40))]
INSIDE, OUTSIDE = np.array([3.0, 3.0]), np.array([8.0, 8.0])


def test_a_goal_that_is_walled_in_is_refused_at_once():
    began_s = time.monotonic()
    with pytest.raises(NoValidPlan, match=r'\(8.00, 8.00\) to \(3.00, 3.00\): the goal, with 2.0 '
                       'm2 of room around it, is enclosed by obstacles'):
        Route(room(*BOX), INSIDE, 0.1).way(OUTSIDE)
    assert time.monotonic() - began_s < 0.5


def test_the_side_with_less_space_is_the_one_that_is_enclosed():
    with pytest.raises(NoValidPlan, match='the start, with 2.0 m2 .* is enclosed by obstacles'):
        Route(room(*BOX), OUTSIDE, 0.1).way(INSIDE)


@pytest.mark.parametrize('start, goal, what', [((5.05, 5.0), OUTSIDE, 'start'),
                                               (OUTSIDE, (5.05, 5.0), 'goal')])
def test_a_place_too_narrow_for_the_robot_is_not_left_through_its_walls(start, goal, what):
    """The gap is 0.1 m wide, its walls 0.1 m thick; there is much room behind both."""
    grid = room((slice(30, 70), slice(49, 50)), (slice(30, 70), slice(51, 52)))
    with pytest.raises(NoValidPlan, match=rf'the {what} \(5.05, 5.00\) is enclosed by obstacles: '
                       'around it they leave no room for a robot of radius 0.2 m'):
        Route(grid, np.array(goal), 0.2).way(np.array(start))


def test_a_robot_that_touches_a_wall_finds_its_way():
    grid = room((slice(30, 70), slice(49, 50)))
    way = Route(grid, np.array([2.0, 5.0]), 0.2).way(np.array([5.02, 5.0]))
    assert 6.0 < way.length_m < 8.0  # round the wall, 4 m high, not through it
    assert grid.clearance(way.points).min() > 0.0


def test_the_unknown_that_parts_two_places_is_named():
    unknown = np.zeros((100, 100), bool)
    unknown[:, 60:70] = True
    start, goal = np.array([2.0, 5.0]), np.array([8.0, 5.0])

    def ways(*walls, allow_unknown=False):
        known = room(*walls)
        return Route(GridMap(known.occupied, 0.1, np.zeros(2), unknown=unknown,
                             allow_unknown=allow_unknown), goal, 0.2)
    with pytest.raises(NoValidPlan, match='the goal, .* enclosed by cells that the map does not '
                       'know .unknown.: map the place, or set allow_unknown'):
        ways().way(start)
    assert ways(allow_unknown=True).way(start).length_m < 6.5
    with pytest.raises(NoValidPlan, match='the goal, .* is enclosed by obstacles'):
        ways((slice(0, 100), slice(48, 52))).way(start)


@pytest.mark.parametrize('radius_m, cells, most_s', [
    (0.05, 400, 0.02), (0.1, 400, 0.02), (0.2, 400, 0.02), (0.1, 2000, 0.2), (0.2, 2000, 0.2)])
def test_a_search_takes_milliseconds(radius_m, cells, most_s):
    """Of the time of a thread, whatever else the machine does: an office of rooms and boxes."""
    rng = np.random.default_rng(0)
    walls = [(slice(5 * k, 5 * k + 3), slice(0, cells)) for k in range(20, cells // 5, 20)]
    grid = room(*walls, *((b, a) for a, b in walls), cells=cells, resolution_m=0.05)
    occupied = grid.occupied.copy()
    for k in range(100, cells, 100):
        for j in range(50, cells, 100):
            occupied[k:k + 3, j:j + 20] = occupied[j:j + 20, k:k + 3] = False
    for iy, ix in rng.integers(5, cells - 20, (cells * cells // 8000, 2)):
        occupied[iy:iy + 6, ix:ix + 6] = True
    grid = GridMap(occupied, 0.05, np.zeros(2))
    free = np.argwhere(grid.distance_m[1:-1, 1:-1] > 0.4)
    start, goal = grid.centers(free[[10, -10]])
    times_s = []
    for _ in range(3):
        began_s = time.thread_time()
        route = Route(grid, goal, radius_m)
        times_s.append(time.thread_time() - began_s)
    way = route.way(start)
    assert way.length_m > np.linalg.norm(goal - start)
    assert grid.clearance(way.points).min() > radius_m - 0.05
    assert min(times_s) < most_s


def test_on_a_large_map_a_passage_that_a_coarse_search_misses_is_found():
    """A gap of 0.25 m for a robot of 0.2 m; the other map has a wall of one cell instead."""
    def with_gap(gap: int) -> GridMap:
        return room((slice(0, 401), slice(400, 401)), (slice(401 + gap, 1000), slice(400, 401)),
                    cells=1000, resolution_m=0.05)
    start, goal = np.array([10.0, 10.0]), np.array([30.0, 30.0])
    way = Route(with_gap(5), goal, 0.1).way(start)
    assert np.linalg.norm(way.points - [20.0, 20.15], axis=-1).min() < 0.2
    assert with_gap(5).clearance(way.points).min() > 0.05
    with pytest.raises(NoValidPlan, match='is enclosed by obstacles'):
        Route(with_gap(0), goal, 0.1).way(start)


def test_what_has_no_way_is_not_searched_again():
    grid, routes = room(*[(slice(4 * a.start, 4 * a.stop), slice(4 * b.start, 4 * b.stop))
                          for a, b in BOX], cells=800, resolution_m=0.05), Routes()

    def refuse() -> float:
        began_s = time.thread_time()
        with pytest.raises(NoValidPlan, match='the goal'):
            routes.way(grid, 0.05, np.array([30.0, 30.0]), np.array([6.0, 6.0]))
        return time.thread_time() - began_s
    assert refuse() > 3.0 * min(refuse() for _ in range(3))


def test_a_way_in_a_turned_map_is_the_same_way_turned():
    occupied = np.zeros((100, 100), bool)
    occupied[:70, 48:52] = True
    yaw = 0.4
    turn = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
    straight = GridMap(occupied, 0.1, np.zeros(2))
    turned = GridMap(occupied, 0.1, np.array([3.0, -1.0]), origin_yaw=yaw)
    start, goal = np.array([2.0, 2.0]), np.array([8.0, 2.0])
    way = Route(straight, goal, 0.2).way(start)
    other = Route(turned, turn @ goal + [3.0, -1.0], 0.2).way(turn @ start + [3.0, -1.0])
    assert other.length_m == pytest.approx(way.length_m, rel=0.02)
    np.testing.assert_allclose(other.points[[0, -1]], way.points[[0, -1]] @ turn.T + [3.0, -1.0])
    assert turned.clearance(other.points).min() >= 0.2


def test_a_robot_larger_than_the_cells_is_searched_for_in_larger_cells():
    grid = room((slice(0, 280), slice(192, 208)), cells=400, resolution_m=0.05)
    way = Route(grid, np.array([16.0, 5.0]), 0.3).way(np.array([4.0, 5.0]))
    assert grid.clearance(way.points).min() >= 0.25
    assert way.points[:, 1].max() > 14.0


def test_a_map_without_room_for_the_robot_is_refused():
    with pytest.raises(NoValidPlan, match='no room for a robot of radius 3 m'):
        Route(room(cells=20), np.array([1.0, 1.0]), 3.0)


def test_a_way_of_one_place_has_no_length():
    way = Way(np.array([[1.0, 2.0], [1.0, 2.0]]))
    assert way.length_m == 0.0
    np.testing.assert_array_equal(way.at(np.array([0.0, 1.0])), [[1.0, 2.0], [1.0, 2.0]])
