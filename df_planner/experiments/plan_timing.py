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
How long plans take and where the time goes: cold plans, and warm ones as while driving.

A plan is timed from outside, by the wall clock and by processor time; its parts come from the
clock of the planner.
"""

from collections.abc import Callable
import time
from typing import Any

import numpy as np

from df_planner.driving.replanner import HOLD_RADIUS_M
from df_planner.driving.replanner import Replanner
from df_planner.evaluation.metrics import statistics
from df_planner.evaluation.protocol import sample_starts
from df_planner.evaluation.protocol import Starts
from df_planner.planning.plan import Plan
from df_planner.planning.planner import Planner
from df_planner.robots.kinds import POINT
from df_planner.sim.maze import Maze

COLD, WARM = 'cold', 'warm'
REFERENCE, PLANNER = 'reference', 'planner'
FIRST_PLANS = 3  # after loading
REPLAN_AFTER_S = 0.25  # the default of policies and of the planner node
WARM_PLANS = 3  # after a cold one
NETWORK, REST = 'network calls', 'sampling arithmetic and the rest'
NAMES = {'network': NETWORK, 'checks': 'checks, interpolation, choice'}


def full_starts(maze: Maze, count: int, seed: int, tolerance_m: float,
                robot: str = POINT.name) -> Starts:
    """Return the first starts of the maze's benchmark that are not at the goal already."""
    drawn = count
    while True:
        starts = sample_starts(maze, drawn, seed, robot=robot)
        away = np.linalg.norm(starts.state[:, :2] - starts.goal, axis=-1) > tolerance_m
        if away.sum() >= count:
            return Starts(starts.state[away][:count], starts.goal[away][:count], robot)
        drawn += count


def time_plans(planners: dict[str, Planner], starts: Starts, rounds: int, seed: int,
               on_drive: Callable[[], None] = lambda: None) -> dict:
    """
    Time cold and warm plans of planners that take turns; Ctrl-C ends it early.

    :param on_drive: called after every cold plan with its warm ones.
    :returns: ``first_plans`` (seconds of the last planner's first plans, all from the first start:
        they are slower and count nowhere else), ``records`` of ``time_drive`` with ``who``,
        ``start`` and ``round``, and ``stopped``, whether by Ctrl-C.
    """
    measured: dict[str, Any] = {'first_plans': [], 'records': [], 'stopped': False}
    try:
        for planner in planners.values():
            measured['first_plans'] = []
            for _ in range(FIRST_PLANS):
                replanner = Replanner(planner, seed=seed)
                replanner.reset(starts.goal[0])
                record, _ = time_plan(replanner, starts.state[0], 0)
                measured['first_plans'].append(record['seconds'])
        for index, (state, goal) in enumerate(zip(starts.state, starts.goal)):
            for turn in range(rounds):
                for who, planner in planners.items():
                    measured['records'] += [
                        {'who': who, 'start': index, 'round': turn, **record}
                        for record in time_drive(planner, state, goal, seed)]
                    on_drive()
    except KeyboardInterrupt:
        measured['stopped'] = True
    return measured


def time_drive(planner: Planner, state: np.ndarray, goal: np.ndarray, seed: int) -> list[dict]:
    """
    Time a cold plan and the next ones, 0.25 s apart, as while driving.

    :param state: (S,) and ``goal`` (2,) in the observation frame.
    :returns: the record of the cold plan and those of up to ``WARM_PLANS`` warm ones; fewer after
        an invalid plan, or at the goal.
    """
    replanner = Replanner(planner, seed=seed)
    replanner.reset(goal)
    interval = round(REPLAN_AFTER_S / planner.card.dt_s)
    records, in_hand = [], None
    for count in range(WARM_PLANS + 1):
        record, plan = time_plan(replanner, state, count * interval, in_hand)
        records.append({'kind': WARM if count else COLD, **record})
        if plan is None or len(plan) <= interval + 1:
            break
        state, in_hand = plan.states[interval], plan.shifted(interval)
        if np.linalg.norm(state[:2] - goal) <= HOLD_RADIUS_M:
            break  # where the replanner plans no more
    return records


def time_plan(replanner: Replanner, state: np.ndarray, step: int, in_hand: Plan | None = None
              ) -> tuple[dict, Plan | None]:
    """
    Return the record of one plan, JSON-able, and the plan; None if there is no valid one.

    The record holds ``seconds`` of the wall clock, ``cpu_s`` of all threads, ``valid``, ``calls``
    of the network and their ``network_s``, ``candidates``, ``steps`` of the plan, and ``parts``,
    which sum to the seconds.
    """
    started, cpu_started = time.perf_counter(), time.process_time()
    plan = replanner.replan(state, step, in_hand)
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu_started
    if replanner.last_error is not None:
        plan = None
    clock = replanner.planner.clock
    parts = {NAMES.get(name, name): value for name, value in clock.spent_s.items()}
    parts[REST] = seconds - sum(parts.values())
    return {
        'state': [float(value) for value in state], 'goal': replanner.goal.tolist(),
        'seconds': seconds, 'cpu_s': cpu_s, 'valid': plan is not None and plan.valid,
        'calls': clock.network_calls, 'network_s': clock.spent_s['network'],
        'candidates': clock.candidates,
        'steps': len(plan) if plan is not None else None, 'parts': parts}, plan


def summary_of(records: list[dict]) -> dict:
    """Return the numbers of plans; ``parts_s`` are means."""
    def values(name: str) -> list:
        return [record[name] for record in records]

    parts = values('parts')
    return {
        'latency_s': statistics(values('seconds')), 'cpu_s': statistics(values('cpu_s')),
        'valid': float(np.mean(values('valid'))), 'calls': statistics(values('calls')),
        'candidates': statistics(values('candidates')),
        'call_s': sum(values('network_s')) / max(1, sum(values('calls'))),
        'parts_s': {name: float(np.mean([part[name] for part in parts]))
                    for name in dict.fromkeys(name for part in parts for name in part)}}


def ratios(records: list[dict], kind: str, name: str = 'seconds') -> list[float]:
    """Return planner / reference of every start both planned from, of its plans the median."""
    reference, planner = (_by_start(of(records, kind, who), name) for who in (REFERENCE, PLANNER))
    return [planner[start] / reference[start] for start in sorted(planner) if start in reference]


def of(records: list[dict], kind: str, who: str) -> list[dict]:
    """Return the records of one kind of plan, made by one planner."""
    return [record for record in records if record['kind'] == kind and record['who'] == who]


def _by_start(records: list[dict], name: str) -> dict[int, float]:
    """Return the median of a field over all plans from a start, by start."""
    return {start: float(np.median([record[name] for record in records
                                    if record['start'] == start]))
            for start in {record['start'] for record in records}}
