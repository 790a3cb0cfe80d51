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
Train a Diffusion Forcing model on a log, in one or more stages.

    df_planner data generate --maze large
    df_planner train --config point
    df_planner train --config point --set devices=2
    torchrun --nproc-per-node 2 -m df_planner.cli train --config point

The same command resumes after a kill: the run folder of a stage keeps the state of the last
interval, every batch is a function of the seed and the step, and a finished stage is not repeated.
"""

from pathlib import Path

from lightning_fabric import Fabric
import torch

from df_planner.data.d4rl import load_dataset
from df_planner.diffusion.denoiser import Denoiser
from df_planner.diffusion.objective import level_sampler
from df_planner.errors import ConfigError
from df_planner.model.checkpoint import Architecture
from df_planner.model.checkpoint import load_checkpoint
from df_planner.model.checkpoint import save_checkpoint
from df_planner.training.batches import Batches
from df_planner.training.card import finished
from df_planner.training.card import make_card
from df_planner.training.card import training_command
from df_planner.training.config import load_stages
from df_planner.training.config import TrainConfig
from df_planner.training.loop import TrainingRun
from df_planner.training.processes import processes_of
from df_planner.training.processes import rank_zero_first
from df_planner.training.progress_log import check_tensorboard


def train(config_path: Path | str, overrides: dict[str, object] | None = None,
          last_stage: str | None = None) -> Path | None:
    """
    Train all stages, or resume where an earlier run stopped; return the path of the checkpoint.

    With ``devices`` above 1 the running program is started again for every further process; all
    processes but the first return None.

    :param last_stage: stage to stop after, None for the last one of the file.
    :raises ConfigError: if the configuration is wrong.
    :raises DatasetError: if the data set is missing or broken.
    :raises CheckpointError: if ``init`` or the saved state of the run cannot be read.
    :raises TrainingDiverged: if a gradient is not finite.
    :raises ProcessLost: if another process of the run has ended.
    """
    overrides = overrides or {}
    stages = load_stages(config_path, overrides)
    if last_stage is not None and last_stage not in stages:
        raise ConfigError(f'{config_path}: no stage {last_stage!r}; its stages are: '
                          f'{", ".join(filter(None, stages)) or "none"}')
    command = training_command(config_path, overrides)
    last_stage = list(stages)[-1] if last_stage is None else last_stage
    with processes_of(stages[last_stage]) as fabric:
        for stage, config in stages.items():
            if stage == last_stage:
                break
            if not fabric.broadcast(fabric.is_global_zero and finished(config)):
                _train_stage(config, f'{command} --stage {stage}', fabric)
        return _train_stage(stages[last_stage], command, fabric)


def _train_stage(config: TrainConfig, command: str, fabric: Fabric) -> Path | None:
    """Train one stage and return the path of its checkpoint, None on all ranks but 0."""
    check_tensorboard(config)
    if config.num_threads:
        torch.set_num_threads(config.num_threads)
    batches, held_out = rank_zero_first(fabric, lambda: _batches(config, fabric.world_size))
    dataset = batches.dataset
    architecture = config.architecture(dataset.signals.part_sizes(config.frame_stack),
                                       config.max_tokens)
    denoiser = rank_zero_first(fabric, lambda: _initial(architecture, config))
    levels = level_sampler(config.levels, config.shared_level, config.pin_start, config.pin_end)
    run = TrainingRun(denoiser, batches, held_out, levels, config, fabric)
    run.train()
    if not fabric.is_global_zero:
        return None
    card = make_card(run, config, fabric.world_size, architecture, dataset, batches.normalizer,
                     command)
    return save_checkpoint(config.out_dir, run.result()[0], card)


def _batches(config: TrainConfig, processes: int) -> tuple[Batches, Batches | None]:
    """
    Open the log; return the batches to train on, and those of the held-out loss if there is one.

    :raises ConfigError: if the log, or a batch, is too small for the configuration.
    :raises DatasetError: if the log is missing or broken.
    """
    shares = processes * config.accumulate
    if shares > max(1, config.tokens_per_batch // config.max_tokens):
        raise ConfigError(f'tokens_per_batch: {config.tokens_per_batch} is too small for '
                          f'{processes} processes x accumulate {config.accumulate} with '
                          f'windows of up to {config.max_tokens} tokens, must be at least '
                          f'{shares * config.max_tokens}')
    dataset = load_dataset(config.dataset)
    held_out_from = int(len(dataset.observations) * (1.0 - config.holdout_share))

    def batches(first: int, end: int | None) -> Batches:
        return Batches(dataset, slice(first, end), config)

    return batches(0, held_out_from), (
        batches(held_out_from, None) if config.holdout_share > 0.0 else None)


def _initial(architecture: Architecture, config: TrainConfig) -> Denoiser:
    torch.manual_seed(config.seed)
    if not config.init:
        return architecture.build()
    denoiser, card = load_checkpoint(config.init)
    if card.architecture != architecture:
        raise ConfigError(f'init: {config.init} is a {card.architecture}, not a {architecture}')
    return denoiser.train().requires_grad_(True)
