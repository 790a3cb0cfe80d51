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

"""A model of any place: plans on maps that its log never saw, in any frame."""

import numpy as np
import pytest

from df_planner import Planner
from df_planner.errors import InvalidInput
from df_planner.errors import NoValidPlan
from df_planner.evaluation.episodes import Specification
from df_planner.evaluation.evaluate import evaluate
from df_planner.evaluation.protocol import sample_starts
from df_planner.maps.generator import unseen_place
from df_planner.maps.grid import GridMap
from df_planner.maps.map_file import save_map
from df_planner.planning.reconstruction import reconstruct
from df_planner.sim.map_place import load_place
from df_planner.sim.maze import load_maze
from df_planner.sim.maze import maze_map

START, GOAL = np.array([1.0, 1.0, 0.0, 0.0]), np.array([6.0, 6.0])


@pytest.fixture(scope='module')
def planner():
    return Planner.load('point', grid=maze_map('medium'))


def moved(grid: GridMap, by: np.ndarray) -> GridMap:
    """Return a map of the same place that stands elsewhere in the axes of the data."""
    return grid.seen_from(-by, np.eye(2))


def test_it_drives_a_maze_that_it_has_never_seen_better_than_the_controller(tmp_path):
    """Its log is of the large maze."""
    results = evaluate(Specification('medium', checkpoint='point'),
                       sample_starts(load_maze('medium'), 3, seed=0), tmp_path)
    assert results['summary']['reached'] == 3
    assert results['summary']['wall_crossing_share']['max'] == 0.0
    score, baseline = (part['summary']['score']['mean'] for part in (results, results['baseline']))
    assert score > 1.05 * baseline


def test_a_plan_reaches_the_goal_clear_of_walls(planner):
    plan = planner.plan(START, GOAL)
    assert plan.valid and planner.map.clearance(plan.states[:, :2]).min() > 0.05
    np.testing.assert_allclose(plan.states[0], START, atol=1e-6)
    np.testing.assert_allclose(plan.states[-1, :2], GOAL, atol=1e-6)
    steps_m = np.linalg.norm(np.diff(plan.states[:, :2], axis=0), axis=-1)
    assert steps_m.max() < 0.08  # also where the diffused part goes over into the route


def test_a_plan_tells_what_of_it_is_not_diffused(planner):
    plan = planner.plan(START, GOAL)
    assert 0 < plan.diffused_steps < len(plan)
    assert plan.actions[:plan.diffused_steps - 1].any(1).all()
    assert not plan.actions[plan.diffused_steps:].any()
    assert plan.shifted(50).diffused_steps == plan.diffused_steps - 50
    assert plan.shifted(len(plan)).diffused_steps == 0
    assert planner.plan(START, np.array([2.0, 1.0])).diffused_steps is None


@pytest.mark.parametrize('place', range(6))
def test_places_by_seed_are_planned_through(planner, place):
    unseen = unseen_place(place, 2)
    local = Planner(planner.network, planner.card, unseen.grid, planner.settings)
    for start, goal in zip(unseen.starts, unseen.goals):
        plan = local.plan(np.append(start, [0.0, 0.0]), goal)
        assert plan.valid and unseen.grid.clearance(plan.states[:, :2]).min() > 0.04


def test_where_the_map_lies_makes_no_difference(planner):
    by = np.array([120.0, -40.0])
    far = Planner(planner.network, planner.card, moved(planner.map, by), planner.settings)
    same = 0
    for seed in range(8):
        here, there = planner.plan(START, GOAL, seed=seed), far.plan(
            START + np.append(by, [0.0, 0.0]), GOAL + by, seed=seed)
        # Floats are coarser far away: what is nearly too near here may be too near there.
        same += abs(len(here) - len(there)) <= 2 and np.allclose(
            there.states[:60, :2], here.states[:60, :2] + by, atol=0.02)
    assert same >= 4


def test_way_points_are_passed_in_their_order(planner):
    way_points = np.array([[2.0, 6.0], [1.0, 6.0], [6.0, 1.0]])
    plan = planner.plan(START, GOAL, waypoints=way_points)
    away_m = np.linalg.norm(plan.states[:, None, :2] - way_points, axis=-1)
    passed = away_m.argmin(0)
    assert (away_m.min(0) < 0.5).all() and (np.diff(passed) > 0).all()


def test_a_reward_sees_the_axes_of_the_data(planner):
    seen = []

    def reward(states, actions, real):
        seen.append(states[:, 0, :2].detach().numpy().copy())
        return 0.0 * states.sum((1, 2))
    planner.plan(START, GOAL, reward=reward)
    np.testing.assert_allclose(seen[0][0], START[:2], atol=1e-5)


def test_a_goal_without_a_way_is_refused_at_once_and_in_the_axes_of_the_data(planner):
    shut = planner.map.with_occupied(lambda points: np.abs(points[..., 0] - 3.8) < 0.6)
    local = Planner(planner.network, planner.card, shut, planner.settings)
    with pytest.raises(NoValidPlan, match=r'\(1.00, 1.00\) to \(6.00, 6.00\)'):
        local.plan(START, GOAL)
    assert local.clock.network_calls == 0


def test_a_plan_without_a_map_goes_straight():
    plan = Planner.load('point').plan(START, GOAL)
    off_m = np.abs(plan.states[:, 0] - plan.states[:, 1]) / np.sqrt(2.0)
    assert off_m.max() < 0.2


def test_roll_outs_and_reconstructions_begin_where_the_robot_is(planner):
    states, actions = planner.rollout(START, 100, num_samples=3)
    np.testing.assert_allclose(states[:, 0], np.tile(START, (3, 1)), atol=1e-5)
    assert states.shape == (3, 100, 4) and actions.shape == (3, 100, 2)
    given = np.full((8, 4), np.nan)
    given[0], given[7, :2] = START, [2.0, 1.0]
    samples = reconstruct(planner, given, num_samples=4)
    np.testing.assert_allclose(samples.states[:, 0], np.tile(START, (4, 1)), atol=1e-5)
    np.testing.assert_allclose(samples.states[:, -1, :2], np.tile([2.0, 1.0], (4, 1)), atol=1e-5)


def test_what_such_a_model_cannot_do_is_said(planner):
    with pytest.raises(InvalidInput, match='the first one must be known'):
        reconstruct(planner, np.full((4, 4), np.nan))


def test_a_differential_drive_drives_on_a_map_from_a_file(tmp_path):
    """The model has seen the large maze only, the map is a place by seed."""
    place = unseen_place(3, 2)
    path = tmp_path / 'place.yaml'
    save_map(path, place.grid)
    specification = Specification(str(path), checkpoint='diff_drive', robot='diff_drive')
    starts = sample_starts(load_place(str(path)), 2, seed=0, robot='diff_drive')
    summary = evaluate(specification, starts, tmp_path / 'out', baseline=False)['summary']
    assert summary['reached'] == 2
    assert summary['touches']['max'] == 0
