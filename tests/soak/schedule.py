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

"""The schedule of a soak test: all bad inputs and kills, by a seed; and the goals."""

from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

INPUT_GAP_S = (0.5, 6.0)  # between two bad inputs
FIRST_S = 5.0
KILL_EVERY_S = 240.0  # on average, or so often that a short run has two
EDGE_M = 0.3  # of a cell that goals keep away from, so that the robot fits there


@dataclass(frozen=True)
class Event:
    """
    Something to do at a time of the run.

    :param name: of a bad input, or 'kill'.
    :param seed: of what is random about it.
    """

    at_s: float
    name: str
    seed: int


KILL = 'kill'


def make_schedule(duration_s: float, seed: int, names: Sequence[str]) -> list[Event]:
    """
    Return the events of a run in their order; the same arguments give the same schedule.

    Every bad input comes once before any comes twice.
    """
    rng = Random(f'{seed} events')
    events: list[Event] = []
    deck: list[str] = []
    at_s = FIRST_S
    while at_s < duration_s:
        if not deck:
            deck = rng.sample(list(names), len(names))
        events.append(Event(at_s, deck.pop(), rng.getrandbits(32)))
        at_s += rng.uniform(*INPUT_GAP_S)
    every_s = min(KILL_EVERY_S, duration_s / 2.5)
    at_s = rng.uniform(0.6, 1.4) * every_s
    while at_s < duration_s:
        events.append(Event(at_s, KILL, rng.getrandbits(32)))
        at_s += rng.uniform(0.6, 1.4) * every_s
    return sorted(events, key=lambda event: event.at_s)


def goals(cells: Sequence[tuple[int, int]], seed: int) -> Iterator[tuple[float, float]]:
    """Yield positions in the map for ever, each in another free cell (row, column)."""
    rng, last = Random(f'{seed} goals'), None
    while True:
        cell = rng.choice([cell for cell in cells if cell != last])
        last = cell
        row, column = (part - 0.2 + rng.uniform(EDGE_M - 0.5, 0.5 - EDGE_M) for part in cell)
        yield column, -row
