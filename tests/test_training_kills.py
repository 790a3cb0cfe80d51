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

"""SIGKILL at any moment costs at most the last interval, and never a state or a checkpoint."""

import csv
import json
from pathlib import Path
import subprocess
import sys

import pytest
from safetensors.torch import load_file
from small_training import write_config

from df_planner.errors import CheckpointError
from df_planner.files import replace_files
from df_planner.sim.generate import generate
from df_planner.training.train import train

KILLS = 20
# A program that has loaded everything forks a process per life, as that takes a fraction of a
# second. It kills each after some progress and some milliseconds, and tells what that left behind.
LIVES = """
import itertools, json, os, random, signal, sys, time
from pathlib import Path
import torch
from df_planner.model.checkpoint import load_card, load_checkpoint, save_checkpoint
from df_planner.training.config import load_stages
from df_planner.training.loop import read_state
from df_planner.training.train import train

def rows():
    lines = log.read_text().splitlines()[1:] if log.exists() else []
    return [int(line.split(',')[0]) for line in lines if line.count(',') == 6]

def left_by_training():
    state = read_state(log.with_name('state.pt'), config)
    return {'saved': state['step'] if state else 0, 'told': max(rows(), default=0)}

def write_checkpoints():
    network, card = load_checkpoint(weights)
    for value in itertools.count(card.training_steps):
        torch.nn.init.constant_(network.embed.weight, value)
        save_checkpoint(weights.parent, network, card.model_copy(update={'training_steps': value}))

def left_by_writing():
    network, card = load_checkpoint(weights)
    return {'weights': network.embed.weight[0, 0].item(), 'card': card.training_steps}

path, work, kills = sys.argv[1], sys.argv[2], int(sys.argv[3])
live, left, progress = {
    'train': (lambda: train(path), left_by_training, lambda: len(rows())),
    'write': (write_checkpoints, left_by_writing, lambda: load_card(weights).training_steps),
}[work]
*_, config = load_stages(path).values()
log = config.run_dir / config.name / 'loss.csv'
weights = config.out_dir / f'{config.name}.safetensors'
torch.set_num_threads(1)
draw = random.Random(0)
for life in range(kills + (work == 'train')):
    wanted = progress() + draw.randrange(4)
    child = os.fork()
    if child == 0:
        live()
        os._exit(0)
    if life < kills:
        while progress() < wanted and os.waitid(
                os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            time.sleep(0.001)
        time.sleep(draw.uniform(0.0, 0.02))
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    print(json.dumps({'status': status, **left()}), flush=True)
"""


@pytest.fixture(scope='module')
def dataset(tmp_path_factory):
    return generate('umaze', 3000, progress=False,
                    out=tmp_path_factory.mktemp('data') / 'umaze.hdf5')


def lives(path: Path, work: str) -> list[dict]:
    """Have one process after the other do the work and kill each, of training all but the last."""
    done = subprocess.run(
        [sys.executable, '-c', LIVES, str(path), work, str(KILLS)],
        capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{')]


def test_twenty_kills_cost_no_more_than_the_last_interval(tmp_path, dataset):
    changes = {'steps': 120, 'log_interval_steps': 1, 'save_interval_s': 1e-6,
               'holdout_share': 0.0}
    ends = lives(write_config(tmp_path / 'killed', dataset, **changes), 'train')
    assert len(ends) == KILLS + 1 and ends[-1]['status'] == 0
    saved = [end['saved'] for end in ends]
    assert saved == sorted(saved) and saved[-1] == 120
    assert sum(end['status'] == 9 and 0 < end['saved'] < 120 for end in ends) >= 5, \
        'kills should have come in the middle'
    # Every step is saved here, right after its row is written.
    assert all(end['told'] - end['saved'] <= 1 for end in ends)

    whole = train(write_config(tmp_path / 'whole', dataset, **changes))
    weights = load_file(tmp_path / 'killed/out/small.safetensors')
    assert all((weights[name] == weight).all() for name, weight in load_file(whole).items())
    logs = []
    for name in ('whole', 'killed'):
        with (tmp_path / name / 'runs/small/loss.csv').open() as file:
            logs.append([(row['step'], row['loss']) for row in csv.DictReader(file)])
    assert logs[0] == logs[1], 'each step has one row, as without the kills'


def test_kills_while_the_checkpoint_is_written_leave_a_whole_one(tmp_path, dataset):
    path = write_config(tmp_path, dataset, steps=1)
    train(path)
    ends = lives(path, 'write')
    assert len(ends) == KILLS and all(end['status'] == 9 for end in ends)
    assert len({end['card'] for end in ends}) > 5, 'it should have been written in between'
    # The card gets its name first: a kill between the two leaves the weights of the time before.
    assert all(0 <= end['card'] - end['weights'] <= 1 for end in ends[1:])


def test_a_failing_write_leaves_the_old_file(tmp_path):
    one, two = tmp_path / 'one', tmp_path / 'two'
    one.write_text('old')
    two.write_text('old')

    def fail(file):
        file.write(b'new')
        raise OSError('no space left on device')

    with pytest.raises(OSError, match='no space'):
        replace_files({one: lambda file: file.write(b'new'), two: fail})
    assert one.read_text() == two.read_text() == 'old'
    assert {path.name for path in tmp_path.iterdir()} == {'one', 'two'}


@pytest.mark.parametrize('content', [b'', b'not a state', 'half'])
def test_a_damaged_state_is_one_line(tmp_path, dataset, content):
    path = write_config(tmp_path, dataset, steps=1)
    train(path)
    state = tmp_path / 'runs/small/state.pt'
    state.write_bytes(state.read_bytes()[:3000] if content == 'half' else content)
    with pytest.raises(CheckpointError, match=r'state\.pt: damaged, .*; delete it') as error:
        train(path)
    assert '\n' not in str(error.value)
