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
``observations``    (N, S)    what the controller saw; float32, as everything but the flags
``actions``         (N, A)    clipped to their limits, in Maze2D to [-1, 1]
``rewards``         (N,)      of ``observations[t]`` and the maze's fixed goal
``terminals``       (N,)      bool, never set in Maze2D: one endless trajectory
``timeouts``        (N,)      bool, the controller reached its goal; the motion goes on (optional)
``infos/goal``      (N, 2)    the goal at that row (optional)
``infos/qpos|qvel`` (N, 2)    the true state at that row (optional)
==================  ========  ================================================================

In Maze2D S = 4 and A = 2; the attribute ``signals`` of a file says what it has instead
(``df_planner/robots/signals.py``).

In D4RL's own files the row after a reached goal repeats the old observation; ``infos`` hold the
true state, with which ``load_dataset`` repairs those rows.

These files are compressed. A short log is read into memory; of a long one ``load_dataset`` keeps a
checked and repaired copy beside it, which is mapped: see ``df_planner/data/mapped.py``.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
import hashlib
import logging
from pathlib import Path
import re
import shlex

import h5py
import numpy as np
from tqdm import tqdm

from df_planner.data import mapped
from df_planner.data.layout import FLAG_KEYS
from df_planner.data.layout import KEYS
from df_planner.data.layout import layout_problems
from df_planner.data.layout import OPTIONAL_KEYS
from df_planner.data.layout import row_shapes_of
from df_planner.data.layout import true_observations
from df_planner.data.layout import TRUE_STATE_KEYS
from df_planner.data.layout import value_problems
from df_planner.data.summary import motion_doubts
from df_planner.data.summary import Summary
from df_planner.errors import DatasetError
from df_planner.files import placeholder
from df_planner.files import replacing
from df_planner.robots.kinds import POINT
from df_planner.robots.kinds import ROBOTS
from df_planner.robots.signals import ATTRIBUTE
from df_planner.robots.signals import MAZE2D
from df_planner.robots.signals import Signals
from df_planner.robots.signals import signals_from_attribute

CHUNK_ROWS = 16384
BLOCK_ROWS = 8 * CHUNK_ROWS  # read and checked at once
MAP_FROM_ROWS = 500_000  # logs this long are mapped from their copy
GENERATED = re.compile(f'({"|".join(kind.prefix for kind in ROBOTS.values())})'
                       r'-((?:eval-)?(?:umaze|medium|large))\.hdf5')


@dataclass(frozen=True)
class Dataset:
    """
    A checked data set of N rows; the arrays of a long log are mapped from a file and read-only.

    :param observations: (N, S) float32; repaired if asked for and possible.
    :param actions: (N, A) float32.
    :param rewards: (N,) float32.
    :param terminals: (N,) bool.
    :param timeouts: (N,) bool, all False in a file without them.
    :param goals: (N, 2) float32, None in a file without them.
    :param episode_starts: (E,) int64, the first row of every stretch of continuous motion.
    :param path: where it was loaded from, with the hash ``sha256`` of that file.
    :param signals: what the columns mean.
    :param attributes: the file's other attributes, for a generated file how it was made.
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
    signals: Signals = MAZE2D
    attributes: dict = field(default_factory=dict)
    num_repaired: int = 0

    def __len__(self) -> int:
        return len(self.observations)


def load_dataset(path: str | Path, repair: bool = True) -> Dataset:
    """
    Load and check a data set, generated or D4RL's own.

    A log of ``MAP_FROM_ROWS`` rows or more is checked once and mapped from then on: it opens at
    once and its memory is given back when others need it. Where its copy cannot be written, the
    log is read into memory.

    :param repair: replace stale observations by the state in ``infos``, where the file has it.
    :raises DatasetError: naming the file and the cause.
    """
    path = Path(path)
    if not path.is_file():
        raise DatasetError(f'{path}: no such file{_how_to_make(path)}')
    sha256 = file_sha256(path)
    with opened(path) as file:
        attributes = {key: value.item() if isinstance(value, np.generic) else value
                      for key, value in file.attrs.items()}
        said = ATTRIBUTE in attributes
        signals = signals_from_attribute(attributes.pop(ATTRIBUTE, None), str(path))
        for problem in layout_problems(file, signals):
            raise DatasetError(f'{path}: {problem}')
        num_rows, content = len(file['observations']), None
        if num_rows >= MAP_FROM_ROWS:
            content = _map(path, file, num_rows, repair, sha256, signals)
        if content is None:
            content = _read(path, file, num_rows, repair, signals)
    arrays = content.arrays
    if not said:
        _warn_of_another_robot(path, arrays)
    return Dataset(
        arrays['observations'], arrays['actions'], arrays['rewards'], arrays['terminals'],
        arrays.get('timeouts', np.zeros(num_rows, dtype=bool)), arrays.get('infos/goal'),
        content.episode_starts, path, sha256, signals, attributes, content.num_repaired)


def _warn_of_another_robot(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Warn of a log that is taken for one of Maze2D, and moves otherwise."""
    summary = Summary(MAZE2D)
    summary.add({key: arrays[key][:BLOCK_ROWS] for key in (
        'observations', 'actions', 'rewards', 'terminals')})
    for doubt in motion_doubts(summary):
        logging.getLogger(__name__).warning(
            '%s: does not say what its columns are and is taken for one of Maze2D, but %s; if it '
            'is of another robot, `df_planner data import` it with --config', path, doubt)


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open a file for reading; DatasetError if HDF5 cannot read it, now or within the block."""
    try:
        with h5py.File(path, 'r') as file:
            yield file
    except (OSError, RuntimeError) as error:
        raise _unreadable(path, error) from error


def _how_to_make(path: Path) -> str:
    """Return the command that makes a file of this name, if it is one of the generators'."""
    found = GENERATED.fullmatch(path.name)
    if found is None:
        return ''
    command = ['df_planner', 'data', 'generate', '--maze', found[2]]
    [robot] = (name for name, kind in ROBOTS.items() if kind.prefix == found[1])
    if robot != POINT.name:
        command += ['--robot', robot]
    if path.parent != Path('data'):
        command += ['--out', str(path)]
    return f'; `{shlex.join(command)}` makes it'


def _unreadable(path: Path, error: Exception) -> DatasetError:
    words = ' '.join(str(error).split())
    if isinstance(error, PermissionError):
        return DatasetError(f'{path}: no permission to read it')
    if isinstance(error, BlockingIOError):
        return DatasetError(f'{path}: another process has it open for writing; try again when '
                            'that has ended')
    if (stands_for := placeholder(path)) is not None:
        return DatasetError(f'{path}: {stands_for}')
    return DatasetError(f'{path}: truncated or not HDF5 ({words})')


def _map(path: Path, file: h5py.File, num_rows: int, repair: bool, sha256: str,
         signals: Signals) -> mapped.Content | None:
    """Map the copy of a log, made first if there is none; None where it cannot be written."""
    copy = path.with_name(f'.{path.name}.{"repaired" if repair else "unrepaired"}')
    content = mapped.open_copy(copy, sha256)
    if content is not None:
        return content
    row_shapes = row_shapes_of(signals)
    shapes = {key: (num_rows, *row_shapes[key]) for key in _kept_keys(file)}
    try:
        with mapped.copy_writer(copy, sha256, shapes, FLAG_KEYS) as out:
            num_repaired = _copy_checked(path, file, out, num_rows, repair, signals)
            out['episode_starts'] = find_episode_starts(out['observations'], out['terminals'],
                                                        signals.max_step_m)
            out.attrs['num_repaired'] = num_repaired
    except mapped.CannotWrite as error:
        logging.getLogger(__name__).warning('%s; the log is read into memory', error)
        return None
    return mapped.open_copy(copy, sha256)


def _read(path: Path, file: h5py.File, num_rows: int, repair: bool,
          signals: Signals) -> mapped.Content:
    row_shapes = row_shapes_of(signals)
    arrays = {key: np.zeros((num_rows, *row_shapes[key]), bool if key in FLAG_KEYS else np.float32)
              for key in _kept_keys(file)}
    num_repaired = _copy_checked(path, file, arrays, num_rows, repair, signals)
    starts = find_episode_starts(arrays['observations'], arrays['terminals'], signals.max_step_m)
    return mapped.Content(arrays, starts, num_repaired)


def _kept_keys(file: h5py.File) -> tuple[str, ...]:
    """Return the keys of a data set in memory: the true state is in the observations then."""
    return tuple(key for key in KEYS if key in file and key not in TRUE_STATE_KEYS)


def _copy_checked(path: Path, file: h5py.File, out: Mapping, num_rows: int, repair: bool,
                  signals: Signals) -> int:
    """
    Copy a log block by block, checking its values, and return the number of repaired rows.

    :param out: takes rows of ``_kept_keys`` in slices: arrays or those of a file.
    """
    keys = [key for key in KEYS if key in file]
    num_repaired = 0
    with tqdm(total=num_rows, desc=f'checking {path.name}', unit='row', unit_scale=True, delay=1.0,
              leave=False) as bar:
        for first in range(0, num_rows, BLOCK_ROWS):
            last = min(first + BLOCK_ROWS, num_rows)
            block = {key: _read_block(path, file, key, first, last, signals) for key in keys}
            if repair:
                seen = true_observations(block)
                num_repaired += int((seen != block['observations']).any(axis=1).sum())
                block['observations'] = seen
            for key in _kept_keys(file):
                out[key][first:last] = block[key]
            bar.update(last - first)
    return num_repaired


def _read_block(path: Path, file: h5py.File, key: str, first: int, last: int,
                signals: Signals) -> np.ndarray:
    try:
        array = file[key][first:last]
    except (OSError, RuntimeError) as error:
        raise _unreadable(path, error) from error
    for problem in value_problems(key, array, first, signals):
        raise DatasetError(f'{path}: {problem}')
    return array if key in FLAG_KEYS else array.astype(np.float32, copy=False)


def find_episode_starts(observations: np.ndarray, terminals: np.ndarray, max_step_m: float
                        ) -> np.ndarray:
    """
    Return the first row of every stretch of continuous motion, int64 (E,).

    A stretch ends at a terminal and where the position (N, 2+) jumps. Maze2D's timeouts do not end
    one: the ball rolls on towards the next goal.

    :param observations: read in slices, as ``terminals``, so that they may be those of a file.
    """
    starts = [np.zeros(1, np.int64)]
    for first in range(0, len(observations) - 1, BLOCK_ROWS):
        rows = observations[first:first + BLOCK_ROWS + 1]
        steps = np.hypot(np.diff(rows[:, 0]), np.diff(rows[:, 1]))
        breaks = (steps > max_step_m) | terminals[first:first + BLOCK_ROWS + 1][:-1]
        starts.append(np.flatnonzero(breaks) + first + 1)
    return np.concatenate(starts)


@contextmanager
def dataset_writer(path: str | Path, num_rows: int | None, keys: tuple[str, ...] = KEYS,
                   attributes: Mapping[str, object] | None = None,
                   signals: Signals = MAZE2D) -> Iterator:
    """
    Give a function ``write(first_row, arrays)`` that fills a new file stretch by stretch.

    The file is hidden until the block ends; an exception, Ctrl-C included, removes it.

    :param num_rows: of the file; None for one that grows with what is written.
    """
    unknown = set(keys) - set(KEYS)
    missing = set(KEYS) - set(OPTIONAL_KEYS) - set(keys)
    if unknown or missing:
        raise DatasetError(f'{path}: unknown keys {sorted(unknown)}, missing {sorted(missing)}')
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    row_shapes = row_shapes_of(signals)
    with replacing(path) as partial, h5py.File(partial, 'w') as file:
        for key in keys:
            file.create_dataset(
                key, (num_rows or 0, *row_shapes[key]), maxshape=(num_rows, *row_shapes[key]),
                dtype=bool if key in FLAG_KEYS else np.float32, compression='gzip',
                chunks=(min(num_rows or CHUNK_ROWS, CHUNK_ROWS), *row_shapes[key]))
        file.attrs.update(attributes or {})
        if signals != MAZE2D:
            file.attrs[ATTRIBUTE] = signals.model_dump_json()

        def write(first_row: int, arrays: Mapping[str, np.ndarray]) -> None:
            for key in keys:
                last = first_row + len(arrays[key])
                if num_rows is None:
                    file[key].resize(last, axis=0)
                file[key][first_row:last] = arrays[key]

        yield write


def file_sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()
