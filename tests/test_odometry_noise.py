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

"""Odometry noise: it is what it says, stays out of walls, and is the same for both pins."""

import json

from click.testing import CliRunner
from interrupting import interrupted_and_resumed
import numpy as np
import pytest

from df_planner.cli.main import main
from df_planner.experiments import odometry_noise
from df_planner.planning.settings import PlannerSettings
from df_planner.sim.maze import maze_map

GRID = maze_map('umaze')
MIDDLE = np.array([0.8, 1.8, 1.0, -1.0])  # of a corridor 1 m wide
NEAR_WALL = np.array([0.4, 1.8, 0.0, 0.0])


def seen(std, state, seed=0, steps=2000):
    """Return observations (steps, 4) of a robot that rests, and their source."""
    odometry = odometry_noise.NoisyOdometry(GRID, std, (seed, 0))
    return np.array([odometry.observe(state) for _ in range(steps)]), odometry


def test_noise_is_of_the_said_size_and_unbiased():
    observations, odometry = seen(0.1, MIDDLE)
    assert observations.mean(axis=0) == pytest.approx(MIDDLE, abs=0.01)
    assert observations.std(axis=0) == pytest.approx(np.full(4, 0.1), rel=0.1)
    assert odometry.redrawn == 0
    assert (seen(0.0, MIDDLE, steps=3)[0] == MIDDLE).all()


def test_every_step_has_noise_of_its_own_that_repeats():
    first, again, other = (seen(0.1, MIDDLE, seed, steps=3)[0] for seed in (0, 0, 1))
    assert (first == again).all() and not (first == other).any()
    assert not (first[0] == first[1]).any()


def test_a_position_in_a_wall_is_drawn_again_and_counted():
    observations, odometry = seen(0.1, NEAR_WALL, steps=500)
    assert (GRID.clearance(observations[:, :2]) > 0.0).all()
    # The wall is 0.1 m, one standard deviation, away: 16 % of the draws land in it.
    assert odometry.redrawn / 500 == pytest.approx(0.16, abs=0.05)


def test_only_the_matched_arm_knows_of_the_noise():
    settings = PlannerSettings(num_samples=8)
    exact, matched = (odometry_noise.arm_settings(settings, arm, 0.1)
                      for arm in odometry_noise.ARMS)
    assert exact.position_noise_std_m == exact.velocity_noise_std_mps == 0.0
    assert matched.position_noise_std_m == matched.velocity_noise_std_mps == 0.1
    assert exact.num_samples == matched.num_samples == 8


def test_the_difference_is_that_of_each_start():
    def records(scores):
        return [{'score': score, 'return': 0.0, 'reached': score > 0, 'failed_plans': 1,
                 'redrawn_share': 0.25} for score in scores]

    found = odometry_noise.summarize({'exact': records([0, 50, 100]),
                                      'matched': records([10, 60, 110])})
    assert found['difference']['mean'] == 10.0 and found['difference']['stderr'] == 0.0
    assert found['exact']['score']['stderr'] == pytest.approx(50 / np.sqrt(3))
    assert found['exact']['reached'] == pytest.approx(2 / 3)
    assert 'difference' not in odometry_noise.summarize({'exact': records([1])})


def test_the_command_writes_numbers_and_a_picture(tmp_path):
    result = CliRunner().invoke(main, [
        'measure', 'noise', '--checkpoint', 'point', '--maze', 'umaze',
        '--episodes', '1', '--noise', '0',
        '--noise', '0.2', '--execution', 'tracking', '--set', 'num_samples=4', '--set',
        'sampling_steps=2', '--out', str(tmp_path)])
    assert result.exit_code == 0, result.output
    clean, noisy = json.loads((tmp_path / 'noise.json').read_text())['results']
    assert 'matched' not in clean and clean['exact']['redrawn_share'] == 0.0
    assert set(noisy['episodes']) == {'exact', 'matched'} and noisy['difference']['count'] == 1
    assert noisy['episodes']['exact'] != noisy['episodes']['matched']
    assert (tmp_path / 'noise.png').stat().st_size > 1000
    assert '0.2, tracking, matched' in result.output


def test_ctrl_c_keeps_finished_drives_and_resume_goes_on(tmp_path):
    drive, results = interrupted_and_resumed(
        ['--checkpoint', 'point', '--maze', 'umaze',
         '--episodes', '2', '--noise', '0.1', '--execution',
         'tracking', '--set', 'num_samples=4', '--set', 'sampling_steps=2'],
        tmp_path, 'noise', num_drives=4)
    assert results['results'][0]['episodes']['exact'][0] == drive
