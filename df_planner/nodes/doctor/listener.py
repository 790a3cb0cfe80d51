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
The node that listens: it hears what the planner would hear, and reads it when it has ended.

Messages are kept as bytes with their time of receipt by the middleware, so that listening does not
bend the rates that it measures.
"""

from collections import Counter
from collections.abc import Collection
from collections.abc import Sequence
from dataclasses import replace
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.srv import GetState
from nav_msgs.msg import OccupancyGrid
from nav_msgs.msg import Odometry
import numpy as np
from rclpy.executors import SingleThreadedExecutor
from rclpy.logging import LoggingSeverity
from rclpy.node import Node
from rclpy.serialization import deserialize_message
from rclpy.topic_endpoint_info import TopicEndpointInfo
from rosgraph_msgs.msg import Clock

from df_planner.driving.stamps import NS_PER_S
from df_planner.errors import DFPlannerError
from df_planner.nodes.doctor.recording import ClockLog
from df_planner.nodes.doctor.recording import MapLog
from df_planner.nodes.doctor.recording import OdometryLog
from df_planner.ros import conversions
from df_planner.ros import qos
from df_planner.ros import topics
from df_planner.ros.maps import grid_map_from_message
from df_planner.ros.rclpy_gaps import read_parameters
from df_planner.ros.robots.messages import RobotMessages
from df_planner.ros.run import IsStopped
from df_planner.ros.topics import Topic

SPIN_S = 0.05
ANSWER_S = 3.0
# As reliable as the planner's, but none is dropped while this node is busy.
DEEP = 1000


class Listener(Node):
    """
    Hear odometry, map, clock and diagnostics.

    :ivar statuses: the newest diagnostics by name.
    """

    def __init__(self) -> None:
        super().__init__('doctor', enable_rosout=False, start_parameter_services=False)
        self.get_logger().set_level(LoggingSeverity.WARN)
        self.statuses: dict[str, DiagnosticStatus] = {}
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)
        self._heard: dict[str, list[tuple[float, bytes]]] = {}
        qos.subscription(self, topics.DIAGNOSTICS, self._on_diagnostics)

    def spin(self, seconds: float, is_stopped: IsStopped) -> None:
        """Serve messages for some time, or until stopped."""
        due_s = time.monotonic() + seconds
        while not is_stopped() and (left_s := due_s - time.monotonic()) > 0.0:
            self._executor.spin_once(timeout_sec=min(SPIN_S, left_s))

    def parameters_of(self, node: str, names: Sequence[str]) -> dict[str, Any]:
        """Return parameters of a running node by name; empty if it does not answer."""
        values = read_parameters(self, self._executor, node, names)
        return {name: value if isinstance(value, (bool, int, float, str)) else tuple(value)
                for name, value in values.items()}

    def state_of(self, node: str) -> str:
        """Return the lifecycle state of a running node; empty if it does not answer."""
        client = self.create_client(GetState, f'{node}/get_state')
        due_s = time.monotonic() + ANSWER_S
        while (left_s := due_s - time.monotonic()) > 0.0:
            future = client.call_async(GetState.Request())  # an answer may be lost at first
            self._executor.spin_until_future_complete(future, timeout_sec=min(left_s, 1.0))
            if future.done():
                return future.result().current_state.label
        return ''

    # Listening

    def listen(self, odom: str, map_name: str) -> None:
        """Listen to topics of these full names, if not yet."""
        for topic, keep in ((replace(topics.ODOM, name=odom), None),
                            (replace(topics.MAP, name=map_name), 1), (topics.CLOCK, None)):
            if topic.name not in self._heard:
                self._keep(topic, keep)

    def _keep(self, topic: Topic, keep: int | None) -> None:
        heard = self._heard[topic.name] = []
        quality = topic.heard or topic.quality

        def take(data: bytes, info: dict[str, Any]) -> None:
            heard.append((info['received_timestamp'] / NS_PER_S, data))
            if keep is not None:
                del heard[:-keep]
        qos.subscription(self, topic, take, raw=True,
                         quality=quality if quality.latched else replace(quality, depth=DEEP))

    def count(self, name: str) -> int:
        """Return how many messages of a topic are kept."""
        return len(self._heard.get(name, ()))

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        self.statuses.update((status.name, status) for status in msg.status)

    # Reading

    def clock_log(self) -> ClockLog:
        """Return what ``/clock`` said."""
        heard = self._heard[topics.CLOCK.name]
        return ClockLog(
            np.array([received_s for received_s, _ in heard]),
            np.array([conversions.stamp_to_ns(deserialize_message(data, Clock).clock)
                      for _, data in heard], np.int64))

    def odometry_log(self, name: str, readings: dict[str, tuple[RobotMessages, Collection[str]]]
                     ) -> OdometryLog:
        """
        Return the odometry of a topic, read as the nodes read it.

        :param readings: by node its messages and the frames it takes; the planner is first.
        """
        refused: Counter[tuple[str, str]] = Counter()
        refusals: dict[tuple[str, str], str] = {}
        numbers: dict[str, list] = {name: [] for name in (
            'received_s', 'stamps_ns', 'positions', 'rotations', 'twists', 'velocities')}
        frames = []
        for received_s, data in self._heard[name]:
            msg = deserialize_message(data, Odometry)
            read = []
            for node, (robot, allowed) in readings.items():
                try:
                    read.append(robot.axes.to_map(robot.state(msg, allowed)[2:4]))
                except DFPlannerError as error:
                    refused[node, error.code] += 1
                    refusals.setdefault((node, error.code), str(error))
                    read.append(np.full(2, np.nan))
            pose, twist = msg.pose.pose, msg.twist.twist.linear
            turn = pose.orientation
            for values, value in zip(numbers.values(), (
                    received_s, conversions.stamp_to_ns(msg.header.stamp),
                    (pose.position.x, pose.position.y), (turn.x, turn.y, turn.z, turn.w),
                    (twist.x, twist.y), read[0])):
                values.append(value)
            frames.append((msg.header.frame_id, msg.child_frame_id))
        arrays = {name: np.array(values, np.int64 if name == 'stamps_ns' else float)
                  for name, values in numbers.items()}
        return OdometryLog(**arrays, frames=tuple(frames), refused=refused, refusals=refusals)

    def map_log(self, name: str, robot: RobotMessages, frame_id: str, occupied_threshold: int
                ) -> MapLog | None:
        """Return the newest map as the planner reads it, None if none arrived."""
        if not self._heard[name]:
            return None
        msg = deserialize_message(self._heard[name][-1][1], OccupancyGrid)
        try:
            grid = grid_map_from_message(msg, robot.axes, frame_id, occupied_threshold)
        except DFPlannerError as error:
            return MapLog(msg.header.frame_id, None, None, f'{error.code}: {error}')
        cells = np.array(msg.data, np.int8).reshape(grid.occupied.shape)
        return MapLog(msg.header.frame_id, grid, cells < 0)

    # The graph

    def others(self) -> tuple[str, ...]:
        """Return the full names of the other nodes."""
        nodes = {f'{space.rstrip("/")}/{name}' for name, space
                 in self.get_node_names_and_namespaces()}
        return tuple(sorted(nodes - {self.get_fully_qualified_name()}))

    def publishers(self, name: str) -> list[str]:
        """Return the full names of the nodes that publish a topic."""
        return self._nodes_of(self.get_publishers_info_by_topic(name))

    def subscribers(self, name: str) -> list[str]:
        """Return the full names of the other nodes that subscribe to a topic."""
        return self._nodes_of(self.get_subscriptions_info_by_topic(name))

    def _nodes_of(self, ends: Sequence[TopicEndpointInfo]) -> list[str]:
        names = {f'{end.node_namespace.rstrip("/")}/{end.node_name}' for end in ends}
        return sorted(names - {self.get_fully_qualified_name()})

    def names_of(self, node: str, names: dict[str, str]) -> dict[str, str]:
        """
        Return the names of topics with those that a running node has opened, by their types.

        :param node: full name.
        :param names: by the names of the rows of ``topics.py``, as they would be.
        """
        space, _, short = node.rpartition('/')
        opened = [*self.get_subscriber_names_and_types_by_node(short, space or '/'),
                  *self.get_publisher_names_and_types_by_node(short, space or '/')]
        found = dict(names)
        for topic in (topics.ODOM, topics.MAP, *topics.COMMANDS.values()):
            own = [name for name, kinds in opened if {topic.kind, topic.headless} & set(kinds)]
            if len(own) == 1:
                found[topic.name] = own[0]
        return found
