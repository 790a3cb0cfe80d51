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

"""A file in D4RL's HDF5 format as a source of rows: D4RL's own, or one of this package."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from df_planner.data.d4rl import BLOCK_ROWS
from df_planner.data.d4rl import opened
from df_planner.data.layout import FLAG_KEYS
from df_planner.data.layout import KEYS
from df_planner.data.layout import layout_problems
from df_planner.data.layout import value_problems
from df_planner.data.sources.source import Block
from df_planner.data.sources.source import OnProblem
from df_planner.data.sources.source import OnProgress
from df_planner.robots.signals import ATTRIBUTE
from df_planner.robots.signals import signals_from_attribute


class Hdf5Source:
    """
    A file of observations, actions and the other keys of D4RL (``d4rl.py``), kept as they are.

    :ivar attributes: of the file, without ``signals``.
    :raises DatasetError: if the file is not HDF5.
    """

    kind = 'hdf5'
    unit = 'row'

    def __init__(self, path: Path):
        self.path = path
        with opened(path) as file:
            self.attributes = {name: value.item() if isinstance(value, np.generic) else value
                               for name, value in file.attrs.items()}
            self.signals = signals_from_attribute(self.attributes.pop(ATTRIBUTE, None), str(path))
            self.layout_problems = list(layout_problems(file, self.signals))
            self.keys = tuple(key for key in KEYS if key in file)
            self.total = 0 if self.layout_problems else len(file['observations'])
            self.facts = {'keys': ', '.join(self.keys), 'bytes': f'{file.id.get_filesize():,}',
                          **self.attributes}

    def blocks(self, on_problem: OnProblem, on_progress: OnProgress) -> Iterator[Block]:
        """Give the rows; see ``Source``. There are none if the layout is wrong."""
        for problem in self.layout_problems:
            on_problem(problem)
        with opened(self.path) as file:
            for first in range(0, self.total, BLOCK_ROWS):
                block = {}
                for key in self.keys:
                    array = file[key][first:first + BLOCK_ROWS]
                    for problem in value_problems(key, array, first, self.signals):
                        on_problem(problem)
                    block[key] = array if key in FLAG_KEYS else array.astype(np.float32)
                on_progress(len(block['observations']))
                yield block
