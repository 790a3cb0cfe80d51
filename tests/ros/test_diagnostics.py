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

"""Diagnostics tell of complaints at once, but no more often than anybody reads."""

import time

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from df_planner.errors import StaleInput
from df_planner.ros.diagnostics import Complaints
from df_planner.ros.diagnostics import Diagnostics


def test_an_input_that_is_good_and_bad_by_turns_does_not_flood(ros_context):
    node, heard = Node('flooded', context=ros_context), []
    executor = SingleThreadedExecutor(context=ros_context)
    executor.add_node(node)
    diagnostics = Diagnostics(node)
    complaints = Complaints(node, diagnostics)
    diagnostics.add('inputs', complaints.status)
    node.create_subscription(DiagnosticArray, '/diagnostics', heard.append, 100)

    def spin_until(condition, timeout_s=5.0):
        end_s = time.monotonic() + timeout_s
        while not condition() and time.monotonic() < end_s:
            executor.spin_once(timeout_sec=0.01)
        return condition()

    assert spin_until(lambda: heard)
    heard.clear()
    began_s = time.monotonic()
    complaints.add('odom', StaleInput('late'))
    assert spin_until(lambda: any('late' in msg.status[0].message for msg in heard))
    while time.monotonic() < began_s + 0.5:
        complaints.clear('odom')
        complaints.add('odom', StaleInput('late'))
        executor.spin_once(timeout_sec=0.0)
    complaints.clear('odom')
    took_s = time.monotonic() - began_s
    assert len(heard) <= 10 * took_s + 3
    assert spin_until(lambda: heard[-1].status[0].message == 'all inputs accepted')
    executor.shutdown()
    node.destroy_node()
