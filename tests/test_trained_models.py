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

"""Rows that train: real trainings of a second, done once, shared, changed, and failing."""

import json

from click.testing import CliRunner
import pytest
from safetensors.torch import load_file
from small_grid import fill_folder
from small_grid import planner_row
from small_grid import write_grid
from small_training import write_config
import torch

from df_planner.cli.main import main
from df_planner.grid.training import training
from df_planner.sim.generate import generate
from df_planner.training.train import train


@pytest.fixture(scope='module')
def log(tmp_path_factory):
    """Return a short log of umaze."""
    path = tmp_path_factory.mktemp('log') / 'log.hdf5'
    generate('umaze', 3000, seed=0, out=path)
    return path


@pytest.fixture
def folder(tmp_path):
    """Return a folder with a maze with short episodes."""
    return fill_folder(tmp_path)


def _row(folder, config, name='trained', seeds=(0, 1), **changes):
    return planner_row(folder, name, checkpoint=None, train=str(config), seeds=list(seeds),
                       **changes)


def _benchmark(path, *arguments):
    return CliRunner().invoke(main, ['benchmark', str(path), '--out', str(path.parent / 'out'),
                                     '--workers', '1', *arguments])


def _models(folder):
    """Return the trained models by name, as the times when they were written."""
    return {path.stem: path.stat().st_mtime_ns
            for path in (folder / 'out' / 'models').glob('*.safetensors')}


def test_seeds_are_trained_once_for_all_rows_as_by_hand_and_kept(folder, log):
    config = write_config(folder, log)
    rows = [_row(folder, config), _row(folder, config, 'raw', [1], execution='raw')]
    result = _benchmark(write_grid(folder, rows, episodes=2))
    assert result.exit_code == 0, result.output
    models = _models(folder)
    assert [name.rpartition('-')[0] for name in sorted(models)] == ['small-seed0', 'small-seed1']
    report = json.loads((folder / 'out' / 'results.json').read_text())['rows']
    assert [row['seeds']['count'] for row in report] == [2, 1]
    assert all(row['episodes'] == 2 and row['task'] == 'short' for row in report)
    by_hand = load_file(train(config, {'seed': 1}))
    trained = load_file(next((folder / 'out' / 'models').glob('small-seed1-*.safetensors')))
    assert all(torch.equal(trained[name], by_hand[name]) for name in by_hand)

    rows.append(_row(folder, config, 'more', [1, 2]))
    listed = _benchmark(write_grid(folder, rows, episodes=2), '--list').stdout
    assert listed.count('to train: ') == 1 and 'small-seed2' in listed
    assert 'more [short]     cannot run: its training comes first' in listed
    assert _benchmark(folder / 'grid.yaml', '--only', 'raw').exit_code == 0
    assert _models(folder) == models  # what was not selected is not trained, the rest not again


def test_everything_that_a_model_depends_on_is_in_its_name(folder, log):
    def name(seed=0, **changes):
        return training(str(write_config(folder, log, **changes)), seed, folder).config.name

    assert name() == name() == name(log_interval_steps=5, save_interval_s=1.0, devices=2)
    other_log = folder / 'other.hdf5'
    generate('umaze', 3000, seed=1, out=other_log)
    others = [name(1), name(steps=41), name(init='point'), name(dataset=str(other_log))]
    assert len({name(), *others}) == 5


def test_trainings_that_fail_are_reported_and_stop_no_other(folder, log):
    good = write_config(folder / 'good', log)
    bad = write_config(folder / 'bad', folder / 'nowhere.hdf5', name='bad')
    result = _benchmark(write_grid(
        folder, [_row(folder, bad, 'bad'), _row(folder, good, seeds=[0])], episodes=1))
    assert result.exit_code == 1
    assert 'FAILED bad [short]: BAD_DATASET: ' in result.stderr
    assert 'nowhere.hdf5' in result.stderr and 'Traceback' not in result.stderr
    rows = json.loads((folder / 'out' / 'results.json').read_text())['rows']
    assert {row['name']: row['episodes'] for row in rows} == {'bad': 0, 'trained': 1}


def test_a_row_without_tasks_runs_in_all(folder, log):
    config = str(write_config(folder, log))
    row = {'name': 'trained', 'train': config, 'seeds': [0]}
    tasks = {'umaze': {'maze': 'umaze'}, 'medium-multi': {'maze': 'medium', 'multi_goal': True}}
    listed = _benchmark(write_grid(folder, [row], tasks=tasks), '--list').stdout
    assert 'trained [umaze] ' in listed and 'trained [medium-multi]' in listed


@pytest.mark.parametrize(('changes', 'message'), [
    ({'checkpoint': 'point'}, 'train makes its own checkpoints'),
    ({'sweep': {'checkpoint': ['a', 'b']}}, 'train makes its own checkpoints'),
    ({'seeds': []}, 'train and seeds belong together'),
    ({'train': None}, 'train and seeds belong together'),
    ({'seeds': [1, 1]}, 'seeds must differ'),
    ({'seeds': [-1]}, 'seeds must differ and be 0 or more'),
    ({'train': 'moon'}, "row 'trained': train: no configuration 'moon'"),
])
def test_a_fault_is_one_line(folder, log, changes, message):
    row = {**_row(folder, write_config(folder, log)), **changes}
    result = _benchmark(write_grid(folder, [row]))
    assert result.exit_code == 2 and result.stderr.count('\n') == 1
    assert result.stderr.startswith(f"error [BAD_CONFIG]: {folder}/grid.yaml: row 'trained': ")
    assert message in result.stderr
