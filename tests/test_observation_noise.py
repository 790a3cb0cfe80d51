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

"""Measurement noise is a noise level: a noisy start is pinned there and comes out filtered."""

import h5py
import numpy as np
import pytest
import torch

from df_planner import Planner
from df_planner.data.generator import generate
from df_planner.planning.settings import PlannerSettings
from df_planner.planning.tokens import Known

START, GOAL = np.array([3.0, 1.0, 0.0, 0.0]), np.array([1.0, 1.0])
NOISE = {'position_noise_std_m': 0.1, 'velocity_noise_std_mps': 0.5}
STD = np.array([0.1, 0.1, 0.5, 0.5])


@pytest.fixture(scope='module')
def shipped():
    torch.set_num_threads(1)
    return Planner.load('maze2d-umaze')


@pytest.fixture
def planner(shipped):
    """Return the shipped planner with fresh settings."""
    shipped.settings = PlannerSettings()
    return shipped


@pytest.fixture(scope='module')
def seen_and_true(shipped, tmp_path_factory):
    """Return noisy and true states (N, 4) of a drive that training never saw."""
    path = tmp_path_factory.mktemp('drive') / 'drive.hdf5'
    generate('umaze', 8000, seed=4242, repair_stale=True, progress=False, out=path)
    with h5py.File(path) as file:
        true = file['observations'][::150].astype(float)
    seen = true + STD * np.random.default_rng(0).standard_normal(true.shape)
    free = shipped.map.clearance(seen[:, :2]) > 0.0
    return seen[free], true[free]


def test_a_noisy_part_is_pinned_at_the_level_of_its_noise(planner):
    known = Known(planner._space, np.array([2]))
    known.start(START, position_noise_std_m=0.1, velocity_noise_std_mps=0.0)
    pins = known.pins(torch.randn(1, 2, 24))
    level = int(pins.levels[0, 0, 0])
    alpha, sigma = planner._space.noise.alpha(level), planner._space.noise.sigma(level)
    scale = np.mean(planner.card.statistics.state_std[:2])
    assert float(sigma / alpha) == pytest.approx(0.1 / scale, rel=0.01)
    assert pins.levels[0, 0].tolist() == [level, 0, 1000]
    seen = planner._space.physical(pins.values / torch.tensor([alpha] * 2 + [1.0] * 22))
    assert seen[0, 0, :4] == pytest.approx(START, abs=1e-5), 'no noise is added to it'


def test_plans_start_from_a_filtered_state(planner):
    planner.settings = PlannerSettings(**NOISE)
    plan = planner.plan(START, GOAL)
    assert plan.valid and not np.array_equal(plan.states[0], START)
    assert (np.abs(plan.states[0] - START) < 4.0 * STD).all()
    assert len({c[0].tobytes() for c in plan.candidates}) == 1, 'none from a luckier start'


def test_an_exact_part_stays_exact(planner):
    planner.settings = PlannerSettings(velocity_noise_std_mps=0.5)
    plan = planner.plan(START, GOAL)
    assert np.array_equal(plan.states[0, :2], START[:2])
    assert not np.array_equal(plan.states[0, 2:], START[2:])


def test_filtering_brings_states_nearer_to_the_truth(planner, seen_and_true):
    planner.settings = PlannerSettings(**NOISE)
    seen, true = seen_and_true
    filtered = np.array([planner.rollout(state, 21, num_samples=16)[0][:, 0].mean(0)
                         for state in seen])

    def error(states, part):
        return np.sqrt(np.square(states - true)[:, part].mean())

    for part in (slice(0, 2), slice(2, 4)):
        assert error(filtered, part) < 0.92 * error(seen, part)


def test_a_position_that_cannot_be_is_drawn_back_into_the_maze(planner):
    seen = np.array([1.28, 1.9, 0.0, 0.0])  # the robot overlaps the wall beside the corridor
    planner.settings = PlannerSettings(**NOISE)
    states, _ = planner.rollout(seen, 31, num_samples=32)
    clearance_m = planner.map.clearance(states[:, 0, :2])
    assert clearance_m.mean() > planner.map.clearance(seen[:2]) + 0.03
