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

"""The continuous ranked probability score of samples, and its mean over origins with its error."""

import numpy as np


def fair_crps(samples: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """
    Return the CRPS (...) of samples (m, ...) about a truth (...), m at least 2.

    mean |x_i - y| - sum_ij |x_i - x_j| / (2 m (m - 1)): what it estimates does not depend on m
    (Ferro, 2014), so ensembles of different sizes compare.
    """
    count = len(samples)
    ordered = np.sort(samples, axis=0)
    ranks = np.arange(1 - count, count, 2).reshape(-1, *[1] * truth.ndim)
    spread = (ranks * ordered).sum(axis=0) / (count * (count - 1))
    return np.abs(samples - truth).mean(axis=0) - spread


def mean_and_error(scores: np.ndarray, blocks: np.ndarray) -> tuple[float, float]:
    """
    Return the mean of scores (N,), and its standard error over blocks.

    Origins near each other share their future; blocks of them are taken to be independent. NaN
    scores are left out.

    :param blocks: (N,) the block of each score; two blocks or more.
    """
    means = np.array([np.nanmean(scores[blocks == block]) for block in np.unique(blocks)])
    return float(means.mean()), float(means.std(ddof=1) / np.sqrt(len(means)))
