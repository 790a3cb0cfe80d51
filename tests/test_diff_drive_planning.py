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

"""The planner with a robot that is not Maze2D's: sizes, axes, units and rate are the card's."""

from click.testing import CliRunner
import numpy as np
import pytest

from df_planner import Planner
from df_planner.cli.main import main
from df_planner.errors import ConfigError
from df_planner.errors import InvalidInput
from df_planner.model.checkpoint import load_card
from df_planner.planning.reconstruction import reconstruct
from df_planner.sim.maze import load_maze
from df_planner.sim.maze import maze_map
from df_planner.sim.robots import simulated_robot

CHECKPOINT = 'diff_drive'
START = np.array([1.0, -1.0, 0.0, 0.0, 0.0, -1.0])
GOAL = np.array([2.0, -3.0])
MAP = maze_map('medium', load_card(CHECKPOINT).observation_to_map)


@pytest.fixture(scope='module')
def planner():
    """Return the planner of the shipped model."""
    return Planner.load(CHECKPOINT, grid=MAP, backend='torch')


@pytest.fixture(scope='module')
def plan(planner):
    """Return a plan."""
    return planner.plan(START, GOAL, seed=0)


def test_the_card_says_what_the_robot_is():
    """Nothing of it is Maze2D's."""
    card, signals = load_card(CHECKPOINT), simulated_robot('diff_drive').signals

    assert card.robot == 'diff_drive'
    for name in ('observation_names', 'observation_units', 'action_names', 'action_units',
                 'action_limits', 'robot_radius_m', 'dt_s', 'observation_to_map'):
        assert getattr(card, name) == getattr(signals, name)
    assert load_card('point').robot == 'point'


def test_a_plan_keeps_the_contract(plan):
    """States (H, 6) from the start to the goal, actions (H, 2) in their units, 20 Hz."""
    assert plan.valid and plan.dt_s == 0.05
    assert plan.states.shape == (len(plan), 6) and plan.actions.shape == (len(plan), 2)
    assert plan.states[0] == pytest.approx(START, abs=1e-6)
    assert plan.states[-1, :2] == pytest.approx(GOAL, abs=1e-6)
    assert np.linalg.norm(plan.states[:, 4:], axis=1) == pytest.approx(1.0)
    assert (np.abs(plan.actions) <= (1.0, 4.0)).all()
    assert np.abs(plan.actions[:, 1]).max() > 1.0  # rad/s, not a share of something
    robot, maze = simulated_robot('diff_drive'), load_maze('medium')
    assert not maze.is_wall(robot.to_maze(plan.states[:, :2])).any()


def test_the_robot_drives_along_its_heading(plan):
    """Where it moves, the planned heading is that of the planned velocity."""
    speed = np.linalg.norm(plan.states[:, 2:4], axis=1)
    along = (plan.states[:, 2:4] * plan.states[:, 4:]).sum(1)
    fast = speed > 0.3

    assert fast.mean() > 0.3
    assert np.median(along[fast] / speed[fast]) > 0.95


def test_a_prefix_is_kept_in_its_units(planner):
    """Actions of another robot's limits are refused, those within are the plan's first."""
    prefix = np.tile([0.1, -3.0], (10, 1))
    kept = planner.plan(START, GOAL, seed=0, prefix=prefix)

    assert kept.actions[:10] == pytest.approx(prefix)
    with pytest.raises(InvalidInput, match=r'\[-1, 1\] x \[-4, 4\]'):
        planner.plan(START, GOAL, prefix=[[0.1, 5.0]] * 10)


def test_what_belongs_to_another_robot_is_refused(planner):
    """By name, before anything is drawn."""
    with pytest.raises(InvalidInput, match='6'):
        planner.plan(START[:4], GOAL)
    with pytest.raises(ConfigError, match='time_optimal'):
        planner.policy(execution='time_optimal')
    pushed = Planner.load(CHECKPOINT, settings=planner.settings.model_copy(
        update={'guide_force': 1.0}), backend='torch')
    with pytest.raises(ConfigError, match='guide_force'):
        pushed.plan(START, GOAL)


def test_a_missing_part_is_named(planner):
    """Reconstruction knows the heading as a part of its own."""
    states = np.full((8, 6), np.nan)
    states[0] = START
    states[-1, :2] = GOAL
    samples = reconstruct(planner, states, num_samples=3)
    assert samples.states.shape == (3, 71, 6) and samples.actions.shape == (3, 71, 2)
    np.testing.assert_allclose(samples.states[:, 0], np.tile(START, (3, 1)))

    states[3, 4] = 1.0
    with pytest.raises(InvalidInput, match='other observations of token 3'):
        reconstruct(planner, states)


def test_evaluation_reaches_goals(tmp_path):
    """The command drives the robot's own world, next to its own controller."""
    result = CliRunner().invoke(main, [
        'evaluate', '--checkpoint', CHECKPOINT, '--episodes', '2', '--seed', '5',
        '--replan-interval-s', '1', '--out', str(tmp_path / 'out')])
    assert result.exit_code == 0, result.output
    assert 'waypoint controller' in (tmp_path / 'out/report.md').read_text(encoding='utf-8')

    refused = CliRunner().invoke(main, [
        'evaluate', '--checkpoint', CHECKPOINT, '--execution', 'time_optimal',
        '--out', str(tmp_path / 'refused')])
    assert refused.exit_code == 2 and 'time_optimal' in refused.output
    assert not (tmp_path / 'refused').exists()
