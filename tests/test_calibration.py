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

"""Calibration: known distributions have the coverage they should, wrong ones are found out."""

from dataclasses import replace
import json

from click.testing import CliRunner
from interrupting import interrupted_at
import numpy as np
import pytest

from df_planner.cli.main import main
from df_planner.experiments import calibration
from df_planner.experiments.common import held_out_windows
from df_planner.model.checkpoint import load_card
from df_planner.planning.plan import Plan
from df_planner.sim.maze import load_maze
from df_planner.sim.world import World

TRIALS, SAMPLES = 20_000, 8


def drawn(scale=1.0, shift=0.0, kind='standard_normal'):
    """Return truths (TRIALS,) and samples (SAMPLES, TRIALS) that are scaled and shifted."""
    rng = np.random.default_rng(0)
    truth = getattr(rng, kind)(TRIALS)
    return truth, shift + scale * getattr(rng, kind)((SAMPLES, TRIALS))


def ranks(truth, samples):
    return calibration.rank_level(truth, samples, np.random.default_rng(1))


@pytest.mark.parametrize('level', [calibration.gaussian_level, ranks])
def test_the_right_gaussian_is_covered_as_it_says_even_with_few_samples(level):
    levels = level(*drawn())
    assert calibration.coverage(levels, calibration.NOMINAL) == pytest.approx(
        calibration.NOMINAL, abs=0.015)
    assert calibration.calibration_error(levels) < 0.01


def test_ranks_need_no_gaussian():
    truth, samples = drawn(kind='standard_exponential')
    assert calibration.calibration_error(ranks(truth, samples)) < 0.01
    assert calibration.calibration_error(calibration.gaussian_level(truth, samples)) > 0.02


def test_ranks_allow_for_limits_that_many_values_sit_at():
    truth, samples = (np.clip(values, -0.5, 0.5) for values in drawn())
    assert calibration.calibration_error(ranks(truth, samples)) < 0.01


@pytest.mark.parametrize('level', [calibration.gaussian_level, ranks])
def test_overconfidence_and_bias_cover_too_little_and_caution_too_much(level):
    for scale, shift, sign in ((0.5, 0.0, -1), (1.0, 1.5, -1), (2.0, 0.0, 1)):
        covered = calibration.coverage(level(*drawn(scale, shift)), (0.5, 0.8))
        assert (sign * (covered - (0.5, 0.8)) > 0.08).all()


def test_half_the_spread_covers_what_the_normal_distribution_says():
    """With many samples, a standard deviation of 1/2 turns 95 % into P(|z| < 0.98) = 67.3 %."""
    rng = np.random.default_rng(0)
    levels = calibration.gaussian_level(rng.standard_normal(4000),
                                        0.5 * rng.standard_normal((1000, 4000)))
    assert calibration.coverage(levels, (0.95,))[0] == pytest.approx(0.673, abs=0.02)


def test_what_is_given_does_not_count():
    """Levels of 0 for what is given, of 1 elsewhere: nothing is covered, everywhere."""
    tokens = 5
    levels = np.ones((3, tokens, 24))
    levels[:, 0, :4] = levels[:, -1, :2] = 0.0
    arrays = {'gaussian': levels, 'ranks': levels, 'std': levels, 'error': levels}
    summary = calibration.summarize(arrays, 'start and end')
    for part, first, last in (('position', 1, 4), ('velocity', 1, 5), ('actions', 0, 5)):
        assert summary[part]['ranks']['coverage'] == [0.0] * 4
        assert summary[part]['first_token'] == first
        assert len(summary[part]['std_by_token']) == last - first
        assert np.shape(summary[part]['ranks']['by_token']) == (4, last - first)


def test_a_disc_of_a_round_gaussian_holds_what_it_says():
    rng = np.random.default_rng(0)
    std = rng.uniform(0.1, 1.0, TRIALS)  # per axis
    distance = std * np.linalg.norm(rng.standard_normal((2, TRIALS)), axis=0)
    levels = calibration.disc_level(distance, np.sqrt(2.0) * std)
    assert calibration.calibration_error(levels) < 0.01
    assert calibration.coverage(calibration.disc_level(distance, std), (0.9,)) < 0.7


def test_a_robot_that_does_as_planned_has_no_gap():
    world = World(load_maze('umaze'))
    world.set_state([0.8, 1.0, 0.0, 0.5])
    actions = np.tile([0.0, 0.25], (30, 1))
    states = [world.state, *(world.step(action) for action in actions[:-1])]
    plan = Plan(actions=actions, states=np.array(states), dt_s=0.01, goal=states[-1][:2])
    assert calibration.executed_gap(world, plan, 'raw').max() < 1e-6
    aside = replace(plan, actions=np.zeros((30, 2)))
    gaps = {name: calibration.executed_gap(world, aside, name)
            for name in calibration.EXECUTIONS}
    assert gaps['raw'][-1] > 0.2 > gaps['tracking'][-1]


def test_held_out_windows_are_motion_of_the_maze_and_repeat():
    card = load_card('point')
    windows = held_out_windows(card, 'umaze', 6, 8, seed=0)
    assert windows.shape == (6, 8, 24)
    moved = np.diff(windows[..., :2], axis=1)
    mean_velocity = (windows[:, 1:, 2:4] + windows[:, :-1, 2:4]) / 2
    drift = np.abs(moved - 0.1 * mean_velocity)
    assert (drift < 1.5 * np.array(card.statistics.drift)).all()
    assert (held_out_windows(card, 'umaze', 6, 8, seed=0) == windows).all()
    assert not (held_out_windows(card, 'umaze', 6, 8, seed=1) == windows).all()


def test_the_command_writes_numbers_and_a_picture(tmp_path):
    result = CliRunner().invoke(main, [
        'measure', 'calibration', '--checkpoint', 'point', '--maze', 'umaze',
        '--windows', '3', '--samples',
        '4', '--plans', '1', '--temperature', '1', '--set', 'sampling_steps=2', '--out',
        str(tmp_path)])
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / 'calibration.json').read_text())
    assert [r['condition'] for r in content['results']] == ['start', 'start and end']
    position = content['results'][0]['position']
    assert len(position['ranks']['curve']) == len(content['curve_at'])
    # Near is certain, far is not.
    assert position['std_by_token'][0] < 0.5 * position['std_by_token'][-1]
    assert content['machine']['revision'] and content['checkpoint'] == 'point'
    assert (tmp_path / 'calibration.png').stat().st_size > 1000
    assert 'start and end, 1, velocity, ranks' in result.output
    assert content['executed_plans']['plans'] == 1


def test_an_unknown_setting_is_one_line():
    result = CliRunner().invoke(main, ['measure', 'calibration', '--checkpoint', 'point',
                                       '--set', 'speed=1'])
    assert result.exit_code == 2 and 'planner setting speed' in result.output


@pytest.mark.parametrize(('name', 'number', 'windows', 'plans'), [
    ('reconstruct', 3, [2], 0), ('reconstruct', 5, [3, 1], 0), ('executed_gap', 4, [3, 3], 1)])
def test_ctrl_c_reports_what_there_is(tmp_path, name, number, windows, plans):
    code, said = interrupted_at('df_planner.experiments.calibration', name, number, [
        'measure', 'calibration', '--checkpoint', 'point', '--maze', 'umaze',
        '--windows', '3', '--samples',
        '2', '--plans', '3', '--temperature', '1', '--set', 'sampling_steps=2', '--out',
        str(tmp_path)])
    assert code == 130 and 'Traceback' not in said, said
    content = json.loads((tmp_path / 'calibration.json').read_text())
    assert [result['windows'] for result in content['results']] == windows
    assert content['executed_plans']['plans'] == plans and content['executed_plans']['stopped']
    assert (tmp_path / 'calibration.png').stat().st_size > 1000


def test_ctrl_c_before_there_is_anything_writes_nothing(tmp_path):
    code, said = interrupted_at('df_planner.experiments.calibration', 'reconstruct', 1, [
        'measure', 'calibration', '--checkpoint', 'point', '--maze', 'umaze',
        '--windows', '2', '--out',
        str(tmp_path)])
    assert code == 130 and 'Traceback' not in said, said
    assert not list(tmp_path.iterdir())
