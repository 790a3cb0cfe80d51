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

"""The command ``df_planner report``; what it needs is imported when it runs."""

from collections.abc import Callable
from pathlib import Path

import click
from tqdm import tqdm

GOAL_RADIUS_M = 0.5  # D4RL's


def bag_options(command: Callable) -> Callable:
    """Add what the commands that read a bag have in common."""
    for decorate in (
        click.option('--goal-radius-m', type=click.FloatRange(min=0.01), default=GOAL_RADIUS_M,
                     show_default=True, help='A goal is reached within this distance.'),
        click.option('--namespace', help='Of the robot, if the bag has several.'),
        click.argument('bag', type=click.Path(path_type=Path)),
    ):
        command = decorate(command)
    return command


@click.command('report', epilog='\b\nExamples:\n'
               '  df_planner report results/medium-20260101-120000/bag\n'
               '  df_planner report my_bag --namespace robot1 --out my_report')
@bag_options
@click.option('--out', type=click.Path(file_okay=False, path_type=Path),
              help='Folder of the report.  [default: BAG-report]')
def report(bag: Path, namespace: str | None, goal_radius_m: float, out: Path | None):
    """
    Report what is in a BAG: way, plans, latency, tracking error and uncertainty.

    BAG is the folder (or the .mcap file) of a recording by `df_planner demo --record`, by
    `record:=true` of the launch file or by `ros2 bag record`, MCAP or SQLite. Writes report.md,
    report.png, legs.csv, drive.csv and plans.csv. Needs no ROS.
    """
    from df_planner.benchmark.drive_report import write_report
    from df_planner.benchmark.measuring import echo_table

    drive = load(bag, namespace)
    out = out or bag.parent / f'{bag.stem}-report'
    echo_table(write_report(drive, bag.absolute(), out, goal_radius_m))
    click.echo(f'report: {out / "report.md"}')


def load(bag: Path, namespace: str | None):
    """Read a bag with a progress bar."""
    from df_planner.data.bag import read_drive

    with tqdm(unit='message', disable=None) as bar:
        def count(total: int) -> None:
            bar.total = total
            bar.update()

        return read_drive(bag, namespace, count)
