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
The loop of training: batches, losses, optimiser steps, and now and then a row and a saved state.

Every process computes the loss of its share of a batch, and gradients are summed over processes:
what is learnt does not depend on how many there are, but for rounding.
"""

from contextlib import nullcontext
import math
from pathlib import Path
import time

from lightning_fabric import Fabric
import torch
from torch import nn
from tqdm import tqdm

from df_planner.diffusion.denoiser import Denoiser
from df_planner.diffusion.noise import NoiseSchedule
from df_planner.diffusion.objective import diffusion_loss
from df_planner.diffusion.objective import DrawLevels
from df_planner.errors import TrainingDiverged
from df_planner.training.batches import Batch
from df_planner.training.batches import BatchSource
from df_planner.training.batches import Share
from df_planner.training.config import RunConfig
from df_planner.training.processes import end_all
from df_planner.training.processes import none_may_be_lost
from df_planner.training.processes import on_first
from df_planner.training.processes import StopRequests
from df_planner.training.progress_log import ProgressLog
from df_planner.training.progress_log import Speed
from df_planner.training.run import read_state
from df_planner.training.run import Run

TRAINING, HELD_OUT = 0, 1  # streams of batches
HELD_OUT_BATCHES = 8


class Trainer:
    """
    What the steps of a run have in common.

    :param held_out: batches of the held-out loss, None for none.
    :param levels: draws the noise levels of a batch.
    """

    def __init__(self, run: Run, batches: BatchSource, held_out: BatchSource | None,
                 levels: DrawLevels, config: RunConfig, fabric: Fabric):
        """Set up the network and its optimiser on this process's device."""
        self.run, self.config, self.fabric = run, config, fabric
        self._batches, self._held_out = batches, held_out
        self._noise = NoiseSchedule(config.num_levels, fabric.device)
        self._levels = levels
        self._model, self._optimizer = fabric.setup(run.denoiser, run.optimizer)
        first = fabric.global_rank * config.accumulate
        self._shares = [Share(first + i, fabric.world_size * config.accumulate)
                        for i in range(config.accumulate)]
        self._recent: list[torch.Tensor] = []
        self._speed = Speed()

    def train(self, run_dir: Path) -> None:
        """
        Take the remaining steps; Ctrl-C or SIGTERM stops between two, with the state saved.

        :raises TrainingDiverged: if a gradient is not finite; the saved state is from before.
        """
        run, config, fabric = self.run, self.config, self.fabric
        state, first, stopped = run_dir / 'state.pt', fabric.is_global_zero, False
        resumed = run.seconds
        started = saved = time.monotonic()
        with (StopRequests(fabric) as requests,
              tqdm(total=config.steps, initial=run.step, unit='step', desc=config.name,
                   disable=not first) as bar,
              ProgressLog(run_dir, run, config) if first else nullcontext() as log):
            self._speed.restart()
            while not run.finished(config) and not stopped:
                self._step()
                run.seconds = resumed + time.monotonic() - started
                bar.update()
                if run.step % config.log_interval_steps == 0 or run.step == config.steps:
                    self._log(log, bar)
                if first and time.monotonic() - saved > config.save_interval_s:
                    run.save(state, config)
                    saved = time.monotonic()
                stopped = requests.agreed(run.step)
        if first:
            run.save(state, config)
        if stopped:
            if first:
                print(f'stopped at step {run.step}; the same command goes on from there')
            end_all(fabric, requests.exception())

    def _step(self) -> None:
        """Take one optimiser step."""
        run, config, fabric = self.run, self.config, self.fabric
        for group in run.optimizer.param_groups:
            group['lr'] = config.learning_rate * learning_rate_factor(run.step, config)
        self._optimizer.zero_grad(set_to_none=True)
        losses = []
        for share in self._shares:
            batch = self._batches.draw(TRAINING, run.step, share)
            with fabric.no_backward_sync(self._model, enabled=share is not self._shares[-1]):
                loss = self._loss(self._model, batch)
                fabric.backward(loss * fabric.world_size)  # processes average what must be added
            losses.append(loss.detach())
        norm = nn.utils.clip_grad_norm_(run.denoiser.parameters(), config.gradient_clip)
        if not torch.isfinite(norm):
            end_all(fabric, TrainingDiverged(
                f'{config.name}: the gradient of step {run.step + 1} is not finite; lower '
                f'learning_rate ({config.learning_rate:g}) and set another name'))
        self._optimizer.step()
        run.average.update_parameters(run.denoiser)
        run.step += 1
        self._recent.append(torch.stack(losses).sum())
        self._speed.count(batch.windows, batch.num_tokens)

    def _loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Return what a share of a batch contributes to the loss of the batch."""
        device = self.fabric.device
        levels, carries_loss = self._levels(
            batch.windows, batch.tokens.shape[1], len(model.part_sizes), self.config.num_levels,
            batch.generator)
        with self.fabric.autocast():
            return diffusion_loss(model, self._noise, batch.tokens.to(device), levels.to(device),
                                  batch.generator, carries_loss.to(device), batch.rows)

    def _log(self, log: ProgressLog | None, bar: tqdm) -> None:
        """Add a row: the loss since the row before, the held-out loss, the speed."""
        rates = self._speed.per_s()
        if self._held_out is not None:
            share = Share(self.fabric.global_rank, self.fabric.world_size)
            with torch.no_grad():
                losses = [self._loss(self.run.average.module,
                                     self._held_out.draw(HELD_OUT, i, share))
                          for i in range(HELD_OUT_BATCHES)]
            self.run.note_held_out(self._mean(losses), self.config)
        loss = self._mean(self._recent)
        self._recent.clear()
        if log is not None:
            log.add(self.run, loss, rates)
            bar.set_postfix(loss=f'{loss:.4f}', held_out=self.run.held_out_loss,
                            tokens_per_s=f'{rates["tokens_per_s"]:.0f}')
        self._speed.restart()

    def _mean(self, losses: list[torch.Tensor]) -> float:
        """Return the mean over batches of what all processes contributed to their losses."""
        return float(self.fabric.all_reduce(torch.stack(losses).mean(), reduce_op='sum'))


def optimised(denoiser: Denoiser, batches: BatchSource, held_out: BatchSource | None,
              levels: DrawLevels, config: RunConfig, fabric: Fabric) -> Run:
    """
    Return the run after its last step, begun anew or where an earlier one stopped.

    :raises CheckpointError: if the saved state of the run cannot be read.
    :raises ConfigError: if it is of another configuration.
    :raises TrainingDiverged: if a gradient is not finite.
    :raises ProcessLost: if another process of the run has ended.
    """
    run = Run.new(denoiser.to(fabric.device), config)
    run_dir = config.run_dir / config.name
    state = fabric.broadcast(on_first(fabric, lambda: read_state(run_dir / 'state.pt', config)))
    if state is not None:
        run.restore(state)
    if fabric.is_global_zero:
        run_dir.mkdir(parents=True, exist_ok=True)
    with none_may_be_lost(fabric):
        Trainer(run, batches, held_out, levels, config, fabric).train(run_dir)
        fabric.barrier()
    return run


def learning_rate_factor(step: int, config: RunConfig) -> float:
    """Return the share of the peak learning rate: linear warm-up, then a cosine to zero."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return 0.5 * (1.0 + math.cos(math.pi * done))
