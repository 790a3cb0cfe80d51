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

"""The search for a plan: batch after batch of candidates, until one of them is valid."""

from collections.abc import Iterable
from dataclasses import replace

from df_planner.errors import At
from df_planner.errors import NoValidPlan
from df_planner.errors import PlanningTimeout
from df_planner.planning.checks import Attempt
from df_planner.planning.checks import Checks
from df_planner.planning.checks import complaint
from df_planner.planning.horizons import Candidates
from df_planner.planning.plan import POSITION
from df_planner.planning.request import Task
from df_planner.planning.sampling import Sampling


def search(batches: Iterable[Candidates], task: Task, sampling: Sampling, checks: Checks
           ) -> tuple[Attempt, Candidates]:
    """
    Sample batches of candidates until one is valid.

    :param batches: in the order in which they are tried; those after the first are sampled with
        the noise of training.
    :returns: what became of the batch that holds the best plan, valid and early, and the batch.
    :raises NoValidPlan: if none is valid and ``collision_check`` is on; PlanningTimeout, a kind of
        it, if the deadline came first.
    """
    settings, space = checks.settings, checks.space
    tried: list[tuple[Attempt, Candidates]] = []
    timeout = None
    try:
        for batch in batches:
            tokens = sampling.draw(batch.known(task, space, settings), batch.batch > 1)
            with sampling.clock.spending('checks'):
                tried.append((checks.attempt(tokens, batch, task, sampling.guidance), batch))
            attempt = tried[-1][0]
            if attempt.plan.valid:
                return replace(attempt, plan=replace(attempt.plan, batches=batch.batch)), batch
    except PlanningTimeout as error:
        timeout = error
    if tried and not settings.collision_check:
        return min(tried, key=lambda each: each[0].verdict.failure.min())
    reasons: list[str | At] = [f'{timeout}'] if timeout else []
    if tried:
        reasons += ['; '] * bool(timeout)
        reasons += complaint([attempt.verdict for attempt, _ in tried])
    raise (PlanningTimeout if timeout else NoValidPlan)(
        'no valid plan from ', At(*task.state[POSITION]), ' to ', At(*task.goal), ': ',
        *reasons)
