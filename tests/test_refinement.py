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

"""Refinement: what failed by least is noised again and denoised anew."""

import numpy as np
import pytest
import torch

from df_planner import Planner
from df_planner.errors import NoValidPlan
from df_planner.planning.checks import Attempt
from df_planner.planning.checks import Verdict
from df_planner.planning.search import best_drafts
from df_planner.planning.search import NUM_DRAFTS
from df_planner.planning.search import SAMPLES_PER_DRAFT
from df_planner.planning.settings import PlannerSettings

START, GOAL = np.array([3.0, 1.0, 0.0, 0.0]), np.array([1.0, 1.0])


def attempt(collisions_m, lengths):
    """Return an attempt whose candidates collide by so much, their tokens telling their number."""
    count, zeros = len(lengths), np.zeros(len(lengths))
    tokens = np.zeros((count, max(lengths), 24)) + np.arange(count)[:, None, None]
    verdict = Verdict(zeros, np.array(collisions_m), zeros, zeros, zeros, np.zeros((count, 0)),
                      np.zeros((0, 2)), zeros.astype(bool))
    return Attempt(None, verdict, tokens, np.array(lengths), 0)


def test_the_best_of_all_attempts_are_drafts_each_several_times():
    lengths, drafts = best_drafts([attempt([0.3, 0.1, 0.6], [5, 4, 6]),
                                   attempt([0.2, 0.5, 0.05], [2, 3, 3])])
    assert lengths.tolist() == np.repeat([3, 4, 2, 5], SAMPLES_PER_DRAFT).tolist()
    assert drafts.shape == (NUM_DRAFTS * SAMPLES_PER_DRAFT, 5, 24)
    assert (drafts[0, :3] == 2.0).all() and (drafts[0, 3:] == 0.0).all()
    assert (drafts[SAMPLES_PER_DRAFT, :4] == 1.0).all()


@pytest.fixture(scope='module')
def planner():
    torch.set_num_threads(1)
    return Planner.load('maze2d-umaze')


def test_it_finds_plans_where_single_candidates_fail(planner):
    found = {}
    for rounds in (0, 12):
        planner.settings = PlannerSettings(num_samples=2, horizon_steps=120, refine_rounds=rounds,
                                           predict_horizon=False, guidance_scale=0.0,
                                           sampling_steps=8)
        found[rounds] = []
        for seed in range(8):
            try:
                found[rounds].append(planner.plan(START, GOAL, seed=seed).valid)
            except NoValidPlan:
                found[rounds].append(False)
    assert sum(found[0]) <= 4, 'otherwise there is nothing to refine'
    assert sum(found[12]) >= 7
    assert all(refined >= plain for refined, plain in zip(found[12], found[0]))


def test_it_costs_nothing_when_a_plan_is_valid_at_once(planner):
    plans = []
    for rounds in (0, 8):
        planner.settings = PlannerSettings(refine_rounds=rounds)
        plans.append(planner.plan(START, GOAL))
    assert np.array_equal(plans[0].states, plans[1].states)
