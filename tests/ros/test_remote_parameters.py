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

"""Reading the parameters of nodes in other processes."""

import signal
import time

import pytest
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from df_planner.ros.rclpy_gaps import read_parameters

NAMES = ['execution', 'position_gain']


@pytest.fixture
def read(ros_context):
    """Return a function that reads parameters of the follower, by a node that nobody knows yet."""
    node = Node('reader', context=ros_context, enable_rosout=False)
    executor = SingleThreadedExecutor(context=ros_context)
    executor.add_node(node)
    yield lambda timeout_s: read_parameters(node, executor, 'follower', NAMES, timeout_s)
    executor.shutdown()
    node.destroy_node()


def test_they_are_those_of_the_node(start_node, read):
    start_node('follower', execution='raw', position_gain=7.0)
    assert read(30.0) == {'execution': 'raw', 'position_gain': 7.0}


def test_an_earlier_node_of_that_name_may_be_there_still(start_node, read, probe):
    gone = start_node('follower', execution='raw', position_gain=7.0)
    gone.wait_for_log('raw execution')
    probe.wait_until_found_by('follower')
    gone.process.send_signal(signal.SIGSTOP)  # as one that crashed: found, but deaf
    start_node('follower', execution='raw', position_gain=8.0)
    assert read(30.0) == {'execution': 'raw', 'position_gain': 8.0}
    gone.process.kill()
    gone.wait()


def test_nobody_answers(read):
    begin_s = time.monotonic()
    assert read(0.2) == {}
    assert time.monotonic() - begin_s < 5.0
