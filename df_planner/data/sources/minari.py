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
A Minari data set as a source of rows; needs the package ``minari``.

An episode of T actions has T + 1 observations; the last one is left out, since no action follows.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from df_planner.data.sources.columns import array_widths
from df_planner.data.sources.columns import Column
from df_planner.data.sources.columns import ImportConfig
from df_planner.data.sources.columns import load_import_config
from df_planner.data.sources.columns import stacked
from df_planner.data.sources.source import Block
from df_planner.data.sources.source import OnProblem
from df_planner.data.sources.source import OnProgress
from df_planner.errors import ConfigError
from df_planner.errors import DatasetError

if TYPE_CHECKING:
    from minari import MinariDataset
    from minari.dataset.episode_data import EpisodeData

DEFAULT = 'point_maze'
PREFIX = 'minari:'


def minari_folder(name: str) -> Path:
    """
    Return the folder of a data set among Minari's local ones.

    :raises ConfigError: if ``minari`` is not installed.
    """
    _require_minari(name)
    from minari.storage.datasets_root_dir import get_dataset_path
    return Path(get_dataset_path(name))


class MinariSource:
    """
    A local data set of Minari.

    :param path: its folder, which has a folder ``data``.
    :raises ConfigError: if ``minari`` is not installed.
    :raises DatasetError: if it cannot be read.
    """

    kind = 'minari'
    unit = 'row'
    keys = ('observations', 'actions', 'rewards', 'terminals')
    layout_problems = ()

    def __init__(self, path: Path, config: ImportConfig | None):
        self.path = path
        self.config = config or load_import_config(DEFAULT)
        self.signals = self.config.signals()
        array_widths(self.config, str(path))  # are they columns of arrays?
        dataset = self._open()
        self.total = int(dataset.total_steps)
        self.facts = {'id': dataset.spec.dataset_id, 'episodes': int(dataset.total_episodes),
                      'written by': f'minari {dataset.spec.minari_version}'}

    def blocks(self, on_problem: OnProblem, on_progress: OnProgress) -> Iterator[Block]:
        """Give the rows, an episode at a time; see ``Source``."""
        rows = 0
        episodes = self._open().iterate_episodes()
        while (episode := self._read(lambda: next(episodes, None))) is not None:
            block = self._block(episode)
            if len(block['actions']):
                self._check(block, episode, rows, on_problem)
                rows += len(block['actions'])
                on_progress(len(block['actions']))
                yield block
        if rows != self.total:
            on_problem(f'has {rows} rows, but its metadata say {self.total}')

    def _open(self) -> 'MinariDataset':
        _require_minari(str(self.path))
        from minari import MinariDataset
        return self._read(lambda: MinariDataset(self.path / 'data'))

    def _read(self, read):
        """Call a reader; any exception of it means that the data set is damaged."""
        try:
            return read()
        except Exception as error:  # of JSON, HDF5, Arrow, gymnasium or asserts
            words = ' '.join(str(error).split()) or type(error).__name__
            raise DatasetError(f'{self.path}: cannot be read as a Minari data set: '
                               f'{words}') from error

    def _block(self, episode: 'EpisodeData') -> Block:
        count = len(episode.rewards)
        is_last = np.zeros(count, bool)
        is_last[-1:] = True
        return {'observations': self._columns(episode, self.config.observations, count),
                'actions': self._columns(episode, self.config.actions, count),
                'rewards': np.asarray(episode.rewards, np.float32), 'terminals': is_last}

    def _columns(self, episode: 'EpisodeData', columns: tuple[Column, ...], count: int
                 ) -> np.ndarray:
        """Return (count, C) float32."""
        arrays = {}
        for column in columns:
            array: object = {'observations': episode.observations, 'actions': episode.actions}
            try:
                for name in column.topic.split('/'):
                    array = array[name]
                arrays[column.topic] = array = np.asarray(array[:count])
                array[:, int(column.field)].astype(np.float32)
            except (KeyError, IndexError, TypeError, ValueError) as error:
                raise DatasetError(f'{self.path}: episode {episode.id} has no column '
                                   f'{column.field} in {column.topic}; choose its columns with '
                                   '--config') from error
            if len(array) != count:
                raise DatasetError(f'{self.path}: episode {episode.id} has {count} rewards, but '
                                   f'{len(array)} rows of {column.topic}')
        return stacked(columns, arrays)

    def _check(self, block: Block, episode: 'EpisodeData', first: int,
               on_problem: OnProblem) -> None:
        for key in ('observations', 'actions', 'rewards'):
            values = block[key].reshape(len(block[key]), -1)
            bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
            if len(bad):
                on_problem(f'{key} has a value that is not finite, first in row {first + bad[0]} '
                           f'(row {bad[0]} of episode {episode.id}), {len(bad)} rows in all')


def _require_minari(source: str) -> None:
    try:
        import minari  # noqa: F401
    except ImportError as error:
        raise ConfigError(f'{source}: reading it needs the package minari: '
                          'pip install minari==0.5.4') from error
