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

"""What the card tells of the robot's limits does not depend on how a log is cut into blocks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_training import load_config

from df_planner.data.d4rl import load_dataset
from df_planner.sim.generate import generate
from df_planner.training import card as limits
from df_planner.training.card import dynamics_limits
from df_planner.training.card import UpperQuantile


@pytest.mark.parametrize('share', [0.0, 0.5, 0.9, 0.9995, 1.0])
@pytest.mark.parametrize('rows', [1, 2, 999, 10_000])
def test_the_quantile_is_that_of_numpy(share, rows):
    values = np.random.default_rng(rows).standard_normal((rows, 2))
    for max_rows in (rows, rows + 500):
        quantile = UpperQuantile(share, max_rows)
        for first in range(0, rows, 700):
            quantile.add(values[first:first + 700])
        if share >= 0.5 or max_rows == rows:
            np.testing.assert_allclose(quantile.value(), np.quantile(values, share, axis=0),
                                       rtol=1e-12)


def test_limits_are_over_pairs_within_a_stretch(tmp_path, monkeypatch):
    dataset = load_dataset(generate('umaze', 5000, progress=False, out=tmp_path / 'log.hdf5'))
    dataset = replace(dataset, episode_starts=np.array([0, 7, 1200, 1203, 4000]))
    config = load_config(Path(__file__).parents[1] / 'config/train/point.yaml')
    stretch = np.repeat(np.arange(5), np.diff([0, 7, 1200, 1203, 4000, 5000]))
    whole = stretch[:-10] == stretch[10:]
    states = dataset.observations.astype(float)
    before, after = states[:-10][whole], states[10:][whole]
    wanted = {'velocity_change': after[:, 2:] - before[:, 2:], 'max_speed': before[:, 2:],
              'drift': after[:, :2] - before[:, :2] - 0.05 * (after[:, 2:] + before[:, 2:])}
    for block in (131072, 100):
        monkeypatch.setattr(limits, 'BLOCK_ROWS', block)
        found = dynamics_limits(dataset, config)
        for name, values in wanted.items():
            assert found[name] == pytest.approx(
                np.quantile(np.abs(values), limits.DYNAMICS_QUANTILE, axis=0), rel=1e-12), name
