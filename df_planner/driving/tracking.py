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

"""Tracking: how each kind of robot follows planned states with feedback; free of torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from df_planner.driving.holonomic import HolonomicTracking
from df_planner.driving.unicycle import UnicycleTracking
from df_planner.errors import ConfigError
from df_planner.planning.plan import Plan
from df_planner.robots.kinds import ROBOTS


class TrackingLaw(Protocol):
    """Follow a plan with feedback; keeps no plan of its own."""

    def action(self, plan: Plan, step: int, state: np.ndarray) -> np.ndarray:
        """
        Return what to do for one control step: (A,), within the limits.

        :param step: control steps since the first row of the plan; the robot is held at the last
            row.
        :param state: (S,) now.
        """

    def brake(self, state: np.ndarray) -> np.ndarray:
        """Return the action (A,) that stops the robot."""


@dataclass(frozen=True)
class PointTracking:
    """
    Proportional-derivative feedback on position, with the diffused force as feed-forward.

    :param position_gain: action per metre of position error.
    :param velocity_gain: action per metre per second of velocity error.
    :param action_limits: (2,) largest force along each axis.
    """

    position_gain: float = 10.0
    velocity_gain: float = 1.3
    action_limits: Sequence[float] = (1.0, 1.0)

    def action(self, plan: Plan, step: int, state: np.ndarray) -> np.ndarray:
        """Return the force (2,) for a state (4,); see ``TrackingLaw``."""
        arrived = step >= len(plan) - 1
        target = plan.states[-1 if arrived else step]
        target_velocity = 0.0 if arrived else target[2:]
        feed_forward = 0.0 if arrived else plan.actions[step]
        return self._limited(feed_forward + self.position_gain * (target[:2] - state[:2])
                             + self.velocity_gain * (target_velocity - state[2:]))

    def brake(self, state: np.ndarray) -> np.ndarray:
        """Return the force (2,) against the velocity."""
        return self._limited(-self.velocity_gain * state[2:])

    def _limited(self, action: np.ndarray) -> np.ndarray:
        return np.clip(action, -np.asarray(self.action_limits), self.action_limits)


# By kind of robot.
LAWS = {'point': PointTracking, 'diff_drive': UnicycleTracking, 'omni': HolonomicTracking}


def check_execution(robot: str | None, execution: str) -> None:
    """Raise ConfigError if robots of this kind cannot be driven so."""
    executions = ROBOTS[robot].executions if robot else ('raw',)
    if execution not in executions:
        raise ConfigError(f'execution {execution}: not for a robot of the kind {robot}, must be '
                          f'one of {", ".join(executions)}')


def tracking_law(robot: str | None, action_limits: Sequence[float]) -> TrackingLaw:
    """Return the law of a kind of robot; for one of no known kind one that can only stop."""
    return LAWS[robot](action_limits=action_limits) if robot else NoTracking(len(action_limits))


@dataclass(frozen=True)
class NoTracking:
    """For a robot of no known kind: ``raw`` execution alone; zero stops it."""

    action_size: int

    def action(self, plan: Plan, step: int, state: np.ndarray) -> np.ndarray:
        """Return zeros (A,)."""
        return np.zeros(self.action_size)

    def brake(self, state: np.ndarray) -> np.ndarray:
        """Return zeros (A,)."""
        return np.zeros(self.action_size)
