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

"""Held-out data: windows of a log that no model was trained on, made when they are needed."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from df_planner.data.d4rl import load_dataset
from df_planner.data.generator import generate
from df_planner.data.windows import Windows
from df_planner.training.checkpoint import ModelCard

FIRST_SEED = 1_000_000  # seeds of training data are small numbers
ROWS_PER_ROW = 2  # of the log for every row of a window, so that windows lie apart


def held_out_windows(card: ModelCard, count: int, num_tokens: int, seed: int) -> np.ndarray:
    """
    Return windows (count, num_tokens, 4 + frame_stack * 2) of a new log of the model's maze.

    The log is made like the training data, with another seed; the windows do not overlap.

    :param seed: 0 or more.
    """
    steps = num_tokens * card.frame_stack
    pitch = ROWS_PER_ROW * steps
    noise_std = float(card.dataset_attributes.get('noise_std', 0.5))
    with TemporaryDirectory() as folder:
        path = generate(card.maze, count * pitch, FIRST_SEED + seed, noise_std, progress=False,
                        out=Path(folder, 'held_out.hdf5'))
        dataset = load_dataset(path, repair=True)
    windows = Windows(dataset.observations, dataset.actions, dataset.episode_starts,
                      card.frame_stack)
    offsets = np.random.default_rng([FIRST_SEED, seed]).integers(pitch - steps + 1, size=count)
    return windows.at(np.arange(count) * pitch + offsets, num_tokens).astype(np.float64)
