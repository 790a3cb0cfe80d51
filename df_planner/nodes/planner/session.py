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
When the planner node plans, from what, and what becomes of the result; knows no messages.

All methods are called from the executor's thread. A plan is due when the goal has none yet, or
when the last one is ``1 / planning_frequency_hz`` old by the stamps of the odometry.

It begins where the plan in hand will have led the robot by the time the new one arrives, judged by
how long plans took lately; so the robot changes plans without a jump. Without a plan in hand, or
without ``compensate_latency``, it begins at the odometry: then the same odometry gives the same
plans, however long planning takes. If the robot has stood still meanwhile, such a plan counts from
the latest odometry.

No plan leaves that the safety gate refuses: the plan in hand continues if the gate still lets it
pass, else the robot brakes.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
import time
from typing import TYPE_CHECKING

import numpy as np

from df_planner.driving.obstacles import Obstacles
from df_planner.driving.odometry_watch import OdometryWatch
from df_planner.driving.rest import is_still
from df_planner.driving.rest import Rest
from df_planner.driving.safety_gate import GateLimits
from df_planner.driving.safety_gate import SafetyGate
from df_planner.driving.stamps import has_restarted
from df_planner.driving.stamps import NS_PER_S
from df_planner.driving.stamps import seconds_to_ns
from df_planner.driving.timeline import Latency
from df_planner.driving.timeline import TimedPlan
from df_planner.driving.timeline import Timeline
from df_planner.errors import DFPlannerError
from df_planner.errors import PlanInCollision
from df_planner.errors import StaleInput
from df_planner.errors import UnsafePlan
from df_planner.maps.grid import GridMap
from df_planner.nodes.planner.parameters import PlannerParameters
from df_planner.nodes.planner.planning_job import Goal
from df_planner.nodes.planner.planning_job import PlanningJob
from df_planner.nodes.planner.planning_job import Query
from df_planner.nodes.planner.planning_job import Reading
from df_planner.nodes.planner.planning_job import Result
from df_planner.planning.plan import Plan
from df_planner.ros.worker import Outcome
from df_planner.ros.worker import Worker

if TYPE_CHECKING:
    from df_planner.planning.planner import Planner

GOAL_AHEAD_S = 5.0  # a goal this far ahead of the odometry is stamped by another clock
WORTH_WAITING_S = 0.3  # longest planning time of a plan from a predicted start
LONGEST_STAND_S = 0.5  # of stamp or position in odometry that keeps arriving
RECENT_READINGS = 100  # of these the planner takes states to filter a noisy one


class PlanningSession:
    """
    Hold goal, odometry, map and the plan in hand, and keep the worker planning.

    :ivar rest: tells whether the robot is at rest.
    :param finish: called with each Result in the executor's thread.
    """

    def __init__(self, planner: 'Planner', worker: Worker, parameters: PlannerParameters,
                 finish: Callable[[Result], None]):
        self.goal: Goal | None = None
        self.odom: Reading | None = None
        self.rest = Rest()
        self.watch = OdometryWatch(LONGEST_STAND_S)
        self._recent: deque[Reading] = deque(maxlen=RECENT_READINGS)
        self._worker = worker
        self._finish = finish
        self._timeline = Timeline(planner.card.dt_s)
        self._planned_goal: Goal | None = None  # of the latest result
        self._plan_stamp_ns: int | None = None  # odometry of the latest result; None: plan now
        self._latency = Latency()
        self._obstacles = Obstacles()
        self._job = PlanningJob(planner)
        self.set_parameters(parameters)

    @property
    def planner(self) -> 'Planner':
        """Return the planner of the next plan."""
        return self._job.planner

    @property
    def latency_steps(self) -> int:
        """Return the control steps that the next plan is expected to take."""
        return self._latency.steps(self.planner.card.dt_s)

    # Inputs

    def set_planner(self, planner: 'Planner') -> None:
        """Plan with another model from the next plan on; goal, map and plan in hand stay."""
        planner.map = self.planner.map
        self._job = PlanningJob(planner)
        self.set_parameters(self._parameters)

    def set_parameters(self, parameters: PlannerParameters) -> None:
        """Take new parameters; a plan that is being made keeps the old ones."""
        self._parameters, job = parameters, self._job
        self._obstacles.timeout_s = parameters.local_costmap_timeout_s
        self.watch.timeout_s = min(parameters.odom_timeout_s, LONGEST_STAND_S)
        self._gate = SafetyGate(GateLimits.of(parameters), self.planner.card)
        self._worker.submit('parameters', lambda _: job.set_up(parameters))

    def set_map(self, grid: GridMap) -> None:
        """Take a new map; if the plan in hand hits it, stop and replan."""
        self._obstacles.map = grid
        self._look(float('inf'))

    def set_local_map(self, local: GridMap, stamp_ns: int) -> None:
        """Take a local map; if the plan in hand hits it, replan, and stop if it does so soon."""
        self._obstacles.take(local, stamp_ns)
        self._look(self._parameters.brake_ahead_s)

    def _look(self, brake_ahead_s: float) -> None:
        """Plan on the newest maps from now on, the plan in hand included."""
        grid = self.planner.map = self._obstacles.planning_map(self._parameters)
        if grid is not None and self.odom is not None and self._timeline.in_hand is not None:
            rest = self._going_on().plan
            try:
                self._gate.check_collision(rest, grid)
            except PlanInCollision as error:
                self._plan_stamp_ns = None
                if self._gate.hits_within(rest, grid, brake_ahead_s):
                    self._worker.cancel('plan')
                    self._timeline.take(None, self.odom.stamp_ns, self.odom.stamp_ns)
                    self._finish(Result(None, error, self.odom.stamp_ns, 0.0))
        self.plan_if_due()

    def set_goal(self, position: np.ndarray, stamp_ns: int) -> None:
        """Take a new goal (2,), cancelling the plan being made; errors of ``check_goal``."""
        self.goal = Goal(self.planner.check_goal(position), stamp_ns)
        self.watch.release()
        self._worker.cancel('plan')
        self.plan_if_due()

    def clear_goal(self) -> None:
        """Forget the goal and cancel the plan being made."""
        self.watch.release()
        self._worker.cancel('plan')
        self._timeline.clear()
        self.goal = None

    def set_odometry(self, state: np.ndarray, stamp_ns: int, clock_s: float | None = None
                     ) -> None:
        """
        Take a state (S,).

        :param clock_s: simulated time, None if there is none.
        :raises StaleInput: if it is a little older than the one before, or does not advance. If it
            is much older, its source has restarted (see ``restart``).
        """
        now_s = time.monotonic()
        if not self._parameters.lockstep:
            self.watch.hear(state, stamp_ns, now_s, clock_s)
        if self.watch.fault is not None:
            self.odom = Reading(state, stamp_ns, now_s)
            self._distrust(stamp_ns)
            raise StaleInput(self.watch.fault)
        if has_restarted(None if self.odom is None else self.odom.stamp_ns, stamp_ns):
            self.restart()
        self.odom = Reading(state, stamp_ns, now_s)
        self._recent.append(self.odom)
        self.rest.take(state, stamp_ns)
        self._timeline.advance(stamp_ns)
        self.plan_if_due()

    def restart(self) -> None:
        """Forget all that is stamped, since time has jumped back; the goal stays."""
        self._worker.cancel('plan')
        self._recent.clear()
        self.rest.begin()
        self._timeline.clear()
        self._obstacles.take(None)
        self.planner.map = self._obstacles.map
        self.odom = self._plan_stamp_ns = None
        if self.goal is not None:
            self.goal = replace(self.goal, stamp_ns=0)

    def _distrust(self, stamp_ns: int) -> None:
        """Drop what was planned from odometry that does not advance, and let the robot brake."""
        self._recent.clear()
        self.rest.begin()
        if self._timeline.in_hand is not None or self._worker.is_busy('plan'):
            self._worker.cancel('plan')
            self._timeline.clear()
            error = StaleInput('no plan from odometry that does not advance')
            self._finish(Result(None, error, stamp_ns, 0.0))
        self._plan_stamp_ns = None

    def missing_inputs(self, with_odom: bool = True) -> list[str]:
        """Name the inputs that planning waits for."""
        missing = []
        if with_odom and self.odom is None:
            missing.append('odom')
        elif with_odom and (age_s := time.monotonic() - self.odom.received_s
                            ) > self._parameters.odom_timeout_s:
            missing.append(f'odom (last heard {age_s:.0f} s ago)')
        elif with_odom and not self.watch.is_sound:
            missing.append('odom that advances')
        elif with_odom and (stale := self._obstacles.staleness(self.odom.stamp_ns)):
            missing.append(stale)
        if self._parameters.collision_check and self.planner.map is None:
            missing.append('map')
        return missing

    # Planning

    def rest_at(self, stamp_ns: int) -> Plan | None:
        """Return what is left at a stamp of the plan in hand, None without one to this goal."""
        return self._timeline.rest_at(stamp_ns) if self._planned_goal is self.goal else None

    def replan(self) -> None:
        """Make the next plan due from the next odometry on."""
        self._plan_stamp_ns = None

    def plan_if_due(self) -> None:
        """Have the worker plan, if there is reason to."""
        goal, odom = self.goal, self.odom
        if goal is None or self._worker.is_busy('plan') or self.missing_inputs():
            return
        if 0 < goal.stamp_ns - odom.stamp_ns <= seconds_to_ns(GOAL_AHEAD_S):
            return
        frequency_hz = self._parameters.planning_frequency_hz
        interval_steps = max(1, round(1.0 / (frequency_hz * self.planner.card.dt_s)))
        if self._planned_goal is goal and self._plan_stamp_ns is not None and (
                self._timeline.steps(self._plan_stamp_ns, odom.stamp_ns) < interval_steps):
            return
        start, timeout_s = self._start(odom), self._parameters.timeout_s
        query = Query(goal, start, tuple(self._recent), self.rest_at(start.stamp_ns),
                      timeout_s if start is odom else min(timeout_s, WORTH_WAITING_S))
        self._worker.submit('plan', partial(self._job.plan, query),
                            partial(self._take, odom, start))

    def _start(self, odom: Reading) -> Reading:
        """Return where to plan from: where the robot will be, else the odometry."""
        parameters, steps, in_hand = self._parameters, self.latency_steps, self._timeline.in_hand
        if in_hand is None or not steps or not parameters.compensate_latency or (
                parameters.delay_steps > 0):
            return odom
        stamp_ns = max(odom.stamp_ns + steps * self._timeline.dt_ns, in_hand.stamp_ns)
        state = self._timeline.state_at(stamp_ns, odom.state, odom.stamp_ns,
                                        parameters.hold_at_goal)
        if state is None:
            return odom
        try:
            return Reading(self.planner.check_state(state), stamp_ns, odom.received_s)
        except DFPlannerError:  # just inside an obstacle, where the robot itself will not get
            return odom

    def plan_once(self, start: np.ndarray | None, goal: np.ndarray,
                  done: Callable[[Outcome], None], key: str) -> None:
        """
        Plan apart from goal and odometry, with the seed of the node.

        :param start: (S,) a state, None for that of the odometry.
        :param done: called with the plan, if it passes the safety gate, or the error.
        :param key: names the caller; the latest job of a key wins.
        :raises StaleInput: without the odometry or the map that this takes.
        """
        missing = self.missing_inputs(with_odom=start is None)
        if missing:
            raise StaleInput('no plan without ' + ', '.join(missing))
        state = self.odom.state if start is None else start
        self._worker.submit(key, partial(self._job.plan_apart, state, goal, self._gate,
                                         self._parameters.timeout_s), done)

    def cancel_plan_once(self, key: str) -> None:
        """Cancel what ``plan_once`` was asked for; its ``done`` is not called."""
        self._worker.cancel(key)

    # Results

    def _take(self, odom: Reading, start: Reading, outcome: Outcome) -> None:
        """Take what the worker returned; a defect or a failing device also means "brake"."""
        result, now_ns, planned_ns = outcome.value, self.odom.stamp_ns, odom.stamp_ns
        if outcome.error is not None:
            result = Result(None, DFPlannerError(repr(outcome.error)), start.stamp_ns, 0.0)
        if start is not odom:
            result = replace(result, late_s=max(now_ns - start.stamp_ns, 0) / NS_PER_S)
        elif is_still(self.odom.state, odom.state):
            result, planned_ns = replace(result, stamp_ns=now_ns), now_ns
        had_plan = self._timeline.in_hand is not None
        if not result.start_is_bad:
            result = self._passed(result, start.state)
            self._planned_goal, self._plan_stamp_ns = self.goal, planned_ns
            self._timeline.take(result.plan, result.stamp_ns, now_ns)
        self._finish(result)
        if had_plan and result.asked_network:  # the first one takes longer, and the robot waits
            self._latency.add(time.monotonic() - odom.received_s)

    def _passed(self, result: Result, start: np.ndarray) -> Result:
        """Return a result that passes the gate: its plan, else the one in hand, else none."""
        in_hand, error = self._safe_rest(), result.error
        if result.plan is not None:
            try:
                self._check(result.plan, result.stamp_ns, start if error is None else None,
                            None if in_hand is None else in_hand.plan)
                return result
            except UnsafePlan as refusal:
                error = refusal
        if in_hand is None or result.goal_is_bad:
            return replace(result, plan=None, error=error)
        return replace(result, plan=in_hand.plan, stamp_ns=in_hand.stamp_ns, error=error)

    def _going_on(self) -> TimedPlan | None:
        """Return what is left of the plan in hand from where the robot is on it by now."""
        return self._timeline.rest_from(self.odom.state, self.odom.stamp_ns)

    def _safe_rest(self) -> TimedPlan | None:
        """Return the rest of the plan in hand, if it leads to the goal and passes the gate."""
        in_hand, rest = self._timeline.in_hand, self._going_on()
        if rest is None or not np.array_equal(rest.plan.goal, self.goal.position):
            return None
        if len(rest.plan) < min(2, len(in_hand.plan)):
            return None  # it has ended
        try:
            self._check(rest.plan, rest.stamp_ns)
        except UnsafePlan:
            return None
        return rest

    def _check(self, plan: Plan, stamp_ns: int, start: np.ndarray | None = None,
               in_hand: Plan | None = None) -> None:
        """Raise an UnsafePlan if a plan may not leave, or the robot cannot follow it."""
        self._gate.check(plan, start, self.planner.map, in_hand)
        self._gate.check_robot(plan, self.odom.state, (stamp_ns - self.odom.stamp_ns) / NS_PER_S)
