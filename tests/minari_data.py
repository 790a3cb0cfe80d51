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

"""Write a data set of Minari as one of PointMaze, by Minari itself."""

from pathlib import Path
import warnings

import gymnasium
from minari import create_dataset_from_buffers
from minari.data_collector import EpisodeBuffer
import numpy as np

NAME = 'test/point-v0'
LENGTHS = (40, 25, 60)


def episode(length, seed):
    """Return T + 1 states and T actions of a ball that is pushed at random."""
    random = np.random.default_rng(seed)
    actions = random.uniform(-1.0, 1.0, (length, 2)).astype(np.float32)
    velocity = np.cumsum(np.concatenate([np.zeros((1, 2)), 0.2 * actions]), axis=0)
    position = np.cumsum(0.01 * velocity, axis=0)
    return np.concatenate([position, velocity], axis=1), actions


def write_minari(folder: Path, monkeypatch) -> Path:
    """Write the data set below a folder, where Minari then looks for it; return its own."""
    monkeypatch.setenv('MINARI_DATASETS_PATH', str(folder))

    def box(size, limit=np.inf):
        return gymnasium.spaces.Box(-limit, limit, (size,), np.float32 if size == 2 else float)

    buffers = []
    for index, length in enumerate(LENGTHS):
        states, actions = episode(length, index)
        goals = np.zeros((length + 1, 2), np.float32)
        buffers.append(EpisodeBuffer(
            id=index, observations={'observation': states, 'desired_goal': goals},
            actions=actions, rewards=[0.0] * length, terminations=[False] * length,
            truncations=[False] * (length - 1) + [True], infos={}))
    with warnings.catch_warnings():  # of what a published data set should have
        warnings.simplefilter('ignore')
        create_dataset_from_buffers(
            NAME, buffers, action_space=box(2, 1.0), observation_space=gymnasium.spaces.Dict(
                {'observation': box(4), 'desired_goal': box(2)}), data_format='hdf5')
    return folder / NAME
