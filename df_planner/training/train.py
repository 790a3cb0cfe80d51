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

Run the same command again to go on after a kill: the run directory keeps the state of the last
interval, and every batch is a function of the seed and the step.
"""

import csv
import math
from pathlib import Path
import time

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel
from torch.optim.swa_utils import get_ema_multi_avg_fn
from tqdm import tqdm

from df_planner.data.d4rl import Dataset
from df_planner.data.d4rl import load_dataset
from df_planner.data.normalizer import Normalizer
from df_planner.data.windows import Windows
from df_planner.diffusion.denoiser import Denoiser
from df_planner.diffusion.networks import build_denoiser
from df_planner.diffusion.noise import NoiseSchedule
from df_planner.diffusion.objective import diffusion_loss
from df_planner.diffusion.objective import level_sampler
from df_planner.errors import ConfigError
from df_planner.training.arrival import fit_arrival_time
from df_planner.training.card import make_card
from df_planner.training.card import training_command
from df_planner.training.checkpoint import Architecture
from df_planner.training.checkpoint import load_checkpoint
from df_planner.training.checkpoint import save_checkpoint
from df_planner.training.config import load_config
from df_planner.training.config import TrainConfig
from df_planner.training.run import Run

HELD_OUT_BATCHES = 8


class Batches:
    """Normalised windows of a data set; the same (stream, step) always gives the same batch."""

    def __init__(self, dataset: Dataset, rows: slice, normalizer: Normalizer,
                 config: TrainConfig):
        """Serve windows from the given rows of the data set."""
        first, last, _ = rows.indices(len(dataset.observations))

        def windows(starts: np.ndarray) -> Windows:
            inside = np.unique(np.clip(starts[starts < last] - first, 0, None))
            return Windows(dataset.observations[rows], dataset.actions[rows], inside,
                           config.frame_stack)

        self.windows = windows(dataset.episode_starts)
        self.drives = windows(np.union1d(dataset.episode_starts,
                                         np.flatnonzero(dataset.timeouts) + 1))
        mean, std = normalizer.token_moments(config.frame_stack)
        self.mean, self.std = mean.astype(np.float32), std.astype(np.float32)
        self.config = config
        if self.windows.count(config.max_tokens) == 0:
            raise ConfigError(f'{dataset.path}: no continuous stretch holds max_tokens = '
                              f'{config.max_tokens} tokens of {config.frame_stack} steps')

    def draw(self, stream: int, step: int) -> tuple[torch.Tensor, torch.Generator]:
        """Return tokens (B, T, C), T being drawn too, and the generator for their noise."""
        config = self.config
        random = np.random.default_rng([config.seed, stream, step])
        num_tokens = int(random.integers(config.min_tokens, config.max_tokens + 1))
        batch = max(1, config.tokens_per_batch // num_tokens)
        direct = (config.direct > 0.0 and random.random() < config.direct
                  and self.drives.count(num_tokens) >= batch)
        windows = self.drives if direct else self.windows
        tokens = (windows.draw(batch, num_tokens, random) - self.mean) / self.std
        generator = torch.Generator().manual_seed(int(random.integers(2**63)))
        return torch.from_numpy(tokens), generator


def train(config_path: Path | str, overrides: dict[str, object] | None = None) -> Path:
    """
    Train to the end, or go on where an earlier run stopped; return the checkpoint's path.

    :raises ConfigError: if the configuration is wrong.
    :raises DatasetError: if the data set is missing or broken.
    """
    config = load_config(config_path, overrides)
    if config.num_threads:
        torch.set_num_threads(config.num_threads)
    device = config.device
    if device == 'auto':
        device = 'cuda' if torch.cuda.is_available() else 'cpu'
    dataset = load_dataset(config.dataset, repair=True)
    normalizer = Normalizer.fit(dataset.observations, dataset.actions)
    held_out_from = int(len(dataset.observations) * (1.0 - config.holdout_share))
    batches = Batches(dataset, slice(0, held_out_from), normalizer, config)
    held_out = Batches(dataset, slice(held_out_from, None), normalizer, config) \
        if config.holdout_share > 0.0 else None
    torch.manual_seed(config.seed)
    architecture = Architecture(
        network=config.network,
        part_sizes=dataset.signals.part_sizes(config.frame_stack),
        max_tokens=config.max_tokens, num_levels=config.num_levels, width=config.width,
        num_layers=config.num_layers, num_heads=config.num_heads)
    denoiser = _initial(architecture, config).to(device)
    run = Run(denoiser,
              AveragedModel(denoiser, multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay)),
              torch.optim.AdamW(denoiser.parameters(), config.learning_rate, betas=(0.9, 0.99),
                                weight_decay=config.weight_decay))
    run_dir = config.run_dir / config.name
    run_dir.mkdir(parents=True, exist_ok=True)
    state = run_dir / 'state.pt'
    if state.exists():
        run.restore(state, config)
    try:
        _optimize(run, batches, held_out, config, device, run_dir)
    except KeyboardInterrupt:
        run.save(state, config)
        print(f'stopped at step {run.step}; the same command goes on from there')
        raise
    run.save(state, config)
    arrival_time, error_s = None, None
    if config.arrival_steps:
        arrival_time, error_s = fit_arrival_time(dataset, normalizer, config)
    card = make_card(run, config, architecture, dataset, normalizer,
                     training_command(config_path, overrides or {}), error_s)
    return save_checkpoint(config.out_dir, run.average.module, card, arrival_time)


def _initial(architecture: Architecture, config: TrainConfig) -> Denoiser:
    """Return the network that training starts from."""
    if not config.init:
        return build_denoiser(**architecture.model_dump())
    denoiser, card = load_checkpoint(config.init)
    if card.architecture != architecture or card.maze != config.maze:
        raise ConfigError(f'init: {config.init} is a {card.architecture} for {card.maze}, not a '
                          f'{architecture} for {config.maze}')
    return denoiser.train().requires_grad_(True)


def _optimize(run: Run, batches: Batches, held_out: Batches | None, config: TrainConfig,
              device: str, run_dir: Path) -> None:
    """Take the remaining optimiser steps, saving the state at every interval."""
    noise = NoiseSchedule(config.num_levels, device)
    levels = level_sampler(config.levels, config.shared_level, config.pin_start, config.pin_end)

    def loss_of(model: Denoiser, source: Batches, stream: int, step: int) -> torch.Tensor:
        tokens, generator = source.draw(stream, step)
        drawn, carries_loss = levels(*tokens.shape[:2], len(model.part_sizes),
                                     config.num_levels, generator)
        with torch.autocast(torch.device(device).type, torch.bfloat16,
                            enabled=config.precision == 'bf16-mixed'):
            return diffusion_loss(model, noise, tokens.to(device), drawn.to(device), generator,
                                  carries_loss.to(device))

    recent: list[torch.Tensor] = []
    resumed = run.seconds
    started = saved = time.monotonic()
    with tqdm(total=config.steps, initial=run.step, unit='step', desc=config.name) as progress:
        while run.step < config.steps:
            for group in run.optimizer.param_groups:
                group['lr'] = config.learning_rate * learning_rate_factor(run.step, config)
            loss = loss_of(run.denoiser, batches, 0, run.step)
            run.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(run.denoiser.parameters(), config.gradient_clip)
            run.optimizer.step()
            run.average.update_parameters(run.denoiser)
            run.step += 1
            run.seconds = resumed + time.monotonic() - started
            recent.append(loss.detach())
            progress.update()
            if run.step % config.log_interval_steps == 0 or run.step == config.steps:
                if held_out is not None:
                    with torch.no_grad():
                        run.held_out_loss = float(torch.stack([
                            loss_of(run.average.module, held_out, 1, i)
                            for i in range(HELD_OUT_BATCHES)]).mean())
                mean_loss = float(torch.stack(recent).mean())
                recent.clear()
                _log(run_dir / 'loss.csv', run, mean_loss)
                progress.set_postfix(loss=f'{mean_loss:.4f}', held_out=run.held_out_loss)
            if time.monotonic() - saved > config.save_interval_s:
                run.save(run_dir / 'state.pt', config)
                saved = time.monotonic()


def learning_rate_factor(step: int, config: TrainConfig) -> float:
    """Return the share of the peak learning rate: linear warm-up, then a cosine to zero."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * done))


def _log(path: Path, run: Run, loss: float) -> None:
    """Append a row to the loss log; rows of a killed run that are repeated are kept."""
    new = not path.exists()
    with path.open('a', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(['step', 'seconds', 'loss', 'held_out_loss'])
        writer.writerow([run.step, f'{run.seconds:.3f}', f'{loss:.6f}', run.held_out_loss])
