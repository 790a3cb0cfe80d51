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
The layout of data sets in D4RL's HDF5 format, and what can be wrong with one.

Every check yields lines without the name of the file. ``load_dataset`` raises the first one,
``df_planner data check`` lists all.
"""

from collections.abc import Iterator
from collections.abc import Mapping

import h5py
import numpy as np

from df_planner.robots.signals import MAZE2D
from df_planner.robots.signals import Signals

TRUE_STATE_KEYS = ('infos/qpos', 'infos/qvel')
FLAG_KEYS = ('terminals', 'timeouts')
KEYS = ('observations', 'actions', 'rewards', *FLAG_KEYS, 'infos/goal', *TRUE_STATE_KEYS)
OPTIONAL_KEYS = ('timeouts', 'infos/goal', *TRUE_STATE_KEYS)
MIN_ROWS = 2
MAX_COMPRESSION = 1100  # deflate cannot do more than 1032:1


def row_shapes_of(signals: Signals = MAZE2D) -> dict[str, tuple[int, ...]]:
    """Return the shape of a row under every key."""
    return {'observations': (signals.observation_size,), 'actions': (signals.action_size,),
            'rewards': (), 'terminals': (), 'timeouts': (), 'infos/goal': (2,),
            'infos/qpos': (2,), 'infos/qvel': (signals.observation_size - 2,)}


def layout_problems(file: h5py.File, signals: Signals) -> Iterator[str]:
    """Give what is wrong with keys, kinds, dtypes, shapes and numbers of rows."""
    num_rows: dict[str, int] = {}
    for key, row_shape in row_shapes_of(signals).items():
        stored = file.get(key)
        if stored is None:
            if key not in OPTIONAL_KEYS:
                yield f'key {key} is missing; the file has {_keys(file)}'
            continue
        problem = _array_problem(key, stored, row_shape)
        if problem is not None:
            yield problem
        else:
            num_rows[key] = len(stored)
    wanted = num_rows.get('observations')
    if wanted is None:
        return
    if wanted < MIN_ROWS:
        yield f'needs at least {MIN_ROWS} rows, has {wanted}'
    for key, count in num_rows.items():
        if count != wanted:
            yield f'{key} has {count} rows, observations {wanted}'


def _array_problem(key: str, stored: object, row_shape: tuple[int, ...]) -> str | None:
    if not isinstance(stored, h5py.Dataset):
        return f'{key} is a group, must be an array'
    kind = 'bool' if key in FLAG_KEYS else 'float'
    if stored.dtype.kind != kind[0]:
        return f'{key} must be of dtype {kind}, got {stored.dtype}'
    if stored.ndim == 0 or stored.shape[1:] != row_shape:
        return f'{key} must have shape {("N", *row_shape)}, got {stored.shape}'
    file_bytes = stored.file.id.get_filesize()
    if stored.nbytes > MAX_COMPRESSION * file_bytes:
        return (f'{key} claims {len(stored)} rows, {stored.nbytes} bytes, which a file of '
                f'{file_bytes} bytes cannot hold')
    return None


def true_observations(block: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the observations of some rows, those that D4RL repeats replaced by the true state."""
    if not set(TRUE_STATE_KEYS) <= set(block):
        return block['observations']
    return np.hstack([block[key] for key in TRUE_STATE_KEYS])


def value_problems(key: str, array: np.ndarray, first: int, signals: Signals) -> Iterator[str]:
    """
    Give what is wrong with the values of some rows.

    :param array: the rows of a key.
    :param first: the number of the first of them.
    """
    if key in FLAG_KEYS:
        return
    with np.errstate(over='ignore'):
        array = array.astype(np.float32, copy=False)
    bad = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))
    if len(bad):
        yield f'{key} has a value that is not finite, {_in_rows(first + bad)}'
    for column, limit in enumerate(signals.action_limits if key == 'actions' else ()):
        bad = np.flatnonzero(np.abs(array[:, column]) > limit * (1.0 + 1e-6))
        if len(bad):
            yield (f'actions must be in [-{limit:g}, {limit:g}] and are not in column {column}, '
                   + _in_rows(first + bad))


def _in_rows(rows: np.ndarray) -> str:
    return f'first in row {rows[0]}' + (f', {len(rows)} rows in all' if len(rows) > 1 else '')


def _keys(file: h5py.File) -> str:
    names: list[str] = []
    file.visit(names.append)
    return ', '.join(names) or 'none'
