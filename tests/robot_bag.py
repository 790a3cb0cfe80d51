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

"""Write bags of robots whose motion is known at every moment, without ROS."""

import math
from pathlib import Path

from drive_bag import BEGIN_NS
from drive_bag import header
from drive_bag import make
from drive_bag import NS
from drive_bag import point
from drive_bag import STORE
import numpy as np
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer

ODOM, WRENCH = 'nav_msgs/msg/Odometry', 'geometry_msgs/msg/WrenchStamped'
TWIST, TWIST_STAMPED = 'geometry_msgs/msg/Twist', 'geometry_msgs/msg/TwistStamped'
STAMP_S = 5.0  # of the first message; it is received at BEGIN_NS

Message = tuple[float, str, object]  # received so many s after the first, topic, message


def odometry(time_s, x, y, yaw=0.0, forward=0.0, left=0.0):
    """Return odometry as REP 105 has it: the twist in the axes of the robot."""
    turn = make('geometry_msgs/msg/Quaternion', z=math.sin(yaw / 2), w=math.cos(yaw / 2))
    pose = make('geometry_msgs/msg/Pose', position=point(x, y), orientation=turn)
    twist = make('geometry_msgs/msg/Twist', linear=point(forward, left, 'Vector3'))
    covariance = np.zeros(36)
    return make(ODOM, header=header(time_s, 'odom'), child_frame_id='base_link',
                pose=make('geometry_msgs/msg/PoseWithCovariance', pose=pose,
                          covariance=covariance),
                twist=make('geometry_msgs/msg/TwistWithCovariance', twist=twist,
                           covariance=covariance))


def wrench(time_s, x, y):
    """Return a force."""
    return make(WRENCH, header=header(time_s, 'map'),
                wrench=make('geometry_msgs/msg/Wrench', force=point(x, y, 'Vector3')))


def twist(linear, angular):
    """Return a command for a robot with two wheels."""
    return make(TWIST, linear=point(linear, 0.0, 'Vector3'),
                angular=make('geometry_msgs/msg/Vector3', z=float(angular)))


def ball(num_steps, dt_s=0.01):
    """Return messages of a ball that swings along both axes, a force per odometry."""
    messages: list[Message] = []
    for step in range(num_steps):
        t = step * dt_s
        x, y, vx, vy, fx, fy = ball_at(t)
        messages += [(t, 'odom', odometry(STAMP_S + t, x, y, 0.0, vx, vy)),
                     (t + 0.002, 'cmd_wrench', wrench(STAMP_S + t, 100.0 * fx, 100.0 * fy))]
    return messages


def ball_at(t):
    """Return position, velocity and force / 100 N in the map frame."""
    return (3.0 + math.sin(t), -3.0 - math.cos(2.0 * t), math.cos(t), 2.0 * math.sin(2.0 * t),
            0.9 * math.sin(3.0 * t), 0.5 * math.cos(t))


def circle(num_steps, dt_s=0.02, radius_m=1.0, turn_rps=0.5, stamped=False):
    """Return messages of a robot that drives in a circle, its twist every fifth odometry."""
    messages: list[Message] = []
    for step in range(num_steps):
        t = step * dt_s
        yaw = turn_rps * t
        x, y = radius_m * math.sin(yaw), radius_m * (1.0 - math.cos(yaw))
        messages.append((t, 'odom', odometry(STAMP_S + t, x, y, yaw, radius_m * turn_rps)))
        if step % 5 == 0:
            command = twist(radius_m * turn_rps, turn_rps)
            if stamped:
                command = make(TWIST_STAMPED, header=header(STAMP_S + t, 'base_link'),
                               twist=command)
            messages.append((t + 0.001, 'cmd_vel', command))
    return messages


def write_bag(path: Path, messages: list[Message], namespace: str = '',
              plugin: StoragePlugin = StoragePlugin.MCAP, also: dict[str, str] = {}) -> Path:
    """
    Write messages into a bag and return its folder.

    :param also: further topics, without messages, and their types.
    """
    kinds = {name: message.__msgtype__ for _, name, message in messages} | also
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        connections = {name: writer.add_connection(f'{namespace}/{name}', kind, typestore=STORE)
                       for name, kind in kinds.items()}
        for time_s, name, message in sorted(messages, key=lambda message: message[0]):
            writer.write(connections[name], BEGIN_NS + round(time_s * NS),
                         STORE.serialize_cdr(message, kinds[name]))
    return path
