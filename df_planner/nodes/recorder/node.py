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
Record a run into an MCAP bag, for machines without ``ros2 bag``.

The parameters of the recorder node.

Record what matters into an MCAP bag, where there is no rosbag2 that could.

Which topics stands in ``df_planner/ros/topics.py``. Messages are neither unpacked nor changed.
``recorder/ready`` (latched) says when it has found what a benchmark should not start without.
SIGINT and SIGTERM end the recording: what has arrived is written and the bag is closed. Killed
outright, the file lacks its index; ``mcap recover`` brings back all but the last megabyte.
"""

from collections import Counter
from dataclasses import dataclass
from functools import partial
import importlib
from pathlib import Path
import sys
import time

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.subscription import Subscription
from std_msgs.msg import Bool

from df_planner.nodes.recorder.bag_writer import BagWriter
from df_planner.nodes.recorder.bag_writer import offered_qos
from df_planner.ros import qos
from df_planner.ros.parameters import declare
from df_planner.ros.parameters import parameter
from df_planner.ros.run import IsStopped
from df_planner.ros.run import run_node
from df_planner.ros.run import SPIN_S
from df_planner.ros.topics import recorded_topics
from df_planner.ros.topics import RECORDER_READY
from df_planner.ros.topics import ROBOTS
from df_planner.ros.topics import Topic


@dataclass(frozen=True)
class RecorderParameters:
    """Where the bag goes, and what of."""

    bag: str = parameter('bag', 'Folder of the bag; it must not exist yet.', read_only=True)
    robot: str = parameter('point', 'Kind of the robot: its commands are recorded.',
                           choices=ROBOTS, read_only=True)


DRAIN_S = 2.0  # launch waits 5 s between SIGINT and SIGTERM


class Recorder(Node):
    """Write every message of the recorded topics."""

    def __init__(self):
        super().__init__('recorder')
        self.parameters = declare(self, RecorderParameters)
        self._writer = BagWriter(Path(self.parameters.bag))
        self._lost: Counter[str] = Counter()
        topics = recorded_topics(self.parameters.robot)
        self._awaited = {(topic.name, topic.awaited) for topic in topics if topic.awaited}
        self._ready = self.create_publisher(Bool, RECORDER_READY, qos.LATCHED_QOS)
        self._subscriptions_by_name: dict[str, Subscription] = {}
        for topic in topics:
            self._listen(topic, topic.reliable)
        self.get_logger().info(f'Recording {len(self._subscriptions_by_name)} topics into '
                               f'{self._writer.folder}')

    def run(self, is_stopped: IsStopped) -> int:
        """Record until a signal has come, then what has arrived by then."""
        executor = SingleThreadedExecutor()
        executor.add_node(self)
        while not is_stopped():
            executor.spin_once(timeout_sec=SPIN_S)
        last_s = stopped_s = time.monotonic()
        while last_s - stopped_s < DRAIN_S and time.monotonic() - last_s < SPIN_S:
            before = self._writer.num_messages
            executor.spin_once(timeout_sec=SPIN_S)
            if self._writer.num_messages > before:
                last_s = time.monotonic()
        return 0

    def close(self) -> None:
        """Make the bag whole."""
        self._writer.close()
        lost = ''.join(f', {count} lost of {name}' for name, count in self._lost.items())
        self.get_logger().info(f'{self._writer.num_messages} messages in {self._writer.folder}'
                               + lost)

    def _listen(self, topic: Topic, reliable: bool) -> None:
        package, _, name = topic.kind.split('/')
        try:
            message_type = getattr(importlib.import_module(f'{package}.msg'), name)
        except ImportError:
            self.get_logger().info(f'{topic.name} is not recorded: there is no {package} here')
            return
        resolved = self.resolve_topic_name(topic.name)
        events = SubscriptionEventCallbacks(
            incompatible_qos=lambda info: self._listen_to_less(topic),
            matched=lambda info: self._found(topic.name, 'publisher'),
            message_lost=lambda info: self._lost.update({resolved: info.total_count_change}))
        self._subscriptions_by_name[resolved] = self.create_subscription(
            message_type, resolved, partial(self._on_message, resolved, topic),
            qos.recording_qos(topic.latched, reliable), raw=True, event_callbacks=events)

    def _found(self, name: str, what: str) -> None:
        """Say when everything that is awaited has been found; discovery can take seconds."""
        if (name, what) in self._awaited:
            self._awaited.remove((name, what))
            if not self._awaited:
                self._ready.publish(Bool(data=True))
                self.get_logger().info('All that must be recorded is heard')

    def _listen_to_less(self, topic: Topic) -> None:
        """Take what a publisher offers that offers less than this graph's own."""
        resolved = self.resolve_topic_name(topic.name)
        self.get_logger().warning(f'{resolved} is offered as best effort or volatile: '
                                  'messages may be missing in the bag')
        self.destroy_subscription(self._subscriptions_by_name.pop(resolved))
        self._listen(Topic(topic.name, topic.kind), reliable=False)

    def _on_message(self, name: str, topic: Topic, data: bytes, info: dict) -> None:
        if name not in self._writer:
            self._writer.add(name, topic, [
                offered_qos(publisher.qos_profile)
                for publisher in self.get_publishers_info_by_topic(name)])
            self._found(topic.name, 'message')
        self._writer.write(name, info['received_timestamp'], data)


def main(args: list[str] | None = None) -> int:
    """Run the recorder until SIGINT or SIGTERM."""
    return run_node(Recorder, args, Recorder.run)


if __name__ == '__main__':
    sys.exit(main())
