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
Latency beside that of a slow reference sampler, measured in turns.

On the same starts, one after the other: reference, planner, reference, planner. What else runs on
the machine slows both, so that the ratio from start to start says more than two separate means.
"""

from collections.abc import Callable

import numpy as np

from df_planner.benchmark.metrics import statistics
from df_planner.benchmark.plan_timing import COLD
from df_planner.benchmark.plan_timing import time_drive
from df_planner.benchmark.plan_timing import WARM
from df_planner.benchmark.protocol import Starts
from df_planner.planning.planner import Planner

REFERENCE, PLANNER = 'reference', 'planner'
# Guided sampling as it is published: every step of every candidate is steered by a gradient that
# goes back through the network, and every candidate starts from pure noise.
REFERENCE_SETTINGS = {
    'num_samples': 64, 'sampling_steps': 16, 'schedule': 'full_sequence', 'warm_start': 0.0,
    'guidance_scale': 1.0, 'guidance_from': 1.0, 'guidance_to': 0.0, 'guide_goal': 0.0,
    'guide_clearance': 1.0, 'predict_horizon': False}


def measure_comparison(planners: dict[str, Planner], starts: Starts, rounds: int, seed: int,
                       on_drive: Callable[[], None] = lambda: None) -> tuple[list[dict], bool]:
    """
    Time cold and warm plans of several planners in turns.

    :param planners: by the name of who is compared; the first start is planned from once by each
        before anything counts.
    :param rounds: of turns on every start.
    :param on_drive: called after every cold plan with its warm ones.
    :returns: records of ``time_drive`` with ``who``, ``start`` and ``round``, and whether Ctrl-C
        ended it early.
    """
    records: list[dict] = []
    try:
        for planner in planners.values():
            time_drive(planner, starts.state[0], starts.goal[0], seed)
        for index, (state, goal) in enumerate(zip(starts.state, starts.goal)):
            for turn in range(rounds):
                for who, planner in planners.items():
                    records += [{'who': who, 'start': index, 'round': turn, **record}
                                for record in time_drive(planner, state, goal, seed)]
                    on_drive()
    except KeyboardInterrupt:
        return records, True
    return records, False


def summarize_comparison(records: list[dict]) -> list[dict]:
    """Return one summary per kind of plan and who made it; ratios are to the reference."""
    return [_summary(records, kind, who) for kind in (COLD, WARM) for who in (REFERENCE, PLANNER)
            if _of(records, kind, who)]


def comparison_table(summaries: list[dict]) -> list[list[str]]:
    """Return the summaries as rows of text, the header first."""
    rows = [['plans', 'of', 'number', 'valid', 'p50 [ms]', 'p95 [ms]', 'p99 [ms]', 'mean [ms]',
             'CPU [ms]', 'calls', 'candidates', 'ratio', '10..90 %', 'of means', 'CPU ratio',
             'faster']]
    for found in summaries:
        latency, ratio, cpu = found['latency_s'], found['ratio'], found['cpu_ratio']
        if found['who'] == REFERENCE:
            compared = ['1', '', '1', '1', '']
        elif ratio['count'] == 0:
            compared = ['-'] * 5
        else:
            compared = [f'{ratio["p50"]:.3f}', f'{ratio["p10"]:.3f}..{ratio["p90"]:.3f}',
                        f'{found["ratio_of_means"]:.3f}', f'{cpu["p50"]:.3f}',
                        f'{1.0 / ratio["p50"]:.1f}x']
        rows.append([
            found['kind'], found['who'], str(latency['count']), f'{found["valid"]:.0%}',
            *(f'{1e3 * latency[name]:.1f}' for name in ('p50', 'p95', 'p99', 'mean')),
            f'{1e3 * found["cpu_s"]["mean"]:.1f}', f'{found["calls"]["mean"]:.1f}',
            f'{found["candidates"]["mean"]:.1f}', *compared])
    return rows


def ratios(records: list[dict], kind: str, name: str = 'seconds') -> list[float]:
    """Return planner / reference of every start both planned from, of its plans the median."""
    reference, planner = (_by_start(_of(records, kind, who), name)
                          for who in (REFERENCE, PLANNER))
    return [planner[start] / reference[start] for start in sorted(planner) if start in reference]


def _summary(records: list[dict], kind: str, who: str) -> dict:
    members = _of(records, kind, who)
    means = {name: np.mean([record['seconds'] for record in _of(records, kind, name)] or [np.nan])
             for name in (REFERENCE, PLANNER)}
    of_means = float(means[who] / means[REFERENCE])
    return {
        'kind': kind, 'who': who,
        'latency_s': statistics([record['seconds'] for record in members]),
        'cpu_s': statistics([record['cpu_s'] for record in members]),
        'valid': float(np.mean([record['valid'] for record in members])),
        'calls': statistics([record['calls'] for record in members]),
        'candidates': statistics([record['candidates'] for record in members]),
        'ratio_of_means': of_means if np.isfinite(of_means) else None,
        'ratio': _spread(ratios(records, kind) if who == PLANNER else []),
        'cpu_ratio': _spread(ratios(records, kind, 'cpu_s') if who == PLANNER else []),
    }


def _spread(values: list[float]) -> dict:
    """Return the statistics of ratios, with the tenth and the ninetieth percentile."""
    return {**statistics(values), 'p10': float(np.percentile(values, 10)) if values else None,
            'p90': float(np.percentile(values, 90)) if values else None}


def _of(records: list[dict], kind: str, who: str) -> list[dict]:
    return [record for record in records if record['kind'] == kind and record['who'] == who]


def _by_start(records: list[dict], name: str) -> dict[int, float]:
    """Return the median of a field over all plans from a start, by start."""
    values: dict[int, list[float]] = {}
    for record in records:
        values.setdefault(record['start'], []).append(record[name])
    return {start: float(np.median(several)) for start, several in values.items()}
