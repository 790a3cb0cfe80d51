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

"""In-painting: baselines, errors and seams have the values of cases worked out by hand."""

import json

from click.testing import CliRunner
from interrupting import interrupted_at
import numpy as np
import pytest

from df_planner.cli.main import main
from df_planner.experiments import inpainting
from df_planner.experiments.common import jumps
from df_planner.model.checkpoint import load_card
from df_planner.sim.maze import load_maze

UMAZE = load_maze('umaze')
TOKEN_S = 0.1


@pytest.fixture(scope='module')
def card():
    return load_card('point')


def motion(num_tokens=8):
    """Return states (T, 4) along the first corridor, accelerating: a cubic curve is exact."""
    time_s = TOKEN_S * np.arange(num_tokens)
    zeros = np.zeros(num_tokens)
    return np.stack([0.8 + zeros, 1.0 + time_s + 0.5 * time_s**2, zeros, 1.0 + time_s], axis=1)


def test_what_is_shown_of_each_task():
    middle, way_points, future = (inpainting.known_mask(task, 12) for task in inpainting.TASKS)
    assert np.flatnonzero(middle.all(axis=1)).tolist() == [0, 1, 2, 9, 10, 11]
    assert not middle[3:9].any()
    assert np.flatnonzero(way_points[:, 0]).tolist() == [0, 4, 8, 11]
    assert np.argwhere(way_points[:, 1:]).tolist() == [[0, 0]]
    assert np.argwhere(future).tolist() == [[0, 0], [0, 1]]


def test_a_seam_is_where_knowledge_ends_or_begins():
    seams = [np.flatnonzero(inpainting.seams(inpainting.known_mask(task, 12))).tolist()
             for task in inpainting.TASKS]
    assert seams == [[2, 8], [0, 3, 4, 7, 8, 10], [0]]


@pytest.mark.parametrize('task', ['middle', 'way-points'])
def test_baselines_go_through_what_is_known(task):
    states, mask = motion(12), inpainting.known_mask(task, 12)
    hidden = np.where(np.repeat(mask[:, :2], 2, axis=1), states, np.nan)
    for fill in (inpainting.linear, inpainting.spline):
        filled = fill(hidden, mask, TOKEN_S)
        known = mask[:, 0]
        assert np.isfinite(filled).all()
        assert filled[known, :2] == pytest.approx(states[known, :2])


def test_a_spline_across_a_gap_is_hermites():
    states, mask = motion(12), inpainting.known_mask('middle', 12)
    hidden = np.where(np.repeat(mask[:, :2], 2, axis=1), states, np.nan)
    assert inpainting.spline(hidden, mask, TOKEN_S) == pytest.approx(states)


def test_without_an_end_lines_stay_and_splines_go_straight_on():
    states, mask = motion(), inpainting.known_mask('future', 8)
    hidden = np.where(np.repeat(mask[:, :2], 2, axis=1), states, np.nan)
    assert (inpainting.linear(hidden, mask, TOKEN_S)[:, :2] == states[0, :2]).all()
    assert inpainting.spline(hidden, mask, TOKEN_S)[-1] == pytest.approx([0.8, 1.7, 0.0, 1.0])


def test_jumps_are_in_units_of_the_data(card):
    limit = card.statistics
    states = np.zeros((3, 4))
    states[1:, 2] = 0.5 * limit.velocity_change[0]
    states[1:, 0] = TOKEN_S / 2 * states[1, 2]  # the mean velocity: no drift
    states[2, 0] += TOKEN_S * states[1, 2] + 3.0 * limit.drift[0]
    assert jumps(states, card) == pytest.approx([0.5, 3.0])


def test_measures_of_a_case_worked_out_by_hand(card):
    truth, mask = motion(), inpainting.known_mask('future', 8)
    aside = truth + [0.0, 0.1, 0.0, 0.0]
    in_wall = truth - [0.6, 0.0, 0.0, 0.0]  # row 0.2: beyond the corridor, which starts at 0.3
    both = np.stack([aside, in_wall])
    both[:, 0] = truth[0]
    found = inpainting.measures(both, truth, mask, UMAZE, card)
    assert found['error_m'] == pytest.approx((0.1 + 0.6) / 2)
    assert found['crosses_wall'] == 0.5
    assert 0.4 < found['in_walls'] < 0.5  # all of the second but its beginning
    expected = (0.1 / card.statistics.drift[1] + 0.6 / card.statistics.drift[0]) / 2
    assert found['seam_jump'] == pytest.approx(expected, rel=1e-6)
    assert found['seam_over_limit'] == 1.0
    assert inpainting.best_of(both, truth) == 0
    perfect = inpainting.measures(truth[None], truth, mask, UMAZE, card)
    assert perfect['error_m'] == perfect['in_walls'] == perfect['seam_over_limit'] == 0.0


def test_the_command_writes_numbers_and_a_picture(tmp_path):
    result = CliRunner().invoke(main, [
        'measure', 'inpainting', '--checkpoint', 'point', '--maze', 'umaze',
        '--windows', '4', '--samples',
        '4', '--out', str(tmp_path)])
    assert result.exit_code == 0, result.output
    summary = json.loads((tmp_path / 'inpainting.json').read_text())['summary']
    assert list(summary) == list(inpainting.TASKS)
    for task in ('middle', 'way-points'):
        error = {method: summary[task][method]['error_m']['mean'] for method in summary[task]}
        assert error['truth'] == 0.0 < error['best'] <= error['sample'] < 2.0 * error['linear']
    assert (tmp_path / 'inpainting.png').stat().st_size > 1000
    assert 'way-points, spline' in result.output


@pytest.mark.parametrize(('number', 'counts'), [(2, [1]), (6, [3, 2])])
def test_ctrl_c_reports_what_there_is(tmp_path, number, counts):
    code, said = interrupted_at('df_planner.experiments.inpainting', 'reconstruct', number, [
        'measure', 'inpainting', '--checkpoint', 'point', '--maze', 'umaze',
        '--windows', '3', '--samples',
        '2', '--out', str(tmp_path)])
    assert code == 130 and 'Traceback' not in said, said
    summary = json.loads((tmp_path / 'inpainting.json').read_text())['summary']
    assert [found['mean']['error_m']['count'] for found in summary.values()] == counts
    assert (tmp_path / 'inpainting.png').stat().st_size > 1000
