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
import math

import h5py
import numpy as np

from df_planner.errors import MOST_NAMES
from df_planner.errors import some_of
from df_planner.robots.signals import ATTRIBUTE
from df_planner.robots.signals import MAZE2D
from df_planner.robots.signals import Signals

TRUE_STATE_KEYS = ('infos/qpos', 'infos/qvel')
FLAG_KEYS = ('terminals', 'timeouts')
KEYS = ('observations', 'actions', 'rewards', *FLAG_KEYS, 'infos/goal', *TRUE_STATE_KEYS)
OPTIONAL_KEYS = ('timeouts', 'infos/goal', *TRUE_STATE_KEYS)
MIN_ROWS = 2
MAX_COMPRESSION = 1100  # deflate cannot do more than 1032:1
UNSAID = ('; the file does not say what its columns are and is taken for one of Maze2D: for '
          'another robot, `df_planner data import` it with --config')


def row_shapes_of(signals: Signals = MAZE2D) -> dict[str, tuple[int, ...]]:
    """Return the shape of a row under every key."""
    return {'observations': (signals.observation_size,), 'actions': (signals.action_size,),
            'rewards': (), 'terminals': (), 'timeouts': (), 'infos/goal': (2,),
            'infos/qpos': (2,), 'infos/qvel': (signals.observation_size - 2,)}


def layout_problems(file: h5py.File, signals: Signals,
                    widths: Mapping[str, int] | None = None) -> Iterator[str]:
    """
    Give what is wrong with keys, kinds, dtypes, shapes and numbers of rows.

    :param widths: of other arrays (N, C) that take the place of observations and actions: the
        fewest columns C of each.
    """
    if (maker := _maker(file)) is not None:
        yield maker
        return
    num_rows: dict[str, int] = {}
    shapes: Mapping[str, tuple[int | str, ...]] = row_shapes_of(signals)
    if widths is not None:
        shapes = {key: (f'{width} or more',) for key, width in widths.items()} | {
            key: shapes[key] for key in ('rewards', *FLAG_KEYS)}
    for key, row_shape in shapes.items():
        stored = _found(file, key)
        if stored is None:
            if key not in OPTIONAL_KEYS:
                yield f'key {key} is missing; the file has {some_of(_keys(file))}'
            continue
        least = None if widths is None else widths.get(key)
        problem = _array_problem(file, key, stored, row_shape, least)
        if problem is not None:
            yield problem
        else:
            num_rows[key] = len(stored)
    first = next(iter(shapes))
    wanted = num_rows.get(first)
    if wanted is None:
        return
    if wanted < MIN_ROWS:
        yield f'needs at least {MIN_ROWS} rows, has {wanted}'
    for key, count in num_rows.items():
        if count != wanted:
            yield f'{key} has {count} rows, {first} {wanted}'


def _maker(file: h5py.File) -> str | None:
    """Return what to do with a file in the layout of another tool; None if it is none."""
    if 'observations' in file:
        return None
    if isinstance(file.get('episode_0'), h5py.Group):
        return ('is the inner file of a Minari data set; give the data set: its folder, the one '
                'that has the folder data, or minari:NAME')
    if isinstance(file.get('data'), h5py.Group) and any(
            name.startswith('demo_') for name in file['data']):
        return ("has robomimic's layout (data/demo_N/...), which is not read; write the rows of "
                'all demonstrations one after the other into observations, actions, rewards and '
                'terminals, set where a demonstration ends')
    return None


def _found(file: h5py.File, key: str) -> h5py.Dataset | h5py.Group | h5py.ExternalLink | None:
    """Return what a file has under a key; the link, if it leads to another file."""
    path = ''
    for name in key.split('/'):
        path = f'{path}/{name}'
        link = file.get(path, getlink=True)
        if link is None or isinstance(link, h5py.ExternalLink):
            return link
    return file.get(key)


def _array_problem(file: h5py.File, key: str, stored: object, row_shape: tuple[int | str, ...],
                   least: int | None) -> str | None:
    """
    Return what is wrong with an array, or None.

    :param least: columns of an array whose number of columns may be any from there on.
    """
    if isinstance(stored, h5py.ExternalLink):
        return f'{key} is a link to {stored.filename}; copy its rows into the file itself'
    if not isinstance(stored, h5py.Dataset):
        return f'{key} is a group, must be an array; --config may name an array in it'
    if least is None:
        kind = 'bool' if key in FLAG_KEYS else 'float'
        if stored.dtype.kind != kind[0]:
            return f'{key} must be of dtype {kind}, got {stored.dtype}; convert it'
    elif stored.dtype.kind not in 'fiu':
        return f'{key} must be numbers, got {stored.dtype}'
    shape = stored.shape or ()
    fits = shape[1:] == row_shape if least is None else len(shape) == 2 and shape[1] >= least
    if not shape or not fits:
        wanted = ', '.join(map(str, ('N', *row_shape)))
        return (f'{key} must have shape ({wanted}), got {shape}' + (
            '; rows and columns are swapped' if shape[::-1][1:] == row_shape and row_shape
            else UNSAID if key in ('observations', 'actions') and ATTRIBUTE not in file.attrs
            and least is None else ''))
    file_bytes = stored.file.id.get_filesize()
    if stored.nbytes > MAX_COMPRESSION * file_bytes:
        return (f'{key} claims {len(stored)} rows, {stored.nbytes} bytes, which a file of '
                f'{file_bytes} bytes cannot hold')
    return _missing_content(key, stored)


def _missing_content(key: str, stored: h5py.Dataset) -> str | None:
    """Return which content is not there, where HDF5 would give its fill value without a word."""
    others = ([source.file_name for source in stored.virtual_sources()] if stored.is_virtual
              else [name for name, *_ in stored.external or ()])
    if stored.is_virtual or others:
        return (f'{key} has its rows in other files ({some_of(dict.fromkeys(others))}), and HDF5 '
                'gives zeros where one is missing; copy the rows into one file')
    if stored.chunks:
        pieces = math.prod(-(-size // chunk) for size, chunk in zip(stored.shape, stored.chunks))
        lost = pieces - stored.id.get_num_chunks()
    else:
        pieces, lost = 1, int(stored.id.get_storage_size() < stored.nbytes)
    if lost > 0:
        return (f'{key} is incomplete: {lost} of {pieces} blocks were never written, and HDF5 '
                f'gives {stored.fillvalue} for them; write the file again')
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


def _keys(file: h5py.File) -> list[str]:
    """Return the names in a file; of very many the first ones."""
    names: list[str] = []

    def take(name: str) -> bool | None:
        names.append(name)
        return len(names) > MOST_NAMES or None  # True ends the visit

    file.visit(take)
    return names or ['nothing']
