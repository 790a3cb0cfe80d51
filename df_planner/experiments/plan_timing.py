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
How long plans take and what of: plans from nothing, and plans as while driving.

A plan is timed from outside, by the wall clock and by processor time; its parts come from the
clock of the planner.
"""

import time

import numpy as np

from df_planner.driving.replanner import FASTER_EVERY
from df_planner.driving.replanner import HOLD_RADIUS_M
from df_planner.driving.replanner import Replanner
from df_planner.errors import InvalidInput
from df_planner.evaluation.protocol import sample_starts
from df_planner.evaluation.protocol import Starts
from df_planner.planning.plan import Plan
from df_planner.planning.planner import Planner
from df_planner.robots.kinds import POINT
from df_planner.sim.maze import Maze

COLD, WARM = 'cold', 'warm'
REPLAN_AFTER_S = 0.25  # the default of policies and of the planner node
NETWORK, REST = 'network calls', 'sampling arithmetic and the rest'
NAMES = {'network': NETWORK, 'checks': 'checks, interpolation, choice'}


def full_starts(maze: Maze, count: int, seed: int, tolerance_m: float,
                robot: str = POINT.name) -> Starts:
    """Return the first starts of the maze's benchmark that are not at the goal already."""
    if count < 1:
        raise InvalidInput(f'plans must be 1 or more, got {count}')
    drawn = count
    while True:
        starts = sample_starts(maze, drawn, seed, robot=robot)
        away = np.linalg.norm(starts.state[:, :2] - starts.goal, axis=-1) > tolerance_m
        if away.sum() >= count:
            return Starts(starts.state[away][:count], starts.goal[away][:count], robot)
        drawn += count


def time_drive(planner: Planner, state: np.ndarray, goal: np.ndarray, seed: int) -> list[dict]:
    """
    Time a plan from nothing and the next ones, 0.25 s apart, as while driving.

    :param state: (S,) and ``goal`` (2,) in the observation frame.
    :returns: the record of the cold plan and, as long as plans were valid and there was something
        left of them, those of ``FASTER_EVERY`` warm ones, of which one looks for a faster plan.
    """
    replanner = Replanner(planner, seed=seed)
    replanner.reset(goal)
    interval = round(REPLAN_AFTER_S / planner.card.dt_s)
    records = []
    for count in range(FASTER_EVERY + 1):
        record, plan = time_plan(replanner, state, count * interval)
        records.append({'kind': WARM if count else COLD, **record})
        if plan is None or len(plan) <= interval + 1:
            break
        state = plan.states[interval]
        if np.linalg.norm(state[:2] - goal) <= HOLD_RADIUS_M:
            break  # there, the replanner asks no network
    return records


def time_plan(replanner: Replanner, state: np.ndarray, step: int) -> tuple[dict, Plan | None]:
    """
    Return the record of one plan, JSON-able, and the plan; None if there is no valid one.

    The record holds ``seconds`` of the wall clock, ``cpu_s`` (all threads; less than the wall
    clock's where other programs took the processor), ``valid``, ``calls`` of the network with
    ``network_s`` of them, ``candidates``, ``steps`` of a plan, and ``parts``, which sum to the
    seconds.
    """
    started, cpu_started = time.perf_counter(), time.process_time()
    plan = replanner.replan(state, step)
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
