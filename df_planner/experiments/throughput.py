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
The speed of what is around the planner: training, its data path, the simulator, a ROS 2 node.

    df_planner measure throughput --maze large

Every rate is of wall time, so that it holds for a machine that does nothing else.
"""

from collections.abc import Callable
import csv
from dataclasses import dataclass
import os
from pathlib import Path
import subprocess
import sys
from tempfile import TemporaryDirectory
import time

import click
import gymnasium
import numpy as np
import psutil

from df_planner.console import DEVICE
from df_planner.console import examples
from df_planner.console import out_option
from df_planner.console import text_table
from df_planner.data.d4rl import load_dataset
from df_planner.errors import WaitTimeout
from df_planner.experiments.common import result_folder
from df_planner.experiments.common import write_result
from df_planner.files import share_path
from df_planner.launching.domain import chosen_domain
from df_planner.robots.kinds import POINT
from df_planner.sim.env import NAMESPACE
from df_planner.sim.generate import generate
from df_planner.sim.maze import load_maze
from df_planner.sim.world import BatchWorld
from df_planner.training.batches import Batches
from df_planner.training.config import load_stages
from df_planner.training.config import TrainConfig
from df_planner.training.train import train

MAZES = ('umaze', 'medium', 'large')
GENERATED_ROWS = 100_000
WARM_UP_STEPS = 3
PRECISIONS = ('32', 'bf16-mixed')
BATCH = 256
CALLS = 64  # between two looks at the clock
PUSHES = 1000
WARM_UP_TICKS = 100
STARTUP_TIMEOUT_S, STALL_TIMEOUT_S = 60.0, 10.0
Rows = list[tuple[str, float, str]]  # what, rate, unit


@dataclass(frozen=True)
class Bench:
    """What to measure, as the options say; ``folder`` is for temporary files."""

    maze: str
    seconds: float
    steps: int
    device: str
    folder: Path

    @property
    def config_path(self) -> Path:
        """Return the training configuration of the shipped model."""
        return share_path('config/train/point.yaml')

    def config(self) -> TrainConfig:
        """Return it with the log of the maze; without one in data/, a short one is made."""
        [config] = load_stages(self.config_path).values()
        log = config.dataset.with_name(f'{POINT.prefix}-{self.maze}.hdf5')
        if not log.exists():
            log = self.folder / log.name
            if not log.exists():
                generate(self.maze, GENERATED_ROWS, out=log)
        return config.model_copy(update={'dataset': log})


def measure_loader(bench: Bench) -> Rows:
    """Return how long the log takes to open, and the rate of its training batches."""
    config = bench.config()
    started = time.perf_counter()
    dataset = load_dataset(config.dataset)
    open_s = time.perf_counter() - started
    batches = Batches(dataset, slice(None), config)
    batches.draw(0, 0)
    tokens, calls, spent_s = 0, 0, 0.0
    started = time.perf_counter()
    while spent_s < bench.seconds:
        tokens += int(np.prod(batches.draw(0, calls).tokens.shape[:2]))
        calls, spent_s = calls + 1, time.perf_counter() - started
    return [(f'opening {config.dataset.name}, {len(dataset):,} rows', open_s, 's'),
            ('loader alone', tokens / spent_s, 'tokens/s')]


def measure_training(bench: Bench) -> Rows:
    """Return the speed of training by precision: `df_planner train` without held-out data."""
    dataset, rows = str(bench.config().dataset), []
    for precision in PRECISIONS:
        folder = bench.folder / precision
        train(bench.config_path, {
            'dataset': dataset, 'name': 'throughput', 'steps': WARM_UP_STEPS + bench.steps,
            'device': bench.device, 'precision': precision, 'holdout_share': 0.0,
            'log_interval_steps': 1, 'save_interval_s': 1e9,
            'run_dir': str(folder), 'out_dir': str(folder)})
        with (folder / 'throughput/loss.csv').open(encoding='utf-8') as file:
            per_s = [float(row['tokens_per_s']) for row in csv.DictReader(file)][WARM_UP_STEPS:]
        rows.append((f'training step, {precision}, {bench.device}, median',
                     float(np.median(per_s)), 'tokens/s'))
    return rows


def measure_simulator(bench: Bench) -> Rows:
    """Return the speed of the Gymnasium environment, and of many mazes in one call."""
    maze = load_maze(bench.maze)
    pushes = np.random.default_rng(0).uniform(-1.0, 1.0, (PUSHES, BATCH, 2))
    env = gymnasium.make(f'{NAMESPACE}/Maze2D-{bench.maze}-v1')
    env.reset(seed=0)

    def step(index: int) -> None:
        *_, truncated, _ = env.step(pushes[index // 20 % PUSHES, 0])
        if truncated:
            env.reset()

    rows = [('Gymnasium environment', calls_per_s(step, bench.seconds), 'steps/s')]
    for threads in (0, 2):
        batch = BatchWorld(maze, BATCH, threads)
        batch.set_states(np.tile([*maze.cells[0], 0.0, 0.0], (BATCH, 1)))
        rate = calls_per_s(lambda i, b=batch: b.step(pushes[i // 20 % PUSHES]), bench.seconds)
        rows.append((f'batch of {BATCH} mazes, {max(threads, 1)} thread{"s" * (threads > 1)}',
                     BATCH * rate, 'steps/s'))
    return rows


def calls_per_s(call: Callable[[int], object], seconds: float) -> float:
    """Call with 0, 1, 2, ... for a time and return the rate."""
    count, started = 0, time.perf_counter()
    while (spent_s := time.perf_counter() - started) < seconds:
        for index in range(count, count + CALLS):
            call(index)
        count += CALLS
    return count / spent_s


def measure_lockstep(bench: Bench) -> Rows:
    """
    Return the speed of maze_sim in lockstep, every odometry answered at once.

    :raises WaitTimeout: if the node stops.
    """
    os.environ['ROS_DOMAIN_ID'] = chosen_domain()
    os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
    from geometry_msgs.msg import WrenchStamped
    from nav_msgs.msg import Odometry
    import rclpy

    from df_planner.ros import qos
    from df_planner.ros import topics
    from df_planner.ros.run import EventsExecutor

    rclpy.init()
    simulator = subprocess.Popen([
        sys.executable, '-m', 'df_planner.nodes.maze_sim.node', '--ros-args', '--log-level',
        'warn', '-p', f'maze:={bench.maze}', '-p', 'lockstep:=true'], stderr=subprocess.DEVNULL)
    try:
        node, executor, stamps = rclpy.create_node('throughput'), EventsExecutor(), set()
        executor.add_node(node)
        publisher = qos.publisher(node, topics.CMD_WRENCH)
        wrench = WrenchStamped()
        wrench.header.frame_id = 'map'

        def answer(msg: Odometry) -> None:
            wrench.header.stamp = msg.header.stamp
            stamps.add((msg.header.stamp.sec, msg.header.stamp.nanosec))  # some come repeatedly
            publisher.publish(wrench)

        def spin_until(is_over: Callable[[], bool]) -> None:
            end_s = time.monotonic() + STARTUP_TIMEOUT_S
            while not is_over():
                before = len(stamps)
                executor.spin_once(timeout_sec=0.1)
                if len(stamps) > before:
                    end_s = time.monotonic() + STALL_TIMEOUT_S
                elif simulator.poll() is not None or time.monotonic() > end_s:
                    raise WaitTimeout(f'maze_sim stopped after {before} ticks')

        qos.subscription(node, topics.ODOM, answer, lockstep=True)
        spin_until(lambda: len(stamps) >= WARM_UP_TICKS)
        process = psutil.Process(simulator.pid)
        first, used, started = len(stamps), process.cpu_times(), time.monotonic()
        spin_until(lambda: time.monotonic() > started + bench.seconds)
        spent_s, times, ticks = time.monotonic() - started, process.cpu_times(), len(stamps)
        cpu_s = times.user + times.system - used.user - used.system
        return [('maze_sim in lockstep over DDS', (ticks - first) / spent_s, 'ticks/s'),
                ('of it, processor time', 1e3 * cpu_s / (ticks - first), 'ms/tick')]
    finally:
        simulator.terminate()
        simulator.wait()
        rclpy.try_shutdown()


SECTIONS = {'data': measure_loader, 'training': measure_training,
            'simulator': measure_simulator, 'ros': measure_lockstep}


@click.command(epilog=examples(
    'df_planner measure throughput',
    'df_planner measure throughput --maze umaze --only simulator --only data',
    'df_planner measure throughput --only training --device cuda --steps 200'))
@click.option('--maze', type=click.Choice(MAZES), default='large',
              help='Whose log and walls.')
@click.option('--only', multiple=True, type=click.Choice(list(SECTIONS)),
              help='A section; may be repeated.  [default: all]')
@click.option('--seconds', type=click.FloatRange(min=0.1), default=5.0,
              help='Time for each rate of calls.')
@click.option('--steps', type=click.IntRange(min=1), default=30,
              help='Training steps for each rate, after a short warm-up.')
@DEVICE
@out_option('throughput.json', 'results/throughput-TIME')
def throughput(maze, only, seconds, steps, device, out):
    """
    Measure the speed of training, loader, simulator and lockstep.

    Sections: data (opening the log, training batches from it), training (steps of `df_planner
    train`, by precision), simulator (the Gymnasium environment, and many mazes in one call), ros
    (maze_sim in lockstep over DDS). Numbers are of wall time: nothing else should run.
    """
    folder, measured = result_folder('throughput', out), {}
    with TemporaryDirectory(prefix='df_planner-') as temporary:
        bench = Bench(maze, seconds, steps, device, Path(temporary))
        for section in only or SECTIONS:
            measured[section] = SECTIONS[section](bench)
            click.echo(f'{section}: {len(measured[section])} rates', err=True)
    rows = [(section, *row) for section, rates in measured.items() for row in rates]
    click.echo(text_table([['section', 'what', 'value', 'unit'], *(
        [section, what, f'{value:,.0f}' if value >= 100.0 else f'{value:.3g}', unit]
        for section, what, value, unit in rows)]))
    write_result(folder / 'throughput.json', 'point', 0, {
        'maze': maze, 'seconds': seconds, 'steps': steps, 'device': device,
        'rows': [dict(zip(('section', 'name', 'value', 'unit'), row)) for row in rows]})
