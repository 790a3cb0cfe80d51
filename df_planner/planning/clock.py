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

"""The clock of one request: where its time goes, and when it has run out."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
import math
import time


@dataclass
class Clock:
    """
    Wall seconds since a request came.

    :param deadline_s: when the answer is due.
    :param network_calls: calls of the network so far.
    :param candidates: sampled so far.
    :param slowest_step_s: the longest time between two calls of ``is_over``.
    :param spent_s: seconds by kind of work.
    """

    deadline_s: float = math.inf
    network_calls: int = 0
    candidates: int = 0
    slowest_step_s: float = 0.0
    spent_s: dict[str, float] = field(default_factory=lambda: {
        'route': 0.0, 'network': 0.0, 'guidance': 0.0, 'checks': 0.0})
    _started: float = field(default_factory=time.perf_counter)
    _asked_s: float = 0.0

    @contextmanager
    def spending(self, on: str) -> Iterator[None]:
        """Count the time within as spent on ``route``, ``network``, ``guidance`` or ``checks``."""
        started = time.perf_counter()
        yield
        self.spent_s[on] += time.perf_counter() - started

    def is_over(self) -> bool:
        """
        Tell whether a step as slow as the slowest would end after the deadline.

        Call it before every step: the time between two calls counts as one step.
        """
        now_s = self.elapsed_s
        self.slowest_step_s = max(self.slowest_step_s, now_s - self._asked_s)
        self._asked_s = now_s
        return now_s + self.slowest_step_s > self.deadline_s

    @property
    def elapsed_s(self) -> float:
        """Seconds since the request came."""
        return time.perf_counter() - self._started

    @property
    def timings(self) -> dict[str, float]:
        """Seconds by kind of work, ``other`` and ``total`` among them."""
        total = self.elapsed_s
        return {**self.spent_s, 'other': total - sum(self.spent_s.values()), 'total': total}
