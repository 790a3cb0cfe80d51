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
The progress of a drive to a goal, for an action: distance left, arrival, reasons to give up.

Times are those of ``PatienceClock``, so that a paused simulation counts as no time.
"""

from typing import NamedTuple

import numpy as np

from df_planner.errors import DFPlannerError
from df_planner.errors import NoProgress
from df_planner.planning.plan import Plan

# Nav2's limits: its progress checker wants 0.5 m in 10 s.
PROGRESS_M, PROGRESS_S = 0.5, 10.0
PATIENCE_S = 10.0  # how long a drive may last without a valid plan, or without an input


class Progress(NamedTuple):
    """How far a drive has come."""

    driven_s: float  # since the goal was accepted
    remaining_m: float  # along the plan in hand, in a straight line without one
    remaining_s: float  # until the end of the plan in hand, 0 without one


class Navigation:
    """
    One drive.

    :param goal: (2,).
    :param tolerance_m: the drive succeeds at rest within this distance of the goal.
    """

    def __init__(self, goal: np.ndarray, tolerance_m: float, now_s: float):
        self.goal = goal
        self._tolerance_m = tolerance_m
        self._began_s = now_s
        self._failing_since_s: float | None = None
        self._moved_from: tuple[np.ndarray, float] | None = None  # a position and the time there

    def is_at_goal(self, position: np.ndarray) -> bool:
        """Tell whether a robot at a position (2,) is near enough to the goal."""
        return float(np.linalg.norm(position - self.goal)) <= self._tolerance_m

    def check(self, now_s: float, position: np.ndarray | None, error: DFPlannerError | None
              ) -> None:
        """
        Raise the error that ends the drive, if it must end.

        :param position: (2,) of the robot, None if unknown.
        :param error: why there is no new plan at present, None if there is one.
        :raises DFPlannerError: ``error``, once there has been one for PATIENCE_S.
        :raises NoProgress: if the robot has hardly moved for PROGRESS_S although there are plans.
        """
        if error is not None:
            self._moved_from = None
            if self._failing_since_s is None:
                self._failing_since_s = now_s
            if now_s - self._failing_since_s >= PATIENCE_S:
                raise error
            return
        self._failing_since_s = None
        if position is None:
            return
        if self._moved_from is None or (
                np.linalg.norm(position - self._moved_from[0]) >= PROGRESS_M):
            self._moved_from = position, now_s
        elif now_s - self._moved_from[1] >= PROGRESS_S:
            raise NoProgress(f'the robot has moved less than {PROGRESS_M} m in {PROGRESS_S:.0f} s')

    def progress(self, now_s: float, position: np.ndarray, rest: Plan | None) -> Progress:
        """
        Return how far the drive has come.

        :param position: (2,) of the robot.
        :param rest: what is left of the plan in hand.
        """
        left = np.empty((0, 2)) if rest is None else rest.states[1:, :2]
        way = np.concatenate([position[None], left, self.goal[None]])
        return Progress(now_s - self._began_s,
                        float(np.linalg.norm(np.diff(way, axis=0), axis=-1).sum()),
                        0.0 if rest is None else len(left) * rest.dt_s)
