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

Run the same command again to go on after a kill, as in ``df_planner train``.
"""

from pathlib import Path

import numpy as np
import torch

from df_planner.diffusion.networks import build_denoiser
from df_planner.errors import ConfigError
from df_planner.forecast.batches import KnownPast
from df_planner.forecast.batches import SeriesBatches
from df_planner.forecast.checkpoint import ForecastCard
from df_planner.forecast.checkpoint import KIND
from df_planner.forecast.checkpoint import save_forecaster
from df_planner.forecast.config import DEFAULTS
from df_planner.forecast.config import ForecastConfig
from df_planner.forecast.series import open_series
from df_planner.training.config import checked
from df_planner.training.loop import optimised
from df_planner.training.processes import first_then_others
from df_planner.training.processes import processes_of
from df_planner.training.progress_log import check_tensorboard


def train_forecaster(series: str, out: Path, values: dict[str, object]) -> Path | None:
    """
    Train to the end, or go on where an earlier run stopped; return the checkpoint's path.

    The held-out loss, which ``patience_steps`` looks at, is that of the validation part.

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
        data = first_then_others(fabric, lambda: open_series(series))
        train, held_out = data.part('train'), data.part('validation')
        mean, std = _moments(data.values[train.start:train.stop])
        batches = SeriesBatches(data, train, mean, std, config)
        held_out = range(max(0, held_out.start - config.history), held_out.stop)
        torch.manual_seed(config.seed)
        denoiser = build_denoiser(**config.architecture(len(data.names)).model_dump())
        run = optimised(
            denoiser, batches, SeriesBatches(data, held_out, mean, std, config),
            KnownPast(config.past_tokens, config.known_past, config.shared_level), config, fabric)
    if not fabric.is_global_zero:
        return None
    network, step, held_out_loss = run.result()
    save_forecaster(out, network, ForecastCard(
        kind=KIND, names=data.names, mean=tuple(mean), std=tuple(std), series_sha256=data.sha256,
        training_config=config.stored(), training_steps=step,
        training_hours=round(run.seconds / 3600.0, 3), held_out_loss=held_out_loss))
    return out


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation (C,) of (N, C); 1 for a constant."""
    std = values.std(axis=0)
    return values.mean(axis=0), np.where(std > 1e-9, std, 1.0)
