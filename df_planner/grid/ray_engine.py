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
Jobs of a benchmark on a Ray cluster, which runs already or is started on this machine.

A worker on another machine needs the same working folder and the same sources, and fails with a
ConfigError otherwise. A job whose worker is lost is repeated by another one.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
import os
from pathlib import Path
import platform
import socket
from typing import Self

import ray
from ray.exceptions import RayError
from ray.exceptions import RayTaskError

from df_planner.errors import ConfigError
from df_planner.errors import ProcessLost
from df_planner.evaluation.jobs import Job
from df_planner.grid.revision import sources_revision

RETRIES = 3  # of a job whose worker was lost
CONNECT_S = 5.0
STOP_S = 30.0  # that a training has to save its state
OBJECT_STORE_BYTES = 80_000_000  # near the least that Ray takes; jobs and results are small


class RayEngine:
    """
    The workers of a cluster, one for every core.

    :param workers: cores of a cluster to start on this machine, None with ``address``.
    :param address: of a running cluster, as ``HOST:6379``, or ``auto`` for this machine's.
    """

    def __init__(self, workers: int | None, address: str | None = None):
        """Connect; ConfigError if that fails."""
        if address not in (None, 'auto'):
            _check_answers(address)
        os.environ.setdefault('RAY_USAGE_STATS_ENABLED', '0')  # of a cluster started here, as is
        os.environ.setdefault('RAY_worker_niceness', '0')  # this: latencies are measured
        of_new_cluster = {} if address else {'num_cpus': workers, 'include_dashboard': False,
                                             'object_store_memory': OBJECT_STORE_BYTES}
        try:
            ray.init(address or 'local', logging_level='error', log_to_driver=False,
                     **of_new_cluster)
        except (OSError, RuntimeError, ValueError, RayError) as error:
            raise ConfigError(f'Ray cluster {address or "of this machine"}: '
                              f'{str(error).splitlines()[0]}; does it have the same Ray, '
                              'Python and RAY_AUTH_MODE?') from error
        self.workers = max(1, int(ray.cluster_resources().get('CPU', 0)))
        self.description = f'ray {ray.__version__}, machines: {len(_machines())}'

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect; a cluster that was started here ends."""
        ray.shutdown(wait_for_processes=True)

    def outcomes(self, jobs: Sequence[Job]) -> Iterator[tuple[Job, object]]:
        """
        Yield what ``jobs.Engine.outcomes`` says.

        :raises ConfigError: if no machine of the cluster has what a job needs.
        """
        _check_resources(jobs)
        place = (str(Path.cwd()), sources_revision())
        open_jobs = {
            ray.remote(num_cpus=job.num_cpus, num_gpus=job.num_gpus, max_retries=RETRIES)(_work)
            .remote(*place, job.function, job.arguments): job for job in jobs}
        try:
            while open_jobs:
                (ref,), _ = ray.wait(list(open_jobs), num_returns=1)
                job = open_jobs.pop(ref)
                outcome = _outcome(ref)
                if isinstance(outcome, Exception):
                    for other in [r for r, j in open_jobs.items() if j.group == job.group]:
                        del open_jobs[other]
                        # With its worker: one that is interrupted while it imports torch cannot
                        # import it again for its next job.
                        ray.cancel(other, force=True)
                yield job, outcome
        finally:
            for ref in open_jobs:
                ray.cancel(ref)
            if open_jobs:
                ray.wait(list(open_jobs), num_returns=len(open_jobs), timeout=STOP_S)


def _check_answers(address: str) -> None:
    """Raise ConfigError for a silent address, which Ray itself would try for minutes."""
    host, _, port = address.rpartition(':')
    if not host or not port.isdecimal():
        raise ConfigError(f'--ray-address: must be HOST:PORT or auto, got {address!r}')
    try:
        socket.create_connection((host, int(port)), CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(f'--ray-address: nothing answers at {address}: {error}; `ray start '
                          '--head` there begins a cluster') from error


def _work(folder: str, revision: str, function: Callable[..., object], arguments: tuple) -> object:
    """Do a job in a worker, in the folder and with the sources of the caller."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise ConfigError(f'{platform.node()}: {error}; every machine of the cluster needs that '
                          'folder') from error
    if sources_revision() != revision:
        raise ConfigError(f'{platform.node()}: has another version of df_planner; install '
                          'the same on every machine')
    return function(*arguments)


def _outcome(ref: ray.ObjectRef) -> object:
    """Return the result of a job, or its exception as if it had been raised here."""
    try:
        return ray.get(ref)
    except RayTaskError as error:
        return error.cause
    except RayError as error:
        lost = ProcessLost(f'its worker was lost {RETRIES + 1} times, perhaps for lack of memory: '
                           f'{type(error).__name__}')
        lost.__cause__ = error
        return lost


def _check_resources(jobs: Sequence[Job]) -> None:
    """Raise ConfigError for jobs that would wait for ever."""
    for name, needed in (('CPU', max(job.num_cpus for job in jobs)),
                         ('GPU', max(job.num_gpus for job in jobs))):
        largest = max(machine['Resources'].get(name, 0) for machine in _machines())
        if needed > largest:
            raise ConfigError(f'a job needs {needed} {name}, and no machine of the Ray cluster '
                              f'has more than {largest:.0f}')


def _machines() -> list[dict]:
    return [node for node in ray.nodes() if node['Alive']]
