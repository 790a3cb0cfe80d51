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
The checkpoint format: ``NAME.safetensors`` with the weights and ``NAME.json`` with the model card.

The card holds all that is needed to rebuild and to judge the model. Nothing is unpickled. A
planner's card is a ``ModelCard``; the forecaster has its own kind of card in the same format.
"""

from contextlib import suppress
import json
import os
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save

from df_planner.configuration import faults
from df_planner.diffusion.denoiser import Denoiser
from df_planner.diffusion.networks import build_denoiser
from df_planner.diffusion.networks import NetworkName
from df_planner.errors import CheckpointError
from df_planner.files import placeholder
from df_planner.files import replace_files
from df_planner.files import share_path
from df_planner.model.normalizer import Normalizer
from df_planner.robots.kinds import robot_kind

FORMAT_VERSION = 2  # tokens are in the frame of the first pose; those of 1 knew one maze each


class _Section(BaseModel):
    model_config = ConfigDict(extra='forbid', frozen=True)


class Architecture(_Section):
    """The arguments of ``build_denoiser``."""

    network: NetworkName = 'transformer'
    part_sizes: tuple[int, ...]
    max_tokens: int
    num_levels: int
    width: int
    num_layers: int
    num_heads: int

    def build(self) -> Denoiser:
        """Return an untrained network."""
        return build_denoiser(**self.model_dump())


class Statistics(_Section):
    """
    Statistics of states and actions in the data.

    ``velocity_change`` and ``drift`` are the 99.95 % quantiles, per axis, of what happens within
    one token: the change of velocity, and the displacement that the mean of the two end velocities
    does not explain. A plan that exceeds them is out of distribution.
    """

    state_mean: tuple[float, ...]
    state_std: tuple[float, ...]
    action_mean: tuple[float, ...]
    action_std: tuple[float, ...]
    velocity_change: tuple[float, ...]
    drift: tuple[float, ...]
    max_speed: tuple[float, ...]


class Card(_Section):
    """What every kind of card holds."""

    format_version: int | str
    name: str


class ModelCard(Card):
    """Everything about a planner's model but its weights."""

    description: str
    architecture: Architecture
    statistics: Statistics
    frame_stack: int
    dt_s: float
    observation_names: tuple[str, ...]
    observation_units: tuple[str, ...]
    action_names: tuple[str, ...]
    action_units: tuple[str, ...]
    action_limits: tuple[float, ...] = (1.0, 1.0)  # of the models of Maze2D
    robot_radius_m: float = 0.1
    observation_to_map: tuple[tuple[float, float], tuple[float, float]]
    dataset_sha256: str
    dataset_attributes: dict[str, str | int | float | bool]
    training_command: str
    training_config: dict[str, str | int | float | bool]
    training_steps: int
    training_processes: int = 1
    training_hours: float
    held_out_loss: float | None
    seed: int
    git_revision: str
    init_sha256: str | None = None  # of the weights that the training started from
    earlier_stages: list[dict[str, object]] = []  # of the models before it: how each was trained
    scores: list[dict[str, object]] = []

    @property
    def robot(self) -> str | None:
        """Return the kind of the robot, None if it is unknown."""
        return robot_kind(self.observation_names, self.action_names)

    def normalizer(self) -> Normalizer:
        """Return the normaliser the model was trained with."""
        values = self.statistics
        return Normalizer(*(np.array(v) for v in (
            values.state_mean, values.state_std, values.action_mean, values.action_std)))


AnyCard = TypeVar('AnyCard', bound=Card)


def find_checkpoint(name_or_path: str | Path) -> Path:
    """
    Return the .safetensors path of a shipped name (``point``) or of a path.

    :raises CheckpointError: if there is none, naming the shipped ones.
    """
    path = Path(os.path.expanduser(name_or_path))
    if path.suffix in ('.safetensors', '.json'):
        path = path.with_suffix('')
    weights = path.with_name(path.name + '.safetensors')
    if weights.exists():
        return weights
    shipped = {}
    with suppress(FileNotFoundError):
        shipped = {p.stem: p for p in sorted(share_path('checkpoints').glob('*.safetensors'))}
    if str(path) in shipped:
        return shipped[str(path)]
    raise CheckpointError(f'{name_or_path}: no such checkpoint; give a .safetensors file or one '
                          f'of the shipped names: {", ".join(shipped) or "none are installed"}; '
                          'to make one, run `df_planner data generate` or `data import`, then '
                          '`df_planner train`')


def load_card(name_or_path: str | Path) -> ModelCard:
    """
    Read the model card of a checkpoint.

    :raises CheckpointError: if it is missing, broken, or of another format version.
    """
    return read_card(find_checkpoint(name_or_path), ModelCard, FORMAT_VERSION)


def read_card(path: Path, kind: type[AnyCard], version: int | str) -> AnyCard:
    """
    Read the card beside the weights of a checkpoint.

    :param kind: of the card, whose field ``format_version`` must be ``version``.
    :raises CheckpointError: if it is missing, broken, or of another format version.
    """
    path = path.with_suffix('.json')
    try:
        values = json.loads(path.read_text(encoding='utf-8'))
    except FileNotFoundError as error:
        raise CheckpointError(f'{path}: the model card is missing; a checkpoint is a .safetensors '
                              'file with a .json card of the same name beside it') from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f'{path}: not a readable model card: {error}') from error
    found = values.get('format_version') if isinstance(values, dict) else None
    if found != version:
        raise CheckpointError(f'{path}: format version {found!r} cannot be read; this version '
                              f'of df_planner reads {version!r} here: train the model again')
    try:
        return kind(**values)
    except ValidationError as error:
        raise CheckpointError(f'{path}: {faults(error)}') from error


def load_checkpoint(name_or_path: str | Path, device: str = 'cpu') -> tuple[Denoiser, ModelCard]:
    """
    Return the network, in evaluation mode, and its card.

    :raises CheckpointError: if either file is missing or broken or they do not belong together.
    """
    path = find_checkpoint(name_or_path)
    card = load_card(path)
    return load_denoiser(path, card.architecture).to(device), card


def load_denoiser(path: Path, architecture: Architecture) -> Denoiser:
    """
    Return the network in a file of weights, in evaluation mode.

    :raises CheckpointError: if the weights cannot be read or are of another architecture.
    """
    denoiser = architecture.build()
    try:
        denoiser.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        if (stands_for := placeholder(path)) is not None:
            raise CheckpointError(f'{path}: {stands_for}') from error
        reason = ' '.join(str(error).split())[:300]
        raise CheckpointError(f'{path}: the weights cannot be read or do not fit the card: '
                              f'{reason}') from error
    return denoiser.eval().requires_grad_(False)


def save_checkpoint(directory: Path, denoiser: Denoiser, card: Card) -> Path:
    """Write weights and card, both or none; return the path of the weights."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f'{card.name}.safetensors'
    weights = {k: v.detach().cpu().contiguous() for k, v in denoiser.state_dict().items()}
    replace_files({path.with_suffix('.json'): card.model_dump_json(indent=2) + '\n',
                   path: lambda file: file.write(save(weights))})
    return path
