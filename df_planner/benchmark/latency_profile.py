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
The profile of a planner: what plans cost, in which parts, from the records of ``plan_timing``.

The report is made of the records alone, so that its numbers can be checked against them.
"""

from collections.abc import Callable

import numpy as np

from df_planner.benchmark.metrics import statistics
from df_planner.benchmark.plan_timing import COLD
from df_planner.benchmark.plan_timing import NETWORK
from df_planner.benchmark.plan_timing import time_drive
from df_planner.benchmark.plan_timing import time_plan
from df_planner.benchmark.plan_timing import WARM
from df_planner.benchmark.protocol import Starts
from df_planner.planning.planner import Planner
from df_planner.planning.replanner import Replanner

FIRST_PLANS = 3  # after loading, reported apart


def measure_profile(planner: Planner, starts: Starts, seed: int,
                    on_start: Callable[[], None] = lambda: None) -> dict:
    """
    Time a cold plan and a warm one from every start; what is done is returned after Ctrl-C, too.

    :param seed: of the planner's noise.
    :param on_start: called after every start.
    :returns: ``first_plans`` (seconds of the first plans, all from the first start), ``records``
        of ``time_drive`` with the ``start`` they belong to, ``stopped``.
    """
    first: list[float] = []
    records: list[dict] = []
    stopped = False
    try:
        for _ in range(FIRST_PLANS):
            replanner = Replanner(planner, seed=seed)
            replanner.reset(starts.goal[0])
            first.append(time_plan(replanner, starts.state[0], 0)[0]['seconds'])
        for index, (state, goal) in enumerate(zip(starts.state, starts.goal)):
            records += [{'start': index, **record}
                        for record in time_drive(planner, state, goal, seed)]
            on_start()
    except KeyboardInterrupt:
        stopped = True
    return {'first_plans': first, 'records': records, 'stopped': stopped}


def summarize_profile(records: list[dict]) -> dict[str, dict]:
    """Return the summary of the plans of each kind there is: ``cold`` and ``warm``."""
    return {kind: _summary([record for record in records if record['kind'] == kind])
            for kind in (COLD, WARM) if any(record['kind'] == kind for record in records)}


def profile_table(summary: dict[str, dict]) -> list[list[str]]:
    """Return latency, network calls and candidates as rows of text, the header first."""
    rows = [['plans', 'number', 'valid', 'p50 [ms]', 'p95 [ms]', 'p99 [ms]', 'max [ms]',
             'CPU p50 [ms]', 'calls', 'ms per call', 'candidates']]
    for kind, found in summary.items():
        latency = found['latency_s']
        rows.append([kind, str(latency['count']), f'{found["valid"]:.0%}',
                     *(f'{1e3 * latency[name]:.1f}' for name in ('p50', 'p95', 'p99', 'max')),
                     f'{1e3 * found["cpu_s"]["p50"]:.1f}', f'{found["calls"]["mean"]:.1f}',
                     f'{1e3 * found["call_s"]:.2f}', f'{found["candidates"]["mean"]:.1f}'])
    return rows


def parts_table(summary: dict[str, dict]) -> list[list[str]]:
    """Return where the time of a mean plan goes as rows of text, the header first."""
    rows = [['where the time goes', *(text for kind in summary
                                      for text in (f'{kind} [ms]', f'{kind} [%]'))]]
    for name in dict.fromkeys(name for found in summary.values() for name in found['parts_s']):
        cells = []
        for found in summary.values():
            value = found['parts_s'].get(name, 0.0)
            share = value / sum(found['parts_s'].values())
            cells += [f'{1e3 * value:.2f}', f'{100.0 * share:.1f}']
        label = name
        if name == NETWORK:
            label += ' (' + ', '.join(
                f'{kind} {found["calls"]["mean"]:.1f} x {1e3 * found["call_s"]:.2f} ms'
                for kind, found in summary.items()) + ')'
        rows.append([label, *cells])
    return [*rows, ['mean', *(
        text for found in summary.values()
        for text in (f'{1e3 * sum(found["parts_s"].values()):.2f}', '100.0'))]]


def _summary(records: list[dict]) -> dict:
    """Return the numbers of the plans of one kind; parts are means."""
    names = list(dict.fromkeys(name for record in records for name in record['parts']))
    return {
        'latency_s': statistics([record['seconds'] for record in records]),
        'cpu_s': statistics([record['cpu_s'] for record in records]),
        'valid': float(np.mean([record['valid'] for record in records])),
        'calls': statistics([record['calls'] for record in records]),
        'candidates': statistics([record['candidates'] for record in records]),
        'call_s': _per_call(records),
        'parts_s': {name: float(np.mean([record['parts'][name] for record in records]))
                    for name in names},
    }


def _per_call(records: list[dict]) -> float:
    """Return the mean seconds of a network call."""
    return (sum(record['network_s'] for record in records)
            / max(1, sum(record['calls'] for record in records)))
