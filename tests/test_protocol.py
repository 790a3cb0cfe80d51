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

"""The fixed starts of an evaluation."""

import numpy as np
import pytest

from df_planner.errors import InvalidInput
from df_planner.evaluation.protocol import load_starts
from df_planner.evaluation.protocol import sample_starts
from df_planner.evaluation.protocol import save_starts
from df_planner.evaluation.protocol import Starts
from df_planner.sim.maze import load_maze


def test_starts_have_the_distribution_of_the_reset():
    maze = load_maze('medium')
    starts = sample_starts(maze, 4000, seed=1)
    cells = np.round(starts.state[:, :2])
    offset = starts.state[:, :2] - cells
    velocity = starts.state[:, 2:]
    counts = {cell: int((cells == cell).all(axis=1).sum()) for cell in maze.cells}
    assert sum(counts.values()) == 4000
    assert min(counts.values()) > 4000 / 26 * 0.7 and max(counts.values()) < 4000 / 26 * 1.3
    assert np.abs(offset).max() <= 0.1
    assert offset.std() == pytest.approx(0.2 / np.sqrt(12), rel=0.03)
    assert np.abs(offset.mean(axis=0)).max() < 0.003
    assert velocity.std() == pytest.approx(0.1, rel=0.03)
    assert np.abs(velocity).max() > 0.25
    assert (starts.goal == maze.goal_cell).all()


def test_multi_goal_draws_the_goal_near_any_cell():
    maze = load_maze('medium')
    single = sample_starts(maze, 500, seed=3)
    multi = sample_starts(maze, 500, seed=3, multi_goal=True)
    assert np.array_equal(single.state, multi.state)
    goal_cells = {tuple(cell) for cell in np.round(multi.goal)}
    assert goal_cells == set(maze.cells)
    offset = multi.goal - np.round(multi.goal)
    assert 0.09 < np.abs(offset).max() <= 0.1


def test_an_episode_does_not_depend_on_how_many_there_are():
    maze = load_maze('umaze')
    few = sample_starts(maze, 3, seed=7)
    many = sample_starts(maze, 30, seed=7)
    assert np.array_equal(few.state, many.state[:3])
    assert np.array_equal(many.head(3).state, few.state)
    assert not np.array_equal(sample_starts(maze, 3, seed=8).state, few.state)


def test_save_and_load_is_exact(tmp_path):
    starts = sample_starts(load_maze('large'), 5, seed=0, multi_goal=True)
    path = tmp_path / 'deep' / 'starts.npz'
    save_starts(path, starts)
    loaded = load_starts(path)
    assert np.array_equal(loaded.state, starts.state)
    assert np.array_equal(loaded.goal, starts.goal)
    assert [file.name for file in path.parent.iterdir()] == ['starts.npz']


def _arrays(**changes):
    arrays = {'state': np.zeros((2, 4)), 'goal': np.zeros((2, 2))}
    arrays.update(changes)
    return {key: value for key, value in arrays.items() if value is not None}


@pytest.mark.parametrize(('changes', 'message'), [
    ({'goal': None}, 'must hold the arrays state and goal'),
    ({'state': np.zeros((2, 3))}, r'state must have shape \(N, 4\), got \(2, 3\)'),
    ({'goal': np.zeros(2)}, r'goal must have shape \(N, 2\)'),
    ({'goal': np.array([[0.0, np.nan], [1.0, 1.0]])}, 'goal must be finite.*row 0'),
    ({'goal': np.zeros((3, 2))}, 'same number of rows, got 2 and 3'),
    ({'state': np.zeros((0, 4)), 'goal': np.zeros((0, 2))}, 'at least one row'),
    ({'state': np.full((2, 4), 'x')}, 'state must hold numbers'),
    ({'state': np.array([[None] * 4] * 2)}, 'cannot be read'),
])
def test_a_bad_starts_file_is_named_with_its_fault(tmp_path, changes, message):
    path = tmp_path / 'bad.npz'
    np.savez(path, **_arrays(**changes))
    with pytest.raises(InvalidInput, match=message) as caught:
        load_starts(path)
    assert str(path) in str(caught.value) and '\n' not in str(caught.value)


@pytest.mark.parametrize('content', [None, b'', b'not an archive', b'PK\x03\x04 cut short'])
def test_a_file_that_is_no_archive_is_a_typed_error(tmp_path, content):
    path = tmp_path / 'starts.npz'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidInput, match='cannot be read'):
        load_starts(path)


def test_a_single_npy_array_is_a_typed_error(tmp_path):
    path = tmp_path / 'starts.npz'
    with open(path, 'wb') as file:
        np.save(file, np.zeros((2, 4)))
    with pytest.raises(InvalidInput, match='cannot be read'):
        load_starts(path)


def test_starts_in_walls_are_named():
    maze = load_maze('umaze')
    good = sample_starts(maze, 4, seed=0)
    good.check_inside(maze)
    state = good.state.copy()
    state[2, :2] = (0.0, 0.0)
    with pytest.raises(InvalidInput, match='state in row 2'):
        Starts(state, good.goal).check_inside(maze)
    goal = good.goal.copy()
    goal[1] = (99.0, 1.0)
    with pytest.raises(InvalidInput, match='goal in row 1'):
        Starts(good.state, goal).check_inside(maze)


@pytest.mark.parametrize(('episodes', 'seed'), [(0, 0), (-1, 0), (1, -1)])
def test_bad_counts_and_seeds_are_rejected(episodes, seed):
    with pytest.raises(InvalidInput):
        sample_starts(load_maze('umaze'), episodes, seed)


def test_head_needs_enough_starts():
    starts = sample_starts(load_maze('umaze'), 2, seed=0)
    with pytest.raises(InvalidInput, match=r'1\.\.2'):
        starts.head(3)
