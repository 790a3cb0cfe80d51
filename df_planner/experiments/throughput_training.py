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
Throughput of training: some steps of what ``df_planner train`` does, in fresh processes.

Run as a program it trains and writes down the memory that took.
"""

import csv
import json
from pathlib import Path
import subprocess
import sys

from safetensors import safe_open

from df_planner.data.d4rl import load_dataset
from df_planner.errors import ConfigError
from df_planner.evaluation.machine import memory_mib
from df_planner.evaluation.machine import OwnMemoryPeak
from df_planner.experiments.throughput import Plan
from df_planner.experiments.throughput import Row
from df_planner.model.normalizer import Normalizer
from df_planner.training.batches import Batches
from df_planner.training.config import TrainConfig
from df_planner.training.train import train

WARM_UP_STEPS = 3
WHOLE_ARRIVAL_STEPS = 200
ARMS = (('32', 1), ('32', 2), ('bf16-mixed', 1), ('bf16-mixed', 2))  # precision, threads
# The large-maze model of the Diffusion Forcing authors' code: 12 layers of width 128, 4 heads, on
# 800 control steps in tokens of 10. Their code takes 9 to 11 ms per sequence on such a machine.
REFERENCE_SIZE = {'width': 128, 'num_layers': 12, 'num_heads': 4, 'frame_stack': 10,
                  'min_tokens': 81, 'max_tokens': 81, 'direct': 0.0}
REFERENCE_MS = (9.0, 11.0)


def measure_training(plan: Plan) -> list[Row]:
    """Return speeds of the shipped configuration and of a model of the reference's size."""
    shipped = plan.config()
    rows = []
    for precision, threads in ARMS:
        rows += speed_rows(plan, shipped, f'shipped {plan.maze}', precision, threads)
    reference = plan.config(**REFERENCE_SIZE)
    for precision in ('32', 'bf16-mixed'):
        rows += speed_rows(plan, reference, "reference's size", precision, 2)
    low, high = REFERENCE_MS
    rows.append(Row('training', "reference's own code, 2.4 M parameters, 81 tokens, 2 threads",
                    (low + high) / 2, 'ms/sequence', f'{low:g} to {high:g} ms, not measured here',
                    'published'))
    return rows


def speed_rows(plan: Plan, config: TrainConfig, label: str, precision: str, threads: int,
               device: str = 'cpu') -> list[Row]:
    """Train some steps in a process of its own and return its speeds."""
    found = train_some(plan, config, precision, threads, device)
    name = f'{label}, {precision}, {threads} thread{"s" * (threads > 1)}'
    note = (f'{found["parameters"] / 1e6:.1f} M parameters, {found["sequences"]} sequences, '
            f'{found["tokens"]} tokens, {found["steps"]} steps in {found["seconds"]:.1f} s')
    per_s = {unit: found[unit] / found['seconds'] for unit in ('steps', 'sequences', 'tokens')}
    return [Row('training', name, per_s['steps'], 'steps/s', note),
            Row('training', name, per_s['sequences'], 'sequences/s', note),
            Row('training', name, 1e3 / per_s['sequences'], 'ms/sequence', note),
            Row('training', name, per_s['tokens'], 'tokens/s', note)]


def train_some(plan: Plan, config: TrainConfig, precision: str, threads: int,
               device: str, whole: bool = False, label: str = '') -> dict:
    """
    Train for some steps in a process of its own.

    :param whole: with held-out loss and arrival time.
    :returns: ``seconds`` of ``steps`` steps after the warm-up, the ``sequences`` and ``tokens`` of
        their batches, the ``parameters`` of the model, and the most memory at once of the whole
        run: ``resident_mib``, and ``own_mib`` that is no file's.
    :raises ConfigError: with its last words, if it fails.
    """
    name = 'throughput'
    run_dir = plan.folder / f'{label}{label_of(config)}-{precision}-{threads}-{device}'
    total = WARM_UP_STEPS + plan.steps
    fields = {**config.model_dump(mode='json'), 'name': name, 'steps': total, 'device': device,
              'precision': precision, 'num_threads': threads, 'log_interval_steps': 1,
              'save_interval_s': 1e9, 'run_dir': str(run_dir), 'out_dir': str(run_dir)}
    fields.update({'arrival_steps': WHOLE_ARRIVAL_STEPS} if whole else
                  {'arrival_steps': 0, 'holdout_share': 0.0})
    path = plan.folder / f'{run_dir.name}.yaml'
    path.write_text(json.dumps(fields), encoding='utf-8')  # JSON is YAML
    memory = run_dir / 'memory.json'
    command = [sys.executable, '-m', __name__, str(path), str(memory)]
    if not memory.exists():  # another section may have run the same
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ConfigError(f'training for {plan.maze} failed: '
                              + (done.stderr.strip().splitlines() or ['no message'])[-1])
    with (run_dir / name / 'loss.csv').open(encoding='utf-8') as file:
        speeds = [float(row['tokens_per_s']) for row in csv.DictReader(file)][WARM_UP_STEPS:]
    shapes = batch_shapes(config, range(WARM_UP_STEPS, total))
    tokens = [batch * length for batch, length in shapes]
    return {'steps': plan.steps, 'sequences': sum(batch for batch, _ in shapes),
            'tokens': sum(tokens), 'seconds': sum(n / speed for n, speed in zip(tokens, speeds)),
            'parameters': _count_parameters(run_dir / f'{name}.safetensors'),
            **json.loads(memory.read_text(encoding='utf-8'))}


def label_of(config: TrainConfig) -> str:
    """Return a name for files that tells sizes apart."""
    return f'{config.maze}-{config.num_layers}x{config.width}-{config.max_tokens}'


def batch_shapes(config: TrainConfig, steps: range) -> list[tuple[int, int]]:
    """Return (sequences, tokens per sequence) of the batches of these steps."""
    dataset = load_dataset(config.dataset)
    batches = Batches(dataset, slice(None), Normalizer.fit(dataset.observations, dataset.actions),
                      config)
    return [tuple(batches.draw(0, step).tokens.shape[:2]) for step in steps]


def _count_parameters(path: Path) -> int:
    with safe_open(path, 'pt') as file:
        return sum(file.get_tensor(key).numel() for key in file.keys())


def _train_watched(config_path: str, memory_path: str) -> None:
    """Train in this process, which does nothing else, and write down what memory that took."""
    with OwnMemoryPeak() as own:
        train(config_path)
    Path(memory_path).write_text(json.dumps(
        {'resident_mib': memory_mib('VmHWM'), 'own_mib': own.mib}), encoding='utf-8')


if __name__ == '__main__':
    _train_watched(*sys.argv[1:])
