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

"""The scheduling matrix of a request: from the settings, a file or the caller."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from df_planner.diffusion.schedule import check_schedule
from df_planner.diffusion.schedule import scheduling_matrix
from df_planner.errors import ConfigError
from df_planner.errors import InvalidInput
from df_planner.planning.settings import PlannerSettings


def matrix_for(settings: PlannerSettings, num_levels: int, most_tokens: int,
               given: np.ndarray | None = None) -> Callable[[int], Tensor]:
    """
    Return what gives the scheduling matrix (M + 1, n) of n tokens, n at most ``most_tokens``.

    :param given: the caller's matrix (M + 1, >= most_tokens). It takes precedence over
        ``schedule_file``, which takes precedence over ``schedule``.
    :raises InvalidInput: if ``given`` is not such a matrix.
    :raises ConfigError: if the file does not hold one, naming it.
    """
    if given is not None:
        try:
            matrix = _checked(np.asarray(given), num_levels, most_tokens)
        except ValueError as error:
            raise InvalidInput(f'schedule: {error}') from error
    elif settings.schedule_file:
        matrix = _read(Path(settings.schedule_file), num_levels, most_tokens)
    else:
        return lambda num_tokens: scheduling_matrix(
            settings.schedule, num_tokens, settings.sampling_steps, num_levels,
            settings.uncertainty_scale)
    return lambda num_tokens: matrix[:, :num_tokens]


def _read(path: Path, num_levels: int, most_tokens: int) -> Tensor:
    """Read comma-separated integers, a row of the matrix per line; ConfigError."""
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
        rows = [[int(level) for level in line.split(',')] for line in lines if line.strip()]
        lengths = sorted({len(row) for row in rows})
        if len(lengths) != 1:
            raise ValueError(f'all lines must hold the same number of levels, got {lengths}')
        return _checked(np.array(rows), num_levels, most_tokens)
    except (OSError, ValueError) as error:
        raise ConfigError(f'schedule_file {path}: {error}') from error


def _checked(matrix: np.ndarray, num_levels: int, most_tokens: int) -> Tensor:
    """Return the matrix as a tensor, or raise ValueError."""
    if not np.issubdtype(matrix.dtype, np.integer):
        raise ValueError(f'a scheduling matrix must hold integer levels, got {matrix.dtype}')
    if matrix.ndim != 2 or matrix.shape[1] < most_tokens:
        raise ValueError(f'plans of {most_tokens} tokens need a matrix of at least as many '
                         f'columns, got shape {matrix.shape}')
    tensor = torch.tensor(np.ascontiguousarray(matrix), dtype=torch.long)
    check_schedule(tensor, matrix.shape[1], num_levels)
    if bool(tensor[-1].any()):
        raise ValueError('the last row of a scheduling matrix must be clean, level 0')
    return tensor
