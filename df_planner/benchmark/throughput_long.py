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

"""Throughput and memory with a log that is longer than what one wants to hold in memory."""

import os

from df_planner.benchmark.long_log import write_long_log
from df_planner.benchmark.throughput import Plan
from df_planner.benchmark.throughput import Row
from df_planner.benchmark.throughput_data import measure_in_process
from df_planner.benchmark.throughput_training import train_some
from df_planner.benchmark.throughput_training import WARM_UP_STEPS
from df_planner.data.d4rl import load_dataset

SECTION = 'long'


def measure_long(plan: Plan) -> list[Row]:
    """Return how a long log opens, how it is read, and what training on it takes of the memory."""
    source = plan.config()
    path = plan.folder / 'long.hdf5'
    write_long_log(load_dataset(source.dataset), plan.rows, path)
    config = source.model_copy(update={'dataset': path})
    copied = measure_in_process(plan, config, 'long-copied')
    found = measure_in_process(plan, config, 'long')
    threads = len(os.sched_getaffinity(0))
    training = train_some(plan, config, 'bf16-mixed', threads, 'cpu', whole=True, label='long')
    per_s = {'loader': found['tokens'] / found['seconds'],
             'training': training['tokens'] / training['seconds']}
    log = f'{plan.rows:,} rows, {source.dataset.name} repeated with noise'
    return [
        Row(SECTION, 'arrays of the log', found['arrays_mib'], 'MiB', log),
        Row(SECTION, 'opening it for the first time', copied['open_s'], 's',
            'checked, and copied into the file that is mapped'),
        Row(SECTION, 'opening it', found['open_s'], 's',
            f'mapped: {found["mapped"]}; the hash of the file is most of it'),
        Row(SECTION, 'resident memory of training, most at once', training['resident_mib'], 'MiB',
            f'mapped pages included; a run of {WARM_UP_STEPS + plan.steps} steps with held-out '
            'loss, arrival time and card'),
        Row(SECTION, "memory of training that is no file's, most at once", training['own_mib'],
            'MiB', 'the same run, libraries included'),
        Row(SECTION, 'loader alone', per_s['loader'], 'tokens/s',
            f'batches as configured, {found["batches"]} in {found["seconds"]:.1f} s'),
        Row(SECTION, 'consumed by training, bf16-mixed', per_s['training'], 'tokens/s',
            f'{threads} thread{"s" * (threads > 1)}, {training["steps"]} steps in '
            f'{training["seconds"]:.1f} s'),
        Row(SECTION, 'loader to training', per_s['loader'] / per_s['training'], 'times',
            'above 5 the loader is no bottleneck', 'derived')]
