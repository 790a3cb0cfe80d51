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

"""The command ``df_planner doctor``."""

from importlib.util import find_spec
import sys

import click

from df_planner.console import examples
from df_planner.errors import ConfigError
from df_planner.robots.kinds import ROBOTS

EXIT_WOULD_NOT_DRIVE = 1
COLOURS = {'ok': 'green', 'warn': 'yellow', 'BAD': 'red'}
ROS_ARGS = '--ros-args'


class WithRosArgs(click.Command):
    """A command that ends with ROS arguments: they go to ``ctx.obj``, unread."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the ROS arguments away and read the others."""
        begin = args.index(ROS_ARGS) if ROS_ARGS in args else len(args)
        ctx.obj = args[begin:]
        return super().parse_args(ctx, args[:begin])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Return the usage, the ROS arguments too."""
        return [*super().collect_usage_pieces(ctx), f'[{ROS_ARGS} ...]']


@click.command(cls=WithRosArgs, epilog=examples(
    'df_planner doctor                                # beside planner and follower that run',
    'df_planner doctor --checkpoint point      # before they are started',
    'df_planner doctor --checkpoint my-robot.safetensors --seconds 30',
    'df_planner doctor --ros-args -r odom:=odometry/filtered -r __ns:=/robot1',
    'df_planner doctor --ros-args --params-file my_robot.yaml -p use_sim_time:=true'))
@click.option('--seconds', type=click.FloatRange(min=1.0), default=10.0,
              help='How long to listen; Ctrl-C ends it earlier.')
@click.option('--checkpoint', help='Model by name, or a .safetensors file.  [default: that of the '
              'planner, which runs or would be started by these arguments]')
@click.option('--robot', type=click.Choice([*ROBOTS]),
              help='Kind of the robot.  [default: with --checkpoint that of its card]')
@click.pass_context
def doctor(ctx: click.Context, seconds: float, checkpoint: str | None, robot: str | None):
    """
    Listen beside a robot and say whether the planner would drive it.

    Start the driver of the robot and its map server, then this command with the ROS arguments that
    the planner gets: remappings, namespace, parameter files, parameters. It hears what the planner
    would hear and publishes nothing. Planner and follower may run already: then their parameters,
    topics and diagnostics are examined. Drive the robot about a metre by hand meanwhile, with a
    turn, so that the axes of its velocity can be checked.

    Prints a line per check, in the order in which to mend things: ok; warn, worth a look; BAD, the
    planner would not drive, or not rightly. The exit code is 0 if nothing is BAD, else 1.
    """
    if find_spec('rclpy') is None:
        raise ConfigError('doctor: rclpy is not installed; source your ROS 2 installation, or '
                          'install requirements-ros.txt')
    from df_planner.nodes.doctor.examination import examine
    from df_planner.nodes.doctor.recording import verdict
    shows = sys.stderr.isatty()

    def progress(text: str) -> None:
        if shows:
            click.echo(f'\r\033[K{text}', nl=False, err=True)
    findings = examine(ctx.obj, seconds, checkpoint, robot, progress)
    progress('')
    for finding in findings:
        line = str(finding)
        click.echo(click.style(line[:4], fg=COLOURS[finding.level]) + line[4:])
    drives, sentence = verdict(findings)
    click.echo(sentence)
    if not drives:
        ctx.exit(EXIT_WOULD_NOT_DRIVE)
