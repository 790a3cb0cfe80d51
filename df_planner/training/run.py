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

"""The state of a training run: what changes while training, saved to go on after a kill."""

from copy import deepcopy
from dataclasses import dataclass
import json
from pathlib import Path
import pickle
from typing import Self

import torch
from torch.optim.swa_utils import AveragedModel
from torch.optim.swa_utils import get_ema_multi_avg_fn

from df_planner.diffusion.denoiser import Denoiser
from df_planner.errors import CheckpointError
from df_planner.errors import ConfigError
from df_planner.files import replace_files
from df_planner.training.config import RunConfig

STATE_VERSION = 2


@dataclass
class Run:
    """
    All that changes while training, and what is needed to go on after a kill.

    :param best: the averaged weights of the lowest held-out loss, ``best_loss``, and their step;
        kept where the configuration says to stop early.
    """

    denoiser: Denoiser
    average: AveragedModel
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    held_out_loss: float | None = None
    best: dict[str, torch.Tensor] | None = None
    best_loss: float | None = None
    best_step: int = 0

    @classmethod
    def new(cls, denoiser: Denoiser, config: RunConfig) -> Self:
        """Return a run at its first step."""
        return cls(denoiser,
                   AveragedModel(denoiser, multi_avg_fn=get_ema_multi_avg_fn(config.ema_decay)),
                   torch.optim.AdamW(denoiser.parameters(), config.learning_rate,
                                     betas=(0.9, 0.99), weight_decay=config.weight_decay))

    def note_held_out(self, loss: float, config: RunConfig) -> None:
        """Take down a held-out loss of the averaged weights, and these if there were no better."""
        self.held_out_loss = loss
        if config.patience_steps and (self.best_loss is None or loss < self.best_loss):
            self.best_loss, self.best_step = loss, self.step
            self.best = {k: v.clone() for k, v in self.average.module.state_dict().items()}

    def finished(self, config: RunConfig) -> bool:
        """Tell whether all steps are done, or the held-out loss has stopped falling."""
        if self.step >= config.steps:
            return True
        return bool(config.patience_steps and self.step % config.log_interval_steps == 0
                    and self.step - self.best_step >= config.patience_steps)

    def result(self) -> tuple[Denoiser, int, float | None]:
        """Return the network to keep, the step that it is of, and its held-out loss."""
        if self.best is None:
            return self.average.module, self.step, self.held_out_loss
        network = deepcopy(self.average.module)
        network.load_state_dict(self.best)
        return network, self.best_step, self.best_loss

    def save(self, path: Path, config: RunConfig) -> None:
        """Write the state; a kill leaves the one before or this one, whole."""
        replace_files({path: lambda file: torch.save({
            'version': STATE_VERSION, 'config': json.dumps(config.identity()),
            'denoiser': self.denoiser.state_dict(), 'average': self.average.state_dict(),
            'optimizer': self.optimizer.state_dict(), 'step': self.step,
            'seconds': self.seconds, 'held_out_loss': self.held_out_loss, 'best': self.best,
            'best_loss': self.best_loss, 'best_step': self.best_step}, file)})

    def restore(self, state: dict) -> None:
        """Go on from a saved state."""
        self.denoiser.load_state_dict(state['denoiser'])
        self.average.load_state_dict(state['average'])
        self.optimizer.load_state_dict(state['optimizer'])
        for name in ('step', 'seconds', 'held_out_loss', 'best', 'best_loss', 'best_step'):
            setattr(self, name, state[name])


def read_state(path: Path, config: RunConfig) -> dict | None:
    """
    Return the saved state of a run of this configuration; None if there is none.

    :raises CheckpointError: if it is damaged or of another version.
    :raises ConfigError: if it belongs to another configuration.
    """
    if not path.exists():
        return None
    anew = 'delete it to start anew, or set another name or run_dir'
    try:
        state = torch.load(path, weights_only=True, map_location='cpu')
        version = state.get('version', 1)
    except (OSError, RuntimeError, ValueError, EOFError, AttributeError, KeyError,
            pickle.UnpicklingError) as error:
        raise CheckpointError(f'{path}: damaged, or not the state of a run; {anew}') from error
    if version != STATE_VERSION:
        raise CheckpointError(f'{path}: state version {version} cannot be read, this version of '
                              f'df_planner reads {STATE_VERSION}; {anew}')
    if not _is_of(state['config'], config):
        raise ConfigError(f'{path.parent}: holds a run with another configuration; {anew}')
    return state


def _is_of(saved: str, config: RunConfig) -> bool:
    """Compare a saved identity, in which fields that came later are at their defaults."""
    wanted = config.identity()
    defaults = {name: type(config).model_fields[name].default for name in wanted}
    return {**defaults, **json.loads(saved)} == wanted
