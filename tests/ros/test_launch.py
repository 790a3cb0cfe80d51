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

"""The launch file under launch itself, where a ROS 2 installation provides it."""

import os
import signal
import subprocess
import sys

import pytest
from tiny_model import write_tiny_model
import yaml

from df_planner.resources import share_path
from df_planner.ros.graph import ARGUMENTS
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
    for name in ('planner', 'follower', 'maze_sim', 'maze_benchmark'):
        script = executables / name
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -m df_planner.nodes.{name} "$@"\n')
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


def start(environment, arguments):
    """Start the launch file."""
    return subprocess.Popen(
        [sys.executable, '-c', LAUNCH, str(share_path('launch/plan.launch.py')), *arguments],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_it_declares_the_arguments_of_the_graph():
    from launch.launch_description_sources import PythonLaunchDescriptionSource
    source = PythonLaunchDescriptionSource(str(share_path('launch/plan.launch.py')))
    description = source.try_get_launch_description_without_context()
    declared = description.get_launch_arguments()
    assert [a.name for a in declared] == [a.name for a in ARGUMENTS]
    assert [a.description.split(' Valid choices')[0] for a in declared] == [
        a.description for a in ARGUMENTS]


def test_it_runs_and_ends_with_the_benchmark(environment, short_run):
    process = start(environment, short_run)
    output, _ = process.communicate(timeout=180)
    assert process.returncode == 0, output
    assert 'process has finished cleanly' in output
    assert '1 goals reached' in output


def test_a_benchmark_that_fails_makes_launch_fail(environment, short_run, tmp_path):
    params = tmp_path / 'params.yaml'
    params.write_text('{}')
    process = start(environment, [*short_run, f'params_file:={params}'])
    output, _ = process.communicate(timeout=180)
    assert process.returncode == 1, output
    assert 'maze_benchmark ended with exit code 1' in output


def test_a_wrong_argument_ends_it(environment):
    process = start(environment, ['episodes:=many'])
    output, _ = process.communicate(timeout=90)
    assert process.returncode == 1
    assert 'episodes must be a int' in output


def test_ctrl_c_without_a_benchmark(environment, short_run):
    process = start(environment, [*short_run, 'use_benchmark:=false', 'namespace:=robot1'])
    lines = []
    while 'Ready for goals' not in ''.join(lines):
        lines.append(process.stdout.readline())
        assert lines[-1], ''.join(lines)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=90)
    assert output.count('process has finished cleanly') == 3, output
