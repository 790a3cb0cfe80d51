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
The topics of the graph that matter: what is recorded, and what RViz and Foxglove show.

Names are relative to the namespace, but for those that begin with a slash. Nothing here imports
ROS, because ``df_planner/launching/graph.py`` needs the names.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Topic:
    """
    A topic that is worth keeping.

    :param kind: type, as ``ros2 topic info`` prints it.
    :param latched: late subscribers get the last message (transient local).
    :param reliable: False for what may be lost: the clock.
    :param awaited: the recorder is ready when it has found a publisher, or has heard a message of
        what is said without being asked: only that proves that the publisher has found it, too.
    """

    name: str
    kind: str
    latched: bool = False
    reliable: bool = True
    awaited: Literal['publisher', 'message'] | None = None

    def resolved(self, namespace: str, renamed: Mapping[str, str] = {}) -> str:
        """Return the name from the root, for nodes in a namespace (empty for none)."""
        name = renamed.get(self.name, self.name)
        if name.startswith('/'):
            return name
        namespace = namespace.strip('/')
        return f'/{namespace}/{name}' if namespace else f'/{name}'


RECORDER_READY = 'recorder/ready'

# What each kind of robot (robots/signals.py) is told.
COMMANDS = {
    'point': Topic('cmd_wrench', 'geometry_msgs/msg/WrenchStamped', awaited='publisher'),
    'diff_drive': Topic('cmd_vel', 'geometry_msgs/msg/TwistStamped', awaited='publisher'),
}
ROBOTS = tuple(COMMANDS)

RECORDED_OF_EVERY_ROBOT = (
    Topic('/clock', 'rosgraph_msgs/msg/Clock', reliable=False),
    Topic('/diagnostics', 'diagnostic_msgs/msg/DiagnosticArray'),
    Topic('/tf', 'tf2_msgs/msg/TFMessage'),
    Topic('/tf_static', 'tf2_msgs/msg/TFMessage', latched=True),
    Topic('map', 'nav_msgs/msg/OccupancyGrid', latched=True, awaited='message'),
    Topic('odom', 'nav_msgs/msg/Odometry', awaited='message'),
    Topic('goal_pose', 'geometry_msgs/msg/PoseStamped'),
    Topic('active_goal', 'geometry_msgs/msg/PoseStamped', latched=True),
    Topic('plan', 'nav_msgs/msg/Path', latched=True),
    Topic('plan_trajectory', 'trajectory_msgs/msg/MultiDOFJointTrajectory', latched=True,
          awaited='publisher'),
    Topic('planner/candidates', 'visualization_msgs/msg/MarkerArray'),
    Topic('planner/uncertainty', 'visualization_msgs/msg/MarkerArray'),
    Topic('planner/planning_time', 'std_msgs/msg/Float64'),
    Topic('planner/planning_time_detail', 'diagnostic_msgs/msg/DiagnosticStatus',
          awaited='publisher'),
    Topic('follower/tracking_error', 'std_msgs/msg/Float64'),
    Topic('maze_sim/markers', 'visualization_msgs/msg/MarkerArray', latched=True),
    Topic('maze_sim/contact', 'std_msgs/msg/Bool', latched=True),
    Topic('maze_sim/episode', 'std_msgs/msg/UInt32', latched=True),
)


def recorded_topics(robot: str) -> tuple[Topic, ...]:
    """Return what is worth keeping of a kind of robot."""
    return (COMMANDS[robot], *RECORDED_OF_EVERY_ROBOT)
