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

"""Scheduling matrices: their shapes, and the properties the sampler relies on."""

import pytest
import torch

from df_planner.diffusion.schedule import check_schedule
from df_planner.diffusion.schedule import SCHEDULES
from df_planner.diffusion.schedule import scheduling_matrix


@pytest.mark.parametrize('schedule', SCHEDULES)
@pytest.mark.parametrize('num_tokens', [1, 2, 7])
@pytest.mark.parametrize('steps', [1, 4, 100])
@pytest.mark.parametrize('scale', [0.0, 0.5, 3.0])
def test_goes_from_pure_noise_to_clean_and_never_back(schedule, num_tokens, steps, scale):
    matrix = scheduling_matrix(schedule, num_tokens, steps, 100, scale)
    check_schedule(matrix, num_tokens, 100)
    assert (matrix[-1] == 0).all()
    assert ((matrix[1:] - matrix[:-1]).amin(1) < 0).all(), 'a row that moves nothing is wasted'


def test_full_sequence_moves_all_tokens_together():
    matrix = scheduling_matrix('full_sequence', 5, 4, 100)
    assert matrix.shape == (5, 5)
    assert (matrix == matrix[:, :1]).all()
    assert matrix[:, 0].tolist() == [100, 75, 50, 25, 0]


def test_pyramid_keeps_far_tokens_noisier():
    matrix = scheduling_matrix('pyramid', 4, 2, 100, uncertainty_scale=1.0)
    assert matrix.tolist() == [[100, 100, 100, 100], [50, 100, 100, 100], [0, 50, 100, 100],
                               [0, 0, 50, 100], [0, 0, 0, 50], [0, 0, 0, 0]]
    assert (matrix[:, 1:] >= matrix[:, :-1]).all()


def test_pyramid_between_full_sequence_and_autoregressive():
    flat = scheduling_matrix('pyramid', 6, 5, 100, uncertainty_scale=0.0)
    steep = scheduling_matrix('pyramid', 6, 5, 100, uncertainty_scale=5.0)
    assert torch.equal(flat, scheduling_matrix('full_sequence', 6, 5, 100))
    assert torch.equal(steep, scheduling_matrix('autoregressive', 6, 5, 100))


def test_autoregressive_finishes_a_token_before_the_next_starts():
    matrix = scheduling_matrix('autoregressive', 3, 4, 100)
    for token in range(2):
        started = matrix[:, token + 1] < 100
        assert (matrix[started, token] == 0).all()


@pytest.mark.parametrize(('matrix', 'complaint'), [
    (torch.tensor([[100, 100], [50, 100], [60, 0]]), 'never re-noise'),
    (torch.tensor([[90, 100], [0, 0]]), 'row 0'),
    (torch.tensor([[100, 100], [-1, 0]]), 'levels must be in'),
    (torch.tensor([[100, 100, 100], [0, 0, 0]]), 'shape'),
    (torch.tensor([[100.0, 100.0], [0.0, 0.0]]), 'integer'),
])
def test_a_matrix_that_cannot_be_sampled_is_refused(matrix, complaint):
    with pytest.raises(ValueError, match=complaint):
        check_schedule(matrix, 2, 100)


@pytest.mark.parametrize(('arguments', 'complaint'), [
    (('zigzag', 3, 4, 100), 'schedule must be one of'),
    (('pyramid', 3, 0, 100), 'sampling_steps must be in'),
    (('pyramid', 3, 101, 100), 'sampling_steps must be in'),
    (('pyramid', 3, 4, 100, -1.0), 'uncertainty_scale must be 0 or more'),
])
def test_wrong_arguments_are_named(arguments, complaint):
    with pytest.raises(ValueError, match=complaint):
        scheduling_matrix(*arguments)
