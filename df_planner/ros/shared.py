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
Parameters that several nodes have: one text, range and default for each.

>>> @dataclass(frozen=True)
... class TalkerParameters:
...     global_frame_id: str = shared.global_frame_id()
"""

from typing import Any

from df_planner.ros.parameters import parameter
from df_planner.ros.topics import ROBOTS


def robot() -> Any:
    """Return ``robot: str``."""
    return parameter('point', 'Kind of the robot: a point takes forces on cmd_wrench, a '
                     'differential drive takes twists on cmd_vel. A model for another kind is '
                     'refused.', choices=ROBOTS, read_only=True)


def max_force_n(read_only: bool = True) -> Any:
    """Return ``max_force_n: float``."""
    return parameter(100.0, 'Of a point: force per axis at action 1; the simulator clips larger '
                     'commands.', low=1e-6, read_only=read_only)


def mass_kg(read_only: bool = True) -> Any:
    """Return ``mass_kg: float``."""
    return parameter(4.18879020478639, 'Of a point: mass.', low=1e-6, read_only=read_only)


def stamped_cmd_vel() -> Any:
    """Return ``enable_stamped_cmd_vel: bool``."""
    return parameter(True, 'cmd_vel is a TwistStamped (true) or a Twist (false).', read_only=True)


def occupied_threshold(read_only: bool = True) -> Any:
    """Return ``occupied_threshold: int``."""
    return parameter(65, 'Cells of the map of this value or above are obstacles.', low=1, high=100,
                     read_only=read_only)


def global_frame_id(read_only: bool = True) -> Any:
    """Return ``global_frame_id: str``."""
    return parameter('map', 'Frame of the map, of goals and of plans.', read_only=read_only)


def odom_frame_id() -> Any:
    """Return ``odom_frame_id: str``."""
    return parameter('odom', 'Frame of the odometry; equal to the map.', read_only=True)


def base_frame_id(read_only: bool = True) -> Any:
    """Return ``base_frame_id: str``."""
    return parameter('base_link', 'Frame of the robot, and the joint in plan_trajectory. That of '
                     'a point does not turn.', read_only=read_only)


def realtime_priority(default: int, note: str) -> Any:
    """Return ``realtime_priority: int`` with a sentence on when it is used."""
    return parameter(default, 'SCHED_FIFO priority where the system permits it; 0 does without. '
                     + note, low=0, high=99, read_only=True)
