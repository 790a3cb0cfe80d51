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
From messages at any times to rows at a fixed rate.

Observations are interpolated between two messages; a command holds until the next. A row exists
where every topic has a value: within ``max_gap_s`` of a command, and between two messages that are
not further apart and not a jump of the position. An episode ends where the next row does not exist
or lies behind a jump.

Messages come in the order of their arrival and become rows a second later, so memory does not grow
with the length of the recording.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field

import numpy as np

BLOCK_ROWS = 65536
SLACK_NS = 1_000_000_000  # messages of one moment arrive within this
NEVER_NS = np.iinfo(np.int64).max


@dataclass
class Stream:
    """
    The messages of a topic that are still needed.

    :param held: a command, which holds until the next; others are interpolated.
    :param times_ns: (n,) int64, rising.
    :param values: (n, C).
    """

    held: bool
    times_ns: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    values: np.ndarray | None = None

    def add(self, times_ns: np.ndarray, values: np.ndarray) -> None:
        """Take messages (m,), (m, C); of several with the same time the last one counts."""
        if self.values is not None:
            times_ns = np.concatenate([self.times_ns, times_ns])
            values = np.concatenate([self.values, values])
        last = np.append(np.diff(times_ns) > 0, True)[:len(times_ns)]
        self.times_ns, self.values = times_ns[last], values[last]

    def drop_before(self, time_ns: int) -> None:
        """Drop messages that rows from this time on do not need."""
        first = max(np.searchsorted(self.times_ns, time_ns, 'right') - 1, 0)
        self.times_ns = self.times_ns[first:]
        if self.values is not None:
            self.values = self.values[first:]


class Resampler:
    """
    Rows at a fixed rate from the streams of several topics.

    :param held: for every stream, whether it is one of commands. The first stream is not, and
        begins with the position (x, y).
    :param max_step_m: a longer move in ``dt_ns`` is a jump.
    """

    def __init__(self, held: tuple[bool, ...], dt_ns: int, max_gap_ns: int, max_step_m: float):
        self.streams = [Stream(is_held) for is_held in held]
        self._dt_ns = dt_ns
        self._max_gap_ns = max_gap_ns
        self._max_step_m = max_step_m
        self._next_ns: int | None = None

    @property
    def settled_ns(self) -> int:
        """Return the time up to which rows have been given: an earlier message is too late."""
        return -NEVER_NS if self._next_ns is None else self._next_ns

    def rows(self, at_end: bool = False) -> Iterator[tuple[list[np.ndarray], np.ndarray]]:
        """
        Give the rows that no later message can change, block by block; all of them at the end.

        :returns: for every stream its values (n, C), and which rows are the last of an episode.
        """
        if not all(len(stream.times_ns) for stream in self.streams):
            return
        if self._next_ns is None:
            self._next_ns = max(int(stream.times_ns[0]) for stream in self.streams
                                if not stream.held)
        newest = max(int(stream.times_ns[-1]) for stream in self.streams)
        until_ns = newest + self._dt_ns if at_end else newest - max(SLACK_NS, self._max_gap_ns)
        breaks = [None if stream.held else self._segments(i, stream)
                  for i, stream in enumerate(self.streams)]
        while True:
            self._skip(breaks, until_ns)
            count = min(BLOCK_ROWS, (until_ns - self._next_ns) // self._dt_ns)
            if count <= 0:
                break
            yield from self._block(count, breaks)
            self._next_ns += int(count) * self._dt_ns
        for stream in self.streams:
            stream.drop_before(min(self._next_ns, until_ns))

    def _block(self, count: int, breaks: list) -> Iterator[tuple[list[np.ndarray], np.ndarray]]:
        """Give the rows of the next ``count`` moments, if any."""
        moments = self._next_ns + self._dt_ns * np.arange(count + 1)  # one more, for the ends
        values, exists = [], np.ones(count + 1, bool)
        joined = np.ones(count, bool)
        for stream, segments in zip(self.streams, breaks):
            value, there = _at(stream, segments, moments, self._max_gap_ns)
            values.append(value)
            exists &= there
            if segments is not None:
                at = segments[np.searchsorted(stream.times_ns, moments, 'right') - 1]
                joined &= at[1:] == at[:-1]
        here = exists[:-1]
        if here.any():
            yield [value[:-1][here] for value in values], ~(joined & exists[1:])[here]

    def _segments(self, index: int, stream: Stream) -> np.ndarray:
        """Return for each message (n,) the number of its unbroken piece."""
        gaps_ns = np.diff(stream.times_ns)
        broken = gaps_ns > self._max_gap_ns
        if index == 0:
            steps_m = np.hypot(*np.diff(stream.values[:, :2], axis=0).T)
            broken |= steps_m > self._max_step_m * np.maximum(gaps_ns / self._dt_ns, 1.0)
        return np.concatenate([[0], np.cumsum(broken)])

    def _skip(self, breaks: list, until_ns: int) -> None:
        """Skip to the next moment that may have a row: gaps may be years long."""
        while True:
            soonest = max(_soonest(stream, segments, self._next_ns, self._max_gap_ns)
                          for stream, segments in zip(self.streams, breaks))
            if soonest == NEVER_NS:
                soonest = until_ns
            if soonest <= self._next_ns:
                return
            self._next_ns += -(-(soonest - self._next_ns) // self._dt_ns) * self._dt_ns


def _at(stream: Stream, segments: np.ndarray | None, moments: np.ndarray, max_gap_ns: int
        ) -> tuple[np.ndarray, np.ndarray]:
    """Return values (n, C) of a stream at moments (n,), and whether there are any."""
    times, values = stream.times_ns, stream.values
    index = np.searchsorted(times, moments, 'right') - 1
    before = np.maximum(index, 0)
    since_ns = moments - times[before]
    if segments is None:
        return values[before], (index >= 0) & (since_ns <= max_gap_ns)
    after = np.minimum(before + 1, len(times) - 1)
    inside = (after > before) & (segments[after] == segments[before])
    share = np.where(inside, since_ns / np.maximum(times[after] - times[before], 1), 0.0)
    value = values[before] + share[:, None] * (values[after] - values[before])
    return value, (index >= 0) & (inside | (since_ns == 0))


def _soonest(stream: Stream, segments: np.ndarray | None, time_ns: int, max_gap_ns: int) -> int:
    """Return the earliest time, not before ``time_ns``, at which a stream has a value."""
    times = stream.times_ns
    index = int(np.searchsorted(times, time_ns, 'right')) - 1
    if index >= 0:
        after = min(index + 1, len(times) - 1)
        if times[index] == time_ns or (
                time_ns - times[index] <= max_gap_ns if segments is None
                else after > index and segments[after] == segments[index]):
            return time_ns
    return int(times[index + 1]) if index + 1 < len(times) else NEVER_NS
