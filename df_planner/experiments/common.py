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
What the measurements share: options, the planner, the result folder, held-out data.

Held-out data are windows of a new log, which no model was trained on.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
import json
from pathlib import Path
import sys
from tempfile import TemporaryDirectory

import click
import numpy as np
import torch

from df_planner.configuration import assignments
from df_planner.console import asked_for
from df_planner.console import DEVICE
from df_planner.console import out_option
from df_planner.console import seed_option
from df_planner.console import SETTINGS
from df_planner.data.d4rl import load_dataset
from df_planner.data.windows import Windows
from df_planner.errors import ConfigError
from df_planner.evaluation.episodes import identity_of
from df_planner.evaluation.episodes import Specification
from df_planner.evaluation.journal import Journal
from df_planner.evaluation.machine import machine_facts
from df_planner.files import replace_files
from df_planner.model.checkpoint import load_card
from df_planner.model.checkpoint import ModelCard
from df_planner.planning.planner import Planner
from df_planner.robots.kinds import POINT
from df_planner.sim.generate import generate
from df_planner.sim.maze import load_maze
from df_planner.sim.maze import Maze
from df_planner.sim.maze import maze_map

FIRST_SEED = 1_000_000  # seeds of training data are small numbers
ROWS_PER_ROW = 2  # of the log for every row of a window, so that windows lie apart
LIKE_THE_DATA = ('temperature=1',)  # as much noise as the model learnt from; plans use less


def measure_options(name: str, seed_of: str, files: str | None = None,
                    places: str = 'Name or YAML file.') -> Callable:
    """
    Return a decorator that adds --checkpoint, --maze, --seed, --set, --device and --out.

    :param name: of the folder and the files of the results.
    :param seed_of: what the seed decides.
    :param files: the files of the results, by default a JSON file and a picture.
    :param places: what --maze may be.
    """
    options = (
        click.option('--checkpoint', required=True, help='A shipped name or a .safetensors file.'),
        click.option('--maze', default='medium', show_default=True, help=places),
        seed_option(seed_of), SETTINGS, DEVICE,
        out_option(files or f'{name}.json and {name}.png', f'results/{name}-TIME'))

    def decorate(command: Callable) -> Callable:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def specification_of(checkpoint: str, maze: str, device: str, settings: Sequence[str]
                     ) -> Specification:
    """
    Return what a command was asked to measure.

    :param settings: NAME=VALUE of planner settings.
    :raises ConfigError: if one of them is wrong.
    """
    return Specification(maze, checkpoint=checkpoint, device=device,
                         settings=assignments(settings), robot=load_card(checkpoint).robot)


def open_planner(checkpoint: str, maze: str, device: str, settings: Sequence[str] = (),
                 threads: int = 1, backend: str = 'auto') -> tuple[Planner, Maze]:
    """
    Return planner and maze, ready to plan on one thread: results do not depend on cores.

    :param settings: NAME=VALUE of planner settings.
    :param threads: of the network; a number unlike that of an earlier call needs a fresh process.
    :raises ConfigError: if a setting is wrong or there is no such maze.
    """
    specification = specification_of(checkpoint, maze, device, settings)
    grid = maze_map(maze, load_card(checkpoint).observation_to_map)
    torch.set_num_threads(threads)
    planner = Planner.load(checkpoint, device, grid, specification.planner_settings, backend)
    planner.warm_up()
    return planner, load_maze(maze)


def open_point_planner(name: str, checkpoint: str, maze: str, device: str,
                       settings: Sequence[str] = ()) -> tuple[Planner, Maze]:
    """
    Return what ``open_planner`` does, for the command ``name``, which simulates a point only.

    :raises ConfigError: if the checkpoint is of another robot.
    """
    robot = load_card(checkpoint).robot
    if robot != POINT.name:
        raise ConfigError(f'measure {name} is for robots of the kind {POINT.name}; {checkpoint} '
                          f'is of a {robot or "robot of no known kind"}')
    return open_planner(checkpoint, maze, device, settings)


@contextmanager
def progress(length: int, label: str) -> Iterator[Callable[[], None]]:
    """Show a progress bar on stderr and yield the function that advances it by one."""
    with click.progressbar(length=length, label=label, file=sys.stderr) as bar:
        yield partial(bar.update, 1)


@contextmanager
def open_journal(path: Path, specification: Specification, resume: bool, **facts: object
                 ) -> Iterator[Journal]:
    """
    Open the journal of a run; after Ctrl-C, say how to resume it.

    :param path: in the folder of the results.
    :param facts: what the records depend on beside the planner, JSON-able.
    :raises ConfigError: if an earlier run, to be resumed, differs.
    """
    try:
        with Journal(path, {**identity_of(specification), **facts}, resume) as opened:
            yield opened
    except KeyboardInterrupt:
        click.echo(f'stopped: what is finished is kept in {path.parent}; the same command with '
                   f'--resume --out {path.parent} goes on', err=True)
        raise


def result_folder(name: str, out: Path | None) -> Path:
    """Return the folder of a result, made if need be; without ``out`` one named by the time."""
    out = out or Path('results', f'{name}-{datetime.now():%Y%m%d-%H%M%S}')
    out.mkdir(parents=True, exist_ok=True)
    return out


def write_result(path: Path, checkpoint: str, seed: int, content: dict) -> None:
    """Write numbers as JSON, after what was asked for, when and on what machine."""
    header = {**asked_for(), 'checkpoint': checkpoint, 'seed': seed, 'machine': machine_facts()}
    replace_files({path: json.dumps({**header, **content}, indent=1) + '\n'})
    click.echo(f'report: {path}')


def held_out_windows(card: ModelCard, maze: str, count: int, num_tokens: int, seed: int
                     ) -> np.ndarray:
    """
    Return windows (count, num_tokens, 4 + frame_stack * 2) of a new log of a maze.

    The log is made like the training data, with another seed; the windows do not overlap.
    """
    steps = num_tokens * card.frame_stack
    pitch = ROWS_PER_ROW * steps
    noise_std = float(card.dataset_attributes.get('noise_std', 0.5))
    with TemporaryDirectory() as folder:
        path = generate(maze, count * pitch, FIRST_SEED + seed, noise_std, progress=False,
                        out=Path(folder, 'held_out.hdf5'))
        dataset = load_dataset(path, repair=True)
    windows = Windows(dataset.observations, dataset.actions, dataset.episode_starts,
                      card.frame_stack)
    offsets = np.random.default_rng([FIRST_SEED, seed]).integers(pitch - steps + 1, size=count)
    return windows.at(np.arange(count) * pitch + offsets, num_tokens).astype(np.float64)


def jumps(states: np.ndarray, card: ModelCard) -> np.ndarray:
    """
    Return the size (..., T - 1) of each step of states (..., T, 4), relative to the data.

    The larger of velocity change and drift, each divided by its 99.95 % quantile in the data (see
    ``model.checkpoint.Statistics``): steps above 1 are almost never in the data.
    """
    before, after = states[..., :-1, :], states[..., 1:, :]
    change = np.abs(after[..., 2:] - before[..., 2:]) / card.statistics.velocity_change
    token_s = card.frame_stack * card.dt_s
    drift = np.abs(after[..., :2] - before[..., :2] - token_s / 2 * (
        after[..., 2:] + before[..., 2:])) / card.statistics.drift
    return np.maximum(change, drift).max(axis=-1)
