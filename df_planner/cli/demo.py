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

from df_planner.launching.graph import ARGUMENTS
from df_planner.launching.runner import run


def _demo_command() -> click.Command:
    """Make the command whose options are the arguments of the graph of processes."""
    def demo(**values: bool | int | float | str) -> None:
        sys.exit(run(values))

    options = []
    for argument in ARGUMENTS:
        flag = argument.name.replace('_', '-')
        shown = {'default': argument.default, 'show_default': argument.default != '',
                 'help': argument.description}
        if isinstance(argument.default, bool):
            options.append(click.Option([f'--{flag}/--no-{flag}', argument.name], **shown))
        else:
            kind = click.Choice(argument.choices) if argument.choices else type(argument.default)
            options.append(click.Option([f'--{flag}', argument.name], type=kind, **shown))
    return click.Command(
        'demo', callback=demo, params=options, context_settings={
            'help_option_names': ['-h', '--help'], 'max_content_width': 99},
        short_help='Drive a maze over ROS 2 topics and score it.',
        help='Start simulator, planner, follower and benchmark as processes that talk over ROS 2 '
             'topics, drive some episodes and score them. The exit code is 0 if the goals were '
             'reached. Where ROS 2 is installed, `ros2 launch df_planner plan.launch.py` starts '
             'the same graph with the same arguments.',
        epilog='\b\nExamples:\n'
               '  df_planner demo\n'
               '  df_planner demo --maze umaze --episodes 3 --seed 7\n'
               '  df_planner demo --maze large --record\n'
               '  df_planner demo --robot diff_drive\n'
               '  df_planner demo --no-use-benchmark --real-time-factor 1')


demo = _demo_command()
