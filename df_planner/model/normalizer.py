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

    def token_moments(self, frame_stack: int) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and std (C,) of a token [state, frame_stack actions]."""
        mean = np.concatenate([self.state_mean, np.tile(self.action_mean, frame_stack)])
        std = np.concatenate([self.state_std, np.tile(self.action_std, frame_stack)])
        return mean, std
