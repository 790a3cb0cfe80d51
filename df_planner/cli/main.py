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
The command line: ``df_planner data | train | plan | evaluate | benchmark | demo | report | …``.

An error of this package becomes one line on stderr and exit code 2. Ctrl-C ends a command with
exit code 130, SIGTERM with 143. A command's module is imported when the command is asked for, so
that ``df_planner --help`` is instant.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
import errno
from importlib import import_module
import os
from pathlib import Path
import signal
import sys
import traceback

import click

from df_planner import __version__
from df_planner.console import examples
from df_planner.errors import ConfigError
from df_planner.errors import DFPlannerError

CONTEXT = {'help_option_names': ['-h', '--help'], 'max_content_width': 99, 'show_default': True}
TESTS = Path(__file__).parents[2] / 'tests'  # in a checkout
MAINTAINERS = 'maintainers@df-planner.example'  # as in package.xml
EXIT_ERROR = 2
EXIT_BUG = 70  # EX_SOFTWARE
MAX_LINE = 1500
EXIT_INTERRUPTED = 128 + signal.SIGINT
EXIT_TERMINATED = 128 + signal.SIGTERM

# By name: the module of the command, its name there, the first line of its help.
COMMANDS = {
    'data': ('cli.main', 'data', 'Generate, import, map, inspect or check the logs of a robot.'),
    'train': ('cli.model', 'train', 'Train a model on a log; the same command resumes it.'),
    'plan': ('cli.plan', 'plan', 'Make one plan on a map or in a maze, and draw it.'),
    'evaluate': ('cli.evaluate', 'evaluate', 'Score a planner on a maze or a map, without ROS.'),
    'benchmark': ('cli.benchmark', 'benchmark', 'Run a GRID of evaluations and write one report.'),
    'measure': ('cli.main', 'measure', 'Measure one ability of a planner, or a speed.'),
    'profile': ('experiments.latency', 'profile',
                'Show how long plans take, and where the time goes.'),
    'demo': ('cli.demo', 'demo', 'Drive a maze over ROS 2 topics and score it.'),
    'doctor': ('cli.doctor', 'doctor',
               'Listen beside a robot and say whether the planner would drive it.'),
    'report': ('cli.drives', 'report', 'Report on the drive in a BAG.'),
    'animate': ('cli.drives', 'animation', 'Draw the drive in a BAG as an animated GIF.'),
    'forecast': ('forecast.command', 'forecast',
                 'Forecast time series with the same method: history in, futures out.'),
    'info': ('cli.model', 'info',
             'Show the card of a CHECKPOINT, or the shipped models and mazes.'),
}
DATA_COMMANDS = {
    'generate': ('cli.data', 'generate', "Write a log like D4RL's."),
    'import': ('cli.data', 'import_command', 'Bring logs into one file for `df_planner train`.'),
    'map': ('cli.data', 'map_command', 'Write the map that a log tells.'),
    'info': ('cli.data', 'info', 'Show counts, rates, ranges, lengths and coverage of a log.'),
    'check': ('cli.data', 'check', 'List everything that is wrong with a log.'),
}
MEASURE_COMMANDS = {
    'blocks': ('experiments.blocks', 'blocks', 'Drive among blocks that training never saw.'),
    'calibration': ('experiments.calibration', 'calibration',
                    "Check whether the model's uncertainty can be believed."),
    'cost': ('experiments.cost', 'cost', 'Measure how the cost of sampling grows.'),
    'inpainting': ('experiments.inpainting', 'inpainting',
                   'Hide parts of held-out motion and fill them in.'),
    'latency': ('experiments.latency', 'latency',
                'Compare latency with a slow reference sampler.'),
    'moving': ('experiments.moving', 'moving',
               "Drive among 1, 3 and 5 obstacles that move at up to half the robot's speed."),
    'noise': ('experiments.odometry_noise', 'noise',
              'Drive with noisy odometry, told to the planner or not.'),
    'realtime': ('experiments.real_time', 'realtime',
                 'Drive over ROS 2 in real time, and the same starts in lockstep.'),
    'rollout': ('experiments.rollout', 'rollout',
                'Roll out far beyond the trained length and watch for drift.'),
    'soak': ('cli.main', 'soak', 'Drive for long with bad inputs and kills; needs a checkout.'),
    'throughput': ('experiments.throughput', 'throughput',
                   'Measure the speed of training, loader, simulator and lockstep.'),
}


class LazyGroup(click.Group):
    """
    A group that imports the module of a command when the command is asked for.

    :param table: by name: the module under ``df_planner``, the name in it, one line of help.
    """

    def __init__(self, *args, table: Mapping[str, tuple[str, str, str]], **kwargs):
        super().__init__(*args, **kwargs)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.table]

    def get_command(self, ctx: click.Context | None, cmd_name: str) -> click.Command | None:
        """Return a command, its module imported; None if there is no such command."""
        if cmd_name not in self.table:
            return None
        module, name, _ = self.table[cmd_name]
        return getattr(import_module(f'df_planner.{module}'), name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section('Commands'):
            formatter.write_dl([(name, row[2]) for name, row in self.table.items()])


class _Terminated(KeyboardInterrupt):
    """SIGTERM, handled as Ctrl-C: results are kept, workers end."""


@contextmanager
def _terminable() -> Iterator[None]:
    def terminate(_number: int, _frame: object) -> None:
        raise _Terminated
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Cli(LazyGroup):
    """The group of all commands: turns errors into exit codes."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take ~ for the home folder also where no shell does: in --out=~/x and NAME=~/x."""
        return super().parse_args(ctx, [_at_home(word) for word in args])

    def invoke(self, ctx: click.Context) -> object:
        try:
            with _terminable():
                return super().invoke(ctx)
        except DFPlannerError as error:
            _complain(error.code, error)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            _complain('OS_ERROR', _in_words(error))
        except (click.ClickException, click.Abort, click.exceptions.Exit, MemoryError):
            raise
        except Exception as error:
            traceback.print_exc()
            _complain('BUG', f'{type(error).__name__}: {error}: a bug of df_planner, not of your '
                      f'input; please report these lines and the command to {MAINTAINERS}')
            ctx.exit(EXIT_BUG)
        except _Terminated:
            ctx.exit(EXIT_TERMINATED)
        except KeyboardInterrupt:
            ctx.exit(EXIT_INTERRUPTED)
        ctx.exit(EXIT_ERROR)


@click.group(cls=Cli, table=COMMANDS, context_settings=CONTEXT, epilog=examples(
    'df_planner demo', 'df_planner data generate --maze umaze', 'df_planner train --config umaze',
    'df_planner evaluate --checkpoint maze2d-umaze --episodes 20'))
@click.version_option(__version__, prog_name='df_planner')
def main():
    """
    Diffusion Forcing planning for robots: from logs to a benchmarked planner.

    Every command has its own --help, with examples. A wrong input gives one line and exit code 2.
    """


@click.group(cls=LazyGroup, table=DATA_COMMANDS)
def data():
    """Generate, import, map, inspect or check the logs of a robot."""


@click.group(cls=LazyGroup, table=MEASURE_COMMANDS)
def measure():
    """Measure one ability of a planner, or a speed."""


def __getattr__(name: str) -> click.Command:
    """Return ``measure soak``, which is among the tests: a package without them refuses."""
    if name != 'soak':
        raise AttributeError(name)
    if not (TESTS / 'soak').is_dir():
        raise ConfigError('measure soak: the soak test is not installed with the package; run '
                          '`make soak` in a checkout of the source')
    sys.path.insert(0, str(TESTS))
    return import_module('soak.command').soak


def _at_home(word: str) -> str:
    name, equals, value = word.partition('=')
    return f'{name}={os.path.expanduser(value)}' if equals else os.path.expanduser(word)


def _in_words(error: OSError) -> str:
    """Return what the system complains of: the file, and what is the matter with it."""
    if error.filename is None or error.strerror is None:
        return str(error)
    matter = {errno.EEXIST: 'is there already, and no folder', errno.ENOTDIR: 'lies in no folder',
              errno.EISDIR: 'is a folder, not a file', errno.ENOENT: 'no such file or folder',
              errno.EACCES: 'no permission', errno.EPERM: 'no permission',
              errno.ENOSPC: 'the disk is full', errno.EROFS: 'the disk is read-only'}
    return f'{error.filename}: {matter.get(error.errno or 0, error.strerror)}'


def _complain(code: str, error: Exception | str) -> None:
    """Print an error in one line, of a length that can be read: files can make them long."""
    line = ' '.join(str(error).split())
    if len(line) > MAX_LINE:
        line = f'{line[:MAX_LINE]} … ({len(line):,} characters in all)'
    click.echo(f'error [{code}]: {line}', err=True)
