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
Jobs of a benchmark, and the processes of this machine that do them.

``LocalEngine`` here and ``RayEngine`` in ``ray_engine.py`` are used in the same way, with the same
results. An engine has ``workers``, the jobs that it does at a time, a ``description`` for the
report, and ``outcomes``.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
import os
import signal
from typing import Protocol

from df_planner.benchmark.evaluate import worker_pool
from df_planner.errors import ConfigError
from df_planner.errors import DFPlannerError


@dataclass(frozen=True, eq=False)
class Job:
    """
    One call for a worker.

    :param group: of jobs that fail together: after one's failure the rest of them is dropped.
    :param function: of a module, so that a worker can import it.
    :param arguments: plain values, arrays and dataclasses of this package.
    :param num_cpus: threads that it computes with.
    :param num_gpus: 1 if it needs one.
    """

    group: str
    function: Callable[..., object]
    arguments: tuple
    num_cpus: int = 1
    num_gpus: int = 0


class Engine(Protocol):
    """What does the jobs."""

    workers: int
    description: str

    def outcomes(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, object]]:
        """
        Yield every job with its result as it is done, or with the exception that it ended with.

        Closing the iterator, by Ctrl-C too, ends the jobs that are being done.

        :raises DFPlannerError: if the engine itself cannot go on.
        """


class LocalEngine:
    """
    Processes of this machine.

    :param workers: how many; 1 stays in this process.
    """

    def __init__(self, workers: int):
        """Start nothing yet."""
        if workers < 1:
            raise ConfigError(f'workers must be 1 or more, got {workers}')
        self.workers = workers
        self.description = 'local'

    def outcomes(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, object]]:
        """Yield what ``Engine.outcomes`` says; the processes end with the iterator."""
        return self._in_turn(jobs) if self.workers == 1 else self._in_processes(jobs)

    def _in_turn(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, object]]:
        failed = set()
        for job in jobs:
            if job.group in failed:
                continue
            try:
                outcome = job.function(*job.arguments)
            except Exception as error:  # of one group: the others go on
                failed.add(job.group)
                outcome = error
            yield job, outcome

    def _in_processes(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, object]]:
        with worker_pool(min(self.workers, len(jobs)), _start_worker) as pool:
            futures = {pool.submit(_work, job.function, job.arguments): job for job in jobs}
            failed = set()
            for future in as_completed(futures):
                job = futures[future]
                if job.group in failed:
                    continue
                try:
                    outcome = future.result()
                except BrokenProcessPool as error:
                    raise DFPlannerError('a worker process was killed, perhaps for lack of '
                                         'memory; try fewer workers') from error
                except Exception as error:  # of one group: the others go on
                    failed.add(job.group)
                    for other in futures:
                        if futures[other].group == job.group:
                            other.cancel()
                    outcome = error
                yield job, outcome


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, which ends the workers; a training would listen to it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _work(function: Callable[..., object], arguments: tuple) -> object:
    """Do a job in a worker; one that was asked to end while training takes no other job."""
    try:
        return function(*arguments)
    except SystemExit as stop:
        os._exit(stop.code)
