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
Simulated time that may stand still.

A node with ``use_sim_time`` takes its time from ``/clock``. While that stands, nothing that counts
by it would ever end. It stands rightly while the simulator says that it is paused, and in lockstep
while odometry arrives; else it is a fault, and time is counted by the wall clock.
"""

import time

from rclpy.clock import Clock
from rclpy.node import Node
from std_msgs.msg import Bool

from df_planner.driving.stamps import NS_PER_S
from df_planner.ros import qos
from df_planner.ros import topics

STANDS_S = 1.0  # wall time without a new time before a clock stands
SEEK_S = 5.0  # and without a first one: nodes need seconds to find each other
LONGEST_STEP_S = 0.5  # between readings; what is longer is a delay of this process


def simulated_s(clock: Clock) -> float | None:
    """Return the time by ``/clock``, 0 before its first message; None without use_sim_time."""
    return clock.now().nanoseconds / NS_PER_S if clock.ros_time_is_active else None


class PatienceClock:
    """
    Count seconds of waiting; read it at least twice a second.

    They are simulated seconds while ``/clock`` runs, else seconds of wall time.
    """

    def __init__(self, node: Node):
        self._clock = node.get_clock()
        self._now_s = 0.0
        self._read_s, self._clock_s = time.monotonic(), simulated_s(self._clock)
        self._stood_s = 0.0  # how long /clock has not changed
        self._is_paused = False
        qos.subscription(node, topics.PAUSED, self._take_paused)

    def now_s(self, may_stand: bool) -> float:
        """
        Return the seconds counted so far.

        :param may_stand: no time passes while ``/clock`` stands, as if it were paused.
        """
        read_s, clock_s = time.monotonic(), simulated_s(self._clock)
        step_s = read_s - self._read_s
        if clock_s is None or self._clock_s is None:
            self._now_s, self._stood_s = self._now_s + step_s, 0.0
        elif clock_s != self._clock_s:
            if self._clock_s > 0.0:  # else it is the first
                self._now_s += max(clock_s - self._clock_s, 0.0)
            self._stood_s = 0.0
        elif may_stand or self._is_paused:
            self._stood_s = 0.0
        else:
            self._stood_s += min(step_s, LONGEST_STEP_S)
            self._now_s += step_s if self._stood_s > STANDS_S else 0.0
        self._read_s, self._clock_s = read_s, clock_s
        return self._now_s

    @property
    def fault(self) -> str | None:
        """Return what was wrong with ``/clock`` at the latest reading, None if nothing was."""
        if self._stood_s <= (STANDS_S if self._clock_s else SEEK_S):
            return None
        if self._clock_s == 0.0:
            return 'use_sim_time is set, but nobody publishes /clock'
        return (f'/clock has stood still for {self._stood_s:.0f} s; a simulator that is paused '
                f'says so on {topics.PAUSED.name}')

    def _take_paused(self, msg: Bool) -> None:
        self._is_paused = msg.data
