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
One worker thread beside an executor, so that no callback ever waits for a network.

Jobs carry a key. The latest job of a key replaces a waiting one, so nothing queues up. Jobs of
different keys run in the order of submission. Results are delivered in the executor's thread,
where all of a node's state lives and where messages are published.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
import threading
from typing import Any

from rclpy.node import Node

ShouldStop = Callable[[], bool]


@dataclass(frozen=True)
class Outcome:
    """The value of a job, or the exception that ended it."""

    value: Any = None
    error: Exception | None = None

    @classmethod
    def of(cls, work: Callable[[], Any]) -> 'Outcome':
        """Run ``work`` and return its outcome."""
        try:
            return cls(value=work())
        except Exception as error:  # whatever it is, ``result`` raises it
            return cls(error=error)

    def result(self) -> Any:
        """Return the value, or raise the exception."""
        if self.error is not None:
            raise self.error
        return self.value


@dataclass(frozen=True)
class _Job:
    key: str
    generation: int
    work: Callable[[ShouldStop], Any]
    done: Callable[[Outcome], None]


class Worker:
    """
    Run jobs in a thread of their own; call every method from the executor's thread.

    >>> worker.submit('plan', lambda should_stop: planner.plan(state, goal), self.publish)
    """

    def __init__(self, node: Node):
        self._node = node
        self._guard = node.create_guard_condition(self._deliver)
        self._changed = threading.Condition()
        self._waiting: dict[str, _Job] = {}
        self._running: _Job | None = None
        self._finished: deque[tuple[_Job, Outcome]] = deque()
        self._generations: dict[str, int] = {}
        self._closed = False
        self._thread = threading.Thread(target=self._run, name='worker', daemon=True)
        self._thread.start()

    @property
    def thread_id(self) -> int | None:
        """Return the id of the thread by the operating system."""
        return self._thread.native_id

    def submit(self, key: str, work: Callable[[ShouldStop], Any],
               done: Callable[[Outcome], None] = lambda outcome: None) -> None:
        """
        Run ``work(should_stop)`` in the thread, then ``done(outcome)`` in the executor's thread.

        ``work`` should poll ``should_stop()``, which is true once the job is cancelled. ``done``
        is not called for a job that was cancelled, or replaced while it waited.
        """
        with self._changed:
            job = _Job(key, self._generations.get(key, 0), work, done)
            self._waiting.pop(key, None)
            self._waiting[key] = job
            self._changed.notify()

    def cancel(self, key: str) -> None:
        """Drop the waiting job of a key, stop the running one and discard its outcome."""
        with self._changed:
            self._waiting.pop(key, None)
            self._generations[key] = self._generations.get(key, 0) + 1

    def is_busy(self, key: str) -> bool:
        """Return whether a job of this key waits, runs, or has an outcome to deliver."""
        with self._changed:
            jobs = [job for job, _ in self._finished]
            jobs += self._waiting.values()
            if self._running is not None:
                jobs.append(self._running)
            return any(job.key == key and self._is_current(job) for job in jobs)

    def close(self, timeout_s: float = 60.0) -> None:
        """Stop the running job, drop all others and end the thread."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify()
        self._thread.join(timeout_s)
        self._node.destroy_guard_condition(self._guard)

    def _is_current(self, job: _Job) -> bool:
        return not self._closed and job.generation == self._generations.get(job.key, 0)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                job = self._running = self._waiting.pop(next(iter(self._waiting)))
            outcome = Outcome.of(lambda: job.work(lambda: not self._is_current(job)))
            with self._changed:
                self._running = None
                if self._closed:
                    return
                self._finished.append((job, outcome))
                self._guard.trigger()

    def _deliver(self) -> None:
        while self._finished:
            with self._changed:
                job, outcome = self._finished.popleft()
                current = self._is_current(job)
            if current:
                job.done(outcome)
