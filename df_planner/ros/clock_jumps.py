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

"""A clock that jumps back: a simulator that was restarted, or a bag that starts over."""

from collections.abc import Callable

from rclpy.clock import JumpHandle
from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.node import Node


def on_jump_back(node: Node, callback: Callable[[], None]) -> JumpHandle:
    """Call ``callback`` whenever the clock of a node jumps back, while the handle is kept."""
    backward = JumpThreshold(
        min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=False)
    return node.get_clock().create_jump_callback(
        backward, post_callback=lambda jump: callback())
