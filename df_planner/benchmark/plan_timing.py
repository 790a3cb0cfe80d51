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
How long plans take and what of: a stop-watch around the network, and plans as while driving.

A plan is timed from outside, by the wall clock; its parts come from ``Plan.timings`` and from the
stop-watch, in the same run. The stop-watch reads the clock twice per network call and keeps the
call's noise levels; what it finds out of them is found out after the plan is made.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
import time

import numpy as np
import torch
from torch import Tensor

from df_planner.benchmark.protocol import sample_starts
from df_planner.benchmark.protocol import Starts
from df_planner.diffusion.denoiser import Denoiser
from df_planner.errors import InvalidInput
from df_planner.planning.plan import Plan
from df_planner.planning.planner import Planner
from df_planner.planning.replanner import Replanner
from df_planner.sim.maze import Maze

COLD, WARM = 'cold', 'warm'
REPLAN_AFTER_S = 0.25  # the default of policies and of the planner node
NETWORK, REST = 'network calls', 'preparation and rest'
NAMES = {'network': 'sampler arithmetic', 'checks': 'checks, interpolation, choice'}


@dataclass(frozen=True)
class Call:
    """
    One call of the network.

    :param levels: (B, T, P) noise levels, ``lengths`` (B,) real tokens, None for all.
    """

    seconds: float
    levels: Tensor
    lengths: Tensor | None


class NetworkClock:
    """
    Stand in for a network: the same answers, every call noted.

    :param network: what is called; anything else that is asked of it is passed on.
    :param device: where it runs; on a GPU a call counts until its answer is there.
    """

    def __init__(self, network: Denoiser, device: str):
        """Start with no calls."""
        self.calls: list[Call] = []
        self._network = network
        self._wait = torch.cuda.synchronize if device.startswith('cuda') else lambda: None

    def __getattr__(self, name: str) -> object:
        """Return an attribute of the network."""
        return getattr(self._network, name)

    def __call__(self, x: Tensor, levels: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the network's v (B, T, C)."""
        started = time.perf_counter()
        answer = self._network(x, levels, lengths)
        self._wait()
        self.calls.append(Call(time.perf_counter() - started, levels, lengths))
        return answer

    def take(self) -> list[Call]:
        """Return the calls since the last time."""
        calls, self.calls = self.calls, []
        return calls


@contextmanager
def clocked(planner: Planner) -> Iterator[NetworkClock]:
    """Put a clock on the network of a planner for the time of a block."""
    network = planner._denoiser
    clock = NetworkClock(network, planner.device)
    planner._denoiser = clock
    try:
        yield clock
    finally:
        planner._denoiser = network


def count_candidates(calls: list[Call]) -> int:
    """
    Return how many candidates these calls denoised.

    From call to call of one batch the noise falls; where it rises, or the batch has another
    shape, a new batch has begun. Every window of a sliding horizon counts as a batch.
    """
    count, shape, before = 0, None, -1.0
    for call in calls:
        real = torch.ones(call.levels.shape[:2], dtype=torch.bool, device=call.levels.device)
        if call.lengths is not None:
            real = torch.arange(real.shape[1], device=real.device) < call.lengths[:, None]
        level = float(call.levels[real].double().mean())
        if call.levels.shape != shape or level > before:
            count += len(call.levels)
        shape, before = call.levels.shape, level
    return count


def parts_of(seconds: float, timings: dict[str, float], calls: list[Call]) -> dict[str, float]:
    """
    Return what the seconds of a plan went into; the parts sum to all of them.

    :param timings: of the plan: ``network`` is all of sampling, of which ``guidance`` is a part;
        other names are parts of their own.
    """
    parts = {NETWORK: sum(call.seconds for call in calls)}
    for name, value in timings.items():
        if name == 'network':
            value -= parts[NETWORK] + timings.get('guidance', 0.0)
        if name != 'total':
            parts[NAMES.get(name, name)] = value
    return {**parts, REST: seconds - sum(parts.values())}


def full_starts(maze: Maze, count: int, seed: int, tolerance_m: float) -> Starts:
    """Return the first starts of the maze's benchmark that are not at the goal already."""
    if count < 1:
        raise InvalidInput(f'plans must be 1 or more, got {count}')
    drawn = count
    while True:
        starts = sample_starts(maze, drawn, seed)
        away = np.linalg.norm(starts.state[:, :2] - starts.goal, axis=-1) > tolerance_m
        if away.sum() >= count:
            return Starts(starts.state[away][:count], starts.goal[away][:count])
        drawn += count


def time_drive(planner: Planner, clock: NetworkClock, state: np.ndarray, goal: np.ndarray,
               seed: int) -> list[dict]:
    """
    Time a plan from nothing and the one after 0.25 s on it, as while driving.

    :param state: (4,) and ``goal`` (2,) in the observation frame.
    :returns: the record of the cold plan and, if it was valid and there was something left of it,
        that of the warm one.
    """
    replanner = Replanner(planner, seed=seed)
    replanner.reset(goal)
    cold, plan = time_plan(clock, replanner, state, 0)
    step = round(REPLAN_AFTER_S / planner.card.dt_s)
    if plan is None or len(plan) <= step + 1:
        return [{'kind': COLD, **cold}]
    warm, _ = time_plan(clock, replanner, plan.states[step], step)
    if warm['calls'] == 0:  # at the goal, the replanner holds it and asks no network
        return [{'kind': COLD, **cold}]
    return [{'kind': COLD, **cold}, {'kind': WARM, **warm}]


def time_plan(clock: NetworkClock, replanner: Replanner, state: np.ndarray, step: int
              ) -> tuple[dict, Plan | None]:
    """
    Return the record of one plan, JSON-able, and the plan; None if there is no valid one.

    The record holds ``seconds`` of the wall clock, ``cpu_s`` (all threads; less than the wall
    clock's where other programs took the processor), ``valid``, ``calls`` with ``network_s`` of
    them, ``candidates`` and, of a plan, ``steps`` and ``parts`` in seconds.
    """
    clock.take()
    started, cpu_started = time.perf_counter(), time.process_time()
    plan = replanner.replan(state, step)
    seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu_started
    calls = clock.take()
    if replanner.last_error is not None:
        plan = None
    return {
        'state': [float(value) for value in state], 'goal': replanner.goal.tolist(),
        'seconds': seconds, 'cpu_s': cpu_s, 'valid': plan is not None and plan.valid,
        'calls': len(calls), 'network_s': sum(call.seconds for call in calls),
        'candidates': count_candidates(calls),
        'steps': len(plan) if plan is not None else None,
        'parts': parts_of(seconds, plan.timings, calls) if plan is not None else None}, plan
