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

"""Loading and saving data sets, and what is said about bad ones."""

import subprocess
import sys

import h5py
import numpy as np
import pytest
from small_log import save_dataset

from df_planner.data.d4rl import dataset_writer
from df_planner.data.d4rl import file_sha256
from df_planner.data.d4rl import find_episode_starts
from df_planner.data.d4rl import load_dataset
from df_planner.data.d4rl import row_shapes_of
from df_planner.errors import DatasetError
from df_planner.robots.signals import MAZE2D
from df_planner.sim.generate import generate


@pytest.fixture(scope='module')
def generated(tmp_path_factory):
    """Return a generated file of 20000 rows, stale ones included."""
    path = tmp_path_factory.mktemp('data') / 'umaze.hdf5'
    return generate('umaze', 20_000, seed=3, progress=False, out=path)


@pytest.fixture
def arrays(generated):
    with h5py.File(generated) as file:
        return {key: file[key][:] for key in row_shapes_of()}


@pytest.fixture
def write(tmp_path, arrays):
    """Write the generated arrays with some replaced, or left out where the replacement is None."""
    def write(**changes):
        path = tmp_path / 'changed.hdf5'
        changes = {key.replace('__', '/'): value for key, value in changes.items()}
        with h5py.File(path, 'w') as file:
            for key, value in {**arrays, **changes}.items():
                if value is not None:
                    file[key] = value
        return path
    return write


def test_repair_shows_the_true_state_in_stale_rows(generated, arrays):
    stale = load_dataset(generated, repair=False)
    np.testing.assert_array_equal(stale.observations, arrays['observations'])
    assert stale.num_repaired == 0
    after_goal = np.flatnonzero(stale.timeouts[:-1]) + 1
    assert len(after_goal) > 150
    np.testing.assert_array_equal(
        stale.observations[after_goal], stale.observations[after_goal - 1])

    repaired = load_dataset(generated)
    changed = np.flatnonzero((repaired.observations != stale.observations).any(axis=1))
    np.testing.assert_array_equal(changed, after_goal)
    assert repaired.num_repaired == len(after_goal)
    # A true state follows from the one before: the position moves by the new velocity.
    moved = np.diff(repaired.observations[:, :2].astype(float), axis=0)
    np.testing.assert_allclose(moved, 0.01 * repaired.observations[1:, 2:], atol=1e-5)


def test_dtypes_attributes_and_hash(generated):
    dataset = load_dataset(generated)
    assert len(dataset) == 20_000
    for array in (dataset.observations, dataset.actions, dataset.rewards, dataset.goals):
        assert array.dtype == np.float32
    assert dataset.terminals.dtype == dataset.timeouts.dtype == bool
    assert dataset.attributes['maze'] == 'umaze'
    assert dataset.attributes['seed'] == 3
    assert dataset.sha256 == file_sha256(generated)
    np.testing.assert_array_equal(dataset.episode_starts, [0])


def test_save_and_load_round_trip(tmp_path, arrays):
    path = tmp_path / 'new' / 'copy.hdf5'
    save_dataset(path, arrays, {'maze': 'umaze'})
    dataset = load_dataset(path, repair=False)
    np.testing.assert_array_equal(dataset.observations, arrays['observations'])
    np.testing.assert_array_equal(dataset.goals, arrays['infos/goal'])
    assert dataset.attributes == {'maze': 'umaze'}
    assert [p.name for p in path.parent.iterdir()] == ['copy.hdf5']


def test_optional_keys_may_be_missing(write):
    dataset = load_dataset(write(
        timeouts=None, infos__goal=None, infos__qpos=None, infos__qvel=None))
    assert dataset.goals is None
    assert not dataset.timeouts.any()
    assert dataset.num_repaired == 0


def test_file_as_d4rl_lays_it_out(write, arrays):
    """Metadata groups beside the arrays, float64 rewards of a relabelled file."""
    path = write(rewards=arrays['rewards'].astype(np.float64),
                 metadata__algorithm=np.bytes_('waypoint'), infos__extra=np.zeros((3, 3)))
    assert load_dataset(path).rewards.dtype == np.float32


def test_episode_starts_are_at_jumps_and_after_terminals(write, arrays):
    states = arrays['infos/qpos'].copy()
    states[5000:] += 1.0
    terminals = arrays['terminals'].copy()
    terminals[[99, 19_999]] = True
    dataset = load_dataset(write(infos__qpos=states, terminals=terminals))
    np.testing.assert_array_equal(dataset.episode_starts, [0, 100, 5000])
    assert dataset.episode_starts.dtype == np.int64


def test_full_speed_is_not_a_jump_even_over_a_stale_row():
    step = 0.0523 * np.ones(2)
    observations = np.zeros((4, 4))
    observations[1:, :2] = [step, step, 3 * step]
    np.testing.assert_array_equal(
        find_episode_starts(observations, np.zeros(4, bool), MAZE2D.max_step_m), [0])


def with_nan(array, row):
    array = array.copy()
    array[row] = np.nan
    return array


@pytest.mark.parametrize('key, change, cause', [
    ('observations', lambda a: None, 'key observations is missing; the file has actions'),
    ('actions', lambda a: None, 'key actions is missing'),
    ('rewards', lambda a: None, 'key rewards is missing'),
    ('terminals', lambda a: None, 'key terminals is missing'),
    ('observations', lambda a: a[:, :3], r'observations must have shape \(N, 4\), got'),
    ('observations', lambda a: np.float32(1.0), r'observations must have shape'),
    ('observations', lambda a: a.astype(np.int32), 'observations must be of dtype float'),
    ('rewards', lambda a: a[:, None], 'rewards must have shape'),
    ('terminals', lambda a: a.astype(np.float32), 'terminals must be of dtype bool'),
    ('actions', lambda a: a[:-1], 'actions has 19999 rows, observations 20000'),
    ('actions', lambda a: 2 * a, r'actions must be in \[-1, 1\]'),
    ('actions', lambda a: a.astype('S8'), 'actions must be of dtype float'),
    ('observations', lambda a: with_nan(a, 7), 'observations .* not finite, first in row 7'),
    ('infos/qvel', lambda a: with_nan(a, 19_999), 'infos/qvel .* first in row 19999'),
    ('infos/qpos', lambda a: a[:5], 'infos/qpos has 5 rows')])
def test_bad_content_is_named(write, arrays, key, change, cause):
    path = write(**{key.replace('/', '__'): change(arrays[key])})
    with pytest.raises(DatasetError, match=cause) as error:
        load_dataset(path)
    assert str(error.value).startswith(f'{path}: ')
    assert '\n' not in str(error.value)


def test_group_in_place_of_an_array(tmp_path, arrays):
    path = tmp_path / 'group.hdf5'
    with h5py.File(path, 'w') as file:
        file.create_group('observations')
        for key in ('actions', 'rewards', 'terminals'):
            file[key] = arrays[key]
    with pytest.raises(DatasetError, match='observations is a group'):
        load_dataset(path)


@pytest.mark.parametrize('rows', [0, 1])
def test_too_short_file(write, arrays, rows):
    path = write(**{key.replace('/', '__'): value[:rows] for key, value in arrays.items()})
    with pytest.raises(DatasetError, match='at least 2 rows'):
        load_dataset(path)


@pytest.mark.parametrize('share', [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_truncated_file(generated, tmp_path, share):
    content = generated.read_bytes()
    path = tmp_path / 'cut.hdf5'
    path.write_bytes(content[:int(share * len(content))])
    with pytest.raises(DatasetError, match='cut.hdf5: truncated or not HDF5'):
        load_dataset(path)


def test_flipped_bytes_are_noticed(generated, tmp_path):
    content = bytearray(generated.read_bytes())
    middle = len(content) // 2
    content[middle:middle + 4096] = bytes(4096)
    path = tmp_path / 'flipped.hdf5'
    path.write_bytes(content)
    with pytest.raises(DatasetError, match='flipped.hdf5'):
        load_dataset(path)


def test_a_log_that_is_taken_for_one_of_maze2d_and_moves_otherwise_is_told(
        write, arrays, generated, caplog):
    load_dataset(generated)
    assert not caplog.records
    rows = np.arange(0, 20_000, 5)  # 20 Hz
    load_dataset(write(**{key.replace('/', '__'): array[rows] for key, array in arrays.items()}))
    assert 'taken for one of Maze2D, but row moves' in caplog.text
    assert '`df_planner data import` it with --config' in caplog.text


def test_a_file_that_another_process_writes(generated, tmp_path):
    path = tmp_path / 'log.hdf5'
    path.write_bytes(generated.read_bytes())
    writer = subprocess.Popen(
        [sys.executable, '-c', 'import h5py, sys\nwith h5py.File(sys.argv[1], "r+"):\n'
         '    print("open", flush=True)\n    sys.stdin.read()', path],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert writer.stdout.readline() == b'open\n'
        with pytest.raises(DatasetError, match='log.hdf5: another process has it open for writ'):
            load_dataset(path)
    finally:
        writer.communicate()
    assert len(load_dataset(path)) == 20_000


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(DatasetError, match='none.hdf5: no such file'):
        load_dataset(tmp_path / 'none.hdf5')
    with pytest.raises(DatasetError, match='no such file'):
        load_dataset(tmp_path)


@pytest.mark.parametrize(('name', 'fix'), [
    ('data/maze2d-medium.hdf5', '; `df_planner data generate --maze medium` makes it'),
    ('data/diff_drive-large.hdf5',
     '; `df_planner data generate --maze large --robot diff_drive` makes it'),
    ('logs/maze2d-eval-umaze.hdf5',
     '; `df_planner data generate --maze eval-umaze --out logs/maze2d-eval-umaze.hdf5` makes it'),
    ('data/maze2d-mine.hdf5', ''),
])
def test_how_to_make_what_is_not_there(tmp_path, monkeypatch, name, fix):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DatasetError) as caught:
        load_dataset(name)
    assert str(caught.value) == f'{name}: no such file{fix}'


def test_writer_leaves_nothing_behind_when_it_fails(tmp_path, arrays):
    path = tmp_path / 'data.hdf5'
    path.write_text('precious')
    with pytest.raises(KeyboardInterrupt), dataset_writer(path, 100) as write:
        write(0, {key: value[:50] for key, value in arrays.items()})
        raise KeyboardInterrupt
    assert path.read_text() == 'precious'
    assert list(tmp_path.iterdir()) == [path]


def test_writer_refuses_wrong_keys(tmp_path, arrays):
    with pytest.raises(DatasetError, match=r"unknown keys \['extra'\], missing \[\]"):
        save_dataset(tmp_path / 'a.hdf5', {**arrays, 'extra': arrays['rewards']})
    del arrays['actions']
    with pytest.raises(DatasetError, match=r"missing \['actions'\]"):
        save_dataset(tmp_path / 'a.hdf5', arrays)
    assert not list(tmp_path.iterdir())
