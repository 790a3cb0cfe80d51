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

"""Whatever samples obeys the schedule, the deadline and the caller; a request is one object."""

import numpy as np
import pytest
import torch

from df_planner import Planner
from df_planner.errors import ConfigError
from df_planner.errors import InvalidInput
from df_planner.errors import PlanningCancelled
from df_planner.errors import PlanningTimeout
from df_planner.planning.reconstruction import reconstruct
from df_planner.planning.request import Request
from df_planner.planning.settings import PlannerSettings
from df_planner.sim.maze import maze_map

START, GOAL = np.array([3.0, 1.0, 0.0, 0.0]), np.array([1.0, 1.0])
KNOWN = np.full((24, 4), np.nan)
KNOWN[0] = START
QUICK = {'collision_check': False, 'num_samples': 8, 'guidance_scale': 0.0, 'sampling_steps': 4}
NOISY = {'position_noise_std_m': 0.1, 'velocity_noise_std_mps': 0.1}
WAYS = {
    'plan': lambda planner, **more: planner.plan(START, GOAL, **more).states,
    'rollout': lambda planner, **more: planner.rollout(START, 90, 2, **more)[0],
    'long rollout': lambda planner, **more: planner.rollout(START, 400, 2, **more)[0],
    'reconstruct': lambda planner, **more: reconstruct(planner, KNOWN, None, 2, **more).states,
}
every_way = pytest.mark.parametrize('sampled', WAYS.values(), ids=WAYS)


@pytest.fixture(scope='module')
def shipped():
    torch.set_num_threads(1)
    return Planner.load('point', grid=maze_map('umaze'))


@pytest.fixture
def planner(shipped):
    """Return the shipped planner with fresh settings."""
    shipped.settings = PlannerSettings(**QUICK)
    return shipped


@every_way
def test_the_schedule_file_decides_the_levels(planner, sampled, tmp_path):
    usual = sampled(planner)
    usual_calls = planner.clock.network_calls
    path = tmp_path / 'halving.csv'
    path.write_text('\n'.join(','.join([level] * 32) for level in ('1000', '500', '0')),
                    encoding='utf-8')
    planner.settings = PlannerSettings(schedule_file=str(path), **QUICK)
    halving = sampled(planner)
    assert planner.clock.network_calls == usual_calls / 2  # two rows instead of four
    assert halving.shape != usual.shape or not np.allclose(halving, usual)
    planner.settings = PlannerSettings(schedule_file=str(tmp_path / 'none.csv'), **QUICK)
    with pytest.raises(ConfigError, match='schedule_file .*none.csv'):
        sampled(planner)


@every_way
@pytest.mark.parametrize('noise', [{}, NOISY])
def test_the_deadline_ends_it(planner, sampled, noise):
    planner.settings = PlannerSettings(deadline_ms=0.001, **QUICK, **noise)
    with pytest.raises(PlanningTimeout, match='deadline_ms of 0.001 exceeded'):
        sampled(planner)
    assert planner.clock.network_calls == 0


@every_way
@pytest.mark.parametrize('noise', [{}, NOISY])
def test_the_caller_cancels_it_between_two_network_calls(planner, sampled, noise):
    planner.settings = PlannerSettings(**QUICK, **noise)
    with pytest.raises(PlanningCancelled):
        sampled(planner, should_stop=lambda: planner.clock.network_calls == 1)
    assert planner.clock.network_calls == 1


@pytest.mark.parametrize('kind', [int, np.int64, np.uint8, lambda seed: torch.tensor(seed)])
def test_a_whole_number_of_any_type_is_a_seed(planner, kind):
    wanted = planner.plan(START, GOAL, seed=3)
    np.testing.assert_array_equal(planner.plan(START, GOAL, seed=kind(3)).states, wanted.states)
    policy = planner.policy(seed=kind(3))
    policy.reset(GOAL)
    policy.act(START)


@pytest.mark.parametrize(('fields', 'cause'), [
    ({'seed': -1}, 'seed must be 0 or more, got -1'), ({'seed': 1.5}, 'seed must be a whole'),
    ({'seed': '3'}, "seed must be a whole number, got '3'"), ({'horizon': 0}, 'horizon must be 1'),
    ({'horizon': 99.5}, 'horizon must be a whole number'), ({'goal': None}, 'goal must be 2'),
    ({'state': None}, 'state must be 4 numbers, got None'),
    ({'state': 'a' * 9999}, 'state must be 4 numbers'),
    ({'waypoints': [None]}, 'goal must be 2 numbers')])
def test_what_is_no_request_is_refused_in_short(planner, fields, cause):
    with pytest.raises(InvalidInput, match=cause) as caught:
        planner.plan(**{'state': START, 'goal': GOAL, **fields})
    assert len(str(caught.value)) < 300
    if 'seed' in fields:
        with pytest.raises(InvalidInput, match='seed must be'):
            planner.policy(seed=fields['seed'])


def test_keywords_are_the_fields_of_a_request(planner):
    request = Request(prefix=np.zeros((10, 2)), rest_at_goal=True)
    whole = planner.plan(START, GOAL, request=request)
    parts = planner.plan(START, GOAL, prefix=np.zeros((10, 2)), rest_at_goal=True)
    mixed = planner.plan(START, GOAL, request=request, rest_at_goal=False)
    assert np.array_equal(whole.states, parts.states)
    assert not np.array_equal(whole.states, mixed.states)
    with pytest.raises(TypeError, match='waypoint'):
        planner.plan(START, GOAL, waypoint=[GOAL])
    with pytest.raises(InvalidInput, match='history'):
        planner.plan(START, GOAL, request=Request(history='x'))
