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
What the soak test checks, each in a few lines: commands, memory, logs.

The checks know numbers only. They are told of messages in the order of their publication; commands
are judged by the stamps of the odometry that they answer, so that the load of the machine does not
matter.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
import math
from statistics import median

NS_PER_S = 1_000_000_000
MAX_PUSH_W = 2.0  # power that counts as driving; holding a position takes less
MAX_FORCE_AT_REST_N = 25.0
REST_M_S = 0.05
PERSISTENT = 3  # commands in a row: a single one may answer forged odometry of the same stamp
ANSWERABLE = 400  # stamps of true odometry that a command may answer
MEMORY_TOLERANCE = 0.02
# Of what is left after the warm-up, the share whose median is compared at both ends.
MEMORY_ENDS = 0.2


@dataclass(frozen=True)
class Limits:
    """
    What commands must keep to, as the follower's parameters say.

    :param grace_s: time that passes between an input and its effect on the commands.
    """

    max_force_n: float = 100.0
    plan_timeout_s: float = 2.0
    odom_timeout_s: float = 0.5
    grace_s: float = 1.0


class CommandCheck:
    """Judge every command; plans and odometry are heard as the follower hears them."""

    def __init__(self, limits: Limits):
        """Start with nothing heard."""
        self._limits = limits
        self._velocities: dict[int, tuple[float, float]] = {}
        self._order: deque[int] = deque()
        self._now_ns = 0
        self._planned_until_ns: int | None = None  # before the first plan, nothing is known
        self._ahead_ns = 0, 0
        self._heard_at_s = 0.0
        self._pushes = 0
        self._is_ok: dict[str, bool] = {}

    def diagnostics(self, name: str, is_ok: bool) -> None:
        """Hear a status of planner or follower."""
        self._is_ok[name] = is_ok

    def odometry(self, stamp_ns: int, velocity: tuple[float, float], wall_s: float) -> None:
        """Hear true odometry, its velocity in the map's axes."""
        if stamp_ns != self._now_ns:
            self._now_ns, self._heard_at_s = stamp_ns, wall_s
        self._velocities[stamp_ns] = velocity
        self._order.append(stamp_ns)
        if len(self._order) > ANSWERABLE:
            self._velocities.pop(self._order.popleft(), None)

    def plan(self, stamp_ns: int, points: int) -> None:
        """Hear a plan that is well-formed, or an empty one, which ends the one before."""
        timeout_ns = round(self._limits.plan_timeout_s * NS_PER_S)
        grace_ns = round(self._limits.grace_s * NS_PER_S)
        until_ns = stamp_ns + timeout_ns + grace_ns
        if points > 0 and stamp_ns - self._now_ns >= timeout_ns:
            # It waits for its time, and the plan in hand goes on.
            self._ahead_ns = stamp_ns - timeout_ns - grace_ns, until_ns
            return
        current = points > 0 and self._now_ns - stamp_ns < timeout_ns
        self._planned_until_ns = until_ns if current else self._now_ns + grace_ns
        self._ahead_ns = 0, 0

    def _is_planned(self, stamp_ns: int) -> bool:
        first_ns, last_ns = self._ahead_ns
        return (self._planned_until_ns is None or stamp_ns <= self._planned_until_ns
                or first_ns <= stamp_ns <= last_ns)

    def command(self, stamp_ns: int, force: tuple[float, float], wall_s: float) -> str | None:
        """Return what is unsafe about a command that answers odometry of this stamp, or None."""
        limits = self._limits
        if not all(map(math.isfinite, force)):
            return f'a command that is not finite: {force}'
        if max(map(abs, force)) > limits.max_force_n * (1.0 + 1e-6):
            return f'a command beyond {limits.max_force_n} N: {force}'
        silence_s = wall_s - self._heard_at_s
        if self._heard_at_s and silence_s > limits.odom_timeout_s + limits.grace_s:
            if any(force):
                return f'force {force} although odometry stopped {silence_s:.1f} s ago'
            if self._is_ok and all(self._is_ok.values()):
                return (f'a command although odometry stopped {silence_s:.1f} s ago, and all '
                        'diagnostics are green')
        velocity = self._velocities.get(stamp_ns)
        if velocity is None or self._is_planned(stamp_ns):
            self._pushes = 0
            return None
        power_w = force[0] * velocity[0] + force[1] * velocity[1]
        at_rest = math.hypot(*velocity) < REST_M_S
        pushes = power_w > MAX_PUSH_W or (at_rest and math.hypot(*force) > MAX_FORCE_AT_REST_N)
        self._pushes = self._pushes + 1 if pushes else 0
        if self._pushes != PERSISTENT:
            return None
        return f'driving with {force} N at {velocity} m/s after the last plan ended'


@dataclass(frozen=True)
class Growth:
    """How much memory a process needed at first and at last, after its warm-up."""

    process: str
    life: int
    seconds: float
    first_mb: float
    last_mb: float

    @property
    def share(self) -> float:
        """Return the growth as a share of what it was at first."""
        return self.last_mb / self.first_mb - 1.0

    @property
    def is_flat(self) -> bool:
        """Tell whether it stayed within the tolerance."""
        return abs(self.share) <= MEMORY_TOLERANCE


def growth(process: str, life: int, samples: Sequence[tuple[float, float]],
           warm_up_s: float) -> Growth | None:
    """
    Return how the memory of one life of a process grew; None for a life that is too short.

    :param samples: (seconds, MB), in the order of time.
    """
    after = [(at_s, mb) for at_s, mb in samples if at_s >= samples[0][0] + warm_up_s]
    if not after or (seconds := after[-1][0] - after[0][0]) < warm_up_s / 2.0:
        return None
    ends = MEMORY_ENDS * seconds
    first = median(mb for at_s, mb in after if at_s <= after[0][0] + ends)
    last = median(mb for at_s, mb in after if at_s >= after[-1][0] - ends)
    return Growth(process, life, seconds, first, last)
