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
import math
from typing import Protocol

import numpy as np

from df_planner.errors import ConfigError
from df_planner.planning.plan import Plan
from df_planner.robots.kinds import ROBOTS

MOVING_MPS = 0.1  # slower than this, a direction of motion is noise


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


@dataclass(frozen=True)
class UnicycleTracking:
    """
    Follow states (x, y, vx, vy, cosine and sine of the heading) with twists.

    The law of Kanayama et al., 1990, *A stable tracking control method for an autonomous mobile
    robot*, with one change: the gain of the heading is not multiplied by the reference speed, so
    that turns in place are tracked too. The reference velocities are those of the planned states.

    :param along_gain_per_s: linear velocity per metre of error ahead.
    :param across_gain_per_m2: angular velocity per metre of error to the left and m/s of the plan.
    :param heading_gain_per_s: angular velocity per radian of heading error, for small ones.
    :param action_limits: (2,) largest linear velocity in m/s and angular velocity in rad/s.
    """

    along_gain_per_s: float = 2.0
    across_gain_per_m2: float = 10.0
    heading_gain_per_s: float = 4.0
    action_limits: Sequence[float] = (1.0, 4.0)

    def action(self, plan: Plan, step: int, state: np.ndarray) -> np.ndarray:
        """Return the twist (2,) for a state (6,); see ``TrackingLaw``."""
        step = min(step, len(plan) - 1)
        _, _, vx, vy = plan.states[step, :4]
        heading = _heading(plan.states[step])
        turn = heading - _yaw(state)
        ahead, left = _seen_from(state, plan.states[step, :2] - state[:2])
        speed, turn_rate = 0.0, 0.0
        if step < len(plan) - 1:
            speed = vx * math.cos(heading) + vy * math.sin(heading)
            turn_rate = math.remainder(_heading(plan.states[step + 1]) - heading,
                                       math.tau) / plan.dt_s
        twist = (speed * math.cos(turn) + self.along_gain_per_s * ahead,
                 turn_rate + speed * self.across_gain_per_m2 * left
                 + self.heading_gain_per_s * math.sin(turn))
        return np.clip(twist, -np.asarray(self.action_limits), self.action_limits)

    def brake(self, state: np.ndarray) -> np.ndarray:
        """Return the twist (2,) that stops the robot."""
        return np.zeros(2)


def _heading(state: np.ndarray) -> float:
    """
    Return where a robot in a planned state (6,) should head, in radians.

    That is where it moves to, if it moves forwards: a sampled plan may move a little sideways.
    """
    _, _, vx, vy, cosine, sine = state
    return math.atan2(vy, vx) if vx * cosine + vy * sine > MOVING_MPS else _yaw(state)


@dataclass(frozen=True)
class HolonomicTracking:
    """
    Follow states (x, y, vx, vy, cosine and sine of the heading) with velocities of the robot.

    The planned velocity and turning rate are the feed-forward; the error of the pose is fed back.

    :param along_gain_per_s: velocity per metre of error.
    :param heading_gain_per_s: angular velocity per radian of heading error, for small ones.
    :param action_limits: (3,) largest velocity ahead and to the left in m/s, and angular velocity
        in rad/s.
    """

    along_gain_per_s: float = 2.0
    heading_gain_per_s: float = 4.0
    action_limits: Sequence[float] = (1.0, 1.0, 4.0)

    def action(self, plan: Plan, step: int, state: np.ndarray) -> np.ndarray:
        """Return the velocities (3,) for a state (6,); see ``TrackingLaw``."""
        step = min(step, len(plan) - 1)
        target = plan.states[step]
        velocity = self.along_gain_per_s * (target[:2] - state[:2])
        turn = math.remainder(_yaw(target) - _yaw(state), math.tau)
        turn_rate = self.heading_gain_per_s * math.sin(turn)
        if step < len(plan) - 1:
            velocity = velocity + target[2:4]
            turn_rate += math.remainder(_yaw(plan.states[step + 1]) - _yaw(target),
                                        math.tau) / plan.dt_s
        return np.clip((*_seen_from(state, velocity), turn_rate),
                       -np.asarray(self.action_limits), self.action_limits)

    def brake(self, state: np.ndarray) -> np.ndarray:
        """Return the velocities (3,) that stop the robot."""
        return np.zeros(3)


def _yaw(state: np.ndarray) -> float:
    return math.atan2(state[5], state[4])


def _seen_from(state: np.ndarray, vector: np.ndarray) -> tuple[float, float]:
    """Return the parts of a vector (2,) ahead and to the left of a robot in a state (6,)."""
    cosine, sine = math.cos(_yaw(state)), math.sin(_yaw(state))
    return cosine * vector[0] + sine * vector[1], cosine * vector[1] - sine * vector[0]


@dataclass(frozen=True)
class NoTracking:
    """The law of a robot of no known kind, for ``raw`` execution; zero stops it."""

    action_size: int

    def action(self, plan: Plan, step: int, state: np.ndarray) -> np.ndarray:
        """Return zeros (A,)."""
        return np.zeros(self.action_size)

    def brake(self, state: np.ndarray) -> np.ndarray:
        """Return zeros (A,)."""
        return np.zeros(self.action_size)


# By kind of robot.
LAWS = {'point': PointTracking, 'diff_drive': UnicycleTracking, 'omni': HolonomicTracking}


def check_execution(robot: str | None, execution: str) -> None:
    """Raise ConfigError if robots of this kind cannot be driven so."""
    executions = ROBOTS[robot].executions if robot else ('raw',)
    if execution not in executions:
        raise ConfigError(f'execution {execution}: not for a robot of the kind {robot}, must be '
                          f'one of {", ".join(executions)}')


def tracking_law(robot: str | None, action_limits: Sequence[float]) -> TrackingLaw:
    """Return the law of a kind of robot; without a kind, one that can only stop."""
    return LAWS[robot](action_limits=action_limits) if robot else NoTracking(len(action_limits))
