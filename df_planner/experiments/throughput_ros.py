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
Throughput over ROS 2: the simulator alone in lockstep, and what an episode's time goes into.

Nothing here imports ROS; the nodes are processes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
import json
import os
from pathlib import Path
import re
import subprocess
import sys
import time

from df_planner.errors import ConfigError
from df_planner.evaluation.machine import cpu_seconds
from df_planner.experiments.throughput import Plan
from df_planner.experiments.throughput import Row
from df_planner.launching.domain import chosen_domain

PROGRESS = re.compile(r'\[ *(\d+)/\d+\] ')


def measure_ros(plan: Plan) -> list[Row]:
    """Return ticks per second of maze_sim, and the share of planning in the ROS benchmark."""
    return [*lockstep_rows(plan), *share_rows(run_benchmark(plan))]


def lockstep_rows(plan: Plan) -> list[Row]:
    """Have a node answer every odometry of the simulator at once."""
    result = plan.folder / 'lockstep.json'
    _run([sys.executable, '-m', 'df_planner.experiments.lockstep_speed', '--maze', plan.maze,
          '--seconds', str(plan.seconds), '--out', str(result)])
    found = json.loads(result.read_text(encoding='utf-8'))
    note = f'over DDS, odometry answered at once, {found["ticks"]} ticks'
    return [Row('ros', 'maze_sim in lockstep', found['ticks'] / found['seconds'], 'ticks/s', note),
            Row('ros', 'maze_sim in lockstep, processor time',
                1e3 * found['cpu_seconds'] / found['ticks'], 'ms/tick', note)]


@dataclass(frozen=True)
class Benchmark:
    """
    A run of the ROS benchmark.

    :param ended_s: when each episode had ended, by a steady clock.
    :param cpu_s: by then, the processor time of each process of the graph, by node.
    :param records: (E,) of ``metrics.episode_record``.
    """

    ended_s: Sequence[float]
    cpu_s: Sequence[dict[str, float]]
    records: Sequence[dict]


def run_benchmark(plan: Plan) -> Benchmark:
    """
    Run ``df_planner demo`` at real_time_factor 0.

    :raises ConfigError: with its last words, if it fails.
    """
    folder = plan.folder / 'demo'
    command = [sys.executable, '-m', 'df_planner.cli', 'demo', '--maze', plan.maze, '--episodes',
               str(plan.episodes), '--real-time-factor', '0', '--results-dir', str(folder)]
    ended_s: list[float] = []
    cpu_s: list[dict[str, float]] = []
    last = 'no message'
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env=_environment()) as demo:
        for line in demo.stdout:
            last = line.strip() or last
            if PROGRESS.match(line):
                ended_s.append(time.monotonic())
                cpu_s.append(_cpu_of_nodes(demo.pid))
    results = sorted(folder.glob('*/results.json'))
    if len(ended_s) != plan.episodes or not results:
        raise ConfigError(f'the ROS benchmark failed: {last}')
    records = json.loads(results[-1].read_text(encoding='utf-8'))['episodes']
    return Benchmark(ended_s, cpu_s, records)


def share_rows(run: Benchmark) -> list[Row]:
    """Return what the time from the end of the first episode to that of the last went into."""
    counted = run.records[1:]
    wall_s = run.ended_s[-1] - run.ended_s[0]
    planning_s = sum(sum(record['planning_times_s']) for record in counted)
    steps = sum(record['steps'] for record in counted)
    note = (f'{len(counted)} of {len(run.records)} episodes, {steps} control steps in '
            f'{wall_s:.1f} s')
    return [
        Row('ros', 'benchmark, lockstep', steps / wall_s, 'ticks/s', note),
        Row('ros', 'planning', 1e3 * planning_s / steps, 'ms/tick', note),
        Row('ros', 'all else', 1e3 * (wall_s - planning_s) / steps, 'ms/tick',
            'messages, control, physics, recording', 'derived'),
        Row('ros', 'share of planning', 100.0 * planning_s / wall_s, '%', note, 'derived'),
        *(Row('ros', f'{node}, processor time',
              1e3 * (used_s - run.cpu_s[0][node]) / steps, 'ms/tick',
              'with the planning itself' if node == 'planner' else '')
          for node, used_s in run.cpu_s[-1].items())]


def _cpu_of_nodes(parent: int) -> dict[str, float]:
    """Return the processor time so far of the nodes that a process has started, by name."""
    found = {}
    for child in Path(f'/proc/{parent}/task/{parent}/children').read_text().split():
        words = Path(f'/proc/{child}/cmdline').read_text(encoding='utf-8').split('\0')
        name = next((word for word in words if word.startswith('df_planner.nodes.')), None)
        if name is not None:
            found[name.split('.')[2]] = cpu_seconds(int(child))
    return found


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False,
                          env=_environment())
    if done.returncode != 0:
        raise ConfigError(f'{Path(command[2]).name} failed: '
                          + ((done.stderr + done.stdout).strip().splitlines()
                             or ['no message'])[-1])


def _environment() -> dict[str, str]:
    """Return an environment whose ROS graph no other run is in."""
    return {'ROS_DOMAIN_ID': chosen_domain(), **os.environ,
            'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}
