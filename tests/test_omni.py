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

"""The omnidirectional robot: physics, controller, tracking, logs, and that it needs a model."""

import json
import math

from click.testing import CliRunner
import numpy as np
import pytest

from df_planner.cli.main import main
from df_planner.data.d4rl import load_dataset
from df_planner.driving.executor import Executor
from df_planner.driving.tracking import tracking_law
from df_planner.errors import InvalidInput
from df_planner.planning.plan import Plan
from df_planner.robots.kinds import OMNI
from df_planner.robots.kinds import robot_kind
from df_planner.sim.generate_drives import generate
from df_planner.sim.maze import load_maze
from df_planner.sim.robots import simulated_robot

ROBOT = simulated_robot('omni')
DT_S = OMNI.signals.dt_s


@pytest.fixture
def world():
    """Return a world with the robot in a corridor, facing up the map."""
    world = ROBOT.world(load_maze('medium'))
    world.set_state([0.8, -0.8, 0.0, 0.0, 0.0, 1.0])
    return world


def test_drives_and_turns_in_its_own_axes(world):
    """Ahead is up, left is to minus x; a positive turn is counter-clockwise (REP 103)."""
    for _ in range(10):
        state = world.step([-0.5, -0.25, 0.0])
    assert state[2:] == pytest.approx([0.25, -0.5, 0.0, 1.0], abs=0.02)

    for _ in range(10):
        state = world.step([0.0, 0.0, 1.0])
    assert math.atan2(state[5], state[4]) - math.pi / 2 == pytest.approx(0.5, abs=0.1)


def test_velocities_beyond_the_limits_are_clipped(world):
    """The limits are those of the signals."""
    twin = ROBOT.world(world.place)
    twin.set_state(world.state)
    for _ in range(5):
        world.step([-9.0, 9.0, 99.0])
        twin.step([-1.0, 1.0, 4.0])

    np.testing.assert_array_equal(world.state, twin.state)


def test_a_wall_stops_it(world):
    """It stands a radius away from the wall, in contact."""
    assert not world.in_contact
    for _ in range(60):
        state = world.step([0.0, 1.0, 0.0])

    assert world.in_contact
    assert state[0] == pytest.approx(0.3 + OMNI.signals.robot_radius_m, abs=0.02)


@pytest.mark.parametrize('state', [
    [0.8, -0.8, 0.0, 0.0], [0.8, -0.8, 0.0, 0.0, 0.0, 0.0], [0.8, np.nan, 0.0, 0.0, 1.0, 0.0]])
def test_a_bad_state_is_refused(world, state):
    """Shape, numbers and heading are checked."""
    with pytest.raises(InvalidInput):
        world.set_state(state)


def test_a_plan_that_moves_sideways_and_turns_is_tracked(world):
    """From beside it, the error of position and heading dies out."""
    time_s = DT_S * np.arange(40)
    yaw = math.pi / 2 + 0.4 * np.sin(time_s)
    states = np.column_stack([
        0.8 + 0.0 * time_s, -0.8 - 0.6 * time_s, 0.0 * time_s, -0.6 + 0.0 * time_s, np.cos(yaw),
        np.sin(yaw)])
    plan = Plan(np.zeros((40, 3)), states, DT_S, goal=states[-1, :2])
    executor = Executor('tracking', tracking_law('omni', OMNI.signals.action_limits))
    world.set_state([0.9, -0.75, 0.0, 0.0, math.cos(1.2), math.sin(1.2)])
    for step in range(39):
        state = world.step(executor.action(plan, step, world.state))

    assert state[:2] == pytest.approx(states[-1, :2], abs=0.06)
    assert state[4:] @ states[-1, 4:] > math.cos(0.1)


def test_logs_are_what_the_world_does(tmp_path):
    """The same generator as of other robots; columns tell the kind."""
    log = load_dataset(generate('omni', 'umaze', 1500, progress=False, out=tmp_path / 'x.hdf5'))
    assert log.signals == OMNI.signals and log.actions.shape == (1500, 3)
    assert robot_kind(log.signals.observation_names, log.signals.action_names) == 'omni'
    world = ROBOT.world(load_maze('umaze'))
    world.set_state(log.observations[0])
    for row in range(40):
        assert world.state == pytest.approx(log.observations[row], abs=2e-3)
        world.step(log.actions[row])


def test_its_controller_is_evaluated(tmp_path):
    """It reaches every goal."""
    result = CliRunner().invoke(main, [
        'evaluate', '--policy', 'controller', '--robot', 'omni', '--maze', 'umaze', '--multi-goal',
        '--episodes', '4', '--out', str(tmp_path)])
    assert result.exit_code == 0, result.output
    results = json.loads((tmp_path / 'results.json').read_text())
    assert [episode['reached'] for episode in results['episodes']] == [True] * 4


def test_no_model_is_shipped_and_the_error_says_what_to_do():
    """Naming the commands that make one."""
    result = CliRunner().invoke(main, ['evaluate', '--checkpoint', 'omni-medium'])
    assert result.exit_code == 2
    assert 'omni-medium: no such checkpoint' in result.output
    assert 'df_planner data generate' in result.output and 'df_planner train' in result.output
