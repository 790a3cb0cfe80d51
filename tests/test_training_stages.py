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

"""Several stages by one command: resumed after a kill, never repeated, told of by the card."""

import hashlib
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

from click.testing import CliRunner
import pytest
from small_training import write_config

from df_planner.cli.main import main
from df_planner.errors import ConfigError
from df_planner.model.checkpoint import load_card
from df_planner.sim.generate import generate
from df_planner.training.config import load_stages
from df_planner.training.train import train

STAGES = {
    'base': {'steps': 40, 'direct': 0.0},
    'planning': {'steps': 80, 'shared_level': 0.8, 'precision': 'bf16-mixed'},
    'long': {'steps': 30, 'tokens_per_batch': 128, 'accumulate': 2, 'precision': 'bf16-mixed'}}
MODELS = ['small-base', 'small-planning', 'small']


@pytest.fixture(scope='module')
def dataset(tmp_path_factory):
    return generate('umaze', 3000, progress=False,
                    out=tmp_path_factory.mktemp('data') / 'umaze.hdf5')


@pytest.fixture(scope='module')
def whole(tmp_path_factory, dataset):
    """Return the folder of a training that was never interrupted."""
    folder = tmp_path_factory.mktemp('whole')
    train(write_config(folder, dataset, stages=STAGES))
    return folder


def models(folder: Path) -> dict[str, str]:
    """Return the checksums of the trained models, oldest first."""
    paths = sorted((folder / 'out').glob('*.safetensors'), key=lambda path: path.stat().st_mtime)
    return {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def start(path: Path, *arguments: str) -> subprocess.Popen:
    """Start the command."""
    return subprocess.Popen(
        [sys.executable, '-m', 'df_planner.cli', 'train', '--config', str(path), *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, 'OMP_NUM_THREADS': '1'})


def wait_for(process: subprocess.Popen, path: Path) -> None:
    """Wait until a running command has written a file."""
    deadline = time.monotonic() + 120
    while not path.exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)


def test_stages_are_the_trainings_one_after_the_other(whole, tmp_path, dataset):
    init = {}
    for name, changes in zip(MODELS, STAGES.values()):
        path = train(write_config(tmp_path, dataset, name=name, **changes, **init))
        init = {'init': str(path)}
    assert models(tmp_path) == models(whole)
    assert list(models(whole)) == MODELS


@pytest.mark.parametrize('number', [signal.SIGKILL, signal.SIGINT])
def test_a_kill_in_a_later_stage_resumes_there(whole, tmp_path, dataset, number):
    path = write_config(tmp_path, dataset, stages=STAGES, save_interval_s=1e-3)
    process = start(path)
    wait_for(process, tmp_path / 'runs/small-planning/state.pt')
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    assert list(models(tmp_path)) == ['small-base'], 'the kill should have come in stage 2'
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert output.startswith('stopped small-planning at step ')

    written = (tmp_path / 'out/small-base.safetensors').stat().st_mtime_ns
    result = CliRunner().invoke(main, ['train', '--config', str(path)])
    assert result.exit_code == 0 and result.stdout.endswith(f'{tmp_path}/out/small.safetensors\n')
    assert (tmp_path / 'out/small-base.safetensors').stat().st_mtime_ns == written
    assert models(tmp_path) == models(whole)


def test_two_processes_train_all_stages(tmp_path, dataset):
    short = {name: {**changes, 'steps': 20} for name, changes in STAGES.items()}
    train(write_config(tmp_path / 'one', dataset, stages=short))
    process = start(write_config(tmp_path / 'two', dataset, stages=short), '--set', 'devices=2')
    output, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    assert output == f'{tmp_path}/two/out/small.safetensors\n', 'the first process alone prints'
    for name in MODELS:
        one, two = (load_card(tmp_path / folder / 'out' / name) for folder in ('one', 'two'))
        assert two.training_processes == 2
        assert two.held_out_loss == pytest.approx(one.held_out_loss, rel=1e-2)


def test_the_card_has_all_stages(whole):
    card = load_card(whole / 'out/small')
    assert [stage['name'] for stage in card.earlier_stages] == MODELS[:-1]
    assert [stage['training_steps'] for stage in card.earlier_stages] == [40, 80]
    assert [stage['training_config']['precision'] for stage in card.earlier_stages] == [
        '32', 'bf16-mixed']
    assert card.training_command == 'df_planner train --config config.yaml'
    assert card.init_sha256 == models(whole)['small-planning']
    base = load_card(whole / 'out/small-base')
    assert base.training_command == 'df_planner train --config config.yaml --stage base'
    assert not base.earlier_stages and base.init_sha256 is None


def test_it_stops_after_the_named_stage_and_goes_on_from_there(whole, tmp_path, dataset):
    path = write_config(tmp_path, dataset, stages=STAGES)
    assert train(path, last_stage='planning') == tmp_path / 'out/small-planning.safetensors'
    train(path)
    assert models(tmp_path) == models(whole)
    with pytest.raises(ConfigError, match="no stage 'last'; its stages are: base, planning, long"):
        train(path, last_stage='last')


def test_a_stage_that_has_changed_is_not_taken_for_finished(tmp_path, dataset):
    stages = {'base': {'steps': 20}, 'last': {'steps': 10}}
    train(write_config(tmp_path, dataset, stages=stages))
    path = write_config(tmp_path, dataset, stages={**stages, 'base': {'steps': 30}})
    with pytest.raises(ConfigError, match=r'small-base/state.pt: .* \(differs in steps\); delete'):
        train(path)
    (tmp_path / 'runs/small-base/state.pt').unlink()
    with pytest.raises(ConfigError, match=r'small/state.pt: .* \(differs in init_sha256\); '):
        train(path)
    assert load_card(tmp_path / 'out/small-base').training_steps == 30


@pytest.mark.parametrize(('stages', 'complaint'), [
    ([1], 'config.yaml: stages: must map the name of each stage'),
    ({}, 'config.yaml: stages: must map the name of each stage'),
    ({'a/b': {}}, 'config.yaml: stages: must map the name of each stage'),
    ({'base': 3}, 'config.yaml: stage base: must be a mapping'),
    ({'base': {'steps': 0}}, 'config.yaml: stage base: steps: must be greater'),
    ({'base': {'name': 'x'}}, 'config.yaml: stage base: name: is the same for all stages'),
])
def test_a_wrong_stage_is_named(tmp_path, dataset, stages, complaint):
    with pytest.raises(ConfigError, match=complaint):
        load_stages(write_config(tmp_path, dataset, stages=stages))
