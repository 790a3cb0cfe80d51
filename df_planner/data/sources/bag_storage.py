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
The readers of rosbags for one file each, where they lose or refuse what can be read.

A topic that nobody asked for may have any encoding. An index or a statistic that a writer left out
is made up for by reading the messages. The order in which messages were written is told.
"""

from binascii import crc32
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from pathlib import Path
import struct
from urllib.parse import quote

import numpy as np
from rosbags.interfaces import Connection
from rosbags.rosbag2 import ReaderError
from rosbags.rosbag2 import storage_mcap
from rosbags.rosbag2.storage_mcap import ChunkInfo
from rosbags.rosbag2.storage_mcap import McapReader
from rosbags.rosbag2.storage_mcap import Schema
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Reader

DEFINED_BY = ('ros2msg', 'ros2idl', 'omgidl')  # schemas that rosbags knows
FOOTER_BYTES = 12  # of the end of a file, which its checksum does not cover: itself and a mark
MESSAGE_INDEX = 0x07
BLOCK = 10_000

# A schema may be binary, that of Protobuf for instance.
storage_mcap.read_string = lambda bio: storage_mcap.read_bytes(bio).decode(errors='replace')

Times = tuple[str, np.ndarray]  # of some messages of a topic (n,), ns


class _Schemas(dict[int, Schema]):
    """Schemas by number, those that are none of ROS without a definition."""

    def __setitem__(self, key: int, schema: Schema) -> None:
        known = schema.encoding in DEFINED_BY and schema.data.strip()
        super().__setitem__(key, schema if known else schema._replace(encoding='', data=''))


class McapFile(McapReader):
    """An MCAP file of any writer."""

    def __init__(self, path: Path):
        super().__init__(path)
        self.schemas = _Schemas()

    def in_file_order(self, connections: Collection[Connection]) -> Iterator[Times]:
        """Give the times of messages as they follow one another in the file."""
        if not self.chunks or any(map(_lacks_index, self.chunks)):
            yield from _in_blocks((connection.topic, time_ns) for connection, time_ns, _
                                  in self.messages_scan(connections))
            return
        numbers: dict[str, list[int]] = {}
        for connection in connections:
            numbers.setdefault(connection.topic, []).append(connection.id)
        for chunk in sorted(self.chunks, key=lambda chunk: chunk.chunk_start_offset):
            for topic, channels in numbers.items():
                entries = [self._index(chunk.message_index_offsets[channel])
                           for channel in channels if channel in chunk.message_index_offsets]
                if entries:
                    found = np.concatenate(entries)
                    yield topic, found[np.argsort(found[:, 1], kind='stable'), 0]

    def _open(self) -> None:
        super()._open()
        self._check_summary()
        assert self.statistics is not None
        told = self.statistics.message_count
        unindexed = [chunk for chunk in self.chunks if _lacks_index(chunk)]
        if unindexed or told != sum(connection.msgcount for connection in self.connections):
            self._count(told)
        for chunk in unindexed:
            chunk.channel_count.update(dict.fromkeys(self.channels, 1))

    def _check_summary(self) -> None:
        """Compare the summary with its checksum, if there is one."""
        assert self.bio is not None
        self.bio.seek(-FOOTER_BYTES - 16, 2)
        start, _, checksum = struct.unpack('<QQI', self.bio.read(20))
        if start and checksum:
            self.bio.seek(start)
            if crc32(self.bio.read()[:-FOOTER_BYTES]) != checksum:
                raise ReaderError('the checksum of its summary is wrong')

    def _count(self, told: int) -> None:
        """Count messages by reading them all, since index or statistics are incomplete."""
        self.meta_scan()
        found = self.statistics
        assert found is not None
        if found.message_count < told:
            raise ReaderError(f'{found.message_count} of {told} messages can be read')
        self.connections = [
            connection._replace(msgcount=found.channel_message_counts.get(connection.id, 0))
            for connection in self.connections]
        if found.message_count:
            self.metadata = self.metadata._replace(
                start_time=found.start_time, end_time=found.end_time + 1,
                duration=found.end_time + 1 - found.start_time,
                message_count=found.message_count)

    def _index(self, offset: int) -> np.ndarray:
        """Return times, ns, and places of the messages (n, 2) in an index of a chunk."""
        assert self.bio is not None
        self.bio.seek(offset)
        kind, _, _, size = struct.unpack('<BQHI', self.bio.read(15))
        if kind != MESSAGE_INDEX:
            raise ReaderError(f'there is no index of messages at byte {offset}')
        return np.frombuffer(self.bio.read(size), '<i8').reshape(-1, 2)


class SqliteFile(Sqlite3Reader):
    """An SQLite file in any folder."""

    def __init__(self, path: Path):
        super().__init__(Path(quote(str(path))))  # it becomes a part of a URI

    def in_file_order(self, connections: Collection[Connection]) -> Iterator[Times]:
        """Give the times of messages as they follow one another in the file."""
        assert self.dbconn is not None
        names = {connection.id: connection.topic for connection in connections}
        found = self.dbconn.execute(
            'SELECT topic_id, timestamp FROM messages WHERE topic_id IN '
            f'({",".join("?" * len(names))}) ORDER BY id', tuple(names))
        yield from _in_blocks((names[number], time_ns) for number, time_ns in found)


def _lacks_index(chunk: ChunkInfo) -> bool:
    return bool(chunk.message_end_time and not chunk.message_index_offsets)


def _in_blocks(times: Iterable[tuple[str, int]]) -> Iterator[Times]:
    """Collect the times of every topic."""
    waiting: dict[str, list[int]] = {}
    for topic, time_ns in times:
        of_topic = waiting.setdefault(topic, [])
        of_topic.append(time_ns)
        if len(of_topic) == BLOCK:
            yield topic, np.array(of_topic)
            of_topic.clear()
    for topic, of_topic in waiting.items():
        if of_topic:
            yield topic, np.array(of_topic)
