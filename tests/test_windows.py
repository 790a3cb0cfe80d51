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

"""Windows of a log and the normaliser."""

import numpy as np
import pytest

from df_planner.data.windows import Windows
from df_planner.model.normalizer import Normalizer

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


def test_some_rows_of_a_batch_are_those_of_the_whole(log):
    windows = Windows(*log, np.array([0, 7, 9, 20]), FRAME_STACK)
    whole = windows.draw(9, 3, np.random.default_rng(5))
    for rows in (slice(0, 4), slice(4, 9), slice(3, 3)):
        part = windows.draw(9, 3, np.random.default_rng(5), rows)
        assert np.array_equal(part, whole[rows])


def test_normalised_tokens_have_zero_mean_and_unit_variance():
    random = np.random.default_rng(0)
    states = (random.normal(3.0, [1, 2, 3, 4], (5000, 4))).astype(np.float32)
    actions = (random.normal(-1.0, [0.5, 0.2], (5000, 2))).astype(np.float32)
    mean, std = Normalizer.fit(states, actions).token_moments(FRAME_STACK)
    tokens = Windows(states, actions, np.array([0]), FRAME_STACK).draw(4000, 2, random)
    normalised = (tokens - mean) / std
    assert np.abs(normalised.mean((0, 1))).max() < 0.05
    assert np.abs(normalised.std((0, 1)) - 1.0).max() < 0.05


def test_a_constant_channel_does_not_divide_by_zero():
    _, std = Normalizer.fit(np.ones((10, 4)), np.zeros((10, 2))).token_moments(2)
    assert (std == 1.0).all()
