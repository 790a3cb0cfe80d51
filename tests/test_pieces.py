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

"""Plans of several pieces, and roll-outs of several windows: longer than the model was trained."""

import numpy as np
import pytest
import torch

from df_planner import Planner
from df_planner.errors import InvalidInput
from df_planner.errors import StartOccupied
from df_planner.planning.settings import PlannerSettings
from df_planner.sim.maze import maze_map

START, GOAL = np.array([1.0, 1.0, 0.0, 0.0]), np.array([6.0, 6.0])
WINDOW_STEPS = 310  # of the shipped model
LIKE_THE_DATA = {'sampling_steps': 16, 'temperature': 1.0}


@pytest.fixture(scope='module')
def shipped():
    torch.set_num_threads(1)
    return Planner.load('point', grid=maze_map('medium'))


@pytest.fixture
def planner(shipped):
    """Return the shipped planner with fresh settings."""
    shipped.settings = PlannerSettings()
    return shipped


@pytest.fixture
def short_sighted(shipped):
    """Return the shipped network as if it had been trained for 8 tokens, 0.7 s."""
    architecture = shipped.card.architecture.model_copy(update={'max_tokens': 8})
    return Planner(shipped.network, shipped.card.model_copy(
        update={'architecture': architecture}), shipped.map)


def diffused_steps(plan):
    """Return how many control steps have actions: those of the route have none."""
    return int(np.flatnonzero(plan.actions.any(axis=1))[-1]) + 1


def dynamics(planner, states):
    """Return velocity changes and drifts (N, T - 1) by their limits; states (N, H, 4)."""
    tokens, token_s = states[:, ::planner.card.frame_stack], planner.space.token_s
    before, after = tokens[:, :-1], tokens[:, 1:]
    mean_velocity = (after[..., 2:] + before[..., 2:]) / 2
    return np.concatenate([
        np.abs(after[..., 2:] - before[..., 2:]) / planner.card.statistics.velocity_change,
        np.abs(after[..., :2] - before[..., :2] - token_s * mean_velocity)
        / planner.card.statistics.drift], axis=-1).max(-1)


def test_pieces_go_on_from_each_other_to_the_goal(planner):
    one, many = planner.plan(START, GOAL), planner.plan(START, GOAL, horizon=1000)
    assert one.valid and many.valid
    first = diffused_steps(one)
    assert np.array_equal(many.states[:first], one.states[:first])
    assert diffused_steps(many) > first + 50
    assert many.states[-1, :2] == pytest.approx(GOAL, abs=1e-9)
    assert np.array_equal(many.states[0], START)
    assert planner.map.clearance(many.states[:, :2]).min() > 0.04
    end = diffused_steps(many) // 10 * 10 + 1
    assert dynamics(planner, many.states[None, :end]).max() < 3.0, 'seams move as the robot does'
    assert many.network_calls > one.network_calls


def test_pieces_end_at_the_horizon_and_the_rest_is_the_route(planner):
    planner.settings = PlannerSettings(horizon_steps=100)
    plan = planner.plan(START, GOAL)
    assert diffused_steps(plan) <= 101
    assert plan.valid and plan.states[-1, :2] == pytest.approx(GOAL)
    assert planner.map.clearance(plan.states[:, :2]).min() > 0.04
    steps_m = np.linalg.norm(np.diff(plan.states[:, :2], axis=0), axis=-1)
    assert steps_m.max() < 0.08


@pytest.mark.parametrize('settings', [
    {'guidance_scale': 0.0},
    {'schedule': 'pyramid', 'guidance_samples': 2, 'sampling_steps': 4},
    {'select_by': 'reward', 'num_samples': 16},
])
def test_many_short_pieces_lead_to_the_goal_with_every_kind_of_guidance(short_sighted, settings):
    short_sighted.settings = PlannerSettings(horizon_steps=1500, **settings)
    plan = short_sighted.plan(START, GOAL)
    assert plan.valid and plan.states[-1, :2] == pytest.approx(GOAL, abs=1e-9)
    assert diffused_steps(plan) == len(plan) > 2 * 70


def test_way_points_are_passed_in_any_piece(short_sighted):
    way_points = np.array([[2.0, 1.0], [1.0, 6.0]])
    plan = short_sighted.plan(START, GOAL, horizon=2000, waypoints=way_points)
    away_m = np.linalg.norm(plan.states[:, None, :2] - way_points, axis=-1)
    assert (away_m.min(0) < 0.5).all() and (np.diff(away_m.argmin(0)) > 70).all()


def test_a_roll_out_goes_on_for_as_long_as_asked(planner):
    planner.settings = PlannerSettings(**LIKE_THE_DATA)
    states, actions = planner.rollout(START, 705, num_samples=8)
    assert states.shape == (8, 705, 4) and actions.shape == (8, 705, 2)
    assert np.array_equal(states[:, 0], np.tile(START, (8, 1)))
    assert np.abs(actions).max() <= 1.0
    assert np.median(dynamics(planner, states)) < 1.0, 'it moves as the robot moves'
    assert np.linalg.norm(states[:, 600:, 2:], axis=-1).mean() > 0.5, 'it does not die down'
    again, _ = planner.rollout(START, 705, num_samples=8)
    other, _ = planner.rollout(START, 705, num_samples=8, seed=1)
    assert np.array_equal(states, again) and not np.allclose(states, other)
    short, _ = planner.rollout(START, WINDOW_STEPS + 1, num_samples=8)
    assert np.array_equal(states[:, :WINDOW_STEPS + 1], short)


def test_seams_between_windows_move_like_the_inside_of_windows(planner):
    planner.settings = PlannerSettings(**LIKE_THE_DATA)
    states, _ = planner.rollout(START, 3 * WINDOW_STEPS + 1, num_samples=8)
    ratio = dynamics(planner, states)
    seams = [30, 31, 61, 62]  # the last token steps of a window and the first of the next
    assert np.median(ratio[:, seams]) < 2.0 * np.median(ratio)


@pytest.mark.parametrize('horizon', [1, 7, 30])
def test_a_roll_out_may_be_short(planner, horizon):
    states, actions = planner.rollout(START, horizon, num_samples=2)
    assert states.shape == (2, horizon, 4) and actions.shape == (2, horizon, 2)


def test_bad_roll_outs_are_refused(planner):
    with pytest.raises(InvalidInput, match='horizon must be 1 or more, got 0'):
        planner.rollout(START, 0)
    with pytest.raises(StartOccupied):
        planner.rollout(np.zeros(4), 100)
