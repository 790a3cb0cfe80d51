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

"""The denoisers: what they may depend on, and what they must not."""

from typing import get_args

import pytest
import torch

from df_planner.diffusion.networks import build_denoiser
from df_planner.diffusion.networks import NetworkName
from df_planner.diffusion.networks import TransformerDenoiser

PARTS = (2, 2, 4)
NETWORKS = get_args(NetworkName)
CAUSAL = ('causal_transformer', 'gru')


def build(network, **changes):
    """Return a small network that answers to its inputs."""
    torch.manual_seed(0)
    sizes = {'max_tokens': 12, 'num_levels': 100, 'width': 32, 'num_layers': 2, 'num_heads': 4}
    denoiser = build_denoiser(network, PARTS, **{**sizes, **changes})
    torch.nn.init.normal_(denoiser.read_out.weight)
    return denoiser.eval()


@pytest.fixture(params=NETWORKS)
def denoiser(request):
    return build(request.param)


@pytest.fixture(params=CAUSAL)
def causal(request):
    return build(request.param)


def test_says_what_it_was_built_for(denoiser):
    assert denoiser.part_sizes == PARTS
    assert denoiser.max_tokens == 12 and denoiser.num_levels == 100


@pytest.mark.parametrize('network', NETWORKS)
def test_starts_by_predicting_zero(network):
    denoiser = build_denoiser(network, PARTS, 12, 100, width=32, num_layers=1, num_heads=4)
    assert (denoiser(torch.randn(2, 5, 8), torch.ones(2, 5, 3, dtype=torch.long)) == 0).all()


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


def changes_of_levels(denoiser, part):
    """Return how far every output moves, (T, T), when a token's level of a part changes."""
    x, levels = torch.randn(1, 4, 8), torch.full((1, 4, 3), 50)
    reference = denoiser(x, levels)
    differences = []
    for token in range(4):
        changed = levels.clone()
        changed[0, token, part] = 0
        differences.append((denoiser(x, changed) - reference)[0].abs().amax(-1))
    return torch.stack(differences)


@pytest.mark.parametrize('part', [0, 1, 2])
def test_the_level_of_every_part_of_every_token_matters_to_every_token(part):
    assert changes_of_levels(build('transformer'), part).min() > 1e-5


@pytest.mark.parametrize('part', [0, 1, 2])
def test_levels_matter_to_their_token_and_later_ones_in_a_causal_network(causal, part):
    moved = changes_of_levels(causal, part) > 1e-5
    assert torch.equal(moved, torch.ones(4, 4, dtype=torch.bool).triu())


def test_a_causal_network_does_not_see_the_future(causal):
    x, levels = torch.randn(2, 9, 8), torch.randint(0, 101, (2, 9, 3))
    reference = causal(x, levels)
    for now in range(1, 9):
        future_x, future_levels = x.clone(), levels.clone()
        future_x[:, now:] = 1e3 * torch.randn(2, 9 - now, 8)
        future_levels[:, now:] = 100 - levels[:, now:]
        assert torch.equal(causal(future_x, future_levels)[:, :now], reference[:, :now])
        shorter = causal(x[:, :now], levels[:, :now])
        assert torch.allclose(shorter, reference[:, :now], atol=1e-5), 'nor where the end is'


@pytest.mark.parametrize('network', CAUSAL)
def test_a_causal_network_sees_its_whole_past(network):
    causal = build(network)
    x = torch.randn(1, 9, 8, requires_grad=True)
    last = causal(x, torch.full((1, 9, 3), 50))[0, -1].sum()
    assert (torch.autograd.grad(last, x)[0].abs().amax(-1) > 0).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_guidance_finds_a_gradient_on_a_gpu(denoiser):
    x = torch.randn(2, 5, 8, device='cuda', requires_grad=True)
    v = denoiser.cuda()(x, torch.full((2, 5, 3), 50, device='cuda'))
    assert (torch.autograd.grad(v.sum(), x)[0] != 0).any()


def test_the_order_of_tokens_matters(denoiser):
    x, levels = torch.randn(1, 4, 8), torch.full((1, 4, 3), 50)
    assert not torch.allclose(denoiser(x.flip(1), levels).flip(1), denoiser(x, levels), atol=1e-3)


def test_levels_spread_over_channels(denoiser):
    levels = torch.tensor([[[1, 2, 3]]])
    assert denoiser.per_channel(levels).tolist() == [[[1, 1, 2, 2, 3, 3, 3, 3]]]


def test_width_must_fit_the_heads():
    with pytest.raises(ValueError, match='multiple of num_heads'):
        TransformerDenoiser(PARTS, 12, 100, width=30, num_heads=4)
