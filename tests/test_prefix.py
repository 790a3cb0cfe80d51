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

"""A pinned prefix: the actions that are executed while a plan is computed are its first ones."""

import numpy as np
import pytest
import torch

from df_planner import Planner
from df_planner.driving.replanner import Replanner
from df_planner.errors import InvalidInput
from df_planner.planning.plan import Plan
from df_planner.planning.settings import PlannerSettings
from df_planner.sim.maze import load_maze
from df_planner.sim.maze import maze_map
from df_planner.sim.world import World

START, GOAL = np.array([3.0, 1.0, 0.0, 0.0]), np.array([1.0, 1.0])


@pytest.fixture(scope='module')
def shipped():
    torch.set_num_threads(1)
    return Planner.load('point', grid=maze_map('umaze'))


@pytest.fixture
def planner(shipped):
    """Return the shipped planner with fresh settings."""
    shipped.settings = PlannerSettings()
    return shipped


def driven(maze, state, actions):
    """Return the states (len + 1, 4) that the simulated ball goes through."""
    world = World(load_maze(maze))
    world.set_state(state)
    return np.array([world.state.copy(), *(world.step(action).copy() for action in actions)])


def test_the_plan_begins_with_the_prefix_and_its_states_follow_from_it():
    """On a route that leaves room: on one that leaves none, the route wins."""
    planner = Planner.load('point', grid=maze_map('medium'), settings=PlannerSettings(
        route_std_m=0.3, sampling_steps=8, guidance_scale=0.0, collision_check=False))
    start, goal, rows = np.array([1.0, 1.0, 0.0, 0.0]), np.array([6.0, 6.0]), 20
    planned, driven_to = [], []
    for seed in range(2):
        moving = planner.plan(start, goal, seed=seed).states[40]
        along = moving[2:] / np.abs(moving[2:]).max()
        for prefix in (np.tile(along, (rows, 1)), np.tile(-along, (rows, 1))):  # faster, brake
            plan = planner.plan(moving, goal, seed=seed + 100, prefix=prefix)
            assert np.array_equal(plan.actions[:rows], prefix)
            planned.append(plan.states[rows])
            driven_to.append(driven('medium', moving, prefix)[-1])
    apart, apart_driven = (np.reshape(states, (2, 2, 2, 2)) for states in (planned, driven_to))
    apart, apart_driven = (np.linalg.norm(states[:, 0] - states[:, 1], axis=-1).mean(0)
                           for states in (apart, apart_driven))  # of positions, of velocities
    assert apart[0] > 0.4 * apart_driven[0] and apart[1] > 0.7 * apart_driven[1]


def test_an_empty_prefix_is_none(planner):
    assert np.array_equal(planner.plan(START, GOAL, prefix=np.zeros((0, 2))).states,
                          planner.plan(START, GOAL).states)


def test_every_candidate_is_long_enough_for_the_prefix(planner):
    planner.settings = PlannerSettings(collision_check=False)
    near, goal = np.array([1.0, 1.9, 0.0, 0.0]), np.array([1.0, 1.0])
    plan = planner.plan(near, goal, prefix=np.full((60, 2), 0.1))
    assert min(len(c) for c in plan.candidates) == 61
    assert np.array_equal(plan.actions[:60], np.full((60, 2), 0.1))


@pytest.mark.parametrize(('prefix', 'complaint'), [
    (np.zeros((15, 2)), r'P a multiple of the 10 steps of a token, got \(15, 2\)'),
    (np.zeros((10, 3)), r'must have shape \(P, 2\)'),
    (np.full((10, 2), 1.1), r'within \[-1, 1\]'),
    (np.full((10, 2), np.nan), r'within \[-1, 1\]'),
    (np.zeros((320, 2)), 'prefix has 320 steps, more than the horizon: 310'),
    ('now', "prefix must be actions, got 'now'"),
])
def test_a_bad_prefix_is_refused(planner, prefix, complaint):
    with pytest.raises(InvalidInput, match=complaint):
        planner.plan(START, GOAL, prefix=prefix)


def test_the_replanner_keeps_the_actions_of_the_delay(planner):
    planner.settings = PlannerSettings(delay_steps=12)
    replanner = Replanner(planner)
    replanner.reset(GOAL)
    first = replanner.replan(START, 100)
    second = replanner.replan(driven('umaze', START, first.actions[:25])[-1], 125,
                              first.shifted(25))
    assert replanner.last_error is None
    assert np.array_equal(second.actions[:20], first.actions[25:45])
    assert not np.array_equal(second.actions[20:30], first.actions[45:55])


def test_the_delay_takes_no_more_than_the_plan_in_hand_has(planner):
    planner.settings = PlannerSettings(delay_steps=200)
    replanner = Replanner(planner)
    replanner.reset(GOAL)
    first = replanner.replan(START, 0)
    rest = len(first) - 1 - 25
    second = replanner.replan(driven('umaze', START, first.actions[:25])[-1], 25,
                              first.shifted(25))
    kept = rest // 10 * 10
    assert np.array_equal(second.actions[:kept], first.actions[25:25 + kept])


def test_the_prefix_ends_with_what_was_diffused_since_a_route_has_no_actions(planner):
    planner.settings = PlannerSettings(delay_steps=200)
    replanner = Replanner(planner)
    replanner.reset(GOAL)
    in_hand = Plan(np.full((300, 2), 0.1), np.tile(START, (300, 1)), 0.01, GOAL,
                   diffused_steps=48)
    assert replanner._prefix(in_hand).shape == (40, 2)
    assert replanner._prefix(in_hand.shifted(45)) is None
