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

"""The formats of logs: find out which one a log has, open it, and hash its content."""

import hashlib
from pathlib import Path

from df_planner.data.d4rl import file_sha256
from df_planner.data.sources.bag import BagSource
from df_planner.data.sources.bag_files import bag_names
from df_planner.data.sources.bag_files import SUFFIXES
from df_planner.data.sources.bag_files import unmerged
from df_planner.data.sources.columns import ImportConfig
from df_planner.data.sources.hdf5 import Hdf5Source
from df_planner.data.sources.minari import minari_folder
from df_planner.data.sources.minari import MinariSource
from df_planner.data.sources.minari import PREFIX
from df_planner.data.sources.source import Source
from df_planner.errors import DatasetError

HDF5_SUFFIXES = ('.hdf5', '.h5')


def open_source(name: str, config: ImportConfig | None = None) -> Source:
    """
    Open a log: an HDF5 file, a Minari data set, or a bag.

    :param name: a path, or ``minari:`` and the name of a local data set.
    :param config: the columns; by default those of the maze, or what an HDF5 file says itself.
    :raises DFPlannerError: DatasetError, BagError or ConfigError, naming the log and the cause.
    """
    path = minari_folder(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else Path(name)
    if not path.exists():
        raise DatasetError(f'{name}: no such file or folder')
    if path.is_dir():
        if (path / 'data/metadata.json').is_file():
            return MinariSource(path, config)
        if (path / 'metadata.yaml').is_file() or bag_names(path):
            return BagSource(path, config)
        raise DatasetError(f'{name}: the folder has neither metadata.yaml (of a bag) nor '
                           'data/metadata.json (of a Minari data set)')
    if path.stat().st_size == 0:
        raise DatasetError(f'{name}: the file is empty')
    if path.suffix in HDF5_SUFFIXES:
        return Hdf5Source(path, config)
    if path.suffix in SUFFIXES:
        return BagSource(path, config)
    raise DatasetError(f'{name}: its name must end in one of '
                       + ', '.join((*HDF5_SUFFIXES, *SUFFIXES)))


def content_sha256(source: Source) -> str:
    """Return a hash of the content of a source, without its name and its metadata."""
    path = source.path
    files = [path, *unmerged(path)]
    if path.is_dir():
        described_by = ('metadata.yaml', 'metadata.json')
        files = sorted(file for file in path.rglob('*')
                       if file.is_file() and file.name not in described_by)
    if len(files) == 1:
        return file_sha256(files[0])
    return hashlib.sha256(' '.join(map(file_sha256, files)).encode()).hexdigest()
