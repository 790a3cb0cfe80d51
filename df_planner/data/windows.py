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

"""
Windows: random stretches of a log as trajectories of tokens.

A token is the state at its first control step and the ``frame_stack`` actions from there on. The
states in between are not modelled: they follow from the actions.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


class Windows:
    """
    Draw windows of T tokens that never cross a break in the log.

    :param states: (N, S) and ``actions`` (N, A), float32, one row per control step.
    :param episode_starts: (E,) first row of every stretch of continuous motion, the first being 0.
    :param frame_stack: control steps per token.
    """

    def __init__(self, states: np.ndarray, actions: np.ndarray, episode_starts: np.ndarray,
                 frame_stack: int):
        """Keep references to the arrays; nothing is copied."""
        self.states = states
        self.actions = actions
        self.frame_stack = frame_stack
        self._starts = np.asarray(episode_starts, np.int64)
        self._lengths = np.diff(np.append(self._starts, len(states)))
        self._long_enough: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def count(self, num_tokens: int) -> int:
        """Return how many windows of ``num_tokens`` tokens the log holds."""
        _, _, ends = self._stretches(num_tokens)
        return int(ends[-1]) if len(ends) else 0

    def draw(self, batch: int, num_tokens: int, generator: np.random.Generator) -> np.ndarray:
        """Return tokens (batch, num_tokens, S + frame_stack * A) in physical units."""
        starts, counts, ends = self._stretches(num_tokens)
        if not len(ends):
            raise ValueError(f'no stretch of the log holds {num_tokens} tokens of '
                             f'{self.frame_stack} steps')
        pick = generator.integers(ends[-1], size=batch)
        stretch = np.searchsorted(ends, pick, side='right')
        before = ends[stretch] - counts[stretch]
        return self.at(starts[stretch] + pick - before, num_tokens)

    def at(self, first_rows: np.ndarray, num_tokens: int) -> np.ndarray:
        """Return the tokens (B, T, C) of the windows that start at the given rows (B,)."""
        first_rows = np.asarray(first_rows)
        rows = first_rows[:, None] + self.frame_stack * np.arange(num_tokens)
        # A window's actions lie in one piece: a piece is taken at once, not number by number.
        numbers = self.actions.reshape(-1)
        size = self.actions.shape[1]
        pieces = sliding_window_view(numbers, num_tokens * self.frame_stack * size)
        actions = pieces[first_rows * size].reshape(*rows.shape, self.frame_stack * size)
        return np.concatenate([self.states[rows], actions], axis=-1)

    def _stretches(self, num_tokens: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """
        Return the stretches that hold windows: first rows, numbers of windows, sums of these.

        They are kept: there may be millions, and one is wanted at every draw.
        """
        if num_tokens not in self._long_enough:
            counts = self._lengths - num_tokens * self.frame_stack + 1
            holds = counts > 0
            counts = counts[holds]
            self._long_enough[num_tokens] = self._starts[holds], counts, np.cumsum(counts)
        return self._long_enough[num_tokens]
