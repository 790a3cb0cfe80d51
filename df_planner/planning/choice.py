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

"""Choice: from sampled tokens to the one plan that is the best of them."""

from dataclasses import dataclass

import numpy as np
import torch

from df_planner.diffusion.guidance import Guidance
from df_planner.planning.grid import GridMap
from df_planner.planning.plan import Plan
from df_planner.planning.selection import judge
from df_planner.planning.selection import spread
from df_planner.planning.selection import Verdict
from df_planner.planning.settings import PlannerSettings
from df_planner.planning.tokens import TokenSpace


@dataclass(frozen=True)
class Attempt:
    """
    The best plan of one batch.

    :param verdict: what the checks say about the whole batch.
    :param tokens: (N, T, C) in physical units, of which ``lengths`` (N,) are real.
    :param num_tokens: tokens of the candidate that became the plan.
    """

    plan: Plan
    verdict: Verdict
    tokens: np.ndarray
    lengths: np.ndarray
    num_tokens: int


def choose(tokens: np.ndarray, lengths: np.ndarray, stops: np.ndarray, at_goal: bool,
           space: TokenSpace, limits: dict[str, np.ndarray], grid: GridMap | None,
           settings: PlannerSettings, guidance: Guidance | None) -> Attempt:
    """
    Check a batch of candidates and return the best as a plan.

    :param tokens: (N, T, C) in physical units.
    :param lengths: (N,) real tokens; what follows is padding.
    :param stops: (W + 1, 2) positions, way-points and then the goal.
    :param at_goal: whether the robot is there already.
    :param limits: as for ``judge``.
    :param guidance: with ``select_by`` reward, what candidates are ranked by.
    """
    states = space.states_of(tokens)
    verdict = judge(states, tokens[..., :4], lengths, stops, limits, grid, settings,
                    space.token_s)
    rewards = -verdict.arrival_steps * space.dt_s
    if guidance is not None and settings.select_by == 'reward':
        real = torch.arange(tokens.shape[1]) < torch.tensor(lengths)[:, None]
        rewards = guidance.physical_reward(
            torch.tensor(tokens, dtype=torch.float32, device=space.device),
            real.to(space.device)).cpu().double().numpy()
    rewards = np.where(verdict.valid, rewards, -np.inf)
    chosen = verdict.best(at_goal, rewards)
    steps = verdict.arrival_steps + 1
    plan = Plan(
        actions=space.actions_of(tokens)[chosen, :steps[chosen]],
        states=states[chosen, :steps[chosen]], dt_s=space.dt_s, goal=stops[-1],
        reward=float(rewards[chosen]), valid=bool(verdict.valid[chosen]),
        uncertainty=spread(states, verdict.arrival_steps, chosen),
        candidates=[s[:n] for s, n in zip(states, steps)], candidate_rewards=rewards)
    return Attempt(plan, verdict, tokens, lengths, int(lengths[chosen]))
