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

"""Checks of what a caller passes in: shapes, numbers and ranges."""

import numpy as np

from df_planner.errors import InvalidInput


def finite(value: object, size: int, what: str) -> np.ndarray:
    """Return ``value`` as float64 (size,), or raise InvalidInput."""
    array = _numbers(value, f'{size} numbers', what)
    if array.shape != (size,):
        raise InvalidInput(f'{what} must have shape ({size},), got {array.shape}')
    if not np.isfinite(array).all():
        raise InvalidInput(f'{what} must be finite, got {array}')
    return array


def past_states(value: object, size: int) -> np.ndarray:
    """Return a history as float64 (n, ``size``), n possibly 0, or raise InvalidInput."""
    history = _numbers(value, 'states', 'history')
    if history.size == 0:
        return np.zeros((0, size))
    if history.ndim != 2 or history.shape[1] != size:
        raise InvalidInput(f'history must have shape (n, {size}), got {history.shape}')
    if not np.isfinite(history).all():
        raise InvalidInput('history must be finite')
    return history


def whole_tokens(value: object, frame_stack: int, most: int, limits: np.ndarray) -> np.ndarray:
    """
    Return the actions of a prefix as float64 (P, A), or raise InvalidInput.

    P must be a multiple of ``frame_stack``, because all actions of a token share one noise level,
    and leave a token to be planned of the ``most`` there may be.

    :param limits: (A,) the largest magnitude of each action.
    """
    prefix = _numbers(value, 'actions', 'prefix')
    if prefix.ndim != 2 or prefix.shape[1] != len(limits) or len(prefix) % frame_stack:
        raise InvalidInput(f'prefix must have shape (P, {len(limits)}), P a multiple of the '
                           f'{frame_stack} steps of a token, got {prefix.shape}')
    if not (np.abs(prefix) <= limits).all():
        raise InvalidInput('prefix must lie within '
                           + ' x '.join(f'[-{x:g}, {x:g}]' for x in limits))
    if len(prefix) > (most - 1) * frame_stack:
        raise InvalidInput(f'prefix of {len(prefix)} steps: the horizon has '
                           f'{(most - 1) * frame_stack}')
    return prefix


def _numbers(value: object, what_numbers: str, what: str) -> np.ndarray:
    """Return a copy of ``value`` as float64, or raise InvalidInput."""
    try:
        return np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f'{what} must be {what_numbers}, got {value!r}') from error
