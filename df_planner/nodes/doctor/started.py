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
The planner and the follower as they would start: parameters and names from the ROS arguments.

Each is a node for a moment, with discovery turned off so that no other node sees it. So parameter
files, ``-p``, remappings and namespaces mean what they mean to the nodes.
"""

from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import fields
from dataclasses import replace
import os
from typing import Any
from typing import TypeVar

import rclpy
from rclpy.logging import LoggingSeverity
from rclpy.node import Node

from df_planner.errors import ConfigError
from df_planner.nodes.follower.parameters import FollowerParameters
from df_planner.nodes.planner.parameters import PlannerParameters
from df_planner.robots.kinds import ROBOTS
from df_planner.ros import topics
from df_planner.ros.parameters import declare
from df_planner.ros.unused import unused

DISCOVERY = 'ROS_AUTOMATIC_DISCOVERY_RANGE'

AnyParameters = TypeVar('AnyParameters', bound=Any)


@dataclass(frozen=True)
class Started:
    """
    A node as it would start.

    :param name: full name.
    :param names: full names of its topics, by the names of the rows of ``topics.py``.
    :param given: the parameters that the arguments give it.
    :param unused: in words, what they give it in vain.
    """

    name: str
    parameters: Any
    names: dict[str, str]
    given: dict[str, Any]
    unused: tuple[str, ...]
    use_sim_time: bool

    @property
    def parameter_names(self) -> list[str]:
        """Return the names of its parameters."""
        return [field.name for field in fields(self.parameters)]

    def with_values(self, values: dict[str, Any]) -> 'Started':
        """Return the node with other values of some parameters; those it has not are left out."""
        return replace(self, parameters=replace(self.parameters, **{
            name: value for name, value in values.items() if name in self.parameter_names}))


def as_started(ros_args: Sequence[str]) -> tuple[Started, Started]:
    """
    Return the planner and the follower as these arguments would start them.

    :raises ConfigError: for arguments that rclpy does not take, or that a node would refuse.
    """
    with _context(ros_args) as context:
        return (_start(context, 'planner', PlannerParameters, ros_args),
                _start(context, 'follower', FollowerParameters, ros_args))


def unused_by_both(planner: Started, follower: Started) -> list[str]:
    """Return what is given in vain: what is for one node may well be given to both."""
    found: dict[str, str] = {}
    for node, other in ((planner, follower), (follower, planner)):
        others = {text.partition(other.name)[0] for text in other.unused}
        for text in node.unused:
            begin, word = text.partition(node.name)[0], text.partition(' ')[0]
            is_parameter = begin.endswith(' is no parameter of ')
            if begin in others or ' section ' in text or is_parameter and (
                    word not in other.parameter_names):
                found[begin] = max(text, found.get(begin, ''), key=len)
    return [*found.values()]


def with_facts(started: Started, robot: str) -> Started:
    """Return a node with the facts of its kind of robot where it was given none, as launched."""
    facts = {name: tuple(value) if isinstance(value, list) else value for name, value
             in ROBOTS[robot].node_parameters()[started.name.rpartition('/')[2]].items()
             if name not in started.given}
    return started.with_values({'robot': robot, **facts})


@contextmanager
def _context(ros_args: Sequence[str]) -> Iterator[rclpy.Context]:
    context, before = rclpy.Context(), os.environ.get(DISCOVERY)
    os.environ[DISCOVERY] = 'OFF'
    try:
        rclpy.init(args=list(ros_args), context=context)
    except Exception as error:  # rclpy's errors of arguments have no common class
        raise ConfigError(f'--ros-args: {error}') from error
    finally:
        os.environ.pop(DISCOVERY)
        if before is not None:
            os.environ[DISCOVERY] = before
    try:
        yield context
    finally:
        rclpy.shutdown(context=context)


def _start(context: rclpy.Context, name: str, cls: type[AnyParameters],
           ros_args: Sequence[str]) -> Started:
    node = Node(name, context=context, enable_rosout=False, start_parameter_services=False)
    node.get_logger().set_level(LoggingSeverity.ERROR)  # what is unused is a finding
    try:
        parameters = declare(node, cls)
        given = {key: value.value for key, value in node._parameter_overrides.items()}
        return Started(
            node.get_fully_qualified_name(), parameters,
            {topic.name: node.resolve_topic_name(topic.name) for topic in topics.TOPICS},
            given, tuple(unused(node, ['doctor', *ros_args])),
            bool(node.get_parameter('use_sim_time').value))
    finally:
        node.destroy_node()
