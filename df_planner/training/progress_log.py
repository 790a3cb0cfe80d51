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

"""The progress of a training: ``loss.csv``, and TensorBoard if asked for."""

from collections.abc import Mapping
import csv
from importlib.util import find_spec
import io
from pathlib import Path
import time
from typing import Self

import yaml

from df_planner.errors import ConfigError
from df_planner.files import replace_files
from df_planner.training.config import RunConfig

COLUMNS = ('step', 'seconds', 'loss', 'held_out_loss', 'learning_rate', 'windows_per_s',
           'tokens_per_s')


class Speed:
    """Windows and tokens per second of training, from ``restart`` on."""

    def restart(self) -> None:
        """Count from now."""
        self._windows = self._tokens = 0
        self._since_s = time.monotonic()

    def count(self, windows: int, tokens: int) -> None:
        """Add a batch."""
        self._windows += windows
        self._tokens += tokens

    def per_s(self) -> dict[str, float]:
        """Return the rates since the last restart."""
        spent_s = time.monotonic() - self._since_s
        return {'windows_per_s': self._windows / spent_s, 'tokens_per_s': self._tokens / spent_s}


class ProgressLog:
    """
    The rows of a run, one per interval; rows after the saved state of a killed run are dropped.

    The loss of a row is the mean since the row before, or since the run was resumed.
    """

    def __init__(self, folder: Path, step: int, config: RunConfig):
        """Open the log of a run that is at a step."""
        self._path = folder / 'loss.csv'
        self._keep_until(step)
        self._board = None
        if config.tensorboard:
            from torch.utils.tensorboard import SummaryWriter
            self._board = SummaryWriter(folder / 'tensorboard', purge_step=step + 1)
            if step == 0:
                self._board.add_text('configuration', f'```\n{yaml.safe_dump(config.stored())}```')

    def add(self, step: int, row: Mapping[str, float | None]) -> None:
        """Add a row: the values of ``COLUMNS`` but the step."""
        with self._path.open('a', newline='', encoding='utf-8') as file:
            csv.DictWriter(file, COLUMNS).writerow({'step': step, **{
                name: value if value is None else f'{value:.9g}' for name, value in row.items()}})
        if self._board is not None:
            for name, value in row.items():
                if value is not None:
                    self._board.add_scalar(name, value, step)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._board is not None:
            self._board.close()

    def _keep_until(self, step: int) -> None:
        """Keep the rows up to a step, and write the header if there are none."""
        rows: list[dict[str, str]] = []
        if step and self._path.exists():
            with self._path.open(newline='', encoding='utf-8') as file:
                rows = [row for row in csv.DictReader(file)
                        if None not in row.values() and int(row['step']) <= step]
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
        replace_files({self._path: text.getvalue()})


def check_tensorboard(config: RunConfig) -> None:
    """Raise ConfigError if the configuration asks for TensorBoard and it is not installed."""
    if config.tensorboard and find_spec('tensorboard') is None:
        raise ConfigError('tensorboard: the package is not installed: pip install tensorboard, '
                          'or leave out tensorboard=true')
