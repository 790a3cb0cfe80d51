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

"""How plausible motion is, in units of what the robot was seen to do in the data."""

import numpy as np

from df_planner.training.checkpoint import ModelCard


def jumps(states: np.ndarray, card: ModelCard) -> np.ndarray:
    """
    Return how large each step of states (..., T, 4) is, (..., T - 1), in units of what data do.

    The larger ratio of velocity change and drift to the 99.95 % quantile in the data, see
    ``training.checkpoint.Statistics``: above 1 the robot was hardly ever seen to move so.
    """
    before, after = states[..., :-1, :], states[..., 1:, :]
    change = np.abs(after[..., 2:] - before[..., 2:]) / card.statistics.velocity_change
    token_s = card.frame_stack * card.dt_s
    drift = np.abs(after[..., :2] - before[..., :2] - token_s / 2 * (
        after[..., 2:] + before[..., 2:])) / card.statistics.drift
    return np.maximum(change, drift).max(axis=-1)
