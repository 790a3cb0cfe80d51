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

"""Early stop, what a run tells of its progress, and what its card and its state tell of it."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file
from small_training import load_config
from small_training import read_log
from small_training import write_config
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
import torch
import yaml

from df_planner.data.d4rl import load_dataset
from df_planner.errors import CheckpointError
from df_planner.errors import ConfigError
from df_planner.errors import TrainingDiverged
from df_planner.model.checkpoint import load_card
from df_planner.sim.generate import generate
from df_planner.training import progress_log
from df_planner.training.batches import Batches
from df_planner.training.config import FOLDERS
from df_planner.training.config import TrainConfig
from df_planner.training.train import train

EARLY = {'steps': 1000, 'patience_steps': 20, 'learning_rate': 0.05, 'ema_decay': 0.0}


@pytest.fixture(scope='module')
def dataset(tmp_path_factory):
    return generate('umaze', 3000, progress=False,
                    out=tmp_path_factory.mktemp('data') / 'umaze.hdf5')


def test_it_stops_when_the_held_out_loss_has_stopped_falling(tmp_path, dataset):
    path = train(write_config(tmp_path / 'early', dataset, **EARLY))
    rows = read_log(tmp_path / 'early')
    losses = [row['held_out_loss'] for row in rows]
    best = int(np.argmin(losses))
    assert len(losses) < 100 and losses[best] < losses[-1]
    assert len(losses) - 1 - best == 2, 'two rows are 20 steps without a new minimum'
    card = load_card(path)
    assert card.held_out_loss == pytest.approx(losses[best])
    assert card.training_steps == rows[best]['step'] == 10 * (best + 1)
    # What is kept are the averaged weights of that step, and a finished run stays finished.
    state = torch.load(tmp_path / 'early/runs/small/state.pt', weights_only=True)
    before = load_file(path)
    assert all(torch.equal(before[name], weight) for name, weight in state['best'].items())
    assert any(not torch.equal(before[name], state['average'][f'module.{name}'])
               for name in before)
    train(tmp_path / 'early/config.yaml')
    assert len(read_log(tmp_path / 'early')) == len(rows)
    assert all(torch.equal(weight, before[name]) for name, weight in load_file(path).items())


def test_a_kill_does_not_change_when_it_stops(tmp_path, dataset, monkeypatch):
    whole = train(write_config(tmp_path / 'whole', dataset, **EARLY))
    path = write_config(tmp_path / 'killed', dataset, save_interval_s=1e-6, **EARLY)
    add = progress_log.ProgressLog.add
    steps = iter(range(3))

    def add_some(self, *arguments):
        if next(steps, None) is None:
            raise OSError('killed')
        add(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(progress_log.ProgressLog, 'add', add_some)
        with pytest.raises(OSError, match='killed'):
            train(path)
    resumed = train(path)
    assert load_card(resumed).training_steps == load_card(whole).training_steps
    others = load_file(resumed)
    assert all(torch.equal(weight, others[name]) for name, weight in load_file(whole).items())


def test_early_stop_needs_a_held_out_loss(tmp_path, dataset):
    with pytest.raises(ConfigError, match='patience_steps needs a held-out loss'):
        load_config(write_config(tmp_path, dataset, patience_steps=10, holdout_share=0.0))


def test_with_early_stop_the_interval_is_part_of_the_run(tmp_path, dataset):
    path = write_config(tmp_path, dataset, patience_steps=1000)
    train(path)
    train(path, {'save_interval_s': 1.0})
    with pytest.raises(ConfigError, match='another configuration'):
        train(path, {'log_interval_steps': 5})


def test_the_rows_tell_speed_and_learning_rate(tmp_path, dataset):
    path = write_config(tmp_path, dataset)
    train(path)
    config, log = load_config(path), load_dataset(dataset)
    batches = Batches(log, slice(0, 2700), config)
    for row in read_log(tmp_path):
        drawn = [batches.draw(0, step) for step in range(int(row['step']) - 10, int(row['step']))]
        tokens, windows = (sum(getattr(batch, name) for batch in drawn)
                           for name in ('num_tokens', 'windows'))
        assert row['tokens_per_s'] / row['windows_per_s'] == pytest.approx(tokens / windows)
        assert 0.0 < tokens / row['tokens_per_s'] < row['seconds']
    assert row['learning_rate'] < 1e-4 < 1e-3 >= read_log(tmp_path)[0]['learning_rate']


def test_tensorboard_gets_the_rows(tmp_path, dataset):
    train(write_config(tmp_path, dataset, tensorboard=True))
    events = EventAccumulator(str(tmp_path / 'runs/small/tensorboard'))
    events.Reload()
    for name in ('loss', 'held_out_loss', 'learning_rate', 'tokens_per_s'):
        found = [(event.step, event.value) for event in events.Scalars(name)]
        rows = [(row['step'], row[name]) for row in read_log(tmp_path)]
        assert np.array(found) == pytest.approx(np.array(rows), rel=1e-5)
    text = events.Tensors('configuration/text_summary')[0].tensor_proto.string_val[0].decode()
    assert 'tokens_per_batch: 64' in text


def test_without_tensorboard_it_says_what_to_install(tmp_path, dataset, monkeypatch):
    monkeypatch.setattr(progress_log, 'find_spec', lambda _: None)
    with pytest.raises(ConfigError, match='tensorboard: .* pip install tensorboard'):
        train(write_config(tmp_path, dataset, tensorboard=True))


def test_the_card_has_the_exact_configuration(tmp_path, dataset):
    path = write_config(tmp_path / 'first', dataset)
    first = train(path, {'learning_rate': 2e-3, 'accumulate': 2, 'precision': 32})
    stored = load_card(first).training_config
    folders = {name: str(tmp_path / 'again' / name) for name in FOLDERS}
    config = TrainConfig(**stored, **folders)
    wanted = load_config(path, {'learning_rate': 2e-3, 'accumulate': 2, 'precision': 32})
    assert config.model_copy(update={name: getattr(wanted, name) for name in FOLDERS}) == wanted
    again = tmp_path / 'again.yaml'
    again.write_text(yaml.safe_dump({**stored, **folders}))
    weights = load_file(train(again))
    assert all(torch.equal(weight, weights[name]) for name, weight in load_file(first).items())


def test_a_state_of_another_version_is_refused(tmp_path, dataset):
    path = write_config(tmp_path, dataset, steps=1)
    train(path)
    state_path = tmp_path / 'runs/small/state.pt'
    state = torch.load(state_path, weights_only=True)
    del state['version']  # as before there were versions
    torch.save(state, state_path)
    with pytest.raises(CheckpointError, match=r'state\.pt: state version 1 .* reads 2; delete'):
        train(path)


def test_a_run_that_diverges_says_so_and_keeps_a_good_state(tmp_path, dataset):
    path = write_config(tmp_path, dataset, learning_rate=1e30, gradient_clip=1e30,
                        save_interval_s=1e-6, warmup_steps=0)
    with pytest.raises(TrainingDiverged, match='small: the gradient of step .* not finite; lower'):
        train(path)
    assert not Path(tmp_path / 'out').exists()
    state = torch.load(tmp_path / 'runs/small/state.pt', weights_only=True)
    assert state['step'] >= 1
