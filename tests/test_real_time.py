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

"""The price of real time: ticks and scores are summed up as the report says."""

import pytest

from df_planner.experiments.real_time import draw_real_time_picture
from df_planner.experiments.real_time import price_of_latency
from df_planner.experiments.real_time import ticks
from df_planner.sim.maze import load_maze

MAZE = load_maze('medium')


def record(steps_at_goal, planning_times_s=()):
    """Return what counts of an episode's record."""
    return {'return': float(steps_at_goal), 'planning_times_s': list(planning_times_s),
            'score': float(MAZE.normalized_score(steps_at_goal))}


def test_ticks_later_than_two_periods_are_counted():
    found = ticks([0.01] * 97 + [0.008, 0.02, 0.0201])
    assert (found['count'], found['late'], found['longest_s']) == (100, 1, 0.0201)
    assert found['p50_s'] == 0.01
    assert 0.0 < found['jitter_p99_s'] <= 0.0101


def test_the_price_is_paired_and_names_the_wait_for_the_first_plan(tmp_path):
    lockstep = [record(400), record(500), record(600)]
    real_time = [record(380, (0.2, 0.03)), record(470, (0.3, 0.03)), record(600)]
    price = price_of_latency(MAZE, real_time, lockstep)
    of_step = MAZE.normalized_score(1.0) - MAZE.normalized_score(0.0)
    assert price['difference']['mean'] == pytest.approx(-50 / 3 * of_step)
    assert price['first_plan']['mean'] == pytest.approx(-50 / 3 * of_step)
    assert price['first_plan_s']['max'] == 0.3
    assert price['share'] == price['real_time']['mean'] / price['lockstep']['mean'] < 1.0
    assert price['planning_s']['p50'] == pytest.approx(0.115)
    draw_real_time_picture(tmp_path / 'picture.png', [0.01, 0.012, 0.03], real_time, lockstep)
    assert (tmp_path / 'picture.png').stat().st_size > 10_000
