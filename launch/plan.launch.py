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
Plan with Diffusion Forcing: simulator, planner, follower and benchmark.

Score the planner on five episodes of the medium maze; all ends with the benchmark:
  ros2 launch df_planner plan.launch.py
Publish goals yourself, watch and record:
  ros2 launch df_planner plan.launch.py use_benchmark:=false use_rviz:=true record:=true
  ros2 topic pub --once /goal_pose geometry_msgs/msg/PoseStamped \
    '{header: {frame_id: map}, pose: {position: {x: 6.0, y: -6.0}}}'
Another kind of robot, which takes twists on cmd_vel:
  ros2 launch df_planner plan.launch.py robot:=diff_drive
Plan for a robot of your own, which publishes odom and map:
  ros2 launch df_planner plan.launch.py use_benchmark:=false use_sim:=false use_sim_time:=false \
    use_follower:=false checkpoint:=/path/to/model.safetensors
All arguments, with defaults:
  ros2 launch df_planner plan.launch.py -s

The pieces, each of which can be launched alone: record, sim, planner, rviz, benchmark.
"""

from launch import LaunchDescription

from df_planner.launching.ros2_launch import describe_all


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and include the pieces that they ask for."""
    return describe_all()
