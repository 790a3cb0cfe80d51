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
The independent observer of the soak test: a process that only listens.

    python -m soak.observer --ros-args -p journal:=observed.jsonl

Every second it appends a line to its journal: what it heard, how fast commands came, and every
unsafe command. What it hears is judged in the order in which it was published, some seconds later,
so that a late message is no error. Nothing is lost when it is stopped.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
import json
from pathlib import Path
import sys
import time

from diagnostic_msgs.msg import DiagnosticArray
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import WrenchStamped
from nav_msgs.msg import Odometry
from rclpy.clock import Clock
from rclpy.clock import ClockType
from rclpy.node import Node
from soak.checks import CommandCheck
from soak.checks import Limits
from soak.hands import is_forged
from std_msgs.msg import Bool
from std_msgs.msg import Float64

from df_planner.errors import DFPlannerError
from df_planner.ros import qos
from df_planner.ros import topics
from df_planner.ros.conversions import ForceScale
from df_planner.ros.conversions import MapAxes
from df_planner.ros.conversions import stamp_to_ns
from df_planner.ros.robots.point import PointRobot
from df_planner.ros.run import run_node
from df_planner.ros.trajectory_cdr import rows_from_bytes

ROBOT = PointRobot(MapAxes((1.0, 0.0, 0.0, 1.0)), ForceScale(1.0, 1.0))  # messages as they are
DT_S = 0.01
RECENT = 400  # messages of odometry whose time of publication is remembered
ABOUT_SPEED = ('ticks', 'inference')  # statuses that say how fast the machine is
PATIENCE_NS = 5 * 10**9  # within which every message has arrived


class SoakObserver(Node):
    """Listen, judge and write down."""

    def __init__(self):
        super().__init__('soak_observer')
        values = {name: self.declare_parameter(name, getattr(Limits(), name)).value
                  for name in ('max_force_n', 'plan_timeout_s', 'odom_timeout_s')}
        self._file = open(Path(self.declare_parameter('journal', 'observed.jsonl').value), 'a',
                          encoding='utf-8')
        self._check = CommandCheck(Limits(**values))
        self._published_ns: dict[int, int] = {}
        self._order: deque[int] = deque()
        self._heard: list[tuple[int, Callable[[float], None]]] = []
        self._start_second()
        qos.subscription(self, topics.ODOM, self._on_odometry, quality=topics.RECORDING)
        qos.subscription(self, topics.CMD_WRENCH, self._on_command, quality=topics.RECORDING)
        # A new planner may have sent the follower a plan before it is found here.
        qos.subscription(self, topics.PLAN_TRAJECTORY, self._on_plan,
                         quality=replace(topics.PLANS, depth=None), raw=True)
        qos.subscription(self, topics.DIAGNOSTICS, self._on_diagnostics,
                         quality=topics.RECORDING)
        qos.subscription(self, topics.PLANNING_TIME, self._on_time)
        qos.subscription(self, topics.CONTACT, self._on_contact)
        self.create_timer(1.0, self._on_second, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def close(self) -> None:
        """Judge and write what is left."""
        self._judge(time.time_ns())
        self._end_second()
        self._file.close()

    def _on_second(self) -> None:
        self._judge(time.time_ns() - PATIENCE_NS)
        self._end_second()

    def _judge(self, until_ns: int) -> None:
        """Judge what was published until a time, in that order."""
        self._heard.sort(key=lambda item: item[0])
        while self._heard and self._heard[0][0] <= until_ns:
            published_ns, judge = self._heard.pop(0)
            judge(1e-9 * published_ns)

    def _start_second(self) -> None:
        self._odometry = self._commands = self._plans = self._empty_plans = self._contacts = 0
        self._peak_n = self._speed_m_s = 0.0
        self._latencies_ms: list[float] = []
        self._planning_s: list[float] = []

    def _end_second(self) -> None:
        self._write({
            'kind': 'second', 'odometry': self._odometry, 'commands': self._commands,
            'plans': self._plans, 'empty_plans': self._empty_plans, 'contacts': self._contacts,
            'peak_n': round(self._peak_n, 3), 'speed_m_s': round(self._speed_m_s, 3),
            'latencies_ms': self._latencies_ms, 'planning_s': self._planning_s})
        self._start_second()

    def _write(self, line: dict) -> None:
        self._file.write(json.dumps({'time': round(time.time(), 3), **line}) + '\n')
        self._file.flush()

    def _on_odometry(self, msg: Odometry, info: dict) -> None:
        if is_forged(msg):
            return
        velocity = msg.twist.twist.linear
        stamp_ns = stamp_to_ns(msg.header.stamp)
        self._heard.append((info['source_timestamp'], partial(
            self._check.odometry, stamp_ns, (velocity.x, velocity.y))))
        self._published_ns[stamp_ns] = info['source_timestamp']
        self._order.append(stamp_ns)
        if len(self._order) > RECENT:
            self._published_ns.pop(self._order.popleft(), None)
        self._odometry += 1
        self._speed_m_s = max(self._speed_m_s, abs(velocity.x), abs(velocity.y))

    def _on_plan(self, data: bytes, info: dict) -> None:
        try:
            rows = rows_from_bytes(data)
            plan = ROBOT.plan(rows, ('map',), DT_S)
        except DFPlannerError:
            return
        self._plans += plan is not None
        self._empty_plans += plan is None
        self._heard.append((info['source_timestamp'],
                            lambda _: self._check.plan(rows.stamp_ns, len(rows))))

    def _on_command(self, msg: WrenchStamped, info: dict) -> None:
        if is_forged(msg):
            return
        force, stamp_ns = (msg.wrench.force.x, msg.wrench.force.y), stamp_to_ns(msg.header.stamp)
        self._commands += 1
        self._peak_n = max(self._peak_n, *map(abs, force))
        published_ns = self._published_ns.pop(stamp_ns, None)
        if published_ns is not None:
            self._latencies_ms.append(round(1e-6 * (info['source_timestamp'] - published_ns), 3))
        self._heard.append((info['source_timestamp'],
                            partial(self._judge_command, stamp_ns, force)))

    def _judge_command(self, stamp_ns: int, force: tuple[float, float], wall_s: float) -> None:
        unsafe = self._check.command(stamp_ns, force, wall_s)
        if unsafe is not None:
            self._write({'kind': 'unsafe', 'published': round(wall_s, 3), 'what': unsafe})

    def _on_diagnostics(self, msg: DiagnosticArray, info: dict) -> None:
        for status in msg.status:
            if status.name.startswith(('planner', 'follower')) and not (
                    status.name.endswith(ABOUT_SPEED)):
                self._heard.append((info['source_timestamp'], partial(
                    self._judge_status, status.name, status.level == DiagnosticStatus.OK)))

    def _judge_status(self, name: str, is_ok: bool, wall_s: float) -> None:
        self._check.diagnostics(name, is_ok)

    def _on_time(self, msg: Float64) -> None:
        self._planning_s.append(round(msg.data, 4))

    def _on_contact(self, msg: Bool) -> None:
        self._contacts += msg.data


def main(args: list[str] | None = None) -> int:
    """Observe until SIGINT or SIGTERM."""
    return run_node(SoakObserver, args)


if __name__ == '__main__':
    sys.exit(main())
