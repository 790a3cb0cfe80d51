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

"""The command ``df_planner demo``: its options are the arguments of the graph of processes."""

import sys

import click

from df_planner.console import examples
from df_planner.launching.graph import ARGUMENTS
from df_planner.launching.runner import run


@click.command(epilog=examples(
    'df_planner demo',
    'df_planner demo --maze umaze --episodes 3 --seed 7',
    'df_planner demo --maze large --record',
    'df_planner demo --robot diff_drive',
    'df_planner demo --no-use-benchmark --real-time-factor 1'))
def demo(**values: bool | int | float | str) -> None:
    """
    Drive a maze over ROS 2 topics and score it.

    Starts simulator, planner, follower and benchmark as processes. The exit code is 0 if the goals
    were reached. Where ROS 2 is installed, `ros2 launch df_planner plan.launch.py` starts the same
    graph with the same arguments.
    """
    sys.exit(run(values))


for argument in ARGUMENTS:
    flag = argument.name.replace('_', '-')
    is_switch = isinstance(argument.default, bool)
    demo.params.append(click.Option(
        [f'--{flag}/--no-{flag}' if is_switch else f'--{flag}', argument.name],
        type=click.Choice(argument.choices) if argument.choices else type(argument.default),
        default=argument.default, show_default=argument.default != '',
        help=argument.description))
