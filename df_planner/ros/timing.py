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
Control ticks in time: when to act, and how fast a simulation goes.

Ticks of a control loop by the wall clock: how evenly they come, and which came too late.

Pacing by steady time: when the next tick is due, and how fast time really runs.
"""

from collections import deque
from collections.abc import Sequence
import math

import numpy as np

WINDOW = 1000  # ticks that the percentiles are taken over
LATE_PERIODS = 2.0  # a tick this many periods after the one before has missed one


class TickMeter:
    """
    Take note of every tick.

    :param period_s: from one tick to the next, as it should be.
    """

    def __init__(self, period_s: float):
        """Start without a tick."""
        self.late_s = LATE_PERIODS * period_s
        self.count = self.late = 0
        self.longest_s = 0.0
        self._period_s = period_s
        self._periods_s: deque[float] = deque(maxlen=WINDOW)
        self._last_s: float | None = None

    def tick(self, now_s: float) -> float | None:
        """Take note of a tick now; return the seconds since the one before, None at a first."""
        last_s, self._last_s = self._last_s, now_s
        self.count += 1
        if last_s is None:
            return None
        period_s = now_s - last_s
        self._periods_s.append(period_s)
        self.longest_s = max(self.longest_s, period_s)
        self.late += period_s > self.late_s
        return period_s

    def interrupt(self) -> None:
        """Begin anew with the next tick: what made them come has stopped."""
        self._last_s = None

    def values(self) -> dict[str, object]:
        """Return the values for diagnostics."""
        values: dict[str, object] = {'ticks': self.count, 'late_ticks': self.late,
                                     'longest_gap_ms': f'{1e3 * self.longest_s:.1f}'}
        if self._periods_s:
            periods_s = np.array(self._periods_s)
            p50_s, p99_s = np.percentile(periods_s, (50, 99))
            jitter_s = np.percentile(np.abs(periods_s - self._period_s), 99)
            values |= {'period_p50_ms': f'{1e3 * p50_s:.2f}',
                       'period_p99_ms': f'{1e3 * p99_s:.2f}',
                       'jitter_p99_ms': f'{1e3 * jitter_s:.2f}'}
        return values


class ResponseTimes:
    """How long commands took: from when the odometry was sent to when its answer was."""

    def __init__(self):
        """Start without a command."""
        self._longest_s = 0.0
        self._recent_s: deque[float] = deque(maxlen=WINDOW)

    def add(self, duration_s: float) -> None:
        """Take note of a command."""
        self._longest_s = max(self._longest_s, duration_s)
        self._recent_s.append(duration_s)

    def values(self) -> dict[str, object]:
        """Return the values for diagnostics."""
        if not self._recent_s:
            return {}
        p50_s, p99_s = np.percentile(self._recent_s, (50, 99))
        return {'odom_to_command_p50_ms': f'{1e3 * p50_s:.2f}',
                'odom_to_command_p99_ms': f'{1e3 * p99_s:.2f}',
                'odom_to_command_longest_ms': f'{1e3 * self._longest_s:.2f}'}


class Seams:
    """Keep by how much actions jump where one plan takes over from another."""

    def __init__(self):
        """Start without a seam."""
        self._count = 0
        self._jumps: deque[float] = deque(maxlen=WINDOW)

    def add(self, jump: float) -> None:
        """Take note of a seam."""
        self._count += 1
        self._jumps.append(jump)

    def values(self) -> dict[str, object]:
        """Return the values for diagnostics."""
        if not self._jumps:
            return {'seams': 0}
        p50, p95 = np.percentile(self._jumps, (50, 95))
        return {'seams': self._count, 'seam_jump_p50': f'{p50:.3f}', 'seam_jump_p95': f'{p95:.3f}'}


LARGEST_LAG_S = 0.1  # a longer delay (a pause, a busy machine) is not caught up


class Pacer:
    """
    Tell when ticks are due.

    :param tick_s: simulated time per tick.
    :param real_time_factor: simulated per real second; 0 means as fast as possible.
    """

    def __init__(self, tick_s: float, real_time_factor: float):
        self._tick_s = tick_s
        self.real_time_factor = real_time_factor
        self._due_s = -math.inf

    def wait_s(self, now_s: float) -> float:
        """Return how long the next tick is away, 0 if it is due."""
        if self.real_time_factor <= 0.0:
            return 0.0
        return max(self._due_s - now_s, 0.0)

    def ticked(self, now_s: float) -> None:
        """Take note of a tick; the next is due one period after this one was."""
        if self.real_time_factor <= 0.0:
            return
        if now_s - self._due_s > LARGEST_LAG_S:
            self._due_s = now_s
        self._due_s += self._tick_s / self.real_time_factor


class SpeedMeter:
    """Measure simulated against real time between two readings."""

    def __init__(self):
        self._last: tuple[float, float] | None = None

    def read(self, simulated_s: float, now_s: float) -> float | None:
        """Return the real-time factor since the last reading, None at the first."""
        last, self._last = self._last, (simulated_s, now_s)
        if last is None or now_s <= last[1]:
            return None
        return (simulated_s - last[0]) / (now_s - last[1])


def lockstep_pace(records: Sequence[dict], num_steps: int, duration_s: float) -> dict[str, int]:
    """
    Return what a run in lockstep is limited by: if it is planning, most of the time goes there.

    :param records: of ``episode_record``, each of so many control steps.
    """
    planning_s = sum(sum(record['planning_times_s']) for record in records)
    return {'ticks_per_s': round(len(records) * num_steps / duration_s),
            'planning_percent': round(100 * planning_s / duration_s)}
