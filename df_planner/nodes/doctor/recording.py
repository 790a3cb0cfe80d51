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
What the doctor heard, as arrays, and what it found; knows no messages.

``listener.py`` fills a ``Recording``, ``judgement.py`` turns it into findings.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field

import numpy as np

from df_planner.driving.odometry_watch import JUMP_M
from df_planner.geometry import headings_of
from df_planner.planning.map import GridMap

OK, WARN, BAD = 'ok', 'warn', 'BAD'


@dataclass(frozen=True)
class Finding:
    """
    One line of the doctor.

    :param level: OK, WARN, or BAD: the planner would not drive, or not rightly.
    :param what: the input or part.
    :param text: what was found; if it is not OK, also what to do.
    """

    level: str
    what: str
    text: str

    def __str__(self) -> str:
        """Return the line."""
        return f'{self.level:4} {self.what}: {self.text}'


@dataclass(frozen=True)
class Wanted:
    """
    What the planner and the follower need, by their parameters and the card of the model.

    :param dt_s: control step of the model.
    :param odom_timeout_s: the shorter one of the two nodes.
    :param max_speed_mps: per axis, the fastest in the data of the model.
    :param robot_radius_m: less the tolerance of collisions.
    :param needs_map: the planner waits for a map.
    :param lockstep: time may stand still, so that it does not tell whether odometry advances.
    """

    dt_s: float
    odom_timeout_s: float
    max_speed_mps: float
    robot_radius_m: float
    needs_map: bool = True
    use_sim_time: bool = False
    lockstep: bool = False


@dataclass(frozen=True, eq=False)
class OdometryLog:
    """
    The odometry that arrived, n messages in the order of their arrival.

    :param received_s: (n,) seconds of the wall clock.
    :param stamps_ns: (n,) int64.
    :param positions: (n, 2) x and y.
    :param rotations: (n, 4) x, y, z, w.
    :param twists: (n, 2) linear x and y, as sent.
    :param velocities: (n, 2) the same as the planner reads it, in the axes of the map; NaN where
        it refuses the message.
    :param frames: (n,) pairs of ``frame_id`` and ``child_frame_id``.
    :param refused: errors of the nodes' own reading: how often each was raised, by (node, code).
    :param refusals: the first text of each.
    """

    received_s: np.ndarray
    stamps_ns: np.ndarray
    positions: np.ndarray
    rotations: np.ndarray
    twists: np.ndarray
    velocities: np.ndarray
    frames: tuple[tuple[str, str], ...] = ()
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    refusals: dict[tuple[str, str], str] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of messages."""
        return len(self.received_s)

    @property
    def yaws(self) -> np.ndarray:
        """Return the headings (n,) in radians, counter-clockwise from x, not wrapped."""
        headings = headings_of(self.rotations)
        return np.unwrap(np.arctan2(headings[:, 1], headings[:, 0]))

    @property
    def accepted(self) -> 'OdometryLog':
        """Return the messages that the planner takes."""
        return self.only(np.isfinite(self.velocities).all(axis=1))

    @property
    def jumps_m(self) -> np.ndarray:
        """Return how far the position jumps from message to message (n - 1,), 0 if it moves."""
        moves_m = np.linalg.norm(np.diff(self.positions, axis=0), axis=1)
        leads_m = np.linalg.norm(self.twists, axis=1) * np.gradient(self.received_s)
        return np.where(moves_m > JUMP_M + leads_m[1:] + leads_m[:-1], moves_m, 0.0)

    def only(self, rows: np.ndarray) -> 'OdometryLog':
        """Return some of the messages, by index or by mask."""
        return OdometryLog(*(getattr(self, name)[rows] for name in (
            'received_s', 'stamps_ns', 'positions', 'rotations', 'twists',
            'velocities')))


@dataclass(frozen=True, eq=False)
class ClockLog:
    """The messages on ``/clock``: (n,) seconds of the wall clock, and what they said in ns."""

    received_s: np.ndarray
    times_ns: np.ndarray

    @property
    def runs(self) -> bool:
        """Tell whether time passes on it."""
        return len(self.times_ns) > 1 and bool(self.times_ns[-1] > self.times_ns[0])


@dataclass(frozen=True, eq=False)
class MapLog:
    """
    The newest map.

    :param error: why the planner would refuse it; empty if it takes it.
    :param unknown: (H, W) bool, cells that nobody has seen.
    """

    frame_id: str
    grid: GridMap | None
    unknown: np.ndarray | None
    error: str = ''


@dataclass(frozen=True, eq=False)
class Recording:
    """
    All that was heard.

    :param began_s: of the wall clock, as ``ended_s``.
    :param newest_map: None if no map arrived.
    """

    began_s: float
    ended_s: float
    odometry: OdometryLog
    clock: ClockLog
    newest_map: MapLog | None


def verdict(findings: Sequence[Finding]) -> tuple[bool, str]:
    """Return whether the planner would drive, and the last sentence."""
    bad = [finding for finding in findings if finding.level == BAD]
    if not bad:
        return True, 'The planner would drive.'
    things = '1 thing' if len(bad) == 1 else f'{len(bad)} things'
    first = f'{bad[0].what}: {bad[0].text}'.split('; ')[0].rstrip('.')
    return False, f'The planner would not drive: {things} to mend, first {first}.'
