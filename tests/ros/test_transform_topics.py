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

"""The transforms of the simulator on /tf, with real tf2_msgs built for the test."""

from importlib import import_module

import message_build
from nav_msgs.msg import Odometry
import profiles
import pytest


@pytest.mark.skipif(not message_build.have_compiler(), reason='no C++ compiler')
def test_the_simulator_publishes_its_transforms(start_node, probe, tmp_path):
    message_build.build('tf2_msgs', tmp_path)
    with message_build.installed(tmp_path):
        kind = import_module('tf2_msgs.msg').TFMessage
        node = start_node('maze_sim', maze='umaze')
        node.wait_for_log("maze 'umaze'")
    moving = probe.listen(kind, '/tf', profiles.TF_QOS)
    fixed = probe.listen(kind, '/tf_static', profiles.LATCHED_QOS)
    odometry = probe.listen(Odometry, 'odom', profiles.RECORDING_QOS)

    def pairs():
        return [(transform, msg.pose.pose.position) for tf in moving for transform in tf.transforms
                for msg in odometry if msg.header == transform.header]
    probe.wait_until(lambda: len(pairs()) > 5 and fixed, 'transforms and their odometry', 30.0)
    equal, = fixed[0].transforms
    assert (equal.header.frame_id, equal.child_frame_id) == ('map', 'odom')
    assert (equal.transform.translation.x, equal.transform.rotation.w) == (0.0, 1.0)
    robot, at = pairs()[-1]
    assert (robot.header.frame_id, robot.child_frame_id) == ('odom', 'base_link')
    assert (robot.transform.translation.x, robot.transform.translation.y) == (at.x, at.y)
    assert node.stop() == 0, node.log
