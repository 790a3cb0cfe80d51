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

"""Scheduling matrices of one's own: as an array, as a file, and what is wrong with them."""

import numpy as np
import pytest
import torch

from df_planner import Planner
from df_planner.diffusion.schedule import scheduling_matrix
from df_planner.errors import ConfigError
from df_planner.errors import InvalidInput
from df_planner.planning.schedules import matrix_for
from df_planner.planning.settings import PlannerSettings
from df_planner.sim.maze import maze_map

START, GOAL = np.array([3.0, 1.0, 0.0, 0.0]), np.array([1.0, 1.0])
THIRDS = np.array([[1000] * 32, [667] * 32, [333] * 32, [0] * 32])


@pytest.fixture(scope='module')
def shipped():
    torch.set_num_threads(1)
    return Planner.load('point', grid=maze_map('umaze'))


@pytest.fixture
def planner(shipped):
    """Return the shipped planner with fresh settings."""
    shipped.settings = PlannerSettings()
    return shipped


def test_the_matrix_of_a_schedule_gives_the_plan_of_that_schedule(planner):
    usual = planner.plan(START, GOAL)
    matrix = scheduling_matrix('full_sequence', 40, 2, 1000).numpy()
    assert np.array_equal(planner.plan(START, GOAL, schedule=matrix).states, usual.states)


def test_the_matrix_decides_the_calls_of_the_network(planner):
    planner.settings = PlannerSettings(collision_check=False, num_samples=8, guidance_scale=0.0,
                                       select_by='reward')  # all of them together
    assert planner.plan(START, GOAL, schedule=THIRDS).network_calls == 3


def test_a_file_goes_before_the_settings_and_the_caller_before_the_file(planner, tmp_path):
    path = tmp_path / 'thirds.csv'
    path.write_text('\n'.join(', '.join(map(str, row)) for row in THIRDS.tolist()) + '\n\n',
                    encoding='utf-8')
    settings = PlannerSettings(schedule_file=str(path))
    assert np.array_equal(matrix_for(settings, 1000, 32)(5), THIRDS[:, :5])
    assert np.array_equal(matrix_for(settings, 1000, 3, THIRDS[:, :3])(3),
                          THIRDS[:, :3])
    planner.settings = PlannerSettings(schedule_file=str(path), collision_check=False)
    from_file = planner.plan(START, GOAL)
    planner.settings = PlannerSettings(collision_check=False)
    assert np.array_equal(from_file.states, planner.plan(START, GOAL, schedule=THIRDS).states)
    assert not np.array_equal(from_file.states, planner.plan(START, GOAL).states)


def test_a_matrix_need_be_no_wider_than_the_longest_plan(planner):
    planner.settings = PlannerSettings(collision_check=False, num_samples=4)
    planner.plan(START, GOAL, horizon=90, schedule=THIRDS[:, :10])
    with pytest.raises(InvalidInput, match=r'plans of 10 tokens need .* got shape \(4, 9\)'):
        planner.plan(START, GOAL, horizon=90, schedule=THIRDS[:, :9])
    planner.plan(START, GOAL, horizon=600, schedule=THIRDS)  # two pieces of up to 32 tokens


@pytest.mark.parametrize(('matrix', 'complaint'), [
    (THIRDS / 1.0, 'integer levels, got float64'),
    (THIRDS[::-1], 'row 0 .* must be pure noise'),
    (THIRDS[[0, 2, 1, 3]], 'never re-noise'),
    (THIRDS[:3], 'last row .* must be clean'),
    (THIRDS * 2, r'levels must be in 0\.\.1000'),
    (THIRDS[0], r'got shape \(32,\)'),
])
def test_a_bad_matrix_is_refused(planner, matrix, complaint):
    with pytest.raises(InvalidInput, match=f'schedule: .*{complaint}'):
        planner.plan(START, GOAL, schedule=matrix)


@pytest.mark.parametrize(('text', 'complaint'), [
    ('1000,1000\n0,0\n', 'plans of 32 tokens need a matrix of at least as many columns'),
    ('1000,1000\n500\n0,0\n', r'same number of levels, got \[1, 2\]'),
    ('1000,1000\n0.5,0\n0,0\n', "'0.5'"),
    ('', r'same number of levels, got \[\]'),
    (None, 'No such file'),
])
def test_a_bad_file_is_refused_by_name(planner, tmp_path, text, complaint):
    path = tmp_path / 'broken.csv'
    if text is not None:
        path.write_text(text, encoding='utf-8')
    planner.settings = PlannerSettings(schedule_file=str(path))
    with pytest.raises(ConfigError, match=f'schedule_file .*broken.csv: .*{complaint}'):
        planner.plan(START, GOAL)
