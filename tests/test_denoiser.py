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

"""The denoiser: what it may depend on, and what it must not."""

import pytest
import torch

from df_planner.diffusion.denoiser import Denoiser

PARTS = (2, 2, 4)


@pytest.fixture
def denoiser():
    torch.manual_seed(0)
    network = Denoiser(PARTS, max_tokens=12, num_levels=100, width=32, num_layers=2, num_heads=4)
    torch.nn.init.normal_(network.read_out.weight)
    return network.eval()


def test_starts_by_predicting_zero():
    network = Denoiser(PARTS, 12, 100, width=32, num_layers=1)
    assert (network(torch.randn(2, 5, 8), torch.ones(2, 5, 3, dtype=torch.long)) == 0).all()


def test_padding_changes_nothing(denoiser):
    x, levels = torch.randn(1, 5, 8), torch.randint(0, 101, (1, 5, 3))
    padded_x = torch.cat([x, 1e3 * torch.randn(1, 4, 8)], 1)
    padded_levels = torch.cat([levels, torch.full((1, 4, 3), 100)], 1)
    alone = denoiser(x, levels)
    padded = denoiser(padded_x, padded_levels, torch.tensor([5]))
    assert torch.allclose(padded[:, :5], alone, atol=1e-4)


def test_a_plan_does_not_depend_on_its_neighbours_in_the_batch(denoiser):
    x, levels = torch.randn(3, 6, 8), torch.randint(0, 101, (3, 6, 3))
    together = denoiser(x, levels, torch.tensor([6, 4, 2]))
    for i, length in enumerate((6, 4, 2)):
        alone = denoiser(x[i:i + 1, :length], levels[i:i + 1, :length])
        assert torch.allclose(together[i, :length], alone[0], atol=1e-4)


@pytest.mark.parametrize('part', [0, 1, 2])
def test_the_level_of_every_part_of_every_token_matters(denoiser, part):
    x, levels = torch.randn(1, 4, 8), torch.full((1, 4, 3), 50)
    reference = denoiser(x, levels)
    for token in range(4):
        changed = levels.clone()
        changed[0, token, part] = 0
        difference = (denoiser(x, changed) - reference).abs()
        assert difference.amax(-1).min() > 1e-5, 'every token should see the change'


def test_the_order_of_tokens_matters(denoiser):
    x, levels = torch.randn(1, 4, 8), torch.full((1, 4, 3), 50)
    assert not torch.allclose(denoiser(x.flip(1), levels).flip(1), denoiser(x, levels), atol=1e-3)


def test_levels_spread_over_channels(denoiser):
    levels = torch.tensor([[[1, 2, 3]]])
    assert denoiser.per_channel(levels).tolist() == [[[1, 1, 2, 2, 3, 3, 3, 3]]]


def test_width_must_fit_the_heads():
    with pytest.raises(ValueError, match='multiple of num_heads'):
        Denoiser(PARTS, 12, 100, width=30, num_heads=4)
