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

"""Minari's data sets as logs."""

import builtins

from minari_data import episode
from minari_data import LENGTHS
from minari_data import NAME
from minari_data import write_minari
import numpy as np
import pytest

from df_planner.data.d4rl import load_dataset
from df_planner.data.importing import import_sources
from df_planner.errors import ConfigError


@pytest.mark.parametrize('by_name', [False, True])
def test_episodes_become_stretches(tmp_path, monkeypatch, by_name):
    folder = write_minari(tmp_path / 'minari', monkeypatch)
    out = tmp_path / 'out.hdf5'
    import_sources([f'minari:{NAME}' if by_name else str(folder)], out, progress=False)
    dataset = load_dataset(out)
    assert len(dataset) == sum(LENGTHS)
    np.testing.assert_array_equal(dataset.episode_starts, [0, 40, 65])
    for start, length, seed in zip(dataset.episode_starts, LENGTHS, range(3)):
        states, actions = episode(length, seed)
        rows = slice(start, start + length)
        np.testing.assert_allclose(dataset.observations[rows], states[:-1], atol=1e-6)
        np.testing.assert_array_equal(dataset.actions[rows], actions)
    assert dataset.signals.observation_to_map == ((1.0, 0.0), (0.0, 1.0))


def test_without_minari_the_fix_is_named(tmp_path, monkeypatch):
    folder = write_minari(tmp_path / 'minari', monkeypatch)
    original = builtins.__import__

    def without(name, *arguments, **keywords):
        if name.split('.')[0] == 'minari':
            raise ImportError(name)
        return original(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, '__import__', without)
    for source in (str(folder), f'minari:{NAME}'):
        with pytest.raises(ConfigError, match=r'pip install minari==0.5.4'):
            import_sources([source], tmp_path / 'out.hdf5', progress=False)
