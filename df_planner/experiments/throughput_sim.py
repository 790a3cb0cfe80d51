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

"""Throughput of the simulator without ROS: one environment, and many in one call."""

from collections.abc import Callable
import time

import gymnasium
import numpy as np

from df_planner.experiments.throughput import Plan
from df_planner.experiments.throughput import Row
from df_planner.sim.env import NAMESPACE
from df_planner.sim.maze import load_maze
from df_planner.sim.world import BatchWorld

BATCH = 256
CALLS = 64  # between two looks at the clock
PUSHES = 1000


def measure_simulator(plan: Plan) -> list[Row]:
    """Return steps per second of the environment, alone and in batches on 1 and 2 threads."""
    maze = load_maze(plan.maze)
    pushes = np.random.default_rng(0).uniform(-1.0, 1.0, (PUSHES, BATCH, 2))
    env = gymnasium.make(f'{NAMESPACE}/Maze2D-{plan.maze}-v1')
    env.reset(seed=0)

    def step(index: int) -> None:
        *_, truncated, _ = env.step(pushes[index // 20 % PUSHES, 0])
        if truncated:
            env.reset()

    rows = [Row('simulator', 'Gymnasium environment', calls_per_s(step, plan.seconds), 'steps/s',
                'one process, with time limit, resets and checks of Gymnasium')]
    start = np.array([*maze.cells[0], 0.0, 0.0])
    for threads in (0, 2):
        batch = BatchWorld(maze, BATCH, threads)
        batch.set_states(np.tile(start, (BATCH, 1)))
        rate = calls_per_s(lambda i, b=batch: b.step(pushes[i // 20 % PUSHES]), plan.seconds)
        rows.append(Row('simulator', f'batch of {BATCH} mazes, {max(threads, 1)} '
                        f'thread{"s" * (threads > 1)}', BATCH * rate, 'steps/s',
                        'mujoco.rollout, a step of all mazes per call'))
    return rows


def calls_per_s(call: Callable[[int], object], seconds: float) -> float:
    """Call with 0, 1, 2, ... for a time and return the rate."""
    count, started = 0, time.perf_counter()
    while (spent := time.perf_counter() - started) < seconds:
        for index in range(count, count + CALLS):
            call(index)
        count += CALLS
    return count / spent
