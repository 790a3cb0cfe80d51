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
How the cost of sampling grows: with the horizon, candidates, sampling steps and threads.

Roll-outs are what is timed (``Planner.rollout``), because they have exactly the horizon, the
candidates and the steps that are asked for, whereas a plan stops at the first batch that holds a
valid one. Every point is measured in a process of its own: the number of threads is only
obeyed from the start of a process, and no point inherits the memory of another.
"""

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path
import signal
import time

import numpy as np

from df_planner.benchmark.evaluate import worker_pool
from df_planner.benchmark.journal import Journal
from df_planner.benchmark.measuring import open_planner
from df_planner.benchmark.protocol import sample_starts

BASE_HORIZON_STEPS, BASE_CANDIDATES = 400, 8  # while something else is swept
FAR_STEPS = 800  # from here on the growth with the horizon is fitted


@dataclass(frozen=True)
class Point:
    """What is measured: roll-outs of control steps x candidates, on so many threads."""

    horizon_steps: int
    candidates: int
    sampling_steps: int
    threads: int


def sweeps(horizons: Sequence[int], candidates: Sequence[int], sampling_steps: Sequence[int],
           threads: Sequence[int], base_sampling_steps: int) -> dict[str, list[Point]]:
    """Return the points of each sweep, one quantity after the other, for all thread counts."""
    base = {'horizon_steps': BASE_HORIZON_STEPS, 'candidates': BASE_CANDIDATES,
            'sampling_steps': base_sampling_steps}
    return {name: [Point(**{**base, name: value}, threads=count)
                   for count in sorted(set(threads)) for value in sorted(set(values))]
            for name, values in (('horizon_steps', horizons), ('candidates', candidates),
                                 ('sampling_steps', sampling_steps))}


def measure_cost(checkpoint: str, device: str, settings: Sequence[str], points: list[Point],
                 repeats: int, seed: int, journal: Journal,
                 on_point: Callable[[], None] = lambda: None) -> list[dict]:
    """
    Measure every point that the journal lacks and return the records of all, in their order.

    :param settings: NAME=VALUE of planner settings, the same for all points.
    :param repeats: timed roll-outs per point, after one that is not.
    :param journal: keeps every finished point at once.
    :param on_point: called after every point, also for those that were there.
    """
    for index, point in enumerate(points):
        if index not in journal.episodes:
            with worker_pool(1, _ignore_interrupt) as pool:
                record = pool.submit(measure_point, checkpoint, device, settings, point, repeats,
                                     seed).result()
            journal.add({'record': {'episode': index, **asdict(point), **record}})
        on_point()
    return [journal.episodes[index]['record'] for index in range(len(points))]


def measure_point(checkpoint: str, device: str, settings: Sequence[str], point: Point,
                  repeats: int, seed: int) -> dict:
    """
    Return the numbers of one point, to be called in a process that has done nothing else.

    They are ``seconds`` of every repetition, ``calls`` of the network, ``call_s`` (mean of a
    call, median of repetitions) and ``peak_mib``, by how much memory grew at most in the first,
    untimed repetition; None where the system does not tell.
    """
    planner, maze = open_planner(checkpoint, device, settings, point.threads)
    planner.settings = planner.settings.model_copy(
        update={'sampling_steps': point.sampling_steps})
    starts = sample_starts(maze, 1, seed, robot=planner.card.robot)

    def roll_out() -> float:
        started = time.perf_counter()
        planner.rollout(starts.state[0], point.horizon_steps, point.candidates, seed,
                        starts.goal[0])
        return time.perf_counter() - started

    before = _reset_peak_mib()
    roll_out()
    peak_mib = _memory_mib('VmHWM') - before if before is not None else None
    seconds, call_s = [], []
    for _ in range(repeats):
        seconds.append(roll_out())
        call_s.append(planner.clock.spent_s['network'] / planner.clock.network_calls)
    return {'seconds': seconds, 'calls': planner.clock.network_calls,
            'call_s': float(np.median(call_s)), 'peak_mib': peak_mib}


def growth_exponent(records: Sequence[dict], name: str, least: float = 0.0) -> float | None:
    """
    Return k of seconds ~ value^k, fitted to the medians from ``least`` on; None for one value.

    :param name: of the swept quantity.
    """
    known = [(record[name], np.median(record['seconds'])) for record in records
             if record[name] >= least]
    if len({value for value, _ in known}) < 2:
        return None
    values, seconds = np.log(np.array(known)).T
    return float(np.polyfit(values, seconds, 1)[0])


def _reset_peak_mib() -> float | None:
    """Forget the peak of this process's memory; return what it holds now, in MiB."""
    try:
        Path('/proc/self/clear_refs').write_text('5', encoding='ascii')
        return _memory_mib('VmHWM')
    except OSError:
        return None


def _memory_mib(name: str) -> float:
    """Return an entry of /proc/self/status in MiB."""
    for line in Path('/proc/self/status').read_text(encoding='ascii').splitlines():
        if line.startswith(f'{name}:'):
            return int(line.split()[1]) / 1024.0
    raise OSError(f'/proc/self/status has no {name}')


def _ignore_interrupt() -> None:
    """Leave Ctrl-C to the parent, which ends the worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
