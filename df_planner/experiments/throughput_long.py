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
Throughput of training from a log longer than the memory.

Throughput and memory with a log that is longer than what one wants to hold in memory.

A log of any length for measurements: another log over and over, blurred.

Simulating a hundred million rows takes hours, and what is measured does not depend on where the
robot drives. Every repetition is a stretch of its own,
because the robot jumps back to where the log begins, and differs from the others by noise.
"""

import os
from pathlib import Path

import h5py
import numpy as np
from tqdm import tqdm

from df_planner.data.d4rl import Dataset
from df_planner.data.d4rl import FLAG_KEYS
from df_planner.data.d4rl import load_dataset
from df_planner.data.d4rl import row_shapes_of
from df_planner.experiments.throughput import Plan
from df_planner.experiments.throughput import Row
from df_planner.experiments.throughput_data import measure_in_process
from df_planner.experiments.throughput_training import train_some
from df_planner.experiments.throughput_training import WARM_UP_STEPS
from df_planner.robots.signals import ATTRIBUTE

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


BLOCK_ROWS = 262144
OBSERVATION_NOISE, ACTION_NOISE = 1e-3, 1e-2  # standard deviations, in the units of the log


def write_long_log(source: Dataset, num_rows: int, path: Path, seed: int = 0) -> None:
    """Write ``num_rows`` rows that repeat a log; not compressed, which would take long."""
    arrays = {'observations': source.observations, 'actions': source.actions,
              'rewards': source.rewards, 'terminals': source.terminals,
              'timeouts': source.timeouts}
    shapes = row_shapes_of(source.signals)
    random = np.random.default_rng(seed)
    with (h5py.File(path, 'w') as file,
          tqdm(total=num_rows, desc='long log', unit='row', unit_scale=True) as bar):
        for key in arrays:
            file.create_dataset(key, (num_rows, *shapes[key]),
                                bool if key in FLAG_KEYS else np.float32)
        file.attrs.update(source.attributes)
        file.attrs['repeated_sha256'] = source.sha256
        file.attrs[ATTRIBUTE] = source.signals.model_dump_json()
        written = 0
        while written < num_rows:
            first = written % len(source)
            count = min(BLOCK_ROWS, len(source) - first, num_rows - written)
            block = {key: array[first:first + count] for key, array in arrays.items()}
            for key, noise in (('observations', OBSERVATION_NOISE), ('actions', ACTION_NOISE)):
                block[key] = block[key] + noise * random.standard_normal(
                    block[key].shape, dtype=np.float32)
            block['actions'] = block['actions'].clip(-1.0, 1.0)
            for key, values in block.items():
                file[key][written:written + count] = values
            written += count
            bar.update(count)
