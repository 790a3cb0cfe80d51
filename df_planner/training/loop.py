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
The training loop: batches, losses, optimiser steps, rows of the log, saved states.

Every process computes the loss of its share of a batch, and gradients are summed over processes:
the number of processes changes rounding only.
"""

from contextlib import nullcontext
from copy import deepcopy
import json
import math
from pathlib import Path
import pickle
import time

from lightning_fabric import Fabric
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel
from torch.optim.swa_utils import get_ema_multi_avg_fn
from tqdm import tqdm

from df_planner.diffusion.denoiser import Denoiser
from df_planner.diffusion.noise import NoiseSchedule
from df_planner.diffusion.objective import diffusion_loss
from df_planner.diffusion.objective import DrawLevels
from df_planner.diffusion.objective import follow_routes
from df_planner.errors import CheckpointError
from df_planner.errors import ConfigError
from df_planner.errors import TrainingDiverged
from df_planner.files import replace_files
from df_planner.training.batches import Batch
from df_planner.training.batches import BatchSource
from df_planner.training.batches import Share
from df_planner.training.config import RunConfig
from df_planner.training.processes import exit_all
from df_planner.training.processes import on_rank_zero
from df_planner.training.processes import set_precision
from df_planner.training.processes import StopRequests
from df_planner.training.progress_log import ProgressLog
from df_planner.training.progress_log import Speed

STATE_VERSION = 2
TRAINING, HELD_OUT = 0, 1  # streams of batches
HELD_OUT_BATCHES = 8
PROGRESS = ('step', 'seconds', 'held_out_loss', 'best', 'best_loss', 'best_step')


class TrainingRun:
    """
    A training under way: the network, its averaged weights, its optimiser, and where it stands.

    :param held_out: batches of the held-out loss, None for none.
    :param levels: draws the noise levels of a batch.
    :ivar best: the averaged weights with the lowest held-out loss; kept with early stopping only.
    :raises CheckpointError: if the saved state cannot be read.
    :raises ConfigError: if the saved state belongs to another configuration.
    """

    def __init__(self, denoiser: Denoiser, batches: BatchSource, held_out: BatchSource | None,
                 levels: DrawLevels, config: RunConfig, fabric: Fabric):
        """Set up network and optimiser on this process's device; restore the saved state."""
        self.config = config
        self.step, self.seconds = 0, 0.0
        self.held_out_loss: float | None = None
        self.best: dict[str, torch.Tensor] | None = None
        self.best_loss, self.best_step = None, 0
        self._fabric = fabric
        self._batches, self._held_out, self._levels = batches, held_out, levels
        self._noise = NoiseSchedule(config.num_levels, fabric.device)
        self._denoiser = denoiser.to(fabric.device)
        self._average = AveragedModel(self._denoiser,
                                      multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay))
        optimizer = torch.optim.AdamW(self._denoiser.parameters(), config.learning_rate,
                                      betas=(0.9, 0.99), weight_decay=config.weight_decay)
        self._folder = config.run_dir / config.name
        self._state_path = self._folder / 'state.pt'
        state = fabric.broadcast(on_rank_zero(
            fabric, lambda: read_state(self._state_path, config)))
        if state is not None:
            self._denoiser.load_state_dict(state['denoiser'])
            self._average.load_state_dict(state['average'])
            optimizer.load_state_dict(state['optimizer'])
            vars(self).update({name: state[name] for name in PROGRESS})
        set_precision(fabric, config)
        self._model, self._optimizer = fabric.setup(self._denoiser, optimizer)
        first = fabric.global_rank * config.accumulate
        self._shares = [Share(first + i, fabric.world_size * config.accumulate)
                        for i in range(config.accumulate)]
        self._identity = json.dumps(config.identity())
        self._losses: list[torch.Tensor] = []  # since the last row
        self._speed = Speed()

    def result(self) -> tuple[Denoiser, int, float | None]:
        """Return the network to keep, its step, and its held-out loss."""
        if self.best is None:
            return self._average.module, self.step, self.held_out_loss
        network = deepcopy(self._average.module)
        network.load_state_dict(self.best)
        return network, self.best_step, self.best_loss

    def train(self) -> None:
        """
        Take the remaining steps; Ctrl-C or SIGTERM stops between two, with the state saved.

        :raises TrainingDiverged: if a gradient is not finite; the saved state is from before.
        """
        config, first, stopped = self.config, self._fabric.is_global_zero, False
        if first:
            self._folder.mkdir(parents=True, exist_ok=True)
        seconds_before = self.seconds
        started = saved = time.monotonic()
        with (StopRequests(self._fabric) as requests,
              tqdm(total=config.steps, initial=self.step, unit='step', desc=config.name,
                   disable=not first) as bar,
              ProgressLog(self._folder, self.step, config) if first else nullcontext() as log):
            self._speed.restart()
            while not self._finished() and not stopped:
                self._take_step()
                self.seconds = seconds_before + time.monotonic() - started
                if config.minutes:  # all processes must agree
                    self.seconds = self._fabric.broadcast(self.seconds)
                bar.update()
                if self.step % config.log_interval_steps == 0 or self._is_over():
                    self._add_row(log, bar)
                if first and time.monotonic() - saved > config.save_interval_s:
                    self._save()
                    saved = time.monotonic()
                stopped = requests.agreed(self.step)
        if first:
            self._save()
        if stopped:
            if first:
                print(f'stopped {config.name} at step {self.step}; the same command resumes it')
            exit_all(self._fabric, requests.exception())
        self._fabric.barrier()

    def _finished(self) -> bool:
        config = self.config
        if self._is_over():
            return True
        return bool(config.patience_steps and self.step % config.log_interval_steps == 0
                    and self.step - self.best_step >= config.patience_steps)

    def _is_over(self) -> bool:
        """Tell whether the steps are done, or the minutes have passed."""
        return self.step >= self.config.steps or self._share_spent >= 1.0

    @property
    def _share_spent(self) -> float:
        """Return the share of the minutes that have passed, if these are limited."""
        return self.seconds / (60.0 * self.config.minutes) if self.config.minutes else 0.0

    def _take_step(self) -> None:
        config, fabric = self.config, self._fabric
        for group in self._optimizer.param_groups:
            group['lr'] = config.learning_rate * learning_rate_factor(
                self.step, self._share_spent, config)
        self._optimizer.zero_grad(set_to_none=True)
        losses = []
        for share in self._shares:
            batch = self._batches.draw(TRAINING, self.step, share)
            with fabric.no_backward_sync(self._model, enabled=share is not self._shares[-1]):
                loss = self._loss(self._model, batch)
                # Fabric averages gradients over processes; shares of a batch must be summed.
                fabric.backward(loss * fabric.world_size)
            losses.append(loss.detach())
        norm = nn.utils.clip_grad_norm_(self._denoiser.parameters(), config.gradient_clip)
        if not torch.isfinite(norm):
            exit_all(fabric, TrainingDiverged(
                f'{config.name}: the gradient of step {self.step + 1} is not finite; lower '
                f'learning_rate ({config.learning_rate:g}) and set another name'))
        self._optimizer.step()
        self._average.update_parameters(self._denoiser)
        self.step += 1
        self._losses.append(torch.stack(losses).sum())
        self._speed.count(batch.windows, batch.num_tokens)

    def _loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Return what a share of a batch contributes to the loss of the batch."""
        device = self._fabric.device
        levels, carries_loss = self._levels(
            batch.windows, batch.tokens.shape[1], len(model.part_sizes), self.config.num_levels,
            batch.generator)
        route = None
        if batch.route is not None:
            follow_routes(levels, batch.route_level, self.config.num_levels,
                          self.config.pin_start, self.config.pin_end, batch.generator)
            route = batch.route.to(device), batch.route_level[batch.rows].to(device) > 0
        with self._fabric.strategy.precision.forward_context():
            return diffusion_loss(model, self._noise, batch.tokens.to(device), levels.to(device),
                                  batch.generator, carries_loss.to(device), batch.rows, route)

    def _add_row(self, log: ProgressLog | None, bar: tqdm) -> None:
        """Log the loss since the last row, the held-out loss, and the speed without these."""
        rates = self._speed.per_s()
        if self._held_out is not None:
            self._measure_held_out_loss(self._held_out)
        loss = self._mean(self._losses)
        self._losses.clear()
        if log is not None:
            log.add(self.step, {
                'seconds': self.seconds, 'loss': loss, 'held_out_loss': self.held_out_loss,
                'learning_rate': self._optimizer.param_groups[0]['lr'], **rates})
            bar.set_postfix(loss=f'{loss:.4f}', held_out=self.held_out_loss,
                            tokens_per_s=f'{rates["tokens_per_s"]:.0f}')
        self._speed.restart()

    def _measure_held_out_loss(self, batches: BatchSource) -> None:
        """Measure the loss of the averaged weights; with early stopping, keep the best ones."""
        share = Share(self._fabric.global_rank, self._fabric.world_size)
        network = self._average.module
        with torch.no_grad():
            loss = self._mean([self._loss(network, batches.draw(HELD_OUT, i, share))
                               for i in range(HELD_OUT_BATCHES)])
        self.held_out_loss = loss
        if self.config.patience_steps and (self.best_loss is None or loss < self.best_loss):
            self.best_loss, self.best_step = loss, self.step
            self.best = {k: v.clone() for k, v in network.state_dict().items()}

    def _mean(self, losses: list[torch.Tensor]) -> float:
        """Return the mean over batches of losses whose shares lie with the processes."""
        return float(self._fabric.all_reduce(torch.stack(losses).mean(), reduce_op='sum'))

    def _save(self) -> None:
        """Write the state; a kill leaves the one before or this one, whole."""
        replace_files({self._state_path: lambda file: torch.save({
            'version': STATE_VERSION, 'config': self._identity,
            'denoiser': self._denoiser.state_dict(), 'average': self._average.state_dict(),
            'optimizer': self._optimizer.state_dict(),
            **{name: getattr(self, name) for name in PROGRESS}}, file)})


def read_state(path: Path, config: RunConfig) -> dict | None:
    """
    Return the saved state of a run of this configuration; None if there is none.

    :raises CheckpointError: if it is damaged or of another version.
    :raises ConfigError: if it belongs to another configuration.
    """
    if not path.exists():
        return None
    start_over = 'delete it to start over, or set another name or run_dir'
    try:
        state = torch.load(path, weights_only=True, map_location='cpu')
        version = state.get('version', 1)
    except (OSError, RuntimeError, ValueError, EOFError, AttributeError, KeyError,
            pickle.UnpicklingError) as error:
        raise CheckpointError(f'{path}: damaged, or not the state of a run; {start_over}'
                              ) from error
    if version != STATE_VERSION:
        raise CheckpointError(f'{path}: state version {version} cannot be read, this version of '
                              f'df_planner reads {STATE_VERSION}; {start_over}')
    # Fields that were added since the state was saved are at their defaults.
    wanted, fields = config.identity(), type(config).model_fields
    defaults = {name: fields[name].default if name in fields else value
                for name, value in wanted.items()}
    saved = {**defaults, **json.loads(state['config'])}
    if saved != wanted:
        differs = ', '.join(sorted(k for k in saved | wanted if saved.get(k) != wanted.get(k)))
        raise ConfigError(f'{path}: state of a run with another configuration (differs in '
                          f'{differs}); {start_over}')
    return state


def learning_rate_factor(step: int, share_spent: float, config: RunConfig) -> float:
    """
    Return the share of the peak learning rate: linear warm-up, then a cosine to zero.

    :param share_spent: of the minutes of the training; it falls faster if there is less time.
    """
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * min(max(done, share_spent), 1.0)))
