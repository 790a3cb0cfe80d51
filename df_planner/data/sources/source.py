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

"""The interface of a log of any format, for import, summary and check."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from df_planner.robots.signals import Signals

Block = dict[str, np.ndarray]  # some rows under the keys of D4RL
OnProblem = Callable[[str], None]  # called with one line; unless it raises, the source goes on
OnProgress = Callable[[int], object]  # called with the number of units read since the last call


class Source(Protocol):
    """
    Rows of a log.

    :ivar kind: of the format.
    :ivar unit: of ``total`` and of ``on_progress``.
    :ivar keys: of its blocks.
    :ivar layout_problems: of the log as a whole; a log that has any gives no rows.
    :ivar facts: about the log by name, besides its rows.
    """

    path: Path
    kind: str
    unit: str
    total: int
    keys: tuple[str, ...]
    signals: Signals
    layout_problems: Sequence[str]
    facts: dict[str, object]

    def blocks(self, on_problem: OnProblem, on_progress: OnProgress) -> Iterator[Block]:
        """
        Give the rows from the first to the last; a terminal ends an episode.

        :param on_problem: called for every problem of the content.
        :raises DFPlannerError: BagError or DatasetError, if reading cannot go on.
        """
