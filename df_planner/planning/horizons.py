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

"""How many tokens the candidates of a plan have, batch by batch."""

from dataclasses import dataclass

import numpy as np

from df_planner.planning.plan import Plan
from df_planner.planning.settings import PlannerSettings
from df_planner.planning.tokens import TokenSpace

NEARBY_TOKENS = range(-3, 2)  # horizons tried around what is left of the previous plan
FASTER_TOKENS = range(-4, 0)  # and those tried anew now and then, to arrive earlier
SAMPLES_PER_BATCH = 8
BATCH_SIZES = (4, 5, 6, 8)  # of nearly all batches
# Shares of the expected arrival time that are tried, batch by batch: first those of plans faster
# than the data, then any.
EXPECTED_SHARES = [np.linspace(0.65, 1.0, 8), *[np.linspace(0.9, 1.5, 6)] * 3]
STAY_TOKENS = range(3, 7)  # horizons of plans that start and end at the goal
STAY_SAMPLES = 32  # at most: they are short, and made again and again


@dataclass(frozen=True)
class Batch:
    """
    Candidates that are denoised together.

    :param lengths: (N,) token counts.
    :param previous: the rest of the previous plan, if they are near its horizon.
    :param drafts: (N, T, C) candidates that they refine.
    :param improves: drawn although there is a plan, if one of them could arrive earlier.
    :param wide: drawn with all the noise that the model learnt from, after less of it has failed.
    """

    lengths: np.ndarray
    previous: Plan | None = None
    drafts: np.ndarray | None = None
    improves: bool = False
    wide: bool = False


def horizons(state: np.ndarray, stops: np.ndarray, fewest: int, limit: int, at_goal: bool,
             previous: Plan | None, arrival_s: float | None, settings: PlannerSettings,
             max_speed_mps: np.ndarray, space: TokenSpace, faster: bool) -> list[list[Batch]]:
    """
    Return batches in the order in which they are tried: likely horizons, then all.

    All that the model was trained for come before longer ones, which get ``num_samples`` more.

    :param state: (4,) in the observation frame.
    :param stops: (W + 1, 2) positions to pass one after the other, the goal last.
    :param fewest: the fewest tokens, 2 or more, and ``limit`` the most.
    :param at_goal: whether the robot is there already.
    :param previous: what is left of the previous plan.
    :param arrival_s: when the robot is expected to arrive.
    :param max_speed_mps: (2,) seen in the data, per axis.
    :param faster: look for a plan that arrives earlier than the previous one, too.
    """
    if not settings.pin_goal:
        everywhere = [Batch(np.full(settings.num_samples, limit))]
        nearby = previous is not None and settings.warm_start > 0.0
        return [[_nearby(previous, fewest, limit, space)] if nearby else [], everywhere]
    likely = []
    if at_goal:
        stay = np.resize(STAY_TOKENS, min(settings.num_samples, STAY_SAMPLES))
        likely.append(Batch(stay.clip(fewest, limit)))
    elif previous is not None:
        likely.append(_nearby(previous, fewest, limit, space))
        if faster:
            likely.append(Batch(_counts(previous, FASTER_TOKENS, fewest, limit, space),
                                improves=True))
    if arrival_s is not None:
        likely += _expected(arrival_s, fewest, limit, space)
    return [likely, _all(state, stops, fewest, limit, settings.num_samples, max_speed_mps, space,
                         wide=bool(likely))]


def _all(state, stops, fewest, limit, num_samples, max_speed_mps, space, wide) -> list[Batch]:
    """Return batches from the fewest tokens that could reach the goal upwards."""
    legs = np.diff(stops, axis=0, prepend=state[None, :2])
    fastest_s = (np.abs(legs) / max_speed_mps).max(1).sum()
    trained = min(limit, max(space.max_tokens, fewest))
    fewest = max(fewest, int(np.ceil(fastest_s / space.token_s)) + 1)
    counts = [_spread(fewest, trained, num_samples)]
    if limit > trained:
        counts.append(_spread(max(fewest, trained + 1), limit, num_samples))
    num_batches = -(-num_samples // SAMPLES_PER_BATCH)
    return [Batch(lengths, wide=wide)
            for c in counts for lengths in np.array_split(c, num_batches)]


def _expected(arrival_s: float, fewest: int, limit: int, space: TokenSpace) -> list[Batch]:
    """Return horizons around the expected arrival."""
    expected = arrival_s / space.token_s + 1
    return [Batch(np.ceil(shares * expected).astype(int).clip(fewest, limit))
            for shares in EXPECTED_SHARES]


def _spread(fewest: int, most: int, num_samples: int) -> np.ndarray:
    """Return token counts (num_samples,) from the fewest upwards."""
    return np.linspace(min(fewest, most), most, num_samples).round().astype(int)


def _nearby(previous: Plan, fewest: int, limit: int, space: TokenSpace) -> Batch:
    """Return the horizons around what is left of the previous plan."""
    return Batch(_counts(previous, NEARBY_TOKENS, fewest, limit, space), previous)


def _counts(previous: Plan, more: range, fewest: int, limit: int, space: TokenSpace
            ) -> np.ndarray:
    """Return the token counts (n,) of what is left of a plan, and so many more or fewer."""
    left = -(-(len(previous) - 1) // space.frame_stack) + 1
    return np.unique(np.clip([left + d for d in more], fewest, limit))
