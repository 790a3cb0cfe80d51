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
The life of a node's process: executor, signals, exit code.

The executor of nodes that handle thousands of messages a second.

How every node process runs and ends.
"""

from collections.abc import Callable
import signal

import rclpy
from rclpy.executors import Executor
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from df_planner.errors import DFPlannerError

try:
    from rclpy.experimental import EventsExecutor
except ImportError:  # rclpy before 7.1.4
    EventsExecutor = SingleThreadedExecutor


def events_executor() -> Executor:
    """
    Return an executor that is woken by each message, where rclpy has one, else the usual one.

    The usual one builds a set of all that it waits for before every message, which costs more than
    the message does. In rclpy 7.1 that of events has no guard conditions (so no ``Worker``), no
    callbacks that take the message info, no services that await something, and without a timeout
    its ``spin_once`` does not wait.
    """
    return EventsExecutor()


SPIN_S = 0.1  # how often a node that has nothing to do looks for a signal

IsStopped = Callable[[], bool]


def spin(node: Node, is_stopped: IsStopped) -> None:
    """Serve messages until a signal has come."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while not is_stopped():
        executor.spin_once(timeout_sec=SPIN_S)


def run_node(make_node: Callable[[], Node], args: list[str] | None = None,
             work: Callable[[Node, IsStopped], int | None] = spin) -> int:
    """
    Spin a node until SIGINT or SIGTERM and return the exit code of the process.

    A node's ``start()`` is called before spinning and its ``close()`` at the end, where it has
    them. A typed error, such as bad parameters, ends the process with one line and exit code 1.

    :param work: what to do instead of spinning, until the function it is given tells that a signal
        has come; it may return another exit code.
    """
    # rclpy's own handlers shut the context down in a thread of theirs, whatever the node is in the
    # middle of, after which it can say nothing more; a KeyboardInterrupt can come anywhere, too.
    came: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: came.append(number))
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    node = None
    try:
        node = make_node()
        getattr(node, 'start', lambda: None)()
        return work(node, lambda: bool(came)) or 0
    except DFPlannerError as error:
        rclpy.logging.get_logger('df_planner').fatal(f'{error.code}: {error}')
        return 1
    finally:
        if node is not None:
            getattr(node, 'close', lambda: None)()
            node.destroy_node()
        rclpy.try_shutdown()
