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

"""Latency, and where the robot will be by then, which is where its next plan should start."""

from collections import deque
from dataclasses import replace
import math

import numpy as np

from df_planner.planning.plan import Plan

WINDOW = 20  # plans that the latency is taken from
PERCENTILE = 95
ON_ITS_WAY_STEPS = 1  # from the planner to the follower and into effect
ON_PLAN_M = 0.3  # a robot further off than this does not follow the plan


class Latency:
    """How long something took of late: planning, or preparing a plan."""

    def __init__(self):
        """Start without a plan."""
        self._recent_s: deque[float] = deque(maxlen=WINDOW)

    def add(self, duration_s: float) -> None:
        """Take note of a duration."""
        self._recent_s.append(duration_s)

    def steps(self, dt_s: float) -> int:
        """Return the control steps to reckon with next time; 0 while nothing is known."""
        if not self._recent_s:
            return 0
        return math.ceil(np.percentile(self._recent_s, PERCENTILE) / dt_s) + ON_ITS_WAY_STEPS


def predicted_state(plan: Plan, step: int, state: np.ndarray, ahead: int,
                    corrected: bool) -> np.ndarray | None:
    """
    Return the state (S,) of a robot that follows a plan, some control steps from now.

    :param step: of the plan the robot is at; below 0 the plan has not begun.
    :param state: (S,) of the robot.
    :param ahead: control steps to look ahead, to the beginning of the plan at least.
    :param corrected: feedback takes the robot back to the plan; else it stays as far off in
        position and velocity.
    :returns: None if the robot is not on the plan.
    """
    last = len(plan) - 1
    off = np.zeros(4) if step < 0 else state[:4] - plan.states[min(step, last), :4]
    if np.linalg.norm(off[:2]) > ON_PLAN_M:
        return None
    predicted = plan.states[min(step + ahead, last)].copy()
    if not corrected:
        predicted[:4] += off
    elif step + ahead >= last:
        predicted[2:4] = 0.0
    return predicted


def entered_at(plan: Plan, state: np.ndarray) -> Plan | None:
    """
    Return what is left of a plan from a state (S,) on, which takes the place of the nearest row.

    :returns: None if the state is not on the way of the plan, or nothing is left of it.
    """
    distances_m = np.linalg.norm(plan.states[:, :2] - state[:2], axis=-1)
    rest = plan.shifted(int(distances_m.argmin()))
    if distances_m.min() > ON_PLAN_M or len(rest) < 2:
        return None
    return replace(rest, states=np.concatenate([state[None], rest.states[1:]]))
