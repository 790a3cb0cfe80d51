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

"""The commands ``df_planner data generate | import | map | info | check``."""

from contextlib import contextmanager
from pathlib import Path

import click
from tqdm import tqdm

from df_planner.console import echo_facts
from df_planner.console import examples
from df_planner.console import MAP
from df_planner.console import one_place
from df_planner.console import SEED
from df_planner.data.importing import import_sources
from df_planner.data.importing import refuse
from df_planner.data.sources.columns import load_import_config
from df_planner.data.sources.formats import content_sha256
from df_planner.data.sources.formats import open_source
from df_planner.data.summary import draw_coverage
from df_planner.data.summary import facts_of
from df_planner.data.summary import find_problems
from df_planner.data.summary import Summary
from df_planner.errors import ConfigError
from df_planner.errors import InvalidInput
from df_planner.maps.grid import GridMap
from df_planner.maps.map_file import save_map
from df_planner.robots.kinds import DESCRIPTIONS
from df_planner.robots.kinds import POINT
from df_planner.robots.kinds import ROBOTS
from df_planner.sim import generate as generator
from df_planner.sim import generate_drives
from df_planner.sim.generate import D4RL_NUM_STEPS
from df_planner.sim.map_place import load_place

CONFIG = click.option(
    '--config', metavar='YAML', help='Columns: a file, or a shipped name: maze2d, diff_drive, '
    'point_maze.  [default: maze2d; of Minari point_maze; of HDF5 files what they say themselves]')


@click.command('generate', epilog=examples(
    'df_planner data generate --maze medium',
    'df_planner data generate --maze umaze --num-steps 20000 --out /tmp/short.hdf5',
    'df_planner data generate --maze medium --robot diff_drive',
    'df_planner data generate --map office.yaml --robot diff_drive --num-steps 50000'))
@click.option('--maze', help='umaze, medium, large, eval-..., or a YAML file.')
@MAP
@click.option('--robot', type=click.Choice(tuple(ROBOTS)), default=POINT.name,
              help=f'{DESCRIPTIONS}.')
@click.option('--num-steps', type=click.IntRange(min=2),
              help='Rows of the file.  [default: as many as the data set of D4RL has; of other '
                   'robots '
                   + ', '.join(f'{kind.generated_rows} ({kind.name})' for kind in ROBOTS.values()
                               if kind.generated_rows) + ']')
@click.option('--seed', type=SEED, default=0)
@click.option('--noise-std', type=click.FloatRange(min=0.0), default=0.5,
              help='Standard deviation of the noise on the actions of the controller, as a share '
                   'of their limits; of other robots than a point in the noisiest drives.')
@click.option('--repair-stale', is_flag=True,
              help='Write the true state where D4RL repeats an old observation; point only.')
@click.option('--out', type=click.Path(dir_okay=False, path_type=Path),
              help='The HDF5 file.  [default: data/maze2d-MAZE.hdf5, of other robots '
                   'data/ROBOT-MAZE.hdf5]')
def generate(maze: str | None, map_file: Path | None, robot: str, num_steps: int | None, seed: int,
             noise_std: float, repair_stale: bool, out: Path | None):
    """
    Write a log like D4RL's.

    A way-point controller with noise drives from goal to goal, in a maze or on a map.
    """
    maze = one_place(maze, map_file)
    if maze is None:
        raise ConfigError('give --maze or --map')
    load_place(maze)  # is it there?
    own_rows = ROBOTS[robot].generated_rows
    if own_rows is not None or map_file is not None:
        if repair_stale:
            raise InvalidInput('--repair-stale: only logs of a point in a maze have stale rows; '
                               'leave it out')
        if num_steps is None and own_rows is None:
            raise ConfigError('D4RL has no data for a map; give --num-steps')
        click.echo(generate_drives.generate(robot, maze, num_steps or own_rows, seed, noise_std,
                                            out=out))
        return
    if num_steps is None:
        num_steps = D4RL_NUM_STEPS.get(maze.removeprefix('eval-'))
        if num_steps is None:
            raise ConfigError(f'D4RL has no data for maze {maze!r}; give --num-steps')
    click.echo(generator.generate(maze, num_steps, seed, noise_std, repair_stale, out=out))


@click.command('import', epilog=examples(
    'df_planner data import results/RUN/bag --out data/drives.hdf5',
    'df_planner data import day1 day2 --config diff_drive --out data/robot.hdf5',
    'df_planner data import maze2d-umaze-sparse-v1.hdf5 --out data/umaze.hdf5',
    'df_planner data import minari:D4RL/pointmaze/umaze-v2 --out data/umaze.hdf5'))
@click.argument('sources', nargs=-1, required=True, metavar='SOURCE...')
@click.option('--out', required=True, type=click.Path(dir_okay=False, path_type=Path),
              help='The HDF5 file, which must not be there yet.')
@CONFIG
def import_command(sources: tuple[str, ...], out: Path, config: str | None):
    """
    Bring logs into one file for `df_planner train`.

    A SOURCE is a bag (its folder, or its .mcap or .db3 file), an HDF5 file with the keys of D4RL
    (or other arrays, by --config), or a Minari data set (its folder, or minari:NAME). Messages of
    bags are resampled to a fixed rate; gaps and jumps end an episode. After Ctrl-C or a kill the
    same command goes on.
    """
    try:
        imported = import_sources(sources, out, load_import_config(config) if config else None)
    except KeyboardInterrupt:
        click.echo('stopped: the same command goes on with the sources that are left', err=True)
        raise
    resumed = f', {imported.num_resumed} sources were done before' if imported.num_resumed else ''
    click.echo(f'{imported.path}: {imported.num_rows:,} rows, {imported.num_episodes} ends of '
               f'episodes{resumed}')


@click.command('map', epilog=examples(
    'df_planner data map data/maze2d-medium.hdf5 --out medium.yaml',
    'df_planner data map my_bag --config diff_drive --out office.yaml',
    'df_planner plan --checkpoint diff_drive --map office.yaml --start 1 2 0 --goal 7 5'))
@click.argument('source')
@CONFIG
@click.option('--margin-m', type=click.FloatRange(0.0, 10.0), default=0.05,
              help='How far beyond the robot space is taken for free.')
@click.option('--out', required=True, type=click.Path(dir_okay=False, path_type=Path),
              help='The YAML file, as map_server of Nav2 reads it; a PNG beside it.')
def map_command(source: str, config: str | None, margin_m: float, out: Path):
    """
    Write the map that a log tells.

    Where the robot has been is free, all else is unknown. For whoever has no map: any --map takes
    the file. SOURCE is an HDF5 file with the keys of D4RL, a bag, or a Minari data set.
    """
    with _opened(source, config) as (log, on_progress):
        signals = log.signals
        grid = GridMap.from_log(
            (block['observations'][:, :2]
             for block in log.blocks(lambda problem: refuse(log, problem), on_progress)),
            signals.robot_radius_m + margin_m, signals.max_step_m, signals.observation_to_map)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_map(out, grid)
    height, width = grid.occupied.shape
    free_m2 = float((~grid.unknown).sum()) * grid.resolution_m ** 2
    click.echo(f'{out}: {width} x {height} cells of {grid.resolution_m} m, {free_m2:.1f} m2 free')


@click.command('info', epilog=examples(
    'df_planner data info data/maze2d-medium.hdf5',
    'df_planner data info results/RUN/bag --out coverage.png'))
@click.argument('source')
@CONFIG
@click.option('--no-repair', is_flag=True, help='Show the observations as they are in the file.')
@click.option('--out', type=click.Path(dir_okay=False, path_type=Path),
              help='A PNG of where the robot has been.')
def info(source: str, config: str | None, no_repair: bool, out: Path | None):
    """
    Show counts, rates, ranges, lengths and coverage of a log.

    SOURCE is an HDF5 file with the keys of D4RL, a bag, or a Minari data set.
    """
    with _opened(source, config) as (log, on_progress):
        summary = Summary(log.signals, repair=not no_repair)
        for block in log.blocks(lambda problem: refuse(log, problem), on_progress):
            summary.add(block)
        sha256 = content_sha256(log)
    echo_facts({'kind': log.kind, **facts_of(summary), 'sha256': sha256, **log.facts})
    if out is not None:
        draw_coverage(out, summary, log.path.name)
        click.echo(f'picture: {out}')


@click.command('check', epilog=examples(
    'df_planner data check data/maze2d-medium.hdf5',
    'df_planner data check my_bag --config my_robot.yaml'))
@click.argument('source')
@CONFIG
@click.pass_context
def check(ctx: click.Context, source: str, config: str | None):
    """
    List everything that is wrong with a log.

    Rows and messages are given by number. Exit code 1: something is wrong, or likely to be; exit
    code 2: the log cannot be opened.
    """
    problems: list[str] = []
    with _opened(source, config) as (log, on_progress):
        summary = find_problems(log, problems.append, on_progress)
    for problem in problems:
        click.echo(problem)
    click.echo(f'{source}: {summary.num_rows:,} rows, {len(problems)} problems')
    ctx.exit(1 if problems else 0)


@contextmanager
def _opened(source: str, config: str | None):
    """Open a log and show a bar while it is read."""
    log = open_source(source, load_import_config(config) if config else None)
    with tqdm(total=log.total, desc=log.path.name, unit=log.unit, unit_scale=True, delay=1.0,
              leave=False, disable=None) as bar:
        yield log, bar.update
