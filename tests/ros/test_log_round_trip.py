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

"""From a drive over DDS to a plan: record, import, check, train, plan."""

import re

from click.testing import CliRunner
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import WrenchStamped
from nav_msgs.msg import Odometry
import numpy as np
import profiles
import pytest
from std_srvs.srv import Trigger
from trajectory_msgs.msg import MultiDOFJointTrajectory
import yaml

from df_planner.cli.main import main
from df_planner.data.d4rl import load_dataset
from df_planner.planning.planner import Planner
from df_planner.planning.settings import PlannerSettings
from df_planner.robots.kinds import POINT
from df_planner.robots.signals import MAZE2D
from df_planner.ros import conversions
from df_planner.ros.robots.point import PointRobot
from df_planner.sim.maze import load_maze
from df_planner.sim.maze import OBSERVATION_TO_MAP
from df_planner.sim.world import World

AXES = conversions.MapAxes(OBSERVATION_TO_MAP)
ROBOT = PointRobot(AXES, conversions.ForceScale(POINT.max_force_n, POINT.mass_kg))
STEPS = 250


def run(*arguments):
    """Run a command line and return what it printed."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def drive(probe, odometry, forces, num_steps, random):
    """Answer every odometry with a force that changes slowly."""
    action = np.zeros(2)
    for _ in range(num_steps):
        stamp = odometry[-1].header.stamp
        time_ns = conversions.stamp_to_ns(stamp)
        action = np.clip(0.95 * action + 0.3 * random.standard_normal(2), -1.0, 1.0)
        forces.publish(ROBOT.command(action, stamp, 'map', 'base_link'))
        probe.wait_until(
            lambda: conversions.stamp_to_ns(odometry[-1].header.stamp) > time_ns, 'the next tick')


@pytest.fixture
def bag(start_node, probe, tmp_path):
    """Record two drives of the simulator, a reset in between."""
    start_node('maze_sim', maze='umaze', lockstep=True, seed=3)
    recorder = start_node('recorder', bag=tmp_path / 'bag')
    odometry = probe.listen(Odometry, 'odom', profiles.RECORDED_QOS)
    forces = probe.publisher(WrenchStamped, 'cmd_wrench', profiles.RECORDED_QOS, subscribers=2)
    # The recorder is ready when it hears a planner, too.
    probe.publisher(MultiDOFJointTrajectory, 'plan_trajectory', profiles.PLAN_QOS)
    probe.publisher(DiagnosticStatus, 'planner/planning_time_detail')
    recorder.wait_for_log('All awaited topics are heard')
    probe.wait_until(lambda: odometry, 'odometry')
    random = np.random.default_rng(0)
    drive(probe, odometry, forces, STEPS, random)
    before = len(odometry)
    assert probe.call(probe.client(Trigger, 'maze_sim/reset'), Trigger.Request()).success
    probe.wait_until(lambda: len(odometry) > before, 'odometry from elsewhere')
    drive(probe, odometry, forces, STEPS, random)
    forces.wait_for_all_acked()
    probe.spin_for(0.3)
    assert recorder.stop() == 0
    assert not re.search('lost of /(odom|cmd_wrench)', recorder.log)  # markers are replaced
    return tmp_path / 'bag'


def test_a_drive_becomes_a_log_a_model_and_a_plan(bag, tmp_path):
    log = tmp_path / 'drive.hdf5'
    run('data', 'import', bag, '--out', log)
    run('data', 'check', log)
    assert '100 Hz' in run('data', 'info', log)
    dataset = load_dataset(log)
    assert dataset.signals == MAZE2D
    assert len(dataset) == pytest.approx(2 * STEPS, abs=3)

    # Physics knows what action led from every state to the next: they belong together.
    world = World(load_maze('umaze'))
    last = np.append(dataset.episode_starts[1:], len(dataset)) - 1
    inside = np.setdiff1d(np.arange(len(dataset)), last)
    assert len(inside) >= 2 * STEPS - 2
    for row in inside:
        world.set_state(dataset.observations[row].astype(float))
        np.testing.assert_allclose(world.step(dataset.actions[row].astype(float)),
                                   dataset.observations[row + 1], atol=2e-4)

    config = tmp_path / 'small.yaml'
    config.write_text(yaml.safe_dump({
        'name': 'small', 'dataset': str(log), 'max_tokens': 6, 'width': 16,
        'num_layers': 1, 'num_heads': 2, 'steps': 20, 'tokens_per_batch': 64,
        'num_threads': 1, 'holdout_share': 0.2, 'run_dir': str(tmp_path / 'runs'),
        'out_dir': str(tmp_path)}), encoding='utf-8')
    checkpoint = run('train', '--config', config).splitlines()[-1]
    planner = Planner.load(checkpoint, backend='torch',
                           settings=PlannerSettings(collision_check=False))
    plan = planner.plan(dataset.observations[0].astype(float),
                        dataset.observations[100, :2].astype(float), seed=0)
    assert np.isfinite(plan.actions).all() and np.isfinite(plan.states).all()
    np.testing.assert_allclose(plan.states[0], dataset.observations[0], atol=1e-4)
