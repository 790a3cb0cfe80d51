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

"""Reconstruction: what is known stays, what is unknown is sampled, half knowledge is refused."""

import numpy as np
import pytest

from df_planner import Planner
from df_planner.errors import InvalidInput
from df_planner.planning.reconstruction import known_parts
from df_planner.planning.reconstruction import reconstruct
from df_planner.sim.maze import maze_map

TOKENS = 10
START, VIA, END = np.array([0.9, 1.0, 0.0, 2.0]), np.array([0.8, 2.2]), np.array([1.8, 2.8])


@pytest.fixture(scope='module')
def planner():
    return Planner.load('point', grid=maze_map('umaze'))


def unknown():
    """Return states (T, 4) of which nothing is known."""
    return np.full((TOKENS, 4), np.nan)


def test_known_parts_stay_and_the_rest_differs_from_sample_to_sample(planner):
    states, actions = unknown(), np.full((TOKENS, 10, 2), np.nan)
    states[0], states[4, :2], states[-1, :2] = START, VIA, END
    actions[2] = 0.25
    samples = reconstruct(planner, states, actions, num_samples=6, seed=3)
    assert samples.tokens.shape == (6, TOKENS, 24)
    assert samples.states.shape == (6, 91, 4) and samples.actions.shape == (6, 91, 2)
    assert (samples.states[:, 0] == START).all()
    assert samples.states[:, 40, :2] == pytest.approx(np.tile(VIA, (6, 1)))
    assert samples.states[:, 90, :2] == pytest.approx(np.tile(END, (6, 1)))
    assert (samples.actions[:, 20:30] == 0.25).all()
    assert (samples.tokens[:, 1:4, :2].std(axis=0) > 0.0).all()
    assert np.isfinite(samples.tokens).all() and np.abs(samples.actions).max() <= 1.0


def test_what_lies_between_leads_from_one_to_the_other(planner):
    """A way-point pulls the samples to it, not only itself."""
    states = unknown()
    states[0], states[-1, :2] = START, END
    states[4, :2] = VIA
    samples = reconstruct(planner, states, num_samples=8).tokens
    steps = np.linalg.norm(np.diff(samples[..., :2], axis=1), axis=-1)
    assert np.median(steps.max(axis=1)) < 0.75  # at most 0.74 m per token at full speed
    free = unknown()
    free[0] = START
    astray = reconstruct(planner, free, num_samples=8).tokens[:, 3, :2]
    drawn = samples[:, 3, :2]
    assert drawn.std(axis=0).sum() < astray.std(axis=0).sum()


def test_the_seed_decides(planner):
    states = unknown()
    states[0] = START
    first, again, other = (reconstruct(planner, states, num_samples=2, seed=seed).tokens
                           for seed in (1, 1, 2))
    assert (first == again).all() and not (first == other).all()


def test_parts_are_known_as_a_whole():
    known = np.zeros((3, 6), bool)
    known[1, :2] = True
    known[2, 4:] = True
    assert known_parts(known, (2, 2, 2)).tolist() == [
        [False, False, False], [True, False, False], [False, False, True]]
    known[2, 3] = True
    with pytest.raises(InvalidInput, match='velocity of token 2'):
        known_parts(known, (2, 2, 2))


@pytest.mark.parametrize(('change', 'message'), [
    (lambda s: s[:, :3], r'must have shape \(T, 4\)'),
    (lambda s: s, 'the first one must be known'),
    (lambda s: s[:1], 'T in 2..32'),
    (lambda s: np.tile(s, (4, 1)), 'T in 2..32'),
    (lambda s: np.where(np.arange(40).reshape(10, 4) == 20, 1.0, s), 'position of token 5'),
    (lambda s: np.where(np.arange(40).reshape(10, 4) == 20, np.inf, s), 'token 5 is infinite'),
    (lambda s: np.where(np.arange(10)[:, None] == 3, 50.0, s), 'token 3, .* is outside the map'),
])
def test_a_wrong_input_is_named(planner, change, message):
    with pytest.raises(InvalidInput, match=message):
        reconstruct(planner, change(unknown()))


def test_actions_of_another_shape_are_named(planner):
    with pytest.raises(InvalidInput, match=r'actions must have shape \(10, 10, 2\)'):
        reconstruct(planner, unknown(), np.zeros((10, 2)))
