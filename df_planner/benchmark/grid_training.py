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

"""Train, before a grid is evaluated, the models that its rows are trained for."""

from collections.abc import Callable
from collections.abc import Mapping
from contextlib import closing
from contextlib import redirect_stderr
from contextlib import redirect_stdout
import os
from pathlib import Path

from df_planner.benchmark.grid_run import locked
from df_planner.benchmark.grid_run import reason
from df_planner.benchmark.jobs import Engine
from df_planner.benchmark.jobs import Job
from df_planner.benchmark.trained_models import Training
from df_planner.training.train import train


def train_missing(
    trainings: Mapping[str, Training],
    out_dir: Path,
    engine: Engine,
    on_training: Callable[[Training, str | None], None] = lambda training, failure: None,
) -> dict[str, str]:
    """
    Train what is not trained yet; return why the others could not be trained, by checkpoint.

    :param trainings: by checkpoint.
    :param on_training: called with every training that is done and the reason if it failed.
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
    """Train in a worker, whose words would get between those of others."""
    with open(os.devnull, 'w') as nowhere, redirect_stderr(nowhere), redirect_stdout(nowhere):
        train(file, overrides)
