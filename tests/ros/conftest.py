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
Shared by the ROS tests: real nodes in processes of their own, over real DDS.

Every test process has a ROS domain of its own and stays on this machine, so that neither another
test run nor a robot in the same network is heard.
"""

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
import itertools
import math
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

from profiles import STANDARD_QOS
import pytest
from rcl_interfaces.srv import GetParameters
import rclpy
from rclpy.client import Client
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile

from df_planner.launching.domain import own_domain

ASK_AGAIN_S = 1.0


os.environ['ROS_DOMAIN_ID'] = str(own_domain())
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
os.environ['PYTHONFAULTHANDLER'] = '1'  # a node that crashes shows where in its log


class NodeProcess:
    """A node in its own process, its output in a file."""

    def __init__(self, command: list[str], log_path: Path):
        self._log_path = log_path
        with open(log_path, 'w') as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self.process.pid

    @property
    def log(self) -> str:
        """Everything the node has printed so far."""
        return self._log_path.read_text()

    def wait_for_log(self, text: str, timeout_s: float = 60.0) -> None:
        """Wait until the node has printed a text; fail with its log if it never does."""
        deadline = time.monotonic() + timeout_s
        while text not in self.log:
            assert self.process.poll() is None, f'ended early, log:\n{self.log}'
            assert time.monotonic() < deadline, f'{text!r} is not in the log:\n{self.log}'
            time.sleep(0.02)

    def wait(self, timeout_s: float = 60.0) -> int:
        """Wait for the end and return the exit code."""
        return self.process.wait(timeout_s)

    def stop(self, signal_number: int = signal.SIGINT, timeout_s: float = 30.0) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(signal_number)
        return self.wait(timeout_s)

    def end(self) -> None:
        """
        Make sure the process is gone; fail if a node that still runs crashes when asked to end.

        Prints the log, which pytest shows if the test has failed. A node that crashes, or has to
        be killed, says no farewell: others believe for 20 s that it is still there.
        """
        if self.process.poll() is None:
            try:
                code = self.stop()
            except subprocess.TimeoutExpired:
                self.process.kill()
                code = self.process.wait()
            assert code >= 0, f'ended by signal {-code}, log:\n{self.log}'
        print(f'{self._log_path.name}:\n{self.log}')


class Probe:
    """A node in the test process that publishes, listens, calls and waits."""

    def __init__(self, context: rclpy.Context):
        self.node = Node('probe', context=context, enable_rosout=False)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)

    def listen(self, message_type: type, topic: str, qos: QoSProfile = STANDARD_QOS) -> list:
        """Return a list that fills with the messages of a topic."""
        messages = []
        self.node.create_subscription(message_type, topic, messages.append, qos)
        return messages

    def publisher(self, message_type: type, topic: str, qos: QoSProfile = STANDARD_QOS,
                  subscribers: int = 1) -> Publisher:
        """Return a publisher once it has found so many subscribers."""
        publisher = self.node.create_publisher(message_type, topic, qos)
        self.wait_until(lambda: publisher.get_subscription_count() >= subscribers,
                        f'{subscribers} subscriber(s) of {topic}')
        return publisher

    def client(self, service_type: type, name: str) -> Client:
        """Return a client of ``NODE/SERVICE`` once both have found each other."""
        client = self._create_client(service_type, name)
        self.wait_until_found_by(name.rpartition('/')[0])
        return client

    def wait_until_found_by(self, node_name: str) -> None:
        """
        Wait until a node has found every publisher and client of this one.

        To have found the node's subscriptions and services is not enough: what is sent before it
        has found the publisher is lost where it is best effort, and so is its response to a
        client of which it does not know yet where to send it. Discovery tells of publishers, and
        of subscriptions, in the order of their creation, so a node whose answer reaches a newer
        client knows the older ones. Asks again, because this answer may be lost too, and the
        question may have gone to an earlier node of that name.
        """
        client = self._create_client(GetParameters, f'{node_name}/get_parameters')
        answers, asked_s = [], -math.inf

        def is_answered() -> bool:
            nonlocal asked_s
            if time.monotonic() > asked_s + ASK_AGAIN_S:
                asked_s = time.monotonic()
                answers.append(client.call_async(GetParameters.Request()))
            return any(answer.done() for answer in answers)
        self.wait_until(is_answered, f'{node_name} to find this node')
        self.node.destroy_client(client)

    def call(self, client: Client, request, timeout_s: float = 30.0):
        """Call a service and return the response."""
        future = client.call_async(request)
        self.wait_until(future.done, f'response of {client.srv_name}', timeout_s)
        return future.result()

    def _create_client(self, service_type: type, name: str) -> Client:
        client = self.node.create_client(service_type, name)
        self.wait_until(client.service_is_ready, f'service {name}')
        return client

    def wait_until(self, condition: Callable[[], bool], what: str,
                   timeout_s: float = 30.0) -> None:
        """Spin until a condition holds; fail saying what was waited for."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f'waited {timeout_s} s in vain for {what}'
            self._executor.spin_once(timeout_sec=0.02)

    def spin_for(self, duration_s: float) -> None:
        """Spin for some time."""
        deadline = time.monotonic() + duration_s
        while (left_s := deadline - time.monotonic()) > 0.0:
            self._executor.spin_once(timeout_sec=left_s)

    def close(self) -> None:
        """Destroy the node."""
        self._executor.shutdown()
        self.node.destroy_node()


def _parameter_text(value: bool | int | float | str | list) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _node_starter(folder: Path) -> Iterator[Callable[..., NodeProcess]]:
    ends, numbers = ExitStack(), itertools.count()

    def start(name: str, arguments: tuple[str, ...] = (), module: str | None = None,
              **parameters) -> NodeProcess:
        """
        Start ``df_planner.nodes.NAME`` with parameters.

        :param arguments: further ROS arguments, for example ``('-r', '__ns:=/robot1')``.
        :param module: another module to run.
        """
        command = [sys.executable, '-m', module or f'df_planner.nodes.{name}.node', '--ros-args']
        for key, value in parameters.items():
            command += ['-p', f'{key}:={_parameter_text(value)}']
        log_path = folder / f'{name}-{next(numbers)}.log'
        process = NodeProcess([*command, *arguments], log_path)
        ends.callback(process.end)
        return process

    with ends:
        yield start


@pytest.fixture
def start_node(tmp_path) -> Iterator[Callable[..., NodeProcess]]:
    """Return a function that starts nodes, which end with the test."""
    yield from _node_starter(tmp_path)


@pytest.fixture(scope='module')
def start_module_node(tmp_path_factory) -> Iterator[Callable[..., NodeProcess]]:
    """Return a function that starts nodes, which end with the test module."""
    yield from _node_starter(tmp_path_factory.mktemp('nodes'))


@pytest.fixture(scope='session')
def ros_context() -> Iterator[rclpy.Context]:
    """Return a context of this test process, not the global one."""
    context = rclpy.Context()
    rclpy.init(context=context)
    yield context
    rclpy.shutdown(context=context)


@pytest.fixture(scope='module')
def module_probe(ros_context) -> Iterator[Probe]:
    """Return a node to talk with that the tests of a module share, already discovered."""
    probe = Probe(ros_context)
    yield probe
    probe.close()


@pytest.fixture
def probe(ros_context) -> Iterator[Probe]:
    """Return a node in the test process to talk with."""
    probe = Probe(ros_context)
    yield probe
    probe.close()
