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
Which plan the follower executes at which step; knows no messages.

The step is counted by stamps: control periods from the stamp of the plan to the present odometry.
So a plan that comes late is entered where the robot is by now, not at its start; and one stamped
ahead, which begins where the plan in hand will have led, waits for its time. Once a plan counts,
the actions depend on the data alone, not on when messages arrive.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from df_planner.driving.executor import Executor
from df_planner.driving.latency import off_plan
from df_planner.driving.latency import predicted_state
from df_planner.driving.stamps import NS_PER_S
from df_planner.driving.stamps import seconds_to_ns
from df_planner.errors import StaleInput
from df_planner.planning.plan import Plan

RESTART_NS = NS_PER_S  # odometry this far in the past is a restarted source, not a late message


@dataclass(frozen=True)
class Answer:
    """
    What to do about one odometry message.

    :param action: (A,) within the limits.
    :param stamp_ns: the odometry answered.
    :param tracking_error_m: distance to the planned position, None while braking.
    :param seam_jump: by how much the action (its larger axis) differs from what the plan before
        would have had; None but in the first step of a way that takes over from another plan.
    """

    action: np.ndarray
    stamp_ns: int
    tracking_error_m: float | None
    seam_jump: float | None = None


def limited(action: np.ndarray, limits: np.ndarray) -> np.ndarray:
    """Return an action (A,) within its limits; 0 where absurd numbers have no difference."""
    return np.clip(np.nan_to_num(action, nan=0.0), -limits, limits)


class PlanFollower:
    """
    Hold the newest plan and the newest odometry, and answer the one by the other.

    Without lockstep every odometry is answered, by braking when there is no plan or when it is
    ``plan_timeout_s`` old. In lockstep an answer waits for a plan that is younger than
    ``lockstep_plan_steps``, also for one that says "brake".

    :param limits: (A,) largest magnitudes of the actions.
    :param odom_timeout_s: after such a gap in the stamps of the odometry, what was planned before
        it does not count any more.
    """

    def __init__(self, executor: Executor, control_period_s: float, plan_timeout_s: float,
                 odom_timeout_s: float, lockstep: bool, lockstep_plan_steps: int,
                 limits: Sequence[float] = (1.0, 1.0)):
        self.executor = executor
        self._period_ns = seconds_to_ns(control_period_s)
        self._plan_timeout_ns = seconds_to_ns(plan_timeout_s)
        self._gap_ns = seconds_to_ns(odom_timeout_s)
        self._limits = np.array(limits)
        self._lockstep = lockstep
        self._lockstep_plan_steps = lockstep_plan_steps
        self._plan: Plan | None = None
        self._plan_stamp_ns: int | None = None
        self._ahead: tuple[Plan, int] | None = None  # the next plan and its stamp
        self._replaced: tuple[Plan, int] | None = None  # by the plan in hand, and its stamp
        self._state: np.ndarray | None = None
        self._odom_stamp_ns: int | None = None
        self._answered = True

    @property
    def odom_stamp_ns(self) -> int | None:
        """Return the stamp of the newest odometry, None before the first."""
        return self._odom_stamp_ns

    @property
    def has_current_plan(self) -> bool:
        """Tell whether the plan in hand is one to follow now."""
        return self._plan is not None and self._is_current()

    @property
    def plan_age_s(self) -> float | None:
        """Return how long ago the plan in hand began, None without one."""
        if not self.has_current_plan:
            return None
        return (self._odom_stamp_ns - self._plan_stamp_ns) / NS_PER_S

    @property
    def stale_plan_s(self) -> float | None:
        """Return by how much a plan that does not count is older than the odometry, else None."""
        if self._plan is None or self._odom_stamp_ns is None or self._is_current():
            return None
        return (self._odom_stamp_ns - self._plan_stamp_ns) / NS_PER_S

    def predicted(self, steps: int) -> tuple[np.ndarray, int] | None:
        """Return the state (S,) in some control steps and its stamp; None without a plan."""
        if not self.has_current_plan:
            return None
        step = self._age_steps(self._plan_stamp_ns)
        off = off_plan(self._plan, step, self._state)
        if off is None:
            return None
        return (predicted_state(self._plan, step + steps, off, rests=True),
                self._odom_stamp_ns + steps * self._period_ns)

    def take_plan(self, plan: Plan | None, stamp_ns: int) -> None:
        """
        Take a plan, None for "brake", whose first row belongs to this stamp.

        If that lies ahead, the plan in hand is followed until then.
        """
        self._ahead = None
        if plan is not None and self.has_current_plan and stamp_ns > self._odom_stamp_ns:
            self._ahead = plan, stamp_ns
        else:
            self._follow(plan, stamp_ns)

    def _follow(self, plan: Plan | None, stamp_ns: int) -> None:
        takes_over = plan is not None and len(plan) > 1 and self.has_current_plan
        self._replaced = (self._plan, self._plan_stamp_ns) if takes_over else None
        self._plan, self._plan_stamp_ns = plan, stamp_ns

    def take_odometry(self, state: np.ndarray, stamp_ns: int) -> None:
        """
        Take a state (S,); taking the same one again asks for the same answer again.

        :raises StaleInput: if it is a little older than the one before. If it is much older, its
            source has restarted, and a plan from its future does not count.
        """
        last_ns = self._odom_stamp_ns
        if last_ns is not None and 0 < last_ns - stamp_ns < RESTART_NS:
            raise StaleInput(f'odometry: {(last_ns - stamp_ns) / NS_PER_S:.3f} s older than the '
                             'one before')
        if last_ns is not None and self._plan_stamp_ns is not None:
            restarted = stamp_ns < last_ns and self._plan_stamp_ns > stamp_ns
            jumped = stamp_ns - last_ns > self._gap_ns and self._plan_stamp_ns <= last_ns
            if restarted or jumped:
                self._plan = self._plan_stamp_ns = self._replaced = None
                made_before = self._ahead is not None and self._ahead[1] - last_ns <= self._gap_ns
                self._ahead = None if restarted or made_before else self._ahead
        self._state, self._odom_stamp_ns, self._answered = state, stamp_ns, False
        if self._ahead is not None and self._ahead[1] <= stamp_ns:
            (plan, plan_stamp_ns), self._ahead = self._ahead, None
            self._follow(plan, plan_stamp_ns)

    def answer(self) -> Answer | None:
        """Return the answer to the newest odometry; None if it has one or, in lockstep, waits."""
        if self._answered or (self._lockstep and not self._is_current()):
            return None
        self._answered = True
        if not self.has_current_plan:
            return Answer(limited(self.executor.action(None, 0, self._state), self._limits),
                          self._odom_stamp_ns, None)
        step = self._steps_since(self._plan_stamp_ns)
        planned = self._plan.states[min(step, len(self._plan) - 1), :2]
        action = limited(self.executor.action(self._plan, step, self._state), self._limits)
        return Answer(action, self._odom_stamp_ns,
                      float(np.linalg.norm(planned - self._state[:2])), self._seam_jump(action))

    def _seam_jump(self, action: np.ndarray) -> float | None:
        """Return how far an action (A,) is from that of the plan just replaced, if one was."""
        if self._replaced is None:
            return None
        (plan, stamp_ns), self._replaced = self._replaced, None
        before = self.executor.action(plan, self._steps_since(stamp_ns), self._state)
        return float(np.abs(action - before).max())

    def _steps_since(self, stamp_ns: int) -> int:
        """Return the control steps from a stamp to the newest odometry, 0 before it."""
        return max(self._age_steps(stamp_ns), 0)

    def _age_steps(self, stamp_ns: int) -> int:
        return round((self._odom_stamp_ns - stamp_ns) / self._period_ns)

    def _is_current(self) -> bool:
        """Tell whether the newest word of the planner, a plan or "brake", still counts."""
        if self._plan_stamp_ns is None or self._odom_stamp_ns is None:
            return False
        if self._lockstep:
            return 0 <= self._age_steps(self._plan_stamp_ns) < self._lockstep_plan_steps
        return abs(self._odom_stamp_ns - self._plan_stamp_ns) < self._plan_timeout_ns
