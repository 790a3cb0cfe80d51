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

A way tells where to go, not how long it takes. The candidates of a batch drive the same way at
different speeds, as they can by what the data show: they speed up from that of the robot and slow
down for bends. The fastest are sampled first, the others only if none of these is valid. Later
batches take longer. Of a long way only the first part is diffused at once, as far as the model was
trained for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace
import math
from typing import Self

import numpy as np

from df_planner.maps.route import SPACING_M
from df_planner.maps.route import Way
from df_planner.planning.plan import VELOCITY
from df_planner.planning.request import Task
from df_planner.planning.settings import PlannerSettings
from df_planner.planning.tokens import Known
from df_planner.planning.tokens import TokenSpace

FIRST = 4  # candidates of a batch that are sampled before the others
BATCH_SIZES = FIRST, 8  # of nearly all that is sampled together
SPEEDS = 1.2, 0.4  # of the fastest and slowest candidate, as shares of the fastest in the data
LOOK_AHEAD = 0.3  # share of the longest window at full speed that is diffused at once
HEADS_M = 0.3  # of a way tell where it heads
NEARLY_THERE = 1.2  # a way longer by this factor is diffused to its end
SLOWER = 1.0, 1.2, 1.4, 1.8  # of the batches that are tried one after the other
CRUISE = 0.5  # speed at which a plan goes on as its route, as a share of the fastest in the data
STAY_TOKENS = range(3, 7)  # horizons of plans that start and end at the goal


@dataclass(frozen=True)
class Candidates:
    """
    What to sample together: a batch, or a part of it.

    :param lengths: (N,) token counts.
    :param route: (N, T, 2) positions as a way tells them.
    :param stretch: (N,) index of the stretch of a way that each follows.
    :param ends: (N, 2) where they end: the goal or, as yet, a place on the way to it.
    :param left_s: (N,) seconds that what is left of the way may take.
    :param batch: number of the batch, from 1.
    """

    lengths: np.ndarray
    route: np.ndarray
    stretch: np.ndarray
    ends: np.ndarray
    left_s: np.ndarray
    batch: int = 1

    @property
    def padded(self) -> float:
        """Return the share of the padding that they keep: all, less and less, at last none."""
        return 1.0 - (self.batch - 1) / (len(SLOWER) - 1)

    def only(self, rows: np.ndarray | slice) -> Self:
        """Return the candidates with the indices ``rows``."""
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
    def points(self) -> np.ndarray:
        """Return which points of the way lie in it, (N, 2)."""
        return self.way.points[self.way.lengths_m <= self.length_m + SPACING_M]

    @property
    def end(self) -> np.ndarray:
        """Return its last position (2,)."""
        return self.way.at(np.array([self.length_m]))[0]

    def speed_along(self, velocity: np.ndarray) -> float:
        """Return how much of a velocity (2,) at its start leads along it, at least 0."""
        ahead = self.way.at(np.array([0.0, HEADS_M]))
        ahead = ahead[1] - ahead[0]
        return max(float(velocity @ ahead) / max(float(np.linalg.norm(ahead)), 1e-9), 0.0)

    def times_s(self, cruise_mps: np.ndarray, first_mps: float, rests: bool, most_mps2: float
                ) -> tuple[np.ndarray, np.ndarray]:
        """
        Return when, (N, P) s, lengths (P,) of it are reached at speeds (N,).

        It speeds up from ``first_mps``, slows down for bends and, if it ``rests``, for the end.

        :param most_mps2: acceleration along and across the way.
        """
        along_m = np.linspace(0.0, self.length_m, max(3, math.ceil(self.length_m / SPACING_M) + 1))
        points, step_m = self.way.at(along_m), along_m[1]
        heading = np.diff(points, axis=0) / step_m
        bend = np.linalg.norm(np.diff(heading, axis=0), axis=-1) / step_m  # 1/m
        limit = np.concatenate([[np.inf], most_mps2 / bend.clip(1e-6), [np.inf]])
        limit[0], limit[-1] = first_mps ** 2, 0.0 if rests else np.inf
        squared = np.minimum(limit, np.square(cruise_mps)[:, None])
        away_m = np.abs(along_m[:, None] - along_m)
        squared = (squared[:, None] + 2.0 * most_mps2 * away_m).min(-1)
        speed = np.sqrt(squared)
        step_s = 2.0 * step_m / (speed[:, 1:] + speed[:, :-1]).clip(1e-3)
        return np.concatenate([np.zeros((len(speed), 1)), step_s.cumsum(1)], axis=1), along_m


def ahead_m(tokens: int, token_s: float, fastest_mps: float) -> float:
    """
    Return how much of a way is diffused at once.

    :param tokens: of the longest candidate.
    :param fastest_mps: speed in the data.
    """
    return LOOK_AHEAD * (tokens - 1) * token_s * fastest_mps


def along(stretches: list[Stretch], task: Task, space: TokenSpace, settings: PlannerSettings,
          fastest_mps: float, most_mps2: float) -> Iterator[Candidates]:
    """
    Give batches of candidates, in parts, in the order in which they are tried, the fastest first.

    :param stretches: of different ways, in the frame of the tokens; candidates take turns.
    :param fastest_mps: speed in the data, and ``most_mps2``, acceleration.
    """
    stretch = np.arange(settings.num_samples) % len(stretches)
    left_s = np.array([each.left_m for each in stretches])[stretch] / (CRUISE * fastest_mps)
    ends = np.stack([each.end for each in stretches])[stretch]
    speeds_mps = fastest_mps * np.linspace(*SPEEDS, settings.num_samples)
    moved: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # by candidate: times and lengths
    for index, each in enumerate(stretches):
        rests = each.left_m == 0.0 and task.request.rest_at_goal
        members = np.flatnonzero(stretch == index)
        times_s, along_m = each.times_s(
            speeds_mps[members], each.speed_along(task.state[VELOCITY]), rests, most_mps2)
        moved |= {member: (times, along_m) for member, times in zip(members.tolist(), times_s)}
    duration_s = np.array([moved[member][0][-1] for member in range(settings.num_samples)])
    compared = task.at_goal or settings.select_by == 'reward'  # with all of the batch
    for batch, slower in enumerate(SLOWER, 1):
        lengths = np.ceil(slower * duration_s / space.token_s).astype(int) + 1
        if task.at_goal:
            lengths = np.resize(STAY_TOKENS, settings.num_samples)
        lengths = lengths.clip(task.fewest, task.most)
        route = np.zeros((len(lengths), lengths.max(), 2))
        for member, (row, tokens) in enumerate(zip(route, lengths)):
            times, along_m = moved[member]
            row[:tokens] = stretches[stretch[member]].way.at(np.interp(
                np.linspace(0.0, times[-1], tokens), times, along_m))
        candidates = Candidates(lengths, route, stretch, ends, left_s, batch)
        if compared or settings.num_samples <= FIRST:
            yield candidates
        else:
            yield candidates.only(slice(FIRST))
            yield candidates.only(slice(FIRST, None))
