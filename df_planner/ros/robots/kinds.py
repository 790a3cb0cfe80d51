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

"""The messages of each kind of robot."""

from df_planner.robots.kinds import POINT
from df_planner.ros.conversions import ForceScale
from df_planner.ros.conversions import MapAxes
from df_planner.ros.robots.messages import RobotMessages
from df_planner.ros.robots.point import PointRobot
from df_planner.ros.robots.twist import TwistRobot

# By kind: what makes its messages of (axes, forces of actions, whether commands are stamped).
MESSAGES = {
    'point': lambda axes, scale, stamped: PointRobot(axes, scale),
    'diff_drive': lambda axes, scale, stamped: TwistRobot(axes, False, stamped),
    'omni': lambda axes, scale, stamped: TwistRobot(axes, True, stamped),
}


def robot_messages(kind: str, axes: MapAxes, max_force_n: float = POINT.max_force_n,
                   mass_kg: float = POINT.mass_kg, stamped: bool = True) -> RobotMessages:
    """
    Return the messages of a kind of robot.

    :param max_force_n: of a robot that takes forces, force per axis at action 1.
    :param mass_kg: of a robot that takes forces.
    :param stamped: commands on ``cmd_vel`` are TwistStamped, else Twist.
    """
    return MESSAGES[kind](axes, ForceScale(max_force_n, mass_kg), stamped)
