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
Keep messages and control on time: the real-time scheduler where permitted, no long collections.

As ros2_control does, a process asks for SCHED_FIFO and goes on without it where the system
refuses: on Linux it permits root, and users with an ``rtprio`` limit. Every process of the graph
asks, not the follower alone: Fast DDS locks its shared memory between processes, and a process
that is suspended while it holds a lock blocks all others.
"""

from collections.abc import Collection
import gc
import os
from pathlib import Path
import sys

from rclpy.node import Node

SWITCH_INTERVAL_S = 0.0005  # how long a thread of Python may block others
THREADS = Path('/proc/self/task')
MIDDLEWARE = 'dds.'  # what the names of the threads of Fast DDS begin with
LOWEST = 1


def keep_on_time(node: Node, priority: int, helpers: Collection[int | None] = ()) -> str:
    """
    Give the main thread and those of the middleware a real-time priority.

    Call it from the main thread, after everything permanent has been created. Threads started
    later are time-shared.

    :param priority: of SCHED_FIFO, 1 to 99; 0 leaves the scheduling as it is.
    :param helpers: native ids of threads that hold the interpreter's lock at times, and so must
        not be suspended either: they get the lowest priority.
    :returns: how the process is scheduled, in words.
    """
    gc.collect()
    gc.freeze()  # permanent objects need no scan, which takes 20 ms each time
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    if priority == 0:
        return 'time-shared'
    try:
        policy = os.SCHED_FIFO | os.SCHED_RESET_ON_FORK
        for path in THREADS.iterdir():
            thread, name = int(path.name), (path / 'comm').read_text(encoding='utf-8')
            if thread == os.getpid() or name.startswith(MIDDLEWARE):
                os.sched_setscheduler(thread, policy, os.sched_param(priority))
            elif thread in helpers:
                os.sched_setscheduler(thread, policy, os.sched_param(LOWEST))
    except (AttributeError, OSError) as error:  # no such scheduler here, or no permission
        node.get_logger().info(f'SCHED_FIFO {priority} refused ({error}): running time-shared')
        return 'time-shared'
    return f'SCHED_FIFO {priority}'
