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

As a source of rows, the messages of some topics are resampled (``resampling.py``).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any
from typing import TYPE_CHECKING

import numpy as np

from df_planner.data.sources.columns import Column
from df_planner.data.sources.columns import DEFAULT
from df_planner.data.sources.columns import ImportConfig
from df_planner.data.sources.columns import load_import_config
from df_planner.data.sources.message_fields import message_fields
from df_planner.data.sources.message_fields import MessageFields
from df_planner.data.sources.resampling import Resampler
from df_planner.data.sources.source import Block
from df_planner.data.sources.source import OnProblem
from df_planner.data.sources.source import OnProgress
from df_planner.errors import BagError
from df_planner.errors import DFPlannerError
from df_planner.geometry import ORIENTATION_RULE

if TYPE_CHECKING:
    from rosbags.highlevel import AnyReader
    from rosbags.interfaces import Connection

NS_PER_S = 1_000_000_000
BATCH = 32768  # messages that wait to become numbers


@contextmanager
def open_bag(path: Path) -> Iterator['AnyReader']:
    """
    Open a bag for the duration of a block.

    :param path: its folder, or its only file.
    :raises BagError: if there is none, or if it proves damaged within the block.
    """
    from rosbags.highlevel import AnyReader
    from rosbags.typesys import get_typestore
    from rosbags.typesys import Stores

    if not path.exists():
        raise BagError(f'{path}: no such bag')
    try:
        with AnyReader([path], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
            yield reader
    except DFPlannerError:
        raise
    except Exception as error:  # of YAML, SQLite, zstd or struct, whatever is damaged
        words = ' '.join(str(error).split()) or type(error).__name__
        raise BagError(f'{path}: cannot be read as a bag: {words}; if its recorder was killed, '
                       '`mcap recover` or `ros2 bag reindex` may repair it') from error


def check_count(path: Path, count: int, total: int) -> None:
    """Raise a BagError if fewer messages were read than the bag says to have."""
    if count != total:
        raise BagError(f'{path}: is damaged: {count} of {total} messages can be read')


class BagSource:
    """
    A bag, MCAP or SQLite, its folder or its only file.

    :raises BagError: if it cannot be read, or lacks a topic or a field.
    """

    kind = 'rosbag2'
    unit = 'message'
    keys = ('observations', 'actions', 'rewards', 'terminals')
    layout_problems = ()

    def __init__(self, path: Path, config: ImportConfig | None):
        self.path = path
        self.config = config or load_import_config(DEFAULT)
        self.signals = self.config.signals()
        with open_bag(path) as reader:
            self.total = sum(topic.connection.msgcount
                             for topic in _topics(path, self.config, reader))
            self.facts = {
                'duration [s]': round(max(reader.duration, 0) / NS_PER_S, 3),
                'topics': '\n'.join(
                    f'{c.topic} ({c.msgtype}): {_rate(c.msgcount, reader.duration)}'
                    for c in sorted(reader.connections, key=lambda c: c.topic) if c.msgcount)}

    def blocks(self, on_problem: OnProblem, on_progress: OnProgress) -> Iterator[Block]:
        """Give the rows; see ``Source``."""
        with open_bag(self.path) as reader:
            yield from _Reading(self, reader, on_problem, on_progress).blocks()


@dataclass
class _Topic:
    """What is read of one topic for observations, or for actions."""

    name: str
    held: bool
    columns: tuple[Column, ...]
    connection: 'Connection'
    fields: MessageFields
    times_ns: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)  # of the messages, from 1
    numbers: list[tuple[float, ...]] = field(default_factory=list)
    last_ns: int | None = None
    count: int = 0

    def take(self, on_problem: OnProblem) -> tuple[np.ndarray, np.ndarray]:
        """Return times (n,) and columns (n, C) of the valid messages since the last call."""
        times_ns = np.array(self.times_ns, np.int64)
        raw = np.array(self.numbers, np.float64).reshape(len(times_ns), -1)
        places = list(self.places)
        for waiting in (self.times_ns, self.places, self.numbers):
            waiting.clear()
        values = self.fields.convert(raw) * np.array([c.scale for c in self.columns])
        limits = np.array([c.limit or np.inf for c in self.columns])
        finite = np.isfinite(raw).all(axis=1) & np.isfinite(values).all(axis=1)
        for index in np.flatnonzero(~finite):
            column = self.columns[int(np.argmin(np.isfinite(values[index])))].field
            on_problem(f'message {places[index]} of {self.name}: ' + (
                f'its {ORIENTATION_RULE}' if np.isfinite(raw[index]).all()
                else f'{column} is not a finite number'))
        return times_ns[finite], np.clip(values[finite], -limits, limits)


class _Reading:
    """One pass through an open bag."""

    def __init__(self, source: BagSource, reader: 'AnyReader', on_problem: OnProblem,
                 on_progress: OnProgress):
        self._source = source
        self._reader = reader
        self._on_problem = on_problem
        self._on_progress = on_progress
        config = self._config = source.config
        self._topics = _topics(source.path, config, reader)
        self._resampler = Resampler(
            tuple(topic.held for topic in self._topics),
            round(config.dt_s * NS_PER_S), round(config.max_gap_s * NS_PER_S), config.max_step_m)
        self._ahead_ns: int | None = None  # of the stamps of the position to the recorder's clock

    def blocks(self) -> Iterator[Block]:
        """Give the rows."""
        by_connection: dict[int, list[_Topic]] = {}
        for topic in self._topics:
            by_connection.setdefault(topic.connection.id, []).append(topic)
        connections = [topics[0].connection for topics in by_connection.values()]
        count = waiting = rows = 0
        for connection, received_ns, data in self._reader.messages(connections):
            message = self._reader.deserialize(data, connection.msgtype)
            count += 1
            for topic in by_connection[connection.id]:
                self._read(topic, message, received_ns)
            waiting += 1
            if waiting == BATCH:
                self._on_progress(waiting)
                waiting = 0
                for block in self._settled():
                    rows += len(block['terminals'])
                    yield block
        self._on_progress(waiting)
        check_count(self._source.path, count, sum(c.msgcount for c in connections))
        for block in self._settled(at_end=True):
            rows += len(block['terminals'])
            yield block
        if rows == 0:
            self._on_problem('gives no rows: ' + self._why_none())

    def _read(self, topic: _Topic, message: Any, received_ns: int) -> None:
        topic.count += 1
        time_ns = received_ns
        if self._config.time == 'stamp':
            if topic.fields.stamped:
                stamp = message.header.stamp
                time_ns = stamp.sec * NS_PER_S + stamp.nanosec
                if topic is self._topics[0]:
                    self._ahead_ns = time_ns - received_ns
            elif self._ahead_ns is None:
                return  # the offset between the clocks is not known yet
            else:
                time_ns += self._ahead_ns
        problem = None
        if topic.last_ns is not None and time_ns < topic.last_ns and topic.fields.stamped:
            problem = f'goes back by {(topic.last_ns - time_ns) / NS_PER_S:.3f} s'
        elif time_ns < self._resampler.settled_ns and topic.last_ns is not None:
            problem = 'is more than a second behind the other topics'
        if problem is not None:
            self._on_problem(f'message {topic.count} of {topic.name}: its stamp {problem}; '
                             'with `time: received` in --config it counts when it was received')
            return
        topic.last_ns = time_ns
        topic.times_ns.append(time_ns)
        topic.places.append(topic.count)
        topic.numbers.append(topic.fields.read(message))

    def _settled(self, at_end: bool = False) -> Iterator[Block]:
        """Give the rows that the messages so far decide."""
        for topic, stream in zip(self._topics, self._resampler.streams):
            if topic.times_ns:
                stream.add(*topic.take(self._on_problem))
        for values, is_last in self._resampler.rows(at_end):
            found = {(topic.held, column): value[:, index]
                     for topic, value in zip(self._topics, values)
                     for index, column in enumerate(topic.columns)}
            yield {
                'observations': _stack([found[False, c] for c in self._config.observations]),
                'actions': _stack([found[True, c] for c in self._config.actions]),
                'rewards': np.zeros(len(is_last), np.float32), 'terminals': is_last}

    def _why_none(self) -> str:
        spans = []
        for topic, stream in zip(self._topics, self._resampler.streams):
            span = ''
            if len(stream.times_ns):
                span = f' until {stream.times_ns[-1] / NS_PER_S:.2f} s'
            spans.append(f'{topic.count} messages of {topic.name}{span}')
        return ', '.join(spans) + ' (do they belong to the same time?)'


def _stack(columns: list[np.ndarray]) -> np.ndarray:
    return np.stack(columns, axis=1).astype(np.float32)


def _topics(path: Path, config: ImportConfig, reader: 'AnyReader') -> list[_Topic]:
    """Return the topics to read, the one with the position first."""
    found = []
    for held, columns in ((False, config.observations), (True, config.actions)):
        for name in dict.fromkeys(column.topic for column in columns):
            chosen = tuple(column for column in columns if column.topic == name)
            connection = _connection(path, name, reader.connections)
            try:
                fields = message_fields([column.field for column in chosen], connection.msgtype,
                                        reader.typestore.fielddefs)
            except BagError as error:
                raise BagError(f'{path}: {connection.topic} {error}') from error
            found.append(_Topic(connection.topic, held, chosen, connection, fields))
    return found


def _connection(path: Path, name: str, connections: list['Connection']) -> 'Connection':
    """Return the topic of a name, in any namespace if it is unique."""
    matches = [c for c in connections if c.topic == '/' + name.lstrip('/')] or [
        c for c in connections if c.topic.endswith('/' + name)]
    if len({c.topic for c in matches}) > 1:
        raise BagError(f'{path}: several topics named {name}; choose one in --config: '
                       + ', '.join(sorted(c.topic for c in matches)))
    if not matches:
        there = ', '.join(sorted(f'{c.topic} ({c.msgtype})' for c in connections)) or 'nothing'
        raise BagError(f'{path}: no topic {name}; the bag has {there}; choose topics with '
                       '--config')
    if len(matches) > 1:
        raise BagError(f'{path}: {matches[0].topic} has several types or publishers: '
                       + ', '.join(sorted(c.msgtype for c in matches)))
    return matches[0]


def _rate(count: int, duration_ns: int) -> str:
    rate = f', {count * NS_PER_S / duration_ns:.2f} Hz' if count > 1 and duration_ns > 0 else ''
    return f'{count:,} messages{rate}'
