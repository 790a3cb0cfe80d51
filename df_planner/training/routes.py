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
Routes as planning meets them, from the motion of a log.

A grid search tells the way and no times. So a route of a window is its way told coarsely: knots,
moved sideways, at even spacing from the first position to the last.
"""

import math

import numpy as np

KNOTS_APART_M = 0.4, 1.2
ASIDE_STD_M = 0.2
LEAST_STD_M, TRUST = 0.08, (0.7, 1.6)


def routes(positions: np.ndarray, random: np.random.Generator, scale_m: float, num_levels: int
           ) -> tuple[np.ndarray, np.ndarray]:
    """
    Make a route (B, T, 2) of the positions (B, T, 2) of each window; return its level (B,), too.

    :param scale_m: standard deviation of positions that the network sees as 1.
    """
    batch, tokens, _ = positions.shape
    result = np.empty_like(positions)
    apart = random.uniform(*KNOTS_APART_M, batch)
    aside = random.uniform(0.0, ASIDE_STD_M, batch)
    even = np.linspace(0.0, 1.0, tokens)
    for row, way in enumerate(positions):
        knots = _resampled(way, np.linspace(
            0.0, 1.0, 1 + max(1, round(_lengths(way)[-1] / apart[row]))))
        knots[1:-1] += aside[row] * random.standard_normal((len(knots) - 2, 2))
        result[row] = _resampled(knots, even)
    off_m = np.sqrt(np.square(result - positions).sum(-1).mean(-1) / 2)
    std = np.maximum(off_m * random.uniform(*TRUST, batch), LEAST_STD_M) / scale_m
    return result, np.round(num_levels * np.arctan(std) / (math.pi / 2)).astype(np.int64)


def _lengths(way: np.ndarray) -> np.ndarray:
    """Return the length of a polyline (N, 2) up to each of its points."""
    return np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(way, axis=0), axis=-1))])


def _resampled(way: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return the points of a polyline (N, 2) at shares (M,) of its length."""
    along = _lengths(way)
    at = shares * along[-1]
    return np.stack([np.interp(at, along, way[:, i]) for i in range(2)], -1)
