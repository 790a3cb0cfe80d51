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

import json
import subprocess
import sys

import numpy as np
import pytest
from small_training import write_config

from df_planner.data.d4rl import load_dataset
from df_planner.data.d4rl import MAP_FROM_ROWS
from df_planner.evaluation.machine import memory_mib
from df_planner.evaluation.machine import OwnMemoryPeak
from df_planner.experiments.throughput_long import write_long_log
from df_planner.sim.generate import generate

LONG_ROWS = 2_000_000
BOUND_MIB = 20.0


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
    before = memory_mib('RssAnon')
    with OwnMemoryPeak(0.001) as peak:
        block = np.ones(8_000_000)
        del block
    assert 50.0 < peak.mib - before < 100.0


def test_training_on_a_long_log_takes_no_more_memory(tmp_path, source):
    """Two million rows, 57 MiB, beside twenty thousand: a whole run, card and arrival time too."""
    assert LONG_ROWS > MAP_FROM_ROWS
    own_mib = {}
    for rows in (20_000, LONG_ROWS):
        folder = tmp_path / str(rows)
        folder.mkdir()
        write_long_log(source, rows, folder / 'log.hdf5')
        config = write_config(folder, folder / 'log.hdf5', arrival_steps=20)
        done = subprocess.run(
            [sys.executable, '-m', 'df_planner.experiments.throughput_training', str(config),
             str(folder / 'memory.json')], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        own_mib[rows] = json.loads((folder / 'memory.json').read_text())['own_mib']
    arrays_mib = LONG_ROWS * 30 / 2**20
    assert own_mib[LONG_ROWS] - own_mib[20_000] < BOUND_MIB < arrays_mib / 2, own_mib
