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
The plan in hand: which plan counts at which stamp, and where it leads the robot.

The planner's session and the follower each keep one ``Timeline``. Stamps are those of the
odometry, in nanoseconds.
"""

from collections import deque
from dataclasses import dataclass
from dataclasses import replace
import math

import numpy as np

from df_planner.driving.stamps import seconds_to_ns
from df_planner.planning.plan import Plan

ON_PLAN_M = 0.3  # a robot further off than this does not follow the plan
WINDOW, PERCENTILE = 20, 95  # of the latest durations that an estimate is taken from
TRANSPORT_STEPS = 1  # from the planner to the follower and into effect


@dataclass(frozen=True)
class TimedPlan:
    """A plan and the stamp of its first row; without a plan, the robot brakes from then on."""

    plan: Plan | None
    stamp_ns: int


class Timeline:
    """
    Hold the plan that the robot follows, the next one, and the one replaced last.

    :param dt_s: duration of one control step.
    :ivar current: what the robot follows now; None before the first plan.
    :ivar ahead: what it follows next, from a stamp in the future.
    """

    def __init__(self, dt_s: float):
        self.dt_ns = seconds_to_ns(dt_s)
        self.current: TimedPlan | None = None
        self.ahead: TimedPlan | None = None
        self._replaced: TimedPlan | None = None

    @property
    def in_hand(self) -> TimedPlan | None:
        """Return the newest plan, followed now or next; None if the robot brakes."""
        newest = self.ahead or self.current
        return None if newest is None or newest.plan is None else newest

    def steps(self, since_ns: int, now_ns: int) -> int:
        """Return the control steps from one stamp to another, negative if that is earlier."""
        return round((now_ns - since_ns) / self.dt_ns)

    def take(self, plan: Plan | None, stamp_ns: int, now_ns: int | None) -> None:
        """
        Take a plan, None for "brake", whose first row belongs to ``stamp_ns``.

        If that is in the future, the robot follows the current plan until then; "brake" counts at
        once.

        :param now_ns: stamp of the newest odometry, None if there is none yet.
        """
        follows = self.current is not None and self.current.plan is not None
        if plan is not None and follows and now_ns is not None and stamp_ns > now_ns:
            self.ahead = TimedPlan(plan, stamp_ns)
        else:
            self._follow(TimedPlan(plan, stamp_ns))

    def advance(self, now_ns: int) -> None:
        """Follow the next plan if its time has come."""
        if self.ahead is not None and self.ahead.stamp_ns <= now_ns:
            self._follow(self.ahead)

    def clear(self, keep_ahead: bool = False) -> None:
        """Forget the plans, on request all but the next one."""
        self.current = self._replaced = None
        self.ahead = self.ahead if keep_ahead else None

    def pop_replaced(self) -> TimedPlan | None:
        """Return, once, what the robot followed before ``current``."""
        replaced, self._replaced = self._replaced, None
        return replaced

    def rest_at(self, stamp_ns: int) -> Plan | None:
        """Return what is left at a stamp of the plan in hand, by time alone; None without one."""
        found = self.in_hand
        if found is None:
            return None
        return found.plan.shifted(self.steps(found.stamp_ns, stamp_ns))

    def rest_from(self, state: np.ndarray, now_ns: int) -> TimedPlan | None:
        """
        Return what is left of the plan in hand for a robot in a state (S,), None without a plan.

        It begins now, at the row nearest to the robot, which may be ahead of time. A plan that has
        not begun is returned whole.
        """
        found = self.in_hand
        if found is None or found.stamp_ns > now_ns:
            return found
        return TimedPlan(from_nearest_row(self.rest_at(now_ns), state), now_ns)

    def rows_ahead(self, now_ns: int, count: int) -> np.ndarray:
        """
        Return the planned states (count, S) from now on, one per control step.

        The robot follows ``current`` until ``ahead`` begins, and stays at the end of a plan.
        """
        stamps_ns = now_ns + self.dt_ns * np.arange(count)
        return np.array([self._row(self.ahead if self.ahead is not None
                                   and self.ahead.stamp_ns <= stamp_ns else self.current, stamp_ns)
                         for stamp_ns in stamps_ns.tolist()])

    def off(self, state: np.ndarray, now_ns: int) -> np.ndarray | None:
        """
        Return by how much a robot in a state (S,) is off the plan followed now, (4,).

        :returns: position and velocity; None if the robot does not follow a plan.
        """
        if self.current is None or self.current.plan is None:
            return None
        off = state[:4] - self._row(self.current, now_ns)[:4]
        return None if np.linalg.norm(off[:2]) > ON_PLAN_M else off

    def state_at(self, stamp_ns: int, state: np.ndarray, now_ns: int, rests: bool
                 ) -> np.ndarray | None:
        """
        Return the state (S,) in which the robot will be at a stamp, None if it follows no plan.

        It will be as far off the plan as it is now: feedback takes longer to bring it back than a
        plan takes to make.

        :param state: (S,) now.
        :param rests: the robot stays at the end of a plan; else it goes on at the velocity there.
        """
        off = self.off(state, now_ns)
        if off is None:
            return None
        followed = self.current
        if self.ahead is not None and self.ahead.stamp_ns <= stamp_ns:
            handed_over = self._row(followed, self.ahead.stamp_ns)[:4]
            followed = self.ahead
            off = off + handed_over - followed.plan.states[0, :4]
        predicted = self._row(followed, stamp_ns).copy()
        predicted[:4] += off
        if rests and self.steps(followed.stamp_ns, stamp_ns) >= len(followed.plan) - 1:
            predicted[2:4] = 0.0
        return predicted

    def _follow(self, timed: TimedPlan) -> None:
        self._replaced, self.current, self.ahead = self.current, timed, None

    def _row(self, timed: TimedPlan, stamp_ns: int) -> np.ndarray:
        """Return the planned state (S,) at a stamp: the first before the plan, the last after."""
        step = self.steps(timed.stamp_ns, stamp_ns)
        return timed.plan.states[min(max(step, 0), len(timed.plan) - 1)]


def from_nearest_row(plan: Plan, state: np.ndarray) -> Plan:
    """Return a plan without the rows before the one nearest to the position of a state (S,)."""
    return plan.shifted(int(np.linalg.norm(plan.states[:, :2] - state[:2], axis=-1).argmin()))


def entered_at(plan: Plan, state: np.ndarray) -> Plan | None:
    """
    Return what is left of a plan from a state (S,) on, which takes the place of the nearest row.

    :returns: None if the state is not on the way of the plan, or nothing is left of it.
    """
    rest = from_nearest_row(plan, state)
    if np.linalg.norm(rest.states[0, :2] - state[:2]) > ON_PLAN_M or len(rest) < 2:
        return None
    return replace(rest, states=np.concatenate([state[None], rest.states[1:]]))


class Latency:
    """Estimate how long planning, or preparing a plan, takes."""

    def __init__(self):
        self._recent_s: deque[float] = deque(maxlen=WINDOW)

    def add(self, duration_s: float) -> None:
        """Add a measured duration."""
        self._recent_s.append(duration_s)

    def steps(self, dt_s: float) -> int:
        """Return the control steps to expect next time; 0 while nothing is known."""
        if not self._recent_s:
            return 0
        return math.ceil(np.percentile(self._recent_s, PERCENTILE) / dt_s) + TRANSPORT_STEPS
