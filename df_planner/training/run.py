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

from dataclasses import dataclass
import json
import os
from pathlib import Path

import torch
from torch.optim.swa_utils import AveragedModel

from df_planner.diffusion.denoiser import Denoiser
from df_planner.errors import ConfigError
from df_planner.training.config import TrainConfig


@dataclass
class Run:
    """All that changes while training, and what is needed to go on after a kill."""

    denoiser: Denoiser
    average: AveragedModel
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    held_out_loss: float | None = None

    def save(self, path: Path, config: TrainConfig) -> None:
        """Write the state by an atomic rename."""
        partial = path.with_suffix('.partial')
        torch.save({'denoiser': self.denoiser.state_dict(), 'average': self.average.state_dict(),
                    'optimizer': self.optimizer.state_dict(), 'step': self.step,
                    'seconds': self.seconds, 'held_out_loss': self.held_out_loss,
                    'config': json.dumps(config.identity())}, partial)
        os.replace(partial, path)

    def restore(self, path: Path, config: TrainConfig) -> None:
        """Go on from a saved state; ConfigError if it belongs to another configuration."""
        state = torch.load(path, weights_only=True, map_location='cpu')
        if not _is_of(state['config'], config):
            raise ConfigError(f'{path.parent}: holds a run with another configuration; delete it '
                              'to start anew, or set another name or run_dir')
        self.denoiser.load_state_dict(state['denoiser'])
        self.average.load_state_dict(state['average'])
        self.optimizer.load_state_dict(state['optimizer'])
        self.step, self.seconds = state['step'], state['seconds']
        self.held_out_loss = state['held_out_loss']


def _is_of(saved: str, config: TrainConfig) -> bool:
    """Compare a saved identity, in which fields that came later are at their defaults."""
    wanted = config.identity()
    defaults = {name: TrainConfig.model_fields[name].default for name in wanted}
    return {**defaults, **json.loads(saved)} == wanted
