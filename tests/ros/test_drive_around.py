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

"""The stand-in for a person who drives a robot to record it (docs/drive_around.py)."""

from pathlib import Path
import subprocess
import sys

from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
import numpy as np
import profiles
import pytest

from df_planner.robots.kinds import ROBOTS

SCRIPT = Path(__file__).parents[2] / 'docs/drive_around.py'
SECONDS = 8


@pytest.mark.parametrize('robot', ['diff_drive', 'omni'])
def test_it_drives_about_for_so_long_and_ends(start_node, probe, robot):
    start_node('maze_sim', maze='umaze', robot=robot, real_time_factor=2.0)
    odometry = probe.listen(Odometry, 'odom', profiles.RECORDING_QOS)
    commands = probe.listen(TwistStamped, 'cmd_vel', profiles.RECORDING_QOS)
    probe.wait_until(lambda: odometry, 'odometry')
    driver = subprocess.Popen([sys.executable, str(SCRIPT), robot, 'umaze', str(SECONDS)])
    probe.wait_until(lambda: driver.poll() is not None, 'the end of the drive', 60.0)
    assert driver.returncode == 0

    signals = ROBOTS[robot].signals
    assert len(commands) > 0.5 * SECONDS / signals.dt_s
    twists = np.array([(c.twist.linear.x, c.twist.linear.y, c.twist.angular.z) for c in commands])
    assert (np.abs(twists) <= (1.0, 1.0, 4.0)).all()
    assert twists[:, 1].any() == (robot == 'omni')
    places = np.array([(o.pose.pose.position.x, o.pose.pose.position.y) for o in odometry])
    assert np.linalg.norm(np.diff(places, axis=0), axis=1).sum() > 1.0
