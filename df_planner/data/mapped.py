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
The mapped copy of a long log: checked, repaired, and not compressed.

It is a hidden file beside the log, ``.maze2d-large.hdf5.repaired``, HDF5 with contiguous arrays,
and is tied to the content of the log by its SHA-256: a changed log gets a new copy in place of the
old one. It may be deleted at any time; the next run makes it again. Mapped arrays are read page by
page when they are used, and the kernel takes the pages back when memory is short.
"""

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from df_planner.files import replacing

VERSION = 1  # of the checks and of the layout; a copy of another version is replaced


class CannotWrite(Exception):
    """The copy cannot be written: no permission, or a full disk."""


@dataclass(frozen=True)
class Content:
    """
    A checked log of N rows.

    :param arrays: under the keys of D4RL, N rows each.
    :param episode_starts: (E,) int64.
    :param num_repaired: rows whose observation was not the true state.
    """

    arrays: dict[str, np.ndarray]
    episode_starts: np.ndarray
    num_repaired: int


def open_copy(copy: Path, sha256: str) -> Content | None:
    """Map a copy; None if there is no whole one of the log with this hash."""
    try:
        with h5py.File(copy, 'r') as file:
            if file.attrs['log_sha256'] != sha256 or file.attrs['version'] != VERSION:
                return None
            keys: list[str] = []
            file.visititems(
                lambda key, item: keys.append(key) if isinstance(item, h5py.Dataset) else None)
            arrays = {key: _map_array(copy, file[key]) for key in keys}
            starts = np.array(arrays.pop('episode_starts'))
            return Content(arrays, starts, int(file.attrs['num_repaired']))
    except (OSError, RuntimeError, KeyError, ValueError):
        return None


def _map_array(path: Path, stored: h5py.Dataset) -> np.ndarray:
    """Map an array of an open file; a ValueError if the file ends before it does."""
    offset = stored.id.get_offset()
    if offset is None:
        raise ValueError(f'{path}: {stored.name} is not contiguous')
    return np.asarray(np.memmap(path, stored.dtype, 'r', offset, stored.shape))


@contextmanager
def copy_writer(copy: Path, sha256: str, shapes: Mapping[str, tuple[int, ...]],
                flag_keys: Collection[str]) -> Iterator[h5py.File]:
    """
    Give a new file with arrays of these shapes.

    The block fills them, and adds the array ``episode_starts`` and the attribute ``num_repaired``.
    The file takes its name if the block ends without an exception, and vanishes otherwise.

    :param sha256: of the log.
    :param flag_keys: keys of type bool; the others are float32.
    :raises CannotWrite: naming the copy and the cause.
    """
    try:
        with replacing(copy) as partial, h5py.File(partial, 'w') as file:
            for key, shape in shapes.items():
                file.create_dataset(key, shape, bool if key in flag_keys else np.float32)
            file.attrs.update(log_sha256=sha256, version=VERSION)
            yield file
    except OSError as error:
        cause = ' '.join(str(error).split())
        raise CannotWrite(f'{copy}: cannot be written ({cause})') from error
