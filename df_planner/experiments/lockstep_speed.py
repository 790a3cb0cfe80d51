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
How many ticks per second the simulator node makes in lockstep.

    python -m df_planner.experiments.lockstep_speed --maze large --seconds 5 --out speed.json

Starts maze_sim in a process of its own and answers each of its odometry messages at once, as a
follower would that has nothing to compute.
"""

import argparse
import json
from pathlib import Path
import subprocess
import sys
import time

from geometry_msgs.msg import WrenchStamped
from nav_msgs.msg import Odometry
import rclpy
from rclpy.node import Node

from df_planner.evaluation.machine import cpu_seconds
from df_planner.ros import qos
from df_planner.ros.run import events_executor

STARTUP_TIMEOUT_S = 60.0
STALL_TIMEOUT_S = 10.0
WARM_UP_TICKS = 100


class Echo(Node):
    """Answer odometry with no force, stamped as the odometry."""

    def __init__(self):
        super().__init__('lockstep_speed')
        self.ticks = 0
        self._stamp = None
        self._wrench = WrenchStamped()
        self._wrench.header.frame_id = 'map'
        self._publisher = self.create_publisher(WrenchStamped, 'cmd_wrench', qos.LATEST_QOS)
        self.create_subscription(Odometry, 'odom', self._answer, qos.LATEST_QOS)

    def _answer(self, msg: Odometry) -> None:
        if msg.header.stamp != self._stamp:  # the simulator repeats itself if it waits for long
            self._stamp = msg.header.stamp
            self.ticks += 1
        self._wrench.header.stamp = msg.header.stamp
        self._publisher.publish(self._wrench)


def measure(maze: str, seconds: float) -> dict:
    """
    Return the ``ticks`` made in so many ``seconds``, with the processor time of the simulator.

    :raises RuntimeError: if they stop.
    """
    rclpy.init()
    simulator = subprocess.Popen([
        sys.executable, '-m', 'df_planner.nodes.maze_sim.node', '--ros-args',
        '-p', f'maze:={maze}',
        '-p', 'lockstep:=true', '--log-level', 'warn'])
    try:
        node, executor = Echo(), events_executor()
        executor.add_node(node)

        def spin_until(ticks: float, end_s: float) -> None:
            stalled_s = time.monotonic() + STARTUP_TIMEOUT_S
            while node.ticks < ticks and time.monotonic() < end_s:
                before = node.ticks
                executor.spin_once(timeout_sec=0.1)
                if node.ticks > before:
                    stalled_s = time.monotonic() + STALL_TIMEOUT_S
                elif simulator.poll() is not None or time.monotonic() > stalled_s:
                    raise RuntimeError(f'maze_sim stopped after {node.ticks} ticks')

        spin_until(WARM_UP_TICKS, float('inf'))
        first, cpu_s, started = node.ticks, cpu_seconds(simulator.pid), time.monotonic()
        spin_until(float('inf'), started + seconds)
        return {'ticks': node.ticks - first, 'seconds': time.monotonic() - started,
                'cpu_seconds': cpu_seconds(simulator.pid) - cpu_s}
    finally:
        simulator.terminate()
        simulator.wait()
        rclpy.try_shutdown()


def main() -> int:
    """Measure and write the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('--maze', default='medium')
    parser.add_argument('--seconds', type=float, default=5.0)
    parser.add_argument('--out', type=Path, required=True)
    arguments = parser.parse_args()
    try:
        result = measure(arguments.maze, arguments.seconds)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    arguments.out.write_text(json.dumps(result), encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
