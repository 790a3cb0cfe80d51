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
Candidates along a way: each follows the same route, in a time of its own.

The way is a noisy observation of the positions, at even spacing in time; velocities and actions
are what the model makes of it. The first part of a long way is diffused, as far as the model was
trained for; the rest is driven through once the robot is nearer.
"""

from dataclasses import replace

import numpy as np

from df_planner.planning.horizons import Candidates
from df_planner.planning.horizons import STAY_TOKENS
from df_planner.planning.plan import Plan
from df_planner.planning.request import Task
from df_planner.planning.route import Way
from df_planner.planning.tokens import TokenSpace

SPEEDS = np.linspace(0.95, 0.25, 8)  # of candidates, as shares of the fastest in the data
LOOK_AHEAD = 0.3  # share of the longest window at full speed that is diffused
NEARLY_THERE = 1.2  # a way longer by this factor is diffused to its end
SLOWER = 1.0, 1.2, 1.4, 1.8  # of the batches that are tried one after the other


def diffused_m(way: Way, space: TokenSpace, fastest_mps: float) -> float:
    """Return the length of the first part of a way that is diffused."""
    ahead_m = LOOK_AHEAD * (space.max_tokens - 1) * space.token_s * fastest_mps
    return way.length_m if way.length_m <= NEARLY_THERE * ahead_m else ahead_m


def along(way: Way, length_m: float, space: TokenSpace, fastest_mps: float, task: Task
          ) -> list[list[Candidates]]:
    """
    Return batches of candidates in the order in which they are tried, the fastest first.

    :param way: in the frame of the tokens.
    :param length_m: of the first part of the way that they cover.
    :param fastest_mps: speed in the data.
    """
    batches = []
    for slower in SLOWER:
        steps = np.ceil(slower * length_m / (SPEEDS * fastest_mps * space.token_s))
        lengths = np.resize(STAY_TOKENS, len(SPEEDS)) if task.at_goal else np.unique(
            steps.astype(int) + 1)
        lengths = lengths.clip(task.fewest, task.most)
        route = np.zeros((len(lengths), lengths.max(), 2))
        for row, tokens in zip(route, lengths):
            row[:tokens] = way.at(np.linspace(0.0, length_m, tokens))
        batches.append(Candidates(lengths, route=route, ends_at_goal=length_m == way.length_m,
                                  wide=slower > 1.0))
    return [[batch] for batch in batches]


def extended(plan: Plan, way: Way, from_m: float) -> Plan:
    """Return a plan that goes on along a way after ``from_m``, at the mean speed so far."""
    speed_mps = from_m / max((len(plan) - 1) * plan.dt_s, plan.dt_s)
    count = max(1, int(np.ceil((way.length_m - from_m) / (speed_mps * plan.dt_s))))
    along_m = np.linspace(from_m, way.length_m, count + 1)
    points = way.at(along_m)
    steps = np.diff(points, axis=0) / plan.dt_s
    rest = np.hstack([points[1:], steps])
    if plan.states.shape[1] > 4:
        heading = steps / np.linalg.norm(steps, axis=-1, keepdims=True).clip(1e-9)
        rest = np.hstack([rest, heading])
    return replace(
        plan, states=np.vstack([plan.states, rest]),
        actions=np.vstack([plan.actions, np.zeros((count, plan.actions.shape[1]))]),
        uncertainty=np.append(plan.uncertainty, np.full(count, plan.uncertainty[-1])))
