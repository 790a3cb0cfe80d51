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

"""The model card of a finished training, with the limits of motion that its log shows."""

import math
from pathlib import Path
import shlex

import numpy as np
from pydantic import ValidationError

from df_planner.data.d4rl import Dataset
from df_planner.errors import CheckpointError
from df_planner.files import git_revision
from df_planner.model.checkpoint import Architecture
from df_planner.model.checkpoint import FORMAT_VERSION
from df_planner.model.checkpoint import load_card
from df_planner.model.checkpoint import ModelCard
from df_planner.model.checkpoint import Statistics
from df_planner.model.normalizer import Normalizer
from df_planner.robots.kinds import robot_kind
from df_planner.training.config import RUN_LOCAL
from df_planner.training.config import TrainConfig
from df_planner.training.loop import TrainingRun

ROOT = Path(__file__).resolve().parents[2]
BLOCK_ROWS = 32768  # a mapped log is not read into memory as a whole
DYNAMICS_QUANTILE = 0.9995


def make_card(run: TrainingRun, config: TrainConfig, processes: int, architecture: Architecture,
              dataset: Dataset, normalizer: Normalizer, command: str) -> ModelCard:
    """Return the model card of a finished run, started with ``command``."""
    _, step, held_out_loss = run.result()
    signals = dataset.signals
    return ModelCard(
        format_version=FORMAT_VERSION, name=config.name,
        description=f'{config.levels.replace("_", " ").title()} planner of a '
                    f'{robot_kind(signals.observation_names, signals.action_names) or "robot"}'
                    + ', for any place: tokens of one state, told from where the first one is, '
                    'and the actions that follow it',
        architecture=architecture,
        statistics=Statistics(
            **{k: tuple(float(x) for x in v) for k, v in vars(normalizer).items()},
            **dynamics_limits(dataset, config)),
        frame_stack=config.frame_stack, **signals.model_dump(exclude={'max_step_m'}),
        dataset_sha256=dataset.sha256, dataset_attributes=dataset.attributes,
        training_command=command, training_config=config.stored(), training_steps=step,
        training_processes=processes, training_hours=round(run.seconds / 3600.0, 3),
        held_out_loss=held_out_loss, seed=config.seed,
        git_revision=git_revision(), **_origin(config))


def _origin(config: TrainConfig) -> dict[str, object]:
    """Return the fields about the checkpoint that the training started from."""
    if not config.init:
        return {}
    before = load_card(config.init)
    stage = before.model_dump(include={
        'name', 'training_command', 'training_config', 'training_steps', 'training_processes',
        'training_hours', 'held_out_loss', 'git_revision'})
    return {'init_sha256': config.identity()['init_sha256'],
            'earlier_stages': [*before.earlier_stages, stage]}


def finished(config: TrainConfig) -> bool:
    """Tell whether the model of a configuration is there, trained from the present ``init``."""
    path = config.out_dir / config.name
    if not Path(f'{path}.safetensors').exists():
        return False
    try:
        card = load_card(path)
        trained = TrainConfig(**card.training_config).identity()
    except (CheckpointError, ValidationError):
        return False
    wanted = config.identity()
    if config.init and card.init_sha256 is not None:  # not on cards from before it was a field
        trained['init_sha256'] = card.init_sha256
    return trained == wanted


def training_command(config_path: Path | str, overrides: dict[str, object]) -> str:
    """Return the command line that trains the same model on any machine."""
    words = ['df_planner', 'train', '--config', _portable(config_path)]
    for name, value in overrides.items():
        # Early stopping looks at the loss every log_interval_steps.
        if name not in RUN_LOCAL or name == 'log_interval_steps':
            words += ['--set', f'{name}={_portable(value) if name == "dataset" else value}']
    return shlex.join(words)


def _portable(path: Path | str) -> str:
    """Return a path relative to the repository; of an absolute path outside of it, the name."""
    path = Path(path)
    if path.resolve().is_relative_to(ROOT):
        return path.resolve().relative_to(ROOT).as_posix()
    return path.name if path.is_absolute() else path.as_posix()


def dynamics_limits(dataset: Dataset, config: TrainConfig) -> dict[str, tuple[float, ...]]:
    """Return the limits of what the robot did within one token (see ``Statistics``)."""
    token_s = config.frame_stack * dataset.signals.dt_s
    num_pairs = len(dataset.observations) - config.frame_stack
    limits = {name: UpperQuantile(DYNAMICS_QUANTILE, num_pairs)
              for name in ('velocity_change', 'drift', 'max_speed')}
    for first in range(0, num_pairs, BLOCK_ROWS):
        rows = np.arange(first, min(first + BLOCK_ROWS, num_pairs))
        stretch, later = np.searchsorted(dataset.episode_starts, [rows, rows + config.frame_stack],
                                         side='right')
        rows = rows[stretch == later]
        before = dataset.observations[rows].astype(np.float64)
        after = dataset.observations[rows + config.frame_stack].astype(np.float64)
        limits['velocity_change'].add(np.abs(after[:, 2:4] - before[:, 2:4]))
        limits['drift'].add(np.abs(
            after[:, :2] - before[:, :2] - token_s / 2 * (after[:, 2:4] + before[:, 2:4])))
        limits['max_speed'].add(np.abs(before[:, 2:4]))
    return {name: tuple(float(x) for x in limit.value()) for name, limit in limits.items()}


class UpperQuantile:
    """
    The quantile of each column of a table that is added in blocks; keeps the largest values only.

    :param share: of the values that lie below the quantile.
    :param max_rows: upper bound of the rows of the table.
    """

    def __init__(self, share: float, max_rows: int):
        self._share = share
        self._num_kept = max_rows - math.floor(share * (max_rows - 1))
        self._largest: np.ndarray | None = None
        self._count = 0

    def add(self, values: np.ndarray) -> None:
        """Add a block of rows (N, C)."""
        self._count += len(values)
        if self._largest is not None:
            values = np.concatenate([self._largest, values])
        surplus = len(values) - self._num_kept
        if surplus > 0:
            values = np.partition(values, surplus, axis=0)[surplus:]
        self._largest = values

    def value(self) -> np.ndarray:
        """Return the quantiles (C,), interpolated as by ``numpy.quantile``."""
        assert self._largest is not None and self._count > 0
        position = self._share * (self._count - 1)
        smaller = self._count - len(self._largest)
        ordered = np.sort(self._largest, axis=0)
        low = ordered[math.floor(position) - smaller]
        high = ordered[math.ceil(position) - smaller]
        part = position - math.floor(position)
        return high - (high - low) * (1.0 - part) if part >= 0.5 else low + (high - low) * part
