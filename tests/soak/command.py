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

"""The command ``df_planner measure soak``, which runs from a source checkout only."""

import os
from pathlib import Path
import sys
from tempfile import TemporaryDirectory

import click
from soak.inputs import BAD_INPUTS
from soak.processes import Processes
from soak.report import main_rows
from soak.report import write_report
from soak.schedule import goals
from soak.schedule import make_schedule
from soak.soak import Soak
from tqdm import tqdm

from df_planner.console import asked_for
from df_planner.console import examples
from df_planner.console import text_table
from df_planner.evaluation.machine import machine_facts
from df_planner.experiments.common import result_folder
from df_planner.launching.domain import chosen_domain
from df_planner.launching.graph import build_graph
from df_planner.launching.runner import environment
from df_planner.sim.maze import load_maze


@click.command('soak', epilog=examples(
    'df_planner measure soak --minutes 3',
    'df_planner measure soak --minutes 60 --maze large --seed 1'))
@click.option('--minutes', type=click.FloatRange(min=0.1), default=60.0, help='Of driving.')
@click.option('--checkpoint', default='point', help='A shipped name or a .safetensors file.')
@click.option('--maze', default='medium', help='Name or YAML file.')
@click.option('--seed', type=click.IntRange(min=0), default=0,
              help='Of goals, kills and bad inputs: the same seed, the same schedule.')
@click.option('--warm-up-s', type=click.FloatRange(min=1.0), default=120.0,
              help='Of every process, after which its memory must stay within 2 %.')
@click.option('--out', type=click.Path(file_okay=False, path_type=Path),
              help='Folder of report, journals and logs.  [default: results/soak-TIME]')
def soak(minutes, checkpoint, maze, seed, warm_up_s, out):
    """
    Drive for long with bad inputs and kills; needs a checkout.

    Starts simulator, planner and follower as `df_planner demo --no-use-benchmark` does, sends
    random goals and one bad input after the other (about a hundred kinds, see
    tests/soak/inputs.py), and kills the planner every few minutes. An observer process checks that
    no command is unsafe: not finite, beyond the limits, or driving without plan or odometry. No
    other process may end, memory must stay flat, and every goal must be reached.

    Everything is written as it happens; Ctrl-C ends the run and keeps its report. The exit code
    is 1 if a check failed.
    """
    folder = result_folder('soak', out)
    graph = build_graph({'maze': maze, 'checkpoint': checkpoint, 'seed': seed,
                         'use_benchmark': False})
    os.environ['ROS_DOMAIN_ID'] = chosen_domain()
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    seconds = 60.0 * minutes
    schedule = make_schedule(seconds, seed, [bad.name for bad in BAD_INPUTS])
    stopped = False
    with TemporaryDirectory(prefix='df_planner-') as parameters:
        processes = Processes(graph, folder, Path(parameters), environment(graph))
        run = Soak(processes, goals(load_maze(maze).cells, seed), folder)
        with tqdm(total=round(seconds), unit='s', desc='soak') as bar:
            def show(elapsed_s: float) -> None:
                if elapsed_s - bar.n >= 1.0:
                    bar.update(int(elapsed_s) - bar.n)
                    bar.set_postfix(goals=run.reached, inputs=run.inputs, kills=run.kills,
                                    violations=run.journal.violations, refresh=False)
            try:
                run.run(schedule, seconds, show)
            except KeyboardInterrupt:
                stopped = True
    summary = write_report(folder, warm_up_s, {
        **asked_for(), 'checkpoint': checkpoint, 'maze': maze, 'seed': seed, 'minutes': minutes,
        'machine': machine_facts()})
    click.echo(text_table(main_rows(summary)))
    for violation in summary['violations']:
        click.echo(f'violation [{violation["check"]}]: {violation["what"]}', err=True)
    click.echo(f'report: {folder / "report.md"}')
    if stopped:
        raise KeyboardInterrupt
    sys.exit(1 if summary['violations'] else 0)
