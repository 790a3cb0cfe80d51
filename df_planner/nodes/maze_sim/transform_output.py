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

"""The transforms of a robot whose odometry is exact, published where ``tf2_msgs`` is installed."""

from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node

from df_planner.ros.qos import LATCHED_QOS
from df_planner.ros.qos import TF_QOS
from df_planner.ros.rclpy_gaps import optional_type


class TransformOutput:
    """
    Publish map -> odom once (they are equal) and odom -> base_link with every odometry.

    :param wanted: without it, and without tf2_msgs, nothing is published.
    """

    def __init__(self, node: Node, map_frame: str, odom_frame: str, base_frame: str,
                 wanted: bool):
        self._publisher = None
        self._base_frame = base_frame
        kind = optional_type('tf2_msgs.msg', 'TFMessage', node, 'transforms on /tf') \
            if wanted else None
        if kind is None:
            return
        self._kind = kind
        self._publisher = node.create_publisher(kind, '/tf', TF_QOS)
        self._static_publisher = node.create_publisher(kind, '/tf_static', LATCHED_QOS)
        if map_frame != odom_frame:
            equal = TransformStamped(child_frame_id=odom_frame)
            equal.header.frame_id = map_frame
            equal.transform.rotation.w = 1.0
            self._static_publisher.publish(kind(transforms=[equal]))

    def publish(self, odom: Odometry) -> None:
        """Publish where the robot is."""
        if self._publisher is not None:
            self._publisher.publish(self._kind(
                transforms=[transform_from_odometry(odom, self._base_frame)]))


def transform_from_odometry(odom: Odometry, base_frame: str) -> TransformStamped:
    """Return the transform from the frame of the odometry to that of the robot."""
    found = TransformStamped(header=odom.header, child_frame_id=base_frame)
    at = odom.pose.pose.position
    move = found.transform.translation
    move.x, move.y, move.z = at.x, at.y, at.z
    found.transform.rotation = odom.pose.pose.orientation
    return found
