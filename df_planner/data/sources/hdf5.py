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
An HDF5 file as a source of rows.

It is in D4RL's format: D4RL's own, or one of this package. With a ``--config`` it may be any that
has rewards and terminals as D4RL's: ``topic`` and ``field`` name arrays (N, C) and their columns.
"""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from df_planner.data.d4rl import BLOCK_ROWS
from df_planner.data.d4rl import opened
from df_planner.data.layout import FLAG_KEYS
from df_planner.data.layout import KEYS
from df_planner.data.layout import layout_problems
from df_planner.data.layout import value_problems
from df_planner.data.sources.columns import array_widths
from df_planner.data.sources.columns import ImportConfig
from df_planner.data.sources.columns import stacked
from df_planner.data.sources.source import Block
from df_planner.data.sources.source import OnProblem
from df_planner.data.sources.source import OnProgress
from df_planner.errors import DatasetError
from df_planner.robots.signals import ATTRIBUTE
from df_planner.robots.signals import MAZE2D
from df_planner.robots.signals import signals_from_attribute


class Hdf5Source:
    """
    A file of observations, actions and the other keys of D4RL (``d4rl.py``).

    :param config: its columns. A file that says itself what its columns are needs none, and must
        not say anything else.
    :ivar attributes: of the file, without ``signals``.
    :raises DatasetError: if the file is not HDF5, or if it contradicts the columns.
    :raises ConfigError: if the columns are not those of arrays.
    """

    kind = 'hdf5'
    unit = 'row'

    def __init__(self, path: Path, config: ImportConfig | None = None):
        self.path = path
        with opened(path) as file:
            self.attributes = {name: value.item() if isinstance(value, np.generic) else value
                               for name, value in file.attrs.items()}
            said = self.attributes.pop(ATTRIBUTE, None)
            self.signals = signals_from_attribute(said, str(path))
            self._config = self._chosen(config, said, file)
            widths = None
            if self._config is not None:
                self.signals = self._config.signals()
                widths = array_widths(self._config, str(path))
            self.layout_problems = list(layout_problems(file, self.signals, widths))
            here = (key for key in KEYS if key in file)
            if self._config is not None:
                here = ('observations', 'actions', *(
                    key for key in ('rewards', *FLAG_KEYS) if key in file))
            self.keys = tuple(here)
            self.total = 0 if self.layout_problems else len(file['rewards'])
            self.facts = {'keys': ', '.join(self.keys), 'bytes': f'{file.id.get_filesize():,}',
                          **self.attributes}

    def blocks(self, on_problem: OnProblem, on_progress: OnProgress) -> Iterator[Block]:
        """Give the rows; see ``Source``. There are none if the layout is wrong."""
        for problem in self.layout_problems:
            on_problem(problem)
        with opened(self.path) as file:
            for first in range(0, self.total, BLOCK_ROWS):
                block = self._block(file, slice(first, first + BLOCK_ROWS))
                for key, array in block.items():
                    for problem in value_problems(key, array, first, self.signals):
                        on_problem(problem)
                    if key not in FLAG_KEYS:
                        block[key] = array.astype(np.float32, copy=False)
                on_progress(len(block['observations']))
                yield block

    def _chosen(self, config: ImportConfig | None, said: object, file: h5py.File
                ) -> ImportConfig | None:
        """Return the columns to read; None for those of the format."""
        if config is None:
            return None
        same = config.signals() == self.signals
        if said is not None:
            if not same:
                raise DatasetError(f'{self.path}: says itself what its columns are, and --config '
                                   'says something else; leave it out')
            return None
        if config.signals() == MAZE2D and not any(topic in file for topic in config.topics):
            return None  # for bags that are imported together with a file of D4RL
        return config

    def _block(self, file: h5py.File, rows: slice) -> Block:
        if self._config is None:
            return {key: file[key][rows] for key in self.keys}
        arrays = {topic: file[topic][rows] for topic in self._config.topics}
        block = {'observations': stacked(self._config.observations, arrays),
                 'actions': stacked(self._config.actions, arrays)}
        return block | {key: file[key][rows] for key in self.keys if key not in block}
