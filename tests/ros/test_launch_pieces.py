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

"""A piece of the launch files under launch_pytest, where a ROS 2 installation provides it."""

import os
import sys

from nav_msgs.msg import Odometry
import profiles
import pytest

from df_planner.files import share_path

launch_pytest = pytest.importorskip(
    'launch_pytest', reason='launch_pytest comes with a ROS 2 installation, not from PyPI')


@launch_pytest.fixture
def simulator(tmp_path, monkeypatch):
    """Launch sim.launch.py, its executable where launch looks for it after colcon build."""
    from launch import LaunchDescription
    from launch.actions import IncludeLaunchDescription
    from launch.launch_description_sources import PythonLaunchDescriptionSource
    executable = tmp_path / 'lib/df_planner/maze_sim'
    executable.parent.mkdir(parents=True)
    executable.write_text(
        f'#!/bin/sh\nexec {sys.executable} -m df_planner.nodes.maze_sim.node "$@"\n')
    executable.chmod(0o755)
    marker = tmp_path / 'share/ament_index/resource_index/packages/df_planner'
    marker.parent.mkdir(parents=True)
    marker.touch()
    monkeypatch.setenv('AMENT_PREFIX_PATH', os.pathsep.join(
        [str(tmp_path), os.environ.get('AMENT_PREFIX_PATH', '')]))
    monkeypatch.setenv('ROS_LOG_DIR', str(tmp_path / 'log'))
    return LaunchDescription([
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(share_path('launch/sim.launch.py'))),
            launch_arguments=[('maze', 'umaze'), ('namespace', 'robot1')]),
        launch_pytest.actions.ReadyToTest()])


@pytest.mark.launch(fixture=simulator)
def test_the_simulator_is_there_in_its_namespace(probe):
    heard = probe.listen(Odometry, '/robot1/odom', profiles.SENSOR_DATA_QOS)
    probe.wait_until(lambda: len(heard) > 3, 'odometry of the launched simulator', timeout_s=60.0)
    assert heard[-1].header.frame_id == 'odom'
