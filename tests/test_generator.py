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

"""The data generator and the controller that drives it."""

import os
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from df_planner.data.d4rl import load_dataset
from df_planner.data.d4rl import row_shapes_of
from df_planner.errors import ConfigError
from df_planner.errors import InvalidInput
from df_planner.sim.controllers import WaypointController
from df_planner.sim.generate import default_path
from df_planner.sim.generate import generate
from df_planner.sim.maze import load_maze
from df_planner.sim.maze import MAZE_NAMES
from df_planner.sim.maze import next_cells
from df_planner.sim.world import World

# Published statistics of D4RL's own files: standard deviation of observations and actions, mean
# reward, timeouts per step (known for umaze only), and the tolerances, which are four standard
# deviations over seeds at 300000 steps.
PUBLISHED = {
    'umaze': ([0.8997, 0.7093, 2.2129, 2.4682, 0.7043, 0.7506, 0.08125, 0.012459],
              [0.0080, 0.0140, 0.0640, 0.0560, 0.0075, 0.0075, 0.0080, 0.0006]),
    'medium': ([1.3371, 1.5210, 2.3408, 2.3694, 0.7398, 0.7459, 0.02367, np.nan],
               [0.0400, 0.0400, 0.0300, 0.0250, 0.0030, 0.0040, 0.0080, np.nan])}


def statistics(path):
    dataset = load_dataset(path, repair=False)
    return np.concatenate((
        dataset.observations.std(axis=0, dtype=float), dataset.actions.std(axis=0, dtype=float),
        [dataset.rewards.mean(dtype=float), dataset.timeouts.mean()]))


@pytest.mark.parametrize('name', PUBLISHED)
def test_statistics_are_those_of_the_published_files(tmp_path, name):
    path = generate(name, 300_000, seed=1, progress=False, out=tmp_path / 'data.hdf5')
    expected, tolerance = np.array(PUBLISHED[name])
    known = ~np.isnan(expected)
    error = np.abs(statistics(path) - expected)[known]
    assert (error < tolerance[known]).all(), error / tolerance[known]


def test_statistics_tell_data_without_noise_apart(tmp_path):
    path = generate(
        'umaze', 300_000, seed=1, noise_std=0.0, progress=False, out=tmp_path / 'data.hdf5')
    expected, tolerance = np.array(PUBLISHED['umaze'])
    error = np.abs(statistics(path) - expected)
    assert np.count_nonzero(error > tolerance) >= 5


def test_file_has_the_keys_and_dtypes_of_d4rl(tmp_path):
    path = generate('medium', 3000, seed=0, progress=False, out=tmp_path / 'data.hdf5')
    with h5py.File(path) as file:
        for key, shape in row_shapes_of().items():
            assert file[key].shape == (3000, *shape)
            flag = key in ('terminals', 'timeouts')
            assert file[key].dtype == (np.bool_ if flag else np.float32)
            assert file[key].compression == 'gzip'
        assert not file['terminals'][:].any()
        assert file['timeouts'][:].any()
        goal = np.linalg.norm(file['observations'][:, :2] - [6.0, 6.0], axis=1) <= 0.5
        np.testing.assert_array_equal(file['rewards'][:], goal)


def test_actions_lead_from_state_to_state(tmp_path):
    path = generate('umaze', 2000, seed=5, progress=False, out=tmp_path / 'data.hdf5')
    dataset = load_dataset(path)
    world = World(load_maze('umaze'))
    for t in range(len(dataset) - 1):
        world.set_state(dataset.observations[t])
        np.testing.assert_allclose(
            world.step(dataset.actions[t]), dataset.observations[t + 1], atol=1e-4)


def test_goals_change_only_when_reached_and_include_the_goal_cell(tmp_path):
    path = generate('umaze', 30_000, seed=0, progress=False, out=tmp_path / 'data.hdf5')
    dataset = load_dataset(path)
    changed = np.any(np.diff(dataset.goals, axis=0) != 0.0, axis=1)
    np.testing.assert_array_equal(changed, dataset.timeouts[:-1])
    cells = np.rint(dataset.goals)
    assert {tuple(cell) for cell in cells} == set(load_maze('umaze').cells)
    seen = load_dataset(path, repair=False).observations
    reached = np.linalg.norm(seen[:, :2] - cells, axis=1)[dataset.timeouts]
    assert reached.max() < 0.1


def test_same_seed_same_data(tmp_path):
    paths = [generate('umaze', n, seed=seed, progress=False, out=tmp_path / f'{n}{seed}.hdf5')
             for n, seed in ((20_000, 0), (20_000, 0), (17_000, 0), (20_000, 1))]
    first, again, shorter, other = [load_dataset(path) for path in paths]
    np.testing.assert_array_equal(first.observations, again.observations)
    np.testing.assert_array_equal(first.actions[:16_384], shorter.actions[:16_384])
    assert (first.observations != other.observations).mean() > 0.9


def test_repair_switch_writes_no_stale_row(tmp_path):
    path = generate('umaze', 5000, seed=0, repair_stale=True, progress=False,
                    out=tmp_path / 'data.hdf5')
    dataset = load_dataset(path)
    assert dataset.timeouts.sum() > 20
    assert dataset.num_repaired == 0
    assert dataset.attributes['repair_stale']


def test_ctrl_c_leaves_nothing_half_written(tmp_path):
    path = tmp_path / 'data.hdf5'
    code = ('import sys; from df_planner.sim.generate import generate; '
            'generate("large", 100_000_000, out=sys.argv[1])')
    process = subprocess.Popen(
        [sys.executable, '-c', code, str(path)], stderr=subprocess.PIPE, text=True,
        env={**os.environ, 'PYTHONUNBUFFERED': '1'})
    deadline = time.monotonic() + 60.0
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [p.suffix for p in tmp_path.iterdir()] == ['.part']
    time.sleep(0.3)
    # Python loses a Ctrl-C that comes while it clears a weak reference of h5py: press it again.
    for _ in range(10):
        process.send_signal(signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=6)
            break
        except subprocess.TimeoutExpired:
            continue
    assert process.returncode not in (None, 0)
    assert 'large data' in errors
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('arguments, error', [
    ({'maze': 'colossal', 'num_steps': 10}, ConfigError),
    ({'maze': 'umaze', 'num_steps': 1}, InvalidInput),
    ({'maze': 'umaze', 'num_steps': 10, 'noise_std': -0.1}, InvalidInput),
    ({'maze': 'umaze', 'num_steps': 10, 'noise_std': float('nan')}, InvalidInput)])
def test_bad_arguments_write_nothing(tmp_path, arguments, error):
    with pytest.raises(error):
        generate(**arguments, progress=False, out=tmp_path / 'data.hdf5')
    assert not list(tmp_path.iterdir())


def test_default_path_is_named_after_the_maze():
    assert str(default_path('medium')) == 'data/maze2d-medium.hdf5'
    assert str(default_path('some/where/room.yaml')) == 'data/maze2d-room.hdf5'


def breadth_first_distances(maze, goal):
    distances, frontier = {goal: 0}, [goal]
    while frontier:
        cell = frontier.pop(0)
        for step in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            other = (cell[0] + step[0], cell[1] + step[1])
            if not maze.walls[other] and other not in distances:
                distances[other] = distances[cell] + 1
                frontier.append(other)
    return distances


@pytest.mark.parametrize('name', MAZE_NAMES)
def test_values_lead_along_shortest_ways(name):
    maze = load_maze(name)
    for goal in maze.cells:
        distances = breadth_first_distances(maze, goal)
        step = next_cells(maze, goal)
        assert step[goal] == goal
        for cell in maze.cells:
            if cell != goal:
                assert distances[step[cell]] == distances[cell] - 1


@pytest.mark.parametrize('name', ['umaze', 'medium', 'large'])
def test_controller_reaches_every_goal_and_brakes(name):
    maze = load_maze(name)
    world = World(maze)
    controller = WaypointController(maze, np.random.default_rng(0))
    for goal in maze.cells:
        controller.reset()
        world.set_state([1.0, 1.0, 0.0, 0.0])
        for _ in range(maze.max_episode_steps):
            row_action, column_action, reached = controller.action(world.state.tolist(), goal)
            if reached:
                break
            world.step([row_action, column_action])
        assert reached
        assert np.linalg.norm(world.state[:2] - goal) < 0.1
