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

"""Plans, their execution, and the map: the parts of planning that need no network."""

import subprocess
import sys

import numpy as np
from pydantic import ValidationError
import pytest

from df_planner.driving.executor import Executor
from df_planner.driving.tracking import PointTracking
from df_planner.maps.grid import GridMap
from df_planner.model.checkpoint import load_card
from df_planner.planning.checks import Checks
from df_planner.planning.checks import complaint
from df_planner.planning.checks import spread
from df_planner.planning.checks import spread_about
from df_planner.planning.curves import interpolate
from df_planner.planning.horizons import Candidates
from df_planner.planning.plan import Plan
from df_planner.planning.request import Task
from df_planner.planning.settings import PlannerSettings
from df_planner.planning.tokens import TokenSpace
from df_planner.sim.maze import load_maze
from df_planner.sim.maze import maze_map
from df_planner.sim.world import World

IDENTITY = np.eye(2)
SPACE = TokenSpace(load_card('point'), 'cpu')
LIMITS = {'velocity_change': np.full(2, 2.0), 'drift': np.full(2, 0.05),
          'max_speed': np.full(2, 5.0)}


def straight_plan(steps=20, speed=1.0):
    time_s = np.arange(steps) * 0.01
    states = np.stack([1.0 + speed * time_s, np.full(steps, 2.0), np.full(steps, speed),
                       np.zeros(steps)], 1)
    return Plan(actions=np.full((steps, 2), 0.3), states=states, dt_s=0.01, goal=states[-1, :2])


def test_shifting_a_plan_drops_its_past_and_keeps_its_arrival():
    plan = straight_plan()
    assert np.array_equal(plan.shifted(5).states, plan.states[5:])
    assert len(plan.shifted(1000)) == 1
    assert np.array_equal(plan.shifted(1000).states[0], plan.states[-1])
    assert len(plan.shifted(-3)) == len(plan)


def test_a_plan_whose_arrays_do_not_belong_together_is_refused():
    with pytest.raises(ValueError, match='same length'):
        Plan(np.zeros((3, 2)), np.zeros((4, 4)), 0.01, np.zeros(2))


def test_raw_plays_the_actions_as_they_are():
    plan, executor = straight_plan(), Executor('raw')
    off_course = np.array([5.0, 5.0, -3.0, 1.0])
    assert executor.action(plan, 3, off_course) == pytest.approx([0.3, 0.3])
    assert executor.action(plan, len(plan), off_course).tolist() == [0.0, 0.0]


def test_tracking_adds_feedback_to_the_planned_action():
    plan = straight_plan()
    executor = Executor('tracking', PointTracking(position_gain=10.0, velocity_gain=1.0))
    assert executor.action(plan, 3, plan.states[3]) == pytest.approx([0.3, 0.3])
    behind = plan.states[3] - [0.02, 0.0, 0.1, 0.0]
    assert executor.action(plan, 3, behind) == pytest.approx([0.3 + 0.2 + 0.1, 0.3])
    assert np.abs(executor.action(plan, 3, plan.states[3] - 10.0)).max() == 1.0


def test_without_a_plan_the_robot_brakes():
    world = World(load_maze('medium'))
    state = world.state
    world.set_state([1.0, 1.0, 1.0, 0.5])
    for _ in range(200):
        state = world.step(Executor('tracking').action(None, 0, world.state))
    assert np.abs(state[2:]).max() < 0.01


def test_tracking_holds_the_end_of_the_plan_in_the_real_physics():
    world, plan = World(load_maze('medium')), straight_plan(steps=40, speed=1.0)
    world.set_state(plan.states[0])
    for step in range(300):
        state = world.step(Executor('tracking').action(plan, step, world.state))
    assert state == pytest.approx([*plan.states[-1, :2], 0.0, 0.0], abs=0.02)


def test_unknown_execution_is_refused():
    with pytest.raises(ValueError, match="must be one of .*, got 'magic'"):
        Executor('magic')


def test_clearance_is_the_distance_to_the_nearest_edge():
    occupied = np.zeros((20, 30), bool)
    occupied[:, :10] = True  # a wall from x = 0 to x = 1
    grid = GridMap(occupied, 0.1, np.zeros(2), IDENTITY)
    x = np.array([0.45, 0.95, 1.0, 1.02, 1.3, 1.8])
    points = np.stack([x, np.full(6, 1.0)], 1)
    assert grid.clearance(points) == pytest.approx([-0.55, -0.05, 0.0, 0.02, 0.3, 0.8], abs=1e-6)
    assert grid.clearance(np.array([2.95, 1.0])) == pytest.approx(0.05), 'beyond the map is solid'
    assert grid.clearance(np.array([3.5, 1.0])) < 0.0
    assert grid.contains(points).all() and not grid.contains([3.01, 1.0])


@pytest.mark.parametrize('name', ['umaze', 'medium', 'large', 'eval-large'])
def test_the_map_of_a_maze_agrees_with_its_walls(name):
    maze, grid = load_maze(name), maze_map(name)
    random = np.random.default_rng(0)
    points = random.uniform(-0.69, np.array(maze.walls.shape) - 0.71, (4000, 2))
    clear = np.abs(grid.clearance(points)) > 0.06  # away from the interpolated edges
    assert np.array_equal(grid.clearance(points)[clear] < 0.0, maze.is_wall(points)[clear])
    assert grid.contains(points).all()


def test_the_wall_stops_the_ball_where_the_map_says():
    world, grid = World(load_maze('medium')), maze_map('medium')
    world.set_state([1.0, 1.0, 0.0, 0.0])
    for _ in range(200):
        state = world.step([-1.0, 0.0])
    assert grid.clearance(state[:2]) == pytest.approx(0.1, abs=0.02)


def test_interpolation_is_exact_for_constant_acceleration():
    time_s = np.arange(4) * 0.1
    acceleration = np.array([2.0, -1.0])
    tokens = np.concatenate([0.5 * acceleration * time_s[:, None]**2,
                             acceleration * time_s[:, None]], 1)[None]
    states = interpolate(tokens, 10, 0.01)
    fine = np.arange(31)[:, None] * 0.01
    assert states.shape == (1, 31, 4)
    assert np.allclose(states[0, :, :2], 0.5 * acceleration * fine**2, atol=1e-12)
    assert np.allclose(states[0, :, 2:], acceleration * fine, atol=1e-12)


def candidates(*paths):
    """Tokens at constant speed along the given row of x positions, y = 1."""
    tokens = np.zeros((len(paths), len(paths[0]), 24))
    for token, path in zip(tokens, paths):
        token[:, 0], token[:, 1] = path, 1.0
        token[:, 2] = (path[1] - path[0]) / 0.1
    return tokens


def attempt(tokens, lengths, goal, grid=None, way=(), at_goal=False, left_s=0.0, **settings):
    count, goal = len(tokens), np.array(goal)
    batch = Candidates(np.array(lengths), tokens[..., :2], np.zeros(count, int),
                       np.tile(goal, (count, 1)), np.broadcast_to(left_s, count))
    task = Task(tokens[0, 0, :4], np.reshape(way, (-1, 2)), goal, 2, 32, at_goal)
    checks = Checks(SPACE, LIMITS, grid, PlannerSettings(**settings))
    return checks.attempt(tokens, batch, task, None)


def judged(*arguments, **settings):
    return attempt(*arguments, **settings).verdict


def test_the_shortest_valid_candidate_wins():
    tokens = candidates([1.0, 1.2, 1.4, 1.6], [1.0, 1.3, 1.6, 1.9], [1.0, 1.2, 1.4, 1.6])
    found = attempt(tokens, [4, 3, 4], [1.6, 1.0])
    assert found.verdict.valid.all() and found.chosen == 1
    assert found.verdict.arrival_steps.tolist() == [30, 20, 30]
    assert found.plan.valid and found.plan.reward == pytest.approx(-0.2)
    assert np.array_equal(found.plan.states, found.plan.candidates[1])


@pytest.mark.parametrize(('left_s', 'chosen'), [(0.05, 0), (0.15, 1)])
def test_what_is_left_of_its_way_counts_for_a_candidate(left_s, chosen):
    """The first arrives 0.1 s earlier, but more is left of its way."""
    tokens = candidates([1.0, 1.3, 1.6, 1.9], [1.0, 1.2, 1.4, 1.6])
    found = attempt(tokens, [3, 4], [1.6, 1.0], left_s=np.array([0.5 + left_s, 0.5]))
    assert found.verdict.valid.all() and found.chosen == chosen
    assert found.plan.candidate_rewards == pytest.approx([-0.7 - left_s, -0.8])


def test_a_candidate_through_a_wall_is_not_valid():
    occupied = np.zeros((20, 30), bool)
    occupied[:, 14:15] = True
    grid = GridMap(occupied, 0.1, np.zeros(2), IDENTITY)
    verdict = judged(candidates([1.0, 1.1, 1.2], [1.0, 1.3, 1.6]), [3, 3], [1.4, 1.0], grid)
    assert verdict.valid.tolist() == [True, False]
    assert verdict.collision_m[1] > 0.05


def test_at_the_goal_the_candidate_that_strays_least_wins():
    tokens = candidates([1.0, 1.2, 1.0], [1.0, 1.1, 1.0], [1.0, 1.3, 1.0])
    tokens[:, 1:, 2] = 0.0
    stays, goes = (attempt(tokens, [3, 3, 3], [1.0, 1.0], at_goal=at_goal,
                           dynamics_tolerance=100.0) for at_goal in (True, False))
    assert stays.verdict.valid.all() and stays.chosen == 1
    assert goes.verdict.valid.all() and goes.chosen == 0


def test_padding_beyond_the_horizon_is_not_judged():
    tokens = candidates([1.0, 1.2, 1.4, 90.0])
    assert judged(tokens, [3], [1.4, 1.0]).valid.all()
    assert not judged(tokens, [4], [1.4, 1.0]).valid.any()


@pytest.mark.parametrize('channel', [0, 2])
def test_a_move_that_was_never_seen_is_not_valid(channel):
    tokens = candidates([1.0, 1.2, 1.4])
    tokens[0, 1, channel] += {0: 0.3, 2: 2.5}[channel]
    verdict = judged(tokens, [3], [1.4, 1.0], dynamics_tolerance=1.0)
    assert verdict.dynamics[0] > 1.0 and not verdict.valid.any()
    assert ('of 1 candidates 0 collide, 1 exceed the dynamics seen in the data'
            in complaint([verdict])[0])


def test_without_a_pinned_goal_the_plan_ends_where_it_arrives():
    tokens = candidates([1.0, 1.2, 1.4, 1.6], [1.0, 1.01, 1.02, 1.03])
    verdict = judged(tokens, [4, 4], [1.6, 1.0], pin_goal=False, goal_tolerance_m=0.21)
    assert verdict.arrival_steps[0] == 20
    assert verdict.valid.tolist() == [True, False]


def test_a_candidate_that_misses_a_way_point_is_not_valid():
    tokens = candidates([1.0, 1.2, 1.4, 1.6], [1.0, 1.2, 1.4, 1.6])
    tokens[1, 1:3, 1] = 1.3
    near, far = (1.3, 1.4), (1.3, 1.9)
    tolerant = {'goal_tolerance_m': 0.3, 'dynamics_tolerance': 100.0}
    found = attempt(tokens, [4, 4], [1.6, 1.0], way=[near], **tolerant)
    verdict = found.verdict
    assert verdict.valid.tolist() == [False, True] and found.chosen == 1
    assert verdict.missed_m[0] == pytest.approx([0.4], abs=0.01)
    assert verdict.failure[0] > verdict.failure[1] == 0.0
    verdict = judged(tokens, [4, 4], [1.6, 1.0], way=[near, far], **tolerant)
    assert not verdict.valid.any()
    assert 'the nearest passes way-point (1.30, 1.90) at 0.6' in ''.join(
        map(str, complaint([verdict])))


def test_a_plan_does_not_arrive_before_it_has_passed_the_way_point():
    tokens = candidates([1.0, 1.2, 1.4, 1.6, 1.4, 1.2])
    free = {'pin_goal': False, 'goal_tolerance_m': 0.1, 'dynamics_tolerance': 100.0}
    assert judged(tokens, [6], [1.2, 1.0], **free).arrival_steps[0] < 20
    verdict = judged(tokens, [6], [1.2, 1.0], way=[(1.6, 1.0)], **free)
    assert verdict.valid.all() and verdict.arrival_steps[0] > 40


def test_spread_is_zero_for_equal_candidates_and_grows_with_disagreement():
    alike = np.ones(4, bool)
    same = SPACE.states_of(candidates(*[[1.0, 1.2, 1.4]] * 4))
    assert spread(same, np.full(4, 20), 0, alike).max() == 0.0
    fan = SPACE.states_of(candidates(
        *[[1.0, 1.0 + d, 1.0 + 2 * d] for d in (0.1, 0.2, 0.3, 0.4)]))
    uncertainty = spread(fan, np.full(4, 20), 1, alike)
    assert uncertainty.shape == (21,) and uncertainty[0] == 0.0
    factor = spread_about(np.zeros((1, 2)), np.array([[[1.0, 0.0]]] * 3)).item()
    assert uncertainty[-1] == pytest.approx(factor * np.sqrt(np.mean([0.2**2, 0.2**2, 0.4**2])))
    assert (np.diff(uncertainty) > 0).all()
    along_its_way = np.array([True, True, False, False])
    assert np.array_equal(spread(fan, np.full(4, 20), 1, along_its_way),
                          spread(fan[:2], np.full(2, 20), 1, along_its_way[:2]))
    assert spread(fan[:1], np.full(1, 20), 0, alike[:1]).tolist() == [0.0] * 21, (
        'nothing to compare with')


@pytest.mark.parametrize('count', [3, 4, 7, 16, 32, 256])
def test_a_disc_of_95_percent_about_the_plan_holds_95_percent(count):
    random = np.random.default_rng(count)
    steps = 40_000  # each a trial of its own
    plan, truth = random.standard_normal((2, steps, 2))
    others = random.standard_normal((count, steps, 2))
    radius = np.sqrt(-np.log(0.05)) * spread_about(plan, others)
    assert 0.94 < (np.linalg.norm(truth - plan, axis=1) < radius).mean() < 0.96


def test_more_samples_estimate_the_uncertainty_more_precisely():
    random, plan = np.random.default_rng(0), np.full((4000, 2), 0.5)
    few, many = (spread_about(plan, random.standard_normal((count, 4000, 2))) for count in (4, 48))
    assert many.std() / many.mean() < 0.5 * few.std() / few.mean()


def test_settings_out_of_range_are_named():
    with pytest.raises(ValidationError, match='num_samples'):
        PlannerSettings(num_samples=0)
    with pytest.raises(ValidationError, match='schedule'):
        PlannerSettings(schedule='zigzag')
    with pytest.raises(ValidationError, match='uncertainty_samples.*\\n.*must be 0, or 4 or more'):
        PlannerSettings(uncertainty_samples=3)


def test_executing_a_plan_needs_no_torch():
    code = ('import sys, df_planner.driving.executor, df_planner.planning.plan; '
            'sys.exit("torch" in sys.modules)')
    assert subprocess.run([sys.executable, '-c', code], check=False).returncode == 0
