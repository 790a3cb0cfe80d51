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

"""The launch files under launch itself, where a ROS 2 installation provides it."""

import math
import os
import signal
import subprocess
import sys

from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
import profiles
import pytest
from tiny_model import write_tiny_model
import yaml

from df_planner.drives.bag import read_drive
from df_planner.files import share_path
from df_planner.launching.graph import ARGUMENTS
from df_planner.launching.pieces import PIECES
from df_planner.maps.map_file import save_map
from df_planner.sim.maze import load_maze

pytest.importorskip('launch_ros', reason='launch comes with a ROS 2 installation, not from PyPI')

LAUNCH = """
import sys
from launch import LaunchService
from launch.actions import IncludeLaunchDescription
from launch import LaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
path, *arguments = sys.argv[1:]
service = LaunchService()
service.include_launch_description(LaunchDescription([IncludeLaunchDescription(
    PythonLaunchDescriptionSource(path),
    launch_arguments=[argument.split(':=') for argument in arguments])]))
sys.exit(service.run())
"""


@pytest.fixture(scope='module')
def environment(tmp_path_factory):
    """Return an environment in which launch finds the executables, as after colcon build."""
    prefix = tmp_path_factory.mktemp('install')
    marker = prefix / 'share/ament_index/resource_index/packages/df_planner'
    marker.parent.mkdir(parents=True)
    marker.touch()
    executables = prefix / 'lib/df_planner'
    executables.mkdir(parents=True)
    for name in ('planner', 'follower', 'maze_sim', 'maze_benchmark', 'recorder'):
        script = executables / name
        script.write_text(
            f'#!/bin/sh\nexec {sys.executable} -m df_planner.nodes.{name}.node "$@"\n')
        script.chmod(0o755)
    paths = [str(prefix), *filter(None, [os.environ.get('AMENT_PREFIX_PATH')])]
    return {**os.environ, 'AMENT_PREFIX_PATH': os.pathsep.join(paths),
            'ROS_LOG_DIR': str(prefix / 'log')}


@pytest.fixture(scope='module')
def short_run(tmp_path_factory):
    """Return arguments of a run that is soon over and always a success."""
    folder = tmp_path_factory.mktemp('run')
    maze = folder / 'short.yaml'
    maze.write_text(yaml.safe_dump({'layout': list(load_maze('umaze').rows),
                                    'max_episode_steps': 60, 'reference_return': [0.0, 60.0]}))
    params = folder / 'params.yaml'
    params.write_text(yaml.safe_dump({
        '/**/planner': {'ros__parameters': {
            'collision_check': False, 'num_samples': 4, 'sampling_steps': 2}},
        '/**/maze_benchmark': {'ros__parameters': {'min_success_rate': 0.0}}}))
    return [f'maze:={maze}', f'params_file:={params}', f'results_dir:={folder}/results',
            f'checkpoint:={write_tiny_model(folder)}', 'episodes:=1']


@pytest.fixture
def start(environment):
    """Return a function that starts a launch file, which ends with the test."""
    processes = []

    def start_launch(arguments, name='plan', **options):
        processes.append(subprocess.Popen(
            [sys.executable, '-c', LAUNCH, str(share_path(f'launch/{name}.launch.py')),
             *arguments],
            env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            **options))
        return processes[-1]

    yield start_launch
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()


def read_until(process, text, lines):
    """Read what a launch prints until a text is in it; all goes into ``lines``."""
    while not lines or text not in lines[-1]:
        lines.append(process.stdout.readline())
        assert lines[-1], ''.join(lines)


def declared_arguments(name):
    """Return the arguments of a launch file that it declares itself."""
    from launch.actions import DeclareLaunchArgument
    from launch.launch_description_sources import PythonLaunchDescriptionSource
    source = PythonLaunchDescriptionSource(str(share_path(f'launch/{name}.launch.py')))
    return [entity for entity in source.try_get_launch_description_without_context().entities
            if isinstance(entity, DeclareLaunchArgument)]


def test_it_declares_the_arguments_of_the_graph():
    declared = declared_arguments('plan')
    assert [a.name for a in declared] == [*(a.name for a in ARGUMENTS), 'use_respawn']
    assert [a.description.split(' Valid choices')[0] for a in declared[:-1]] == [
        a.description for a in ARGUMENTS]


def test_every_argument_matters_to_a_piece_or_includes_one():
    files = {path.name.split('.')[0] for path in share_path('launch').glob('*.launch.py')}
    assert files == {'plan', *PIECES}
    used = {a.name for name in PIECES for a in declared_arguments(name)}
    assert used | {piece.switch for piece in PIECES.values()} - {''} == {
        *(a.name for a in ARGUMENTS), 'use_respawn'}


@pytest.mark.parametrize('piece, use_sim, renamed', [
    ('sim', 'true', {'/tf': 'tf', '/tf_static': 'tf_static', '/clock': 'clock'}),
    ('planner', 'true', {'/tf': 'tf', '/tf_static': 'tf_static', '/clock': 'clock'}),
    ('planner', 'false', {'/tf': 'tf', '/tf_static': 'tf_static'})])
def test_robots_with_a_namespace_share_no_transforms_and_no_simulated_clock(
        piece, use_sim, renamed):
    from launch import LaunchContext
    from launch_ros.actions import Node

    from df_planner.launching.ros2_launch import describe
    context, nodes = LaunchContext(), []
    context.launch_configurations.update(namespace='left', use_sim=use_sim)
    for entity in describe(piece).entities:
        nodes += [node for node in entity.execute(context) or [] if isinstance(node, Node)]
    for node in nodes:
        node._perform_substitutions(context)
        assert dict(node.expanded_remapping_rules) == renamed
    assert nodes


def test_it_runs_records_and_ends_with_the_benchmark(start, short_run, tmp_path):
    process = start([*short_run, f'results_dir:={tmp_path}', 'record:=true'])
    output, _ = process.communicate(timeout=180)
    assert process.returncode == 0, output
    assert 'process has finished cleanly' in output
    assert '1 goals reached' in output
    [bag] = tmp_path.glob('*/bag')
    assert {path.name for path in bag.parent.iterdir()} >= {'report.md', 'bag'}
    drive = read_drive(bag)
    assert len(drive.times_s) > 60 and len(drive.goals) == 1 and drive.plans


def test_a_benchmark_that_fails_makes_launch_fail(start, short_run, tmp_path):
    params = tmp_path / 'params.yaml'
    params.write_text('{}')
    process = start([*short_run, f'params_file:={params}'])
    output, _ = process.communicate(timeout=180)
    assert process.returncode == 1, output
    assert 'maze_benchmark ended with exit code 1' in output


def test_a_goal_by_topic_is_reached_on_a_map_in_real_time(start, probe, tmp_path):
    """The shipped model drives; Ctrl-C, as a terminal sends it to the whole group, ends all."""
    file = tmp_path / 'office.yaml'
    save_map(file, load_maze('umaze').grid)
    process = start([f'map:={file}', 'robot:=diff_drive', 'use_benchmark:=false'],
                    start_new_session=True)
    odometry = probe.listen(Odometry, 'odom', profiles.SENSOR_DATA_QOS)
    read_until(process, 'Ready for goals', lines := [])
    goals = probe.publisher(PoseStamped, 'goal_pose', subscribers=2)
    probe.wait_until(lambda: odometry, 'odometry', 30.0)
    start_at = odometry[-1].pose.pose.position
    ends = [(1.0, -1.0), (3.0, -1.0)]  # of the lane: the one that is farther away
    goal = PoseStamped()
    goal.header.frame_id = 'map'
    goal.pose.position.x, goal.pose.position.y = max(
        ends, key=lambda end: math.dist(end, (start_at.x, start_at.y)))
    goals.publish(goal)

    def stands_at_the_goal():
        at, twist = odometry[-1].pose.pose.position, odometry[-1].twist.twist
        return (math.hypot(at.x - goal.pose.position.x, at.y - goal.pose.position.y) < 0.5
                and math.hypot(twist.linear.x, twist.linear.y) < 0.02
                and abs(twist.angular.z) < 0.05)
    probe.wait_until(stands_at_the_goal, 'the robot to stand at the goal', 60.0)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    output = ''.join(lines) + output
    assert process.returncode == 0, output
    assert output.count('process has finished cleanly') == 3, output
    assert 'nobody publishes /clock' not in output
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_a_wrong_argument_ends_it(start):
    process = start(['episodes:=many'])
    output, _ = process.communicate(timeout=90)
    assert process.returncode == 1
    assert 'episodes must be a int' in output


def test_ctrl_c_without_a_benchmark(start, short_run):
    process = start([*short_run, 'use_benchmark:=false', 'namespace:=robot1'])
    lines = []
    read_until(process, 'Ready for goals', lines)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=90)
    assert output.count('process has finished cleanly') == 3, output


def test_a_node_that_is_killed_comes_back(start, short_run):
    process = start([*short_run, 'use_benchmark:=false', 'use_respawn:=true'])
    lines = []
    read_until(process, 'Ready for goals', lines)
    [pid] = {int(line.split('pid [')[1].split(']')[0]) for line in lines
             if '[follower-' in line and 'pid [' in line}
    os.kill(pid, signal.SIGKILL)
    read_until(process, 'process has died', lines)
    read_until(process, 'tracking execution', lines)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=90)
    assert output.count('process has finished cleanly') == 3, output


def test_a_node_that_is_killed_ends_all_otherwise(start, short_run):
    process = start([*short_run, 'use_benchmark:=false'])
    lines = []
    read_until(process, 'Ready for goals', lines)
    [pid] = {int(line.split('pid [')[1].split(']')[0]) for line in lines
             if '[follower-' in line and 'pid [' in line}
    os.kill(pid, signal.SIGKILL)
    output, _ = process.communicate(timeout=90)
    assert process.returncode == 1
    assert 'follower ended too early, with exit code -9' in output


def test_pieces_run_alone_and_together(start, short_run):
    chosen = {a.split(':=')[0]: a for a in short_run}
    sim = start([chosen['maze'], 'real_time_factor:=2.0'], 'sim')
    lines = []
    read_until(sim, 'at 2.0 x real time', lines)
    planner = start([chosen['maze'], chosen['checkpoint'], chosen['params_file'],
                     'use_follower:=false'], 'planner')
    read_until(planner, 'Ready for goals', lines)
    for process in (planner, sim):
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=90)
        assert output.count('process has finished cleanly') == 1, output
