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

"""Throughput on a GPU: training steps, a plan alone, and plans from many candidates."""

from collections.abc import Callable
import time

import numpy as np
import torch

from df_planner.experiments.throughput import Plan
from df_planner.experiments.throughput import Row
from df_planner.experiments.throughput_training import speed_rows
from df_planner.planning.planner import Planner
from df_planner.sim.maze import load_maze

MANY = 256
FEWEST_CALLS = 5
SECTION = 'gpu'


def measure_gpu(plan: Plan) -> list[Row]:
    """Return speeds on CUDA, or that there is none."""
    if not torch.cuda.is_available():
        return [Row(SECTION, 'all', None, '', 'not measured: no CUDA device')]
    config = plan.config()
    rows = [Row(SECTION, row.name.replace('1 thread', torch.cuda.get_device_name()), row.value,
                row.unit, row.note)
            for precision in ('32', 'bf16-mixed')
            for row in speed_rows(plan, config, f'shipped {plan.maze}', precision, 1, 'cuda')]
    return rows + planning_rows(plan.maze, 'cuda', plan.seconds)


def planning_rows(maze: str, device: str, seconds: float, many: int = MANY) -> list[Row]:
    """Return the latency of a plan from one candidate, and the rate of batches of many."""
    planner, cells = Planner.load(f'maze2d-{maze}', device), load_maze(maze).cells
    state, goal = np.array([*cells[0], 0.0, 0.0]), np.array(cells[-1], float)
    # One candidate, taken as it comes: a network call per denoising step, and the checks.
    planner.settings = planner.settings.model_copy(update={
        'num_samples': 1, 'predict_horizon': False, 'collision_check': False})
    horizon = planner.card.architecture.max_tokens * planner.card.frame_stack
    alone_s = seconds_per_call(lambda seed: planner.plan(state, goal, seed=seed), seconds)
    many_s = seconds_per_call(
        lambda seed: planner.rollout(state, horizon, many, seed, goal), seconds)
    return [
        Row(SECTION, f'plan from 1 candidate, {device}', 1e3 * float(np.median(alone_s)), 'ms',
            f'median of {len(alone_s)} plans'),
        Row(SECTION, f'{many} candidates in one batch, {device}', len(many_s) / sum(many_s),
            'batches/s', f'{len(many_s)} batches of the longest plans trained for'),
        Row(SECTION, f'{many} candidates in one batch, {device}',
            many * len(many_s) / sum(many_s), 'candidates/s', '', 'derived')]


def seconds_per_call(call: Callable[[int], object], seconds: float) -> list[float]:
    """Call with one seed after the other for a time, after a first call that does not count."""
    call(0)
    times_s: list[float] = []
    while len(times_s) < FEWEST_CALLS or sum(times_s) < seconds:
        started = time.perf_counter()
        call(len(times_s))
        times_s.append(time.perf_counter() - started)
    return times_s
