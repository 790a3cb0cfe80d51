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

"""The worker: the latest job wins, cancelled ones are never heard of again, nothing blocks."""

import threading
import time

import pytest
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from df_planner.ros.worker import Outcome
from df_planner.ros.worker import Worker


@pytest.fixture
def spinner(ros_context):
    """Return a worker of a node, and a function that spins until a condition holds."""
    node = Node('worker', context=ros_context, enable_rosout=False)
    executor = SingleThreadedExecutor(context=ros_context)
    executor.add_node(node)
    worker = Worker(node)

    def spin_until(condition, timeout_s=5.0):
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline
            executor.spin_once(timeout_sec=0.01)

    yield worker, spin_until
    worker.close()
    executor.shutdown()
    node.destroy_node()


class Gate:
    """A job that runs until it is opened or told to stop."""

    def __init__(self):
        self.started, self.open, self.stopped = (threading.Event() for _ in range(3))

    def __call__(self, should_stop):
        self.started.set()
        while not self.open.wait(0.005):
            if should_stop():
                self.stopped.set()
                break
        return 'gate'


def test_results_arrive_in_the_thread_of_the_executor(spinner):
    worker, spin_until = spinner
    threads = []

    def work(should_stop):
        threads.append(threading.current_thread())
        return 42

    outcomes = []
    worker.submit('a', work, lambda outcome: outcomes.append(
        (outcome.value, threading.current_thread())))
    assert worker.is_busy('a') and not worker.is_busy('b')
    spin_until(lambda: outcomes)
    assert outcomes == [(42, threading.main_thread())]
    assert threads[0] is not threading.main_thread()
    assert not worker.is_busy('a')


def test_an_exception_is_an_outcome_and_the_worker_lives_on(spinner):
    worker, spin_until = spinner
    outcomes = []
    worker.submit('a', lambda should_stop: 1 / 0, outcomes.append)
    worker.submit('b', lambda should_stop: 1, outcomes.append)
    spin_until(lambda: len(outcomes) == 2)
    assert isinstance(outcomes[0].error, ZeroDivisionError) and outcomes[0].value is None
    assert (outcomes[1].value, outcomes[1].error) == (1, None)


def test_of_waiting_jobs_the_latest_wins_and_other_keys_are_kept(spinner):
    worker, spin_until = spinner
    gate, done = Gate(), []
    worker.submit('gate', gate, lambda outcome: done.append(outcome.value))
    gate.started.wait(5.0)
    for value in range(5):
        worker.submit('a', lambda should_stop, value=value: value,
                      lambda outcome: done.append(outcome.value))
        worker.submit('b', lambda should_stop, value=value: 10 + value,
                      lambda outcome: done.append(outcome.value))
    gate.open.set()
    spin_until(lambda: len(done) == 3)
    assert done == ['gate', 4, 14]


def test_cancelling_stops_discards_and_makes_room(spinner):
    worker, spin_until = spinner
    gate, done = Gate(), []
    worker.submit('a', gate, done.append)
    gate.started.wait(5.0)
    worker.cancel('a')
    assert not worker.is_busy('a')
    worker.submit('a', lambda should_stop: should_stop(), done.append)
    spin_until(lambda: done)
    assert gate.stopped.is_set()
    assert [outcome.value for outcome in done] == [False]


def test_a_result_that_waits_for_delivery_can_still_be_cancelled(spinner):
    worker, spin_until = spinner
    done, finished = [], threading.Event()
    worker.submit('a', lambda should_stop: finished.set(), done.append)
    worker.submit('b', lambda should_stop: 'b', done.append)
    finished.wait(5.0)
    worker.cancel('a')
    spin_until(lambda: done)
    assert [outcome.value for outcome in done] == ['b']


def test_closing_stops_the_running_job_at_once(spinner):
    worker, _ = spinner
    gate, done = Gate(), []
    worker.submit('a', gate, done.append)
    gate.started.wait(5.0)
    started = time.monotonic()
    worker.close()
    assert time.monotonic() - started < 1.0
    assert gate.stopped.is_set()
    assert done == []


def test_an_outcome_has_a_result_or_raises():
    assert Outcome.of(lambda: 3).result() == 3
    failed = Outcome.of(lambda: {}['nothing'])
    assert isinstance(failed.error, KeyError)
    with pytest.raises(KeyError):
        failed.result()
