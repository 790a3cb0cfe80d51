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

from df_planner.maps.route import Way
from df_planner.planning.request import Task
from df_planner.planning.settings import PlannerSettings
from df_planner.planning.tokens import Known
from df_planner.planning.tokens import TokenSpace

BATCH_SIZES = (4, 5, 6, 8)  # of nearly all batches
SPEEDS = 0.95, 0.25  # of the fastest and slowest candidate, as shares of the fastest in the data
LOOK_AHEAD = 0.3  # share of the longest window at full speed that is diffused at once
NEARLY_THERE = 1.2  # a way longer by this factor is diffused to its end
SLOWER = 1.0, 1.2, 1.4, 1.8  # of the batches that are tried one after the other
CRUISE = 0.5  # speed at which a plan goes on as its route, as a share of the fastest in the data
STAY_TOKENS = range(3, 7)  # horizons of plans that start and end at the goal


@dataclass(frozen=True)
class Candidates:
    """
    What to sample as one batch.

    :param lengths: (N,) token counts.
    :param route: (N, T, 2) positions as a way tells them.
    :param stretch: (N,) index of the stretch of a way that each follows.
    :param ends: (N, 2) where they end: the goal or, as yet, a place on the way to it.
    :param left_s: (N,) seconds that what is left of the way may take.
    :param wide: sampled with the noise of training, after less noise has failed.
    """

    lengths: np.ndarray
    route: np.ndarray
    stretch: np.ndarray
    ends: np.ndarray
    left_s: np.ndarray
    wide: bool = False

    def again(self, index: int, count: int) -> Self:
        """Return ``count`` times the candidate ``index``."""
        rows = np.full(count, index)
        return replace(self, lengths=self.lengths[rows], route=self.route[rows],
                       stretch=self.stretch[rows], ends=self.ends[rows],
                       left_s=self.left_s[rows])

    def known(self, task: Task, space: TokenSpace, settings: PlannerSettings) -> Known:
        """Return what is known of them before they are sampled."""
        known = Known(space, self.lengths)
        known.route(self.route[:, :self.lengths.max()], settings.route_std_m)
        known.start(task.state)
        if settings.pin_goal and not self.left_s.any():
            known.end(self.ends, rest=task.at_goal or task.request.rest_at_goal)
        known.prefix(task.prefix)
        return known


@dataclass(frozen=True)
class Stretch:
    """
    The first ``length_m`` of a way, which is diffused at once; ``left_m`` are left.

    Nothing is left exactly, in every frame, of a way that is diffused to its end.
    """

    way: Way
    length_m: float
    left_m: float

    @classmethod
    def of(cls, way: Way, ahead_m: float) -> Self:
        """Return about the first ``ahead_m`` of a way, or all of it if little would be left."""
        if way.length_m <= NEARLY_THERE * ahead_m:
            return cls(way, way.length_m, 0.0)
        return cls(way, ahead_m, way.length_m - ahead_m)

    @property
    def end(self) -> np.ndarray:
        """Return its last position (2,)."""
        return self.way.at(np.array([self.length_m]))[0]


def ahead_m(tokens: int, token_s: float, fastest_mps: float) -> float:
    """
    Return how much of a way is diffused at once.

    :param tokens: of the longest candidate.
    :param fastest_mps: speed in the data.
    """
    return LOOK_AHEAD * (tokens - 1) * token_s * fastest_mps


def along(stretches: list[Stretch], task: Task, space: TokenSpace, settings: PlannerSettings,
          fastest_mps: float) -> list[Candidates]:
    """
    Return batches of candidates in the order in which they are tried, the fastest first.

    :param stretches: of different ways, in the frame of the tokens; candidates take turns.
    :param fastest_mps: speed in the data.
    """
    stretch = np.arange(settings.num_samples) % len(stretches)
    speeds_mps = fastest_mps * np.linspace(*SPEEDS, settings.num_samples)
    length_m = np.array([each.length_m for each in stretches])[stretch]
    left_s = np.array([each.left_m for each in stretches])[stretch] / (CRUISE * fastest_mps)
    ends = np.stack([each.end for each in stretches])[stretch]
    batches = []
    for slower in SLOWER:
        lengths = np.ceil(slower * length_m / (speeds_mps * space.token_s)).astype(int) + 1
        if task.at_goal:
            lengths = np.resize(STAY_TOKENS, settings.num_samples)
        lengths = lengths.clip(task.fewest, task.most)
        route = np.zeros((len(lengths), lengths.max(), 2))
        for row, tokens, index in zip(route, lengths, stretch):
            each = stretches[index]
            row[:tokens] = each.way.at(np.linspace(0.0, each.length_m, tokens))
        batches.append(Candidates(lengths, route, stretch, ends, left_s, wide=slower > 1.0))
    return batches
