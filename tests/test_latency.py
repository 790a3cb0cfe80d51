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

"""The comparison with the reference sampler: in turns, on the same starts, ratios from records."""

import json

from click.testing import CliRunner
import numpy as np
import pytest

from df_planner.cli.main import main
from df_planner.experiments.latency import REFERENCE_SETTINGS
from df_planner.experiments.latency import summarize
from df_planner.experiments.plan_timing import ratios
from df_planner.grid.rows import expand
from df_planner.grid.rows import load_grid


def _record(who, start, turn, seconds):
    return {'who': who, 'start': start, 'round': turn, 'kind': 'cold', 'seconds': seconds,
            'cpu_s': 0.5 * seconds, 'valid': True, 'calls': 1, 'candidates': 8,
            'network_s': seconds, 'parts': {}}


def test_ratios_are_of_the_same_starts():
    records = [_record('reference', 0, 0, 2.0), _record('planner', 0, 0, 1.0),
               _record('reference', 0, 1, 4.0), _record('planner', 0, 1, 0.5),
               _record('reference', 1, 0, 10.0), _record('planner', 1, 0, 1.0),
               _record('reference', 2, 0, 9.0)]  # stopped before its partner
    assert ratios(records, 'cold') == pytest.approx([0.75 / 3.0, 0.1])
    assert ratios(records, 'warm') == []
    reference, planner = summarize(records)
    assert planner['ratio']['p50'] == pytest.approx((0.25 + 0.1) / 2)
    assert planner['ratio_of_means'] == pytest.approx((2.5 / 3) / 6.25)
    assert reference['latency_s']['count'] == 4 and reference['ratio']['count'] == 0


def test_the_grid_has_the_same_reference():
    rows = expand(load_grid('latency'))
    assert {row.task for row in rows} == {'large', 'medium'}
    settings = {row.name: row.specifications[0].settings for row in rows if row.task == 'large'}
    assert settings['slow reference sampler'] == REFERENCE_SETTINGS and settings['default'] == {}
    assert all(row.reference == 'default' for row in rows)


def test_the_command_takes_turns_and_reports_its_records(tmp_path):
    result = CliRunner().invoke(main, [
        'measure', 'latency', '--checkpoint', 'point', '--maze', 'umaze',
        '--plans', '2', '--rounds', '2',
        '--set', 'num_samples=8', '--out', str(tmp_path)])
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / 'results.json').read_text())
    cold = [record for record in content['records'] if record['kind'] == 'cold']
    assert [(record['start'], record['round'], record['who']) for record in cold] == [
        (start, turn, who) for start in (0, 1) for turn in (0, 1)
        for who in ('reference', 'planner')]
    for one, other in zip(cold[::4], cold[2::4]):  # the same work in every round
        assert (one['state'], one['calls'], one['steps']) == (
            other['state'], other['calls'], other['steps'])
    assert content['settings']['reference']['sampling_steps'] == 16
    published_s = content['as_published_s']
    assert 1 <= len(published_s) <= 5 and min(published_s) > 10 * min(
        record['seconds'] for record in cold if record['who'] == 'planner')
    assert 'one plan at the settings of the paper' in result.output
    assert content['machine']['instructions'] in (tmp_path / 'report.md').read_text()
    drawn = [record['candidates'] for record in cold if record['who'] == 'reference']
    assert max(drawn) <= 256 and not any(count % 64 for count in drawn)  # until one is valid
    assert content['settings']['planner']['num_samples'] == 8
    found = content['summary'][1]
    seconds = [record['seconds'] for record in cold if record['who'] == 'planner']
    assert (found['kind'], found['who']) == ('cold', 'planner')
    assert found['latency_s']['p50'] == pytest.approx(np.median(seconds))
    assert found['ratio']['count'] == 2 and found['ratio']['p50'] < 1.0
    assert f'{found["ratio"]["p50"]:.3f}' in (tmp_path / 'report.md').read_text()
    assert (tmp_path / 'latency.png').stat().st_size > 1000


def test_a_robot_of_another_kind_has_its_own_starts_and_settings(tmp_path):
    result = CliRunner().invoke(main, [
        'measure', 'latency', '--checkpoint', 'diff_drive', '--plans', '1', '--rounds', '1',
        '--out', str(tmp_path)])
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / 'results.json').read_text())
    assert all(len(record['state']) == 6 for record in content['records'])
    for settings in content['settings'].values():
        assert (settings['robot_radius_m'], settings['collision_tolerance_m']) == (0.12, 0.02)
