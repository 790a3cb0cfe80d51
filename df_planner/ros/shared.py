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

"""Parameters that several nodes have: one text, range and default for each."""

from typing import Any

from df_planner.driving.obstacles import BRAKE_AHEAD_S
from df_planner.driving.obstacles import TIMEOUT_S
from df_planner.robots.kinds import DESCRIPTIONS
from df_planner.robots.kinds import POINT
from df_planner.robots.kinds import ROBOTS
from df_planner.ros.parameters import parameter

SHARED: dict[str, dict[str, Any]] = {
    'robot': {
        'default': POINT.name, 'choices': tuple(ROBOTS),
        'description': f'Kind of the robot: {DESCRIPTIONS}. '
        'A model for another kind is refused.'},
    'max_force_n': {
        'default': POINT.max_force_n, 'low': 1e-6, 'description': 'Of a point: force per axis '
        'at action 1; the simulator clips larger commands.'},
    'mass_kg': {
        'default': POINT.mass_kg, 'low': 1e-6, 'description': 'Of a point: mass.'},
    'enable_stamped_cmd_vel': {
        'default': True, 'description': 'cmd_vel is a TwistStamped (true) or a Twist (false).'},
    'occupied_threshold': {
        'default': 65, 'low': 1, 'high': 100,
        'description': 'Cells of the map of this value or above are obstacles.'},
    'allow_unknown': {
        'default': False,
        'description': 'Unknown cells of the map are free (true) or obstacles (false).'},
    'local_occupied_threshold': {
        'default': 100, 'low': 1, 'high': 100,
        'description': 'Cells of the local costmap of this value or above are obstacles, all '
        'others are free. 100 is what Nav2 calls lethal; less is its inflation around that, '
        'which planning makes by itself.'},
    'local_costmap_timeout_s': {
        'default': TIMEOUT_S, 'low': 0.01,
        'description': 'A local costmap stamped this long before (or after) the odometry is '
        'stale: the robot brakes until a newer one comes. Not before the first one.'},
    'brake_ahead_s': {
        'default': BRAKE_AHEAD_S, 'low': 0.0, 'high': 60.0,
        'description': 'Brake at once if the plan in hand hits an obstacle of the local costmap '
        'within this time; at least the time in which the robot stops.'},
    'global_frame_id': {
        'default': 'map', 'description': 'Frame of the map, of goals and of plans.'},
    'odom_frame_id': {
        'default': 'odom', 'description': 'Frame of the odometry; equal to the map.'},
    'base_frame_id': {
        'default': 'base_link', 'description': 'Frame of the robot, and the joint in '
        'plan_trajectory.'},
}


def shared(name: str, read_only: bool = True) -> Any:
    """Make a field of a parameter dataclass that other nodes have, too."""
    return parameter(**SHARED[name], read_only=read_only)


def realtime_priority(default: int, note: str) -> Any:
    """Make the field ``realtime_priority``; ``note`` is a sentence on when it is used."""
    return parameter(default, 'SCHED_FIFO priority where the system permits it; 0 does without. '
                     + note, low=0, high=99, read_only=True)
