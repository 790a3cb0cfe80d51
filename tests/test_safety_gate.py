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

"""The safety gate: a plan of the shipped model passes, and every way to spoil it has its error."""

from dataclasses import replace

import numpy as np
import pytest

from df_planner.driving.safety_gate import GateLimits
from df_planner.driving.safety_gate import goal_distance_m
from df_planner.driving.safety_gate import SafetyGate
from df_planner.errors import PlanBeyondLimits
from df_planner.errors import PlanInCollision
from df_planner.errors import PlanJumps
from df_planner.errors import PlanMissesGoal
from df_planner.errors import PlanNotFinite
from df_planner.errors import PlanOffStart
from df_planner.nodes.planner.parameters import PlannerParameters
from df_planner.planning.plan import Plan
from df_planner.planning.planner import Planner
from df_planner.sim.maze import maze_map

START, GOAL = np.array([3.0, 1.0, 0.0, 0.0]), np.array([1.0, 1.0])  # of the umaze, in its data


@pytest.fixture(scope='module')
def planner():
    """Return the planner of the shipped model with the map of the umaze."""
    return Planner.load('point', grid=maze_map('umaze'), backend='torch')


@pytest.fixture(scope='module')
def plan(planner):
    """Return a plan from START to GOAL."""
    return planner.plan(START, GOAL)


def gate_with(planner, **parameters):
    """Return the gate of parameters."""
    return SafetyGate(GateLimits.of(PlannerParameters(**parameters)), planner.card)


def spoiled(plan, name, row, column, value):
    """Return a plan with one value of one of its arrays replaced."""
    array = getattr(plan, name).copy()
    array[(row, column) if array.ndim == 2 else row] = value
    return replace(plan, **{name: array})


def detour(plan, sideways_m, rows):
    """Return a plan whose first rows but one lie beside those of another."""
    states = plan.states.copy()
    states[1:rows, 0] += sideways_m  # it sets out along axis 1
    return replace(plan, states=states)


def test_what_the_planner_plans_passes_whole_and_in_part(planner, plan):
    gate = gate_with(planner)
    gate.check(plan, START, planner.map)
    rest = plan.shifted(20)
    gate.check(rest, None, planner.map)
    gate.check(planner.plan(plan.states[20], GOAL), plan.states[20], planner.map, rest)
    gate.check(plan.shifted(len(plan)), START, planner.map)  # one row: stay at the goal
    assert goal_distance_m(plan) <= 0.5


def test_a_robot_that_touches_an_obstacle_may_leave_it_and_get_no_nearer(planner):
    """The umaze has a wall at row 0.3 and above; the needed distance is 0.08 m."""
    gate = gate_with(planner)

    def plan_of(rows):
        states = np.column_stack([rows, np.full(len(rows), 1.0), np.zeros((len(rows), 2))])
        return Plan(np.zeros((len(rows), 2)), states, 0.01, goal=states[-1, :2])
    gate.check_collision(plan_of([0.33, 0.35, 0.5]), planner.map)
    with pytest.raises(PlanInCollision, match='by 0.02 m'):
        gate.check_collision(plan_of([0.33, 0.31, 0.5]), planner.map)
    with pytest.raises(PlanInCollision, match='by 0.05 m'):
        gate.check_collision(plan_of([0.5, 0.33, 0.5]), planner.map)
    with pytest.raises(PlanInCollision):  # inside, where no robot can be
        gate.check_collision(plan_of([0.2, 0.5]), planner.map)


@pytest.mark.parametrize('name', ['states', 'actions', 'uncertainty'])
@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_numbers_must_be_finite(planner, plan, name, value):
    with pytest.raises(PlanNotFinite, match=f'1 values of the {name}'):
        gate_with(planner).check(spoiled(plan, name, 5, 1, value), START, planner.map)


@pytest.mark.parametrize('off, name', [
    ((0.6, 0.0, 0.0, 0.0), 'start_tolerance_m allows 0.50'),
    ((0.0, 0.0, 0.0, -0.6), 'start_tolerance_mps allows 0.50'),
])
def test_a_plan_begins_at_its_start(planner, plan, off, name):
    gate = gate_with(planner)
    gate.check(plan, START + 0.8 * np.array(off), planner.map)
    with pytest.raises(PlanOffStart, match=name):
        gate.check(plan, START + np.array(off), planner.map)
    # A filtered start is where the robot is, but for the noise.
    gate_with(planner, position_noise_std_m=0.1, velocity_noise_std_mps=0.1).check(
        plan, START + np.array(off), planner.map)


def test_the_robot_is_where_it_can_follow(planner, plan):
    gate, midst = gate_with(planner), len(plan) // 2
    gate.check_robot(plan, START, 0.0)
    gate.check_robot(plan, plan.states[midst], 0.0)  # on its way
    gate.check_robot(plan.shifted(midst), plan.states[midst - 5], 0.05)  # will be there in time
    gate.check_robot(plan.shifted(midst), plan.states[0], 10.0)
    with pytest.raises(PlanOffStart, match='off the plan'):
        gate.check_robot(plan, START - np.array([1.0, 0.0, 0.0, 0.0]), 0.0)
    with pytest.raises(PlanOffStart, match='off the plan'):
        gate.check_robot(plan.shifted(len(plan)), START, 0.05)  # 2 m in 50 ms


@pytest.mark.parametrize('value', [1.01, -1.01])
def test_actions_are_within_the_limits(planner, plan, value):
    with pytest.raises(PlanBeyondLimits, match='action of the plan is 1.010, the limit is 1'):
        gate_with(planner).check(spoiled(plan, 'actions', 7, 0, value), START, planner.map)


def test_speeds_and_steps_are_as_in_the_data(planner, plan):
    fastest_mps = 3.0 * max(planner.card.statistics.max_speed)
    fast = spoiled(plan, 'states', 9, 2, -1.01 * fastest_mps)
    with pytest.raises(PlanBeyondLimits, match='the plan plans up to'):
        gate_with(planner).check(fast, START, planner.map)
    leap = spoiled(plan, 'states', 9, 1, plan.states[9, 1] + 1.1 * fastest_mps * plan.dt_s)
    with pytest.raises(PlanBeyondLimits, match='the plan moves at up to'):
        gate_with(planner).check(leap, START, planner.map)
    gate_with(planner, collision_check=False).check(leap, START, planner.map)


def test_a_new_obstacle_is_hit_and_said_where(planner, plan):
    midst = plan.states[len(plan) // 2, :2]
    blocked = planner.map.with_occupied(
        lambda points: np.linalg.norm(points - midst, axis=-1) < 0.15)
    with pytest.raises(PlanInCollision, match='s after its start'):
        gate_with(planner).check(plan, START, blocked)
    with pytest.raises(PlanInCollision):
        gate_with(planner).check_collision(plan, blocked)
    gate_with(planner, collision_check=False).check(plan, START, blocked)
    # The radius of the robot counts, not the point.
    with pytest.raises(PlanInCollision):
        gate_with(planner, robot_radius_m=1.0).check(plan, START, planner.map)


def test_a_plan_ends_at_its_goal_or_says_how_far_from_it(planner, plan):
    short = replace(plan, actions=plan.actions[:10], states=plan.states[:10],
                    uncertainty=plan.uncertainty[:10])
    with pytest.raises(PlanMissesGoal, match=f'ends {goal_distance_m(short):.2f} m from the goal'):
        gate_with(planner).check(short, START, planner.map)


def test_a_plan_does_not_leave_the_way_of_the_one_executed(planner, plan):
    gate, beside = gate_with(planner, max_plan_shift_m=0.05), detour(plan, 0.1, 26)
    gate.check(beside, START, planner.map)  # nothing is being executed
    with pytest.raises(PlanJumps, match='by 0.10 m; max_plan_shift_m allows 0.05'):
        gate.check(beside, START, planner.map, plan)
    gate.check(plan.shifted(10), None, planner.map, plan)  # faster along the same way
    gate.check(detour(plan.shifted(10), 0.04, 26), None, planner.map, plan)
    for lenient in ({'max_plan_shift_m': 0.0}, {'collision_check': False},
                    {'position_noise_std_m': 0.02}):
        gate_with(planner, **{'max_plan_shift_m': 0.05, **lenient}).check(
            beside, START, planner.map, plan)
