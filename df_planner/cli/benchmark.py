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

"""The command ``df_planner benchmark``."""

from contextlib import AbstractContextManager
from contextlib import nullcontext
from fnmatch import fnmatchcase
from importlib.util import find_spec
import os
from pathlib import Path

import click

from df_planner.console import asked_for
from df_planner.console import examples
from df_planner.console import out_option
from df_planner.errors import ConfigError
from df_planner.evaluation.jobs import LocalEngine
from df_planner.evaluation.machine import machine_facts
from df_planner.grid.contact_sheet import draw_contact_sheets
from df_planner.grid.progress import duration
from df_planner.grid.progress import grid_progress
from df_planner.grid.progress import training_progress
from df_planner.grid.ray_engine import RayEngine
from df_planner.grid.report import text_overview
from df_planner.grid.report import write_grid_report
from df_planner.grid.results import grid_results
from df_planner.grid.rows import expand
from df_planner.grid.rows import grid_path
from df_planner.grid.rows import load_grid
from df_planner.grid.runs import GridRuns
from df_planner.grid.training import train_missing

EXIT_FAILED_ROWS = 1


@click.command(epilog=examples(*(f'df_planner benchmark {rest}' for rest in (
    'smoke                                    # does it work? less than a minute',
    'headline --list                          # what would run, and for how long?',
    'headline --workers 8                     # run; the same command goes on after Ctrl-C',
    'headline --episodes 10 --only raw        # a quick look at one row',
    'ablations --group schedule --models runs/models',
    'my_grid.yaml --out results/mine',
    'headline --engine ray                    # the same by Ray, on the cores of this machine',
    'headline --engine ray --ray-address HOST:6379  # on a cluster: docs/benchmarking.md'))))
@click.argument('grid', default='headline')
@out_option('the report and of finished episodes', 'results/benchmark-GRID')
@click.option('--workers', type=click.IntRange(min=1),
              help='Processes, of one thread each. Only latencies depend on it.  '
                   '[default: one per core]')
@click.option('--engine', type=click.Choice(['local', 'ray']), default='local',
              help='What spreads trainings and episodes: processes of this machine, or Ray.')
@click.option('--ray-address', metavar='HOST:PORT',
              help='A Ray cluster that is running; its cores are the workers.  '
                   '[default: one is started on this machine]')
@click.option('--only', multiple=True, metavar='GLOB',
              help='Run only rows of such a name, for example "raw*"; may be repeated.')
@click.option('--group', 'groups', multiple=True, help='Run only rows of this group; repeatable.')
@click.option('--task', 'tasks', multiple=True, metavar='GLOB',
              help='Run only in such tasks, for example "*-multi"; may be repeated.')
@click.option('--episodes', type=click.IntRange(min=1),
              help='The first N starts only.  [default: as the grid says]')
@click.option('--models', help='Value of {models} in checkpoints.  [default: as the grid says]')
@click.option('--device', help='cpu, cuda or auto.  [default: as the grid says]')
@click.option('--list', 'only_list', is_flag=True,
              help='Show the rows, what they have and what they would cost; run nothing.')
def benchmark(grid, out, workers, engine, ray_address, only, groups, tasks, episodes, models,
              device, only_list):
    """
    Run a GRID of evaluations and write one report.

    GRID is a YAML file or a shipped name: headline (three mazes, single task and Multi2D, every
    execution), unseen (random places and mazes that no model has seen), ablations (what each part
    of the method is worth), latency (score against planning time), full_seeds (training seeds),
    smoke. A grid names tasks and rows; every row drives the
    same fixed starts, so that differences between rows are taken start by start. A row with
    several checkpoints (training seeds) states the spread over seeds and the error over starts
    separately. A row may also name a training configuration and seeds, which are trained first.
    How to write one: df_planner/grid/schema.py and docs/benchmarking.md.

    Writes report.md, results.csv, results.json and plots, beside published scores, the controller
    that made the data and the time-optimal limit. Every finished episode is on disk at once: the
    same command resumes the run, also with more rows or episodes; a row that was changed starts
    again. A row that fails (a missing checkpoint) is reported with its reason and stops no other;
    the exit code is then 1.
    """
    config = load_grid(grid, {'device': device} if device else None,
                       {'models': models} if models else None)
    out = out or Path('results', f'benchmark-{grid_path(grid).stem}')
    rows = expand(config, out)
    for flag, patterns, values in (
            ('--only', only, [row.name for row in rows]),
            ('--group', groups, [row.group for row in rows]),
            ('--task', tasks, [row.task or '' for row in rows])):
        for pattern in patterns:
            if not any(fnmatchcase(value, pattern) for value in values):
                raise ConfigError(f'{flag} {pattern}: {grid_path(grid)} has no such row; it has '
                                  + ', '.join(dict.fromkeys(values)))
    if engine == 'local' and ray_address:
        raise ConfigError('--ray-address: needs --engine ray')
    selected = [row for row in rows
                if (not only or any(fnmatchcase(row.name, pattern) for pattern in only))
                and (not groups or any(fnmatchcase(row.group, name) for name in groups))
                and (not tasks or any(fnmatchcase(row.task or '', name) for name in tasks))]
    if not selected:
        raise ConfigError(f'{grid_path(grid)}: no such row; it has '
                          + ', '.join(dict.fromkeys(row.name for row in rows)))
    trainings = {training.checkpoint: training for row in selected for training in row.trainings
                 if not training.finished()}
    cores = len(os.sched_getaffinity(0))
    if only_list:
        _echo_list(GridRuns(config, rows, out, selected, episodes,
                            dict.fromkeys(trainings, 'its training comes first')),
                   trainings.values(), workers or cores)
        return
    with _engine(engine, workers, cores, ray_address) as started:
        try:
            untrained = _train(trainings, out, started)
            runs = GridRuns(config, rows, out, selected, episodes, untrained)
            _evaluate(runs, started, grid_path(grid))
        except KeyboardInterrupt:
            click.echo('stopped; the same command goes on', err=True)
            raise
    failed = [row for row in selected if runs.failure(row)]
    for row in failed:
        click.echo(f'FAILED {row.title}: {runs.failure(row)}', err=True)
    if failed:
        click.get_current_context().exit(EXIT_FAILED_ROWS)


def _engine(name: str, workers: int | None, cores: int, ray_address: str | None
            ) -> AbstractContextManager:
    """Return the engine of the jobs, for a with statement; ConfigError if it is not installed."""
    if name == 'local':
        return nullcontext(LocalEngine(workers or cores))
    if ray_address and workers:
        raise ConfigError('--workers: the cluster at --ray-address has its own; leave out one of '
                          'the two options')
    if find_spec('ray') is None:
        raise ConfigError('--engine ray: ray is not installed; pip install ray, or leave out '
                          '--engine')
    return RayEngine(None if ray_address else workers or cores, ray_address)


def _train(trainings: dict, out: Path, engine) -> dict[str, str]:
    """Train what is missing; return by checkpoint why its training failed."""
    if not trainings:
        return {}
    with training_progress(trainings.values()) as on_training:
        return train_missing(trainings, out, engine, on_training)


def _evaluate(runs, engine, grid_file: Path) -> None:
    """Run the missing episodes and write the report, also after Ctrl-C."""
    try:
        with grid_progress(runs, engine.workers) as on_episode:
            runs.execute(engine, on_episode)
    finally:
        if any(run.episodes for row in runs.rows for run in runs.of(row)):
            results = grid_results(runs, {
                'grid': grid_file.name, **asked_for(), 'engine': engine.description,
                'workers': engine.workers, **machine_facts()})
            write_grid_report(runs.out_dir, results, draw_contact_sheets(runs.out_dir, runs))
            click.echo(text_overview(results))
            click.echo(f'report: {runs.out_dir / "report.md"}')


def _echo_list(runs, trainings, workers: int) -> None:
    """Show the selected rows with what is finished and what the rest may cost."""
    for training in trainings:
        click.echo(f'to train: {training.config.name}, {training.steps_done()} of '
                   f'{training.steps} steps')
    width = max(len(row.title) for row in runs.selected)
    for row in runs.selected:
        if runs.failure(row):
            click.echo(f'{row.title:{width}}  cannot run: {runs.failure(row)}')
            continue
        members = runs.of(row)
        finished = sum(len(run.episodes) for run in members)
        seconds = runs.seconds_left(members)
        known = all(run.episodes for run in members)
        click.echo(f'{row.title:{width}}  {row.group:12} {finished:4d} of '
                   f'{len(members) * runs.num_episodes} episodes, '
                   + (f'{duration(seconds)} of one core left' if seconds else 'done')
                   + ('' if known or not seconds else ' (rough guess)'))
    seconds = runs.seconds_left(runs.unfinished()) / workers
    click.echo(f'in all about {duration(seconds)} on {workers} workers; '
               'rows that have runs in common share them')
