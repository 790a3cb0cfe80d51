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
Publish goals yourself, and watch:
  ros2 launch df_planner plan.launch.py use_benchmark:=false use_rviz:=true
  ros2 topic pub --once /goal_pose geometry_msgs/msg/PoseStamped \
    '{header: {frame_id: map}, pose: {position: {x: 6.0, y: -6.0}}}'
Plan for a robot of your own, which publishes odom and map:
  ros2 launch df_planner plan.launch.py use_benchmark:=false use_sim:=false use_sim_time:=false \
    use_follower:=false checkpoint:=/path/to/model.safetensors
All arguments, with defaults:
  ros2 launch df_planner plan.launch.py -s

Which processes run with which parameters stands in df_planner/ros/graph.py.
"""

from functools import partial
from pathlib import Path
import tempfile

from launch import LaunchContext
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.actions import ExecuteProcess
from launch.actions import OpaqueFunction
from launch.actions import RegisterEventHandler
from launch.actions import Shutdown
from launch.event_handlers import OnProcessExit
from launch.events.process import ProcessExited
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from df_planner.ros.graph import ARGUMENTS
from df_planner.ros.graph import build_graph
from df_planner.ros.graph import Graph
from df_planner.ros.graph import PACKAGE
from df_planner.ros.graph import Process


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; the processes follow once their values are known."""
    return LaunchDescription([
        *(DeclareLaunchArgument(argument.name, default_value=argument.default_text,
                                description=argument.description,
                                choices=list(argument.choice_texts) or None)
          for argument in ARGUMENTS),
        OpaqueFunction(function=start_graph),
    ])


def start_graph(context: LaunchContext) -> list:
    """Return the actions that start the processes."""
    graph = build_graph({argument.name: LaunchConfiguration(argument.name).perform(context)
                         for argument in ARGUMENTS})
    folder = Path(tempfile.mkdtemp(prefix='df_planner-'))
    actions = []
    for process in graph.processes:
        action = start_process(graph, process, folder)
        actions.append(action)
        if not process.command:
            actions.append(RegisterEventHandler(OnProcessExit(
                target_action=action, on_exit=partial(end_run, process))))
    return actions


def end_run(process: Process, event: ProcessExited, context: LaunchContext) -> list:
    """End all processes after the benchmark or a failed node; launch returns 0, or 1 on errors."""
    if context.is_shutdown:
        return []
    if not process.ends_run:
        raise RuntimeError(f'{process.name} ended too early, with exit code {event.returncode}')
    if event.returncode != 0:
        raise RuntimeError(f'{process.name} ended with exit code {event.returncode}')
    return [Shutdown(reason=f'{process.name} has ended')]


def start_process(graph: Graph, process: Process, folder: Path) -> ExecuteProcess:
    """Return the action of one process."""
    if process.command:
        return ExecuteProcess(cmd=list(process.command), name=process.name, output='screen')
    return Node(
        package=PACKAGE, executable=process.name, name=process.name, namespace=graph.namespace,
        parameters=[str(path) for path in graph.write_parameters(process, folder)],
        ros_arguments=['--log-level', graph.log_level], output='screen', emulate_tty=True)
