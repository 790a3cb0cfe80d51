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

"""
Diagnostics tell of complaints at once, but no more often than anybody reads.

They name topics that carry nothing: another type, another QoS, nobody who sends or listens.
"""

import time

from diagnostic_msgs.msg import DiagnosticArray
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PointStamped
from geometry_msgs.msg import Twist
from geometry_msgs.msg import WrenchStamped
from nav_msgs.msg import OccupancyGrid
from nav_msgs.msg import Odometry
import profiles
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from df_planner.errors import StaleInput
from df_planner.ros import qos
from df_planner.ros import topics
from df_planner.ros.diagnostics import Complaints
from df_planner.ros.diagnostics import Diagnostics
from df_planner.ros.wiring import endpoints_of
from df_planner.ros.wiring import faults


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


class Graph:
    """A follower with an input and an output, and other nodes."""

    def __init__(self):
        self._contexts, self._nodes = [], []
        self.follower = self.node('follower')

    def node(self, name):
        """Return a new node; in a context of its own, since one has one type per topic."""
        self._contexts.append(rclpy.Context())
        rclpy.init(context=self._contexts[-1])
        self._nodes.append(Node(name, namespace='/wired', context=self._contexts[-1],
                                enable_rosout=False))
        return self._nodes[-1]

    def wait_for(self, level, text, inputs=(), outputs=()):
        """Wait until just this is wrong with the follower; empty for nothing."""
        end_s = time.monotonic() + 30.0
        while time.monotonic() < end_s:
            found = faults(self.follower, endpoints_of(self.follower),
                           {f'/wired/{name}' for name in inputs},
                           [{f'/wired/{name}'} for name in outputs])
            if [(fault.level, fault.text) for fault in found] == ([(level, text)] if text else []):
                return
            time.sleep(0.02)
        raise AssertionError(found)

    def close(self):
        """Destroy the nodes."""
        for node in self._nodes:
            node.destroy_node()
        for context in self._contexts:
            rclpy.shutdown(context=context)


@pytest.fixture
def graph():
    """Return a graph of nodes, which ends with the test."""
    graph = Graph()
    yield graph
    graph.close()


def ignore(message):
    """Take a message."""


ERROR, WARN = DiagnosticStatus.ERROR, DiagnosticStatus.WARN


@pytest.mark.parametrize('stamped, sent, heard', [
    (True, 'TwistStamped', 'Twist'), (False, 'Twist', 'TwistStamped')])
def test_a_base_that_listens_to_another_type_is_named(graph, stamped, sent, heard):
    qos.publisher(graph.follower, topics.CMD_VEL.stamped(stamped))
    other = topics.CMD_VEL.stamped(not stamped)
    qos.subscription(graph.node('base'), other, ignore)
    text = (f'/wired/cmd_vel: follower sends {sent}, but /wired/base listens to {heard}: '
            f'set enable_stamped_cmd_vel:={str(not stamped).lower()}')
    graph.wait_for(ERROR, text, outputs=['cmd_vel'])
    graph.wait_for(WARN, text)


def test_an_input_of_another_type_is_named(graph):
    qos.subscription(graph.follower, topics.GOAL_POSE, ignore)
    graph.node('clicker').create_publisher(PointStamped, 'goal_pose', 1)
    graph.wait_for(WARN, '/wired/goal_pose: /wired/clicker sends PointStamped, but follower '
                   'listens to PoseStamped: remap one of the two')


def test_a_base_of_another_kind_is_named(graph):
    qos.publisher(graph.follower, topics.CMD_WRENCH)
    graph.wait_for(WARN, 'nobody listens to /wired/cmd_wrench (geometry_msgs/msg/WrenchStamped)',
                   outputs=['cmd_wrench'])
    graph.node('recorder').create_subscription(WrenchStamped, 'cmd_wrench', ignore, 1)
    graph.node('base').create_subscription(Twist, 'cmd_vel', ignore, 1)
    graph.wait_for(WARN, 'nobody listens to /wired/cmd_wrench (geometry_msgs/msg/WrenchStamped), '
                   'but /wired/base listens to /wired/cmd_vel: does the parameter robot name its '
                   'kind?', outputs=['cmd_wrench'])
    graph.node('other_base').create_subscription(WrenchStamped, 'cmd_wrench', ignore, 1)
    graph.wait_for(None, '', outputs=['cmd_wrench'])


def test_names_that_do_not_meet_are_told(graph):
    qos.publisher(graph.follower, topics.CMD_VEL)
    qos.subscription(graph.follower, topics.ODOM, ignore)
    base = graph.node('base')
    base.create_publisher(Odometry, 'base/odom', 1)
    graph.wait_for(WARN, 'nobody sends /wired/odom (nav_msgs/msg/Odometry), but there is '
                   '/wired/base/odom of that type: remap /wired/odom:=/wired/base/odom if that is '
                   'it', inputs=['odom'])
    base.create_subscription(qos.interface_type(topics.CMD_VEL.kind), 'base/cmd', ignore, 1)
    graph.wait_for(WARN, 'nobody listens to /wired/cmd_vel (geometry_msgs/msg/TwistStamped), but '
                   '/wired/base listens to /wired/base/cmd: remap /wired/cmd_vel:=/wired/base/cmd '
                   'if that is the robot', outputs=['cmd_vel'])


def test_qos_that_does_not_fit_is_named(graph):
    qos.subscription(graph.follower, topics.MAP, ignore)
    server = graph.node('server')
    publisher = server.create_publisher(OccupancyGrid, 'map', profiles.STANDARD_QOS)
    text = ('/wired/map: /wired/server sends volatile, but follower listens to transient local: '
            'have /wired/server use transient local')
    graph.wait_for(ERROR, text, inputs=['map'])
    qos.subscription(graph.follower, topics.MAP, ignore, quality=topics.STANDARD)
    graph.wait_for(None, '', inputs=['map'])  # one of the two subscriptions hears it
    server.destroy_publisher(publisher)
    qos.publisher(graph.follower, topics.CMD_VEL)
    base = graph.node('base')
    base.create_subscription(qos.interface_type(topics.CMD_VEL.kind), 'cmd_vel', ignore,
                             qos.profile(topics.LATCHED))
    graph.wait_for(ERROR, '/wired/cmd_vel: follower sends volatile, but /wired/base listens to '
                   'transient local: have /wired/base use volatile', outputs=['cmd_vel'])


def test_two_senders_of_one_input_are_named(graph):
    qos.subscription(graph.follower, topics.ODOM, ignore)
    for name in ('wheels', 'lidar'):
        qos.publisher(graph.node(name), topics.ODOM)
    graph.wait_for(WARN, '/wired/odom: /wired/lidar, /wired/wheels all send it; keep one',
                   inputs=['odom'])
