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

"""How every node process runs and ends."""

from collections.abc import Callable
import signal
import time

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.signals import uninstall_signal_handlers

from df_planner.errors import DFPlannerError

INTERRUPT_S = 0.5  # in which rclpy shuts down after a signal


def run_node(make_node: Callable[[], Node], args: list[str] | None = None,
             work: Callable[[Node], int | None] = rclpy.spin) -> int:
    """
    Spin a node until SIGINT or SIGTERM and return the exit code of the process.

    A node's ``start()`` is called before spinning and its ``close()`` at the end, where it has
    them. A typed error, such as bad parameters, ends the process with one line and exit code 1.

    :param work: what to do instead of spinning; it may return another exit code.
    """
    # On a signal, rclpy shuts its context down, which ends the work in an orderly way. Python's
    # KeyboardInterrupt besides it could come anywhere, also between two lines of rclpy.
    signal.signal(signal.SIGINT, lambda number, frame: None)
    rclpy.init(args=args)
    node = None
    try:
        node = make_node()
        getattr(node, 'start', lambda: None)()
        return work(node) or 0
    except DFPlannerError as error:
        rclpy.logging.get_logger('df_planner').fatal(f'{error.code}: {error}')
        return 1
    except (KeyboardInterrupt, ExternalShutdownException):
        return 0
    except RuntimeError:  # rclpy's, if the signal came while a message was published or taken
        end_s = time.monotonic() + INTERRUPT_S
        while rclpy.ok():
            if time.monotonic() > end_s:
                raise
            time.sleep(0.01)
        return 0
    finally:
        _settle_signals()
        if node is not None:
            getattr(node, 'close', lambda: None)()
            node.destroy_node()
        rclpy.try_shutdown()


def signal_watch() -> Callable[[], bool]:
    """
    Let SIGINT and SIGTERM shut nothing down any more; return what tells whether one has come.

    For nodes that have something to say at their end, which takes a context.
    """
    came: list[int] = []
    uninstall_signal_handlers()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: came.append(number))
    return lambda: bool(came)


def _settle_signals() -> None:
    """
    Wait until rclpy's thread is done with a signal that has come, and ignore more of them.

    While that thread shuts down the context, to destroy a node can crash the process.
    """
    uninstall_signal_handlers()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
