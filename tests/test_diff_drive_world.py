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

"""The differential-drive robot: kinematics, limits, walls, its environment and its controller."""

import math

import gymnasium
import numpy as np
import pytest

from df_planner.errors import ConfigError
from df_planner.errors import InvalidInput
import df_planner.sim.env  # noqa: F401  registers the environments
from df_planner.sim.maze import load_maze
from df_planner.sim.maze import observation_to_map
from df_planner.sim.robots import simulated_robot

ROBOT = simulated_robot('diff_drive')
DT_S = ROBOT.signals.dt_s


@pytest.fixture
def world():
    """Return a world with the robot in a corridor, facing along x."""
    world = ROBOT.world(load_maze('medium'))
    world.set_state([0.8, -0.8, 0.0, 0.0, 1.0, 0.0])
    return world


def heading_of(state):
    """Return the heading of a state (6,) in radians."""
    return math.atan2(state[5], state[4])


def test_drives_at_the_speed_that_it_is_told(world):
    """A constant twist ends up within 5 % of itself, in the direction of the heading."""
    for _ in range(16):
        state = world.step([0.6, 0.0])

    assert state[2:] == pytest.approx([0.6, 0.0, 1.0, 0.0], abs=0.03)
    assert 0.3 < state[0] - 0.8 < 16 * 0.6 * DT_S


def test_turns_in_place_counter_clockwise(world):
    """A positive angular velocity turns left (REP 103) and does not move the robot."""
    headings = [heading_of(world.step([0.0, 1.0])) for _ in range(20)]

    assert headings[-1] == pytest.approx(20 * DT_S, abs=0.15)
    assert headings[-1] - headings[-2] == pytest.approx(DT_S, rel=0.08)
    assert world.state[:2] == pytest.approx([0.8, -0.8], abs=0.01)


def test_drives_a_circle_of_the_radius_of_the_twist(world):
    """The radius of the way is linear over angular velocity."""
    for _ in range(20):
        world.step([0.3, 1.5])
    way = np.array([world.step([0.3, 1.5])[:2] for _ in range(84)])  # once around

    assert np.ptp(way, axis=0) / 2 == pytest.approx(0.2, rel=0.1)


def test_a_twist_beyond_the_limits_is_clipped(world):
    """The limits are those of the signals."""
    twin = ROBOT.world(world.place)
    twin.set_state(world.state)
    for _ in range(10):
        world.step([9.0, -99.0])
        twin.step([1.0, -4.0])

    np.testing.assert_array_equal(world.state, twin.state)


def test_a_wall_stops_it(world):
    """Driving into a wall, it stands a radius away from it, in contact."""
    assert not world.in_contact
    for _ in range(60):
        state = world.step([-1.0, 0.0])

    assert world.in_contact
    assert state[0] == pytest.approx(0.3 + ROBOT.signals.robot_radius_m, abs=0.02)
    assert np.hypot(*state[2:4]) < 0.05


def test_the_same_state_and_actions_give_the_same_motion(world):
    """A run does not depend on what was before it."""
    def drive():
        world.set_state([0.8, -0.8, 0.2, 0.0, 1.0, 0.0])
        return [world.step([0.5, w]) for w in np.linspace(-2.0, 2.0, 30)]

    np.testing.assert_array_equal(drive(), drive())


@pytest.mark.parametrize('state', [
    [0.8, -0.8, 0.0, 0.0], [0.8, -0.8, 0.0, 0.0, 0.0, 0.0], [0.8, np.nan, 0.0, 0.0, 1.0, 0.0]])
def test_a_state_that_is_none_is_refused(world, state):
    """Shape, numbers and heading are checked."""
    with pytest.raises(InvalidInput):
        world.set_state(state)


def test_the_axes_are_those_of_the_map():
    """A position of its states and one of the maze turn into each other exactly."""
    cells = np.array([[1.0, 5.0], [6.1, 2.3]])

    np.testing.assert_array_equal(ROBOT.from_maze(cells), observation_to_map(cells))
    np.testing.assert_array_equal(ROBOT.to_maze(ROBOT.from_maze(cells)), cells)
    np.testing.assert_array_equal(simulated_robot('point').to_maze(cells), cells)


def test_the_controller_reaches_every_goal():
    """From anywhere, any heading, to anywhere: there, without touching a wall."""
    maze = load_maze('medium')
    world = ROBOT.world(maze)
    rng = np.random.default_rng(0)
    controller = ROBOT.controller(maze, rng)
    for _ in range(10):
        start, goal = (np.array(maze.cells[rng.integers(len(maze.cells))], float) for _ in 'sg')
        goal = ROBOT.from_maze(goal)
        world.set_state(ROBOT.start(start, rng))
        reached = False
        for _ in range(maze.max_episode_steps):
            *twist, reached = controller.action(world.state, goal)
            if reached:
                break
            world.step(twist)
            assert not world.in_contact

        assert reached
        assert np.linalg.norm(world.state[:2] - goal) < 0.1


def test_environment():
    """The registered environment has the robot's spaces and rewards being at the goal."""
    env = gymnasium.make('df_planner/DiffDrive-medium-v1', multi_goal=True,
                         render_mode='rgb_array')
    state, info = env.reset(seed=3)
    assert env.observation_space.contains(state)
    assert env.action_space.high.tolist() == [1.0, 4.0]
    assert not env.unwrapped.place.is_wall(ROBOT.to_maze(state[:2]))

    env.reset(options={'state': [*info['goal'], 0.0, 0.0, 0.0, 1.0], 'goal': info['goal']})
    state, reward, *_, info = env.step(np.array([0.0, 0.0], np.float32))
    assert reward == 1.0 and info['success']
    assert state[4:] == pytest.approx([0.0, 1.0], abs=1e-3)
    assert env.render().shape == (8 * 48, 8 * 48, 3)


def test_an_unknown_robot_is_refused():
    """The error names the robots that there are."""
    with pytest.raises(ConfigError, match='point, diff_drive'):
        simulated_robot('hexapod')
