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
Numbers in messages, as ``field`` in ``config/import`` names them.

A path of names leads to a number: ``pose.pose.position.x``. In a stamped message the name of the
stamped part may be left out: ``linear.x`` works for Twist and TwistStamped. Odometry has four more
fields, since its twist is in the axes of ``child_frame_id`` (nav_msgs, REP 105): ``velocity.x``
and ``velocity.y``, in the axes of its pose, and ``heading.cos`` and ``heading.sin``.
"""

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np

from df_planner.errors import BagError
from df_planner.geometry import headings_of
from df_planner.geometry import turned
from df_planner.geometry import twist_is_of_robot

ODOMETRY = 'nav_msgs/msg/Odometry'
ORIENTATION = tuple(f'pose.pose.orientation.{name}' for name in 'xyzw')
TWIST = ('twist.twist.linear.x', 'twist.twist.linear.y')
OF_ODOMETRY = ('velocity.x', 'velocity.y', 'heading.cos', 'heading.sin')


@dataclass(frozen=True)
class MessageFields:
    """
    How to get F numbers from the messages of one topic.

    :param read: returns (P,) numbers of a message, unchanged.
    :param convert: turns (n, P) of them into (n, F) fields; NaN where they are invalid.
    :param stamped: the message has a header.
    """

    read: Callable[[object], tuple[float, ...]]
    convert: Callable[[np.ndarray], np.ndarray]
    stamped: bool


def message_fields(fields: Sequence[str], kind: str, definitions: dict) -> MessageFields:
    """
    Look fields up in the definition of a message.

    :param kind: its type, as in ``nav_msgs/msg/Odometry``.
    :param definitions: ``fielddefs`` of a type store of rosbags.
    :raises BagError: if there is no such number in it.
    """
    stamped = _number_at('header.stamp.sec', kind, definitions) is not None
    is_turned = kind == ODOMETRY and not set(OF_ODOMETRY).isdisjoint(fields)
    plain = [field for field in fields if kind != ODOMETRY or field not in OF_ODOMETRY]
    paths: list[str] = []
    for field in plain:
        found = _number_at(field, kind, definitions)
        if found is None:
            names = ', '.join(name for name, _ in definitions[kind][1])
            raise BagError(f'has no number {field} in {kind}, whose fields are {names}')
        paths.append(found)
    if is_turned:
        paths += [*ORIENTATION, *TWIST]
    get = attrgetter(*paths)

    def read(message: Any) -> tuple[float, ...]:
        if not is_turned:
            return get(message) if len(paths) > 1 else (get(message),)
        return (*get(message), float(twist_is_of_robot(
            message.child_frame_id, (message.header.frame_id,))))

    def convert(numbers: np.ndarray) -> np.ndarray:
        columns = dict(zip(plain, numbers.T))
        if is_turned:
            columns |= _of_odometry(numbers[:, len(plain):])
        return np.stack([columns[field] for field in fields], axis=1)

    return MessageFields(read, convert, stamped)


def _of_odometry(numbers: np.ndarray) -> dict[str, np.ndarray]:
    """Return the fields ``OF_ODOMETRY`` from quaternion, twist and whose twist it is (n, 7)."""
    headings, twists, is_of_robot = headings_of(numbers[:, :4]), numbers[:, 4:6], numbers[:, 6:]
    velocities = np.where(is_of_robot == 1.0, turned(twists, headings), twists)
    return dict(zip(OF_ODOMETRY, (*velocities.T, *headings.T)))


def _number_at(path: str, kind: str, definitions: dict) -> str | None:
    """Return the whole path to a number, None if there is none."""
    from rosbags.interfaces import Nodetype

    name, _, rest = path.partition('.')
    members = dict(definitions[kind][1])
    if name not in members:
        inside = set(members) - {'header'}
        if 'header' not in members or len(inside) != 1 or name == 'header':
            return None
        name, rest = inside.pop(), path
    node, detail = members[name]
    if node == Nodetype.NAME and rest:
        found = _number_at(rest, detail, definitions)
        return None if found is None else f'{name}.{found}'
    is_number = node == Nodetype.BASE and detail[0] != 'string' and not rest
    return name if is_number else None
