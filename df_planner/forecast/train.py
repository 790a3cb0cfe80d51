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
Train a forecaster on the first part of a series.

    df_planner forecast train traffic --horizon 24 --out runs/traffic.safetensors

The same command resumes after a kill, as in ``df_planner train``.
"""

from dataclasses import dataclass
import logging
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from df_planner.configuration import checked
from df_planner.errors import ConfigError
from df_planner.errors import some_of
from df_planner.forecast.forecaster import ForecastCard
from df_planner.forecast.forecaster import ForecastConfig
from df_planner.forecast.forecaster import FORMAT_VERSION
from df_planner.forecast.forecaster import to_tokens
from df_planner.forecast.series import open_series
from df_planner.forecast.series import Series
from df_planner.model.checkpoint import save_checkpoint
from df_planner.training.batches import Batch
from df_planner.training.batches import Share
from df_planner.training.batches import WHOLE
from df_planner.training.loop import TrainingRun
from df_planner.training.processes import processes_of
from df_planner.training.processes import rank_zero_first
from df_planner.training.progress_log import check_tensorboard

# Where the defaults differ from those of a planner: chosen on the validation part of traffic.
DEFAULTS = {'network': 'gru', 'width': 128, 'num_layers': 1, 'num_levels': 100, 'steps': 15000,
            'tokens_per_batch': 1024, 'learning_rate': 2e-3, 'warmup_steps': 100,
            'ema_decay': 0.995, 'log_interval_steps': 250}


class SeriesBatches:
    """
    Windows of history and horizon that lie in the given rows; see ``BatchSource``.

    :param mean: (C,) and ``std`` (C,) that the values are normalised with.
    :raises ConfigError: if the rows hold no window.
    """

    def __init__(self, series: Series, rows: range, mean: np.ndarray, std: np.ndarray,
                 config: ForecastConfig):
        self._values = ((series.values[rows.start:rows.stop] - mean) / std).astype(np.float32)
        self._window = config.history + config.horizon
        self._config = config
        if len(rows) < self._window:
            raise ConfigError(f'{series.source}: {len(rows)} rows hold no window of history + '
                              f'horizon = {self._window} rows; give more rows, or lower them')

    def draw(self, stream: int, step: int, share: Share = WHOLE) -> Batch:
        """Return a share of the batch of a step; the same arguments give the same batch."""
        config = self._config
        random = np.random.default_rng([config.seed, stream, step])
        tokens = config.past_tokens + config.future_tokens
        count = max(1, config.tokens_per_batch // tokens)
        starts = random.integers(len(self._values) - self._window + 1, size=count)
        rows = share.rows(count)
        windows = self._values[starts[rows, None] + np.arange(self._window)]
        generator = torch.Generator().manual_seed(int(random.integers(2**63)))
        return Batch(torch.from_numpy(to_tokens(windows, config.rows_per_token)), rows, count,
                     generator)


@dataclass(frozen=True)
class KnownPast:
    """
    Draw noise levels like those of sampling, with a known past; see ``DrawLevels``.

    :param past: tokens of the history.
    :param known: share of windows whose history is clean. Their future has one level for all
        tokens in a ``shared`` part of them, else a level per token. The other windows have a level
        per token throughout (Chen et al., 2024, algorithm 1).
    """

    past: int
    known: float
    shared: float

    def __call__(self, batch: int, tokens: int, parts: int, num_levels: int,
                 generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return levels (batch, tokens, parts) and what carries loss, (batch, tokens) bool."""
        def share(part: float) -> Tensor:
            return torch.rand((batch, 1), generator=generator) < part

        levels = torch.randint(1, num_levels + 1, (batch, tokens), generator=generator)
        known, shared = share(self.known), share(self.shared)
        levels = torch.where(known & shared, levels[:, -1:], levels)
        levels = torch.where(known & (torch.arange(tokens) < self.past), 0, levels)
        return (levels[..., None].repeat(1, 1, parts),
                torch.ones((batch, tokens), dtype=torch.bool))


def train_forecaster(series: str, out: Path, values: dict[str, object]) -> Path | None:
    """
    Train to the end, or resume where an earlier run stopped; return the path of the checkpoint.

    The held-out loss is that of the validation part.

    :param values: of ``ForecastConfig``, by name.
    :returns: None in all processes but the first.
    :raises ConfigError: if a value is wrong, or the series too short.
    :raises DatasetError: if the series cannot be read.
    :raises TrainingDiverged: if a gradient is not finite.
    """
    if out.suffix != '.safetensors':
        raise ConfigError(f'--out {out}: must end in .safetensors')
    config = checked(ForecastConfig, {
        **DEFAULTS, **values, 'name': out.stem, 'out_dir': out.parent, 'series': series},
        'forecast train')
    check_tensorboard(config)
    with processes_of(config) as fabric:
        if config.num_threads:
            torch.set_num_threads(config.num_threads)
        data = rank_zero_first(fabric, lambda: open_series(series))
        train, held_out = data.part('train'), data.part('validation')
        mean, std = _moments(data.values[train.start:train.stop])
        if fabric.is_global_zero:
            _warn_of_constants(data, train)
        held_out = range(max(0, held_out.start - config.history), held_out.stop)
        torch.manual_seed(config.seed)
        run = TrainingRun(
            config.architecture_of(len(data.names)).build(),
            SeriesBatches(data, train, mean, std, config),
            SeriesBatches(data, held_out, mean, std, config),
            KnownPast(config.past_tokens, config.known_past, config.shared_level), config, fabric)
        run.train()
    if not fabric.is_global_zero:
        return None
    network, step, held_out_loss = run.result()
    return save_checkpoint(config.out_dir, network, ForecastCard(
        format_version=FORMAT_VERSION, name=config.name, names=data.names, step_s=data.step_s,
        mean=tuple(mean), std=tuple(std), series_sha256=data.sha256,
        training_config=config.stored(), training_steps=step,
        training_hours=round(run.seconds / 3600.0, 3), held_out_loss=held_out_loss))


def _warn_of_constants(data: Series, rows: range) -> None:
    still = np.ptp(data.values[rows.start:rows.stop], axis=0) == 0.0
    if still.any():
        logging.getLogger(__name__).warning(
            '%s: the training part always has the same value of %s; leave it out', data.source,
            some_of(name for name, is_still in zip(data.names, still) if is_still))


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation (C,) of (N, C); 1 for a constant."""
    std = values.std(axis=0)
    return values.mean(axis=0), np.where(std > 1e-9, std, 1.0)
