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
Which horizons are tried, in which order.

A way tells where to go, not how long it takes. The candidates of a batch take different times for
the same way; later batches take longer. Of a long way only the first part is diffused at once, as
far as the model was trained for.
"""

from dataclasses import dataclass
from dataclasses import replace
from typing import Self

import numpy as np

from df_planner.planning.request import Task
from df_planner.planning.route import Way
from df_planner.planning.settings import PlannerSettings
from df_planner.planning.tokens import Known
from df_planner.planning.tokens import TokenSpace

BATCH_SIZES = (4, 5, 6, 8)  # of nearly all batches
SPEEDS = 0.95, 0.25  # of the fastest and slowest candidate, as shares of the fastest in the data
LOOK_AHEAD = 0.3  # share of the longest window at full speed that is diffused at once
NEARLY_THERE = 1.2  # a way longer by this factor is diffused to its end
SLOWER = 1.0, 1.2, 1.4, 1.8  # of the batches that are tried one after the other
STAY_TOKENS = range(3, 7)  # horizons of plans that start and end at the goal


@dataclass(frozen=True)
class Candidates:
    """
    What to sample as one batch.

    :param lengths: (N,) token counts.
    :param route: (N, T, 2) positions as a way tells them.
    :param ends_at_goal: the last position is the goal, not a place on the way to it.
    :param wide: sampled with the noise of training, after less noise has failed.
    """

    lengths: np.ndarray
    route: np.ndarray
    ends_at_goal: bool
    wide: bool = False

    def again(self, index: int, count: int) -> Self:
        """Return ``count`` times the candidate ``index``."""
        rows = np.full(count, index)
        return replace(self, lengths=self.lengths[rows], route=self.route[rows])

    def known(self, task: Task, space: TokenSpace, settings: PlannerSettings) -> Known:
        """Return what is known of them before they are sampled."""
        known = Known(space, self.lengths)
        known.route(self.route[:, :self.lengths.max()], settings.route_std_m)
        known.start(task.state)
        if settings.pin_goal and self.ends_at_goal:
            known.end(task.stops[-1], rest=task.at_goal or task.request.rest_at_goal)
        known.prefix(task.prefix)
        return known


def diffused_m(way: Way, tokens: int, token_s: float, fastest_mps: float) -> float:
    """
    Return the length of the first part of a way that is diffused at once.

    :param tokens: of the longest candidate.
    :param fastest_mps: speed in the data.
    """
    ahead_m = LOOK_AHEAD * (tokens - 1) * token_s * fastest_mps
    return way.length_m if way.length_m <= NEARLY_THERE * ahead_m else ahead_m


def along(way: Way, length_m: float, ends_at_goal: bool, task: Task, space: TokenSpace,
          settings: PlannerSettings, fastest_mps: float) -> list[Candidates]:
    """
    Return batches of candidates in the order in which they are tried, the fastest first.

    :param way: in the frame of the tokens.
    :param length_m: of the first part of the way that they cover.
    :param ends_at_goal: whether this part is the whole way.
    :param fastest_mps: speed in the data.
    """
    speeds_mps = fastest_mps * np.linspace(*SPEEDS, settings.num_samples)
    batches = []
    for slower in SLOWER:
        lengths = np.ceil(slower * length_m / (speeds_mps * space.token_s)).astype(int) + 1
        if task.at_goal:
            lengths = np.resize(STAY_TOKENS, settings.num_samples)
        lengths = lengths.clip(task.fewest, task.most)
        route = np.zeros((len(lengths), lengths.max(), 2))
        for row, tokens in zip(route, lengths):
            row[:tokens] = way.at(np.linspace(0.0, length_m, tokens))
        batches.append(Candidates(lengths, route, ends_at_goal, wide=slower > 1.0))
    return batches
