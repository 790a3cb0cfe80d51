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

``df_planner/ros/topics.py`` says which topics. Messages are neither unpacked nor changed.
``recorder/ready`` (latched) tells when the recorder hears what a benchmark should not start
without. SIGINT and SIGTERM end the recording: what has arrived is written and the bag is closed.
Killed outright, the file lacks its index; ``mcap recover`` restores all but the last megabyte.
"""

from collections import Counter
from dataclasses import dataclass
from dataclasses import replace
from functools import partial
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
from df_planner.ros import topics
from df_planner.ros.parameters import declare
from df_planner.ros.parameters import fixed
from df_planner.ros.run import IsStopped
from df_planner.ros.run import run_node
from df_planner.ros.run import SPIN_S
from df_planner.ros.shared import shared
from df_planner.ros.wiring import Wiring

DRAIN_S = 2.0  # launch waits 5 s between SIGINT and SIGTERM


@dataclass(frozen=True)
class RecorderParameters:
    """Where the bag goes, and of which robot it is."""

    bag: str = fixed('bag', 'Folder of the bag; it must not exist yet.')
    robot: str = shared('robot')


class Recorder(Node):
    """Write every message of the recorded topics."""

    def __init__(self):
        super().__init__('recorder')
        self.parameters = declare(self, RecorderParameters)
        self._writer = BagWriter(Path(self.parameters.bag))
        self._lost: Counter[str] = Counter()
        recorded = topics.recorded_topics(self.parameters.robot)
        self._awaited = {(topic.name, topic.awaited) for topic in recorded if topic.awaited}
        self._ready = qos.publisher(self, topics.RECORDER_READY)
        self._subscriptions_by_name: dict[str, Subscription] = {}
        for topic in recorded:
            self._listen(topic, topic.quality)
        self._wiring = Wiring(self)  # it logs
        self.get_logger().info(f'Recording {len(self._subscriptions_by_name)} topics into '
                               f'{self._writer.folder}')

    def run(self, is_stopped: IsStopped) -> int:
        """Record until a signal arrives, then write what has arrived by then."""
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

    def _listen(self, topic: topics.Topic, offered: topics.Quality) -> None:
        resolved = self.resolve_topic_name(topic.name)
        events = SubscriptionEventCallbacks(
            incompatible_qos=lambda info: self._listen_to_less(topic),
            matched=lambda info: self._found(topic.name, 'publisher'),
            message_lost=lambda info: self._lost.update({resolved: info.total_count_change}))
        try:
            self._subscriptions_by_name[resolved] = qos.subscription(
                self, topic, partial(self._on_message, resolved, topic),
                quality=replace(offered, depth=None), raw=True, event_callbacks=events)
        except ImportError:
            self.get_logger().info(f'{topic.name} is not recorded: {topic.kind} is not installed')

    def _found(self, name: str, what: str) -> None:
        """Publish that all awaited topics have been found; discovery can take seconds."""
        if (name, what) in self._awaited:
            self._awaited.remove((name, what))
            if not self._awaited:
                self._ready.publish(Bool(data=True))
                self.get_logger().info('All awaited topics are heard')

    def _listen_to_less(self, topic: topics.Topic) -> None:
        """Subscribe again, for a publisher that offers less than this graph's own."""
        resolved = self.resolve_topic_name(topic.name)
        self.get_logger().warning(f'{resolved} is offered as best effort or volatile: '
                                  'messages may be missing in the bag')
        self.destroy_subscription(self._subscriptions_by_name.pop(resolved))
        self._listen(topic, topics.SENSOR_DATA)

    def _on_message(self, name: str, topic: topics.Topic, data: bytes, info: dict) -> None:
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
