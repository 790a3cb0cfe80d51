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
Drive a simulated robot around with an unsteady hand, for a log: the stand-in for a person.

    python docs/drive_around.py diff_drive office.yaml 600    # seconds of the robot's time

The way-point controller of the simulator drives from random goal to random goal.
"""

import math
import sys

from nav_msgs.msg import Odometry
import numpy as np
import rclpy
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data

from df_planner.ros import topics
from df_planner.ros.conversions import MapAxes
from df_planner.ros.robots.kinds import robot_messages
from df_planner.sim.map_place import load_place
from df_planner.sim.robots import simulated_robot

HAND_STD, HAND_S = 0.15, 0.5  # noise on the commands, as a share of their limits; how slow it is


class DriveAround(Node):
    """Answer every odometry with a command."""

    def __init__(self, robot: str, place: str, seconds: str):
        super().__init__('drive_around')
        self._seconds, self._rng = float(seconds), np.random.default_rng(0)
        self._place, self._robot = load_place(place), simulated_robot(robot)
        signals = self._robot.signals
        self._messages = robot_messages(robot, MapAxes(signals.observation_to_map))
        self._controller = self._robot.controller(self._place, self._rng)
        self._limits, self._noise = np.array(signals.action_limits), np.zeros(signals.action_size)
        self._keep = math.exp(-signals.dt_s / HAND_S)
        self._goal = self._began_s = None
        self._commands = self.create_publisher(
            self._messages.command_type, topics.COMMANDS[robot].name, 10)
        self.create_subscription(Odometry, 'odom', self._on_odometry, qos_profile_sensor_data)

    def _on_odometry(self, msg: Odometry) -> None:
        now_s = msg.header.stamp.sec + msg.header.stamp.nanosec / 1e9
        self._began_s = self._began_s or now_s
        if now_s - self._began_s > self._seconds:
            raise SystemExit
        state, reached = self._messages.state(msg, (msg.header.frame_id,)), self._goal is None
        if not reached:
            *action, reached = self._controller.action(state, self._goal)
        if reached:
            self._goal = self._robot.from_maze(self._place.draw_anywhere(self._rng))
            *action, _ = self._controller.action(state, self._goal)
        fresh = HAND_STD * self._limits * self._rng.standard_normal(len(self._limits))
        self._noise = self._keep * self._noise + math.sqrt(1.0 - self._keep ** 2) * fresh
        self._commands.publish(self._messages.command(
            np.clip(action + self._noise, -self._limits, self._limits), msg.header.stamp,
            'map', 'base_link'))


if __name__ == '__main__':
    rclpy.init()
    rclpy.spin(DriveAround(*sys.argv[1:]))
