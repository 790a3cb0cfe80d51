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

"""Training on a log that is longer than what it may take of the memory."""

from pathlib import Path
import subprocess
import sys

import h5py
import numpy as np
from own_memory import own_mib
from own_memory import own_peak
import pytest
from small_training import write_config

from df_planner.data.d4rl import Dataset
from df_planner.data.d4rl import FLAG_KEYS
from df_planner.data.d4rl import load_dataset
from df_planner.data.d4rl import MAP_FROM_ROWS
from df_planner.data.d4rl import row_shapes_of
from df_planner.robots.signals import ATTRIBUTE
from df_planner.sim.generate import generate

LONG_ROWS = 2_000_000
BOUND_MIB = 20.0
BLOCK_ROWS = 262144
OBSERVATION_NOISE, ACTION_NOISE = 1e-3, 1e-2  # standard deviations, in the units of the log


def write_long_log(source: Dataset, num_rows: int, path: Path, seed: int = 0) -> None:
    """
    Write ``num_rows`` rows that repeat a log, not compressed, which would take long.

    Every repetition is a stretch of its own, because the robot jumps back to where the log begins,
    and differs from the others by noise.
    """
    arrays = {'observations': source.observations, 'actions': source.actions,
              'rewards': source.rewards, 'terminals': source.terminals,
              'timeouts': source.timeouts}
    shapes = row_shapes_of(source.signals)
    random = np.random.default_rng(seed)
    with h5py.File(path, 'w') as file:
        for key in arrays:
            file.create_dataset(key, (num_rows, *shapes[key]),
                                bool if key in FLAG_KEYS else np.float32)
        file.attrs.update(source.attributes)
        file.attrs['repeated_sha256'] = source.sha256
        file.attrs[ATTRIBUTE] = source.signals.model_dump_json()
        written = 0
        while written < num_rows:
            first = written % len(source)
            count = min(BLOCK_ROWS, len(source) - first, num_rows - written)
            block = {key: array[first:first + count] for key, array in arrays.items()}
            for key, noise in (('observations', OBSERVATION_NOISE), ('actions', ACTION_NOISE)):
                block[key] = block[key] + noise * random.standard_normal(
                    block[key].shape, dtype=np.float32)
            block['actions'] = block['actions'].clip(-1.0, 1.0)
            for key, values in block.items():
                file[key][written:written + count] = values
            written += count


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    return load_dataset(generate('umaze', 20_000, progress=False,
                                 out=tmp_path_factory.mktemp('data') / 'umaze.hdf5'))


def test_it_repeats_a_log_with_noise(tmp_path, source):
    write_long_log(source, 45_000, tmp_path / 'long.hdf5')
    log = load_dataset(tmp_path / 'long.hdf5')
    assert len(log) == 45_000 and {20_000, 40_000} <= set(log.episode_starts)
    np.testing.assert_array_equal(log.timeouts[20_000:40_000], source.timeouts)
    for first in (0, 20_000):
        error = log.observations[first:first + 20_000] - source.observations
        assert error.std() == pytest.approx(1e-3, rel=0.05)
    assert (log.observations[:20_000] != log.observations[20_000:40_000]).any(axis=1).all()
    assert (log.signals, log.attributes['maze']) == (source.signals, 'umaze')


def test_the_peak_is_of_memory_that_is_given_back():
    before_mib = own_mib()
    with own_peak(0.001) as looks:
        block = np.ones(8_000_000)
        del block
    assert 50.0 < max(looks) - before_mib < 100.0


def test_training_on_a_long_log_takes_no_more_memory(tmp_path, source):
    """Two million rows, 57 MiB, beside twenty thousand: a whole run, with its card."""
    assert LONG_ROWS > MAP_FROM_ROWS
    peaks = {}
    for rows in (20_000, LONG_ROWS):
        folder = tmp_path / str(rows)
        folder.mkdir()
        write_long_log(source, rows, folder / 'log.hdf5')
        config = write_config(folder, folder / 'log.hdf5')
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name('own_memory.py')), str(config)],
            capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        peaks[rows] = float(done.stdout.splitlines()[-1])
    arrays_mib = LONG_ROWS * 30 / 2**20
    assert peaks[LONG_ROWS] - peaks[20_000] < BOUND_MIB < arrays_mib / 2, peaks
