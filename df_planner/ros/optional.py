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

"""Interfaces that a ROS 2 installation may bring and the wheels do not."""

from importlib import import_module
from typing import Any

from rclpy.node import Node


def optional_type(module: str, name: str, node: Node, use: str) -> Any | None:
    """
    Return a type of a package that may be absent; if it is, None, and the log says so.

    :param module: for example ``nav2_msgs.action``.
    :param name: the type in it.
    :param use: what there is not without it, in words.
    """
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError):
        node.get_logger().info(f'No {module}.{name} here: without {use}')
        return None
