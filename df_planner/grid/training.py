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
Train the models that rows of a grid ask for: a training configuration with a seed.

The name of such a model ends with a checksum of everything it depends on: the configuration with
its seed, the log, and the checkpoint that it starts from. A changed configuration makes another
model, and the others stay. Models, states and losses lie in ``OUT/models``; a training that was
stopped resumes from its saved state.
"""

from collections.abc import Callable
from collections.abc import Mapping
from contextlib import closing
from contextlib import redirect_stderr
from contextlib import redirect_stdout
from dataclasses import dataclass
import functools
import hashlib
import json
import os
from pathlib import Path

from df_planner.data.d4rl import file_sha256
from df_planner.evaluation.jobs import Engine
from df_planner.evaluation.jobs import Job
from df_planner.evaluation.jobs import locked
from df_planner.evaluation.jobs import reason
from df_planner.training.config import config_path
from df_planner.training.config import load_stages
from df_planner.training.config import TrainConfig
from df_planner.training.train import train


@dataclass(frozen=True)
class Training:
    """
    The training of one model.

    :param overrides: values that replace those of the file, and give ``stages``.
    """

    file: Path
    overrides: dict[str, object]
    stages: tuple[TrainConfig, ...]

    @property
    def config(self) -> TrainConfig:
        """Return the configuration of the last stage, whose model it is."""
        return self.stages[-1]

    @property
    def steps(self) -> int:
        """Return the steps of all stages."""
        return sum(config.steps for config in self.stages)

    @property
    def checkpoint(self) -> str:
        """Return the path of the model, without suffix."""
        return str(self.config.out_dir / self.config.name)

    def finished(self) -> bool:
        """Tell whether the model exists."""
        return Path(f'{self.checkpoint}.safetensors').exists()

    def steps_done(self) -> int:
        """Return the steps so far, as of the last whole rows of the logs of losses."""
        return sum(map(_steps_done, self.stages))


def training(name_or_path: str, seed: int, out_dir: Path) -> Training:
    """
    Return the training of a configuration with a seed, in one process.

    :param out_dir: folder of the benchmark.
    :raises ConfigError: if the configuration cannot be read or is wrong.
    """
    file, models = config_path(name_or_path), str(out_dir / 'models')
    stages = tuple(load_stages(file, {'seed': seed}).values())
    config = stages[-1]
    overrides = {
        'name': f'{config.name}-seed{seed}-{_checksum(stages)}', 'seed': seed, 'devices': 1,
        'num_threads': max(1, config.num_threads), 'run_dir': models, 'out_dir': models}
    return Training(file, overrides, tuple(load_stages(file, overrides).values()))


def _checksum(stages: tuple[TrainConfig, ...]) -> str:
    """Return eight digits that change with everything the model depends on."""
    first, *others = ({**config.identity(), 'dataset_sha256': _sha256(config.dataset)}
                      for config in stages)
    for identity in others:  # starts from the stage before, whose identity is here
        del identity['init']
        identity.pop('init_sha256', None)
    identity = {**first, 'stages': others} if others else first
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]


def _steps_done(config: TrainConfig) -> int:
    if Path(config.out_dir, f'{config.name}.safetensors').exists():
        return config.steps
    log = config.run_dir / config.name / 'loss.csv'
    rows = log.read_text(encoding='utf-8').split('\n')[1:-1] if log.exists() else []
    return int(rows[-1].partition(',')[0]) if rows else 0


@functools.cache
def _sha256(path: Path) -> str | None:
    """Return the hash of a file; None if it is missing, on which training will fail."""
    return file_sha256(path) if path.exists() else None


def train_missing(trainings: Mapping[str, Training], out_dir: Path, engine: Engine,
                  on_training: Callable[[Training, str | None], None]) -> dict[str, str]:
    """
    Train the missing models; return why some could not be trained, by checkpoint.

    :param trainings: by checkpoint.
    :param on_training: called with every training that ended, and the reason if it failed.
    :raises ConfigError: if another process works in the same folder.
    """
    failures = {}
    jobs = [Job(checkpoint, _train, (training.file, training.overrides),
                training.config.num_threads, int(training.config.device == 'cuda'))
            for checkpoint, training in trainings.items() if not training.finished()]
    if not jobs:
        return failures
    with locked(out_dir), closing(engine.outcomes(jobs)) as outcomes:
        for job, outcome in outcomes:
            if isinstance(outcome, Exception):
                failures[job.group] = reason(outcome)
            on_training(trainings[job.group], failures.get(job.group))
    return failures


def _train(file: Path, overrides: dict[str, object]) -> None:
    """Train in a worker, silently: its output would mix with that of others."""
    with open(os.devnull, 'w') as nowhere, redirect_stderr(nowhere), redirect_stdout(nowhere):
        train(file, overrides)
