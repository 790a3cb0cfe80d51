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

"""Agreement with gymnasium-robotics' PointMaze where no wall is touched."""

import numpy as np
import pytest

from df_planner.sim.maze import load_maze
from df_planner.sim.maze import observation_to_map
from df_planner.sim.world import World

point_maze = pytest.importorskip(
    'gymnasium_robotics.envs.maze.point_maze', reason='gymnasium-robotics is not installed')


def to_point_maze(states, walls):
    """Turn states (..., 4) into PointMaze's frame: the maze's centre is 0, x right and y up."""
    centre_of_maze = np.array(walls.shape) / 2 - 0.7
    return np.concatenate(
        (observation_to_map(states[..., :2] - centre_of_maze),
         observation_to_map(states[..., 2:])), axis=-1)


def touches_wall(data, ground):
    """Tell whether PointMaze's ball met a wall; its margin is wider than D4RL's."""
    return any(ground not in contact.geom for contact in data.contact)


@pytest.mark.parametrize('name', ['umaze', 'medium', 'large'])
def test_free_flight_agrees(name):
    maze = load_maze(name)
    world = World(maze)
    env = point_maze.PointMazeEnv(maze_map=maze.walls.astype(int).tolist())
    env.reset(seed=0)
    ground = env.model.geom('ground').id
    rng = np.random.default_rng(0)
    compared = 0
    for _ in range(40):
        cell = maze.cells[rng.integers(len(maze.cells))]
        state = np.concatenate((np.array(cell) - 0.2, rng.uniform(-5.5, 5.5, size=2)))
        world.set_state(state)
        other = to_point_maze(state, maze.walls)
        env.point_env.set_state(other[:2], other[2:])
        for _ in range(40):
            action = rng.uniform(-1.5, 1.5, size=2)
            state = world.step(action)
            observation = env.step(observation_to_map(action))[0]['observation']
            if world.in_contact or touches_wall(env.data, ground):
                break
            error = observation - to_point_maze(state, maze.walls)
            assert np.abs(error[:2]).max() < 1e-13
            assert np.abs(error[2:]).max() == 0.0
            compared += 1
    env.close()
    assert compared > 400
