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

"""The noise schedule: exact ends, preserved variance, and the v-prediction identities."""

import pytest
import torch

from df_planner.diffusion.noise import NoiseSchedule


@pytest.fixture
def noise():
    return NoiseSchedule(100)


def test_level_0_is_clean_and_level_k_is_pure_noise(noise):
    x0, eps = torch.randn(5, 3), torch.randn(5, 3)
    assert torch.equal(noise.add_noise(x0, eps, torch.tensor(0)), x0)
    assert torch.equal(noise.add_noise(x0, eps, torch.tensor(100)), eps)


def test_variance_is_preserved_and_the_signal_only_fades(noise):
    levels = torch.arange(101)
    total = noise.alpha(levels) ** 2 + noise.sigma(levels) ** 2
    assert torch.allclose(total, torch.ones(101), atol=1e-6)
    assert (noise.alpha(levels).diff() < 0).all()
    signal_to_noise = (noise.alpha(levels[1:]) / noise.sigma(levels[1:])) ** 2
    assert signal_to_noise.diff().max() < 0


def test_split_inverts_noising_at_every_level(noise):
    levels = torch.arange(101)[:, None]
    x0, eps = torch.randn(101, 4), torch.randn(101, 4)
    x = noise.add_noise(x0, eps, levels)
    x0_back, eps_back = noise.split(x, noise.velocity(x0, eps, levels), levels)
    assert torch.allclose(x0_back, x0, atol=1e-5)
    assert torch.allclose(eps_back, eps, atol=1e-5)


def test_no_levels_is_refused():
    with pytest.raises(ValueError, match='num_levels must be 1 or more, got 0'):
        NoiseSchedule(0)
