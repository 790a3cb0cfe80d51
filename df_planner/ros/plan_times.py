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

"""Where the time of plans goes: calls of the network, guidance, checks, and the rest."""

from collections import deque
from collections.abc import Iterable

import numpy as np

from df_planner.planning.plan import Plan

WINDOW = 100  # plans that the percentiles are taken over
PERCENTILES = (50, 95, 99)


def parts_of(plan: Plan, duration_s: float) -> dict[str, float]:
    """
    Return the milliseconds by part of planning and, where the plan tells, the network calls.

    ``other_ms`` is what none of the parts accounts for: choosing, interpolating, waiting for the
    interpreter.
    """
    parts_ms = {f'{name}_ms': 1e3 * seconds for name, seconds in plan.timings.items()
                if name not in ('other', 'total')}
    other_ms = 1e3 * duration_s - sum(parts_ms.values())
    found = {'total_ms': 1e3 * duration_s, **parts_ms, 'other_ms': max(other_ms, 0.0)}
    calls = plan.network_calls
    if calls:
        found |= {'network_calls': calls, 'ms_per_call': parts_ms['network_ms'] / calls}
    return found


class PlanTimes:
    """Keep the parts of recent plans, and answer with percentiles."""

    def __init__(self):
        """Start without a plan."""
        self._recent: deque[dict[str, float]] = deque(maxlen=WINDOW)

    def add(self, parts: dict[str, float]) -> None:
        """Take the parts of a plan, as of ``parts_of``."""
        self._recent.append(parts)

    def values(self) -> dict[str, object]:
        """Return per part the percentiles, as text, over the plans that have it."""
        return {name: ' / '.join(f'{value:.1f}' for value in np.percentile(
                    [parts[name] for parts in self._recent if name in parts], PERCENTILES))
                for name in _names(self._recent)}


def _names(all_parts: Iterable[dict[str, float]]) -> list[str]:
    """Return the names of all parts, in the order of their first appearance."""
    return list(dict.fromkeys(name for parts in all_parts for name in parts))
