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
from df_planner.driving.replanner import Replanner
from df_planner.errors import InvalidInput
from df_planner.planning.filtering import filtered_state
from df_planner.planning.filtering import History
from df_planner.planning.planner import generator_of
from df_planner.planning.request import Request
from df_planner.planning.settings import PlannerSettings
from df_planner.planning.tokens import Known
from df_planner.sim.generate import generate
from df_planner.sim.maze import maze_map

START, GOAL = np.array([3.0, 1.0, 0.0, 0.0]), np.array([1.0, 1.0])
NOISE = {'position_noise_std_m': 0.1, 'velocity_noise_std_mps': 0.5}
STD = np.array([0.1, 0.1, 0.5, 0.5])


@pytest.fixture(scope='module')
def shipped():
    torch.set_num_threads(1)
    return Planner.load('point', grid=maze_map('umaze'))


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
    known = Known(planner.space, np.array([2]))
    known.start(START, position_noise_std_m=0.1, velocity_noise_std_mps=0.0)
    pins = known.pins()
    level = int(pins.levels[0, 0, 0])
    alpha, sigma = planner.space.noise.alpha(level), planner.space.noise.sigma(level)
    scale = np.mean(planner.card.statistics.state_std[:2])
    assert float(sigma / alpha) == pytest.approx(0.1 / scale, rel=0.02)
    assert pins.levels[0, 0].tolist() == [level, 0, 1000]
    seen = planner.space.physical(pins.values / torch.tensor([alpha] * 2 + [1.0] * 22))
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


def test_filtering_brings_velocities_nearer_to_the_truth(planner, seen_and_true):
    """Of a single position a model of any place knows nothing more."""
    planner.settings = PlannerSettings(sampling_steps=8, **NOISE)
    seen, true = seen_and_true
    filtered = np.array([planner.rollout(state, 21, num_samples=16)[0][:, 0].mean(0)
                         for state in seen])

    def error(states, part):
        return np.sqrt(np.square(states - true)[:, part].mean())

    assert error(filtered, slice(2, 4)) < 0.92 * error(seen, slice(2, 4))
    assert error(filtered, slice(0, 2)) < 1.1 * error(seen, slice(0, 2))


def test_history_brings_the_filtered_position_nearer_to_the_truth(planner, tmp_path):
    path = generate('umaze', 4000, seed=4242, repair_stale=True, progress=False,
                    out=tmp_path / 'drive.hdf5')
    with h5py.File(path) as file:
        true = file['observations'][:].astype(float)[::10]
    noise = 0.1
    seen = true + noise * np.random.default_rng(0).standard_normal(true.shape)
    presents = range(2, len(true), 10)

    def error_m(tokens):
        sampling = planner.sampling(2, generator_of(0), Request())
        filtered = [filtered_state(sampling, seen[k], seen[k - tokens:k], (noise, noise))
                    for k in presents]
        return np.sqrt(np.square(filtered - true[presents])[:, :2].mean())

    alone_m = error_m(0)
    assert error_m(2) < 0.8 * min(alone_m, noise)


@pytest.mark.parametrize('history', [np.zeros(4), np.zeros((2, 3)), np.full((2, 4), np.nan), 'x'])
def test_a_history_that_is_none_is_refused(planner, history):
    with pytest.raises(InvalidInput, match='history must'):
        planner.plan(START, GOAL, history=history)


def test_history_is_not_used_without_noise(planner):
    usual = planner.plan(START, GOAL)
    plan = planner.plan(START, GOAL, history=np.tile(START, (3, 1)))
    assert np.array_equal(plan.states, usual.states)
    assert np.array_equal(plan.actions, usual.actions)


def counted(step):
    """Return a state whose last number tells its step."""
    return np.array([1.0, 2.0, 0.5, step])


def test_history_is_whole_tokens_back_and_ends_at_a_gap():
    history = History(10, 0.01, 4)
    assert history.before(0).shape == (0, 4)
    for step in range(0, 101):
        history.observe(counted(step), step)
    assert history.before(100)[:, 3].tolist() == [80, 90]
    assert len(history._states) < 50, 'it is bounded'
    for step in range(140, 151):
        history.observe(counted(step), step)
    assert history.before(150)[:, 3].tolist() == [140]
    history.observe(np.full(4, np.nan), 151)
    history.observe(counted(20), 20)
    assert history.before(30)[:, 3].tolist() == [20], 'time went back'


def test_states_between_two_steps_are_moved_to_the_step():
    history = History(10, 0.01, 4)
    for step in (12, 18, 31):
        history.observe(np.array([1.0 + 0.01 * 0.5 * step, 2.0, 0.5, 0.0]), step)
    assert history.before(40)[:, 0] == pytest.approx([1.1, 1.15])
    assert history.before(44)[:, 0] == pytest.approx([]), 'none is near enough'


def test_the_replanner_plans_with_the_states_it_observed_for_this_goal(planner):
    planner.settings = PlannerSettings(position_noise_std_m=0.1, velocity_noise_std_mps=0.1)
    replanner = Replanner(planner, seed=3)
    replanner.reset(GOAL)
    seen = START + 0.05 * np.random.default_rng(0).standard_normal((26, 4))
    for step, state in enumerate(seen):
        replanner.observe(state, step)
    plan = replanner.replan(seen[25], 25)
    seed = int(np.random.SeedSequence([3, 0]).generate_state(1)[0])
    assert np.array_equal(plan.states, planner.plan(seen[25], GOAL, seed=seed,
                                                    history=seen[[5, 15]]).states)
    alone = planner.plan(seen[25], GOAL, seed=seed)
    assert not np.array_equal(plan.states, alone.states)
    replanner.reset(GOAL)
    assert np.array_equal(replanner.replan(seen[25], 25).states, alone.states)


def test_the_policy_shows_the_replanner_every_state(planner):
    policy = planner.policy()
    policy.reset(GOAL)
    seen = START + 0.01 * np.random.default_rng(0).standard_normal((26, 4))
    for state in seen:
        policy.act(state)
    assert np.array_equal(policy.replanner._history.before(25), seen[[5, 15]])
