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

"""How the process of a node runs and ends: executor, signals, exit code."""

from collections.abc import Callable
import signal

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from df_planner.errors import DFPlannerError

# The usual executor builds a wait set before every message, which costs more than the message.
# In rclpy 7.1 the events executor knows no guard conditions (so no ``Worker``), no callbacks that
# take the message info and no services that await; its ``spin_once`` waits only with a timeout.
try:
    from rclpy.experimental import EventsExecutor
except ImportError:  # rclpy before 7.1.4
    EventsExecutor = SingleThreadedExecutor

SPIN_S = 0.1  # how often an idle node looks for a signal

IsStopped = Callable[[], bool]


def spin(node: Node, is_stopped: IsStopped) -> None:
    """Serve messages until a signal arrives."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    while not is_stopped():
        executor.spin_once(timeout_sec=SPIN_S)


def run_node(make_node: Callable[[], Node], args: list[str] | None = None,
             work: Callable[[Node, IsStopped], int | None] = spin) -> int:
    """
    Spin a node until SIGINT or SIGTERM and return the exit code of the process.

    Calls the node's ``start()`` before spinning and its ``close()`` at the end, if it has them. A
    typed error, such as a bad parameter, ends the process with one line and exit code 1.

    :param work: replaces spinning; returns when its second argument tells that a signal arrived,
        and may return an exit code.
    """
    # rclpy's own handlers shut the context down in another thread, in the middle of anything, and
    # then the node can publish and log no more; a KeyboardInterrupt can come anywhere, too.
    arrived: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: arrived.append(number))
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    node = None
    try:
        node = make_node()
        getattr(node, 'start', lambda: None)()
        return work(node, lambda: bool(arrived)) or 0
    except DFPlannerError as error:
        rclpy.logging.get_logger('df_planner').fatal(f'{error.code}: {error}')
        return 1
    finally:
        if node is not None:
            getattr(node, 'close', lambda: None)()
            node.destroy_node()
        rclpy.try_shutdown()
        # Python gives up its handlers before it ends. Ctrl-C reaches a node of ros2 launch twice
        # where launch has no terminal; the second must not make a death of a clean end.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
