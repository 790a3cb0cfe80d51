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

"""Training: the configuration, resuming after a kill, and the checkpoint it leaves."""

import csv
import json
import os
from pathlib import Path
import shlex
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from safetensors.torch import load_file
from small_training import load_config
from small_training import write_config
import torch

from df_planner.configuration import assignments
from df_planner.data.d4rl import Dataset
from df_planner.errors import CheckpointError
from df_planner.errors import ConfigError
from df_planner.errors import DatasetError
from df_planner.model.checkpoint import load_card
from df_planner.model.checkpoint import load_checkpoint
from df_planner.model.normalizer import Normalizer
from df_planner.sim.generate import generate
from df_planner.training.batches import Batches
from df_planner.training.card import training_command
from df_planner.training.config import load_stages
from df_planner.training.config import TrainConfig
from df_planner.training.train import train


@pytest.fixture(scope='module')
def dataset(tmp_path_factory):
    path = tmp_path_factory.mktemp('data') / 'umaze.hdf5'
    generate('umaze', 3000, seed=0, out=path, progress=False)
    return path


@pytest.fixture
def config(tmp_path, dataset):
    def write(**changes):
        return write_config(tmp_path, dataset, **changes)
    return write


def test_writes_a_checkpoint_that_loads_and_a_complete_card(config, dataset):
    path = train(config())
    denoiser, card = load_checkpoint(path)
    assert card.maze == 'umaze' and card.training_steps == 40
    assert card.dataset_attributes['maze'] == 'umaze' and len(card.dataset_sha256) == 64
    assert card.statistics.velocity_change[0] > 0.1
    assert not denoiser.training
    weights = load_file(path)
    assert all(torch.isfinite(v).all() for v in weights.values())
    # the averaged weights are shipped, not the last ones
    state = torch.load(path.parents[1] / 'runs/small/state.pt', weights_only=True)
    assert torch.equal(weights['embed.weight'], state['average']['module.embed.weight'])
    assert not torch.equal(weights['embed.weight'], state['denoiser']['embed.weight'])


def test_direct_windows_lie_within_one_drive(config):
    drive = np.repeat(np.arange(40.0), 60)  # 40 drives of 6 tokens, told apart by their row
    observations = np.zeros((len(drive), 4), np.float32)
    observations[:, 0] = drive
    flags, zeros = np.zeros(len(drive), bool), np.zeros(len(drive), np.float32)
    timeouts = flags.copy()
    timeouts[59::60] = True
    actions = np.zeros((len(drive), 2), np.float32)
    dataset = Dataset(observations, actions, zeros, flags, timeouts, None, np.array([0]),
                      Path('made.hdf5'), '')
    normalizer = Normalizer.fit(observations, actions)
    crossing = {}
    for direct in (0.0, 1.0):
        values = {'direct': direct, 'max_tokens': 4, 'tokens_per_batch': 200}
        batches = Batches(dataset, slice(0, None), normalizer, load_config(config(), values))
        crossing[direct] = sum(int((tokens[:, 1:, 0] != tokens[:, :1, 0]).any(1).sum())
                               for tokens in (batches.draw(0, i).tokens for i in range(20)))
    assert crossing[1.0] == 0 < crossing[0.0]


def test_training_on_starts_from_the_weights_of_another_checkpoint(config, tmp_path):
    base = train(config(name='base'))
    on = train(config(name='on', init=str(base), steps=1, learning_rate=1e-9, ema_decay=0.0))
    for name, weight in load_file(base).items():
        assert torch.allclose(load_file(on)[name], weight, atol=1e-6), name
    assert load_card(on).training_config['init'] == str(base)
    with pytest.raises(ConfigError, match='init: .* is a .*width=16.*not a .*width=32'):
        train(config(name='wide', init=str(base), width=32))


def test_logs_the_loss_and_it_falls(config):
    train(config(steps=300, learning_rate=5e-3))
    with (config().parent / 'runs/small/loss.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [int(r['step']) for r in rows] == list(range(10, 301, 10))
    assert float(rows[-1]['loss']) < 0.85 * float(rows[0]['loss'])
    assert float(rows[-1]['held_out_loss']) < float(rows[0]['held_out_loss'])


def test_a_training_ends_within_its_minutes_at_a_learning_rate_of_zero(config, tmp_path):
    started = time.monotonic()
    card = load_card(train(config(steps=10**6, warmup_steps=1, minutes=0.02,
                                  log_interval_steps=10**6)))
    assert time.monotonic() - started < 20.0
    with (tmp_path / 'runs/small/loss.csv').open() as file:
        row, = csv.DictReader(file)
    assert int(row['step']) == card.training_steps < 10**5
    assert float(row['seconds']) == pytest.approx(1.2, abs=1.0)
    assert float(row['learning_rate']) < 0.01 * 1e-3


def test_minutes_that_are_not_reached_change_nothing(config, tmp_path):
    weights = [load_file(train(config(
        run_dir=str(tmp_path / name), out_dir=str(tmp_path / name), minutes=minutes)))
        for name, minutes in (('a', 0.0), ('b', 10.0**6))]
    assert all(torch.allclose(weights[0][k], weights[1][k], atol=1e-4) for k in weights[0])


def test_going_on_after_a_kill_gives_the_same_weights(config, tmp_path):
    whole = load_file(train(config(
        run_dir=str(tmp_path / 'a'), out_dir=str(tmp_path / 'a'), steps=400)))
    path = config(run_dir=str(tmp_path / 'b'), out_dir=str(tmp_path / 'b'), save_interval_s=1e-3,
                  steps=400)
    process = subprocess.Popen(
        [sys.executable, '-c', f'from df_planner.training.train import train; train({str(path)!r})'
         ], stderr=subprocess.DEVNULL, env={**os.environ, 'OMP_NUM_THREADS': '1'})
    state = tmp_path / 'b/small/state.pt'
    deadline = time.monotonic() + 60
    while not state.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    saved_step = torch.load(state, weights_only=True)['step']
    assert 0 < saved_step < 400, 'the kill should have come in the middle'
    resumed = load_file(train(path))
    assert all(torch.equal(whole[k], resumed[k]) for k in whole)


def test_another_configuration_does_not_overwrite_a_run(config):
    train(config())
    with pytest.raises(ConfigError, match='another configuration'):
        train(config(width=32))


def test_a_run_from_before_a_field_was_added_goes_on(config, tmp_path):
    path = config()
    train(path)
    state_path = tmp_path / 'runs/small/state.pt'
    state = torch.load(state_path, weights_only=True)
    saved = json.loads(state['config'])
    assert saved.pop('network') == 'transformer' and saved.pop('levels') == 'diffusion_forcing'
    torch.save({**state, 'config': json.dumps(saved, separators=(',', ':'))}, state_path)
    train(path)
    with pytest.raises(ConfigError, match='another configuration'):
        train(path, {'levels': 'full_sequence'})


@pytest.mark.parametrize('network', ['causal_transformer', 'gru'])
@pytest.mark.parametrize('precision', ['32', 'bf16-mixed'])
def test_every_network_trains_and_comes_back(config, network, precision):
    path = train(config(network=network, levels='teacher_forcing', precision=precision))
    denoiser, card = load_checkpoint(path)
    assert card.architecture.network == network and 'Teacher Forcing' in card.description
    assert any((v != 0).any() for v in denoiser.read_out.parameters()), 'it has learnt something'


def test_a_card_from_before_there_were_other_networks_is_of_a_transformer(config):
    path = train(config(steps=1)).with_suffix('.json')
    card = json.loads(path.read_text())
    assert card['architecture'].pop('network') == 'transformer'
    path.write_text(json.dumps(card))
    denoiser, card = load_checkpoint(path)
    assert card.architecture.network == 'transformer' and not denoiser.causal


@pytest.mark.parametrize('name', ['umaze', 'medium'])
def test_the_shipped_models_load(name):
    _, card = load_checkpoint(f'maze2d-{name}')
    assert card.architecture.network == 'transformer'


def test_the_card_tells_the_command_without_what_is_local_to_the_run(config, tmp_path):
    path = train(config(), {'steps': 1, 'name': 'quick', 'num_threads': 1, 'device': 'cpu',
                            'out_dir': str(tmp_path / 'out')})
    assert load_card(path).training_command == \
        'df_planner train --config config.yaml --set steps=1 --set name=quick'


@pytest.mark.parametrize(('given', 'told'), [
    (Path(__file__).parents[1] / 'config/train/medium.yaml', 'config/train/medium.yaml'),
    ('/home/me/fast.yaml', 'fast.yaml'),
    ('mine/fast.yaml', 'mine/fast.yaml'),
])
def test_the_command_holds_no_path_of_this_machine(tmp_path, monkeypatch, given, told):
    monkeypatch.chdir(tmp_path)
    assert training_command(given, {'dataset': str(given)}) == \
        f'df_planner train --config {told} --set dataset={told}'


def test_ctrl_c_keeps_the_state(config, tmp_path):
    path = config(steps=100000, save_interval_s=1e6)
    process = subprocess.Popen(
        [sys.executable, '-c', f'from df_planner.training.train import train; train({str(path)!r})'
         ], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    log = tmp_path / 'runs/small/loss.csv'
    deadline = time.monotonic() + 60
    while not log.exists() or log.read_text().count('\n') < 2:  # a header and a row
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert 'the same command resumes it' in output
    assert torch.load(tmp_path / 'runs/small/state.pt', weights_only=True)['step'] >= 10


@pytest.mark.parametrize(('changes', 'complaint'), [
    ({'wdith': 64}, 'wdith: no such field; did you mean width?'),
    ({'steps': 0}, 'steps: must be greater than or equal to 1'),
    ({'learning_rate': 'fast'}, 'learning_rate: must be a valid number, .*got .fast.'),
    ({'maze': 3}, 'maze: must be a valid string'),
    ({'dataset': None}, 'dataset: '),
])
def test_a_wrong_field_is_named(config, changes, complaint):
    with pytest.raises(ConfigError, match=complaint):
        load_config(config(**changes))


def test_a_wrong_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match='nowhere.yaml'):
        load_config(tmp_path / 'nowhere.yaml')
    (tmp_path / 'list.yaml').write_text('- 1\n')
    with pytest.raises(ConfigError, match='list.yaml: must be a mapping'):
        load_config(tmp_path / 'list.yaml')
    (tmp_path / 'broken.yaml').write_text('a: [1\n')
    with pytest.raises(ConfigError, match='broken.yaml: cannot be read'):
        load_config(tmp_path / 'broken.yaml')


def test_a_missing_data_set_says_so(config, tmp_path):
    with pytest.raises(DatasetError, match='nothing.hdf5'):
        train(config(dataset=str(tmp_path / 'nothing.hdf5')))


def test_windows_longer_than_the_log_are_refused(config):
    with pytest.raises(ConfigError, match='no continuous stretch holds max_tokens = 1000'):
        train(config(max_tokens=1000))
    with pytest.raises(ConfigError, match=(
            r'the held-out last 1 % \(30 rows\) holds no continuous stretch of max_tokens = 6 '
            r'tokens of 10 steps; raise .* or set holdout_share: 0$')):
        train(config(holdout_share=0.01))
    assert load_card(train(config(holdout_share=0, steps=1))).held_out_loss is None


@pytest.mark.parametrize(('maze', 'stages'), [
    ('umaze', ['base', 'planning', 'long']), ('medium', ['base', 'planning']),
    ('large', ['base', 'planning', 'long'])])
def test_every_stage_of_a_shipped_model_goes_on_from_the_one_before(maze, stages):
    found = load_stages(Path(__file__).parents[1] / f'config/train/{maze}.yaml')
    configs = list(found.values())
    assert list(found) == stages
    assert [config.name for config in configs] == [
        *(f'maze2d-{maze}-{stage}' for stage in stages[:-1]), f'maze2d-{maze}']
    assert not configs[0].init and all(config.maze == maze for config in configs)
    shape = {'frame_stack', 'max_tokens', 'width', 'num_layers', 'num_heads', 'network'}
    for before, config in zip(configs, configs[1:]):
        assert config.init == f'{before.out_dir}/{before.name}'
        assert config.model_dump(include=shape) == before.model_dump(include=shape)
    card = load_card(f'maze2d-{maze}')
    assert TrainConfig(**card.training_config).identity() == configs[-1].identity()
    assert card.training_command == f'df_planner train --config config/train/{maze}.yaml'


def test_the_compared_models_differ_in_what_is_set_only():
    path = Path(__file__).parents[1] / 'config/train/comparison.yaml'
    commands = [shlex.split(line.lstrip('# ').rstrip('\n')) for line in path.open()
                if line.startswith('#   df_planner train')]
    configs = {}
    for command in commands:
        assert command[:4] == ['df_planner', 'train', '--config', 'config/train/comparison.yaml']
        config = load_config(path, assignments(tuple(command[5::2])))
        configs[config.name] = config
    assert set(configs) == {f'medium-{name}' for name in (
        'df-0', 'df-1', 'df-2', 'fs', 'tf', 'causal', 'gru', 'fs5', 'fs20')}
    assert len({(c.steps, c.tokens_per_batch, c.precision) for c in configs.values()}) == 1
    assert {c.frame_stack * c.max_tokens for c in configs.values()} == {400}


@pytest.fixture
def checkpoint(config):
    return train(config(steps=1))


def test_a_missing_checkpoint_names_the_shipped_ones():
    with pytest.raises(CheckpointError, match='maze2d-nothing: no such checkpoint; .*shipped'):
        load_checkpoint('maze2d-nothing')


def test_a_truncated_checkpoint_is_refused(checkpoint):
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match='weights cannot be read'):
        load_checkpoint(checkpoint)


def test_a_pickle_is_never_loaded(checkpoint):
    torch.save({'embed.weight': torch.zeros(1)}, checkpoint)
    with pytest.raises(CheckpointError, match='weights cannot be read'):
        load_checkpoint(checkpoint)


def test_a_missing_card_is_named(checkpoint):
    checkpoint.with_suffix('.json').unlink()
    with pytest.raises(CheckpointError, match='model card is missing'):
        load_checkpoint(checkpoint)


@pytest.mark.parametrize(('change', 'complaint'), [
    (lambda card: card.update(format_version=0), 'format version 0 cannot be read'),
    (lambda card: card.pop('format_version'), 'format version None cannot be read'),
    (lambda card: card.pop('statistics'), 'statistics: is missing'),
    (lambda card: card['architecture'].update(width=32), 'do not fit the card'),
])
def test_a_card_that_does_not_fit_is_refused(checkpoint, change, complaint):
    path = checkpoint.with_suffix('.json')
    card = json.loads(path.read_text())
    change(card)
    path.write_text(json.dumps(card))
    with pytest.raises(CheckpointError, match=complaint):
        load_checkpoint(checkpoint)


def test_a_card_that_is_not_json_is_refused(checkpoint):
    checkpoint.with_suffix('.json').write_text('{"format_version":')
    with pytest.raises(CheckpointError, match='not a readable model card'):
        load_card(checkpoint)
