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

"""get_plan takes its time, and neither odometry nor other callers have to wait for that."""

import time

from geometry_msgs.msg import PoseStamped
from lifecycle_msgs.srv import GetState
from nav_msgs.msg import Odometry
from nav_msgs.srv import GetPlan
import numpy as np
from tiny_model import write_tiny_model

START_UP_S = 90.0
# Some tenths of a second per plan, or more.
SLOW = {'collision_check': False, 'num_samples': 32, 'sampling_steps': 60, 'timeout_s': 120.0,
        'odom_timeout_s': 60.0, 'lockstep': True}


def request():
    """Return a request for a plan from the odometry."""
    goal = PoseStamped()
    goal.header.frame_id = 'map'
    goal.pose.position.x, goal.pose.position.y = 1.0, -1.0
    return GetPlan.Request(goal=goal)


def test_two_callers_and_odometry_at_once(start_node, probe, tmp_path):
    node = start_node('planner', checkpoint=write_tiny_model(tmp_path), **SLOW)
    node.wait_for_log('Ready for goals', START_UP_S)
    plans = [probe.client(GetPlan, 'planner/get_plan') for _ in range(2)]
    state = probe.client(GetState, 'planner/get_state')
    odometry = probe.publisher(Odometry, 'odom')

    def be(x, stamp_s):
        msg = Odometry(child_frame_id='base_link')
        msg.header.frame_id, msg.header.stamp.sec = 'odom', stamp_s
        msg.pose.pose.position.x, msg.pose.pose.position.y = x, -3.0
        odometry.publish(msg)

    def begins_at(future):
        return future.result().plan.poses[0].pose.position.x

    probe.wait_until_found_by('planner')
    be(1.0, 1)
    probe.call(state, GetState.Request())  # whose answer comes after what was sent before
    began_s = time.monotonic()
    first = plans[0].call_async(request())
    probe.call(state, GetState.Request())
    second = plans[1].call_async(request())
    assert not first.done()
    be(1.5, 2)
    answers_s = []
    while not second.done():
        asked_s = time.monotonic()
        probe.call(state, GetState.Request())
        answers_s.append(time.monotonic() - asked_s)
        assert time.monotonic() - began_s < 120.0
    planning_s = (time.monotonic() - began_s) / 2
    assert first.done()
    # Odometry was heard while the first plan was made: the second begins there.
    assert (begins_at(first), begins_at(second)) == (1.0, 1.5)
    assert planning_s > 0.1 and np.median(answers_s) < 0.2 * planning_s
    assert node.stop() == 0
    assert 'Traceback' not in node.log
