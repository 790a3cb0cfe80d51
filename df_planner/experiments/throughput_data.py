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
Throughput of the data path: opening a log, and windows from it, beside what training consumes.

Run as a program it measures one configuration and prints JSON: what a log takes of the memory is
seen in a fresh process only.
"""

import json
import subprocess
import sys
import time

import numpy as np

from df_planner.data.d4rl import load_dataset
from df_planner.errors import ConfigError
from df_planner.evaluation.machine import memory_mib
from df_planner.experiments.throughput import Plan
from df_planner.experiments.throughput import Row
from df_planner.experiments.throughput_training import train_some
from df_planner.model.normalizer import Normalizer
from df_planner.training.batches import Batches
from df_planner.training.config import load_config
from df_planner.training.config import TrainConfig


def measure_data(plan: Plan) -> list[Row]:
    """Return how a log opens, and how much faster it is read than the fastest training needs."""
    config = plan.config()
    for _ in range(2):  # the first may have to make the copy that is mapped
        found = measure_in_process(plan, config, 'data')
    # On a machine that is not idle two threads wait for each other and are the slower ones.
    training = max((train_some(plan, config, 'bf16-mixed', threads, 'cpu') for threads in (1, 2)),
                   key=lambda trained: trained['tokens'] / trained['seconds'])
    per_s = {'loader': found['tokens'] / found['seconds'],
             'training': training['tokens'] / training['seconds']}
    log = f'{config.dataset.name}, {found["rows"]:,} rows'
    batches = f'batches as configured, {found["batches"]} in {found["seconds"]:.1f} s'
    return [
        Row('data', 'opening the log', found['open_s'], 's', f'{log}, mapped: {found["mapped"]}'),
        Row('data', 'memory of the open log', found['open_mib'], 'MiB',
            f'of the process itself; the arrays hold {found["arrays_mib"]:.0f} MiB'),
        Row('data', 'loader alone', found['windows'] / found['seconds'], 'windows/s', batches),
        Row('data', 'loader alone', per_s['loader'], 'tokens/s', batches),
        Row('data', 'consumed by training, bf16-mixed', per_s['training'], 'tokens/s',
            f'the faster of 1 and 2 threads, {training["steps"]} steps in '
            f'{training["seconds"]:.1f} s'),
        Row('data', 'loader to training', per_s['loader'] / per_s['training'], 'times',
            'above 5 the loader is no bottleneck', 'derived')]


def measure_in_process(plan: Plan, config: TrainConfig, label: str) -> dict:
    """
    Return what ``measure_log`` measures, in a process of its own.

    :raises ConfigError: with its last words, if it fails.
    """
    path = plan.folder / f'{label}.yaml'
    path.write_text(json.dumps(config.model_dump(mode='json')), encoding='utf-8')
    done = subprocess.run(
        [sys.executable, '-m', __name__, str(path), str(plan.seconds)], capture_output=True,
        text=True, check=False)
    if done.returncode != 0:
        raise ConfigError('the data path cannot be measured: '
                          + (done.stderr.strip().splitlines() or ['no message'])[-1])
    return json.loads(done.stdout)


def measure_log(config: TrainConfig, seconds: float) -> dict:
    """Open a log and draw training batches from it; call it in a fresh process."""
    before_mib, started = memory_mib('RssAnon'), time.perf_counter()
    dataset = load_dataset(config.dataset)
    open_s, open_mib = time.perf_counter() - started, memory_mib('RssAnon') - before_mib
    batches = Batches(dataset, slice(None), Normalizer.fit(dataset.observations, dataset.actions),
                      config)
    batches.draw(0, 0)
    count = windows = tokens = 0
    started = time.perf_counter()
    while (spent := time.perf_counter() - started) < seconds:
        batch, length, _ = batches.draw(0, count).tokens.shape
        count, windows, tokens = count + 1, windows + batch, tokens + batch * length
    arrays = (dataset.observations, dataset.actions, dataset.rewards, dataset.terminals,
              dataset.timeouts)
    return {'open_s': open_s, 'open_mib': open_mib, 'rows': len(dataset),
            'mapped': isinstance(dataset.observations.base, np.memmap),
            'arrays_mib': sum(array.nbytes for array in arrays) / 2**20,
            'batches': count, 'windows': windows, 'tokens': tokens, 'seconds': spent}


if __name__ == '__main__':
    print(json.dumps(measure_log(load_config(sys.argv[1]), float(sys.argv[2]))))
