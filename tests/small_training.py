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

"""A training run of a second, for the tests."""

import csv
from pathlib import Path

import yaml

from df_planner.training.config import load_stages
from df_planner.training.config import TrainConfig

SMALL = {'name': 'small', 'max_tokens': 6, 'width': 16, 'num_layers': 1,
         'num_heads': 2, 'steps': 40, 'tokens_per_batch': 64, 'warmup_steps': 5,
         'log_interval_steps': 10, 'num_threads': 1, 'holdout_share': 0.1}


def write_config(folder: Path, dataset: Path, /, **changes: object) -> Path:
    """Write the configuration of a small run that keeps everything in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    values = {**SMALL, 'dataset': str(dataset), 'run_dir': str(folder / 'runs'),
              'out_dir': str(folder / 'out'), **changes}
    path = folder / 'config.yaml'
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding='utf-8')
    return path


def load_config(path: Path, overrides: dict[str, object] | None = None) -> TrainConfig:
    """Return the configuration of the last, or only, stage of a training file."""
    *_, config = load_stages(path, overrides).values()
    return config


def read_log(folder: Path) -> list[dict[str, float]]:
    """Return the rows of loss.csv of the small run in a folder."""
    with (folder / 'runs/small/loss.csv').open(encoding='utf-8') as file:
        return [{name: float(value) for name, value in row.items()}
                for row in csv.DictReader(file)]
