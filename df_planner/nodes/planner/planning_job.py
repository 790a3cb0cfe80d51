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

``PlanningSession`` decides when and from what; what it hands over here belongs to the job.

A replanner that is told when something else is executed than what it planned last.
"""

from dataclasses import dataclass
import random
import time
from typing import TYPE_CHECKING

import numpy as np

from df_planner.driving.replanner import Replanner
from df_planner.driving.stamps import seconds_to_ns
from df_planner.errors import DFPlannerError
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
class InHand:
    """What the robot executes: a plan and the stamp of its first row; without a plan it brakes."""

    plan: Plan | None
    stamp_ns: int


@dataclass(frozen=True)
class Request:
    """
    One plan, please.

    :param recent: odometry up to ``start``, the oldest first.
    :param delay_steps: control steps that the robot stood still, waiting for the plan before.
    :param in_hand: what is executed, if it is not what was planned last.
    """

    goal: Goal
    start: Reading
    recent: tuple[Reading, ...]
    delay_steps: int
    timeout_s: float
    in_hand: InHand | None = None


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
        """Whether it took planning; to hold a position takes none, nor does a map in the way."""
        return self.duration_s > 0.0 and (
            self.error is not None or self.plan is None or len(self.plan.timings) > 1)


class Replanning:
    """A planner and the plan in hand."""

    def __init__(self, planner: 'Planner'):
        """Start without a goal."""
        # Imported here, like the planner by its node: it takes torch along.
        self.planner = planner
        self._replanner = KeepingReplanner(planner)
        self._goal: Goal | None = None
        self._seed: int | None = None
        self._dt_ns = seconds_to_ns(planner.card.dt_s)

    @property
    def seed(self) -> int:
        """Return the seed of the plans."""
        return self._replanner.seed

    def step(self, stamp_ns: int) -> int:
        """Return the control step of a stamp."""
        return (stamp_ns + self._dt_ns // 2) // self._dt_ns

    def set_up(self, parameters: PlannerParameters) -> None:
        """Take new parameters."""
        if parameters.seed != self._seed:
            self._seed = parameters.seed
            self._replanner.seed = (
                self._seed if self._seed >= 0 else random.getrandbits(32))
        self._replanner.hold_at_goal = parameters.hold_at_goal
        self.planner.settings = parameters.settings()

    def plan_apart(self, state: np.ndarray, goal: np.ndarray, timeout_s: float,
                   should_stop: ShouldStop) -> Plan:
        """Return a plan that has nothing to do with the one in hand; PlanningTimeout if late."""
        began_s = time.monotonic()
        try:
            return self.planner.plan(
                state, goal, seed=self.seed,
                should_stop=lambda: should_stop() or time.monotonic() - began_s > timeout_s)
        except PlanningCancelled:
            raise PlanningTimeout(f'planning took longer than {timeout_s} s') from None

    def plan(self, request: Request, should_stop: ShouldStop) -> Result:
        """Answer a request."""
        started = time.monotonic()
        replanner, start, plan = self._replanner, request.start, None
        replanner.delay(request.delay_steps)
        try:
            if self._goal is not request.goal:
                replanner.reset(request.goal.position)
                self._goal = request.goal
            if request.in_hand is not None:
                replanner.keep(request.in_hand.plan, self.step(request.in_hand.stamp_ns))
            for reading in request.recent:
                replanner.observe(reading.state, self.step(reading.stamp_ns))
            plan = replanner.replan(
                start.state, self.step(start.stamp_ns),
                lambda: should_stop() or time.monotonic() - started > request.timeout_s)
            error = replanner.last_error
        except PlanningCancelled:
            error = PlanningCancelled(
                f'planning took longer than {request.timeout_s} s')
        except DFPlannerError as failure:
            error = failure
        return Result(plan, error, start.stamp_ns, time.monotonic() - started)


class KeepingReplanner(Replanner):
    """Plan on from what the robot executes: the safety gate may have kept the plan before."""

    def keep(self, plan: Plan | None, step: int) -> None:
        """Take a plan, its first row at a control step, as the one in hand; None: no plan."""
        self._plan, self._plan_step = plan, step
