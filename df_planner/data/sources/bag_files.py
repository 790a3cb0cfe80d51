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
The files of a bag, each as its reader needs it, and what ``metadata.yaml`` says about them.

The folder of a bag is never written to: what must be unpacked or completed first is a copy.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from pathlib import PurePath
import shutil
import sqlite3
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from df_planner.errors import BagError

SUFFIXES = ('.mcap', '.db3')
STORAGES = ('mcap', 'sqlite3')
COMPRESSED = '.zstd'
UNMERGED = ('-wal', '-journal')  # SQLite has them while it writes, and after a kill
MAX_VERSION = 9  # of metadata.yaml
REINDEX = '`ros2 bag reindex` writes it anew'


@dataclass(frozen=True)
class BagFiles:
    """
    What a bag consists of.

    :param paths: of its files, in the order of recording, unpacked and complete.
    :param counts: of messages, by name, type and encoding of the topic, as ``metadata.yaml`` says.
    :param hashes: of message definitions, by type.
    :param packed: every message is compressed by itself.
    """

    paths: tuple[Path, ...]
    counts: dict[tuple[str, str, str], int] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)
    packed: bool = False


@contextmanager
def bag_files(path: Path) -> Iterator[BagFiles]:
    """
    Find the files of a bag; copies are there for the duration of a block.

    :param path: its folder, or its only file.
    :raises BagError: if one is missing, unknown, or cannot be completed.
    """
    with TemporaryDirectory(prefix='df_planner_bag_') as folder:
        found, unpack = _listed(path) if path.is_dir() else (BagFiles((path,)), False)
        paths = []
        for file in found.paths:
            if not file.name.removesuffix(COMPRESSED if unpack else '').endswith(SUFFIXES):
                raise BagError(f'{path}: is no bag: the name of {file.name} must end in '
                               + ' or '.join(SUFFIXES))
            try:
                with file.open('rb'):
                    pass
                whole = _unpacked(file, Path(folder)) if unpack else file
                paths.append(_merged(whole, Path(folder)))
            except OSError as error:
                raise BagError(f'{path}: {file.name} cannot be read: {error.strerror}') from error
        yield BagFiles(tuple(paths), found.counts, found.hashes, found.packed)


def bag_names(folder: Path) -> list[str]:
    """Return the names of the files in a folder that may be of a bag."""
    return sorted(file.name for file in folder.iterdir()
                  if file.name.removesuffix(COMPRESSED).endswith(SUFFIXES))


def unmerged(file: Path) -> list[Path]:
    """Return the files beside an SQLite file that hold a part of what was written to it."""
    beside = [file.with_name(file.name + suffix) for suffix in UNMERGED]
    return [other for other in beside if other.is_file() and other.stat().st_size]


def _listed(folder: Path) -> tuple[BagFiles, bool]:
    """Return the files that ``metadata.yaml`` lists, and whether they are to be unpacked."""
    there = bag_names(folder)
    if not (folder / 'metadata.yaml').is_file():
        raise BagError(
            f'{folder}: has {", ".join(there[:3])}, but no metadata.yaml (was its recorder killed?'
            '); `ros2 bag reindex` writes one, or name a file' if there else
            f'{folder}: is no bag: the folder has no metadata.yaml and no .mcap or .db3 file')
    try:
        content = yaml.safe_load((folder / 'metadata.yaml').read_text(encoding='utf-8'))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        words = ' '.join(str(error).split())[:200]
        raise BagError(f'{folder}: metadata.yaml is no YAML: {words}; {REINDEX}') from error
    try:
        about: dict[str, Any] = content['rosbag2_bagfile_information']
        if about['version'] > MAX_VERSION:
            raise BagError(f'{folder}: metadata.yaml has version {about["version"]}; '
                           f'versions up to {MAX_VERSION} can be read')
        storage, mode = about['storage_identifier'], about.get('compression_mode', '').lower()
        names = [PurePath(name).name for name in about['relative_file_paths']]
        counts: Counter[tuple[str, str, str]] = Counter()
        hashes = {}
        for topic in about['topics_with_message_count']:
            of_topic = topic['topic_metadata']
            counts[of_topic['name'], of_topic['type'], of_topic['serialization_format']] += int(
                topic['message_count'])
            hashes[of_topic['type']] = of_topic.get('type_description_hash', '')
    except KeyError as error:
        raise BagError(f'{folder}: metadata.yaml has no {error.args[0]}; {REINDEX}') from error
    except (TypeError, ValueError, AttributeError) as error:
        raise BagError(f'{folder}: metadata.yaml is not as rosbag2 writes it: {error}; {REINDEX}'
                       ) from error
    if storage not in STORAGES:
        raise BagError(f'{folder}: its storage is {storage}; {" and ".join(STORAGES)} can be read')
    if mode not in ('', 'none') and about.get('compression_format') != 'zstd':
        raise BagError(f'{folder}: is compressed by {about.get("compression_format")}; zstd can '
                       'be read')
    _require_the_same(folder, names)
    return BagFiles(tuple(folder / name for name in names), counts, hashes,
                    mode == 'message'), mode == 'file'


def _require_the_same(folder: Path, names: list[str]) -> None:
    """Raise a BagError unless the files in a folder are those of its ``metadata.yaml``."""
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise BagError(f'{folder}: {", ".join(missing[:3])} is missing ({len(missing)} of '
                       f'{len(names)} files); copy the whole bag')
    known = {name.removesuffix(COMPRESSED) for name in names}
    others = [name for name in bag_names(folder) if name.removesuffix(COMPRESSED) not in known]
    if others:
        raise BagError(f'{folder}: metadata.yaml does not name {", ".join(others[:3])}: if this '
                       f'is a part of the bag, {REINDEX}; if not, move it away')


def _unpacked(file: Path, folder: Path) -> Path:
    """Return a copy of a compressed file, unpacked."""
    from rosbags.rosbag2.reader import zstd

    copy = folder / file.name.removesuffix(COMPRESSED)
    try:
        with zstd.open(file, 'rb') as packed, copy.open('wb') as plain:
            shutil.copyfileobj(packed, plain)
    except (zstd.ZstdError, EOFError) as error:
        raise BagError(f'{file.parent}: {file.name} is damaged: {error}') from error
    return copy


def _merged(file: Path, folder: Path) -> Path:
    """Return a file; of an SQLite file whose recorder was killed, a copy with all messages."""
    beside = unmerged(file) if file.suffix == '.db3' else []
    if not beside:
        return file
    copy = folder / 'merged' / file.name
    copy.parent.mkdir(exist_ok=True)
    try:
        for part in (file, *beside):
            shutil.copyfile(part, copy.with_name(part.name))
        with closing(sqlite3.connect(copy)) as connection:
            connection.execute('SELECT count(*) FROM sqlite_master').fetchone()
            connection.execute('PRAGMA wal_checkpoint(TRUNCATE)')
    except OSError as error:
        raise BagError(f'{file}: {beside[0].name} has a part of its messages, and a copy to merge '
                       f'them in is not possible ({error.strerror}); set TMPDIR to a folder with '
                       f"room, or merge them by `sqlite3 {file} 'PRAGMA wal_checkpoint'`"
                       ) from error
    except sqlite3.Error as error:
        raise BagError(f'{file}: cannot be merged with {beside[0].name}: {error}') from error
    return copy
