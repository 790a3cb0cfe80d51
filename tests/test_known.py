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

"""What is known before sampling: the route with its error, the present and the goal."""

import numpy as np
import pytest
import torch

from df_planner.model.checkpoint import load_card
from df_planner.planning.tokens import Known
from df_planner.planning.tokens import TokenSpace

START, GOAL = np.array([0.0, 0.0, 0.5, 0.0]), np.array([1.0, 1.0])
SPACE = TokenSpace(load_card('point'), 'cpu')
ROUTE_STD_M = 0.05
LEVEL = SPACE.level_of_noise(0, ROUTE_STD_M)


def known_route(*lengths):
    """Return what is known of trajectories along a route, and its positions (N, T, 2)."""
    known = Known(SPACE, np.array(lengths))
    positions = np.random.default_rng(0).standard_normal((*known.shape[:2], 2))
    known.route(positions, ROUTE_STD_M)
    return known, positions


def test_a_route_enters_at_the_level_of_its_error_and_not_in_padding():
    known, positions = known_route(4, 2)
    pins = known.pins()
    alpha, sigma = SPACE.noise.alpha(LEVEL), SPACE.noise.sigma(LEVEL)
    assert float(sigma / alpha) == pytest.approx(ROUTE_STD_M / float(SPACE.std[0]), rel=0.05)
    assert pins.levels[0].tolist() == [[LEVEL, 1000, 1000]] * 4
    assert pins.levels[1].tolist() == [[LEVEL, 1000, 1000]] * 2 + [[1000] * 3] * 2
    seen = SPACE.physical(pins.values / alpha)
    assert seen[0, :, :2] == pytest.approx(positions[0], abs=1e-5), 'no noise is added to it'


def test_the_present_and_the_goal_override_the_route():
    known, _ = known_route(3)
    known.start(START)
    known.end(GOAL, rest=True)
    pins = known.pins()
    assert pins.levels[0].tolist() == [[0, 0, 1000], [LEVEL, 1000, 1000], [0, 0, 1000]]
    tokens = SPACE.physical(pins.values)
    assert tokens[0, 0, :4] == pytest.approx(START, abs=1e-6)
    assert tokens[0, 2, :4] == pytest.approx([*GOAL, 0.0, 0.0], abs=1e-6)


def test_what_is_exact_is_restored_and_the_rest_stays_as_it_was_sampled():
    known, _ = known_route(3)
    known.start(START)
    known.end(GOAL, rest=False)
    sampled = torch.randn(known.shape).double().numpy()
    restored = known.restored(sampled)
    assert np.array_equal(restored[0, 0, :4], START) and np.array_equal(restored[0, 2, :2], GOAL)
    assert np.array_equal(restored[0, 1], sampled[0, 1])
    assert np.array_equal(restored[0, :, 4:], sampled[0, :, 4:])
