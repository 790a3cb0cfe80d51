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


"""Obstacles that move in the simulation, the lidar that sees them, and drives among them."""

from click.testing import CliRunner
import numpy as np
import pytest

from df_planner.driving.executor import Executor
from df_planner.driving.policy import Policy
from df_planner.experiments.moving import moving
from df_planner.maps.generator import unseen_place
from df_planner.planning.planner import Planner
from df_planner.sim.lidar import local_costmap
from df_planner.sim.lidar import RANGE_M
from df_planner.sim.lidar import RAYS
from df_planner.sim.lidar import WINDOW_M
from df_planner.sim.map_place import MapPlace
from df_planner.sim.maze import load_maze
from df_planner.sim.movers import GAP_M
from df_planner.sim.movers import Movers
from df_planner.sim.robots import ROBOTS
from df_planner.sim.robots import simulated_robot
from df_planner.sim.session import local_map
from df_planner.sim.session import Session
from df_planner.sim.session import SessionSettings

UMAZE = load_maze('umaze')


@pytest.mark.parametrize('place', [UMAZE, MapPlace(unseen_place(3).grid, 'rooms')], ids=str)
def test_obstacles_wander_through_free_space_at_most_so_fast_and_the_same_for_a_seed(place):
    tracks = []
    for _ in range(2):
        movers = Movers(place, 3, 1.5, seed=4)
        movers.start(np.array([place.goal]), seed=5)
        assert (np.linalg.norm(movers.positions - place.goal, axis=-1) > 1.0).all()
        track = [movers.positions.copy()]
        for _ in range(1000):
            movers.advance(0.01, np.full(2, 1e3), 0.1, 1.0)
            track.append(movers.positions.copy())
        tracks.append(np.array(track))
    assert np.array_equal(*tracks)
    assert not place.is_wall(tracks[0]).any()
    speeds_mps = np.linalg.norm(np.diff(tracks[0], axis=0), axis=-1) / 0.01
    assert speeds_mps.max() <= 1.5 + 1e-6 and (np.median(speeds_mps, axis=0) > 0.3).all()
    assert (np.ptp(tracks[0], axis=0).max(axis=-1) > 0.5).all()


@pytest.mark.parametrize('kind', list(ROBOTS))
@pytest.mark.parametrize('speed_mps', [0.0, 0.5])
def test_only_a_robot_that_stands_still_is_spared(kind, speed_mps):
    robot, movers = simulated_robot(kind), Movers(UMAZE, 1, 1.0, seed=1)
    world = robot.world(UMAZE, movers=movers)
    here, radius_m = movers._ways[0][1], world.signals.robot_radius_m  # on its way
    gaps_m = []
    for _ in range(400):
        movers.advance(0.01, here, radius_m, speed_mps)
        gaps_m.append(np.linalg.norm(movers.positions[0] - here) - movers.radii_m[0] - radius_m)
    assert min(gaps_m) >= GAP_M - 0.011 if speed_mps == 0.0 else min(gaps_m) < 0.0


@pytest.mark.parametrize('kind', list(ROBOTS))
def test_a_touch_is_told_from_that_of_a_wall(kind):
    robot, movers = simulated_robot(kind), Movers(UMAZE, 2, 1.0, seed=1)
    world, at = robot.world(UMAZE, movers=movers), np.array([1.0, 1.0])
    for offset_m, touches in ((0.25, True), (0.6, False)):
        movers.positions[:] = at + np.array([[0.0, offset_m], [2.0, 2.0]])
        movers.radii_m[:] = 0.2
        state = robot.start(at, np.random.default_rng(0))
        state[2:4] = 0.0
        world.set_state(state)
        assert world.touches_mover == touches
    assert not robot.world(UMAZE).touches_mover


@pytest.mark.parametrize('kind', list(ROBOTS))
def test_the_lidar_sees_walls_and_obstacles_where_they_are(kind):
    robot, movers = simulated_robot(kind), Movers(UMAZE, 1, 1.0, seed=1)
    world = robot.world(UMAZE, movers=movers)
    at = np.array([1.0, 1.0])
    movers.positions[:] = at + (0.0, 1.0)
    world.set_state(robot.start(at, np.random.default_rng(3)))
    at = robot.to_maze(world.state[:2])
    ranges_m, local = local_map(world, robot)
    assert ranges_m.shape == (RAYS,) and ranges_m.min() > 0.29 and ranges_m.max() <= RANGE_M
    cells = local.centers(np.argwhere(local.occupied))  # in the axes of the map
    grid = UMAZE.grid
    on_wall = grid.clearance(cells) < 0.05  # or just behind its surface
    centers = movers.positions @ np.array(UMAZE_TO_MAP).T
    off_m = np.abs(np.linalg.norm(cells[:, None] - centers, axis=-1) - movers.radii_m)
    assert (on_wall | (off_m.min(axis=1) < 0.07)).all()
    assert on_wall.sum() > 20 and (off_m < 0.07).sum(axis=0).min() >= 3
    moving = local.apart_from(grid)
    left = moving.centers(np.argwhere(moving.occupied))
    assert len(left) > 5 and (grid.clearance(left) > 0.05).all()
    # Free is what rays crossed: between the robot and the obstacle, not behind it.
    toward = centers[0] - np.array(UMAZE_TO_MAP) @ at
    between, behind = (np.array(UMAZE_TO_MAP) @ at + share * toward for share in (0.5, 1.6))
    index = np.floor((np.stack([between, behind]) - local.origin_xy) / local.resolution_m)
    assert local.unknown[tuple(index.astype(int)[:, ::-1].T)].tolist() == [False, True]


UMAZE_TO_MAP = ((0.0, 1.0), (-1.0, 0.0))


def test_a_costmap_is_a_window_around_the_robot_with_what_is_hit():
    ranges_m = np.full(RAYS, np.inf)
    ranges_m[RAYS // 2] = 1.0  # ahead
    local = local_costmap(ranges_m, np.array([3.33, -7.77]), np.pi / 2)
    hits = local.centers(np.argwhere(local.occupied))
    assert hits == pytest.approx(np.array([[3.33, -6.77]]), abs=0.05)
    assert local.occupied.shape == (80, 80) and WINDOW_M == 4.0
    middle = local.centers(np.array([39.5, 39.5]))
    assert middle == pytest.approx([3.33, -7.77], abs=0.05)


def test_a_session_has_obstacles_that_begin_anew_with_every_episode():
    session = Session(UMAZE, SessionSettings(seed=3, moving_obstacles=2))
    first = session.world.movers.positions.copy()
    for _ in range(50):
        session.step()
    assert not np.array_equal(session.world.movers.positions, first)
    session.reset()
    second = session.world.movers.positions
    assert not np.array_equal(second, first)
    start = session.state[:2]
    assert (np.linalg.norm(second - start, axis=-1) > 1.0).all()
    ranges_m, local = session.local_map()
    assert ranges_m.shape == (RAYS,) and local.occupied.any()


def test_no_command_but_braking_into_an_obstacle_that_the_costmap_showed_before():
    """Among fast obstacles, every step: what is commanded keeps clear of what was seen last."""
    robot, planner = simulated_robot('point'), Planner.load('point', grid=UMAZE.grid)
    axes = robot.signals.observation_to_map
    planner.map = UMAZE.grid.in_axes(axes)
    movers = Movers(UMAZE, 3, 1.8, seed=2)
    world, policy = robot.world(UMAZE, movers=movers), Policy(planner, replan_interval_s=0.1)
    start, goal = np.array([3.0, 1.0, 0.0, 0.0]), np.array([1.0, 1.0])
    movers.start(np.stack([start[:2], goal]), seed=2)
    world.set_state(start)
    policy.reset(goal)
    radius_m, moved = robot.signals.robot_radius_m, 0
    for step in range(300):
        state = world.state
        if step % 5 == 0:
            local = local_map(world, robot)[1].in_axes(axes)
            policy.see(local)
            seen = local.apart_from(planner.map.base)
        action = policy.act(state)
        if policy.plan is None:
            assert np.array_equal(action, Executor('tracking').action(None, 0, state))
            world.step(action)
            continue
        ahead = policy.plan.shifted(policy._since - 1).states[:50, :2]
        clearance_m = seen.clearance(ahead)
        least_m = min(radius_m, max(float(seen.clearance(state[:2])), 0.0))
        assert clearance_m.min() >= least_m - 1e-9
        moved += 1
        world.step(action)
    assert moved > 50


def test_the_command_reports_both_arms(tmp_path):
    args = ['--checkpoint', 'point', '--maze', 'umaze', '--episodes', '1', '--out', str(tmp_path)]
    result = CliRunner().invoke(moving, args)
    assert result.exit_code == 0, result.output
    for row in ('1, local map', '1, map alone', '5, local map'):
        assert row in result.output
    journal = (tmp_path / 'drives.jsonl').read_text()
    assert CliRunner().invoke(moving, [*args, '--resume']).exit_code == 0
    assert (tmp_path / 'drives.jsonl').read_text() == journal
