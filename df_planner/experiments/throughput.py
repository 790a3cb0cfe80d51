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

"""The report on throughput: ``throughput.json``, ``.csv``, ``.md`` and a bar plot of the rates."""

from collections.abc import Callable
import csv
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import fields
from datetime import datetime
from datetime import timezone
import io
import os
from pathlib import Path
import shlex
import sys
from tempfile import TemporaryDirectory

import click
from matplotlib.figure import Figure

from df_planner.evaluation.machine import machine_facts
from df_planner.evaluation.report import inline
from df_planner.experiments.common import echo_table
from df_planner.experiments.common import result_folder
from df_planner.experiments.common import write_result
from df_planner.files import replace_files
from df_planner.files import share_path
from df_planner.sim.generate import generate
from df_planner.training.config import load_config
from df_planner.training.config import TrainConfig

GENERATED_ROWS = 100_000


@dataclass(frozen=True)
class Row:
    """
    A line of the report.

    :param value: None if it was not measured; ``note`` says why.
    :param source: ``measured``, ``derived`` from measured rows, or ``published`` by others.
    """

    section: str
    name: str
    value: float | None
    unit: str
    note: str = ''
    source: str = 'measured'

    def content(self) -> dict:
        """Return it as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Plan:
    """
    What to measure.

    :param maze: name of a maze with a training configuration, a log or the means to generate one.
    :param seconds: time for a number that is a rate of calls.
    :param steps: training steps per number.
    :param episodes: of the ROS benchmark; the first one is not counted.
    :param folder: of temporary files.
    :param rows: of the long log.
    """

    maze: str
    seconds: float
    steps: int
    episodes: int
    folder: Path
    rows: int = 2_000_000

    @property
    def config_path(self) -> Path:
        """Return the training configuration of the shipped model."""
        return share_path(f'config/train/{self.maze}.yaml')

    def config(self, **overrides: object) -> TrainConfig:
        """Return the configuration on a log that exists, a short one generated for want of it."""
        config = load_config(self.config_path, overrides)
        if config.dataset.exists():
            return config
        log = self.folder / f'{self.maze}.hdf5'
        if not log.exists():
            generate(self.maze, GENERATED_ROWS, out=log)
        return config.model_copy(update={'dataset': log})


def sections() -> dict[str, Callable[[Plan], list[Row]]]:
    """Return what measures each section, by name."""
    from df_planner.experiments.throughput_data import measure_data
    from df_planner.experiments.throughput_gpu import measure_gpu
    from df_planner.experiments.throughput_long import measure_long
    from df_planner.experiments.throughput_ros import measure_ros
    from df_planner.experiments.throughput_sim import measure_simulator
    from df_planner.experiments.throughput_training import measure_training
    return {'training': measure_training, 'data': measure_data, 'long': measure_long,
            'simulator': measure_simulator, 'ros': measure_ros, 'gpu': measure_gpu}


def measure_sections(names: tuple[str, ...], maze: str, seconds: float, steps: int, episodes: int,
                     rows_of_long_log: int, on_section: Callable[[list[Row]], None]) -> list[Row]:
    """
    Measure sections one after the other and return all rows.

    :param on_section: called after each with all rows so far.
    """
    rows: list[Row] = []
    with TemporaryDirectory(prefix='df_planner-') as folder:
        plan = Plan(maze, seconds, steps, episodes, Path(folder), rows_of_long_log)
        for name in names:
            rows += sections()[name](plan)
            on_section(rows)
    return rows


SECTIONS = ('training', 'data', 'long', 'simulator', 'ros', 'gpu')
MAZES = ('umaze', 'medium', 'large')


@click.command(epilog='\b\nSections:\n'
               '  training   df_planner train as shipped, by precision and threads, and with a\n'
               "             model of the Diffusion Forcing reference's size\n"
               '  data       opening the log, its windows, and what training needs of them\n'
               '  long       memory of training and speed of its loader on a log of --rows rows,\n'
               "             made from the maze's in the folder for temporary files (TMPDIR),\n"
               '             60 bytes a row\n'
               '  simulator  the Gymnasium environment, and many mazes in one call\n'
               '  ros        maze_sim in lockstep over DDS, and the share of planning in the\n'
               '             time of the ROS benchmark\n'
               '  gpu        training and planning on CUDA, where there is one\n'
               '\n\b\nExamples:\n'
               '  df_planner measure throughput\n'
               '  df_planner measure throughput --maze umaze --only simulator --only data\n'
               '  TMPDIR=/data df_planner measure throughput --only long --rows 100000000\n'
               '  df_planner measure throughput --only ros --episodes 10 --out results/ros-speed')
@click.option('--maze', type=click.Choice(MAZES), default='large', show_default=True,
              help='Whose training configuration, log, shipped model and walls.')
@click.option('--only', multiple=True, type=click.Choice(SECTIONS),
              help='A section; may be repeated.  [default: all]')
@click.option('--seconds', type=click.FloatRange(min=0.1), default=5.0, show_default=True,
              help='Time for each number that is a rate of calls.')
@click.option('--steps', type=click.IntRange(min=1), default=30, show_default=True,
              help='Training steps for each number, after a short warm-up.')
@click.option('--episodes', type=click.IntRange(min=2), default=5, show_default=True,
              help='Of the ROS benchmark; the first warms up and is not counted.')
@click.option('--rows', type=click.IntRange(min=100_000), default=2_000_000, show_default=True,
              help='Of the long log.')
@click.option('--out', type=click.Path(file_okay=False, path_type=Path),
              help='Folder of throughput.json, .csv, .md and .png.  '
                   '[default: results/throughput-TIME]')
def throughput(maze, only, seconds, steps, episodes, rows, out):
    """
    Measure the speed of what is around the planner.

    Numbers are of wall time: they hold for a machine that does nothing else, and the report says
    what else it did. It is written after every section, so that an interrupted run is not lost.
    Without the maze's log in data/, a short one is generated.
    """
    names = tuple(name for name in SECTIONS if name in only or not only)
    folder = result_folder('throughput', out)
    facts = {'command': shlex.join(['df_planner', *sys.argv[1:]]),
             'created': datetime.now(timezone.utc).isoformat(timespec='seconds'),
             'seconds': seconds, 'steps': steps, 'episodes': episodes, 'rows': rows,
             'load_average_after': {}, 'machine': machine_facts()}
    shown = 0

    def show(measured):
        nonlocal shown
        facts['load_average_after'][measured[-1].section] = round(os.getloadavg()[0], 1)
        write_report(folder, maze, facts, measured)
        echo_table([[f'{measured[-1].section}', '', '']] + [
            [f'  {row.name}', number(row.value), row.unit or row.note]
            for row in measured[shown:]])
        shown = len(measured)

    with click.progressbar(length=len(names), label='sections', file=sys.stderr) as bar:
        def on_section(measured):
            show(measured)
            bar.update(1)
        measure_sections(names, maze, seconds, steps, episodes, rows, on_section)
    click.echo(f'report: {folder / "throughput.md"}')


COLORS = {'training': '#1f77ff', 'data': '#2b9d5c', 'long': '#17a2a2', 'simulator': '#e08a1e',
          'ros': '#d1344b', 'gpu': '#7a4fd0'}
TITLES = {'training': 'Training', 'data': 'Data path', 'long': 'Long log',
          'simulator': 'Simulator without ROS', 'ros': 'Over ROS 2', 'gpu': 'On a GPU'}
MISSING = '-'


def write_report(folder: Path, maze: str, facts: dict, rows: list[Row]) -> None:
    """
    Write the report of all rows so far; each file replaces an older one.

    :param facts: how it was made, plain values.
    """
    replace_files({folder / 'throughput.csv': table_csv(rows)})
    draw_rates(folder / 'throughput.png', rows)
    replace_files({folder / 'throughput.md': markdown(maze, facts, rows)})
    write_result(folder / 'throughput.json', f'maze2d-{maze}', 0,
                 {'maze': maze, **facts, 'rows': [row.content() for row in rows]})


def number(value: float | None) -> str:
    """Return a value with three digits, whole above 100."""
    if value is None:
        return MISSING
    return f'{value:,.0f}' if abs(value) >= 100.0 else f'{value:.3g}'


def table_csv(rows: list[Row]) -> str:
    """Return the rows as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Row)], lineterminator='\n')
    writer.writeheader()
    writer.writerows(row.content() for row in rows)
    return text.getvalue()


def markdown(maze: str, facts: dict, rows: list[Row]) -> str:
    """Return the report for a reader."""
    lines = [f'# Throughput, maze {maze}', '', '![Rates](throughput.png)', '']
    for section in dict.fromkeys(row.section for row in rows):
        lines += [f'## {TITLES[section]}', '', '| | value | unit | what it is of | source |',
                  '|---|---|---|---|---|']
        lines += [f'| {row.name} | {number(row.value)} | {row.unit} | {row.note} | {row.source} |'
                  for row in rows if row.section == section]
        lines.append('')
    lines += ['## How this was made', '', '| | |', '|---|---|']
    lines += [f'| {key} | {inline(value)} |' for key, value in facts.items()]
    return '\n'.join(lines) + '\n'


def draw_rates(path: Path, rows: list[Row]) -> None:
    """Draw every rate as a bar on one logarithmic axis to a PNG file."""
    rates = [row for row in rows if row.value and row.unit.endswith('/s')]
    figure = Figure(figsize=(9.0, 1.2 + 0.27 * len(rates)), layout='constrained')
    axes = figure.subplots()
    places = range(len(rates))
    bars = axes.barh(places, [row.value for row in rates],
                     color=[COLORS[row.section] for row in rates])
    axes.bar_label(bars, [f'{number(row.value)} {row.unit}' for row in rates], padding=3,
                   fontsize=7)
    axes.set_yticks(places, [f'{row.section}: {row.name}' for row in rates], fontsize=7)
    axes.invert_yaxis()
    if rates:
        axes.set_xscale('log')
        axes.set_xlim(0.5 * min(row.value for row in rates), 30.0 * max(
            row.value for row in rates))
    axes.set_xlabel('per second')
    axes.spines[['top', 'right']].set_visible(False)
    figure.savefig(path, dpi=120)
