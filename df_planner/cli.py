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
The command line: ``df_planner data | train | evaluate | benchmark | measure | demo | report | …``.

Every error this package raises on purpose becomes one line on stderr and exit code 2. Ctrl-C is
exit code 130; SIGTERM ends a command in the same way, with 143. What a command needs is imported
when it runs, so that ``--help`` is instant.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from datetime import timezone
import errno
from pathlib import Path
import shlex
import signal
import sys

import click

from df_planner import __version__
from df_planner.benchmark.assignments import assignments
from df_planner.benchmark.blocks_command import blocks
from df_planner.benchmark.calibration_command import calibration
from df_planner.benchmark.command import benchmark
from df_planner.benchmark.comparison_command import latency
from df_planner.benchmark.cost_command import cost
from df_planner.benchmark.drive_command import animation
from df_planner.benchmark.drive_command import report
from df_planner.benchmark.import_command import import_speed
from df_planner.benchmark.inpainting_command import inpainting
from df_planner.benchmark.odometry_noise_command import noise
from df_planner.benchmark.profile_command import profile
from df_planner.benchmark.rollout_command import rollout
from df_planner.benchmark.throughput_command import throughput
from df_planner.data.import_command import import_command
from df_planner.data.look_commands import check
from df_planner.data.look_commands import echo_facts
from df_planner.data.look_commands import info as data_info
from df_planner.diffusion.backend_names import BACKENDS
from df_planner.errors import ConfigError
from df_planner.errors import DFPlannerError
from df_planner.errors import InvalidInput
from df_planner.forecast.command import forecast
from df_planner.ros.demo_command import demo_command
from df_planner.ros.real_time_command import realtime
from df_planner.soak.command import soak

CONTEXT = {'help_option_names': ['-h', '--help'], 'max_content_width': 99}
EXIT_ERROR = 2
EXIT_INTERRUPTED = 128 + signal.SIGINT
EXIT_TERMINATED = 128 + signal.SIGTERM
MAX_TABLE_EPISODES = 30


def _examples(*commands: str) -> str:
    """Return the end of a help text: commands to try, each on a line of its own."""
    return '\b\nExamples:\n' + '\n'.join(f'  {command}' for command in commands)


class _Terminated(KeyboardInterrupt):
    """SIGTERM: whatever keeps its results and ends its workers on Ctrl-C does so now, too."""


@contextmanager
def _terminable() -> Iterator[None]:
    def terminate(_number: int, _frame: object) -> None:
        raise _Terminated
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Cli(click.Group):
    """The group of all commands: turns errors into exit codes, makes ``demo`` when needed."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a command."""
        try:
            with _terminable():
                return super().invoke(ctx)
        except DFPlannerError as error:
            _complain(error.code, error)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            _complain('OS_ERROR', error)
        except _Terminated:
            ctx.exit(EXIT_TERMINATED)
        except KeyboardInterrupt:
            ctx.exit(EXIT_INTERRUPTED)
        ctx.exit(EXIT_ERROR)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of a project's life."""
        return ['data', 'train', 'evaluate', 'benchmark', 'measure', 'profile', 'demo',
                'report', 'animate', 'forecast', 'info']

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; the options of ``demo`` are the arguments of the launch file."""
        return demo_command() if cmd_name == 'demo' else super().get_command(ctx, cmd_name)


@click.group(cls=Cli, context_settings=CONTEXT, epilog=_examples(
    'df_planner demo', 'df_planner data generate --maze umaze', 'df_planner train --config umaze',
    'df_planner evaluate --checkpoint maze2d-umaze --episodes 20'))
@click.version_option(__version__, prog_name='df_planner')
def main():
    """
    Diffusion Forcing planning for robots: from logs to a benchmarked planner.

    Every command has its own --help, with examples. A wrong input is answered with one line and
    exit code 2.
    """


main.add_command(benchmark)
main.add_command(forecast)
main.add_command(profile)
main.add_command(report)
main.add_command(animation)


@main.group()
def data():
    """Generate logs of a maze, bring in those of a robot, look into one, or check it."""


for _command in (import_command, data_info, check):
    data.add_command(_command)


@data.command('generate', epilog=_examples(
    'df_planner data generate --maze medium',
    'df_planner data generate --maze umaze --num-steps 20000 --out /tmp/short.hdf5',
    'df_planner data generate --maze medium --robot diff_drive'))
@click.option('--maze', required=True, help='umaze, medium, large, eval-..., or a YAML file.')
@click.option('--robot', type=click.Choice(['point', 'diff_drive']), default='point',
              show_default=True, help="D4RL's ball, or a robot with two driven wheels.")
@click.option('--num-steps', type=click.IntRange(min=2), default=None,
              help='Rows of the file.  [default: as many as the data set of D4RL has; 600000 of '
                   'diff_drive]')
@click.option('--seed', type=click.IntRange(min=0), default=0, show_default=True)
@click.option('--noise-std', type=click.FloatRange(min=0.0), default=0.5, show_default=True,
              help='Standard deviation of the noise on the actions of the controller, as a share '
                   'of their limits; of diff_drive in the noisiest drives.')
@click.option('--repair-stale', is_flag=True,
              help='Write the true state where D4RL repeats an old observation; point only.')
@click.option('--out', type=click.Path(dir_okay=False, path_type=Path), default=None,
              help='The HDF5 file.  [default: data/maze2d-MAZE.hdf5, data/diff_drive-MAZE.hdf5]')
def data_generate(maze: str, robot: str, num_steps: int | None, seed: int, noise_std: float,
                  repair_stale: bool, out: Path | None):
    """Write a log like D4RL's: a way-point controller with noise drives from goal to goal."""
    if robot == 'diff_drive':
        if repair_stale:
            raise InvalidInput(
                '--repair-stale: logs of diff_drive have no stale rows; leave it out')
        from df_planner.data import diff_drive_generator
        click.echo(diff_drive_generator.generate(maze, num_steps, seed, noise_std, out=out))
        return
    from df_planner.data.generator import D4RL_NUM_STEPS
    from df_planner.data.generator import generate
    if num_steps is None:
        num_steps = D4RL_NUM_STEPS.get(maze.removeprefix('eval-'))
        if num_steps is None:
            raise ConfigError(f'D4RL has no data for maze {maze!r}; give --num-steps')
    click.echo(generate(maze, num_steps, seed, noise_std, repair_stale, out=out))


@main.command(epilog=_examples(
    'df_planner train --config medium',
    'df_planner train --config config/train/umaze.yaml --set steps=2000 --set name=quick',
    'df_planner train --config medium --set devices=2',
    'df_planner train --config medium --set patience_steps=1000 --set tensorboard=true',
    'torchrun --nproc-per-node 2 -m df_planner.cli train --config medium'))
@click.option('--config', required=True, help='A YAML file, or the name of a shipped one: medium.')
@click.option('--set', 'overrides', multiple=True, metavar='FIELD=VALUE',
              help='Replace a field of the configuration; may be repeated.')
def train(config: str, overrides: tuple[str, ...]):
    """
    Train a model on a log; the same command resumes it.

    The fields of the configuration, their ranges and defaults are in
    df_planner/training/config.py. Progress goes to RUN_DIR/NAME/loss.csv, the model to OUT_DIR.
    Processes share each batch, so that their number changes rounding only.
    """
    from df_planner.training.config import config_path
    from df_planner.training.train import train as run
    if (path := run(config_path(config), assignments(overrides))) is not None:
        click.echo(path)


@main.command(epilog=_examples(
    'df_planner evaluate --checkpoint maze2d-medium --episodes 5',
    'df_planner evaluate --checkpoint maze2d-medium --execution raw --workers 2 --out results/raw',
    'df_planner evaluate --checkpoint maze2d-umaze --set num_samples=64 --set sampling_steps=4',
    'df_planner evaluate --policy controller --maze large'))
@click.option('--checkpoint', help='A shipped name (maze2d-medium) or a .safetensors file.')
@click.option('--maze', help='Name or YAML file.  [default: the one the checkpoint was made for]')
@click.option('--policy', type=click.Choice(['planner', 'controller']), default='planner',
              show_default=True,
              help='controller: only the baseline, which needs no checkpoint.')
@click.option('--robot', type=click.Choice(['point', 'diff_drive']), help='Of the controller.')
@click.option('--episodes', type=click.IntRange(min=1),
              help='Number of episodes.  [default: 100, or all of --starts]')
@click.option('--seed', type=click.IntRange(min=0), default=0, show_default=True,
              help='Of the starts.')
@click.option('--starts', type=click.Path(path_type=Path),
              help='An npz file with arrays state (N, S) and goal (N, 2), instead of the seed.')
@click.option('--multi-goal', is_flag=True, help='A goal of its own for every start (Multi2D).')
@click.option('--execution', type=click.Choice(['raw', 'tracking', 'time_optimal']),
              default='tracking', show_default=True,
              help='Play the diffused actions as they are, track the planned states, or follow '
                   'the planned way as fast as the robot can.')
@click.option('--replan-interval-s', type=float, default=0.25, show_default=True,
              help='Control time between two plans.')
@click.option('--planner-seed', type=click.IntRange(min=0),
              help='Of the noise that plans are sampled from.  [default: as --seed]')
@click.option('--set', 'settings', multiple=True, metavar='NAME=VALUE',
              help='Replace a planner setting, for example num_samples=64; may be repeated.')
@click.option('--device', default='cpu', show_default=True, help='cpu, cuda or auto.')
@click.option('--backend', type=click.Choice(BACKENDS), default='auto',
              show_default=True, help='What evaluates the network; auto is the fastest.')
@click.option('--workers', type=click.IntRange(min=1), default=1, show_default=True,
              help='Processes. Only latencies depend on it.')
@click.option('--baseline/--no-baseline', default=True, show_default=True,
              help='Run the way-point controller on the same starts.')
@click.option('--resume', is_flag=True, help='Keep the episodes already in --out.')
@click.option('--out', type=click.Path(file_okay=False, path_type=Path),
              help='Folder of the report.  [default: results/evaluate-MAZE-TIME]')
def evaluate(checkpoint, maze, policy, robot, episodes, seed, starts, multi_goal, execution,
             replan_interval_s, planner_seed, settings, device, backend, workers, baseline, resume,
             out):
    """
    Score a planner on a maze, without ROS.

    Every episode starts from a fixed state and lasts as long as in D4RL. Writes results.json,
    results.csv, report.md, paths.png, starts.npz and episodes.jsonl.
    """
    from df_planner.benchmark import evaluate as evaluation
    from df_planner.benchmark import protocol
    from df_planner.benchmark.progress import Progress
    from df_planner.benchmark.report import text_table
    from df_planner.sim.maze import load_maze
    robot = robot or _robot_of(checkpoint)
    evaluation.check_simulated(robot, checkpoint)
    maze = maze or _maze_of(checkpoint)
    specification = evaluation.Specification(
        maze, policy, checkpoint, execution, replan_interval_s, seed if planner_seed is None
        else planner_seed, device, assignments(settings), backend, robot)
    if starts is None:
        chosen = protocol.sample_starts(load_maze(maze), episodes or 100, seed, multi_goal, robot)
    elif multi_goal:
        raise InvalidInput('the goals are in the starts file: --multi-goal has no effect with it')
    else:
        chosen = protocol.load_starts(starts, robot)
        chosen = chosen.head(episodes) if episodes else chosen
    if out is None:
        out = Path('results', f'evaluate-{Path(maze).stem}-{datetime.now():%Y%m%d-%H%M%S}')
    facts = {
        'starts': f'seed {seed}' if starts is None else str(starts),
        'multi_goal': multi_goal,
        'command': shlex.join(['df_planner', *sys.argv[1:]]),
        'created': datetime.now(timezone.utc).isoformat(timespec='seconds'),
    }
    with Progress(len(chosen)) as progress:
        try:
            results = evaluation.evaluate(specification, chosen, out, workers, baseline, resume,
                                          facts, progress.add)
        except KeyboardInterrupt:
            progress.close()
            click.echo(f'stopped: {progress.finished} of {len(chosen)} episodes are kept in '
                       f'{out}; add --resume --out {out} to go on', err=True)
            raise
    records = results['episodes'] if len(chosen) <= MAX_TABLE_EPISODES else []
    click.echo(text_table(records, results['summary'], results.get('baseline')))
    click.echo(f'report: {out / "report.md"}')


@main.group()
def measure():
    """Measure one ability of a planner, or the speed of what is around it."""


for _command in (blocks, calibration, cost, import_speed, inpainting, latency, noise, realtime,
                 rollout, soak, throughput):
    measure.add_command(_command)


@main.command(epilog=_examples(
    'df_planner info',
    'df_planner info maze2d-medium'))
@click.argument('checkpoint', required=False)
def info(checkpoint: str | None):
    """Show the card of a CHECKPOINT, or what is shipped."""
    from df_planner.training.checkpoint import load_card
    if checkpoint is None:
        from df_planner.resources import share_path
        from df_planner.sim.maze import MAZE_NAMES
        for card in sorted(share_path('checkpoints').glob('*.json')):
            click.echo(f'{card.stem:20} {load_card(card).description}')
        click.echo('mazes: ' + ', '.join(MAZE_NAMES))
        return
    echo_facts(load_card(checkpoint).model_dump())


def _complain(code: str, error: Exception) -> None:
    """Say what is wrong in one line on stderr."""
    click.echo(f'error [{code}]: {" ".join(str(error).split())}', err=True)


def _maze_of(checkpoint: str | None) -> str:
    """Return the maze a checkpoint was made for."""
    if checkpoint is None:
        raise ConfigError('give --checkpoint (for example maze2d-medium), '
                          'or --policy controller and --maze')
    from df_planner.training.checkpoint import load_card
    maze = load_card(checkpoint).maze
    if maze is None:
        raise ConfigError(f'checkpoint {checkpoint} names no maze; give --maze')
    return maze


def _robot_of(checkpoint: str | None) -> str | None:
    """Return the kind of robot a checkpoint was made for."""
    from df_planner.training.checkpoint import load_card
    return load_card(checkpoint).robot if checkpoint else 'point'


if __name__ == '__main__':
    main()
