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

"""Agreement with runs of the ``d4rl`` package, recorded by record_d4rl.py."""

from pathlib import Path

from legacy_seeding import legacy_random_state
import numpy as np
import pytest

from df_planner.sim.env import Maze2DEnv
from df_planner.sim.maze import D4RL_MAZES
from df_planner.sim.maze import load_maze
from df_planner.sim.world import World


@pytest.fixture(scope='module')
def runs():
    with np.load(Path(__file__).parent / 'd4rl_runs.npz', allow_pickle=False) as file:
        return dict(file)


@pytest.mark.parametrize('name', D4RL_MAZES)
def test_every_step_agrees(runs, name):
    states, actions = runs[f'{name}/states'], runs[f'{name}/actions']
    at_wall = runs[f'{name}/contacts']
    assert at_wall.sum() > 50
    assert (~at_wall).sum() > 200
    world = World(load_maze(name))
    predicted = np.empty_like(states[1:])
    touched = np.empty_like(at_wall)
    for i, action in enumerate(actions):
        world.set_state(states[i])
        predicted[i] = world.step(action)
        touched[i] = world.in_contact
    error = np.abs(predicted - states[1:]).max(axis=1)
    assert error[~at_wall].max() < 1e-15
    assert error[at_wall].max() < 1e-12
    np.testing.assert_array_equal(touched, at_wall)


@pytest.mark.parametrize('name', D4RL_MAZES)
def test_whole_run_agrees(runs, name):
    states, actions = runs[f'{name}/states'], runs[f'{name}/actions']
    env = Maze2DEnv(name)
    env.reset(options={'state': states[0]})
    steps = [env.step(action) for action in actions]
    np.testing.assert_allclose([step[0] for step in steps], states[1:], rtol=0, atol=1e-8)
    np.testing.assert_array_equal([step[1] for step in steps], runs[f'{name}/rewards'])


@pytest.mark.parametrize('name', D4RL_MAZES)
def test_seeded_reset_and_action_agree(runs, name):
    rng = legacy_random_state(0)
    cells = load_maze(name).cells
    position = np.array(cells[rng.choice(len(cells))]) + rng.uniform(-0.1, 0.1, size=2)
    start = np.concatenate((position, 0.1 * rng.randn(2)))
    np.testing.assert_array_equal(start, runs[f'{name}/states'][0])
    action = legacy_random_state(0).uniform(-1.0, 1.0, size=2).astype(np.float32)
    np.testing.assert_array_equal(action, runs[f'{name}/actions'][0])
