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

"""Long roll-outs: the measures tell the data from what is not like them."""

import json

from click.testing import CliRunner
from interrupting import interrupted_at
import numpy as np
import pytest

from df_planner import Planner
from df_planner.cli.main import main
from df_planner.experiments import rollout
from df_planner.experiments.common import held_out_windows
from df_planner.model.checkpoint import load_card
from df_planner.sim.maze import load_maze

UMAZE = load_maze('umaze')
CARD = load_card('point')


@pytest.fixture(scope='module')
def windows():
    return held_out_windows(CARD, 'umaze', 20, 13, seed=0)


def parts(windows):
    """Return token states (W, T + 1, 4) and actions (W, T, 10, 2)."""
    return windows[..., :4], windows[:, :-1, 4:].reshape(len(windows), -1, 10, 2)


def test_data_agree_with_their_actions_and_stay_out_of_walls(windows):
    found = rollout.stretch_measures(*parts(windows), UMAZE, CARD)
    assert found['simulated_gap_m'].max() < 1e-3
    assert found['simulated_gap_mps'].max() < 1e-3
    assert found['in_walls'].max() == 0.0
    assert found['over_limit'].mean() < 0.02


def test_what_is_wrong_shows_in_its_measure(windows):
    states, actions = parts(windows)
    right = rollout.stretch_measures(states, actions, UMAZE, CARD)
    aside = states.copy()
    aside[:, 1::2, 0] += 0.2  # every other token is aside, so each step jumps
    found = rollout.stretch_measures(aside, actions, UMAZE, CARD)
    assert (found['over_limit'] == 1.0).all()
    assert found['simulated_gap_m'].mean() == pytest.approx(0.2, abs=0.05)
    assert found['in_walls'].mean() > 0.0
    assert found['speed_mps'] == pytest.approx(right['speed_mps'])
    found = rollout.stretch_measures(states * [1, 1, 2, 2], 0.5 * actions, UMAZE, CARD)
    assert found['speed_mps'] == pytest.approx(2 * right['speed_mps'])
    assert found['action_std'] == pytest.approx(0.5 * right['action_std'])


def test_distances_have_known_values():
    states = np.zeros((1, 4, 4)) + [1.0, 1.0, 3.0, 4.0]  # cell (1, 1), 5 m/s
    actions = np.zeros((1, 4, 10, 2))
    other = states.copy()
    other[0, :2, 1] = 2.0  # half of the time in the next cell
    other[..., 2:] = [0.0, 6.0]
    found = rollout.distances(other, actions + 0.25, states, actions, UMAZE)
    assert found == pytest.approx({'speed_distance_mps': 1.0, 'action_distance': 0.25,
                                   'cell_distance': 0.5})


def test_roll_outs_have_the_tokens_of_all_stretches(windows):
    planner = Planner.load('point', backend='torch')
    planner.settings = planner.settings.model_copy(update={'sampling_steps': 1})
    states, actions = rollout.roll_out(planner, windows[:2, 0, :4], 2, 3, seed=0)
    tokens = 2 * CARD.architecture.max_tokens
    assert states.shape == (6, tokens + 1, 4) and actions.shape == (6, tokens, 10, 2)
    assert states[[0, 3], 0] == pytest.approx(windows[:2, 0, :4])


def test_the_command_writes_numbers_and_a_picture(tmp_path):
    result = CliRunner().invoke(main, [
        'measure', 'rollout', '--checkpoint', 'point', '--maze', 'umaze',
        '--starts', '2', '--samples', '2',
        '--multiples', '3', '--set', 'sampling_steps=2', '--out', str(tmp_path)])
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / 'rollout.json').read_text())
    assert len(content['stretches']) == 3 and content['trained_length_s'] == 3.2
    assert content['stretches'][2]['speed_mps']['count'] == 4
    assert content['data']['simulated_gap_m']['mean'] < 1e-3
    assert (tmp_path / 'rollout.png').stat().st_size > 1000
    assert '\n3x ' in result.output and '\ndata ' in result.output


def test_ctrl_c_reports_what_there_is(tmp_path):
    code, said = interrupted_at('df_planner.experiments.rollout', 'Planner.rollout', 3, [
        'measure', 'rollout', '--checkpoint', 'point', '--maze', 'umaze',
        '--starts', '4', '--samples', '2',
        '--multiples', '2', '--set', 'sampling_steps=2', '--out', str(tmp_path)])
    assert code == 130 and 'Traceback' not in said, said
    content = json.loads((tmp_path / 'rollout.json').read_text())
    assert content['starts'] == 2 and content['stretches'][0]['speed_mps']['count'] == 4
