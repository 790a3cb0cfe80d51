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

"""When a clock that stands is a fault."""

from types import SimpleNamespace

import pytest
from rclpy.node import Node
from rclpy.parameter import Parameter

from df_planner.ros import clock
from df_planner.ros.clock import PatienceClock

NOBODY = 'use_sim_time is set, but nobody publishes /clock'


@pytest.fixture
def wait(ros_context, monkeypatch):
    """Return a function that lets wall time pass, at a time by /clock, and tells the fault."""
    now = SimpleNamespace(wall_s=100.0, clock_s=0.0)
    monkeypatch.setattr(clock, 'time', SimpleNamespace(monotonic=lambda: now.wall_s))
    monkeypatch.setattr(clock, 'simulated_s', lambda _: now.clock_s)
    node = Node('patient', context=ros_context, enable_rosout=False,
                parameter_overrides=[Parameter('use_sim_time', value=True)])
    patience = PatienceClock(node)

    def let_pass(wall_s, clock_s):
        for _ in range(round(wall_s / 0.25)):
            now.wall_s, now.clock_s = now.wall_s + 0.25, clock_s
            patience.now_s(may_stand=False)
        return patience.fault

    yield let_pass
    node.destroy_node()


def test_nodes_that_still_seek_each_other_are_no_fault(wait):
    assert wait(4.0, 0.0) is None
    assert wait(2.0, 0.0) == NOBODY
    assert wait(0.25, 7.0) is None


def test_a_clock_that_has_run_and_stands_is_a_fault_at_once(wait):
    assert wait(0.25, 7.0) is None
    assert wait(0.75, 7.0) is None
    assert wait(1.0, 7.0).startswith('/clock has stood still for 2 s')
