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
The graph of processes as launch actions, whole or in pieces; what the launch files are made of.

Imports launch, which comes with a ROS 2 installation only. ``launching/graph.py`` says which
processes run with which parameters.
"""

import atexit
from functools import partial
from pathlib import Path
import shutil
import sys
import tempfile

from launch import LaunchContext
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.actions import ExecuteProcess
from launch.actions import IncludeLaunchDescription
from launch.actions import OpaqueFunction
from launch.actions import RegisterEventHandler
from launch.actions import Shutdown
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessExit
from launch.events.process import ProcessExited
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from df_planner.files import share_path
from df_planner.launching.graph import Argument
from df_planner.launching.graph import ARGUMENTS
from df_planner.launching.graph import build_graph
from df_planner.launching.graph import Graph
from df_planner.launching.graph import PACKAGE
from df_planner.launching.graph import Process
from df_planner.launching.graph import unknown_arguments
from df_planner.launching.pieces import COMMON
from df_planner.launching.pieces import Piece
from df_planner.launching.pieces import PIECES
from df_planner.launching.pieces import USE_RESPAWN

RESPAWN_DELAY_S = 2.0


def describe_all() -> LaunchDescription:
    """Return all arguments and the pieces that they ask for."""
    included = [IncludeLaunchDescription(
        PythonLaunchDescriptionSource(str(share_path(f'launch/{name}.launch.py'))),
        condition=IfCondition(LaunchConfiguration(piece.switch)) if piece.switch else None)
        for name, piece in PIECES.items()]
    _warn_of_unknown('plan', [*ARGUMENTS, USE_RESPAWN])
    return LaunchDescription([*_declarations([*ARGUMENTS, USE_RESPAWN]), *included])


def describe(name: str) -> LaunchDescription:
    """Return a piece with the arguments that matter to it."""
    known = {argument.name: argument for argument in (*ARGUMENTS, USE_RESPAWN)}
    chosen = [known[argument] for argument in (*PIECES[name].arguments, *COMMON)]
    _warn_of_unknown(name, chosen)
    return LaunchDescription([
        *_declarations(chosen), OpaqueFunction(function=partial(_start, PIECES[name]))])


def _warn_of_unknown(name: str, arguments: list[Argument]) -> None:
    for text in unknown_arguments(sys.argv, f'{name}.launch.py', [a.name for a in arguments]):
        get_logger('launch').warning(text)


def _declarations(arguments: list[Argument]) -> list[DeclareLaunchArgument]:
    return [DeclareLaunchArgument(
        argument.name, default_value=argument.default_text, description=argument.description,
        choices=list(argument.choice_texts) or None) for argument in arguments]


def _start(piece: Piece, context: LaunchContext) -> list:
    given = context.launch_configurations
    values = {argument.name: given[argument.name] for argument in ARGUMENTS
              if argument.name in given}
    values.setdefault('use_benchmark', 'false')  # a piece on its own knows of no benchmark
    if piece.switch:
        values[piece.switch] = 'true'
    graph = build_graph(values)
    use_respawn = bool(USE_RESPAWN.parse(given[USE_RESPAWN.name]))
    folder = Path(tempfile.mkdtemp(prefix=f'{PACKAGE}-'))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    actions: list = []
    for process in graph.processes:
        if process.name in piece.processes:
            actions += _actions(graph, process, folder, use_respawn)
    return actions


def _actions(graph: Graph, process: Process, folder: Path, use_respawn: bool) -> list:
    if process.command:
        return [ExecuteProcess(cmd=list(process.command), name=process.name, output='screen')]
    respawned = use_respawn and not process.ends_run and not process.stops_last
    node = Node(
        package=PACKAGE, executable=process.name, name=process.name, namespace=graph.namespace,
        parameters=[str(path) for path in graph.write_parameters(process, folder)],
        remappings=list(graph.remappings), ros_arguments=['--log-level', graph.log_level],
        output='screen', emulate_tty=True, respawn=respawned, respawn_delay=RESPAWN_DELAY_S)
    if respawned:
        return [node]
    return [node, RegisterEventHandler(OnProcessExit(
        target_action=node, on_exit=partial(_end_run, process)))]


def _end_run(process: Process, event: ProcessExited, context: LaunchContext) -> list:
    """End all processes after the benchmark or a failed node; launch returns 0, or 1 on errors."""
    if context.is_shutdown:
        return []
    if not process.ends_run:
        raise RuntimeError(f'{process.name} ended too early, with exit code {event.returncode}')
    if event.returncode != 0:
        raise RuntimeError(f'{process.name} ended with exit code {event.returncode}')
    return [Shutdown(reason=f'{process.name} has ended')]
