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

It begins where the plan in hand will have led the robot by the time it is there, reckoned by how
long plans took of late; so the robot goes from one to the next without a jump. Without a plan in
hand, or without ``compensate_latency``, it begins at the odometry: then the same odometry gives
the same plans, however long planning takes. If the robot has stood still since, such a plan counts
from the latest odometry.

No plan leaves that the safety gate refuses: the one before goes on if the gate still lets it pass,
else the robot brakes.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial
import time
from typing import TYPE_CHECKING

import numpy as np

from df_planner.driving.latency import Latency
from df_planner.driving.latency import predicted_state
from df_planner.driving.stamps import NS_PER_S
from df_planner.driving.stamps import seconds_to_ns
from df_planner.errors import DFPlannerError
from df_planner.errors import GoalOccupied
from df_planner.errors import GoalOutsideMap
from df_planner.errors import PlanInCollision
from df_planner.errors import StaleInput
from df_planner.errors import UnsafePlan
from df_planner.nodes.planner.handover import Handover
from df_planner.nodes.planner.parameters import PlannerParameters
from df_planner.nodes.planner.planning_job import Goal
from df_planner.nodes.planner.planning_job import InHand
from df_planner.nodes.planner.planning_job import Reading
from df_planner.nodes.planner.planning_job import Replanning
from df_planner.nodes.planner.planning_job import Request
from df_planner.nodes.planner.planning_job import Result
from df_planner.nodes.planner.safety_gate import SafetyGate
from df_planner.planning.map import GridMap
from df_planner.planning.plan import Plan
from df_planner.ros.worker import Outcome
from df_planner.ros.worker import ShouldStop
from df_planner.ros.worker import Worker

if TYPE_CHECKING:
    from df_planner.planning.planner import Planner

RESTART_S = 1.0  # odometry this far in the past is a restarted source, not a late message
GOAL_AHEAD_S = 5.0  # a goal this far ahead of the odometry is stamped by another clock
WORTH_WAITING_S = 0.3  # for a plan from where the robot was to be; then another is begun
RECENT_READINGS = 100  # of these the planner filters a noisy one with those before it
# A robot that has moved and moves less than this still is where a plan starts.
STILL_M, STILL_M_S, STILL_RAD = 0.05, 0.2, 0.05
BAD_GOALS = (GoalOccupied, GoalOutsideMap)  # the plan before leads there too


class PlanningSession:
    """
    Hold goal, odometry and map, and keep the worker planning.

    :param finish: called with each Result in the executor's thread.
    """

    def __init__(self, planner: 'Planner', worker: Worker, parameters: PlannerParameters,
                 finish: Callable[[Result], None]):
        """Start without any input."""
        self.goal: Goal | None = None
        self.odom: Reading | None = None
        self._recent: deque[Reading] = deque(maxlen=RECENT_READINGS)
        self._worker = worker
        self._finish = finish
        self._plan_stamp_ns: int | None = None
        self._executed: InHand | None = None  # what the follower follows
        self._handover = Handover(self._step)
        self._not_as_planned: InHand | None = None  # what is executed instead of the last plan
        self._latency = Latency()
        self._delay_steps = 0
        self._dt_ns = seconds_to_ns(planner.card.dt_s)
        self._replanning = Replanning(planner)
        self.set_parameters(parameters)

    @property
    def planner(self) -> 'Planner':
        """Return the planner of the next plan."""
        return self._replanning.planner

    def set_planner(self, planner: 'Planner') -> None:
        """Plan with another model from the next plan on; goal, map and plan in hand stay."""
        planner.map = self.planner.map
        self._replanning = Replanning(planner)
        self.set_parameters(self._parameters)
        if self.goal is not None and self._executed is not None and (
                np.array_equal(self._executed.plan.goal, self.goal.position)):
            self._not_as_planned = self._executed

    def set_parameters(self, parameters: PlannerParameters) -> None:
        """Take new parameters; a plan that is being made keeps the old ones."""
        self._parameters = parameters
        self._gate = SafetyGate(parameters, self.planner.card)
        replanning = self._replanning
        self._worker.submit('parameters', lambda _: replanning.set_up(parameters))

    def set_map(self, grid: GridMap) -> None:
        """Take a new map; if the plan being executed hits it, stop and plan anew."""
        self.planner.map = grid
        if self._executed is not None and self.odom is not None:
            try:
                self._gate.check_collision(self._rest_in_hand().plan, grid)
            except PlanInCollision as error:
                self._worker.cancel('plan')
                self._stop(error)
        self.plan_if_due()

    def set_goal(self, position: np.ndarray, stamp_ns: int) -> None:
        """Take a new goal (2,), dropping a plan in the making; errors of ``check_goal``."""
        position = self.planner.check_goal(position)
        self._worker.cancel('plan')
        self.goal, self._plan_stamp_ns = Goal(position, stamp_ns), None
        self._not_as_planned = None
        self.plan_if_due()

    def clear_goal(self) -> None:
        """Forget the goal and drop a plan in the making."""
        self._worker.cancel('plan')
        self.goal = self._plan_stamp_ns = self._executed = self._not_as_planned = None

    def set_odometry(self, state: np.ndarray, stamp_ns: int) -> None:
        """
        Take a state (S,).

        :raises StaleInput: if it is a little older than the one before. If it is much older, its
            source has restarted (see ``restart``).
        """
        late_ns = self.odom.stamp_ns - stamp_ns if self.odom is not None else 0
        if 0 < late_ns < seconds_to_ns(RESTART_S):
            raise StaleInput(f'odometry: {late_ns * 1e-9:.3f} s older than the one before')
        if late_ns > 0:
            self.restart()
        self.odom = Reading(state, stamp_ns, time.monotonic())
        self._recent.append(self.odom)
        self.plan_if_due()

    def restart(self) -> None:
        """Forget all that is stamped, since time has jumped back; the goal stays."""
        self._worker.cancel('plan')
        self._recent.clear()
        self.odom = self._plan_stamp_ns = self._executed = self._not_as_planned = None
        if self.goal is not None:
            self.goal = replace(self.goal, stamp_ns=0)

    def plan_anew(self) -> None:
        """Make the next plan due from the next odometry on."""
        self._plan_stamp_ns = None

    def missing_inputs(self, with_odom: bool = True) -> list[str]:
        """Name the inputs that planning waits for."""
        missing = []
        if with_odom and self.odom is None:
            missing.append('odom')
        elif with_odom and (age_s := time.monotonic() - self.odom.received_s
                            ) > self._parameters.odom_timeout_s:
            missing.append(f'odom (last heard {age_s:.0f} s ago)')
        if self._parameters.collision_check and self.planner.map is None:
            missing.append('map')
        return missing

    def plan_if_due(self) -> None:
        """Have the worker plan, if there is reason to."""
        goal, odom = self.goal, self.odom
        if goal is None or self._worker.is_busy('plan') or self.missing_inputs():
            return
        if 0 < goal.stamp_ns - odom.stamp_ns <= seconds_to_ns(GOAL_AHEAD_S):
            return
        frequency_hz = self._parameters.planning_frequency_hz
        interval_steps = max(1, round(1.0 / (frequency_hz * self.planner.card.dt_s)))
        if self._plan_stamp_ns is not None and (
                self._step(odom.stamp_ns) - self._step(self._plan_stamp_ns) < interval_steps):
            return
        start = self._start(odom)
        request = Request(goal, start, tuple(self._recent), self._delay_steps,
                          self._timeout_s(start is not odom), self._not_as_planned)
        self._worker.submit('plan', partial(self._replanning.plan, request),
                            partial(self._take, self._replanning, odom, start))
        self._delay_steps, self._not_as_planned = 0, None

    def _timeout_s(self, from_ahead: bool) -> float:
        """Return when to give up a plan; one from a start that is long past helps nobody."""
        timeout_s = self._parameters.timeout_s
        return min(timeout_s, WORTH_WAITING_S) if from_ahead else timeout_s

    @property
    def latency_steps(self) -> int:
        """Return the control steps that the next plan is expected to take."""
        return self._latency.steps(self.planner.card.dt_s)

    def _start(self, odom: Reading) -> Reading:
        """Return where to plan from: where the robot will be, else the odometry."""
        parameters, steps = self._parameters, self.latency_steps
        if self._executed is None or not steps or not parameters.compensate_latency or (
                parameters.delay_steps > 0):
            return odom
        plan, stamp_ns = self._executed.plan, self._executed.stamp_ns
        step = self._step(odom.stamp_ns) - self._step(stamp_ns)
        ahead = max(steps, -step)
        off = self._handover.off_plan(self._executed, odom)
        if off is None:
            return odom
        state = predicted_state(plan, step + ahead, off, parameters.hold_at_goal)
        try:
            return Reading(self.planner.check_state(state), odom.stamp_ns + ahead * self._dt_ns,
                           odom.received_s)
        except DFPlannerError:  # just inside an obstacle, where the robot itself will not get
            return odom

    def plan_once(self, start: np.ndarray | None, goal: np.ndarray,
                  done: Callable[[Outcome], None], key: str) -> None:
        """
        Plan apart from goal and odometry, with the seed of the node.

        :param start: (S,) a state, None for that of the odometry.
        :param done: called with the plan, if it passes the safety gate, or the error.
        :param key: says for whom; the latest job of a key wins.
        :raises StaleInput: without the odometry or the map that this takes.
        :raises DFPlannerError: those of ``check_state`` and ``check_goal``.
        """
        missing = self.missing_inputs(with_odom=start is None)
        if missing:
            raise StaleInput('no plan without ' + ', '.join(missing))
        replanning, gate, timeout_s = self._replanning, self._gate, self._parameters.timeout_s
        state = self.planner.check_state(self.odom.state if start is None else start)
        goal = self.planner.check_goal(goal)

        def plan_and_check(should_stop: ShouldStop) -> Plan:
            plan = replanning.plan_apart(state, goal, timeout_s, should_stop)
            gate.check(plan, state, replanning.planner.map)
            return plan
        self._worker.submit(key, plan_and_check, done)

    def cancel_plan_once(self, key: str) -> None:
        """Drop what ``plan_once`` was asked for; its ``done`` is not called."""
        self._worker.cancel(key)

    def _step(self, stamp_ns: int) -> int:
        """Return the control step of a stamp."""
        return self._replanning.step(stamp_ns)

    def _take(self, replanning: Replanning, odom: Reading, start: Reading, outcome: Outcome
              ) -> None:
        """Take what the worker returned; a defect or a failing device also means "brake"."""
        result, now_ns = outcome.value, self.odom.stamp_ns
        planned_ns = odom.stamp_ns
        if outcome.error is not None:
            result = Result(None, DFPlannerError(repr(outcome.error)), start.stamp_ns, 0.0)
        if start is not odom:
            result = replace(result, late_s=max(now_ns - start.stamp_ns, 0) / NS_PER_S)
        elif self._still_at(odom.state):
            self._delay_steps = self._step(now_ns) - self._step(odom.stamp_ns)
            result = replace(result, stamp_ns=now_ns)
            planned_ns = now_ns
        had_plan = self._executed is not None
        if not result.start_is_bad:
            result = self._passed(result, start.state)
            self._plan_stamp_ns = planned_ns
            self._handover.replace(self._executed, now_ns)
            self._executed = None if result.plan is None else InHand(result.plan, result.stamp_ns)
            if replanning is not self._replanning:  # the next plan is made by another model
                self._not_as_planned = self._executed
        self._finish(result)
        if had_plan and result.asked_network:  # the first one takes longer, and the robot waits
            self._latency.add(time.monotonic() - odom.received_s)

    # The safety gate

    def _passed(self, result: Result, start: np.ndarray) -> Result:
        """Return a result whose plan may leave: its own, else what goes on, else none."""
        going_on, error = self._going_on(), result.error
        if result.plan is not None:
            try:
                self._gate.check(result.plan, start if error is None else None, self.planner.map,
                                 None if going_on is None else going_on.plan)
                self._check_robot(result.plan, result.stamp_ns)
                return result
            except UnsafePlan as refusal:
                self._delay_steps = 0
                self._not_as_planned = going_on or InHand(None, self.odom.stamp_ns)
                error = refusal
        if going_on is None or isinstance(error, BAD_GOALS):
            return replace(result, plan=None, error=error)
        return replace(result, plan=going_on.plan, stamp_ns=going_on.stamp_ns, error=error)

    def _going_on(self) -> InHand | None:
        """Return the rest of the plan being executed, if it leads to the goal and still may."""
        if self._executed is None or self.goal is None or not np.array_equal(
                self._executed.plan.goal, self.goal.position):
            return None
        rest = self._rest_in_hand()
        if len(rest.plan) < min(2, len(self._executed.plan)):
            return None  # it has ended
        try:
            self._gate.check(rest.plan, None, self.planner.map)
            self._check_robot(rest.plan, rest.stamp_ns)
        except UnsafePlan:
            return None
        return rest

    def _check_robot(self, plan: Plan, stamp_ns: int) -> None:
        self._gate.check_robot(plan, self.odom.state, (stamp_ns - self.odom.stamp_ns) / NS_PER_S)

    def _rest_in_hand(self) -> InHand:
        """Return the plan being executed from where the robot is on it by now."""
        plan, stamp_ns = self._executed.plan, self._executed.stamp_ns
        steps = self._step(self.odom.stamp_ns) - self._step(stamp_ns)
        if steps < 0:  # it has not begun
            return self._executed
        rest = plan.shifted(steps)
        distances_m = np.linalg.norm(rest.states[:, :2] - self.odom.state[:2], axis=-1)
        return InHand(rest.shifted(int(distances_m.argmin())), self.odom.stamp_ns)

    def _stop(self, error: DFPlannerError) -> None:
        """Let the robot brake, and make a plan due."""
        self._executed = self._plan_stamp_ns = None
        self._not_as_planned = InHand(None, self.odom.stamp_ns)
        self._finish(Result(None, error, self.odom.stamp_ns, 0.0))

    def _still_at(self, state: np.ndarray) -> bool:
        """Tell whether the robot has stood still in a state (S,) since."""
        moved = np.linalg.norm(self.odom.state[:2] - state[:2])
        speed = max(np.linalg.norm(self.odom.state[2:4]), np.linalg.norm(state[2:4]))
        turned = np.linalg.norm(self.odom.state[4:] - state[4:])  # 0 for who observes no heading
        return moved <= STILL_M and speed <= STILL_M_S and turned <= STILL_RAD
