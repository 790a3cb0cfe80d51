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
A bag as a source of rows: the messages of some topics are resampled (``resampling.py``).

Where stamps start over, by more than a second, an episode ends, and reading begins again.
"""

from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field
from functools import partial
import logging
from pathlib import Path
from typing import Any

import numpy as np

from df_planner.data.sources.bag_reader import Bag
from df_planner.data.sources.bag_reader import NS_PER_S
from df_planner.data.sources.bag_reader import open_bag
from df_planner.data.sources.bag_reader import Topic
from df_planner.data.sources.columns import Column
from df_planner.data.sources.columns import DEFAULT
from df_planner.data.sources.columns import ImportConfig
from df_planner.data.sources.columns import load_import_config
from df_planner.data.sources.message_fields import message_fields
from df_planner.data.sources.message_fields import MessageFields
from df_planner.data.sources.resampling import Resampler
from df_planner.data.sources.resampling import SLACK_NS
from df_planner.data.sources.source import Block
from df_planner.data.sources.source import OnProblem
from df_planner.data.sources.source import OnProgress
from df_planner.errors import BagError
from df_planner.geometry import ORIENTATION_RULE

BATCH = 32768  # messages that wait to become numbers
MIN_ADVANCE_NS = 10_000  # of stamps, from one message to another one
MAX_NAMES = 8  # in one message
MAX_TOLD = 3  # equal problems, one by one
MIN_ROWS = 2
MAX_STANDING = 0.5  # share of messages whose stamps do not advance so far
BY_RECEPTION = 'with `time: received` in --config messages count when they were received'


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
        with open_bag(path) as bag:
            self.total = sum(topic.source.count for topic in _topics(path, self.config, bag))
            self.facts = {
                'duration [s]': round(max(bag.duration_ns, 0) / NS_PER_S, 3),
                'topics': '\n'.join(
                    f'{topic.name} ({topic.kind}): {_rate(topic.count, bag.duration_ns)}'
                    for topic in bag.topics if topic.count)}

    def blocks(self, on_problem: OnProblem, on_progress: OnProgress) -> Iterator[Block]:
        """Give the rows; see ``Source``."""
        with open_bag(self.path) as bag:
            yield from _Reading(self, bag, on_problem, on_progress).blocks()


@dataclass
class _Topic:
    """What is read of one topic for observations, or for actions."""

    source: Topic
    held: bool
    columns: tuple[Column, ...]
    fields: MessageFields
    times_ns: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)  # of the messages, from 1
    numbers: list[tuple[float, ...]] = field(default_factory=list)
    last_ns: int | None = None
    last_stamp_ns: int | None = None
    last_numbers: tuple[float, ...] = ()
    frame: tuple[str, str] | None = None
    count: int = 0
    standing: int = 0  # messages whose stamps do not advance

    @property
    def name(self) -> str:
        """Return the name of the topic."""
        return self.source.name

    def take(self, on_problem: Callable[[int, str], None]) -> tuple[np.ndarray, np.ndarray]:
        """
        Return times (n,) and columns (n, C) of the valid messages since the last call.

        :param on_problem: called with the place of an invalid message and what is wrong with it.
        """
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
            on_problem(places[index], (
                f'its {ORIENTATION_RULE}' if np.isfinite(raw[index]).all()
                else f'{column} is not a finite number'))
        return times_ns[finite], np.clip(values[finite], -limits, limits)


class _Reading:
    """One pass through an open bag."""

    def __init__(self, source: BagSource, bag: Bag, on_problem: OnProblem,
                 on_progress: OnProgress):
        self._source = source
        self._bag = bag
        self._on_problem = on_problem
        self._on_progress = on_progress
        self._config = source.config
        self._by_stamp = source.config.time == 'stamp'
        self._topics = _topics(source.path, source.config, bag)
        self._restarts: list[tuple[str, int]] = []  # the first topic and message of each
        self._problems: dict[tuple[str, str], list[int]] = {}  # first message, last, how many
        self._begin()

    def blocks(self) -> Iterator[Block]:
        """Give the rows."""
        by_source: dict[Topic, list[_Topic]] = {}
        for topic in self._topics:
            by_source.setdefault(topic.source, []).append(topic)
        waiting = rows = 0
        for source, received_ns, message in self._bag.messages(by_source):
            for topic in by_source[source]:
                stamp_ns = _stamp_ns(message) if topic.fields.stamped else None
                if self._starts_over(topic, stamp_ns):
                    for block in self._settled(at_end=True):
                        rows += len(block['terminals'])
                        yield block
                    self._begin()
                self._read(topic, message, stamp_ns, received_ns)
            waiting += 1
            if waiting == BATCH:
                self._on_progress(waiting)
                waiting = 0
                for block in self._settled():
                    rows += len(block['terminals'])
                    yield block
        self._on_progress(waiting)
        for block in self._settled(at_end=True):
            rows += len(block['terminals'])
            yield block
        self._conclude(rows)

    def _begin(self) -> None:
        """Begin to read, or again where a clock starts over: nothing of before holds on."""
        config = self._config
        self._resampler = Resampler(
            tuple(topic.held for topic in self._topics),
            round(config.dt_s * NS_PER_S), round(config.max_gap_s * NS_PER_S), config.max_step_m)
        self._ahead_ns: int | None = None  # of the stamps of the position to the recorder's clock
        for topic in self._topics:
            topic.last_ns = topic.last_stamp_ns = None

    def _starts_over(self, topic: _Topic, stamp_ns: int | None) -> bool:
        """Return whether a clock starts over with a message that comes next."""
        before_ns = topic.last_stamp_ns
        if stamp_ns is None or not (self._by_stamp or topic is self._topics[0]):
            return False
        topic.last_stamp_ns = stamp_ns
        if before_ns is None or before_ns - stamp_ns <= SLACK_NS:
            return False
        self._restarts.append((topic.name, topic.count + 1))
        return True

    def _read(self, topic: _Topic, message: Any, stamp_ns: int | None, received_ns: int) -> None:
        topic.count += 1
        time_ns = received_ns
        is_stamp = self._by_stamp and stamp_ns is not None
        if is_stamp:
            time_ns = stamp_ns
            if topic is self._topics[0]:
                self._ahead_ns = time_ns - received_ns
        elif self._by_stamp:
            if self._ahead_ns is None:
                return  # the offset between the clocks is not known yet
            time_ns += self._ahead_ns
        last_ns = topic.last_ns
        if last_ns is not None:
            if is_stamp and time_ns < last_ns:
                self._refuse(topic, topic.count, 'its stamp goes back',
                             f' by {(last_ns - time_ns) / NS_PER_S:.3f} s; {BY_RECEPTION}')
                return
            time_ns = max(time_ns, last_ns)  # the offset between the clocks varies
            if time_ns < self._resampler.settled_ns:
                self._refuse(topic, topic.count, 'its stamp is more than a second behind the '
                             'other topics', f'; {BY_RECEPTION}')
                return
        if not topic.held and not self._is_in_frame(topic, message):
            return
        numbers = topic.fields.read(message)
        if is_stamp and last_ns is not None and numbers != topic.last_numbers:
            topic.standing += time_ns - last_ns < MIN_ADVANCE_NS
        topic.last_ns, topic.last_numbers = time_ns, numbers
        topic.times_ns.append(time_ns)
        topic.places.append(topic.count)
        topic.numbers.append(numbers)

    def _is_in_frame(self, topic: _Topic, message: Any) -> bool:
        """Return whether a message is in the frame of those before it."""
        frame = (message.header.frame_id.lstrip('/') if topic.fields.stamped else '',
                 getattr(message, 'child_frame_id', '').lstrip('/'))
        topic.frame = topic.frame or frame
        if frame != topic.frame:
            self._refuse(topic, topic.count, 'it is in another frame than those before it',
                         f": {' of '.join(filter(None, frame[::-1]))!r}, not "
                         f"{' of '.join(filter(None, topic.frame[::-1]))!r}")
        return frame == topic.frame

    def _refuse(self, topic: _Topic, place: int, problem: str, detail: str = '') -> None:
        """Tell the first of equal problems of a topic, and count the others."""
        places = self._problems.setdefault((topic.name, problem), [place, place, 0])
        places[1:] = place, places[2] + 1
        if places[2] <= MAX_TOLD:
            self._on_problem(f'message {place} of {topic.name}: {problem}{detail}')

    def _settled(self, at_end: bool = False) -> Iterator[Block]:
        """Give the rows that the messages so far decide."""
        for topic, stream in zip(self._topics, self._resampler.streams):
            if topic.times_ns:
                stream.add(*topic.take(partial(self._refuse, topic)))
        for values, is_last in self._resampler.rows(at_end):
            found = {(topic.held, column): value[:, index]
                     for topic, value in zip(self._topics, values)
                     for index, column in enumerate(topic.columns)}
            yield {
                'observations': _stack([found[False, c] for c in self._config.observations]),
                'actions': _stack([found[True, c] for c in self._config.actions]),
                'rewards': np.zeros(len(is_last), np.float32), 'terminals': is_last}

    def _conclude(self, rows: int) -> None:
        """Tell what only the whole bag shows."""
        for (name, problem), (first, last, count) in self._problems.items():
            if count > MAX_TOLD:
                self._on_problem(f'{count - MAX_TOLD:,} more messages of {name} are like message '
                                 f'{first} ({problem}), the last is message {last}')
        for topic in self._topics:
            if topic.standing > MAX_STANDING * topic.count:
                self._on_problem(f'{topic.standing:,} of {topic.count:,} stamps of {topic.name} '
                                 f'do not advance; {BY_RECEPTION}')
        if self._restarts:
            name, place = self._restarts[0]
            logging.getLogger(__name__).warning(
                '%s: stamps start over %d times, first at message %d of %s: episodes end there',
                self._source.path, len(self._restarts), place, name)
        if rows < MIN_ROWS:
            self._on_problem(f'gives {rows or "no"} rows: {self._why_none()}')

    def _why_none(self) -> str:
        streams = self._resampler.streams
        spans = [f'{topic.count} messages of {topic.name}'
                 + (f' until {stream.times_ns[-1] / NS_PER_S:.2f} s' if len(stream.times_ns)
                    else ', none valid' if topic.count else '')
                 for topic, stream in zip(self._topics, streams)]
        if self._restarts:
            spans.append(f'stamps start over {len(self._restarts)} times')
        hint = ''
        if all(len(stream.times_ns) for stream in streams):
            hint = ' (do they belong to the same time?)' + (
                f'; {BY_RECEPTION}' if self._by_stamp else '')
        return ', '.join(spans) + hint


def _stack(columns: list[np.ndarray]) -> np.ndarray:
    return np.stack(columns, axis=1).astype(np.float32)


def _stamp_ns(message: Any) -> int:
    stamp = message.header.stamp
    return stamp.sec * NS_PER_S + stamp.nanosec


def _topics(path: Path, config: ImportConfig, bag: Bag) -> list[_Topic]:
    """Return the topics to read, the one with the position first."""
    found = []
    for held, columns in ((False, config.observations), (True, config.actions)):
        for name in dict.fromkeys(column.topic for column in columns):
            chosen = tuple(column for column in columns if column.topic == name)
            source = _source(path, name, bag.topics)
            try:
                fields = message_fields([column.field for column in chosen], source.kind,
                                        bag.definitions(source))
            except BagError as error:
                raise BagError(f'{path}: {source.name} '
                               + str(error).removeprefix(f'{path}: {source.name} ')) from error
            found.append(_Topic(source, held, chosen, fields))
    return found


def _source(path: Path, name: str, topics: list[Topic]) -> Topic:
    """Return the topic of a name, in any namespace if it is unique."""
    matches = [topic for topic in topics if topic.name == '/' + name.lstrip('/')] or [
        topic for topic in topics if topic.name.endswith('/' + name)]
    if len({topic.name for topic in matches}) > 1:
        raise BagError(f'{path}: several topics named {name}; choose one in --config: '
                       + _shortened([topic.name for topic in matches]))
    if not matches:
        there = _shortened([f'{topic.name} ({topic.kind})' for topic in topics]) or 'nothing'
        raise BagError(f'{path}: no topic {name}; the bag has {there}; choose topics with '
                       '--config')
    if len(matches) > 1:
        raise BagError(f'{path}: {name} has several types: '
                       + _shortened([f'{topic.kind} ({topic.encoding})' for topic in matches]))
    return matches[0]


def _shortened(names: list[str]) -> str:
    """Return names in one line."""
    more = f' and {len(names) - MAX_NAMES} more' if len(names) > MAX_NAMES else ''
    return ', '.join(sorted(names)[:MAX_NAMES]) + more


def _rate(count: int, duration_ns: int) -> str:
    rate = f', {count * NS_PER_S / duration_ns:.2f} Hz' if count > 1 and duration_ns > 0 else ''
    return f'{count:,} messages{rate}'
