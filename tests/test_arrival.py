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

"""The arrival time: learnt from the drives of a log, where the log tells them apart."""

import h5py
import numpy as np
import pytest
from small_training import write_config

from df_planner.data.d4rl import load_dataset
from df_planner.model.arrival import QUANTILES
from df_planner.model.checkpoint import load_arrival_time
from df_planner.model.checkpoint import load_card
from df_planner.sim.generate import generate
from df_planner.training.arrival import Pairs
from df_planner.training.train import train


@pytest.fixture(scope='module')
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp('data') / 'umaze.hdf5'
    return generate('umaze', 3000, seed=0, out=path, progress=False)


def test_the_arrival_time_is_learnt_from_the_drives_of_the_log(tmp_path, dataset):
    path = train(write_config(tmp_path, dataset, arrival_steps=600))
    card, arrival_time = load_card(path), load_arrival_time(path)
    assert 0.0 < card.arrival_error_s < 0.2
    rows = Pairs(load_dataset(dataset), slice(None), card.normalizer())
    states, goals, seconds = rows.draw(2000, np.random.default_rng(0))
    quantiles = arrival_time(states, goals)
    assert (quantiles.diff(dim=1) >= 0.0).all()
    for share, column in zip(QUANTILES, quantiles.T):
        assert (seconds < column).float().mean() == pytest.approx(share, abs=0.12)
    state, goal = np.array([3.0, 1.0, 0.0, 0.0]), np.array([1.0, 1.0])
    near = arrival_time.median_s(state, np.array([3.0, 1.3]), card.normalizer())
    assert 0.0 < near < arrival_time.median_s(state, goal, card.normalizer()) < 5.0
    assert load_arrival_time(train(write_config(tmp_path, dataset, name='without'))) is None


def test_without_ends_of_drives_no_arrival_time_is_learnt(tmp_path, dataset, caplog):
    """Episodes of a recording end where it pauses, which does not tell how long a way takes."""
    log = tmp_path / 'recording.hdf5'
    with h5py.File(dataset) as source, h5py.File(log, 'w') as file:
        for key in ('observations', 'actions', 'rewards', 'terminals'):
            file[key] = source[key][:]
        file['terminals'][1999] = True
    path = train(write_config(tmp_path, log, steps=1, arrival_steps=20))
    assert load_arrival_time(path) is None and load_card(path).arrival_error_s is None
    [warning] = [record.getMessage() for record in caplog.records]
    assert f'{log}: marks no ends of drives' in warning and 'will try all horizons' in warning
    caplog.clear()
    train(write_config(tmp_path, log, name='unasked', steps=1))
    assert not caplog.records
