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

"""Long logs are mapped from a checked copy: the same data, in little memory, and never stale."""

import subprocess
import sys

import h5py
import numpy as np
import pytest
from small_log import save_dataset

from df_planner.data import d4rl
from df_planner.data.d4rl import load_dataset
from df_planner.data.windows import Windows
from df_planner.errors import DatasetError
from df_planner.sim.generate import generate

ROWS = 30_000
LONG_ROWS = 4_000_000
MEMORY_CODE = '''
import sys
from pathlib import Path
import numpy as np
from df_planner.data.d4rl import load_dataset
from df_planner.data.windows import Windows

def mib():
    """Return this process's own memory, now; mapped pages belong to the kernel."""
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith('RssAnon')) / 1024

before = mib()
dataset = load_dataset(sys.argv[1])
assert isinstance(dataset.observations.base, np.memmap), 'is not mapped'
windows = Windows(dataset.observations, dataset.actions, dataset.episode_starts, 10)
windows.draw(64, 48, np.random.default_rng(0))
print(len(dataset), mib() - before)
'''


@pytest.fixture(scope='module')
def log(tmp_path_factory):
    """Return a generated file, stale rows included."""
    path = tmp_path_factory.mktemp('log') / 'umaze.hdf5'
    return generate('umaze', ROWS, seed=5, progress=False, out=path)


@pytest.fixture
def map_all(monkeypatch):
    """Map logs of any length, in blocks that do not divide them."""
    monkeypatch.setattr(d4rl, 'MAP_FROM_ROWS', 0)
    monkeypatch.setattr(d4rl, 'BLOCK_ROWS', 7001)


def copy_of(log, kind='repaired'):
    """Return where the copy of a log lies."""
    return log.with_name(f'.{log.name}.{kind}')


def is_mapped(dataset):
    """Tell whether a data set's arrays are mapped."""
    return isinstance(dataset.observations.base, np.memmap)


@pytest.fixture
def own_log(log, tmp_path):
    """Return a log of this test alone."""
    path = tmp_path / 'own.hdf5'
    path.write_bytes(log.read_bytes())
    return path


@pytest.mark.parametrize('repair', [True, False])
def test_mapped_and_read_are_the_same(own_log, repair, request):
    read = load_dataset(own_log, repair)
    assert not is_mapped(read)
    request.getfixturevalue('map_all')
    for _ in range(2):  # the copy is made, then used
        mapped = load_dataset(own_log, repair)
        assert is_mapped(mapped) and copy_of(
            own_log, 'repaired' if repair else 'unrepaired').is_file()
        for name in ('observations', 'actions', 'rewards', 'terminals', 'timeouts', 'goals',
                     'episode_starts'):
            one, other = getattr(read, name), getattr(mapped, name)
            assert one.dtype == other.dtype, name
            np.testing.assert_array_equal(one, other, err_msg=name)
        assert mapped.num_repaired == read.num_repaired == (repair and read.num_repaired)
        assert (mapped.sha256, mapped.attributes) == (read.sha256, read.attributes)
    assert len(load_dataset(own_log, repair)) == ROWS


def test_windows_of_a_mapped_log_are_the_same_and_no_copies(own_log, request):
    read = load_dataset(own_log)
    request.getfixturevalue('map_all')
    mapped = load_dataset(own_log)
    drawn = []
    for dataset in (read, mapped):
        windows = Windows(dataset.observations, dataset.actions, dataset.episode_starts, 10)
        assert np.shares_memory(windows.states, dataset.observations)
        assert np.shares_memory(windows.actions, dataset.actions)
        drawn.append(windows.draw(50, 24, np.random.default_rng(1)))
    np.testing.assert_array_equal(*drawn)
    assert not mapped.observations.flags.writeable


@pytest.mark.usefixtures('map_all')
def test_a_changed_log_gets_a_new_copy(own_log):
    before = load_dataset(own_log)
    first = before.observations[:5].copy()
    generate('umaze', 500, seed=6, progress=False, out=own_log)
    after = load_dataset(own_log)
    assert is_mapped(after) and len(after) == 500
    assert not np.array_equal(after.observations[:5], first)
    np.testing.assert_array_equal(before.observations[:5], first)  # who has it open keeps it
    assert sorted(path.name for path in own_log.parent.iterdir()) == sorted(
        [own_log.name, copy_of(own_log).name])


@pytest.mark.usefixtures('map_all')
@pytest.mark.parametrize('share', [0.0, 0.3, 0.9, 0.999])
def test_a_broken_copy_is_made_anew(own_log, share):
    load_dataset(own_log)
    content = copy_of(own_log).read_bytes()
    copy_of(own_log).write_bytes(content[:int(share * len(content))])
    assert is_mapped(load_dataset(own_log))
    assert copy_of(own_log).stat().st_size == len(content)


@pytest.mark.usefixtures('map_all')
def test_without_a_place_for_the_copy_it_is_read(own_log, caplog):
    copy_of(own_log).mkdir()  # a folder in its place cannot be replaced, not even by root
    dataset = load_dataset(own_log)
    assert len(dataset) == ROWS and not is_mapped(dataset)
    assert 'cannot be written' in caplog.text and 'read into memory' in caplog.text
    assert not list(own_log.parent.glob('*.part'))


@pytest.mark.usefixtures('map_all')
def test_errors_are_the_same_and_leave_no_copy(own_log):
    with h5py.File(own_log, 'r+') as file:
        file['infos/qvel'][ROWS - 1] = np.nan
    with pytest.raises(DatasetError, match=f'infos/qvel .* first in row {ROWS - 1}'):
        load_dataset(own_log)
    assert list(own_log.parent.iterdir()) == [own_log]


@pytest.mark.usefixtures('map_all')
def test_an_interruption_leaves_no_copy(own_log, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt
    monkeypatch.setattr(d4rl, 'find_episode_starts', interrupt)
    with pytest.raises(KeyboardInterrupt):
        load_dataset(own_log)
    assert list(own_log.parent.iterdir()) == [own_log]


def test_a_long_log_takes_little_memory(tmp_path):
    """Four million rows, 152 MB of arrays: made into a copy, then opened, in fresh processes."""
    path = tmp_path / 'long.hdf5'
    states = np.zeros((LONG_ROWS, 4), np.float32)
    states[:, 0] = np.sin(np.arange(LONG_ROWS) * 1e-3)
    save_dataset(path, {
        'observations': states, 'actions': states[:, :2], 'rewards': states[:, 0],
        'terminals': np.zeros(LONG_ROWS, bool), 'infos/qpos': states[:, :2],
        'infos/qvel': states[:, 2:]})
    for bound_mib in (50, 25):
        rows, mib = subprocess.run(
            [sys.executable, '-c', MEMORY_CODE, str(path)], check=True, capture_output=True,
            text=True).stdout.split()
        assert int(rows) == LONG_ROWS
        assert float(mib) < bound_mib, f'{mib} MiB, all arrays are 145 MiB'
