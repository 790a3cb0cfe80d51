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


"""What moves: local obstacles on the map, on the way, and in the way of a plan in hand."""

import numpy as np
import pytest

from df_planner.driving.executor import Executor
from df_planner.driving.following import PlanFollower
from df_planner.driving.obstacles import first_hit
from df_planner.driving.obstacles import Obstacles
from df_planner.maps.grid import GridMap
from df_planner.planning.plan import Plan
from df_planner.planning.route import Routes
from df_planner.planning.settings import PlannerSettings

TICK_NS = 10_000_000
TOUCHING = {'needed_m': 0.05, 'margin_m': 0.0}


def hall(resolution_m=0.1, yaw=0.0):
    """Return the map of an empty hall of 6 x 4 m, its lower-left corner at (-1, -2)."""
    shape = round(4.0 / resolution_m), round(6.0 / resolution_m)
    return GridMap(np.zeros(shape, bool), resolution_m, (-1.0, -2.0), origin_yaw=yaw)


def window(center, disc, radius_m=0.2, size_m=3.0, resolution_m=0.05, yaw=0.0, lethal=100):
    """Return the local map of a square window with a disc in it, unknown in one corner."""
    count = round(size_m / resolution_m)
    turn = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
    origin = np.asarray(center) - turn @ [size_m / 2, size_m / 2]
    blank = GridMap(np.zeros((count, count), bool), resolution_m, origin, origin_yaw=yaw)
    points = blank.centers(np.moveaxis(np.indices((count, count)), 0, -1))
    cells = np.where(np.linalg.norm(points - disc, axis=-1) < radius_m, lethal, 99)
    cells[:5, :5] = -1
    return GridMap.from_cells(cells, resolution_m, origin, origin_yaw=yaw, occupied_threshold=100,
                              allow_unknown=True, closed=False)


@pytest.mark.parametrize('yaw', [0.0, 0.7])
def test_a_local_obstacle_is_one_on_the_map(yaw):
    grid, disc = hall(yaw=yaw / 2), np.array([0.9, 0.8])
    both = grid.with_local(window((0.5, 0.5), disc, size_m=4.0, yaw=yaw), **TOUCHING)
    expected = grid.with_occupied(lambda points: np.linalg.norm(points - disc, axis=-1) < 0.2)
    generator = np.random.default_rng(0)
    points = disc + generator.uniform(-0.8, 0.8, (500, 2))
    assert np.allclose(both.clearance(points), expected.clearance(points), atol=0.08)
    assert both.clearance(disc) < -0.1 and both.is_solid(disc)
    # Beyond the window, and where it knows nothing, the map alone counts.
    far = grid.centers(np.array([[1, 1], [38, 57]]))
    assert np.array_equal(both.clearance(far), grid.clearance(far))
    assert grid.clearance(disc) > 0.5, 'the map itself stays as it was'


def test_what_is_not_lethal_changes_nothing():
    grid = hall()
    both = grid.with_local(window((0.5, 0.5), (0.9, 0.8), lethal=99), **TOUCHING)
    assert np.array_equal(both.distance_m, grid.distance_m)
    assert np.array_equal(both.cells, grid.cells)


def test_a_window_beyond_the_map_is_cut_off():
    grid = hall()
    both = grid.with_local(window((-1.0, -2.0), (-0.6, -1.5)), **TOUCHING)
    assert both.clearance(np.array([-0.6, -1.5])) < 0.0
    nowhere = grid.with_local(window((-40.0, 0.0), (-40.0, 0.0)), **TOUCHING)
    assert np.array_equal(nowhere.distance_m, grid.distance_m)


def test_a_margin_is_kept_by_plans_but_touches_nobody():
    grid, disc = hall(0.05), np.array([1.0, 0.0])
    local = window((0.5, 0.0), disc)
    both = grid.with_local(local, needed_m=0.1, margin_m=0.2)
    assert both.clearance(disc + (0.0, 0.2 + 0.31)) >= 0.1 - 0.01
    assert both.clearance(disc + (0.0, 0.2 + 0.25)) < 0.1
    beside = disc + (0.0, 0.2 + 0.06)
    assert 0.0 < both.clearance(beside) < 0.05 < local.clearance(beside)


def test_beyond_a_local_map_nothing_is_known_to_be_in_the_way():
    local = window((0.0, 0.0), (0.5, 0.0))
    outside = np.array([[9.0, 0.0], [0.0, -1.6]])
    assert not local.is_solid(outside).any() and np.isinf(local.clearance(outside)).all()
    empty = GridMap(np.zeros((9, 9), bool), 0.1, (0.0, 0.0), closed=False)
    assert empty.clearance(np.array([0.05, 0.4])) > 100.0


def test_a_way_leads_around_a_local_obstacle_and_is_not_searched_again_without_one():
    grid, routes, goal = hall(0.05), Routes(), np.array([4.0, 0.0])
    before = routes.way(grid, 0.1, np.zeros(2), goal)
    beside = grid.with_local(window((0.5, 0.5), (0.5, 1.6)), **TOUCHING)
    assert np.array_equal(routes.way(beside, 0.1, np.zeros(2), goal).points, before.points)
    blocked = grid.with_local(window((0.5, 0.0), (0.9, 0.0)), **TOUCHING)
    around = routes.way(blocked, 0.1, np.zeros(2), goal).points
    assert blocked.clearance(around).min() >= 0.1 - 1e-9 > blocked.clearance(before.points).min()
    again = routes.way(grid.with_local(window((0.5, 0.5), (0.5, 1.6)), **TOUCHING), 0.1,
                       np.zeros(2), goal)
    assert np.array_equal(again.points, before.points)


def test_the_first_hit_is_found_and_an_obstacle_may_be_left():
    local = window((0.0, 0.0), (0.5, 0.0))
    line = np.stack([np.linspace(-0.5, 1.5, 201), np.zeros(201)], axis=-1)
    clearance_m = local.clearance(line)
    assert line[first_hit(clearance_m, 0.1), 0] == pytest.approx(0.2, abs=0.04)
    assert first_hit(clearance_m, 0.0) > first_hit(clearance_m, 0.1)
    assert first_hit(clearance_m[:50], 0.1) is None
    leaving = clearance_m[75:0:-1]  # from 0.05 m off the disc
    assert first_hit(leaving, 0.1) is None and first_hit(clearance_m[75:], 0.1) == 1


@pytest.mark.parametrize(('mps', 'is_met'), [(1.5, True), (0.0, False), (-0.8, False)])
def test_an_obstacle_that_comes_nearer_is_braked_for_before_it_is_in_the_way(mps, is_met):
    obstacles = Obstacles(0.1, 0.5)
    points = np.tile([0.0, 0.0], (51, 1)) + np.linspace(0.0, 0.05, 51)[:, None] * (1, 0)
    for tick in range(0, 60, 10):
        obstacles.take(window((0.0, 0.0), (0.8 + mps * (0.5 - 0.01 * tick), 0.0)), tick * TICK_NS)
        assert not obstacles.are_in_way(points[:2], 0.01, tick * TICK_NS)
    assert obstacles.are_in_way(points, 0.01, 50 * TICK_NS) == is_met


def test_an_obstacle_that_appears_has_not_come_from_far_away():
    obstacles = Obstacles(0.1, 0.5)
    for tick, disc in ((0, (9.0, 0.0)), (25, (0.8, 0.0))):
        obstacles.take(window((0.0, 0.0), disc), tick * TICK_NS)
    assert not obstacles.are_in_way(np.zeros((51, 2)), 0.01, 25 * TICK_NS)


def along(speed_mps=1.0, steps=300):
    """Return a plan along x from the origin."""
    states = np.zeros((steps, 4))
    states[:, 0], states[:, 2] = 0.01 * speed_mps * np.arange(steps), speed_mps
    return Plan(np.full((steps, 2), 0.1), states, 0.01, states[-1, :2])


def follower_of(plan, lockstep=False):
    """Return a follower with a plan that checks 0.5 s of it for a robot of 0.1 m."""
    follower = PlanFollower(Executor('tracking'), 0.01, 2.0, 0.5, lockstep, 25,
                            obstacles=Obstacles(0.1, 0.5, 1.0))
    follower.take_odometry(plan.states[0], 0)
    follower.take_plan(plan, 0)
    return follower


@pytest.mark.parametrize('lockstep', [False, True])
def test_an_obstacle_in_the_next_part_of_a_plan_is_braked_for_at_the_next_odometry(lockstep):
    plan, braking = along(), Executor('tracking').action(None, 0, along().states[10])
    follower = follower_of(plan, lockstep)
    follower.obstacles.take(window((0.1, 0.0), (1.2, 0.0)), 0)  # 0.9 s ahead
    follower.take_odometry(plan.states[10], 10 * TICK_NS)
    assert not np.array_equal(follower.answer().action, braking) and follower.has_current_plan
    follower.obstacles.take(window((0.1, 0.0), (0.8, 0.0)), 10 * TICK_NS)  # 0.4 s ahead
    follower.take_odometry(plan.states[10], 11 * TICK_NS)
    assert np.array_equal(follower.answer().action, braking)
    assert not follower.has_current_plan and 'in the way' in follower.braked_for
    # A plan that leads into it is no better, one that does not is followed.
    for other, followed in ((along(speed_mps=1.5), False), (along(speed_mps=-1.0), True)):
        follower.take_plan(other, 12 * TICK_NS)
        follower.take_odometry(plan.states[10], 12 * TICK_NS)
        follower.answer()
        assert follower.has_current_plan == followed


def test_the_next_plan_counts_from_its_time_on():
    plan, stopping = along(), along(speed_mps=0.0)
    follower = follower_of(plan)
    follower.take_plan(stopping, 20 * TICK_NS)  # it stands at the origin from then on
    follower.obstacles.take(window((0.1, 0.0), (0.5, 0.0)), 0)
    follower.take_odometry(plan.states[1], TICK_NS)
    assert follower.answer().tracking_error_m is not None, 'it is replaced before it hits'
    follower.take_plan(along(speed_mps=2.0), 15 * TICK_NS)
    follower.take_odometry(plan.states[2], 2 * TICK_NS)
    assert follower.answer().tracking_error_m is None


@pytest.mark.parametrize('late_steps', [101, -101])
def test_a_stale_local_map_stops_the_robot_until_a_newer_one_comes(late_steps):
    plan = along()
    follower = follower_of(plan)
    follower.obstacles.take(window((0.0, 0.0), (0.0, 1.0)), 0)
    follower.take_odometry(plan.states[1], TICK_NS)
    assert follower.answer().tracking_error_m is not None and follower.has_current_plan
    follower.obstacles.take(window((0.0, 0.0), (0.0, 1.0)), (2 - late_steps) * TICK_NS)
    follower.take_odometry(plan.states[2], 2 * TICK_NS)
    assert follower.answer().tracking_error_m is None and '1.0 s' in follower.braked_for
    follower.obstacles.take(window((0.0, 0.0), (0.0, 1.0)), 3 * TICK_NS)
    follower.take_plan(plan, 3 * TICK_NS)
    follower.take_odometry(plan.states[3], 3 * TICK_NS)
    assert follower.answer().tracking_error_m is not None and follower.braked_for is None


def test_plans_are_made_on_the_map_with_what_the_local_one_shows():
    grid, obstacles, settings = hall(), Obstacles(), PlannerSettings()
    obstacles.take(window((0.5, 0.5), (0.9, 0.8)))
    assert obstacles.planning_map(settings) is None, 'without a map there is no plan'
    obstacles.map = grid
    obstacles.take(window((0.5, 0.5), (0.9, 0.8)))
    needed_m = settings.robot_radius_m - settings.collision_tolerance_m
    beside = np.array([0.9, 0.8]) + (0.2 + settings.robot_radius_m, 0.0)
    both = obstacles.planning_map(settings)
    assert both.clearance(beside + (0.5 * settings.obstacle_margin_m, 0.0)) < needed_m
    assert both.clearance(beside + (1.6 * settings.obstacle_margin_m, 0.0)) > needed_m
    assert both.base is grid
    obstacles.take(None)
    assert obstacles.planning_map(settings) is grid


def test_a_wall_that_is_on_the_map_is_kept_clear_of_like_any_wall_and_not_braked_for():
    wall = hall().with_occupied(lambda points: points[..., 0] > 1.0)
    seen = window((0.5, 0.5), (0.0, 0.0), radius_m=0.0)
    cells = seen.with_occupied(lambda points: points[..., 0] > 0.97)
    local = GridMap(cells.occupied, 0.05, cells.origin_xy, closed=False)
    obstacles = Obstacles(0.1)
    obstacles.map = wall
    obstacles.take(local)
    along_the_wall = np.stack([np.full(30, 0.9), np.linspace(0.0, 0.6, 30)], axis=-1)
    assert not obstacles.are_in_way(along_the_wall, 0.01, 0)
    assert obstacles.planning_map(PlannerSettings()).clearance(
        along_the_wall) == pytest.approx(0.05, abs=0.02)
    obstacles.map = hall()
    obstacles.take(local)
    towards = np.stack([np.linspace(0.4, 0.9, 30), np.zeros(30)], axis=-1)
    assert obstacles.are_in_way(towards, 0.01, 0)
