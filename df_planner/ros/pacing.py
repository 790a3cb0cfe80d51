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


"""Pacing by steady time: when the next tick is due, and how fast time really runs."""

from collections.abc import Sequence
import math

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
