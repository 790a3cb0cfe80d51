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

"""The command ``df_planner measure throughput``; what it needs is imported when it runs."""

from datetime import datetime
from datetime import timezone
import os
from pathlib import Path
import shlex
import sys

import click

from df_planner.benchmark.measuring import echo_table
from df_planner.benchmark.measuring import result_folder

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
    from df_planner.benchmark.machine import machine_facts
    from df_planner.benchmark.throughput import measure_sections
    from df_planner.benchmark.throughput_report import number
    from df_planner.benchmark.throughput_report import write_report

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
