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

"""What real time costs: how evenly commands came, and the score against lockstep's."""

from collections.abc import Sequence

import numpy as np

from df_planner.benchmark.metrics import statistics
from df_planner.sim.maze import DT_S
from df_planner.sim.maze import Maze

LATE_S = 2 * DT_S
PERCENTILES = (50, 95, 99)
# What real time must keep to.
MIN_SHARE_OF_LOCKSTEP = 0.97


def ticks(periods_s: Sequence[float]) -> dict:
    """
    Return how evenly commands came, all in seconds.

    :param periods_s: wall time from each command to the next, one or more.
    :returns: ``count``, ``p50_s``, ``p99_s``, ``jitter_p99_s`` (99 % of the periods are at most
        this far from a control step), ``longest_s``, and ``late``, how many were longer than two
        control steps.
    """
    periods = np.asarray(periods_s, np.float64)
    p50_s, p99_s = np.percentile(periods, (50, 99))
    return {'count': len(periods), 'p50_s': float(p50_s), 'p99_s': float(p99_s),
            'jitter_p99_s': float(np.percentile(np.abs(periods - DT_S), 99)),
            'longest_s': float(periods.max()), 'late': int((periods > LATE_S).sum())}


def price_of_latency(maze: Maze, real_time: Sequence[dict], lockstep: Sequence[dict]) -> dict:
    """
    Compare the same starts, driven in real time and in lockstep.

    :param real_time: records of ``episode_record``, and ``lockstep`` those of the same episodes.
    :returns: ``real_time``, ``lockstep`` and ``difference`` (start by start), statistics of the
        score, or of the return in a maze without a reference; ``share``, of the mean in real time
        in that of lockstep; ``first_plan``, of what standing still until the first plan is there
        explains of the difference; ``planning_s``, percentiles of the planning time by name.
    """
    scored = maze.reference_return is not None
    of_step = maze.normalized_score(1.0) - maze.normalized_score(0.0) if scored else 1.0
    field = 'score' if scored else 'return'
    found = {'real_time': [record[field] for record in real_time],
             'lockstep': [record[field] for record in lockstep]}
    times_s = [value for record in real_time for value in record['planning_times_s']]
    waits_s = [(record['planning_times_s'] or [0.0])[0] for record in real_time]
    result = {name: statistics(values) for name, values in found.items()}
    return {
        **result,
        'difference': statistics(np.subtract(found['real_time'], found['lockstep'])),
        'share': result['real_time']['mean'] / result['lockstep']['mean'],
        'first_plan': statistics([-of_step * wait_s / DT_S for wait_s in waits_s]),
        'first_plan_s': statistics(waits_s),
        'planning_s': {f'p{rank}': float(value) for rank, value in zip(
            PERCENTILES, np.percentile(times_s or [0.0], PERCENTILES))},
    }
