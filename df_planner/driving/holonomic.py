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

"""Tracking for robots that drive in any direction and turn on their own."""

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np

from df_planner.planning.plan import Plan


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
        cosine, sine = math.cos(_yaw(state)), math.sin(_yaw(state))
        ahead = cosine * velocity[0] + sine * velocity[1]
        left = cosine * velocity[1] - sine * velocity[0]
        return np.clip((ahead, left, turn_rate), -np.asarray(self.action_limits),
                       self.action_limits)

    def brake(self, state: np.ndarray) -> np.ndarray:
        """Return the velocities (3,) that stop the robot."""
        return np.zeros(3)


def _yaw(state: np.ndarray) -> float:
    return math.atan2(state[5], state[4])
