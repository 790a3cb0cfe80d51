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

"""The Gymnasium environment."""

import copy
import pickle

import gymnasium
from gymnasium.utils.env_checker import check_env
import numpy as np
import pytest

from df_planner.errors import InvalidInput
from df_planner.robots.kinds import ROBOTS
from df_planner.sim import env as maze_env
from df_planner.sim.env import BALL_RGB
from df_planner.sim.env import FLOOR_RGB
from df_planner.sim.env import WALL_RGB
from df_planner.sim.maze import load_maze
from df_planner.sim.maze import MAZE_NAMES


def make(name='medium', **kwargs):
    return gymnasium.make(f'{maze_env.NAMESPACE}/Maze2D-{name}-v1', **kwargs)


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('name', MAZE_NAMES)
@pytest.mark.parametrize('multi_goal', [False, True])
def test_checker_has_nothing_to_say(name, multi_goal):
    env = make(name, multi_goal=multi_goal, render_mode='rgb_array')
    assert env.spec.max_episode_steps == load_maze(name).max_episode_steps
    check_env(env.unwrapped)


def test_episode_is_cut_at_the_limit_and_not_at_the_goal():
    env = make('umaze')
    env.reset(seed=0, options={'state': [1.0, 1.0, 0.0, 0.0]})
    for step in range(1, 301):
        _, reward, terminated, truncated, info = env.step(np.zeros(2))
        assert (reward, terminated, info['success']) == (1.0, False, True)
        assert truncated == (step == 300)


def test_reward_is_that_of_the_new_observation():
    env = make('umaze')
    _, info = env.reset(options={'state': [1.0, 1.51, 0.0, -5.0]})
    assert not info['success']
    state, reward, *_ = env.step(np.zeros(2))
    assert state[1] < 1.5
    assert reward == 1.0
    dense = make('umaze', dense=True)
    dense.reset(options={'state': [1.0, 1.51, 0.0, -5.0]})
    state, reward, *_ = dense.step(np.zeros(2))
    assert reward == pytest.approx(np.exp(-(state[1] - 1.0)))


def test_starts_and_goals_cover_all_cells():
    env = make('medium', multi_goal=True)
    starts, goals = [], []
    for seed in range(400):
        state, info = env.reset(seed=seed)
        starts.append(state)
        goals.append(info['goal'])
    for positions in (np.array(starts)[:, :2], np.array(goals)):
        cells = np.rint(positions)
        assert np.abs(positions - cells).max() <= 0.1
        assert {tuple(cell) for cell in cells} == set(load_maze('medium').cells)
    assert 0.08 < np.std([state[2:] for state in starts]) < 0.12
    assert (np.rint(starts)[:, :2] != np.rint(goals)).any()


def test_single_task_keeps_the_goal_of_the_maze():
    env = make('medium')
    for seed in range(5):
        np.testing.assert_array_equal(env.reset(seed=seed)[1]['goal'], [6.0, 6.0])


def test_reset_options_fix_state_and_goal():
    env = make('medium')
    state, info = env.reset(options={'state': [1.0, 1.0, 2.0, 3.0], 'goal': [1.0, 2.1]})
    np.testing.assert_array_equal(state, [1.0, 1.0, 2.0, 3.0])
    np.testing.assert_array_equal(info['goal'], [1.0, 2.1])
    np.testing.assert_array_equal(env.reset()[1]['goal'], [6.0, 6.0])


@pytest.mark.parametrize('options, cause', [
    ({'goal': [0.0, 0.0]}, 'free position'), ({'goal': [np.nan, 1.0]}, 'free position'),
    ({'goal': [1.0]}, 'free position'), ({'state': [1.0, 1.0]}, 'shape'),
    ({'start': [1.0, 1.0]}, 'takes the options')])
def test_bad_reset_options_are_refused(options, cause):
    with pytest.raises(InvalidInput, match=cause):
        make('medium').reset(options=options)


def test_a_step_before_the_first_reset_is_refused():
    env = maze_env.Maze2DEnv('umaze')
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(np.zeros(2))
    env.reset()
    env.step(np.zeros(2))


def test_unknown_render_mode_is_refused():
    with pytest.raises(InvalidInput, match='render_mode'):
        maze_env.Maze2DEnv('umaze', render_mode='human')


def test_picture_shows_walls_floor_and_ball_where_they_are():
    env = make('umaze', render_mode='rgb_array')
    env.reset(options={'state': [3.0, 1.0, 0.0, 0.0]})
    picture = env.render()
    assert picture.dtype == np.uint8
    rows, columns = load_maze('umaze').walls.shape
    assert picture.shape == (48 * rows, 48 * columns, 3)

    def pixel(row, column):
        return tuple(picture[int((row + 0.7) * 48), int((column + 0.7) * 48)])

    assert pixel(2.0, 1.0) == WALL_RGB
    assert pixel(3.0, 2.0) == FLOOR_RGB
    assert pixel(3.0, 1.0) == BALL_RGB
    assert pixel(1.0, 1.0) not in (WALL_RGB, FLOOR_RGB, BALL_RGB)
    assert make('umaze').unwrapped.render() is None


@pytest.mark.parametrize('duplicate', [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))],
                         ids=['deepcopy', 'pickle'])
@pytest.mark.parametrize('family', [kind.family for kind in ROBOTS.values()])
def test_a_copy_goes_on_as_the_original_and_apart_from_it(family, duplicate):
    env = gymnasium.make(f'{maze_env.NAMESPACE}/{family}-umaze-v1', multi_goal=True)
    env.reset(seed=1)
    push = env.action_space.high * [0.5, *[0.3] * (len(env.action_space.high) - 1)]

    def drive(env, steps):
        return np.array([env.step(push)[0] for _ in range(steps)])

    drive(env, 60)  # into a wall, where contacts have a history
    twin, still = duplicate(env), duplicate(env)
    rows = drive(env, 60)
    assert np.ptp(rows, axis=0).max() > 0.01
    np.testing.assert_array_equal(drive(twin, 60), rows)
    assert env.unwrapped.goal.tolist() == twin.unwrapped.goal.tolist()
    np.testing.assert_array_equal(drive(still, 1)[0], rows[0])
    for one, other in zip(env.reset()[:1], twin.reset()[:1]):  # the generator is copied, too
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(drive(env, 60), drive(twin, 60))


def test_runs_in_a_vector():
    envs = gymnasium.make_vec(f'{maze_env.NAMESPACE}/Maze2D-umaze-v1', num_envs=3)
    observations, _ = envs.reset(seed=0)
    assert observations.shape == (3, 4)
    assert envs.step(np.zeros((3, 2), dtype=np.float32))[1].shape == (3,)
    envs.close()
