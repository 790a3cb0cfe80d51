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
Data sets in D4RL's HDF5 format.

==================  ========  ================================================================
``observations``    (N, 4)    what the controller saw; float32, as everything but the flags
``actions``         (N, 2)    clipped to [-1, 1]
``rewards``         (N,)      of ``observations[t]`` and the maze's fixed goal
``terminals``       (N,)      bool, never set in Maze2D: one endless trajectory
``timeouts``        (N,)      bool, the controller reached its goal; the motion goes on (optional)
``infos/goal``      (N, 2)    the goal at that row (optional)
``infos/qpos|qvel`` (N, 2)    the true state at that row (optional)
==================  ========  ================================================================

In D4RL's own files the row after a reached goal repeats the old observation; ``infos`` hold what
was true, and ``load_dataset`` repairs those rows with it.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
import hashlib
import os
from pathlib import Path
import tempfile

import h5py
import numpy as np

from df_planner.errors import DatasetError

ROW_SHAPES = {
    'observations': (4,), 'actions': (2,), 'rewards': (), 'terminals': (), 'timeouts': (),
    'infos/goal': (2,), 'infos/qpos': (2,), 'infos/qvel': (2,)}
OPTIONAL_KEYS = ('timeouts', 'infos/goal', 'infos/qpos', 'infos/qvel')
FLAG_KEYS = ('terminals', 'timeouts')
MAX_STEP_M = 0.15  # a longer one breaks the motion: the robot moves at most 0.075 m in 10 ms
CHUNK_ROWS = 16384


@dataclass(frozen=True)
class Dataset:
    """
    A checked data set of N rows.

    :param observations: (N, 4) float32; repaired if asked for and possible.
    :param actions: (N, 2) float32.
    :param rewards: (N,) float32.
    :param terminals: (N,) bool.
    :param timeouts: (N,) bool, all False in a file without them.
    :param goals: (N, 2) float32, None in a file without them.
    :param episode_starts: (E,) int64, the first row of every stretch of continuous motion.
    :param path: where it was loaded from, with the hash ``sha256`` of that file.
    :param attributes: the file's attributes, for a generated file how it was made.
    :param num_repaired: rows whose observation was not the true state.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminals: np.ndarray
    timeouts: np.ndarray
    goals: np.ndarray | None
    episode_starts: np.ndarray
    path: Path
    sha256: str
    attributes: dict = field(default_factory=dict)
    num_repaired: int = 0

    def __len__(self) -> int:
        """Return the number of rows N."""
        return len(self.observations)


def load_dataset(path: str | Path, repair: bool = True) -> Dataset:
    """
    Load and check a data set, generated or D4RL's own.

    :param repair: replace stale observations by the state in ``infos``, where the file has it.
    :raises DatasetError: naming the file and the cause.
    """
    path = Path(path)
    if not path.is_file():
        raise DatasetError(f'{path}: no such file')
    try:
        with h5py.File(path, 'r') as file:
            arrays = {key: _read(path, file, key) for key in ROW_SHAPES
                      if key in file or key not in OPTIONAL_KEYS}
            attributes = {key: value.item() if isinstance(value, np.generic) else value
                          for key, value in file.attrs.items()}
    except (OSError, RuntimeError) as error:
        cause = ' '.join(str(error).split())
        raise DatasetError(f'{path}: truncated or not HDF5 ({cause})') from error
    num_rows = len(arrays['observations'])
    if num_rows < 2:
        raise DatasetError(f'{path}: needs at least 2 rows, has {num_rows}')
    for key, array in arrays.items():
        if len(array) != num_rows:
            raise DatasetError(f'{path}: {key} has {len(array)} rows, observations {num_rows}')
    actions = arrays['actions']
    if np.abs(actions).max() > 1.0 + 1e-6:
        raise DatasetError(f'{path}: actions must be in [-1, 1], '
                           f'row {np.abs(actions).max(axis=1).argmax()} is not')
    observations = arrays['observations']
    num_repaired = 0
    if repair and {'infos/qpos', 'infos/qvel'} <= arrays.keys():
        true_states = np.concatenate((arrays['infos/qpos'], arrays['infos/qvel']), axis=1)
        num_repaired = int(np.any(true_states != observations, axis=1).sum())
        observations = true_states
    return Dataset(
        observations, actions, arrays['rewards'], arrays['terminals'],
        arrays.get('timeouts', np.zeros(num_rows, dtype=bool)), arrays.get('infos/goal'),
        find_episode_starts(observations, arrays['terminals']), path, file_sha256(path),
        attributes, num_repaired)


def _read(path: Path, file: h5py.File, key: str) -> np.ndarray:
    """Read one key and check its kind, its dtype, its shape and its values."""
    if key not in file:
        raise DatasetError(f'{path}: key {key} is missing, has {_keys(file)}')
    if not isinstance(file[key], h5py.Dataset):
        raise DatasetError(f'{path}: {key} is a group, must be an array')
    stored = file[key]
    kind = 'bool' if key in FLAG_KEYS else 'float'
    if stored.dtype.kind != kind[0]:
        raise DatasetError(f'{path}: {key} must be of dtype {kind}, got {stored.dtype}')
    if stored.ndim == 0 or stored.shape[1:] != ROW_SHAPES[key]:
        raise DatasetError(f'{path}: {key} must have shape '
                           f'{("N", *ROW_SHAPES[key])}, got {stored.shape}')
    array = stored[:] if kind == 'bool' else stored[:].astype(np.float32, copy=False)
    if not np.isfinite(array).all():
        row = np.argwhere(~np.isfinite(array))[0][0]
        raise DatasetError(f'{path}: {key} has a value that is not finite, first in row {row}')
    return array


def _keys(file: h5py.File) -> str:
    names: list[str] = []
    file.visit(names.append)
    return ', '.join(names) or 'none'


def find_episode_starts(observations: np.ndarray, terminals: np.ndarray) -> np.ndarray:
    """
    Return the first row of every stretch of continuous motion, int64 (E,).

    A stretch ends at a terminal and where the position (N, 2+) jumps. Maze2D's timeouts do not end
    one: the ball rolls on towards the next goal.
    """
    steps = np.linalg.norm(np.diff(observations[:, :2], axis=0), axis=1)
    breaks = (steps > MAX_STEP_M) | terminals[:-1]
    return np.concatenate(([0], np.flatnonzero(breaks) + 1)).astype(np.int64)


def save_dataset(path: str | Path, arrays: Mapping[str, np.ndarray],
                 attributes: Mapping[str, object] | None = None) -> None:
    """Write arrays under D4RL's keys, all at once; the file appears only when it is complete."""
    num_rows = len(arrays['observations'])
    with dataset_writer(path, num_rows, tuple(arrays), attributes) as write:
        write(0, arrays)


@contextmanager
def dataset_writer(path: str | Path, num_rows: int, keys: tuple[str, ...] = tuple(ROW_SHAPES),
                   attributes: Mapping[str, object] | None = None) -> Iterator:
    """
    Give a function ``write(first_row, arrays)`` that fills a new file stretch by stretch.

    The file gets its name on leaving the context without an exception (a Ctrl-C is one); until
    then it is a hidden one beside it, which an exception removes.
    """
    unknown = set(keys) - set(ROW_SHAPES)
    missing = set(ROW_SHAPES) - set(OPTIONAL_KEYS) - set(keys)
    if unknown or missing:
        raise DatasetError(f'{path}: unknown keys {sorted(unknown)}, missing {sorted(missing)}')
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f'.{path.name}.', suffix='.part', dir=path.parent)
    os.close(handle)
    partial = Path(name)
    try:
        with h5py.File(partial, 'w') as file:
            for key in keys:
                shape = (num_rows, *ROW_SHAPES[key])
                file.create_dataset(
                    key, shape, dtype=bool if key in FLAG_KEYS else np.float32,
                    chunks=(min(num_rows, CHUNK_ROWS), *ROW_SHAPES[key]), compression='gzip')
            file.attrs.update(attributes or {})

            def write(first_row: int, arrays: Mapping[str, np.ndarray]) -> None:
                for key in keys:
                    file[key][first_row:first_row + len(arrays[key])] = arrays[key]

            yield write
        partial.chmod(0o644)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def file_sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()
