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

"""Plans as message objects, the way a subscriber that reads no bytes gets them."""

from rclpy.serialization import deserialize_message
from trajectory_msgs.msg import MultiDOFJointTrajectory

from df_planner.ros.trajectory_cdr import trajectory_bytes


def trajectory_message(robot, plan, stamp, frame_id='map', joint='base_link'):
    """Return what the planner publishes of a plan."""
    data = trajectory_bytes(robot.trajectory(plan, stamp, frame_id), joint)
    return deserialize_message(data, MultiDOFJointTrajectory)
