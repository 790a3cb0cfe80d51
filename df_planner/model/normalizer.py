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

"""Normalisation: physical units to zero mean and unit variance, and back."""

from dataclasses import dataclass

import numpy as np

BLOCK_ROWS = 131072  # a mapped log is not read into memory as a whole


@dataclass(frozen=True)
class Normalizer:
    """
    Affine normalisation of states and actions: physical = normalised * std + mean.

    :param state_mean: (S,) and ``state_std`` (S,), in the units of the data.
    :param action_mean: (A,) and ``action_std`` (A,).
    """

    state_mean: np.ndarray
    state_std: np.ndarray
    action_mean: np.ndarray
    action_std: np.ndarray

    @classmethod
    def fit(cls, states: np.ndarray, actions: np.ndarray) -> 'Normalizer':
        """Take mean and standard deviation of (N, S) states and (N, A) actions, N at least 1."""
        return cls(*_moments(states), *_moments(actions))

    def token_moments(self, frame_stack: int) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and std (C,) of a token [state, frame_stack actions]."""
        mean = np.concatenate([self.state_mean, np.tile(self.action_mean, frame_stack)])
        std = np.concatenate([self.state_std, np.tile(self.action_std, frame_stack)])
        return mean, std


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation (C,) of (N, C), block by block; 1 for a constant."""
    blocks = range(0, len(values), BLOCK_ROWS)
    mean = sum(_columns(values, first).sum(1) for first in blocks) / len(values)
    variance = sum(np.square(_columns(values, first) - mean[:, None]).sum(1)
                   for first in blocks) / len(values)
    std = np.sqrt(variance)
    return mean, np.where(std > 1e-6, std, 1.0)


def _columns(values: np.ndarray, first: int) -> np.ndarray:
    """Return a block of rows as (C, rows) float64, each column in one piece of memory."""
    return np.ascontiguousarray(values[first:first + BLOCK_ROWS].T, np.float64)
