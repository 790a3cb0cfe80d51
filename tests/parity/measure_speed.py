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
Measure how many steps one second of one core simulates.

Other load on the machine counts little, the clock is the process's own::

    python tests/parity/measure_speed.py
"""

import time

import numpy as np

from df_planner.sim.env import Maze2DEnv
from df_planner.sim.maze import load_maze
from df_planner.sim.world import BatchWorld
from df_planner.sim.world import World

SECONDS = 2.0
BATCH = 256


def steps_per_s(step, steps_per_call=1):
    """Call ``step`` for a while and return the rate."""
    calls, start = 0, time.process_time()
    while time.process_time() - start < SECONDS:
        for _ in range(64):
            step()
        calls += 64
    return calls * steps_per_call / (time.process_time() - start)


def main():
    """Print a table: one line per maze."""
    print(f'steps/s   World.advance   World.step   Maze2DEnv.step   BatchWorld({BATCH})')
    rng = np.random.default_rng(0)
    pushes = rng.uniform(-1.0, 1.0, size=(1000, BATCH, 2))
    for name in ('umaze', 'medium', 'large'):
        maze = load_maze(name)
        start = np.array([1.0, 1.0, 0.0, 0.0])
        world, batch, env = World(maze), BatchWorld(maze, BATCH), Maze2DEnv(maze)
        world.set_state(start)
        batch.set_states(np.tile(start, (BATCH, 1)))
        env.reset(seed=0)
        single = [[float(a) for a in push] for push in pushes[:, 0]]
        index = iter(range(10**12))
        rates = [
            steps_per_s(lambda: world.advance(*single[next(index) // 20 % 1000])),
            steps_per_s(lambda: world.step(single[next(index) // 20 % 1000])),
            steps_per_s(lambda: env.step(single[next(index) // 20 % 1000])),
            steps_per_s(lambda: batch.step(pushes[next(index) // 20 % 1000]), BATCH)]
        print(f'{name:8s}  ' + '   '.join(f'{rate:12.0f}' for rate in rates))


if __name__ == '__main__':
    main()
