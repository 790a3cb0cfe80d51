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

"""The gate of the simulator: D4RL's 24 reference scores, reproduced to the digits listed."""

from legacy_seeding import legacy_random_state
import numpy as np
import pytest

from df_planner.sim.controllers import WaypointController
from df_planner.sim.maze import D4RL_MAZES
from df_planner.sim.maze import GOAL_RADIUS_M
from df_planner.sim.maze import load_maze
from df_planner.sim.world import World

EPISODES = 100


def legacy_reset(world, rng):
    """Draw a start the way D4RL's ``MazeEnv.reset`` does, number for number."""
    cells = world.place.cells
    position = np.array(cells[rng.choice(len(cells))]) + rng.uniform(-0.1, 0.1, size=2)
    world.set_state(np.concatenate((position, 0.1 * rng.randn(2))))
    return world.state.tolist()


def mean_returns(maze, action):
    """Return the mean sparse and dense return over 100 episodes with gym seed 0."""
    world = World(maze)
    rng = legacy_random_state(0)
    goal = np.array(maze.goal_cell)
    sparse = dense = 0.0
    for _ in range(EPISODES):
        state = legacy_reset(world, rng)
        positions = np.empty((maze.max_episode_steps, 2))
        for step in range(maze.max_episode_steps):
            state = world.advance(*action(state))
            positions[step] = state[:2]
        distance = np.linalg.norm(positions - goal, axis=1)
        sparse += np.count_nonzero(distance <= GOAL_RADIUS_M) / EPISODES
        dense += np.exp(-distance).sum() / EPISODES
    return sparse, dense


@pytest.mark.parametrize('name', D4RL_MAZES)
def test_random_policy_has_the_reference_minimum(name):
    maze = load_maze(name)
    rng = legacy_random_state(0)

    def action(_):
        return rng.uniform(-1.0, 1.0, size=2).astype(np.float32).tolist()

    sparse, dense = mean_returns(maze, action)
    assert sparse == pytest.approx(maze.reference_return[0], abs=1e-9)
    assert dense == pytest.approx(maze.dense_reference_return[0], abs=5e-6)


@pytest.mark.parametrize('name', D4RL_MAZES)
def test_controller_that_plans_once_has_the_reference_maximum(name):
    maze = load_maze(name)
    controller = WaypointController(maze, np.random.RandomState(0))
    sparse, dense = mean_returns(
        maze, lambda state: controller.action(state, maze.goal_cell)[:2])
    assert sparse == pytest.approx(maze.reference_return[1], abs=1e-9)
    assert dense == pytest.approx(maze.dense_reference_return[1], abs=5e-6)
