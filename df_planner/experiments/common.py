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
What the measurements share: options, the planner, held-out windows, the result folder.

What the ``df_planner measure`` commands share: options, the planner, the result folder.

Heavy modules are imported when they are needed, because every command's module is loaded for
``df_planner --help``.

Held-out data: windows of a log that no model was trained on, made when they are needed.

How plausible motion is, in units of what the robot was seen to do in the data.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from datetime import datetime
from datetime import timezone
import json
from pathlib import Path
import shlex
import sys
from tempfile import TemporaryDirectory

import click
import numpy as np
import torch

from df_planner.configuration import assignments
from df_planner.data.d4rl import load_dataset
from df_planner.data.windows import Windows
from df_planner.errors import ConfigError
from df_planner.evaluation.episodes import identity_of
from df_planner.evaluation.episodes import Specification
from df_planner.evaluation.journal import Journal
from df_planner.evaluation.machine import machine_facts
from df_planner.model.checkpoint import load_card
from df_planner.model.checkpoint import ModelCard
from df_planner.planning.planner import Planner
from df_planner.robots.kinds import POINT
from df_planner.sim.generate import generate
from df_planner.sim.maze import load_maze


def measure_options(name: str, seed_of: str, files: str | None = None) -> Callable:
    """
    Return a decorator that gives a command --checkpoint, --seed, --set, --device and --out.

    :param name: of the result's folder and files.
    :param seed_of: what the seed decides.
    :param files: what lies in the folder, by default a JSON file and a picture.
    """
    files = files or f'{name}.json and {name}.png'
    options = (
        click.option('--checkpoint', required=True,
                     help='A shipped name or a .safetensors file.'),
        click.option('--seed', type=click.IntRange(min=0), default=0, show_default=True,
                     help=f'Of {seed_of}.'),
        click.option('--set', 'settings', multiple=True, metavar='NAME=VALUE',
                     help='Replace a planner setting; may be repeated.'),
        click.option('--device', default='cpu', show_default=True, help='cpu, cuda or auto.'),
        click.option('--out', type=click.Path(file_okay=False, path_type=Path),
                     help=f'Folder of {files}.  '
                          f'[default: results/{name}-TIME]'))

    def decorate(command: Callable) -> Callable:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


LIKE_THE_DATA = ('temperature=1',)  # plans are drawn with less noise than the model learnt from


def open_planner(checkpoint: str, device: str, settings: Sequence[str] = (), threads: int = 1,
                 backend: str = 'auto'):
    """
    Return (planner, maze), ready to plan on one thread, so that results do not depend on cores.

    :param settings: NAME=VALUE of planner settings.
    :param threads: of the network, where latency is what is measured; anything but the number of
        an earlier call needs a fresh process.
    :param backend: what evaluates the network.
    """
    torch.set_num_threads(threads)
    planner = Planner.load(checkpoint, device, backend=backend)
    if planner.card.maze is None:
        raise ConfigError(f'checkpoint {checkpoint} names no maze')
    planner.settings = Specification(
        planner.card.maze, checkpoint=checkpoint, settings=assignments(settings),
        robot=planner.card.robot).planner_settings
    planner.warm_up()
    return planner, load_maze(planner.card.maze)


def open_point_planner(name: str, checkpoint: str, device: str, settings: Sequence[str] = ()):
    """
    Return what ``open_planner`` does, for a measurement that simulates a point only.

    :param name: of the command.
    :raises ConfigError: if the checkpoint is of another robot.
    """
    robot = load_card(checkpoint).robot
    if robot != POINT.name:
        raise ConfigError(f'measure {name} is for robots of the kind {POINT.name}; {checkpoint} '
                          f'is of a {robot or "robot of no known kind"}')
    return open_planner(checkpoint, device, settings)


def progress(length: int, label: str):
    """Return a progress bar on stderr, a context with ``update``."""
    return click.progressbar(length=length, label=label, file=sys.stderr)


RESUME = click.option('--resume', is_flag=True, help='Keep the drives already in --out.')


@contextmanager
def journal_of_drives(folder: Path, checkpoint: str, device: str, settings: Sequence[str],
                      resume: bool, **asked_for: object) -> Iterator:
    """
    Open the journal of a run, ``drives.jsonl``; Ctrl-C tells how to go on with it.

    :param asked_for: what the drives depend on beside the planner, JSON-able.
    :raises ConfigError: to resume, if an earlier run differs.
    """
    card = load_card(checkpoint)
    identity = identity_of(Specification(card.maze or '', checkpoint=checkpoint, device=device,
                                         settings=assignments(settings), robot=card.robot))
    try:
        with Journal(folder / 'drives.jsonl', {**identity, **asked_for}, resume) as journal:
            yield journal
    except KeyboardInterrupt:
        click.echo(f'stopped: the finished drives are kept in {folder}; the same command with '
                   f'--resume --out {folder} goes on', err=True)
        raise


def result_folder(name: str, out: Path | None) -> Path:
    """Return the folder of a result, made if need be; without ``out`` one named by the time."""
    out = out or Path('results', f'{name}-{datetime.now():%Y%m%d-%H%M%S}')
    out.mkdir(parents=True, exist_ok=True)
    return out


def write_result(path: Path, checkpoint: str, seed: int, content: dict) -> None:
    """Write numbers as JSON: first what was asked for, when, of what and on what machine."""
    header = {
        'command': shlex.join(['df_planner', *sys.argv[1:]]),
        'created': datetime.now(timezone.utc).isoformat(timespec='seconds'),
        'checkpoint': checkpoint, 'seed': seed, 'machine': machine_facts()}
    path.write_text(json.dumps({**header, **content}, indent=1) + '\n', encoding='utf-8')
    click.echo(f'report: {path}')


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows, the first one being the header, as a table in Markdown."""
    head, *body = ['| ' + ' | '.join(row) + ' |' for row in rows]
    return '\n'.join([head, '|---' * len(rows[0]) + '|', *body]) + '\n'


def echo_table(rows: Sequence[Sequence[object]]) -> None:
    """Print rows, the first one being the header, in columns: text left, numbers right."""
    texts = [[cell if isinstance(cell, str) else f'{cell:.3g}' for cell in row] for row in rows]
    widths = [max(len(text) for text in column) for column in zip(*texts)]
    for text in texts:
        click.echo('  '.join([text[0].ljust(widths[0])] + [
            cell.rjust(width) for cell, width in zip(text[1:], widths[1:])]).rstrip())


FIRST_SEED = 1_000_000  # seeds of training data are small numbers
ROWS_PER_ROW = 2  # of the log for every row of a window, so that windows lie apart


def held_out_windows(card: ModelCard, count: int, num_tokens: int, seed: int) -> np.ndarray:
    """
    Return windows (count, num_tokens, 4 + frame_stack * 2) of a new log of the model's maze.

    The log is made like the training data, with another seed; the windows do not overlap.

    :param seed: 0 or more.
    """
    steps = num_tokens * card.frame_stack
    pitch = ROWS_PER_ROW * steps
    noise_std = float(card.dataset_attributes.get('noise_std', 0.5))
    with TemporaryDirectory() as folder:
        path = generate(card.maze, count * pitch, FIRST_SEED + seed, noise_std, progress=False,
                        out=Path(folder, 'held_out.hdf5'))
        dataset = load_dataset(path, repair=True)
    windows = Windows(dataset.observations, dataset.actions, dataset.episode_starts,
                      card.frame_stack)
    offsets = np.random.default_rng([FIRST_SEED, seed]).integers(pitch - steps + 1, size=count)
    return windows.at(np.arange(count) * pitch + offsets, num_tokens).astype(np.float64)


def jumps(states: np.ndarray, card: ModelCard) -> np.ndarray:
    """
    Return how large each step of states (..., T, 4) is, (..., T - 1), in units of what data do.

    The larger ratio of velocity change and drift to the 99.95 % quantile in the data, see
    ``training.checkpoint.Statistics``: above 1 the robot was hardly ever seen to move so.
    """
    before, after = states[..., :-1, :], states[..., 1:, :]
    change = np.abs(after[..., 2:] - before[..., 2:]) / card.statistics.velocity_change
    token_s = card.frame_stack * card.dt_s
    drift = np.abs(after[..., :2] - before[..., :2] - token_s / 2 * (
        after[..., 2:] + before[..., 2:])) / card.statistics.drift
    return np.maximum(change, drift).max(axis=-1)
