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

"""Training configuration: one YAML file per model, one schema, every field documented."""

import os
from pathlib import Path
import re
from typing import Annotated
from typing import Literal
from typing import Self

from pydantic import AfterValidator
from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import Field
from pydantic import field_validator
from pydantic import model_validator

from df_planner.configuration import checked
from df_planner.configuration import read_yaml
from df_planner.configuration import shipped_path
from df_planner.data.d4rl import file_sha256
from df_planner.diffusion.networks import NetworkName
from df_planner.diffusion.objective import Levels
from df_planner.errors import CheckpointError
from df_planner.errors import ConfigError
from df_planner.model.checkpoint import Architecture
from df_planner.model.checkpoint import find_checkpoint

UserPath = Annotated[Path, AfterValidator(lambda path: Path(os.path.expanduser(path)))]
# These change where and how a run happens, not what it learns.
RUN_LOCAL = {'device', 'devices', 'accumulate', 'num_threads', 'save_interval_s',
             'log_interval_steps', 'tensorboard', 'run_dir', 'out_dir'}
FOLDERS = {'run_dir', 'out_dir'}
# One command runs all stages in the same processes and folders.
COMMON_TO_STAGES = {'name', 'init', 'device', 'devices', 'run_dir', 'out_dir', 'stages'}


class RunConfig(BaseModel):
    """What every training has in common: the network, its optimiser, and how it runs."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    name: str = Field(description='name of the checkpoint, for example maze2d-medium')
    num_levels: int = Field(1000, ge=10, description='noise level K of pure noise')
    network: NetworkName = Field('transformer', description=(
        'a transformer that sees all tokens, one that sees earlier tokens only, or the small '
        'recurrent network of the paper, which is causal too'))
    width: int = Field(128, ge=8, description='width of the network')
    num_layers: int = Field(6, ge=1, description='blocks of a transformer, layers of a gru')
    num_heads: int = Field(4, ge=1, description='attention heads of a transformer')
    steps: int = Field(10000, ge=1, description='optimiser steps')
    minutes: float = Field(0.0, ge=0.0, description=(
        'wall time that the training ends within, if its steps are not done before: the learning '
        'rate is zero by then; 0 = no end'))
    tokens_per_batch: int = Field(3072, ge=1, description='windows per batch times their tokens')
    learning_rate: float = Field(1e-3, gt=0.0, description='peak learning rate of AdamW')
    warmup_steps: int = Field(500, ge=0, description='steps of linear warm-up before the cosine')
    weight_decay: float = Field(1e-2, ge=0.0, description='weight decay of AdamW')
    gradient_clip: float = Field(1.0, gt=0.0, description='largest norm of a gradient')
    ema_decay: float = Field(0.999, ge=0.0, lt=1.0, description='decay of the averaged weights')
    patience_steps: int = Field(0, ge=0, description=(
        'stop when the held-out loss, measured every log_interval_steps, has had no new minimum '
        'for so many steps, and keep the averaged weights of its minimum; 0 = never'))
    seed: int = Field(0, ge=0, description='seed of weights, windows and noise')
    precision: Literal['32', 'bf16-mixed'] = Field('32', description=(
        'arithmetic of the network; bf16-mixed is 1.6 to 2.3 times as fast on a CPU with AMX'))
    device: str = Field('cpu', description='cpu, cuda or auto')
    devices: int = Field(1, ge=1, description=(
        'processes that share every batch, each with its own device or part of the cores; '
        'torchrun sets their number itself'))
    accumulate: int = Field(1, ge=1, description=(
        'parts of a batch that a process computes one after the other, to save memory'))
    num_threads: int = Field(0, ge=0, description='torch threads, 0 = all cores')
    save_interval_s: float = Field(60.0, gt=0.0, description='seconds between saved states')
    log_interval_steps: int = Field(100, ge=1, description='steps between rows of loss.csv')
    tensorboard: bool = Field(False, description=(
        'also write the rows of loss.csv for TensorBoard; needs the package tensorboard'))
    run_dir: UserPath = Field(Path('runs'), description=(
        'where the run keeps its state and loss log'))
    out_dir: UserPath = Field(Path('checkpoints'), description='where the finished model goes')

    @field_validator('precision', mode='before')
    @classmethod
    def _as_text(cls, value: object) -> object:
        return str(value) if isinstance(value, int) else value  # YAML reads 32 as a number

    def identity(self) -> dict[str, object]:
        """Return what the model depends on: no fields of the machine or of the log of losses."""
        local = RUN_LOCAL - {'log_interval_steps'} if self.patience_steps else RUN_LOCAL
        return self.model_dump(mode='json', exclude=local)

    def architecture(self, part_sizes: tuple[int, ...], max_tokens: int) -> Architecture:
        """Return the network for tokens of such parts."""
        return Architecture(
            network=self.network, part_sizes=part_sizes, max_tokens=max_tokens,
            num_levels=self.num_levels, width=self.width, num_layers=self.num_layers,
            num_heads=self.num_heads)

    def stored(self) -> dict[str, object]:
        """Return the fields for the model card: all but the folders."""
        return self.model_dump(mode='json', exclude=FOLDERS, exclude_none=True)


class TrainConfig(RunConfig):
    """What ``df_planner train`` reads; unknown keys are errors."""

    maze: str | None = Field(None, description=(
        'maze of the data set, for example medium; left out for a robot of another world'))
    dataset: UserPath = Field(description='HDF5 file with the keys of D4RL')
    frame_stack: int = Field(10, ge=1, le=100, description='control steps per token')
    min_tokens: int = Field(2, ge=2, description='shortest training window in tokens')
    max_tokens: int = Field(48, ge=2, le=1024, description='longest training window in tokens')
    levels: Levels = Field('diffusion_forcing', description=(
        'noise levels of a window: a level per token, one for all (Diffuser), or a clean past and '
        'one noisy token, which alone carries loss (next-token prediction)'))
    shared_level: float = Field(0.5, ge=0.0, le=1.0, description=(
        'share of windows with one noise level for all tokens, under diffusion_forcing'))
    relative: bool = Field(False, description=(
        'windows in the frame of their first pose: a model of the robot, for any place; the map '
        'says where it may go'))
    route: float = Field(0.5, ge=0.0, le=1.0, description=(
        'share of relative windows whose positions are known as a route tells them'))
    direct: float = Field(0.5, ge=0.0, le=1.0, description=(
        'share of batches whose windows lie within one drive to a target, where the log marks its '
        'end (timeouts): the way from start to end is then direct'))
    pin_start: float = Field(0.8, ge=0.0, le=1.0, description=(
        'share of windows with a clean first state; all of them under teacher_forcing'))
    pin_end: float = Field(0.6, ge=0.0, le=1.0, description=(
        'share of windows with a clean last position'))
    init: str = Field('', description=(
        'checkpoint of the same architecture whose weights the training starts from'))
    holdout_share: float = Field(0.01, ge=0.0, lt=1.0, description=(
        'share of the log, at its end, that is kept for the held-out loss'))
    arrival_steps: int = Field(8000, ge=0, description=(
        'optimiser steps of the network that predicts the arrival time; 0 = no such network, as '
        'with a log that marks no ends of drives (timeouts)'))

    def identity(self) -> dict[str, object]:
        """Return what the model depends on, with the checksum of the weights it starts from."""
        values = super().identity()
        if self.init:
            try:
                values['init_sha256'] = file_sha256(find_checkpoint(self.init))
            except CheckpointError:
                pass  # raised when the training begins
        return values

    @model_validator(mode='after')
    def _check_held_out(self) -> Self:
        if self.patience_steps and not self.holdout_share:
            raise ValueError('patience_steps needs a held-out loss: set holdout_share above 0')
        return self


def config_path(name_or_path: Path | str) -> Path:
    """Return the file of a configuration: a path, or a shipped name as ``medium``; ConfigError."""
    return shipped_path('config/train', name_or_path, 'configuration')


def load_stages(path: Path | str, overrides: dict[str, object] | None = None
                ) -> dict[str, TrainConfig]:
    """
    Read a training file; return the configuration of every stage, by its name, in order.

    ``stages:`` maps a stage's name to the fields in which it differs from those above. Every stage
    starts from the model of the one before. The last one makes the model ``name``, the others make
    ``name-STAGE`` in the same folder. A file without stages has a single one, named ''.

    :param overrides: values that replace those of the file, in all stages; ``init`` in the first.
    :raises ConfigError: one line that names the file, the field and what is wrong with it.
    """
    path, overrides = Path(path), overrides or {}
    common = {**read_yaml(path), **overrides}
    stages = common.pop('stages', {'': None})
    if not isinstance(stages, dict) or not all(
            re.fullmatch(r'[\w-]*', str(stage)) for stage in stages) or not stages:
        raise ConfigError(f'{path}: stages: must map the name of each stage, of letters and '
                          'digits, to its fields')
    configs: dict[str, TrainConfig] = {}
    init = {}
    for stage, fields in stages.items():
        source = f'{path}: stage {stage}' if stage else str(path)
        if not isinstance(fields, dict | None):
            raise ConfigError(f'{source}: must be a mapping of field names to values')
        if common_to_all := COMMON_TO_STAGES & set(fields or {}):
            raise ConfigError(f'{source}: {min(common_to_all)}: is the same for all stages; set '
                              'it above stages')
        config = checked(TrainConfig, {**common, **(fields or {}), **overrides, **init}, source)
        if len(configs) + 1 < len(stages):
            config = config.model_copy(update={'name': f'{config.name}-{stage}'})
        init = {'init': str(config.out_dir / config.name)}
        configs[str(stage)] = config
    return configs
