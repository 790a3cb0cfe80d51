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

"""Windows of a log."""

import numpy as np
import pytest

from df_planner.data.windows import Windows

FRAME_STACK = 3


@pytest.fixture
def log():
    """Make a log whose numbers tell their row: state r * 10 + column, action -r."""
    rows = np.arange(40, dtype=np.float32)
    states = rows[:, None] * 10 + np.arange(4, dtype=np.float32)
    return states, np.stack([-rows, -rows], 1)


def test_a_token_is_a_state_and_the_actions_that_follow(log):
    tokens = Windows(*log, np.array([0]), FRAME_STACK).at(np.array([5]), 2)
    assert tokens.shape == (1, 2, 4 + 2 * FRAME_STACK)
    assert tokens[0, 0].tolist() == [50, 51, 52, 53, -5, -5, -6, -6, -7, -7]
    assert tokens[0, 1].tolist() == [80, 81, 82, 83, -8, -8, -9, -9, -10, -10]


def test_windows_never_cross_a_break_and_reach_every_row(log):
    windows = Windows(*log, np.array([0, 7, 20]), FRAME_STACK)
    assert windows.count(2) == (7 - 6 + 1) + (13 - 6 + 1) + (20 - 6 + 1)
    first = windows.draw(3000, 2, np.random.default_rng(0))[:, 0, 0] / 10
    seen = set(first.astype(int))
    assert seen == {*range(0, 2), *range(7, 15), *range(20, 35)}


def test_a_stretch_that_is_too_short_is_never_drawn(log):
    windows = Windows(*log, np.array([0, 4, 30]), FRAME_STACK)
    first = windows.draw(500, 4, np.random.default_rng(0))[:, 0, 0] / 10
    assert first.min() >= 4 and first.max() <= 18


def test_no_window_is_an_error_that_says_so(log):
    with pytest.raises(ValueError, match='no stretch of the log holds 20 tokens of 3 steps'):
        Windows(*log, np.array([0]), FRAME_STACK).draw(1, 20, np.random.default_rng(0))


def test_the_same_generator_draws_the_same_windows(log):
    windows = Windows(*log, np.array([0]), FRAME_STACK)
    first = windows.draw(9, 2, np.random.default_rng([1, 2]))
    assert np.array_equal(first, windows.draw(9, 2, np.random.default_rng([1, 2])))
    assert not np.array_equal(first, windows.draw(9, 2, np.random.default_rng([1, 3])))
