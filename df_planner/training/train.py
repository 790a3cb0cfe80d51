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
Train a Diffusion Forcing model on a log.

    df_planner data generate --maze medium
    df_planner train --config config/train/medium.yaml
    df_planner train --config config/train/medium.yaml --set devices=2
    torchrun --nproc-per-node 2 -m df_planner.cli.main train --config config/train/medium.yaml

Run the same command again to go on after a kill: the run directory keeps the state of the last
interval, and every batch is a function of the seed and the step.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from df_planner.data.d4rl import Dataset
from df_planner.data.d4rl import load_dataset
from df_planner.diffusion.denoiser import Denoiser
from df_planner.diffusion.networks import build_denoiser
from df_planner.diffusion.objective import level_sampler
from df_planner.errors import ConfigError
from df_planner.model.checkpoint import Architecture
from df_planner.model.checkpoint import load_checkpoint
from df_planner.model.checkpoint import save_checkpoint
from df_planner.model.normalizer import Normalizer
from df_planner.training.arrival import fit_arrival_time
from df_planner.training.arrival import learns_arrival_time
from df_planner.training.batches import Batches
from df_planner.training.card import make_card
from df_planner.training.card import training_command
from df_planner.training.config import load_config
from df_planner.training.config import TrainConfig
from df_planner.training.loop import optimised
from df_planner.training.processes import first_then_others
from df_planner.training.processes import processes_of
from df_planner.training.progress_log import check_tensorboard


def train(config_path: Path | str, overrides: dict[str, object] | None = None) -> Path | None:
    """
    Train to the end, or go on where an earlier run stopped; return the checkpoint's path.

    With ``devices`` above 1 the running program is started again for every further process, as
    Lightning does it; all but the first return None.

    :raises ConfigError: if the configuration is wrong.
    :raises DatasetError: if the data set is missing or broken.
    :raises CheckpointError: if ``init`` or the saved state of the run cannot be read.
    :raises TrainingDiverged: if a gradient is not finite.
    :raises ProcessLost: if another process of the run has ended.
    """
    config = load_config(config_path, overrides)
    check_tensorboard(config)
    with processes_of(config) as fabric:
        if config.num_threads:
            torch.set_num_threads(config.num_threads)
        data = first_then_others(fabric, lambda: Data.load(config, fabric.world_size))
        denoiser = first_then_others(fabric, lambda: _initial(data.architecture, config))
        levels = level_sampler(config.levels, config.shared_level, config.pin_start,
                               config.pin_end)
        with_arrival_time = fabric.is_global_zero and learns_arrival_time(data.dataset, config)
        run = optimised(denoiser, data.batches, data.held_out, levels, config, fabric)
    if not fabric.is_global_zero:
        return None
    arrival_time, error_s = None, None
    if with_arrival_time:
        arrival_time, error_s = fit_arrival_time(data.dataset, data.normalizer, config)
    card = make_card(run, config, fabric.world_size, data.architecture, data.dataset,
                     data.normalizer, training_command(config_path, overrides or {}), error_s)
    return save_checkpoint(config.out_dir, run.result()[0], card, arrival_time)


@dataclass(frozen=True)
class Data:
    """
    The log of a run.

    :param held_out: batches of what is kept for the held-out loss, None for nothing.
    :param architecture: the network that it asks for.
    """

    dataset: Dataset
    normalizer: Normalizer
    batches: Batches
    held_out: Batches | None
    architecture: Architecture

    @classmethod
    def load(cls, config: TrainConfig, processes: int) -> 'Data':
        """
        Open the log.

        :raises ConfigError: if it, or a batch, is too small for the configuration.
        :raises DatasetError: if it is missing or broken.
        """
        shares = processes * config.accumulate
        if shares > max(1, config.tokens_per_batch // config.max_tokens):
            raise ConfigError(f'tokens_per_batch: {config.tokens_per_batch} is too small for '
                              f'{processes} processes x accumulate {config.accumulate} with '
                              f'windows of up to {config.max_tokens} tokens, must be at least '
                              f'{shares * config.max_tokens}')
        dataset = load_dataset(config.dataset, repair=True)
        normalizer = Normalizer.fit(dataset.observations, dataset.actions)
        held_out_from = int(len(dataset.observations) * (1.0 - config.holdout_share))
        return cls(
            dataset, normalizer, Batches(dataset, slice(0, held_out_from), normalizer, config),
            Batches(dataset, slice(held_out_from, None), normalizer, config)
            if config.holdout_share > 0.0 else None,
            Architecture(
                network=config.network,
                part_sizes=dataset.signals.part_sizes(config.frame_stack),
                max_tokens=config.max_tokens, num_levels=config.num_levels, width=config.width,
                num_layers=config.num_layers, num_heads=config.num_heads))


def _initial(architecture: Architecture, config: TrainConfig) -> Denoiser:
    """Return the network that training starts from."""
    torch.manual_seed(config.seed)
    if not config.init:
        return build_denoiser(**architecture.model_dump())
    denoiser, card = load_checkpoint(config.init)
    if card.architecture != architecture or card.maze != config.maze:
        raise ConfigError(f'init: {config.init} is a {card.architecture} for {card.maze}, not a '
                          f'{architecture} for {config.maze}')
    return denoiser.train().requires_grad_(True)
