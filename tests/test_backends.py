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

"""What a compiled network computes is what the network computes."""

import copy
from pathlib import Path
import pickle
import subprocess
import sys

import pytest
import torch

from df_planner import Planner
from df_planner.diffusion.networks import build_denoiser
from df_planner.diffusion.runtime.backends import on_backend
from df_planner.diffusion.runtime.backends import OnnxDenoiser
from df_planner.errors import ConfigError
from df_planner.model.checkpoint import load_checkpoint
from df_planner.sim.maze import maze_map

PARTS = (2, 2, 20)
MEET_ALL_SHAPES = """
import psutil
import torch
from df_planner import Planner

torch.set_num_threads(1)
planner = Planner.load('point', backend='onnxruntime')
planner.warm_up()
network = planner.network
def own_mib():
    memory = psutil.Process().memory_info()
    return (memory.rss - memory.shared) / 2**20
before_mib = own_mib()
for batch in range(1, 17):
    for tokens in range(2, network.max_tokens + 1):
        x = torch.zeros(batch, tokens, sum(network.part_sizes))
        network(x, torch.zeros(batch, tokens, len(network.part_sizes), dtype=torch.long))
print(own_mib() - before_mib)
"""


def network(name):
    """Return a small network of random weights."""
    torch.manual_seed(0)
    denoiser = build_denoiser(name, PARTS, 20, 1000, 32, 2, 4)
    torch.nn.init.normal_(denoiser.read_out.weight, std=0.1)
    return denoiser.eval().requires_grad_(False)


@pytest.mark.parametrize('name', ['transformer', 'causal_transformer'])
@pytest.mark.parametrize(('batch', 'tokens'), [(1, 2), (3, 7), (8, 20)])
def test_onnxruntime_agrees_with_torch_for_any_shape(name, batch, tokens):
    denoiser = network(name)
    compiled = on_backend(denoiser, 'onnxruntime', 'cpu')
    x = torch.randn(batch, tokens, sum(PARTS))
    levels = torch.randint(0, 1001, (batch, tokens, len(PARTS)))
    lengths = torch.randint(2, tokens + 1, (batch,))
    real = torch.arange(tokens) < lengths[:, None]
    for given in (lengths, None):
        expected, got = denoiser(x, levels, given), compiled(x, levels, given)
        if given is not None:
            expected, got = expected[real], got[real]
        assert got == pytest.approx(expected, abs=1e-5)


def test_onnxruntime_agrees_on_a_trained_model():
    denoiser, card = load_checkpoint('point')
    compiled = on_backend(denoiser, 'onnxruntime', 'cpu')
    x = torch.randn(4, 12, sum(card.architecture.part_sizes))
    for level in (1000, 500, 100):
        levels = torch.full((4, 12, len(card.architecture.part_sizes)), level)
        assert compiled(x, levels) == pytest.approx(denoiser(x, levels), abs=1e-4)


def test_gradients_are_those_of_torch():
    denoiser = network('transformer')
    compiled = on_backend(denoiser, 'onnxruntime', 'cpu')
    x, levels = torch.randn(2, 5, sum(PARTS)), torch.full((2, 5, len(PARTS)), 500)
    gradient = torch.randn(x.shape)
    v, pullback = compiled.with_pullback(x, levels)
    x.requires_grad_()
    expected, = torch.autograd.grad(denoiser(x, levels), x, gradient)
    assert torch.equal(pullback(gradient), expected)
    assert not v.requires_grad


@pytest.mark.parametrize('duplicate', [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))],
                         ids=['deepcopy', 'pickle'])
def test_a_copy_of_a_policy_acts_as_the_original(duplicate):
    planner = Planner.load('point', grid=maze_map('umaze'), backend='onnxruntime')
    policy = planner.policy()
    policy.reset([1.0, 1.0])
    state = [3.0, 1.0, 0.0, 0.0]
    policy.act(state)
    twin = duplicate(policy)
    actions = [policy.act(state).tolist() for _ in range(26)]  # over the next plan
    assert [twin.act(state).tolist() for _ in range(26)] == actions
    assert len(twin.plans) == len(policy.plans) == 2


def test_auto_takes_what_works():
    assert isinstance(on_backend(network('transformer'), 'auto', 'cpu'), OnnxDenoiser)
    gru = network('gru')
    assert on_backend(gru, 'auto', 'cpu') is gru
    transformer = network('transformer')
    assert on_backend(transformer, 'torch', 'cpu') is transformer


def test_without_onnxruntime_auto_falls_back_and_onnxruntime_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)  # importing it now raises ImportError
    transformer = network('transformer')
    assert on_backend(transformer, 'auto', 'cpu') is transformer
    with pytest.raises(ConfigError, match='backend onnxruntime cannot run point'):
        Planner.load('point', backend='onnxruntime')


@pytest.mark.skipif(not Path('/proc/self/statm').exists(), reason='memory is read from /proc')
def test_new_shapes_need_hardly_any_memory():
    """In a process of its own, where nothing else takes or frees memory."""
    grown_mib = float(subprocess.run(
        [sys.executable, '-c', MEET_ALL_SHAPES], capture_output=True, text=True, check=True,
        timeout=60).stdout)
    assert grown_mib < 5.0
