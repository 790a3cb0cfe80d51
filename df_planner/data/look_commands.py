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

"""The commands ``df_planner data info`` and ``check``; imports wait until they run."""

from contextlib import contextmanager
from pathlib import Path

import click

CONFIG_HELP = ('Columns of a bag or a Minari data set: a file, or the name of a shipped one.  '
               '[default: maze2d, point_maze]')


@click.command('info', epilog='\b\nExamples:\n'
               '  df_planner data info data/maze2d-medium.hdf5\n'
               '  df_planner data info results/RUN/bag --out coverage.png')
@click.argument('source')
@click.option('--config', metavar='YAML', help=CONFIG_HELP)
@click.option('--no-repair', is_flag=True, help='Show the observations as they are in the file.')
@click.option('--out', type=click.Path(dir_okay=False, path_type=Path),
              help='A PNG of where the robot has been.')
def info(source: str, config: str | None, no_repair: bool, out: Path | None):
    """
    Show what is in a log: counts, rates, ranges, lengths, coverage.

    SOURCE is an HDF5 file with the keys of D4RL, a bag, or a Minari data set.
    """
    from df_planner.data.coverage_picture import draw_coverage
    from df_planner.data.importing import refuse
    from df_planner.data.opening import content_sha256
    from df_planner.data.summary import facts_of
    from df_planner.data.summary import Summary
    with _opened(source, config) as (log, on_progress):
        summary = Summary(log.signals, repair=not no_repair)
        for block in log.blocks(lambda problem: refuse(log, problem), on_progress):
            summary.add(block)
        sha256 = content_sha256(log)
    echo_facts({'kind': log.kind, **facts_of(summary), 'sha256': sha256, **log.facts()})
    if out is not None:
        draw_coverage(out, summary, log.path.name)
        click.echo(f'picture: {out}')


@click.command('check', epilog='\b\nExamples:\n'
               '  df_planner data check data/maze2d-medium.hdf5\n'
               '  df_planner data check my_bag --config my_robot.yaml')
@click.argument('source')
@click.option('--config', metavar='YAML', help=CONFIG_HELP)
@click.pass_context
def check(ctx: click.Context, source: str, config: str | None):
    """
    List everything that is wrong with a log, or likely to be; exit code 1 if anything is.

    Rows and messages are given by number. Exit code 2 means that it cannot be opened at all.
    """
    from df_planner.data.check import find_problems
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
    from tqdm import tqdm

    from df_planner.data.columns import load_import_config
    from df_planner.data.opening import open_source
    log = open_source(source, load_import_config(config) if config else None)
    with tqdm(total=log.total, desc=log.path.name, unit=log.unit, unit_scale=True, delay=1.0,
              leave=False, disable=None) as bar:
        yield log, bar.update


def echo_facts(facts: dict) -> None:
    """Print names and values, long ones wrapped by nothing but the terminal."""
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        first, *rest = str(value).splitlines() or ['']
        click.echo(f'{name:{width}}  {first}')
        for line in rest:
            click.echo(f'{"":{width}}  {line}')
