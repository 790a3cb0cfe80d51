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


def off_plan(plan: Plan, step: int, state: np.ndarray) -> np.ndarray | None:
    """
    Return how far a robot in a state (S,) is off a step of a plan in position and velocity, (4,).

    :returns: None if that is so far that it does not follow the plan.
    """
    off = state[:4] - row_at(plan, step)[:4]
    return None if np.linalg.norm(off[:2]) > ON_PLAN_M else off


def predicted_state(plan: Plan, step: int, off: np.ndarray, rests: bool) -> np.ndarray:
    """
    Return the state (S,) of a robot at a step of the plan that it follows.

    :param off: (4,) by which it is off the plan. It still will be: feedback takes longer to bring
        it back than a plan takes to be made.
    :param rests: it stays at the end of the plan; else it goes on at the velocity there.
    """
    predicted = row_at(plan, step).copy()
    predicted[:4] += off
    if rests and step >= len(plan) - 1:
        predicted[2:4] = 0.0
    return predicted


def row_at(plan: Plan, step: int) -> np.ndarray:
    """Return the planned state (S,) at a step, the first before the plan and the last after it."""
    return plan.states[min(max(step, 0), len(plan) - 1)]


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
