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

"""
Scheduling matrices: which token is at which noise level after which sampling step.

``K[m, t]`` is the level of token t after m sampling steps (Chen et al., 2024, section 3.2 and
algorithm 2). Row 0 is pure noise, the last row is clean, and no column ever rises. Any integer
matrix with these properties can be sampled; the builders here give the usual shapes.
"""

import torch
from torch import Tensor

SCHEDULES = ('full_sequence', 'pyramid', 'autoregressive')


def scheduling_matrix(schedule: str, num_tokens: int, sampling_steps: int, num_levels: int,
                      uncertainty_scale: float = 1.0) -> Tensor:
    """
    Return the scheduling matrix K (M + 1, num_tokens), integer levels.

    :param schedule: ``full_sequence`` denoises all tokens together, ``autoregressive`` one token
        after the other, ``pyramid`` near tokens ahead of far ones.
    :param num_tokens: tokens of the trajectory, T.
    :param sampling_steps: steps that each token takes from pure noise to clean.
    :param num_levels: the level of pure noise.
    :param uncertainty_scale: for ``pyramid``, how many steps token t + 1 lags behind token t;
        from ``sampling_steps`` on it is autoregressive.
    :raises ValueError: naming the argument that is out of range.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f'schedule must be one of {SCHEDULES}, got {schedule!r}')
    if not 1 <= sampling_steps <= num_levels:
        raise ValueError(f'sampling_steps must be in 1..{num_levels}, got {sampling_steps}')
    if uncertainty_scale < 0.0:
        raise ValueError(f'uncertainty_scale must be 0 or more, got {uncertainty_scale}')
    lag = {'full_sequence': 0.0, 'pyramid': min(uncertainty_scale, sampling_steps),
           'autoregressive': sampling_steps}[schedule]
    delay = torch.floor(lag * torch.arange(num_tokens)).long()
    rows = torch.arange(sampling_steps + int(delay[-1]) + 1)
    steps_left = (sampling_steps + delay[None, :] - rows[:, None]).clamp(0, sampling_steps)
    levels = torch.linspace(0.0, num_levels, sampling_steps + 1).round().long()
    return levels[steps_left]


def check_schedule(matrix: Tensor, num_tokens: int, num_levels: int) -> None:
    """Raise ValueError unless ``matrix`` is a scheduling matrix for num_tokens tokens."""
    if matrix.ndim != 2 or matrix.shape[1] != num_tokens or matrix.shape[0] < 2:
        raise ValueError(f'a scheduling matrix for {num_tokens} tokens must have shape '
                         f'(M + 1, {num_tokens}), got {tuple(matrix.shape)}')
    if matrix.is_floating_point():
        raise ValueError(f'a scheduling matrix must hold integer levels, got {matrix.dtype}')
    if int(matrix.min()) < 0 or int(matrix.max()) > num_levels:
        raise ValueError(f'levels must be in 0..{num_levels}, got {int(matrix.min())}..'
                         f'{int(matrix.max())}')
    if bool((matrix[0] != num_levels).any()):
        raise ValueError('row 0 of a scheduling matrix must be pure noise')
    if bool((matrix[1:] > matrix[:-1]).any()):
        raise ValueError('a scheduling matrix must never re-noise a token')
