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

"""The cost of sampling: every point is what it says, the fit is right, nothing is lost."""

import json
import signal
import subprocess
import sys
import time

from click.testing import CliRunner
import numpy as np
import pytest
from ros.tiny_model import write_tiny_model

from df_planner.cli.main import main
from df_planner.experiments.cost import growth_exponent
from df_planner.experiments.cost import Point
from df_planner.experiments.cost import sweeps

SMALL = ('--horizon', '100', '--horizon', '800', '--horizon', '1600', '--candidates', '8',
         '--sampling-steps', '4', '--threads', '1', '--repeats', '2')
THREE = ('--horizon', '100', '--horizon', '200', '--candidates', '8', '--sampling-steps', '8',
         '--threads', '1', '--repeats', '1')


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    return str(write_tiny_model(tmp_path_factory.mktemp('model')))


def test_one_quantity_is_swept_at_a_time():
    swept = sweeps((800, 100), (8,), (2, 4), (1, 2), 16)
    assert swept['horizon_steps'] == [Point(100, 8, 16, 1), Point(800, 8, 16, 1),
                                      Point(100, 8, 16, 2), Point(800, 8, 16, 2)]
    assert swept['candidates'] == [Point(400, 8, 16, 1), Point(400, 8, 16, 2)]
    assert swept['sampling_steps'][:2] == [Point(400, 8, 2, 1), Point(400, 8, 4, 1)]


def test_the_exponent_of_a_known_growth():
    records = [{'horizon_steps': steps, 'seconds': [2e-6 * steps ** 1.3] * 3}
               for steps in (800, 1600, 4000)] + [{'horizon_steps': 100, 'seconds': [9.0]}]
    assert growth_exponent(records, 'horizon_steps', 800) == pytest.approx(1.3)
    assert growth_exponent(records, 'horizon_steps') < 0.5
    assert growth_exponent(records[:1], 'horizon_steps') is None


def test_the_command_measures_what_it_says(tmp_path, tiny):
    result = CliRunner().invoke(main, ['measure', 'cost', '--checkpoint', tiny, *SMALL,
                                       '--out', str(tmp_path)])
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / 'cost.json').read_text())
    by_size = {(record['horizon_steps'], record['candidates'], record['sampling_steps']): record
               for record in content['records']}
    assert set(by_size) == {(100, 8, 2), (800, 8, 2), (1600, 8, 2), (400, 8, 2), (400, 8, 4)}
    assert by_size[100, 8, 2]['calls'] == 2  # 11 tokens of the model's 12: one window
    assert by_size[400, 8, 4]['calls'] == 2 * by_size[400, 8, 2]['calls']
    windows = [by_size[steps, 8, 2]['calls'] // 2 for steps in (400, 800, 1600)]
    assert windows == [4, 8, 15]  # 12 tokens each, 11 of them new
    assert all(len(record['seconds']) == 2 and min(record['seconds']) > 0.0
               and record['call_s'] * record['calls'] < 1.5 * max(record['seconds'])
               for record in content['records'])
    far = next(fit for fit in content['growth'] if fit['from'] == 800)
    assert far['exponent'] == pytest.approx(np.log2(
        np.median(by_size[1600, 8, 2]['seconds']) / np.median(by_size[800, 8, 2]['seconds'])))
    rows = [line.split() for line in result.stdout.splitlines()
            if line.startswith(('horizon steps', 'candidates', 'sampling steps'))]
    assert [row[-10:-7] for row in rows] == [
        ['100', '8', '2'], ['800', '8', '2'], ['1600', '8', '2'], ['400', '8', '2'],
        ['400', '8', '4']]
    assert float(rows[1][-6]) == pytest.approx(
        1e3 * np.median(by_size[800, 8, 2]['seconds']), abs=0.06)
    assert rows[1][-1] == '-' or float(rows[1][-1]) >= 0.0
    assert 'from 800 on' in result.stdout
    assert (tmp_path / 'cost.png').stat().st_size > 1000


def test_a_robot_of_another_kind_starts_as_it_does(tmp_path):
    result = CliRunner().invoke(main, [
        'measure', 'cost', '--checkpoint', 'diff_drive', '--horizon', '50', '--candidates',
        '2', '--sampling-steps', '1', '--threads', '1', '--repeats', '1', '--out', str(tmp_path)])
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / 'cost.json').read_text())
    assert len(content['records']) == 3 and content['settings']['robot_radius_m'] == 0.12


def test_ctrl_c_keeps_finished_points_and_resume_goes_on(tmp_path, tiny):
    command = [sys.executable, '-m', 'df_planner.cli', 'measure', 'cost', '--checkpoint', tiny,
               *THREE, '--out', str(tmp_path), '--resume']
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    journal = tmp_path / 'points.jsonl'
    deadline = time.monotonic() + 120.0
    while not journal.exists() or journal.read_text().count('\n') < 2:  # identity, one point
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and '--resume' in errors, errors
    kept = journal.read_text().splitlines()
    assert 2 <= len(kept) < 4 and not (tmp_path / 'cost.json').exists()
    result = CliRunner().invoke(main, command[3:])
    assert result.exit_code == 0, result.output
    assert journal.read_text().splitlines()[:len(kept)] == kept
    content = json.loads((tmp_path / 'cost.json').read_text())
    assert content['records'][0] == json.loads(kept[1])['record']
    other = CliRunner().invoke(main, [*command[3:], '--repeats', '2'])
    assert other.exit_code == 2 and 'differs in repeats' in other.output
