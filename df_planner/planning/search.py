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

First come the likely horizons, then all (see ``horizons.py``); after either, the candidates that
failed by least are noised again, which keeps what is good about them (refinement). What comes
after a failure is drawn wide, with all the noise that the model learnt from. With ``anytime`` the
search goes on while a batch may hold a plan that arrives earlier. A deadline ends it wherever it
is.

Refinement: candidates that failed are noised again, to a level in between, and denoised anew.

A long candidate mostly fails in a few places. At a middle level it keeps the way that it takes as
a whole while its details are drawn again; the best of old and new go on to the next round (after
SDEdit, Meng et al., 2022, which does the same to images).
"""

from collections.abc import Callable
from collections.abc import Iterator

import numpy as np

from df_planner.errors import PlanningCancelled
from df_planner.planning.checks import Attempt
from df_planner.planning.checks import complaint
from df_planner.planning.clock import Clock
from df_planner.planning.horizons import Batch

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


class Search:
    """
    Draw and judge batches of candidates; keep what became of them.

    :param draw: tokens (N, T, C) of a batch; PlanningCancelled if told to stop.
    :param judge: the attempt that tokens (N, T, C) of (N,) lengths are.
    """

    def __init__(self, draw: Callable[[Batch], np.ndarray],
                 judge: Callable[[np.ndarray, np.ndarray], Attempt], clock: Clock):
        """Start with nothing tried."""
        self.attempts: list[Attempt] = []
        self.is_late = False
        self._draw = draw
        self._judge = judge
        self._clock = clock

    def run(self, stages: list[list[Batch]], refine_rounds: int, anytime: bool,
            is_cancelled: Callable[[], bool]) -> None:
        """
        Try batches until the search is over.

        :param stages: batches, and after those of each stage ``refine_rounds`` of refinement.
        :param is_cancelled: whether it was the caller who stopped it, and not the deadline.
        :raises PlanningCancelled: if it was.
        """
        try:
            for batch in self._batches(stages, refine_rounds, anytime):
                tokens = self._draw(batch)
                with self._clock.spending('checks'):
                    self.attempts.append(self._judge(tokens, batch.lengths))
        except PlanningCancelled:
            if is_cancelled():
                raise
            self.is_late = True

    @property
    def best(self) -> Attempt | None:
        """Return the attempt whose plan is best: valid and early, else failing by least."""
        def rank(attempt: Attempt) -> tuple[float, float]:
            return attempt.verdict.failure.min(), -attempt.plan.reward
        return min(self.attempts, key=rank, default=None)

    def complaint(self) -> str:
        """Return why there is no valid plan."""
        late = f'{self._clock.deadline_s * 1e3:.0f} ms are over' if self.is_late else ''
        tried = complaint([attempt.verdict for attempt in self.attempts]) if self.attempts else ''
        return '; '.join(filter(None, (late, tried)))

    def _batches(self, stages: list[list[Batch]], refine_rounds: int, anytime: bool
                 ) -> Iterator[Batch]:
        for stage in stages:
            for batch in stage:
                if not self._has_plan or (anytime or batch.improves) and (
                        batch.lengths.min() < self.best.num_tokens):
                    yield batch
            for _ in range(refine_rounds if stage else 0):
                if not self._has_plan:
                    lengths, drafts = best_drafts(self.attempts)
                    yield Batch(lengths, drafts=drafts, wide=True)

    @property
    def _has_plan(self) -> bool:
        return any(attempt.plan.valid for attempt in self.attempts)
