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

All methods are called from the executor's thread; only ``_replan`` runs in the worker's. A plan is
due when the goal has none yet, or when the last one is ``1 / planning_frequency_hz`` old by the
stamps of the odometry.

It begins where the plan in hand will have led the robot by the time it is there, reckoned by how
long plans took of late; so the robot goes from one to the next without a jump. Without a plan in
hand, or without ``compensate_latency``, it begins at the odometry: then the same odometry gives
the same plans, however long planning takes. If the robot has stood still since, such a plan counts
from the latest odometry.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace
from functools import partial
import random
import time
from typing import TYPE_CHECKING

import numpy as np

from df_planner.errors import DFPlannerError
from df_planner.errors import InvalidInput
from df_planner.errors import PlanningCancelled
from df_planner.errors import StaleInput
from df_planner.errors import StartOccupied
from df_planner.errors import StartOutsideMap
from df_planner.planning.grid import GridMap
from df_planner.planning.plan import Plan
from df_planner.ros.conversions import NS_PER_S
from df_planner.ros.conversions import seconds_to_ns
from df_planner.ros.latency import Latency
from df_planner.ros.latency import predicted_state
from df_planner.ros.planner_parameters import PlannerParameters
from df_planner.ros.worker import Outcome
from df_planner.ros.worker import ShouldStop
from df_planner.ros.worker import Worker

if TYPE_CHECKING:
    from df_planner.planning.planner import Planner

RESTART_S = 1.0  # odometry this far in the past is a restarted source, not a late message
GOAL_AHEAD_S = 5.0  # a goal this far ahead of the odometry is stamped by another clock
RECENT_READINGS = 100  # of these the planner filters a noisy one with those before it
# A robot that has moved and moves less than this still is where a plan starts.
STILL_M, STILL_M_S = 0.05, 0.2
BAD_STARTS = (InvalidInput, StartOutsideMap, StartOccupied)


@dataclass(frozen=True)
class Goal:
    """A position (2,); it is planned for from odometry of ``stamp_ns`` on."""

    position: np.ndarray
    stamp_ns: int


@dataclass(frozen=True)
class Reading:
    """The state (4,) of an odometry message, and when it came by the wall clock."""

    state: np.ndarray
    stamp_ns: int
    received_s: float


@dataclass(frozen=True)
class Result:
    """
    What became of one attempt to plan.

    :param plan: the plan to follow; None means "brake".
    :param error: why there is no new plan; a ``plan`` beside it is the rest of the one before.
    :param stamp_ns: of the first row of the plan.
    :param duration_s: wall time of planning.
    :param late_s: how long after ``stamp_ns`` a plan that was to be there by then came, else 0.
    """

    plan: Plan | None
    error: DFPlannerError | None
    stamp_ns: int
    duration_s: float
    late_s: float = 0.0

    @property
    def start_is_bad(self) -> bool:
        """Whether the odometry was at fault: then nothing changes."""
        return isinstance(self.error, BAD_STARTS)

    @property
    def asked_network(self) -> bool:
        """Whether it took planning; to hold a position takes none."""
        return self.error is not None or self.plan is None or len(self.plan.timings) > 1


class PlanningSession:
    """
    Hold goal, odometry and map, and keep the worker planning.

    :param finish: called with each Result in the executor's thread.
    """

    def __init__(self, planner: 'Planner', worker: Worker, parameters: PlannerParameters,
                 finish: Callable[[Result], None]):
        """Start without any input."""
        # Imported here, like the planner by its node: it takes torch along.
        from df_planner.planning.replanner import Replanner
        self.planner = planner
        self.goal: Goal | None = None
        self.odom: Reading | None = None
        self._replanner = Replanner(planner)
        self._recent: deque[Reading] = deque(maxlen=RECENT_READINGS)
        self._replanner_goal: Goal | None = None  # belongs to the worker's thread
        self._worker = worker
        self._finish = finish
        self._plan_stamp_ns: int | None = None
        self._executed: tuple[Plan, int] | None = None  # what the follower follows, and its stamp
        self._latency = Latency()
        self._delay_steps = 0
        self._dt_ns = seconds_to_ns(planner.card.dt_s)
        self.set_parameters(parameters)

    def set_parameters(self, parameters: PlannerParameters) -> None:
        """Take new parameters; a plan that is being made keeps the old ones."""
        self._parameters = parameters
        self._worker.submit('parameters', lambda _: self._set_up_replanner(parameters))

    def set_map(self, grid: GridMap) -> None:
        """Take a new map."""
        self.planner.map = grid
        self.plan_if_due()

    def set_goal(self, position: np.ndarray, stamp_ns: int) -> None:
        """Take a new goal (2,), dropping a plan in the making; errors of ``check_goal``."""
        position = self.planner.check_goal(position)
        self._worker.cancel('plan')
        self.goal, self._plan_stamp_ns = Goal(position, stamp_ns), None
        self.plan_if_due()

    def clear_goal(self) -> None:
        """Forget the goal and drop a plan in the making."""
        self._worker.cancel('plan')
        self.goal = self._plan_stamp_ns = self._executed = None

    def set_odometry(self, state: np.ndarray, stamp_ns: int) -> None:
        """
        Take a state (4,).

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
        self.odom = self._plan_stamp_ns = self._executed = None
        if self.goal is not None:
            self.goal = replace(self.goal, stamp_ns=0)

    def plan_anew(self) -> None:
        """Make the next plan due from the next odometry on."""
        self._plan_stamp_ns = None

    def missing_inputs(self) -> list[str]:
        """Name the inputs that planning waits for."""
        missing = []
        if self.odom is None:
            missing.append('odom')
        elif (age_s := time.monotonic() - self.odom.received_s) > self._parameters.odom_timeout_s:
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
        self._worker.submit('plan', partial(self._replan, goal, start, tuple(self._recent),
                                            self._delay_steps, self._parameters.timeout_s),
                            partial(self._take, odom, start))
        self._delay_steps = 0

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
        plan, stamp_ns = self._executed
        step = self._step(odom.stamp_ns) - self._step(stamp_ns)
        ahead = max(steps, -step)
        state = predicted_state(plan, step, odom.state, ahead, parameters.hold_at_goal)
        try:
            return odom if state is None else Reading(
                self.planner.check_state(state), odom.stamp_ns + ahead * self._dt_ns,
                odom.received_s)
        except DFPlannerError:  # just inside an obstacle, where the robot itself will not get
            return odom

    def plan_once(self, state: np.ndarray, goal: np.ndarray,
                  done: Callable[[Outcome], None], key: str) -> None:
        """Plan apart from goal and odometry, with the seed of the node; ``key`` says for whom."""
        self._worker.submit(key, lambda should_stop: self.planner.plan(
            state, goal, seed=self._replanner.seed, should_stop=should_stop), done)

    def cancel_plan_once(self, key: str) -> None:
        """Drop what ``plan_once`` was asked for; its ``done`` is not called."""
        self._worker.cancel(key)

    def _set_up_replanner(self, parameters: PlannerParameters) -> None:
        seed = parameters.seed if parameters.seed >= 0 else random.getrandbits(32)
        self._replanner.seed = seed
        self._replanner.hold_at_goal = parameters.hold_at_goal
        self.planner.settings = parameters.settings()

    def _step(self, stamp_ns: int) -> int:
        """Return the control step of a stamp."""
        return (stamp_ns + self._dt_ns // 2) // self._dt_ns

    def _replan(self, goal: Goal, start: Reading, recent: tuple[Reading, ...], delay_steps: int,
                timeout_s: float, should_stop: ShouldStop) -> Result:
        """Plan, in the worker's thread."""
        started = time.monotonic()
        plan = None
        self._replanner.delay(delay_steps)
        try:
            if self._replanner_goal is not goal:
                self._replanner.reset(goal.position)
                self._replanner_goal = goal
            for reading in recent:
                self._replanner.observe(reading.state, self._step(reading.stamp_ns))
            plan = self._replanner.replan(
                start.state, self._step(start.stamp_ns),
                lambda: should_stop() or time.monotonic() - started > timeout_s)
            error = self._replanner.last_error
        except PlanningCancelled:
            error = PlanningCancelled(f'planning took longer than timeout_s = {timeout_s}')
        except DFPlannerError as failure:
            error = failure
        return Result(plan, error, start.stamp_ns, time.monotonic() - started)

    def _take(self, odom: Reading, start: Reading, outcome: Outcome) -> None:
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
        if not result.start_is_bad:
            self._plan_stamp_ns = planned_ns
        had_plan = self._executed is not None
        if not result.start_is_bad:
            self._executed = None if result.plan is None else (result.plan, result.stamp_ns)
        self._finish(result)
        if had_plan and result.asked_network:  # the first one takes longer, and the robot waits
            self._latency.add(time.monotonic() - odom.received_s)

    def _still_at(self, state: np.ndarray) -> bool:
        """Tell whether the robot has stood still in a state (4,) since."""
        moved = np.linalg.norm(self.odom.state[:2] - state[:2])
        speed = max(np.linalg.norm(self.odom.state[2:]), np.linalg.norm(state[2:]))
        return moved <= STILL_M and speed <= STILL_M_S
