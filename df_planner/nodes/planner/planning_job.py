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
Planning towards one goal after the other, in the worker's thread; knows no messages.

``PlanningSession`` decides when and from what. What it passes to this thread it does not change.
"""

from dataclasses import dataclass
import random
import time
from typing import TYPE_CHECKING

import numpy as np

from df_planner.driving.replanner import Replanner
from df_planner.driving.safety_gate import SafetyGate
from df_planner.driving.stamps import seconds_to_ns
from df_planner.errors import DFPlannerError
from df_planner.errors import GoalOccupied
from df_planner.errors import GoalOutsideMap
from df_planner.errors import InvalidInput
from df_planner.errors import PlanningCancelled
from df_planner.errors import PlanningTimeout
from df_planner.errors import StartOccupied
from df_planner.errors import StartOutsideMap
from df_planner.nodes.planner.parameters import PlannerParameters
from df_planner.planning.plan import Plan
from df_planner.ros.worker import ShouldStop

if TYPE_CHECKING:
    from df_planner.planning.planner import Planner

BAD_STARTS = (InvalidInput, StartOutsideMap, StartOccupied)
BAD_GOALS = (GoalOccupied, GoalOutsideMap)


@dataclass(frozen=True)
class Goal:
    """A position (2,); it is planned for from odometry of ``stamp_ns`` on."""

    position: np.ndarray
    stamp_ns: int


@dataclass(frozen=True)
class Reading:
    """The state (S,) of an odometry message, and when it came by the wall clock."""

    state: np.ndarray
    stamp_ns: int
    received_s: float


@dataclass(frozen=True)
class Query:
    """
    What to plan.

    :param recent: odometry up to ``start``, the oldest first.
    :param in_hand: what is left at ``start`` of the plan towards this goal that is executed.
    """

    goal: Goal
    start: Reading
    recent: tuple[Reading, ...]
    in_hand: Plan | None
    timeout_s: float


@dataclass(frozen=True)
class Result:
    """
    What became of one attempt to plan.

    :param plan: the plan to follow; None means "brake".
    :param error: why there is no new plan; a ``plan`` beside it is the rest of the one before.
    :param stamp_ns: of the first row of the plan.
    :param duration_s: wall time of planning.
    :param late_s: how long after ``stamp_ns`` a plan from a predicted start came, else 0.
    """

    plan: Plan | None
    error: DFPlannerError | None
    stamp_ns: int
    duration_s: float
    late_s: float = 0.0

    @property
    def start_is_bad(self) -> bool:
        """Whether the start is at fault: then nothing changes."""
        return isinstance(self.error, BAD_STARTS)

    @property
    def goal_is_bad(self) -> bool:
        """Whether the goal is at fault: then the plan in hand must not continue either."""
        return isinstance(self.error, BAD_GOALS)

    @property
    def asked_network(self) -> bool:
        """Whether the network was called: not to hold a position, nor for a map in the way."""
        return self.duration_s > 0.0 and (
            self.error is not None or self.plan is None or len(self.plan.timings) > 1)


class PlanningJob:
    """Plan with one model, under the parameters of the node."""

    def __init__(self, planner: 'Planner'):
        self.planner = planner
        self._replanner = Replanner(planner)
        self._goal: Goal | None = None
        self._seed: int | None = None
        self._dt_ns = seconds_to_ns(planner.card.dt_s)

    def set_up(self, parameters: PlannerParameters) -> None:
        """Take new parameters."""
        if parameters.seed != self._seed:
            self._seed = parameters.seed
            self._replanner.seed = self._seed if self._seed >= 0 else random.getrandbits(32)
        self._replanner.hold_at_goal = parameters.hold_at_goal
        self.planner.settings = parameters.settings()

    def plan_apart(self, state: np.ndarray, goal: np.ndarray, gate: SafetyGate, timeout_s: float,
                   should_stop: ShouldStop) -> Plan:
        """
        Return a plan that has nothing to do with the one in hand and passes the gate.

        :raises PlanningTimeout: if it takes longer than ``timeout_s``.
        :raises DFPlannerError: those of ``Planner.plan``, or an UnsafePlan.
        """
        began_s = time.monotonic()
        try:
            plan = self.planner.plan(
                state, goal, seed=self._replanner.seed,
                should_stop=lambda: should_stop() or time.monotonic() - began_s > timeout_s)
        except PlanningCancelled:
            raise PlanningTimeout(f'planning took longer than {timeout_s} s') from None
        gate.check(plan, state, self.planner.map)
        return plan

    def plan(self, query: Query, should_stop: ShouldStop) -> Result:
        """Answer a query."""
        began_s = time.monotonic()
        replanner, start, plan = self._replanner, query.start, None
        try:
            if self._goal is not query.goal:
                replanner.reset(query.goal.position)
                self._goal = query.goal
            for reading in query.recent:
                replanner.observe(reading.state, self._step(reading.stamp_ns))
            plan = replanner.replan(
                start.state, self._step(start.stamp_ns), query.in_hand,
                lambda: should_stop() or time.monotonic() - began_s > query.timeout_s)
            error = replanner.last_error
        except PlanningCancelled:
            error = PlanningCancelled(f'planning took longer than {query.timeout_s} s')
        except DFPlannerError as failure:
            error = failure
        return Result(plan, error, start.stamp_ns, time.monotonic() - began_s)

    def _step(self, stamp_ns: int) -> int:
        return (stamp_ns + self._dt_ns // 2) // self._dt_ns
