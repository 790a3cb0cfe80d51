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
Diagnostics of a node, and the errors of its inputs in them.

A node adds named tasks, functions that return a Status. ``Diagnostics`` publishes them together on
``/diagnostics``, as ``diagnostic_updater`` would: once a second by a steady clock, which a paused
simulation does not stop, and at once when ``update`` is called. ``guarded`` callbacks turn typed
errors of inputs into ``Complaints``, which are logged and shown until that input is good again.
"""

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
import sys
import time

from diagnostic_msgs.msg import DiagnosticArray
from diagnostic_msgs.msg import DiagnosticStatus
from diagnostic_msgs.msg import KeyValue
from rclpy.clock import Clock
from rclpy.clock import ClockType
from rclpy.node import Node

from df_planner.errors import DFPlannerError
from df_planner.ros import qos
from df_planner.ros import topics
from df_planner.ros.unused import unused

OK = DiagnosticStatus.OK
WARN = DiagnosticStatus.WARN
ERROR = DiagnosticStatus.ERROR
PERIOD_S = 1.0  # of wall time
REPEAT_S = 5.0  # between logs of the same complaint
LEAST_PERIOD_S = 0.1  # between diagnostics that a complaint causes


@dataclass(frozen=True)
class Status:
    """One task's answer: a level, one sentence, and values by name."""

    level: bytes
    message: str
    values: dict[str, object] = field(default_factory=dict)


class Diagnostics:
    """
    Publish the status of a node's tasks.

    The task ``parameters`` is there if the node, whose parameters have been declared, was given
    something that it does not use.
    """

    def __init__(self, node: Node):
        self._node = node
        self._tasks: dict[str, Callable[[], Status]] = {}
        texts = unused(node, sys.argv)
        if texts:
            self.add('parameters', lambda: Status(WARN, '; '.join(texts)))
        self._publisher = qos.publisher(node, topics.DIAGNOSTICS)
        self._timer = node.create_timer(PERIOD_S, self.update,
                                        clock=Clock(clock_type=ClockType.STEADY_TIME))

    def add(self, name: str, task: Callable[[], Status]) -> None:
        """Add a task; its status is called ``<node>: <name>``."""
        self._tasks[name] = task

    def update(self) -> None:
        """Publish every task's status now."""
        message = DiagnosticArray()
        message.header.stamp = self._node.get_clock().now().to_msg()
        node_name = self._node.get_fully_qualified_name().lstrip('/')
        for name, task in self._tasks.items():
            status = task()
            message.status.append(DiagnosticStatus(
                name=f'{node_name}: {name}', hardware_id='none',
                level=status.level, message=status.message, values=key_values(status.values)))
        self._publisher.publish(message)


def key_values(values: Mapping[str, object]) -> list[KeyValue]:
    """Return values by name as messages."""
    return [KeyValue(key=key, value=str(value)) for key, value in values.items()]


class Complaints:
    """What is wrong with a node's inputs, each until that input is good again."""

    def __init__(self, node: Node, diagnostics: Diagnostics):
        self._logger = node.get_logger()
        self._diagnostics = diagnostics
        self._errors: dict[str, DFPlannerError] = {}
        self._logged_at_s: dict[tuple[str, str], float] = {}
        self._published_at_s = -LEAST_PERIOD_S

    def __iter__(self):
        """Iterate over the complaints in words, each beginning with its error code."""
        return iter([f'{error.code}: {error}' for error in self._errors.values()])

    def add(self, what: str, error: DFPlannerError) -> None:
        """Complain about an input, in place of a former complaint about it."""
        is_new = what not in self._errors or self._errors[what].code != error.code
        self._errors[what] = error
        now_s = time.monotonic()
        if now_s - self._logged_at_s.get((what, error.code), -REPEAT_S) >= REPEAT_S:
            self._logged_at_s[what, error.code] = now_s
            self._logger.error(f'{error.code}: {error}')
        if is_new:
            self._publish()

    def clear(self, what: str) -> None:
        """Stop complaining about an input."""
        if self._errors.pop(what, None) is not None:
            self._publish()

    def clear_all(self) -> None:
        """Stop complaining about anything."""
        self._errors.clear()

    def status(self) -> Status:
        """Return the status of the inputs."""
        refused = list(self)
        if refused:
            return Status(WARN, 'refused ' + '; '.join(refused))
        return Status(OK, 'all inputs accepted')

    def _publish(self) -> None:
        """Publish a change, unless the last one was less than LEAST_PERIOD_S ago."""
        now_s = time.monotonic()
        if now_s - self._published_at_s >= LEAST_PERIOD_S:
            self._published_at_s = now_s
            self._diagnostics.update()


def guarded(callback: Callable, what: str, complaints: Complaints) -> Callable:
    """
    Return a subscription's callback whose typed errors become complaints.

    :param what: names the input; the complaint ends with its next good message.
    """
    def call(message):
        try:
            callback(message)
        except DFPlannerError as error:
            complaints.add(what, error)
        else:
            complaints.clear(what)
    return call
