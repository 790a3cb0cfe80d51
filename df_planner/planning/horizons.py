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
The batches of candidates: how many tokens they have, and what is known of them.

A model of any place follows a way on the map: a noisy observation of the positions, at even
spacing in time. Candidates along it differ in the time they take. The first part of a long way is
diffused, as far as the model was trained for; the rest once the robot is nearer.
"""

from dataclasses import dataclass

import numpy as np

from df_planner.planning.plan import Plan
from df_planner.planning.plan import POSITION
from df_planner.planning.request import Task
from df_planner.planning.route import Way
from df_planner.planning.settings import PlannerSettings
from df_planner.planning.tokens import Known
from df_planner.planning.tokens import tokens_of_steps
from df_planner.planning.tokens import TokenSpace

NEARBY_TOKENS = range(-3, 2)  # horizons tried around what is left of the previous plan
FASTER_TOKENS = range(-4, 0)  # and horizons tried to arrive earlier than it
SAMPLES_PER_BATCH = 8
BATCH_SIZES = (4, 5, 6, 8)  # of nearly all batches
# Shares of the expected arrival time that are tried, batch by batch: first those of plans faster
# than the data, then any.
EXPECTED_SHARES = [np.linspace(0.65, 1.0, 8), *[np.linspace(0.9, 1.5, 6)] * 3]
SPEEDS = np.linspace(0.95, 0.25, 8)  # of candidates, as shares of the fastest in the data
LOOK_AHEAD = 0.3  # share of the longest window at full speed that is diffused
NEARLY_THERE = 1.2  # a way longer by this factor is diffused to its end
SLOWER = 1.0, 1.2, 1.4, 1.8  # of the batches that are tried one after the other
STAY_TOKENS = range(3, 7)  # horizons of plans that start and end at the goal
STAY_SAMPLES = 32  # at most: they are short, and made again and again


@dataclass(frozen=True)
class Candidates:
    """
    What to sample as one batch.

    :param lengths: (N,) token counts.
    :param previous: the rest of the previous plan, to start from.
    :param drafts: (N, T, C) candidates to refine.
    :param improves: sampled although there is a plan, if one of them could arrive earlier.
    :param wide: sampled with the noise of training, after less noise has failed.
    :param route: (N, T, 2) positions as a route tells them.
    :param ends_at_goal: the last position is the goal, not a place on the way to it.
    """

    lengths: np.ndarray
    previous: Plan | None = None
    drafts: np.ndarray | None = None
    improves: bool = False
    wide: bool = False
    route: np.ndarray | None = None
    ends_at_goal: bool = True

    def known(self, task: Task, space: TokenSpace, settings: PlannerSettings) -> Known:
        """Return what is known of them before they are sampled."""
        known = Known(space, self.lengths)
        if self.previous is not None:
            known.noised_again(space.tokens_of(self.previous, int(self.lengths.max())),
                               round(settings.warm_start * space.num_levels))
        if self.drafts is not None:
            known.noised_again(self.drafts, round(settings.refine_level * space.num_levels))
        if self.route is not None:
            known.route(self.route, settings.route_std_m)
        known.start(task.state)
        if settings.pin_goal and self.ends_at_goal:
            known.end(task.stops[-1], rest=task.at_goal or task.request.rest_at_goal)
        known.prefix(task.prefix)
        return known


def horizons(task: Task, arrival_s: float | None, settings: PlannerSettings, space: TokenSpace,
             max_speed_mps: np.ndarray) -> list[list[Candidates]]:
    """
    Return batches in the order in which they are tried: likely horizons, then all.

    Horizons that the model was trained for come before longer ones, which get ``num_samples`` too.

    :param arrival_s: when the robot is expected to arrive.
    :param max_speed_mps: (2,) seen in the data, per axis.
    """
    previous, likely = task.request.previous, []
    if not settings.pin_goal:
        if previous is not None and settings.warm_start > 0.0:
            likely.append(_nearby(task, settings, space))
        return [likely, [Candidates(np.full(settings.num_samples, task.most))]]
    if task.at_goal:
        stay = np.resize(STAY_TOKENS, min(settings.num_samples, STAY_SAMPLES))
        likely.append(Candidates(stay.clip(task.fewest, task.most)))
    elif previous is not None:
        likely.append(_nearby(task, settings, space))
        if task.request.faster:
            likely.append(Candidates(_counts(task, FASTER_TOKENS, space), improves=True))
    if arrival_s is not None:
        expected = arrival_s / space.token_s + 1
        likely += [Candidates(np.ceil(shares * expected).astype(int).clip(task.fewest, task.most))
                   for shares in EXPECTED_SHARES]
    return [likely, _all(task, settings.num_samples, space, max_speed_mps, wide=bool(likely))]


def _all(task: Task, num_samples: int, space: TokenSpace, max_speed_mps: np.ndarray, wide: bool
         ) -> list[Candidates]:
    """Return batches from the fewest tokens that could reach the goal upwards."""
    legs = np.diff(task.stops, axis=0, prepend=task.state[None, POSITION])
    fastest_s = (np.abs(legs) / max_speed_mps).max(1).sum()
    trained = min(task.most, max(space.max_tokens, task.fewest))
    fewest = max(task.fewest, int(np.ceil(fastest_s / space.token_s)) + 1)
    counts = [_spread(fewest, trained, num_samples)]
    if task.most > trained:
        counts.append(_spread(max(fewest, trained + 1), task.most, num_samples))
    num_batches = -(-num_samples // SAMPLES_PER_BATCH)
    return [Candidates(lengths, wide=wide)
            for c in counts for lengths in np.array_split(c, num_batches)]


def _spread(fewest: int, most: int, num_samples: int) -> np.ndarray:
    """Return token counts (num_samples,) from the fewest upwards."""
    return np.linspace(min(fewest, most), most, num_samples).round().astype(int)


def _nearby(task: Task, settings: PlannerSettings, space: TokenSpace) -> Candidates:
    """Return the horizons around the rest of the previous plan, with its warm start if wanted."""
    is_warm = settings.warm_start > 0.0 and not task.request.rest_at_goal
    return Candidates(_counts(task, NEARBY_TOKENS, space),
                      task.request.previous if is_warm else None)


def _counts(task: Task, more: range, space: TokenSpace) -> np.ndarray:
    """Return token counts (n,) around that of the rest of the previous plan."""
    left = tokens_of_steps(len(task.request.previous) - 1, space.frame_stack)
    return np.unique(np.clip([left + d for d in more], task.fewest, task.most))


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
