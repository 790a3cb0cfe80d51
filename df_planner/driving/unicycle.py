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
Tracking for robots that drive along their heading: Kanayama et al., 1990.

*A stable tracking control method for an autonomous mobile robot*, ICRA 1990. The error of the pose
is seen from the robot; the reference velocities are those of the planned states. Unlike there, the
gain of the heading is not multiplied by the reference speed, so that turns in place are tracked
too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np

from df_planner.planning.plan import Plan

MOVING_MPS = 0.1  # slower than this, a direction of motion is noise


@dataclass(frozen=True)
class UnicycleTracking:
    """
    Follow states (x, y, vx, vy, cosine and sine of the heading) with twists.

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
        x, y, vx, vy = plan.states[step, :4]
        own = math.atan2(state[5], state[4])
        heading = _heading(plan.states[step])
        dx, dy, turn = x - state[0], y - state[1], heading - own
        ahead = math.cos(own) * dx + math.sin(own) * dy
        left = math.cos(own) * dy - math.sin(own) * dx
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
    if vx * cosine + vy * sine > MOVING_MPS:
        return math.atan2(vy, vx)
    return math.atan2(sine, cosine)
