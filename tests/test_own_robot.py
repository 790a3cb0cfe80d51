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

"""From a bag of a robot with a heading to a plan on a map that the log never saw, without ROS."""

import math

from click.testing import CliRunner
from drive_bag import header
from drive_bag import make
import numpy as np
import pytest
from robot_bag import odometry
from robot_bag import STAMP_S
from robot_bag import twist
from robot_bag import TWIST_STAMPED
from robot_bag import write_bag

from df_planner.cli.main import main
from df_planner.data.d4rl import load_dataset
from df_planner.data.sources.columns import load_import_config
from df_planner.maps.generator import unseen_place
from df_planner.model.checkpoint import load_card
from df_planner.planning.planner import Planner
from df_planner.planning.settings import settings_for
from df_planner.robots.kinds import ROBOTS
from df_planner.sim.generate_drives import generate
from df_planner.training.config import config_path
from df_planner.training.config import load_stages

ROWS = 1200
TRIAL = {'steps': 20, 'width': 16, 'num_layers': 1, 'tokens_per_batch': 256, 'num_threads': 1}


def run(*arguments):
    """Run a command line and return what it printed."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def drive_of(robot, folder):
    """Return a bag of a drive of the simulated robot, and the rows that it holds."""
    rows = load_dataset(generate(robot, 'umaze', ROWS, seed=2, progress=False,
                                 out=folder / 'drive.hdf5'))
    messages, dt_s = [], rows.signals.dt_s
    for index, (state, action) in enumerate(zip(rows.observations, rows.actions)):
        x, y, vx, vy, cosine, sine = state.tolist()
        time_s, yaw = index * dt_s, math.atan2(sine, cosine)
        command = twist(action[0], action[-1])
        command.linear.y = float(action[1]) if len(action) == 3 else 0.0
        messages += [
            (time_s, 'odom', odometry(STAMP_S + time_s, x, y, yaw, cosine * vx + sine * vy,
                                      cosine * vy - sine * vx)),
            (time_s + 0.001, 'cmd_vel', make(TWIST_STAMPED, twist=command,
                                             header=header(STAMP_S + time_s, 'base_link')))]
    return write_bag(folder / 'bag', messages), rows


@pytest.mark.parametrize('robot', ['diff_drive', 'omni'])
def test_the_shipped_columns_are_those_of_the_kind(robot):
    """The model of such a log is then known to be of that robot."""
    assert load_import_config(robot).signals() == ROBOTS[robot].signals


@pytest.mark.parametrize('robot', ['diff_drive', 'omni'])
def test_a_bag_becomes_a_model_that_plans_where_the_log_never_was(robot, tmp_path):
    bag, rows = drive_of(robot, tmp_path)
    log = tmp_path / 'robot.hdf5'
    run('data', 'import', bag, '--config', robot, '--out', log)
    run('data', 'check', log)
    imported = load_dataset(log)
    np.testing.assert_allclose(imported.observations[:ROWS // 2], rows.observations[:ROWS // 2],
                               atol=1e-3)
    np.testing.assert_allclose(imported.actions[:ROWS // 2], rows.actions[:ROWS // 2], atol=1e-3)

    values = {**TRIAL, 'dataset': log, 'run_dir': tmp_path, 'out_dir': tmp_path,
              'max_tokens': 8}
    checkpoint = run('train', '--config', 'own_robot', *(
        word for name, value in values.items() for word in ('--set', f'{name}={value}')
    )).splitlines()[-1]
    card = load_card(checkpoint)
    assert card.robot == robot

    place = unseen_place(2)
    planner = Planner.load(checkpoint, grid=place.grid, backend='torch', settings=settings_for(
        robot, card.robot_radius_m, collision_check=False))
    start, goal = place.starts[0], place.goals[0]
    plan = planner.plan([*start, 0.0, 0.0, 0.0, 1.0], goal)
    assert plan.actions.shape == (len(plan), len(card.action_names))
    assert np.isfinite(plan.states).all() and np.isfinite(plan.actions).all()
    np.testing.assert_allclose(plan.states[0], [*start, 0.0, 0.0, 0.0, 1.0], atol=1e-3)
    assert np.linalg.norm(plan.states[-1, :2] - goal) < 0.5


def test_the_training_of_an_own_robot_ends_within_its_minutes():
    config, = load_stages(config_path('own_robot')).values()
    assert config.minutes == 15.0
