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
The search for a plan: batch after batch of candidates, until one of them is valid.

First come the likely horizons, then all (see ``horizons.py``). After either, the candidates that
failed by least are refined: noised again to a level in between and denoised, as SDEdit does with
images (Meng et al., 2022). A long candidate mostly fails in a few places; at a middle level it
keeps its way as a whole while its details are sampled again, and the best of old and new go on to
the next round. After a failure, candidates start from the full noise of training. With ``anytime``
the search goes on while a batch may hold a plan that arrives earlier.
"""

from collections.abc import Iterator

import numpy as np

from df_planner.errors import At
from df_planner.errors import NoValidPlan
from df_planner.errors import PlanningTimeout
from df_planner.planning.checks import Attempt
from df_planner.planning.checks import complaint
from df_planner.planning.horizons import Candidates
from df_planner.planning.plan import POSITION
from df_planner.planning.request import Task
from df_planner.planning.settings import PlannerSettings

NUM_DRAFTS = 4
SAMPLES_PER_DRAFT = 2


def best_drafts(attempts: list[Attempt]) -> tuple[np.ndarray, np.ndarray]:
    """
    Return what to refine: the candidates that fail by least, several times each.

    :returns: token counts (N,) and tokens (N, T, C) in physical units.
    """
    failure = np.concatenate([attempt.verdict.failure for attempt in attempts])
    candidates = [tokens[:length] for attempt in attempts
                  for tokens, length in zip(attempt.tokens, attempt.lengths)]
    best = [candidates[index] for index in np.argsort(failure, kind='stable')[:NUM_DRAFTS]
            for _ in range(SAMPLES_PER_DRAFT)]
    lengths = np.array([len(tokens) for tokens in best])
    drafts = np.zeros((len(best), lengths.max(), best[0].shape[-1]))
    for draft, tokens in zip(drafts, best):
        draft[:len(tokens)] = tokens
    return lengths, drafts


class Search:
    """
    What to try next, given what became of the candidates before.

    :param stages: batches in the order in which they are tried.
    :ivar attempts: what became of each batch, for the caller to append.
    """

    def __init__(self, stages: list[list[Candidates]], settings: PlannerSettings):
        self.attempts: list[Attempt] = []
        self._stages = stages
        self._anytime = settings.anytime
        self._refine_rounds = settings.refine_rounds if settings.collision_check else 0

    def batches(self) -> Iterator[Candidates]:
        """Return what to try, batch by batch, until the search is over."""
        for stage in self._stages:
            for batch in stage:
                if not self._has_plan or (self._anytime or batch.improves) and (
                        batch.lengths.min() < self.best.num_tokens):
                    yield batch
            for _ in range(self._refine_rounds if stage else 0):
                if not self._has_plan:
                    lengths, drafts = best_drafts(self.attempts)
                    yield Candidates(lengths, drafts=drafts, wide=True)

    @property
    def best(self) -> Attempt | None:
        """Return the attempt whose plan is best: valid and early, else failing by least."""
        def rank(attempt: Attempt) -> tuple[float, float]:
            return attempt.verdict.failure.min(), -attempt.plan.reward
        return min(self.attempts, key=rank, default=None)

    def failure(self, task: Task, timeout: PlanningTimeout | None) -> NoValidPlan:
        """Return the error that says why no candidate is valid; ``timeout`` cut the search."""
        reasons: list[str | At] = [f'{timeout}'] if timeout else []
        if self.attempts:
            reasons += ['; '] * bool(timeout)
            reasons += complaint([attempt.verdict for attempt in self.attempts])
        return (PlanningTimeout if timeout else NoValidPlan)(
            'no valid plan from ', At(*task.state[POSITION]), ' to ', At(*task.stops[-1]), ': ',
            *reasons)

    @property
    def _has_plan(self) -> bool:
        return any(attempt.plan.valid for attempt in self.attempts)
