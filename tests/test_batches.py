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

"""Training batches: windows in the frames of their first poses, some told of a route."""

from pathlib import Path

import numpy as np
import pytest
from small_training import load_config
from small_training import write_config
import torch

from df_planner.data.d4rl import Dataset
from df_planner.data.d4rl import load_dataset
from df_planner.diffusion.noise import NoiseSchedule
from df_planner.diffusion.objective import diffusion_loss
from df_planner.diffusion.objective import follow_routes
from df_planner.robots.signals import MAZE2D
from df_planner.sim.generate import generate
from df_planner.training.batches import Batches
from df_planner.training.batches import Share
from df_planner.training.routes import routes


@pytest.fixture(scope='module')
def batches(tmp_path_factory):
    folder = tmp_path_factory.mktemp('log')
    log = generate('umaze', 20000, seed=1, progress=False, out=folder / 'log.hdf5')
    config = load_config(write_config(folder, log, tokens_per_batch=1024))
    return Batches(load_dataset(log), slice(0, None), config)


def batches_of(folder, observations, actions, signals=MAZE2D, **changes):
    """Return the batches of a log of one episode whose drives end every 60 rows."""
    rows = len(observations)
    drive_ends = np.arange(rows) % 60 == 59
    dataset = Dataset(
        observations.astype(np.float32), actions.astype(np.float32), np.zeros(rows, np.float32),
        np.zeros(rows, bool), drive_ends, None, np.array([0]), Path('made.hdf5'), '', signals)
    config = load_config(write_config(folder, dataset.path), changes)
    return Batches(dataset, slice(0, None), config)


def test_every_window_begins_at_the_origin(batches):
    batch = batches.draw(0, 3)
    states = batch.tokens[..., :4].numpy() * batches.std[:4] + batches.mean[:4]
    np.testing.assert_array_equal(states[:, 0, :2], 0.0)
    assert np.abs(states[:, -1, :2]).max() > 0.1
    assert batches.std[0] == batches.std[1] and batches.std[2] == batches.std[3]


def test_what_else_is_observed_has_zero_mean_and_unit_variance(tmp_path):
    signals = MAZE2D.model_copy(update={
        'observation_names': (*MAZE2D.observation_names, 'temperature', 'load'),
        'observation_units': (*MAZE2D.observation_units, 'K', 'kg')})
    random = np.random.default_rng(0)
    observations = random.normal((0, 0, 0, 0, 300, 5), (1, 1, 2, 2, 3, 0), (2400, 6))
    batches = batches_of(tmp_path, observations, random.normal(0.0, (0.5, 0.2), (2400, 2)),
                         signals)
    drawn = torch.cat([batches.draw(0, step).tokens.flatten(0, 1) for step in range(50)])
    assert drawn[:, 2:5].mean(0).abs().max() < 0.1
    assert (drawn[:, 2:5].std(0) - 1.0).abs().max() < 0.1
    assert (drawn[:, 5] == 0.0).all(), 'a constant does not divide by zero'


def test_what_never_moves_does_not_divide_by_zero(tmp_path):
    batches = batches_of(tmp_path, np.ones((600, 4)), np.zeros((600, 2)))
    assert (batches.normalizer.action_std == 1.0).all()
    assert all((batches.draw(0, step).tokens == 0.0).any() for step in range(9))


def test_direct_windows_lie_within_one_drive(tmp_path):
    drive = np.repeat(np.arange(40.0), 60)  # 40 drives of 6 tokens, told apart by their speed
    observations = np.zeros((len(drive), 4))
    observations[:, 2] = drive
    crossing = {}
    for direct in (0.0, 1.0):
        batches = batches_of(tmp_path, observations, np.zeros((len(drive), 2)), direct=direct,
                             max_tokens=4, tokens_per_batch=200)
        speeds = [batches.draw(0, step).tokens[..., 2:4].abs().sum(-1) for step in range(20)]
        crossing[direct] = sum(int((speed != speed[:, :1]).any(1).sum()) for speed in speeds)
    assert crossing[1.0] == 0 < crossing[0.0]


def test_half_of_the_windows_follow_a_route_near_their_positions(batches):
    batch = batches.draw(0, 5)
    follows = (batch.route_level > 0).float().mean()
    assert 0.3 < follows < 0.7
    off_m = (batch.route - batch.tokens[..., :2]).norm(dim=-1) * batches.std[0]
    assert off_m.max() > 0.02
    assert off_m.median() < 0.3
    assert torch.allclose(batch.route[:, 0], batch.tokens[:, 0, :2], atol=1e-6)


def test_shares_of_a_batch_are_the_batch(batches):
    whole = batches.draw(0, 7)
    parts = [batches.draw(0, 7, Share(index, 3)) for index in range(3)]
    for name in ('tokens', 'route'):
        assert torch.equal(torch.cat([getattr(part, name) for part in parts]),
                           getattr(whole, name))
    assert all(torch.equal(part.route_level, whole.route_level) for part in parts)


def test_a_route_is_evenly_spaced_whatever_the_speed():
    """A robot that stands and then drives: its route says where, not when."""
    along = np.concatenate([np.zeros(10), np.linspace(0.0, 3.0, 11)])
    positions = np.stack([along, np.zeros(21)], -1)[None].repeat(4, 0)
    route, level = routes(positions, np.random.default_rng(0), 2.0, 1000)
    steps = np.linalg.norm(np.diff(route, axis=1), axis=-1)
    np.testing.assert_allclose(steps, steps.mean(1, keepdims=True).repeat(20, 1), rtol=0.2)
    np.testing.assert_allclose(route[:, [0, -1]], positions[:, [0, -1]])
    assert (level > 50).all()  # half of it is off by a metre: not to be trusted much


def test_the_route_is_what_the_network_sees_at_its_level():
    """With no other noise, the noised position is alpha times the route, and the target is x0."""
    noise, level = NoiseSchedule(1000), 60
    x0, route = torch.zeros((2, 3, 6)), torch.full((2, 3, 2), 0.25)
    levels = torch.full((2, 3, 3), 1000)
    levels[..., 0] = level
    seen = []

    class Spy(torch.nn.Module):
        part_sizes, part_of_channel = (2, 2, 2), torch.tensor([0, 0, 1, 1, 2, 2])

        def forward(self, x, levels):
            seen.append(x)
            return torch.zeros_like(x)
    generator = torch.Generator().manual_seed(0)
    eps = torch.randn((2, 3, 6), generator=torch.Generator().manual_seed(0))
    diffusion_loss(Spy(), noise, x0, levels, generator, None,
                   route=(route, torch.tensor([True, False])))
    alpha, sigma = noise.alpha(torch.tensor(level)), noise.sigma(torch.tensor(level))
    torch.testing.assert_close(seen[0][0, :, :2], alpha * route[0] + sigma * eps[0, :, :2])
    torch.testing.assert_close(seen[0][1, :, :2], sigma * eps[1, :, :2])


def test_windows_with_a_route_keep_its_level_and_mostly_know_their_ends():
    levels = torch.full((400, 5, 3), 500)
    route_level = torch.tensor([70] * 300 + [0] * 100)
    follow_routes(levels, route_level, 1000, 0.95, 0.6, torch.Generator().manual_seed(1))
    assert (levels[300:] == 500).all()
    assert (levels[:300, 1:-1, 0] == 70).all()
    assert 0.9 < (levels[:300, 0, 0] == 0).float().mean() < 1.0
    assert 0.5 < (levels[:300, -1, 0] == 0).float().mean() < 0.7
    assert 0.4 < (levels[:300, 2, 2] == 1000).float().mean() < 0.6
