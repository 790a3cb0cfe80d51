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
Ticks of control and simulation by the wall clock: when they are due, and how evenly they come.

The meters hold the last WINDOW readings and return percentiles of them for diagnostics.
"""

from collections import deque
import math

import numpy as np

WINDOW = 1000  # ticks that the percentiles are taken over
LATE_PERIODS = 2.0  # a tick this many periods after the one before is late
LARGEST_LAG_S = 0.1  # a longer delay (a pause, a busy machine) is not caught up


class TickMeter:
    """
    Measure the time between ticks.

    :param period_s: what it should be.
    """

    def __init__(self, period_s: float):
        self.late_s = LATE_PERIODS * period_s
        self.count = self.late = 0
        self.longest_s = 0.0
        self._period_s = period_s
        self._periods_s: deque[float] = deque(maxlen=WINDOW)
        self._last_s: float | None = None

    def tick(self, now_s: float) -> float | None:
        """Count a tick; return the seconds since the one before, None at the first."""
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
        """Count the next tick as a first one: ticks have stopped."""
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
    """Measure the time from sending an odometry to sending its command."""

    def __init__(self):
        self._longest_s = 0.0
        self._recent_s: deque[float] = deque(maxlen=WINDOW)

    def add(self, duration_s: float) -> None:
        """Add the response time of a command."""
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
    """Measure by how much actions jump where one plan replaces another."""

    def __init__(self):
        self._count = 0
        self._jumps: deque[float] = deque(maxlen=WINDOW)

    def add(self, jump: float) -> None:
        """Add the jump at a seam."""
        self._count += 1
        self._jumps.append(jump)

    def values(self) -> dict[str, object]:
        """Return the values for diagnostics."""
        if not self._jumps:
            return {'seams': 0}
        p50, p95 = np.percentile(self._jumps, (50, 95))
        return {'seams': self._count, 'seam_jump_p50': f'{p50:.3f}', 'seam_jump_p95': f'{p95:.3f}'}


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
        """Return the time until the next tick, 0 if it is due."""
        if self.real_time_factor <= 0.0:
            return 0.0
        return max(self._due_s - now_s, 0.0)

    def ticked(self, now_s: float) -> None:
        """Count a tick; the next is due one period after this one was due."""
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
