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

"""Tracking of a robot that drives along its heading, in its own physics, and who may do what."""

import math

import numpy as np
import pytest

from df_planner.driving.executor import Executor
from df_planner.driving.tracking import check_execution
from df_planner.driving.tracking import PointTracking
from df_planner.driving.tracking import tracking_law
from df_planner.driving.tracking import UnicycleTracking
from df_planner.errors import ConfigError
from df_planner.planning.plan import Plan
from df_planner.sim.maze import load_maze
from df_planner.sim.robots import simulated_robot

ROBOT = simulated_robot('diff_drive')
DT_S = ROBOT.signals.dt_s


def plan_of(poses):
    """Return the plan through poses (H, 3) of x, y and heading, a control step apart."""
    poses = np.asarray(poses, float)
    velocities = np.gradient(poses[:, :2], DT_S, axis=0)
    headings = np.stack([np.cos(poses[:, 2]), np.sin(poses[:, 2])], axis=1)
    return Plan(np.zeros((len(poses), 2)), np.hstack([poses[:, :2], velocities, headings]), DT_S,
                goal=poses[-1, :2])


def drive(plan, state, steps):
    """Return the states (steps + 1, 6) of the robot that tracks a plan from a state on."""
    world = ROBOT.world(load_maze('medium'))
    world.set_state(state)
    executor = Executor('tracking', UnicycleTracking())
    states = [world.state]
    for step in range(steps):
        states.append(world.step(executor.action(plan, step, states[-1])))
    return np.array(states)


@pytest.mark.parametrize('offset', [(0.0, 0.0, 0.0), (0.05, 0.05, 0.0), (0.0, -0.05, 0.4)])
def test_follows_a_curve_from_beside_it(offset):
    """A quarter of a circle at 0.5 m/s: the error dies out."""
    angle = np.linspace(0.0, math.pi / 2, 64)
    plan = plan_of(np.stack([0.8 + np.sin(angle), -1.8 + np.cos(angle), -angle], axis=1))
    start = plan.states[0].copy()
    heading = offset[2]
    start[:2] += offset[:2]
    start[4:] = math.cos(heading), math.sin(heading)
    states = drive(plan, start, 63)
    errors = np.linalg.norm(states[:64, :2] - plan.states[:, :2], axis=1)

    assert errors[-20:].max() < 0.05
    assert states[-1, 4:] @ plan.states[-1, 4:] > math.cos(0.2)


def test_turns_to_where_a_plan_moves_whatever_heading_it_claims():
    """A sampled plan may move a little sideways, which such a robot cannot."""
    along = 0.8 + 0.025 * np.arange(60)
    poses = np.stack([along, np.full(60, -1.8), np.full(60, 0.6)], axis=1)
    plan = plan_of(poses)
    states = drive(plan, plan.states[0], 40)

    assert states[40, 4] > math.cos(0.15)
    assert np.linalg.norm(states[40, :2] - plan.states[40, :2]) < 0.1


def test_turns_in_place_to_a_planned_heading():
    """A plan that only turns is followed, its last heading is held."""
    heading = np.concatenate([np.linspace(0.0, 2.0, 30), np.full(10, 2.0)])
    plan = plan_of(np.stack([np.full(40, 0.8), np.full(40, -0.8), heading], axis=1))
    state = drive(plan, plan.states[0], 60)[-1]

    assert math.atan2(state[5], state[4]) == pytest.approx(2.0, abs=0.05)
    assert state[:2] == pytest.approx([0.8, -0.8], abs=0.02)
    assert np.abs(state[2:4]).max() < 0.02


def test_drives_backwards_where_the_plan_does():
    """A velocity against the heading is a negative speed."""
    plan = plan_of([(1.5 - 0.02 * step, -0.8, 0.0) for step in range(30)])
    state = drive(plan, plan.states[0], 40)[-1]

    assert state[:2] == pytest.approx(plan.states[-1, :2], abs=0.04)
    assert state[4] > 0.99


def test_commands_are_within_limits_and_brake_is_zero():
    """Whatever the error; the limits are those that it was told."""
    law = tracking_law('diff_drive', (0.3, 0.5))
    plan = plan_of([(3.0, 3.0, 3.0), (4.0, 3.0, -3.0)])
    for heading in np.linspace(-3.0, 3.0, 7):
        state = np.array([0.0, 0.0, 0.0, 0.0, math.cos(heading), math.sin(heading)])
        assert (np.abs(law.action(plan, 0, state)) <= (0.3, 0.5)).all()
    np.testing.assert_array_equal(law.brake(state), 0.0)


def test_each_kind_has_its_law_and_executions():
    """The elastic band is for points; of an unknown robot actions can be played, no more."""
    assert isinstance(tracking_law('point', (1.0, 1.0)), PointTracking)
    assert isinstance(tracking_law('diff_drive', (1.0, 4.0)), UnicycleTracking)
    check_execution('point', 'time_optimal')
    check_execution('diff_drive', 'raw')
    with pytest.raises(ConfigError, match='time_optimal.*diff_drive.*raw, tracking'):
        check_execution('diff_drive', 'time_optimal')
    with pytest.raises(ConfigError, match='tracking'):
        check_execution(None, 'tracking')
    np.testing.assert_array_equal(tracking_law(None, (1.0,) * 3).brake(np.zeros(9)), np.zeros(3))
