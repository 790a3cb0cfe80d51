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
Bags, MCAP or SQLite, of rosbag2 or of this package's recorder, read without ROS.

Either all messages of a topic are read, in the order in which they were received, or a BagError
says why not.
"""

from collections import Counter
from collections.abc import Collection
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import TYPE_CHECKING

import numpy as np

from df_planner.data.sources.bag_files import bag_files
from df_planner.data.sources.bag_files import BagFiles
from df_planner.errors import BagError
from df_planner.files import placeholder

if TYPE_CHECKING:
    from rosbags.interfaces import Connection
    from rosbags.typesys.store import Typestore

    from df_planner.data.sources.bag_storage import McapFile
    from df_planner.data.sources.bag_storage import SqliteFile

NS_PER_S = 1_000_000_000
TOLERANCE_NS = 10_000_000  # messages of a topic may be written in another order within this
IDL_MARK = '=' * 80 + '\n'
RESCUE = {'.mcap': '`mcap recover` saves', '.db3': '`sqlite3 FILE .recover` saves'}


@dataclass(frozen=True)
class Topic:
    """
    A topic of a bag, of all its publishers.

    :param kind: the type of its messages, as in ``nav_msgs/msg/Odometry``.
    :param count: how many messages the bag says to have.
    :param encoding: of the messages; ``cdr`` can be read.
    """

    name: str
    kind: str
    count: int
    encoding: str = 'cdr'


class Bag:
    """
    An open bag.

    :ivar topics: of the bag, by name.
    :ivar duration_ns: from the first to the last message.
    """

    def __init__(self, path: Path, files: BagFiles, storages: 'list[McapFile | SqliteFile]'):
        self._path = path
        self._files = files
        self._storages = storages
        self._stores: dict[Topic, Typestore] = {}
        counts: Counter[tuple[str, str, str]] = Counter()
        counts.update(dict.fromkeys(files.counts, 0))
        for storage in storages:
            for connection in storage.connections:
                counts[connection.topic, connection.msgtype, _encoding(connection)] += (
                    connection.msgcount)
        self.topics = [Topic(name, kind, max(count, files.counts.get((name, kind, encoding), 0)),
                             encoding)
                       for (name, kind, encoding), count in sorted(counts.items())]
        spans = [storage.metadata for storage in storages if storage.metadata.message_count]
        self.duration_ns = (max(span.end_time for span in spans)
                            - min(span.start_time for span in spans) if spans else 0)

    def definitions(self, topic: Topic) -> dict:
        """
        Return what messages of a topic consist of: ``fielddefs`` of a type store of rosbags.

        :raises BagError: if they cannot be read.
        """
        return self._store(topic).fielddefs

    def messages(self, topics: Collection[Topic]) -> Iterator[tuple[Topic, int, Any]]:
        """
        Give topic, time of reception in ns and message, in the order of that time.

        :raises BagError: if not all of them can be read, or if the time starts over.
        """
        stores = {topic: self._store(topic) for topic in topics}
        self._check_order(topics)
        counts: Counter[Topic] = Counter()
        for storage, file in zip(self._storages, self._files.paths):
            by_number = {connection.id: topic for topic in topics
                         for connection in _connections(storage, topic)}
            chosen = [c for c in storage.connections if c.id in by_number]
            if not chosen:
                continue
            for connection, received_ns, data in _guarded(self._path, file,
                                                          storage.messages(chosen)):
                topic = by_number[connection.id]
                counts[topic] += 1
                try:
                    message = stores[topic].deserialize_cdr(
                        _unpacked(data) if self._files.packed else data, topic.kind)
                except Exception as error:  # of struct, zstd, UTF-8, memory or asserts
                    raise BagError(f'{self._path}: is damaged: message {counts[topic]} of '
                                   f'{topic.name} is no {topic.kind}') from error
                yield topic, received_ns, message
        count, told = counts.total(), sum(topic.count for topic in topics)
        if count < told:
            raise BagError(f'{self._path}: is damaged: {count} of {told} messages can be read')

    def _store(self, topic: Topic) -> 'Typestore':
        """Return a type store that has the type of a topic."""
        if topic not in self._stores:
            try:
                self._stores[topic] = self._new_store(topic)
            except BagError:
                raise
            except Exception as error:  # of a parser, or of a type that another one needs
                raise BagError(f'{self._path}: {topic.name} cannot be read: the definition of '
                               f'{topic.kind} in the bag is wrong: {_words(error)}') from error
        return self._stores[topic]

    def _new_store(self, topic: Topic) -> 'Typestore':
        from rosbags.interfaces import MessageDefinitionFormat
        from rosbags.typesys import get_typestore
        from rosbags.typesys import Stores

        refused = f'{self._path}: {topic.name} cannot be read: '
        if topic.encoding != 'cdr':
            raise BagError(f'{refused}it is encoded as {topic.encoding!r}; rosbag2 writes cdr')
        definitions = {connection.msgdef for storage in self._storages
                       for connection in _connections(storage, topic)
                       if connection.msgdef.format != MessageDefinitionFormat.NONE}
        store = get_typestore(Stores.EMPTY)
        if not definitions:
            store = get_typestore(Stores.ROS2_JAZZY)
            if topic.kind not in store.fielddefs:
                raise BagError(f'{refused}the bag has no definition of {topic.kind}')
        elif len(definitions) > 1:
            raise BagError(f'{refused}the bag has {len(definitions)} definitions of {topic.kind}')
        for definition in definitions:
            is_msg = definition.format == MessageDefinitionFormat.MSG
            store.register(_types_of(definition.data, topic.kind, is_msg))
        found = store.hash_rihs01(topic.kind)  # fails if a part of the definition is missing
        if found != (self._files.hashes.get(topic.kind) or found):
            raise BagError(f'{refused}it was recorded with another definition of {topic.kind}')
        return store

    def _check_order(self, topics: Collection[Topic]) -> None:
        """Raise a BagError if messages of a topic were received before those before them."""
        last: dict[str, int] = {}
        for storage, file in zip(self._storages, self._files.paths):
            chosen = [c for topic in topics for c in _connections(storage, topic)]
            if not chosen:
                continue
            for name, times_ns in _guarded(self._path, file, storage.in_file_order(chosen)):
                back_ns = -np.diff(times_ns, prepend=last.get(name, times_ns[0])).min()
                if back_ns > TOLERANCE_NS:
                    raise BagError(
                        f'{self._path}: a message of {name} was received {back_ns / NS_PER_S:.3f} '
                        's before the one before it: the clock of the recorder was set back, or '
                        'there are several runs in one bag; record a bag for every run')
                last[name] = int(times_ns[-1])


@contextmanager
def open_bag(path: Path) -> Iterator[Bag]:
    """
    Open a bag for the duration of a block.

    :param path: its folder, or its only file.
    :raises BagError: if there is none, or if it cannot be read.
    """
    from df_planner.data.sources.bag_storage import McapFile
    from df_planner.data.sources.bag_storage import SqliteFile

    if not path.exists():
        raise BagError(f'{path}: no such bag')
    with bag_files(path) as files, ExitStack() as stack:
        storages = []
        for file in files.paths:
            storage = (McapFile if file.suffix == '.mcap' else SqliteFile)(file)
            try:
                storage.open()
            except Exception as error:  # of the format, whatever is damaged
                raise _damaged(path, file, error) from error
            stack.callback(storage.close)
            storages.append(storage)
        yield Bag(path, files, storages)


def _connections(storage: 'McapFile | SqliteFile', topic: Topic) -> 'list[Connection]':
    return [connection for connection in storage.connections
            if (connection.topic, connection.msgtype, _encoding(connection)) == (
                topic.name, topic.kind, topic.encoding)]


def _encoding(connection: 'Connection') -> str:
    return getattr(connection.ext, 'serialization_format', 'cdr')


def _types_of(definition: str, kind: str, is_msg: bool) -> dict:
    """Return the types that a definition defines."""
    from rosbags.typesys import get_types_from_idl
    from rosbags.typesys import get_types_from_msg

    if is_msg:
        return get_types_from_msg(definition, kind)
    types: dict = {}
    for part in definition.split(IDL_MARK):
        types |= get_types_from_idl(part.partition('\n')[2] if part.startswith('IDL: ') else part)
    return types


def _guarded(path: Path, file: Path, items: Iterator) -> Iterator:
    """Give what a reader gives; an exception of it means that the file is damaged."""
    while True:
        try:
            item = next(items)
        except StopIteration:
            return
        except Exception as error:  # of SQLite, zstd, lz4, struct or the reader's own checks
            raise _damaged(path, file, error) from error
        yield item


def _damaged(path: Path, file: Path, error: Exception) -> BagError:
    inside = '' if path.name == file.name else f'{file.name} '
    if (stands_for := placeholder(file)) is not None:
        return BagError(f'{path}: {inside}{stands_for}')
    hint = '' if 'profile' in str(error).lower() else (
        f'; if its recorder was killed, or it was cut, {RESCUE[file.suffix]} what is left')
    return BagError(f'{path}: {inside}cannot be read as a bag: {_words(error)}{hint}')


def _words(error: Exception) -> str:
    """Return the message of an exception in one short line."""
    return ' '.join(str(error).split())[:200] or type(error).__name__


def _unpacked(data: bytes) -> bytes:
    from rosbags.rosbag2.reader import zstd

    return zstd.decompress(data)
