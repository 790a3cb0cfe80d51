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
Plan and follow plans, on a robot or in a simulation that runs already.

  ros2 launch df_planner planner.launch.py checkpoint:=point use_sim_time:=false
"""

from launch import LaunchDescription

from df_planner.launching.ros2_launch import describe


def generate_launch_description() -> LaunchDescription:
    """Describe this piece of plan.launch.py."""
    return describe('planner')
