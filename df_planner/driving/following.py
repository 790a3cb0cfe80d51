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

Steps are counted by stamps: control periods from the stamp of the plan to the newest odometry. So
a late plan is entered where the robot is by now, not at its start, and the actions depend on the
data alone, not on when messages arrive.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from df_planner.driving.executor import Executor
from df_planner.driving.obstacles import Obstacles
from df_planner.driving.odometry_watch import OdometryWatch
from df_planner.driving.rest import Rest
from df_planner.driving.stamps import has_restarted
from df_planner.driving.stamps import NS_PER_S
from df_planner.driving.stamps import seconds_to_ns
from df_planner.driving.timeline import entered_at
from df_planner.driving.timeline import TimedPlan
from df_planner.driving.timeline import Timeline
from df_planner.planning.plan import Plan

CARRIED_M = 1.0  # from one message to the next: the robot is elsewhere, its plan leads nowhere
RARE_PERIODS = 6  # of control between messages; a point at its gains gets unstable beyond


@dataclass(frozen=True)
class Answer:
    """
    What to do about one odometry message.

    :param action: (A,) within the limits.
    :param stamp_ns: the odometry answered.
    :param tracking_error_m: distance to the planned position, None while braking.
    :param seam_jump: difference of the action (its larger axis) from that of the plan before, in
        the first step of a plan that replaces another one; else None.
    """

    action: np.ndarray
    stamp_ns: int
    tracking_error_m: float | None
    seam_jump: float | None = None


class PlanFollower:
    """
    Hold the newest odometry and the plan in hand, and answer the one by the other.

    Without lockstep a plan is followed until another one comes, "brake", or it is
    ``plan_timeout_s`` old; then the robot is braked until it is at rest, and after a last zero
    action nothing is answered until the next plan: who moves the robot by then is not resisted. It
    begins with braking too, since it may be the follower after one that was killed.

    In lockstep an answer waits for a plan, or "brake", younger than ``lockstep_plan_steps``; there
    "brake" is answered as long as it lasts.

    While the odometry does not advance (see ``watch``), no plan counts, also not afterwards.

    A plan whose next part hits an obstacle of the newest local map (``obstacles``) ends at once.

    :param odom_timeout_s: a gap this long in the stamps of the odometry ends plans made before,
        and so does something that stands still in it for this long by the wall clock.
    :param limits: (A,) largest magnitudes of the actions.
    :ivar braked_for: what ended the plan in hand before its time, None if nothing did.
    """

    def __init__(self, executor: Executor, control_period_s: float, plan_timeout_s: float,
                 odom_timeout_s: float, lockstep: bool, lockstep_plan_steps: int,
                 limits: Sequence[float] = (1.0, 1.0), obstacles: Obstacles = Obstacles()):
        self.executor = executor
        self.odom_stamp_ns: int | None = None  # of the newest odometry
        self.obstacles = obstacles
        self.braked_for: str | None = None
        self.watch = OdometryWatch(odom_timeout_s, RARE_PERIODS * control_period_s)
        self._timeline = Timeline(control_period_s)
        self._plan_timeout_ns = seconds_to_ns(plan_timeout_s)
        self._gap_ns = seconds_to_ns(odom_timeout_s)
        self._limits = np.array(limits)
        self._lockstep = lockstep
        self._lockstep_plan_steps = lockstep_plan_steps
        self._state: np.ndarray | None = None
        self._answered = True
        self._was_carried = False  # to where no plan has led from yet
        self._rest = Rest()  # since the last step of a plan
        self._has_control = True

    @property
    def has_current_plan(self) -> bool:
        """Tell whether there is a plan to follow now: one that has not timed out."""
        return self.watch.is_sound and self._is_followed(self._timeline.current)

    @property
    def has_control(self) -> bool:
        """Tell whether odometry is answered: by following a plan, or braking after one."""
        return self._has_control or self.has_current_plan

    @property
    def plan_age_s(self) -> float | None:
        """Return how long before the odometry the plan began, timed out or not; None without."""
        current = self._timeline.current
        if current is None or current.plan is None or self.odom_stamp_ns is None:
            return None
        return (self.odom_stamp_ns - current.stamp_ns) / NS_PER_S

    def entered(self, plan: Plan, stamp_ns: int, steps: int) -> tuple[Plan, int]:
        """
        Return a new plan and its stamp from where the robot will be on it in some control steps.

        Returned unchanged if the robot follows no plan then, or will be off the new one.
        """
        if self.has_current_plan:
            then_ns = self.odom_stamp_ns + steps * self._timeline.dt_ns
            state = self._timeline.state_at(then_ns, self._state, self.odom_stamp_ns, rests=True)
            rest = None if state is None else entered_at(plan, state)
            if rest is not None:
                return rest, then_ns
        return plan, stamp_ns

    def take_plan(self, plan: Plan | None, stamp_ns: int) -> None:
        """
        Take a plan, None for "brake", whose first row belongs to this stamp.

        Any is ignored while the odometry is bad, and so is one from before the robot was put
        elsewhere, which it is nowhere near.
        """
        if plan is None:
            self.watch.release()
        elif self.watch.fault is not None or (
                self._was_carried and self._is_far(plan, stamp_ns)):
            return
        self._was_carried = False
        if not self.has_current_plan:
            self._timeline.clear()
        self._timeline.take(plan, stamp_ns, self.odom_stamp_ns)

    def take_odometry(self, state: np.ndarray, stamp_ns: int, now_s: float | None = None,
                      clock_s: float | None = None) -> None:
        """
        Take a state (S,); the same one again asks for the same answer again.

        :param now_s: when it came, for ``watch``; None in lockstep, where time may stand still.
        :param clock_s: simulated time, None if there is none.
        :raises StaleInput: if it is a little older than the one before. If it is much older, its
            source has restarted, and a plan from its future ends.
        """
        last_ns, timeline = self.odom_stamp_ns, self._timeline
        if now_s is not None:
            is_bad = self.watch.hear(state, stamp_ns, now_s, clock_s) is not None
            self._was_carried = self._was_carried or self._is_carried(state, stamp_ns)
            if is_bad or self._was_carried:
                timeline.clear()
            if is_bad:
                last_ns = None  # a late state, too, is good enough to brake by
        restarted = has_restarted(last_ns, stamp_ns)
        if last_ns is not None and timeline.current is not None:
            began_ns, ahead = timeline.current.stamp_ns, timeline.ahead
            if restarted and began_ns > stamp_ns:
                timeline.clear()
            elif stamp_ns - last_ns > self._gap_ns and began_ns <= last_ns:
                timeline.clear(
                    keep_ahead=ahead is not None and ahead.stamp_ns - last_ns > self._gap_ns)
        self._state, self.odom_stamp_ns, self._answered = state, stamp_ns, False
        timeline.advance(stamp_ns)
        if self.watch.fault is None:
            self._rest.take(state, stamp_ns)
        else:
            self._rest.begin()

    def answer(self) -> Answer | None:
        """
        Return the answer to the newest odometry.

        :returns: None if it has one, if it waits (in lockstep), or without control of the robot.
        """
        if self._answered or (self._lockstep and not self._is_current(self._timeline.current)):
            return None
        if not self.has_control:
            return None
        self._answered = True
        self._brake_for_obstacles()
        if not self.has_current_plan:
            self._has_control = self._lockstep or not self._rest.is_reached
            # Braking by a velocity that is not true would drive the robot.
            blind = not (self.watch.has_velocity and self._has_control)
            action = np.zeros(len(self._limits)) if blind else self._action(None, 0)
            return Answer(action, self.odom_stamp_ns, None)
        self._has_control = True
        self._rest.begin()
        plan, step = self._timeline.current.plan, self._step_of(self._timeline.current)
        planned = plan.states[min(step, len(plan) - 1), :2]
        action = np.zeros(len(self._limits)) if self.watch.is_frozen else self._action(plan, step)
        self.watch.commanded(float((np.abs(action) / self._limits).max()))
        return Answer(action, self.odom_stamp_ns,
                      float(np.linalg.norm(planned - self._state[:2])), self._seam_jump(action))

    def _brake_for_obstacles(self) -> None:
        """End the plan in hand if an obstacle is in its way, or nobody looks out for any."""
        if not (self.obstacles.are_told and self.has_current_plan):
            return
        rows = self._timeline.rows_ahead(
            self.odom_stamp_ns, self.obstacles.steps_ahead(self._timeline.dt_ns))
        stale = self.obstacles.staleness(self.odom_stamp_ns)
        if stale is not None:
            self.braked_for = f'waiting for {stale}'
        elif self.obstacles.are_in_way(
                np.vstack([self._state[:2], rows[:, :2]]), self._timeline.dt_ns / NS_PER_S,
                self.odom_stamp_ns):
            self.braked_for = 'an obstacle of the local costmap is in the way'
        else:
            self.braked_for = None
            return
        self._timeline.take(None, self.odom_stamp_ns, self.odom_stamp_ns)

    def _is_far(self, plan: Plan, stamp_ns: int) -> bool:
        ahead_s = max(stamp_ns - self.odom_stamp_ns, 0) / NS_PER_S
        reach_m = CARRIED_M + ahead_s * float(np.linalg.norm(self._state[2:4]))
        return bool(np.linalg.norm(plan.states[:, :2] - self._state[:2], axis=1).min() > reach_m)

    def _is_carried(self, state: np.ndarray, stamp_ns: int) -> bool:
        if self._state is None:
            return False
        gap_s = abs(stamp_ns - self.odom_stamp_ns) / NS_PER_S
        reach_m = CARRIED_M + 2.0 * gap_s * float(np.linalg.norm(state[2:4]))
        return bool(np.linalg.norm(state[:2] - self._state[:2]) > reach_m)

    def _seam_jump(self, action: np.ndarray) -> float | None:
        """Return how far an action (A,) is from that of the plan just replaced, if one was."""
        before = self._timeline.pop_replaced()
        if not self._is_followed(before) or len(self._timeline.current.plan) < 2:
            return None
        return float(np.abs(action - self._action(before.plan, self._step_of(before))).max())

    def _action(self, plan: Plan | None, step: int) -> np.ndarray:
        """Return an action (A,) within the limits, 0 in place of NaN."""
        action = self.executor.action(plan, step, self._state)
        return np.clip(np.nan_to_num(action, nan=0.0), -self._limits, self._limits)

    def _step_of(self, timed: TimedPlan) -> int:
        """Return the control steps from the first row to the newest odometry, 0 before it."""
        return max(self._timeline.steps(timed.stamp_ns, self.odom_stamp_ns), 0)

    def _is_followed(self, timed: TimedPlan | None) -> bool:
        return timed is not None and timed.plan is not None and self._is_current(timed)

    def _is_current(self, timed: TimedPlan | None) -> bool:
        """Tell whether a plan or "brake" has not timed out."""
        if timed is None or self.odom_stamp_ns is None:
            return False
        if self._lockstep:
            steps = self._timeline.steps(timed.stamp_ns, self.odom_stamp_ns)
            return 0 <= steps < self._lockstep_plan_steps
        return abs(self.odom_stamp_ns - timed.stamp_ns) < self._plan_timeout_ns
