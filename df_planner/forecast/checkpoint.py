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

"""The checkpoint of a forecaster: weights (``safetensors``) and a card (``json``)."""

import json
from pathlib import Path

import numpy as np
from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save

from df_planner.diffusion.denoiser import Denoiser
from df_planner.diffusion.networks import build_denoiser
from df_planner.errors import CheckpointError
from df_planner.files import replace_files
from df_planner.forecast.config import ForecastConfig

KIND = 'forecaster, version 1'


class ForecastCard(BaseModel):
    """
    Everything about a forecaster but its weights.

    :param mean: (C,) and ``std`` (C,) of the training rows, in the units of the series.
    """

    model_config = ConfigDict(extra='forbid', frozen=True)

    kind: str
    names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    series_sha256: str
    training_config: dict[str, str | int | float | bool]
    training_steps: int
    training_hours: float
    held_out_loss: float | None

    def config(self) -> ForecastConfig:
        """Return the configuration that it was trained with, but for its folders."""
        return ForecastConfig(**self.training_config)

    def normalized(self, values: np.ndarray) -> np.ndarray:
        """Return values (..., C) with zero mean and unit variance."""
        return (values - np.array(self.mean)) / np.array(self.std)

    def physical(self, values: np.ndarray) -> np.ndarray:
        """Return normalised values (..., C) in the units of the series."""
        return values * np.array(self.std) + np.array(self.mean)


def save_forecaster(path: Path, denoiser: Denoiser, card: ForecastCard) -> None:
    """Write weights and card, both of them or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {k: v.detach().cpu().contiguous() for k, v in denoiser.state_dict().items()}
    replace_files({
        path.with_suffix('.json'):
            lambda file: file.write((card.model_dump_json(indent=2) + '\n').encode()),
        path: lambda file: file.write(save(weights))})


def load_forecaster(path: Path) -> tuple[Denoiser, ForecastCard]:
    """
    Return the network, in evaluation mode, and its card.

    :raises CheckpointError: if a file is missing or broken, or is not of a forecaster.
    """
    try:
        values = json.loads(path.with_suffix('.json').read_text(encoding='utf-8'))
        if not isinstance(values, dict) or values.get('kind') != KIND:
            raise CheckpointError(f'{path}: not the checkpoint of a {KIND}; make one by '
                                  'df_planner forecast train')
        card = ForecastCard(**values)
        architecture = card.config().architecture(len(card.names))
        denoiser = build_denoiser(**architecture.model_dump())
        denoiser.load_state_dict(load_file(path))
    except (OSError, ValueError, ValidationError, SafetensorError, RuntimeError) as error:
        reason = ' '.join(str(error).split())[:300]
        raise CheckpointError(f'{path}: weights or card missing or broken: {reason}') from error
    return denoiser.eval().requires_grad_(False), card
