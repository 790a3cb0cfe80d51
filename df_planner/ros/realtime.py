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
Keep a control loop on time: the real-time scheduler where permitted, and no long collections.

As ros2_control does, a process asks for SCHED_FIFO and goes on without where the system refuses,
which on Linux is everybody but root and users with an ``rtprio`` limit.
"""

from collections.abc import Collection
import gc
import os
from pathlib import Path
import sys

from rclpy.node import Node

SWITCH_INTERVAL_S = 0.0005  # how long a thread of Python may keep others waiting
THREADS = Path('/proc/self/task')


def keep_on_time(node: Node, priority: int, others: Collection[int | None] = ()) -> str:
    """
    Prefer this process to others from now on; call it when all that stays has been created.

    :param priority: of SCHED_FIFO, 1 to 99; 0 leaves the scheduling as it is.
    :param others: native ids of threads that are no part of the control loop.
    :returns: in words, how the process is scheduled.
    """
    gc.collect()
    gc.freeze()  # what stays need not be looked through again and again: 20 ms at a time
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    if priority == 0:
        return 'time-shared'
    try:
        parameters = os.sched_param(priority)
        for thread in (int(path.name) for path in THREADS.iterdir()):
            if thread not in others:
                os.sched_setscheduler(thread, os.SCHED_FIFO, parameters)
    except (AttributeError, OSError) as error:  # no such scheduler here, or no permission
        node.get_logger().info(f'SCHED_FIFO {priority} refused ({error}): time-shared instead')
        return 'time-shared'
    return f'SCHED_FIFO {priority}'
