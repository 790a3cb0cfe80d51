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
Write an MCAP bag in rosbag2's layout, as ``ros2 bag record -s mcap`` would.

Messages are written as they were sent; the bag describes their types and the QoS that was offered.
Memory is bounded: a chunk of a megabyte is compressed and written when it is full; only its index
entry stays.
"""

from collections.abc import Sequence
from pathlib import Path

from rclpy.duration import Duration
from rclpy.qos import QoSProfile
from rosbags.interfaces import Connection
from rosbags.interfaces import Qos
from rosbags.interfaces import QosDurability
from rosbags.interfaces import QosHistory
from rosbags.interfaces import QosLiveliness
from rosbags.interfaces import QosReliability
from rosbags.interfaces import QosTime
from rosbags.rosbag2 import CompressionFormat
from rosbags.rosbag2 import CompressionMode
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer
from rosbags.rosbag2 import WriterError
from rosbags.typesys import get_typestore
from rosbags.typesys import Stores

from df_planner.driving.stamps import NS_PER_S
from df_planner.errors import ConfigError
from df_planner.ros.topics import Topic

METADATA_VERSION = 9  # of Jazzy


def offered_qos(profile: QoSProfile) -> Qos:
    """Return a profile as rosbag2 writes it; both sides number the policies as rmw does."""
    return Qos(
        QosHistory(int(profile.history)), profile.depth,
        QosReliability(int(profile.reliability)), QosDurability(int(profile.durability)),
        _time(profile.deadline), _time(profile.lifespan),
        QosLiveliness(int(profile.liveliness)), _time(profile.liveliness_lease_duration),
        profile.avoid_ros_namespace_conventions)


def _time(duration: Duration) -> QosTime:
    return QosTime(*divmod(duration.nanoseconds, NS_PER_S))


class BagWriter:
    """A bag that is being written; only ``close`` makes it whole."""

    def __init__(self, folder: Path):
        """
        Create the folder and the file in it.

        :raises ConfigError: if the folder exists already: a bag is never overwritten.
        """
        self.folder = folder
        self.num_messages = 0
        self._typestore = get_typestore(Stores.ROS2_JAZZY)
        self._connections: dict[str, Connection] = {}
        try:
            self._writer = Writer(folder, version=METADATA_VERSION,
                                  storage_plugin=StoragePlugin.MCAP)
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
            self._writer.open()
        except WriterError as error:
            raise ConfigError(f'bag: {error} Choose another folder, or move this one.') from error

    def add(self, name: str, topic: Topic, offered: Sequence[Qos]) -> None:
        """
        Add a topic before its first message.

        :param name: as resolved, with the namespace.
        :param offered: the QoS of its publishers.
        """
        self._connections[name] = self._writer.add_connection(
            name, topic.kind, typestore=self._typestore, offered_qos_profiles=offered)

    def __contains__(self, name: str) -> bool:
        """Tell whether a topic was added."""
        return name in self._connections

    def write(self, name: str, time_ns: int, data: bytes) -> None:
        """
        Write a message of a topic.

        :param time_ns: when it was received, since the epoch.
        :param data: serialised, as it came.
        """
        self._writer.write(self._connections[name], time_ns, data)
        self.num_messages += 1

    def close(self) -> None:
        """Write what is pending, the index and metadata.yaml."""
        self._writer.close()
