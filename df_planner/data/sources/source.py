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

"""What a log is to those who import, describe or check it, whatever its format."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from df_planner.robots.signals import Signals

Block = dict[str, np.ndarray]  # some rows under the keys of D4RL
OnProblem = Callable[[str], None]  # called with one line; may raise, else the source goes on
OnProgress = Callable[[int], object]  # called with how many units were read since


class Source(Protocol):
    """
    Rows of a log.

    :ivar kind: of the format.
    :ivar unit: what is counted in ``total`` and in ``on_progress``.
    :ivar keys: of its blocks.
    :ivar layout_problems: what is wrong as a whole; if anything is, there are no rows.
    """

    path: Path
    kind: str
    unit: str
    total: int
    keys: tuple[str, ...]
    signals: Signals
    layout_problems: Sequence[str]

    def facts(self) -> dict[str, object]:
        """Return what there is to say about it besides its rows, by name."""
        ...

    def blocks(self, on_problem: OnProblem, on_progress: OnProgress) -> Iterator[Block]:
        """
        Give the rows from the first to the last; a terminal ends an episode.

        :param on_problem: called for everything that is wrong with the content.
        :raises DFPlannerError: BagError or DatasetError, if there is no way to go on.
        """
        ...
