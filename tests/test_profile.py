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

"""Timing of plans: it changes nothing, parts make up the whole, numbers match the records."""

import json
import re

from click.testing import CliRunner
import numpy as np
import pytest
from ros.tiny_model import write_tiny_model
import torch

from df_planner import Planner
from df_planner.cli.main import main
from df_planner.errors import NoValidPlan
from df_planner.evaluation.protocol import sample_starts
from df_planner.experiments.plan_timing import FIRST_PLANS
from df_planner.experiments.plan_timing import full_starts
from df_planner.experiments.plan_timing import NETWORK
from df_planner.experiments.plan_timing import REST
from df_planner.experiments.plan_timing import time_drive
from df_planner.experiments.plan_timing import time_plans
from df_planner.planning.settings import PlannerSettings
from df_planner.sim.maze import load_maze
from df_planner.sim.maze import maze_map

UMAZE = load_maze('umaze')
START, GOAL = np.array([3.0, 1.0, 0.0, 0.0]), np.array([1.0, 1.0])


@pytest.fixture(scope='module')
def planner():
    torch.set_num_threads(1)
    planner = Planner.load('point', grid=maze_map('umaze'))
    planner.warm_up()
    return planner


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp('model'))


def test_the_clock_counts_every_call_and_every_candidate(tiny):
    polls = []
    planner = Planner.load(tiny, grid=maze_map('umaze'), settings=PlannerSettings(
        num_samples=20, guidance_scale=0.0))
    with pytest.raises(NoValidPlan):
        planner.plan(START, GOAL, should_stop=lambda: bool(polls.append(1)))
    assert planner.clock.network_calls == len(polls) > 0
    assert planner.clock.candidates == 4 * 20
    assert 0.0 < planner.clock.spent_s['network'] < planner.clock.elapsed_s


def test_starts_are_those_of_the_benchmark_but_for_the_ones_at_the_goal():
    starts = full_starts(UMAZE, 30, seed=4, tolerance_m=0.5)
    away = np.linalg.norm(starts.state[:, :2] - starts.goal, axis=-1)
    assert len(starts) == 30 and away.min() > 0.5
    drawn = sample_starts(UMAZE, 60, seed=4)
    far = np.linalg.norm(drawn.state[:, :2] - drawn.goal, axis=-1) > 0.5
    assert np.array_equal(starts.state, drawn.state[far][:30])
    assert not far[:30].all()


@pytest.mark.parametrize('changes', [
    {}, {'guidance_scale': 1.0, 'guide_goal': 0.0, 'guide_clearance': 1.0, 'num_samples': 16},
    {'uncertainty_samples': 8}])
def test_parts_are_real_and_make_up_the_whole(planner, changes):
    planner.settings = PlannerSettings(**changes)
    drives = [time_drive(planner, START, GOAL, seed=1) for _ in range(5)]
    planner.settings = PlannerSettings()
    for cold, *warm in drives:
        assert [cold['kind'], *(record['kind'] for record in warm)] == ['cold', *['warm'] * 3]
        assert all(record['calls'] > 0 for record in (cold, *warm))
        for record in (cold, *warm):
            assert record['valid']
            assert sum(record['parts'].values()) == pytest.approx(record['seconds'])
            assert record['parts'][NETWORK] == pytest.approx(record['network_s'])
            assert min(record['parts'].values()) >= 0.0
            assert 0.0 < record['cpu_s'] < 1.1 * record['seconds']
    for records in zip(*drives):  # the same plan, 10 ms each time: once without a stall in them
        assert min(record['parts'][REST] / record['seconds'] for record in records) < 0.5


def test_after_ctrl_c_there_is_what_was_measured(planner):
    starts = full_starts(UMAZE, 5, 0, 0.5)
    done = []

    def interrupt() -> None:
        done.append(1)
        if len(done) == 2:
            raise KeyboardInterrupt

    measured = time_plans({'planner': planner}, starts, 1, 0, interrupt)
    assert measured['stopped']
    assert {record['start'] for record in measured['records']} == {0, 1}


def test_the_command_reports_what_the_records_say(tmp_path):
    result = CliRunner().invoke(main, [
        'profile', '--checkpoint', 'point', '--maze', 'umaze',
        '--plans', '4', '--out', str(tmp_path)])
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / 'results.json').read_text())
    assert len(content['first_plans_s']) == FIRST_PLANS and content['load_s'] > 0.0
    assert (content['threads'], content['device']) == (1, 'cpu')
    assert [found['kind'] for found in content['summary']] == ['cold', 'warm']
    for kind, found in zip(('cold', 'warm'), content['summary']):
        records = [record for record in content['records'] if record['kind'] == kind]
        seconds = [record['seconds'] for record in records]
        for name, share in (('p50', 50), ('p95', 95), ('p99', 99)):
            assert found['latency_s'][name] == pytest.approx(np.percentile(seconds, share))
            assert f'{1e3 * np.percentile(seconds, share):.1f}' in result.stdout
        assert found['valid'] == np.mean([record['valid'] for record in records])
        assert sum(found['parts_s'].values()) == pytest.approx(
            np.mean(seconds))
        assert found['calls']['mean'] * found['call_s'] == pytest.approx(
            found['parts_s'][NETWORK])
    assert [record['start'] for record in content['records']
            if record['kind'] == 'cold'] == [0, 1, 2, 3]
    report = (tmp_path / 'report.md').read_text()
    assert '| cold | planner | 4 |' in re.sub(' +', ' ', report) and 'torch' in report
    assert content['machine']['revision'] in report
    assert (tmp_path / 'profile.png').stat().st_size > 1000


def test_a_model_without_a_valid_plan_is_reported_too(tmp_path, tiny):
    result = CliRunner().invoke(main, [
        'profile', '--checkpoint', str(tiny), '--plans', '2', '--out', str(tmp_path)])
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / 'results.json').read_text())
    [cold] = content['summary']
    assert cold['kind'] == 'cold' and cold['valid'] == 0.0 and cold['candidates']['mean'] == 32
    assert '\ncold ' in result.stdout and (tmp_path / 'profile.png').exists()
