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

"""The planner with a shipped model: contracts, checks, replanning and the policy."""

from dataclasses import replace
import pickle

import numpy as np
import pytest
import torch

from df_planner import Planner
from df_planner.driving.replanner import HOLD_RADIUS_M
from df_planner.driving.replanner import Replanner
from df_planner.driving.safety_gate import GateLimits
from df_planner.driving.safety_gate import SafetyGate
from df_planner.errors import At
from df_planner.errors import CheckpointError
from df_planner.errors import DFPlannerError
from df_planner.errors import GoalOccupied
from df_planner.errors import GoalOutsideMap
from df_planner.errors import InvalidInput
from df_planner.errors import NoValidPlan
from df_planner.errors import PlanningCancelled
from df_planner.errors import StartOccupied
from df_planner.errors import StartOutsideMap
from df_planner.maps.grid import GridMap
from df_planner.planning.settings import PlannerSettings
from df_planner.sim.maze import load_maze
from df_planner.sim.maze import maze_map
from df_planner.sim.world import World

START, GOAL = np.array([3.0, 1.0, 0.0, 0.0]), np.array([1.0, 1.0])
STRICT = {'dynamics_tolerance': 1e-3}  # no candidate is valid


@pytest.fixture(scope='module')
def shipped():
    torch.set_num_threads(1)
    return Planner.load('point', grid=maze_map('umaze'))


@pytest.fixture
def planner(shipped):
    """Return the shipped planner with fresh settings and map."""
    shipped.settings = PlannerSettings()
    grid = shipped.map
    yield shipped
    shipped.map = grid


def test_a_plan_keeps_the_contract(planner):
    plan = planner.plan(START, GOAL)
    steps = len(plan)
    assert plan.valid and plan.dt == 0.01
    assert plan.actions.shape == (steps, 2) and np.abs(plan.actions).max() <= 1.0
    assert plan.states.shape == (steps, 4) and plan.uncertainty.shape == (steps,)
    assert plan.actions.dtype == plan.states.dtype == np.float64
    assert np.array_equal(plan.states[0], START), 'the start is pinned'
    assert plan.states[-1, :2] == pytest.approx(GOAL, abs=1e-9), 'the goal is pinned'
    assert plan.reward == pytest.approx(-(steps - 1) * 0.01)
    assert plan.timings['total'] >= plan.timings['network'] > 0.0
    assert planner.map.clearance(plan.states[:, :2]).min() > 0.04
    assert len(plan.candidates) == len(plan.candidate_rewards) > 1


def test_the_plan_arrives_before_every_other_valid_candidate(planner):
    plan = planner.plan(START, GOAL)
    assert plan.reward == plan.candidate_rewards.max()


def test_the_same_seed_gives_the_same_plan_and_another_seed_another(planner):
    first, again = planner.plan(START, GOAL, seed=1), planner.plan(START, GOAL, seed=1)
    assert np.array_equal(first.states, again.states)
    assert np.array_equal(first.actions, again.actions)
    other = planner.plan(START, GOAL, seed=2)
    assert other.states.shape != first.states.shape or not np.allclose(other.states, first.states)


def test_uncertainty_starts_at_zero_and_grows_into_the_future(planner):
    uncertainty = planner.plan(START, GOAL).uncertainty
    assert uncertainty[0] == 0.0
    assert uncertainty[len(uncertainty) // 2] > 0.0


def test_a_horizon_limits_the_plan_and_its_candidates(planner):
    near = np.array([1.0, 2.0])
    plan = planner.plan(START * [1, 2, 0, 0] + [-2, 1, 0, 0], near, horizon=80)
    assert max(len(c) for c in plan.candidates) <= 81


def test_beyond_its_horizon_a_plan_goes_on_as_its_route(planner):
    plan = planner.plan(START, GOAL, horizon=60)
    assert plan.valid and max(len(c) for c in plan.candidates) <= 61
    assert plan.actions[:30].any(axis=1).all() and not plan.actions[61:].any()
    assert len(plan) > 100 and np.linalg.norm(plan.states[-1, :2] - GOAL) < 1e-6
    assert planner.map.clearance(plan.states[:, :2]).min() > 0.04


def test_without_a_valid_candidate_there_is_no_plan(planner):
    planner.settings = PlannerSettings(**STRICT)
    with pytest.raises(NoValidPlan, match='no valid plan from .* candidates .* collide'):
        planner.plan(START, GOAL)


def test_a_plan_passes_its_way_points_or_none_is_valid(planner):
    between = np.array([3.0, 3.0])
    assert planner.plan(START, GOAL, waypoints=[between]).valid
    aside = np.array([3.0, 1.6])  # of a robot that is at its goal already: out and back
    plan = planner.plan(np.array([3.0, 1.0, 0.0, 0.0]), START[:2], waypoints=[aside])
    assert plan.valid
    assert np.linalg.norm(plan.states[:, :2] - aside, axis=1).min() <= 0.5
    planner.settings = PlannerSettings(goal_tolerance_m=1e-4)
    with pytest.raises(NoValidPlan, match=r'passes way-point \(3.00, 3.00\) at 0\.[01]'):
        planner.plan(START, START[:2] + [0.0, 0.8], waypoints=[between])


def test_without_enforcement_the_least_bad_candidate_is_returned_and_marked(planner):
    planner.settings = PlannerSettings(collision_check=False, **STRICT)
    plan = planner.plan(START, GOAL)
    assert not plan.valid and plan.reward == -np.inf


@pytest.mark.parametrize(('state', 'goal', 'error', 'complaint'), [
    ([1.0, 1.0, 0.0], GOAL, InvalidInput, r'state must have shape \(4,\), got \(3,\)'),
    ([1.0, np.nan, 0.0, 0.0], GOAL, InvalidInput, 'state must be finite'),
    (START, [np.inf, 1.0], InvalidInput, 'goal must be finite'),
    (START, 'there', InvalidInput, "goal must be 2 numbers, got 'there'"),
    (START, [1.0, 1.0, 0.0], InvalidInput, r'goal must have shape \(2,\)'),
    ([0.0, 0.0, 0.0, 0.0], GOAL, StartOccupied, 'start .* is inside an obstacle'),
    ([99.0, 1.0, 0.0, 0.0], GOAL, StartOutsideMap, 'start .* is outside the map'),
    (START, [2.0, 1.0], GoalOccupied, 'goal .* is inside an obstacle'),
    (START, [1.0, -7.0], GoalOutsideMap, 'goal .* is outside the map'),
])
def test_bad_input_is_answered_with_a_typed_error(planner, state, goal, error, complaint):
    with pytest.raises(error, match=complaint):
        planner.plan(state, goal)


def test_positions_in_errors_are_told_in_the_axes_of_the_data_or_of_the_map(planner):
    wall, beyond = np.array([2.0, 1.0]), np.array([99.0, 1.0])
    in_wall, in_beyond = (np.concatenate([xy, np.zeros(2)]) for xy in (wall, beyond))
    gate = SafetyGate(GateLimits.of(planner.settings.model_copy(update={
        'start_tolerance_m': 0.5, 'start_tolerance_mps': 0.5, 'max_plan_shift_m': 1.0})),
        planner.card)
    plan = planner.plan(START, GOAL)
    through = replace(plan, states=plan.states + [1.0, 0.0, 0.0, 0.0])
    still = replace(plan, states=np.tile(START, (len(plan), 1)))
    full = GridMap(np.zeros((50, 50), bool), 0.1, np.array([0.0, -5.0]),
                   planner.map.observation_to_map, unknown=np.ones((50, 50), bool))

    def plan_in_the_unknown():
        planner.map = full
        planner.plan(START, GOAL)

    def plan_strictly(**fields):
        planner.settings = PlannerSettings(**STRICT)
        planner.plan(START, np.array([3.0, 1.8]), **fields)
    for how, in_data, in_map in (
            (lambda: planner.plan(in_wall, GOAL), '(2.00, 1.00)', '(1.00, -2.00)'),
            (lambda: planner.plan(in_beyond, GOAL), '(99.00, 1.00)', '(1.00, -99.00)'),
            (lambda: planner.plan(START, wall), '(2.00, 1.00)', '(1.00, -2.00)'),
            (lambda: planner.plan(START, beyond), '(99.00, 1.00)', '(1.00, -99.00)'),
            (plan_strictly, 'from (3.00, 1.00) to (3.00, 1.80)',
             'from (1.00, -3.00) to (1.80, -3.00)'),
            (lambda: plan_strictly(waypoints=[[3.0, 3.0]]), 'way-point (3.00, 3.00)',
             'way-point (3.00, -3.00)'),
            (lambda: gate.check_robot(plan, in_beyond, 0.0), '(99.00, 1.00)', '(1.00, -99.00)'),
            (lambda: gate.check_collision(through, planner.map), ' at (4.', ', -4.'),
            (lambda: gate.check_collision(still, full), '(unknown) at (3.00, 1.00)',
             '(unknown) at (1.00, -3.00)'),
            (plan_in_the_unknown, 'start (3.00, 1.00) is unknown', 'start (1.00, -3.00)')):
        with pytest.raises(DFPlannerError) as caught:
            how()
        error = caught.value
        assert in_data in str(error) and in_data in str(pickle.loads(pickle.dumps(error)))
        told = error.told_in(lambda at: (at.y, -at.x))
        assert told is error and in_map in str(error) and in_data not in str(error)


def test_a_position_is_short_and_has_no_minus_zero():
    assert str(At(-0.001, 1.239)) == '(0.00, 1.24)'
    assert str(NoValidPlan()) == '' and str(NoValidPlan('plain')) == 'plain'


@pytest.mark.parametrize('horizon', [0, -5])
def test_a_horizon_below_1_is_refused(planner, horizon):
    with pytest.raises(InvalidInput, match=f'horizon must be 1 or more, got {horizon}'):
        planner.plan(START, GOAL, horizon=horizon)


def test_plans_go_round_an_obstacle_on_the_map(planner):
    usual = planner.plan(START, GOAL)
    planner.map = planner.map.with_occupied(
        lambda points: np.abs(points - [2.8, 2.0]).max(-1) < 0.2)
    assert planner.map.clearance(usual.states[:, :2]).min() < 0.0
    for seed in range(3):
        plan = planner.plan(START, GOAL, seed=seed)
        assert plan.valid and planner.map.clearance(plan.states[:, :2]).min() > 0.04


def test_planning_can_be_cancelled(planner):
    with pytest.raises(PlanningCancelled):
        planner.plan(START, GOAL, should_stop=lambda: True)


@pytest.mark.parametrize('settings', [
    {'schedule': 'pyramid', 'sampling_steps': 4},
    {'schedule': 'autoregressive', 'sampling_steps': 2},
    {'schedule': 'full_sequence', 'sampling_steps': 16},
    {'guidance_scale': 0.1},
])
def test_every_schedule_and_guidance_plans_to_the_goal(planner, settings):
    planner.settings = PlannerSettings(**settings)
    plans = [planner.plan(START, GOAL, seed=seed) for seed in range(2)]
    assert all(p.valid for p in plans)


def test_guidance_alone_draws_plans_to_the_goal(planner):
    distances = []
    for scale in (0.0, 0.02, 0.1):
        planner.settings = PlannerSettings(
            pin_goal=False, guidance_scale=scale, guide_goal=1.0, guide_clearance=0.0,
            route_std_m=10.0, sampling_steps=8, collision_check=False, num_samples=4,
            goal_tolerance_m=0.001)
        plans = [planner.plan(START, GOAL, seed=seed) for seed in range(4)]
        distances.append(np.mean([np.linalg.norm(c[:, :2] - GOAL, axis=1).mean()
                                  for plan in plans for c in plan.candidates]))
    assert distances[0] > distances[1] > distances[2]


def test_loading_a_name_that_is_not_there():
    with pytest.raises(CheckpointError):
        Planner.load('nowhere')


def test_replanner_holds_at_the_goal_and_otherwise_plans(planner):
    replanner = Replanner(planner)
    replanner.reset(GOAL)
    near = np.array([*(GOAL + [0.0, 0.9 * HOLD_RADIUS_M]), 0.5, 0.0])
    hold = replanner.replan(near, 0)
    assert len(hold) == 1 and hold.states[0].tolist() == [*GOAL, 0.0, 0.0]
    assert len(replanner.replan(START, 1)) > 50


def test_replanner_goes_on_with_the_previous_plan_when_the_new_one_is_not_valid(planner):
    replanner = Replanner(planner)
    replanner.reset(GOAL)
    first = replanner.replan(START, 100)
    planner.settings = PlannerSettings(**STRICT)
    rest = replanner.replan(first.states[25], 125, first.shifted(25))
    assert isinstance(replanner.last_error, NoValidPlan)
    assert np.array_equal(rest.states, first.states[25:])
    replanner.reset(GOAL)
    assert replanner.replan(START, 150) is None, 'nothing to go on with'


def test_the_policy_goes_on_with_the_plan_in_hand_but_not_for_a_new_goal(planner):
    policy = planner.policy(replan_interval_s=0.02)
    policy.reset(GOAL)
    for _ in range(2):
        policy.act(START)
    planner.settings = PlannerSettings(**STRICT)
    policy.act(START)
    (_, first), (step, rest) = policy.plans
    assert step == 2 and np.array_equal(rest.states, first.states[2:])
    policy.reset(GOAL)
    policy.act(START)
    assert policy.plans == [(0, None)]


def test_replanning_depends_on_the_seed_and_the_count_only(planner):
    def two_plans():
        replanner = Replanner(planner, seed=3)
        replanner.reset(GOAL)
        first = replanner.replan(START, 0)
        return [first, replanner.replan(START, 25, first.shifted(25))]
    for a, b in zip(two_plans(), two_plans()):
        assert np.array_equal(a.states, b.states)


def test_the_policy_refuses_bad_goals_and_states(planner):
    policy = planner.policy()
    with pytest.raises(GoalOccupied):
        policy.reset([2.0, 1.0])
    policy.reset(GOAL)
    with pytest.raises(InvalidInput):
        policy.act([np.nan] * 4)


@pytest.mark.parametrize('execution', ['tracking', 'raw'])
def test_the_policy_drives_the_ball_to_the_goal(planner, execution):
    world = World(load_maze('umaze'))
    world.set_state(START)
    policy = planner.policy(execution)
    policy.reset(GOAL)
    distances = []
    for _ in range(300):
        action = policy.act(world.state)
        assert action.shape == (2,) and np.abs(action).max() <= 1.0
        distances.append(np.linalg.norm(world.step(action)[:2] - GOAL))
    assert min(distances) < 0.5
    assert [step for step, _ in policy.plans] == list(range(0, 300, 25))
    if execution == 'tracking':
        assert max(distances[-50:]) < 0.5, 'it should stay there'


def test_a_plan_can_be_made_to_rest_at_the_goal(planner):
    plan = planner.plan(START, GOAL, rest_at_goal=True)
    assert plan.states[-1] == pytest.approx([*GOAL, 0.0, 0.0], abs=1e-6)
    assert np.abs(planner.plan(START, GOAL).states[-1, 2:]).max() > 0.5


def test_uncertainty_can_be_that_of_samples_drawn_for_it(planner):
    usual = planner.plan(START, GOAL)
    planner.settings = PlannerSettings(uncertainty_samples=16)
    plan = planner.plan(START, GOAL)
    assert np.array_equal(plan.states, usual.states), 'the plan is the same'
    assert plan.uncertainty.shape == (len(plan),)
    assert not np.array_equal(plan.uncertainty, usual.uncertainty)
    assert plan.uncertainty[0] == 0.0 and plan.uncertainty.max() > 0.01
    assert plan.uncertainty[-1] < 1e-6, 'the goal of every sample is pinned'
    planner.settings = PlannerSettings(uncertainty_samples=16, pin_goal=False,
                                       guidance_scale=3.0, collision_check=False)
    free = planner.plan(START, GOAL)
    assert free.uncertainty.shape == (len(free),) and free.uncertainty[-1] > 0.01


def test_the_samples_of_the_uncertainty_are_as_many_as_asked_for(planner):
    drawn = {}
    for samples in (0, 4, 48):
        planner.settings = PlannerSettings(uncertainty_samples=samples)
        planner.plan(START, GOAL)
        drawn[samples] = planner.clock.candidates
    assert drawn[4] - drawn[0] == 4 and drawn[48] - drawn[0] == 48
