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
Jobs of an evaluation or a training, and the processes of this machine that do them.

``LocalEngine`` and ``grid/ray_engine.RayEngine`` have the same interface, ``Engine``, and give the
same results.
"""

from collections import deque
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED
from concurrent.futures import Future
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures import wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
import fcntl
import multiprocessing
from pathlib import Path
import signal
from typing import Protocol

from df_planner.errors import ConfigError
from df_planner.errors import DFPlannerError


@dataclass(frozen=True, eq=False)
class Job:
    """
    One call for a worker.

    :param group: after the failure of one job the rest of its group is dropped.
    :param function: of a module, for a worker to import.
    :param arguments: plain values, arrays and dataclasses of this package.
    :param num_cpus: threads that it uses.
    :param num_gpus: 1 if it needs one.
    """

    group: str
    function: Callable[..., object]
    arguments: tuple
    num_cpus: int = 1
    num_gpus: int = 0


class Engine(Protocol):
    """
    Runs jobs.

    :ivar workers: jobs that run at a time.
    :ivar description: for the report.
    """

    workers: int
    description: str

    def outcomes(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, object]]:
        """
        Yield every job, as it ends, with its result or its exception.

        Closing the iterator, by Ctrl-C too, ends the running jobs.

        :raises DFPlannerError: if the engine itself cannot go on.
        """


class LocalEngine:
    """
    Processes of this machine.

    :param workers: how many; 1 stays in this process.
    """

    def __init__(self, workers: int):
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
        queue, failed = deque(jobs), set()
        with processes(min(self.workers, len(jobs))) as idle:
            running: dict[Future, tuple[ProcessPoolExecutor, Job]] = {}
            while queue or running:
                while queue and idle:
                    process, job = idle.pop(), queue.popleft()
                    running[process.submit(job.function, *job.arguments)] = process, job
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    process, job = running.pop(future)
                    idle.append(process)
                    if job.group in failed:
                        continue
                    outcome = future.exception() or future.result()
                    if isinstance(outcome, BrokenProcessPool | SystemExit):
                        raise DFPlannerError('a worker process was killed, perhaps for lack of '
                                             'memory; try fewer workers') from outcome
                    if isinstance(outcome, Exception):
                        failed.add(job.group)
                        queue = deque(other for other in queue if other.group not in failed)
                    yield job, outcome


@contextmanager
def processes(count: int) -> Iterator[list[ProcessPoolExecutor]]:
    """
    Start processes; on any error, Ctrl-C included, end them and wait for trainings to be saved.

    Each is a pool of its own, since a pool that loses one process ends all of them.
    """
    others = set(multiprocessing.active_children())
    pools = [ProcessPoolExecutor(1, multiprocessing.get_context('spawn'), _leave_interrupts)
             for _ in range(count)]
    try:
        yield list(pools)
    except BaseException:
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    finally:
        for pool in pools:
            pool.shutdown()


def _leave_interrupts() -> None:
    """Leave Ctrl-C to the parent, which ends its workers; a training would react to it, too."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder against other processes; ConfigError if one has locked it."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / '.lock', 'w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(f'{folder}: another benchmark is running there') from error
        yield


def reason(error: Exception) -> str:
    """Return the code and the message of an error in one line."""
    kind = error.code if isinstance(error, DFPlannerError) else type(error).__name__
    return f'{kind}: {" ".join(str(error).split())}'
