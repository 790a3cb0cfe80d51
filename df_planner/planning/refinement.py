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
Refinement: candidates that failed are noised again, to a level in between, and denoised anew.

A long candidate mostly fails in a few places. At a middle level it keeps the way that it takes as
a whole while its details are drawn again; the best of old and new go on to the next round (after
SDEdit, Meng et al., 2022, which does the same to images).
"""

import numpy as np

from df_planner.planning.choice import Attempt

NUM_DRAFTS = 4
DRAWN_PER_DRAFT = 2


def best_drafts(attempts: list[Attempt]) -> tuple[np.ndarray, np.ndarray]:
    """
    Return what to draw again: the candidates that fail by least, several times each.

    :returns: token counts (N,) and tokens (N, T, C) in physical units.
    """
    failure = np.concatenate([attempt.verdict.failure for attempt in attempts])
    candidates = [tokens[:length] for attempt in attempts
                  for tokens, length in zip(attempt.tokens, attempt.lengths)]
    best = [candidates[index] for index in np.argsort(failure, kind='stable')[:NUM_DRAFTS]
            for _ in range(DRAWN_PER_DRAFT)]
    lengths = np.array([len(tokens) for tokens in best])
    drafts = np.zeros((len(best), lengths.max(), best[0].shape[-1]))
    for draft, tokens in zip(drafts, best):
        draft[:len(tokens)] = tokens
    return lengths, drafts
