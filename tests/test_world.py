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

"""The physics: equations of free flight, walls, and the batch against the single ball."""

import numpy as np
import pytest

from df_planner.errors import InvalidInput
from df_planner.robots.kinds import POINT
from df_planner.sim.maze import DT_S
from df_planner.sim.maze import load_maze
from df_planner.sim.world import BatchWorld
from df_planner.sim.world import World


@pytest.fixture
def world():
    return World(load_maze('medium'))


def free_flight(state, action):
    """Return the next state by the closed form: Euler, implicit in the joints' damping."""
    velocity = np.clip(state[2:], -5.0, 5.0)
    force = POINT.max_force_n * np.clip(action, -1.0, 1.0) - velocity
    velocity = velocity + DT_S * force / (POINT.mass_kg + DT_S)
    return np.concatenate((state[:2] + DT_S * velocity, velocity))


def test_free_flight_is_the_closed_form(world):
    rng = np.random.default_rng(0)
    for _ in range(200):
        state = np.concatenate(([4.8, 3.8], rng.uniform(-7.0, 7.0, size=2)))
        action = rng.uniform(-1.5, 1.5, size=2)
        world.set_state(state)
        np.testing.assert_allclose(
            world.step(action), free_flight(state, action), rtol=0, atol=1e-14)
        assert not world.in_contact


def test_set_state_is_read_back_exactly(world):
    state = np.array([1.1, 1.2, 0.3, -0.4])
    world.set_state(state)
    np.testing.assert_array_equal(world.state, state)
    world.state[:] = 0.0
    np.testing.assert_array_equal(world.state, state)


def test_ball_stops_at_the_wall_and_says_so(world):
    world.set_state([0.8, 0.8, 0.0, 0.0])
    assert not world.in_contact
    for _ in range(200):
        state = world.step([-1.0, 0.0])
    assert world.in_contact
    assert state[0] == pytest.approx(0.4, abs=0.01)  # the wall ends at 0.3, the ball has 0.1
    assert abs(state[2]) < 1e-3
    assert state[1] == 0.8


def test_step_depends_on_nothing_but_state_and_action(world):
    rng = np.random.default_rng(1)
    actions = np.repeat(rng.uniform(-1.0, 1.0, size=(60, 2)), 10, axis=0)
    world.set_state([1.0, 1.0, 0.0, 0.0])
    states = [world.state]
    contacts = 0
    for action in actions:
        states.append(world.step(action))
        contacts += world.in_contact
    assert contacts > 50
    other = World(world.place)
    for i in rng.permutation(len(actions)):
        other.set_state(states[i])
        np.testing.assert_array_equal(other.step(actions[i]), states[i + 1])


@pytest.mark.parametrize('name', ['umaze', 'medium', 'large'])
@pytest.mark.parametrize('num_threads', [0, 2])
def test_batch_equals_single_balls_bit_for_bit(name, num_threads):
    maze = load_maze(name)
    rng = np.random.default_rng(2)
    cells = np.array(maze.cells)[rng.integers(len(maze.cells), size=8)]
    states = np.concatenate((cells - 0.2, rng.uniform(-6.0, 6.0, size=(8, 2))), axis=1)
    actions = np.repeat(rng.uniform(-1.5, 1.5, size=(25, 8, 2)), 12, axis=0)
    batch = BatchWorld(maze, 8, num_threads)
    batch.set_states(states)
    singles = [World(maze) for _ in range(8)]
    for world, state in zip(singles, states):
        world.set_state(state)
    contacts = 0
    for action in actions:
        together = batch.step(action)
        apart = np.array([world.step(a) for world, a in zip(singles, action)])
        contacts += sum(world.in_contact for world in singles)
        np.testing.assert_array_equal(together, apart)
    np.testing.assert_array_equal(batch.states, apart)
    assert contacts > 100


@pytest.mark.parametrize('value, cause', [
    ([np.nan, 0.0], 'finite'), ([np.inf, 0.0], 'finite'), ([0.0], 'shape'), (0.0, 'shape'),
    ([[0.0, 0.0]], 'shape')])
def test_bad_actions_and_states_change_nothing(world, value, cause):
    world.set_state([1.0, 1.0, 0.5, 0.5])
    with pytest.raises(InvalidInput, match=f'action must .*{cause}'):
        world.step(value)
    with pytest.raises(InvalidInput, match=f'state must .*(shape|{cause})'):
        world.set_state(value)
    np.testing.assert_array_equal(world.state, [1.0, 1.0, 0.5, 0.5])


def test_batch_rejects_a_wrong_number_of_balls():
    batch = BatchWorld(load_maze('umaze'), 3)
    with pytest.raises(InvalidInput, match=r'states must have shape \(3, 4\), got \(2, 4\)'):
        batch.set_states(np.zeros((2, 4)))
    with pytest.raises(InvalidInput, match='actions must be finite'):
        batch.step(np.full((3, 2), np.nan))
