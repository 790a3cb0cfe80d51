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
Bring logs of any format into one file that training loads.

Every source becomes a file in a hidden folder beside the result; they are joined at the end. After
a kill the same command goes on with the source that was being read.
"""

from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
import hashlib
import json
import logging
from pathlib import Path
import shutil

import numpy as np
from tqdm import tqdm

from df_planner.data.d4rl import BLOCK_ROWS
from df_planner.data.d4rl import dataset_writer
from df_planner.data.d4rl import opened
from df_planner.data.layout import KEYS
from df_planner.data.sources.columns import ImportConfig
from df_planner.data.sources.formats import content_sha256
from df_planner.data.sources.formats import open_source
from df_planner.data.sources.hdf5 import Hdf5Source
from df_planner.data.sources.source import Block
from df_planner.data.sources.source import Source
from df_planner.data.summary import motion_doubts
from df_planner.data.summary import Summary
from df_planner.errors import BagError
from df_planner.errors import DatasetError

IMPORT_VERSION = 1


@dataclass(frozen=True)
class Imported:
    """The result of an import."""

    path: Path
    num_rows: int
    num_episodes: int
    num_resumed: int


def import_sources(names: Sequence[str], out: Path, config: ImportConfig | None = None,
                   progress: bool = True) -> Imported:
    """
    Write one data set from several logs, in their order, with the keys that all of them have.

    :param names: of the logs; see ``open_source``.
    :param out: the file, which must not exist; it appears when it is complete.
    :param config: the columns of bags and Minari data sets.
    :raises DFPlannerError: DatasetError, BagError or ConfigError, naming the log and the cause:
        one that is wrong, the same content twice, columns that differ.
    """
    if out.exists():
        raise DatasetError(f'{out}: exists already; move it, or choose another file')
    sources = [open_source(name, config) for name in names]
    for source in sources:
        for problem in source.layout_problems:
            refuse(source, problem)
    _require_same_signals(sources)
    _warn_of_lost_keys(sources)
    hashes = [content_sha256(source) for source in sources]
    for index, sha256 in enumerate(hashes):
        if sha256 in hashes[:index]:
            raise DatasetError(f'{sources[index].path}: has the same content as '
                               f'{sources[hashes.index(sha256)].path}; name it once')
    folder = out.with_name(f'.{out.name}.parts')
    parts = [folder / f'{_part_name(sha256, config)}.hdf5' for sha256 in hashes]
    done = sum(part.exists() for part in parts)
    try:
        with tqdm(total=sum(source.total for source in sources), unit='row', unit_scale=True,
                  disable=None if progress else True) as bar:
            for source, part in zip(sources, parts):
                bar.set_description(source.path.name)
                if part.exists():
                    bar.update(source.total)
                else:
                    _write_part(source, part, bar)
        joined = _join(sources, parts, hashes, folder / 'joined.hdf5')
        (folder / 'joined.hdf5').replace(out)
    except BaseException:
        if folder.exists() and not any(part.exists() for part in parts):
            shutil.rmtree(folder)
        raise
    shutil.rmtree(folder)
    return Imported(out, *joined, done)


def refuse(source: Source, problem: str) -> None:
    """Raise a problem as the error of the source."""
    raise (BagError if source.kind == 'rosbag2' else DatasetError)(f'{source.path}: {problem}')


def _require_same_signals(sources: Sequence[Source]) -> None:
    first = sources[0]
    for source in sources[1:]:
        for name, value in source.signals:
            wanted = getattr(first.signals, name)
            if value != wanted:
                raise DatasetError(f'{source.path}: has {name} {value}, {first.path} has '
                                   f'{wanted}; import them into separate files')


def _kept_keys(sources: Sequence[Source]) -> tuple[str, ...]:
    return tuple(key for key in KEYS if all(key in source.keys for source in sources))


def _warn_of_lost_keys(sources: Sequence[Source]) -> None:
    kept = _kept_keys(sources)
    lost = [key for key in KEYS
            if key not in kept and any(key in source.keys for source in sources)]
    if lost:
        lacking = [str(source.path) for source in sources if not set(lost) <= set(source.keys)]
        logging.getLogger(__name__).warning(
            '%s: left out, because missing in %s%s', ', '.join(lost), ', '.join(lacking),
            '; without timeouts the field direct of a training has no effect'
            if 'timeouts' in lost else '')


def _part_name(sha256: str, config: ImportConfig | None) -> str:
    """Return a name that changes with the content, the columns and the version of the import."""
    columns = config.model_dump_json() if config else 'default'
    return hashlib.sha256(f'{IMPORT_VERSION} {sha256} {columns}'.encode()).hexdigest()[:32]


def _write_part(source: Source, part: Path, bar: tqdm) -> None:
    summary = Summary(source.signals)
    with dataset_writer(part, None, source.keys, signals=source.signals) as write:
        for block in source.blocks(lambda problem: refuse(source, problem), bar.update):
            write(summary.num_rows, block)
            summary.add(block)
        if summary.num_rows < 2:
            refuse(source, f'gives {summary.num_rows} rows; at least 2 are needed')
        low, high = summary.observations.low[:2], summary.observations.high[:2]
        if (low == high).all():
            refuse(source, f'the position is ({low[0]:g}, {low[1]:g}) in all '
                           f'{summary.num_rows:,} rows: it was not recorded, or the robot stood')
    _warn_of_doubts(source, summary)


def _warn_of_doubts(source: Source, summary: Summary) -> None:
    doubts = list(motion_doubts(summary))
    if summary.jumps:
        doubts.append(f'the position jumps {len(summary.jumps)} times, first in row '
                      f'{summary.jumps[0]}')
    for doubt in doubts:
        logging.getLogger(__name__).warning('%s: %s; `df_planner data check` says more',
                                            source.path, doubt)


def _join(sources: Sequence[Source], parts: Sequence[Path], hashes: Sequence[str], out: Path
          ) -> tuple[int, int]:
    """Write the rows of all parts into one file; return the numbers of rows and episodes."""
    keys = _kept_keys(sources)
    counts = []
    for part in parts:
        with opened(part) as file:
            counts.append(len(file['observations']))
    attributes: dict[str, object] = {'sources': json.dumps([
        {'name': source.path.name, 'kind': source.kind, 'sha256': sha256, 'rows': count}
        for source, sha256, count in zip(sources, hashes, counts)])}
    if len(sources) == 1 and isinstance(sources[0], Hdf5Source):
        attributes = sources[0].attributes | attributes
    num_rows = ends = 0
    with dataset_writer(out, sum(counts), keys, attributes, sources[0].signals) as write:
        for part, count in zip(parts, counts):
            for first, block in _blocks_of(part, keys, count):
                if first + BLOCK_ROWS >= count and part != parts[-1]:
                    block['terminals'][-1] = True
                ends += int(np.count_nonzero(block['terminals']))
                write(num_rows, block)
                num_rows += len(block['terminals'])
    return num_rows, ends


def _blocks_of(part: Path, keys: Sequence[str], count: int) -> Iterator[tuple[int, Block]]:
    with opened(part) as file:
        for first in range(0, count, BLOCK_ROWS):
            yield first, {key: file[key][first:first + BLOCK_ROWS] for key in keys}
