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
Diagnostics of a node, the complaints in them, and callbacks that complain instead of raising.

Diagnostics: named tasks on ``/diagnostics``, as ``diagnostic_updater`` would publish them.

Each task is a function that returns a Status. All are published together once a second, by a
steady clock that a paused simulation does not stop, and at once when ``update`` is called.

Inputs that a node refuses: answered in the log and in diagnostics, changing nothing.
"""

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
import time

from diagnostic_msgs.msg import DiagnosticArray
from diagnostic_msgs.msg import DiagnosticStatus
from diagnostic_msgs.msg import KeyValue
from rclpy.clock import Clock
from rclpy.clock import ClockType
from rclpy.node import Node

from df_planner.errors import DFPlannerError

OK = DiagnosticStatus.OK
WARN = DiagnosticStatus.WARN
ERROR = DiagnosticStatus.ERROR
LEAST_PERIOD_S = 0.1  # between messages about complaints, but for those of every second


@dataclass(frozen=True)
class Status:
    """One task's answer: a level, one sentence, and values by name."""

    level: bytes
    message: str
    values: dict[str, object] = field(default_factory=dict)


class Diagnostics:
    """Publish the status of a node's tasks."""

    def __init__(self, node: Node, period_s: float = 1.0):
        """Start publishing every ``period_s`` seconds of wall time."""
        self._node = node
        self._tasks: dict[str, Callable[[], Status]] = {}
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._timer = node.create_timer(period_s, self.update,
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
    """
    What is wrong with a node's inputs, each until that input is good again.

    The same complaint is logged at once, then at most every ``repeat_s`` seconds.
    """

    def __init__(self, node: Node, diagnostics: Diagnostics, repeat_s: float = 5.0):
        """Log with the node's logger and publish changes through its diagnostics."""
        self._logger = node.get_logger()
        self._diagnostics = diagnostics
        self._repeat_s = repeat_s
        self._errors: dict[str, DFPlannerError] = {}
        self._logged_at_s: dict[tuple[str, str], float] = {}
        self._told_at_s = -LEAST_PERIOD_S

    def __iter__(self):
        """Iterate over the complaints in words, each beginning with its error code."""
        return iter([f'{error.code}: {error}' for error in self._errors.values()])

    def add(self, what: str, error: DFPlannerError) -> None:
        """Complain about an input; a former complaint about it is forgotten."""
        news = what not in self._errors or self._errors[what].code != error.code
        self._errors[what] = error
        now_s = time.monotonic()
        if now_s - self._logged_at_s.get((what, error.code), -self._repeat_s) >= self._repeat_s:
            self._logged_at_s[what, error.code] = now_s
            self._logger.error(f'{error.code}: {error}')
        if news:
            self._tell()

    def clear(self, what: str) -> None:
        """Stop complaining about an input."""
        if self._errors.pop(what, None) is not None:
            self._tell()

    def clear_all(self) -> None:
        """Stop complaining about anything."""
        self._errors.clear()

    def _tell(self) -> None:
        """Publish a change at once, but not each one of an input that is good and bad by turns."""
        now_s = time.monotonic()
        if now_s - self._told_at_s >= LEAST_PERIOD_S:
            self._told_at_s = now_s
            self._diagnostics.update()


def guarded(callback: Callable, what: str, complaints: Complaints) -> Callable:
    """
    Return a subscription's callback whose typed errors become complaints.

    :param what: the input, in the words of the diagnostics; complaints about it end with its next
        good message.
    """
    def call(message):
        try:
            callback(message)
        except DFPlannerError as error:
            complaints.add(what, error)
        else:
            complaints.clear(what)
    return call


def inputs_status(complaints: Complaints) -> Status:
    """Return the diagnostics task on a node's inputs."""
    refused = list(complaints)
    if refused:
        return Status(WARN, 'refused ' + '; '.join(refused))
    return Status(OK, 'all inputs accepted')
