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
Bad inputs that are generated: a wrong value in any field of a message.

A message starts out as a good one, so that what is wrong is one field.
"""

from collections.abc import Iterator
import math
from random import Random
from typing import Any

from soak.hands import Hands

FLOATS = (math.nan, math.inf, -math.inf, 1e30, -1e30, -0.0, 1e-30)
WRONG: dict[str, tuple] = {
    'double': FLOATS, 'float': FLOATS,
    'int32': (-2**31, -1, 0, 2**31 - 1), 'uint32': (0, 1, 2**31, 2**32 - 1),
    'int8': (-128, 127), 'uint8': (0, 255),
    'string': ('', 'camera', '/', 'map ', 'ma\u00df', 'x' * 4096)}
# Changed in a message, these make another good message.
HARMLESS = ('joint_names', 'covariance', 'torque')


def fields(msg: Any) -> Iterator[tuple[Any, str, str]]:
    """
    Yield every field of a message that holds a number or a text.

    :returns: (owner, name, type) of each; of a list of messages those of the first.
    """
    for name, kind in msg.get_fields_and_field_types().items():
        if name in HARMLESS:
            continue
        value = getattr(msg, name)
        if kind.startswith('sequence<') and len(value):
            value = value[0]
        if hasattr(value, 'get_fields_and_field_types'):
            yield from fields(value)
        elif kind in WRONG:
            yield msg, name, kind


def spoil(msg: Any, rng: Random) -> None:
    """Give one field of a message a value it should not have."""
    owner, name, kind = rng.choice(list(fields(msg)))
    setattr(owner, name, rng.choice(WRONG[kind]))


def good_message(hands: Hands, topic: str) -> Any:
    """Return a message for a topic that changes as little as a good one can."""
    return {'goal_pose': lambda: hands.goal(hands.goal_xy or hands.xy),
            'odom': hands.odometry,
            'map': hands.occupancy_grid,
            'plan_trajectory': hands.trajectory,
            'cmd_wrench': lambda: hands.wrench((0.0, 0.0)),
            'initialpose': lambda: hands.initial_pose(hands.xy)}[topic]()
