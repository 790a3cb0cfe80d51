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

"""A network replayed from CUDA graphs computes what the network computes; needs a GPU."""

import numpy as np
import pytest
import torch

from df_planner import Planner
from df_planner.diffusion.networks import build_denoiser
from df_planner.diffusion.runtime.backends import on_backend
from df_planner.diffusion.runtime.cuda_graphs import CudaGraphDenoiser
from df_planner.errors import ConfigError
from df_planner.sim.maze import maze_map

PARTS = (2, 2, 20)
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')


def network_and_graphs(name='transformer'):
    """Return a small network of random weights on the GPU, as it is and replayed."""
    torch.manual_seed(0)
    denoiser = build_denoiser(name, PARTS, 20, 1000, 32, 2, 4)
    torch.nn.init.normal_(denoiser.read_out.weight, std=0.1)
    denoiser = denoiser.cuda().eval().requires_grad_(False)
    return denoiser, CudaGraphDenoiser(denoiser)


def inputs(batch, tokens):
    """Return x, levels and lengths, drawn."""
    return (torch.randn(batch, tokens, sum(PARTS), device='cuda'),
            torch.randint(0, 1001, (batch, tokens, len(PARTS)), device='cuda'),
            torch.randint(2, tokens + 1, (batch,), device='cuda'))


@needs_gpu
@pytest.mark.parametrize('name', ['transformer', 'causal_transformer'])
def test_graphs_agree_with_the_network_for_any_shape(name):
    denoiser, graphs = network_and_graphs(name)
    for batch, tokens in [(1, 2), (3, 7), (4, 20), (8, 20), (3, 5)]:
        x, levels, lengths = inputs(batch, tokens)
        real = torch.arange(tokens, device='cuda') < lengths[:, None]
        assert torch.allclose(graphs(x, levels), denoiser(x, levels), atol=1e-4)
        assert torch.allclose(graphs(x, levels, lengths)[real],
                              denoiser(x, levels, lengths)[real], atol=1e-4)


@needs_gpu
def test_pullbacks_agree_also_one_made_before_another_call():
    denoiser, graphs = network_and_graphs()
    x, levels, lengths = inputs(5, 9)
    gradient = torch.randn(x.shape, device='cuda')
    gradient[torch.arange(9, device='cuda') >= lengths[:, None]] = 0.0
    v, pullback = graphs.with_pullback(x, levels, lengths)
    kept = v.clone()
    graphs.with_pullback(*inputs(5, 9))
    _, expected = denoiser.with_pullback(x, levels, lengths)

    assert torch.equal(v, kept)  # no replay overwrites what was handed out
    assert torch.allclose(pullback(gradient), expected(gradient), atol=1e-4)


@needs_gpu
def test_plans_are_those_of_torch():
    state, goal = np.array([1.0, 1.0, 0.0, 0.0]), np.array([3.0, 1.0])
    plans = [Planner.load('point', 'cuda', maze_map('umaze'), backend=backend).plan(
        state, goal, seed=3) for backend in ('torch', 'cuda_graphs')]

    assert len(plans[0]) == len(plans[1])
    assert np.abs(plans[0].states - plans[1].states).max() < 1e-2


@needs_gpu
def test_a_warm_planner_records_nothing_new_for_a_plan():
    planner = Planner.load('point', 'cuda', grid=maze_map('umaze'))
    planner.warm_up()
    graphs = planner.network
    recorded = set(graphs._graphs)
    planner.plan(np.array([1.0, 1.0, 0.0, 0.0]), np.array([3.0, 1.0]))

    assert isinstance(graphs, CudaGraphDenoiser)
    assert set(graphs._graphs) == recorded


def test_without_a_gpu_it_is_refused():
    with pytest.raises(ConfigError, match='backend cuda_graphs cannot run point: .*cuda'):
        Planner.load('point', 'cpu', grid=maze_map('umaze'), backend='cuda_graphs')


def test_a_recurrent_network_is_refused_and_auto_takes_torch():
    gru = build_denoiser('gru', PARTS, 20, 1000, 32, 2, 4)
    assert on_backend(gru, 'auto', 'cuda') is gru
    with pytest.raises(RuntimeError, match='transformers only'):
        on_backend(gru, 'cuda_graphs', 'cuda')
