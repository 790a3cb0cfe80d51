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

"""The commands ``df_planner report`` and ``df_planner animate``."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import click
from tqdm import tqdm

from df_planner.console import examples
from df_planner.console import text_table
from df_planner.drives.animation import animate
from df_planner.drives.bag import read_drive
from df_planner.drives.metrics import legs
from df_planner.drives.report import write_report

GOAL_RADIUS_M = 0.5  # D4RL's


def bag_options(command: Callable) -> Callable:
    """Add the argument and the options of every command that reads a bag."""
    for decorate in (
        click.option('--goal-radius-m', type=click.FloatRange(min=0.01), default=GOAL_RADIUS_M,
                     help='Distance at which a goal counts as reached.'),
        click.option('--namespace', help='Of the robot, if the bag has several robots.'),
        click.argument('bag', type=click.Path(path_type=Path)),
    ):
        command = decorate(command)
    return command


@click.command('report', epilog=examples(
    'df_planner report results/medium-20260101-120000/bag',
    'df_planner report my_bag --namespace robot1 --out my_report'))
@bag_options
@click.option('--out', type=click.Path(file_okay=False, path_type=Path),
              help='Folder of the report.  [default: BAG-report]')
def report(bag: Path, namespace: str | None, goal_radius_m: float, out: Path | None):
    """
    Report on the drive in a BAG.

    BAG is the folder (or the .mcap file) of a recording by `df_planner demo --record`, by
    `record:=true` of the launch file or by `ros2 bag record`, MCAP or SQLite. Writes path, plans,
    latency, tracking error and uncertainty to report.md, report.png, legs.csv, drive.csv and
    plans.csv. Needs no ROS.
    """
    drive = load(bag, namespace)
    out = out or bag.parent / f'{bag.stem}-report'
    click.echo(text_table(write_report(drive, bag.absolute(), out, goal_radius_m)))
    click.echo(f'report: {out / "report.md"}')


@click.command('animate', epilog=examples(
    'df_planner animate results/large-20260101-120000/bag',
    'df_planner animate my_bag --speed 0.5 --width-px 480 --out slow.gif'))
@bag_options
@click.option('--speed', type=click.FloatRange(min=0.01), default=1.0,
              help='Seconds of the drive per second of the animation.')
@click.option('--width-px', type=click.IntRange(min=100, max=4000), default=640)
@click.option('--out', type=click.Path(dir_okay=False, path_type=Path),
              help='The GIF.  [default: BAG.gif]')
def animation(bag: Path, namespace: str | None, goal_radius_m: float, speed: float,
              width_px: int, out: Path | None):
    """
    Draw the drive in a BAG as an animated GIF.

    Shows robot, driven path, current plan with its uncertainty, candidates and goal, from each
    goal until shortly after it was reached. Needs neither ROS nor a display.
    """
    drive = load(bag, namespace)
    out = out or bag.parent / f'{bag.stem}.gif'
    with tqdm(unit='frame', disable=None) as bar:
        animate(out, drive, legs(drive, goal_radius_m), goal_radius_m, speed, width_px,
                partial(count, bar))
    click.echo(f'{out}: {out.stat().st_size / 1e6:.1f} MB')


def load(bag: Path, namespace: str | None):
    """Read a bag with a progress bar."""
    with tqdm(unit='message', disable=None) as bar:
        return read_drive(bag, namespace, partial(count, bar))


def count(bar: tqdm, total: int) -> None:
    """Advance a bar of a total by one."""
    bar.total = total
    bar.update()
