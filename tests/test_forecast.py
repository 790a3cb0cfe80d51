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

"""The forecaster as a user meets it: train, predict and score a CSV file by commands."""

import csv
from datetime import datetime
from datetime import timedelta
import json
import shutil

from click.testing import CliRunner
import numpy as np
import pytest
import torch

from df_planner.cli.main import main
from df_planner.errors import CheckpointError
from df_planner.errors import InvalidInput
from df_planner.forecast.forecaster import Forecaster

PERIOD_ROWS = 12
SMALL = ('network=gru', 'width=32', 'num_layers=1', 'num_levels=100', 'rows_per_token=3',
         'warmup_steps=50', 'tokens_per_batch=1024', 'steps=500', 'ema_decay=0.98',
         'learning_rate=3e-3', 'num_threads=1', 'log_interval_steps=100', 'patience_steps=0')


def run(*arguments):
    """Run a command in this process."""
    return CliRunner().invoke(main, ['forecast', *map(str, arguments)])


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Train on a season whose phase and strength wander, with a copy of it that lags behind."""
    folder = tmp_path_factory.mktemp('forecast')
    random = np.random.default_rng(0)
    rows = 2000
    strength = np.exp(0.3 * np.convolve(random.normal(size=rows + 47), np.ones(48) / 7, 'valid'))
    first = strength * np.sin(2.0 * np.pi * np.arange(rows) / PERIOD_ROWS)
    values = np.stack([first, 10.0 + 2.0 * np.roll(first, 3)], axis=1)
    values += 0.1 * random.normal(size=values.shape)
    with (folder / 'series.csv').open('w', newline='') as file:
        csv.writer(file).writerows([('first', 'second'), *values.tolist()])
    result = run('train', folder / 'series.csv', '--horizon', 12, '--history', 24,
                 '--out', folder / 'model.safetensors',
                 *(word for value in (*SMALL, f'run_dir={folder / "runs"}')
                   for word in ('--set', value)))
    assert result.exit_code == 0, result.stderr
    return folder


def test_the_score_command_finds_it_better_than_naive_forecasts(trained):
    result = run('score', trained / 'model.safetensors', '--season', PERIOD_ROWS, '--lags', 24,
                 '--stride', 7, '--block', 48, '--samples', 20, '--out', trained / 'score')

    assert result.exit_code == 0, result.stderr
    found = json.loads((trained / 'score/forecast.json').read_text())
    assert found['part'] == 'test' and found['origins'] == 42 == len(range(1700, 1989, 7))
    for naive in ('random walk', 'seasonal naive'):
        mean, error = found['less_than']['diffusion forcing'][naive]
        assert mean > 2.0 * error > 0.0, found['crps']
    assert found['training_seeds'] == [found['crps']['diffusion forcing']]
    assert len(found['by_lead']['ridge on lags']) == 12
    assert 'diffusion forcing' in result.stdout and 'validation: ' in str(found['choices'])
    assert (trained / 'score/forecast.png').read_bytes().startswith(b'\x89PNG')


def test_the_predict_command_writes_quantiles_that_rise(trained):
    result = run('predict', trained / 'model.safetensors', '--history', trained / 'series.csv',
                 '--samples', 30, '--out', trained / 'out.csv',
                 '--picture', trained / 'out.png')

    assert result.exit_code == 0, result.stderr
    with (trained / 'out.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row['step']) for row in rows] == list(range(1, 13))
    for row in rows:
        for name in ('first', 'second'):
            quantiles = [float(row[f'{name} q{q}']) for q in ('0.05', '0.25', '0.5', '0.75',
                                                              '0.95')]
            assert quantiles == sorted(quantiles) and quantiles[0] < quantiles[-1]
    assert (trained / 'out.png').exists()


def test_futures_depend_on_seed_and_recent_history_alone(trained):
    forecaster = Forecaster.load(trained / 'model.safetensors')
    history = np.loadtxt(trained / 'series.csv', delimiter=',', skiprows=1)
    futures = forecaster.sample(history, 4, seed=0)

    assert futures.shape == (4, 12, 2)
    assert np.array_equal(futures, forecaster.sample(history[-24:], 4, seed=0))
    assert not np.allclose(futures, forecaster.sample(history, 4, seed=1))
    assert not np.allclose(futures, forecaster.sample(history[:-6], 4, seed=0))


def test_beyond_the_trained_horizon_it_slides(trained):
    forecaster = Forecaster.load(trained / 'model.safetensors')
    history = np.loadtxt(trained / 'series.csv', delimiter=',', skiprows=1)
    futures = forecaster.sample(history, 8, seed=0, horizon=30)

    assert futures.shape == (8, 30, 2)
    assert np.array_equal(futures[:, :12], forecaster.sample(history, 8, seed=0))
    assert np.abs(futures[..., 0]).max() < 2.0 * np.abs(history[:, 0]).max()


def test_a_longer_way_is_less_certain_and_samples_follow_the_season(trained):
    """The second variable is the first one three rows ago, so it is known for three rows."""
    forecaster = Forecaster.load(trained / 'model.safetensors')
    history = np.loadtxt(trained / 'series.csv', delimiter=',', skiprows=1)
    futures = [forecaster.sample(history[:end], 30, seed=end) for end in range(1800, 1860, 5)]
    spread = np.mean([future.std(axis=0) for future in futures], axis=0)

    assert spread[9:, 0].mean() > spread[:3, 0].mean()
    truth = np.array([history[end:end + 12] for end in range(1800, 1860, 5)])
    mean = np.array([future.mean(axis=0) for future in futures])
    assert np.corrcoef(truth[..., 0].ravel(), mean[..., 0].ravel())[0, 1] > 0.9


@pytest.mark.parametrize('history', [
    np.zeros((23, 2)), np.zeros((24, 3)), np.zeros(24), np.full((24, 2), np.nan)])
def test_a_wrong_history_is_refused(trained, history):
    with pytest.raises(InvalidInput, match='history must'):
        Forecaster.load(trained / 'model.safetensors').sample(history, 2, seed=0)


def test_a_checkpoint_that_is_not_a_forecaster_is_refused(trained, tmp_path):
    shutil.copy(trained / 'model.safetensors', tmp_path / 'model.safetensors')
    with pytest.raises(CheckpointError, match='the model card is missing'):
        Forecaster.load(tmp_path / 'model.safetensors')
    card = json.loads((trained / 'model.json').read_text())
    (tmp_path / 'model.json').write_text(json.dumps({**card, 'format_version': 1}))
    with pytest.raises(CheckpointError, match="version 1 cannot be read; .* 'forecaster 2' here"):
        Forecaster.load(tmp_path / 'model.safetensors')
    (tmp_path / 'model.json').write_text(json.dumps(card))
    (tmp_path / 'model.safetensors').write_bytes(b'\xff' * 100)
    with pytest.raises(CheckpointError, match='the weights cannot be read'):
        Forecaster.load(tmp_path / 'model.safetensors')


def test_the_same_command_again_changes_nothing(trained):
    before = (trained / 'model.safetensors').read_bytes()
    log = (trained / 'runs/model/loss.csv').read_text()
    torch.manual_seed(1)
    test = run('train', trained / 'series.csv', '--horizon', 12, '--history', 24,
               '--out', trained / 'model.safetensors',
               *(word for value in (*SMALL, f'run_dir={trained / "runs"}')
                 for word in ('--set', value)))

    assert test.exit_code == 0, test.stderr
    assert (trained / 'model.safetensors').read_bytes() == before
    assert (trained / 'runs/model/loss.csv').read_text() == log


@pytest.mark.parametrize(('arguments', 'message'), [
    (('train', 'missing.csv', '--out', 'm.safetensors'), '[BAD_DATASET]: missing.csv'),
    (('train', 'short.csv', '--out', 'm.safetensors'), 'hold no window of history + horizon'),
    (('train', 'short.csv', '--out', 'm.pt'), 'must end in .safetensors'),
    (('train', 'short.csv', '--out', 'm.safetensors', '--set', 'wide=3'), 'wide'),
    (('train', 'short.csv', '--out', 'm.safetensors', '--horizon', '7'),
     'horizon must be a multiple of rows_per_token'),
    (('predict', 'missing.safetensors', '--history', 'short.csv', '--out', 'o.csv'),
     '[BAD_CHECKPOINT]: missing.json: the model card is missing'),
    (('score', 'missing.safetensors'), '[BAD_CHECKPOINT]: missing.json: the model card'),
])
def test_a_wrong_input_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'short.csv').write_text('a\n' + '1\n' * 50)
    result = run(*arguments)

    assert result.exit_code == 2, result.stderr
    assert message in result.stderr and result.stderr.count('\n') == 1
    assert [path.name for path in tmp_path.iterdir()] == ['short.csv']


@pytest.mark.parametrize(('text', 'message'), [
    ('first\n1\n', 'has the columns first'),
    ('first,second\n' + '1,2\n' * 23, 'has 23 rows, the forecaster looks back 24'),
])
def test_a_history_of_other_columns_or_too_short_is_one_line(trained, tmp_path, text, message):
    (tmp_path / 'other.csv').write_text(text)
    result = run('predict', trained / 'model.safetensors', '--history', tmp_path / 'other.csv',
                 '--out', tmp_path / 'out.csv')

    assert result.exit_code == 2 and message in result.stderr
    assert result.stderr.count('\n') == 1 and not (tmp_path / 'out.csv').exists()


def test_a_series_that_has_changed_is_not_scored(trained, tmp_path):
    folder = tmp_path / 'copy'
    shutil.copytree(trained, folder)
    card = json.loads((folder / 'model.json').read_text())
    card['series_sha256'] = '0' * 64
    (folder / 'model.json').write_text(json.dumps(card))
    result = run('score', folder / 'model.safetensors', '--out', tmp_path / 'score')

    assert result.exit_code == 2 and 'train it again' in result.stderr
    assert not (tmp_path / 'score').exists()


@pytest.mark.parametrize('arguments', [('train',), ('predict',), ('score',)])
def test_help_teaches_with_examples(arguments):
    result = run(*arguments, '--help')

    assert result.exit_code == 0
    assert f'  df_planner forecast {arguments[0]} ' in result.stdout


def test_a_history_is_in_the_order_of_its_dates_and_steps_as_the_training(trained, tmp_path):
    header, *rows = (trained / 'series.csv').read_text().splitlines()[:61]
    start = datetime(2026, 1, 1)
    dated = [f'{start + timedelta(hours=index)},{row}' for index, row in enumerate(rows)]
    forecasts = []
    for name, lines in (('oldest.csv', dated), ('newest.csv', dated[::-1])):
        (tmp_path / name).write_text('\n'.join([f'time,{header}', *lines]))
        result = run('predict', trained / 'model.safetensors', '--history', tmp_path / name,
                     '--samples', 5, '--out', tmp_path / f'{name}.out')
        assert result.exit_code == 0, result.stderr
        forecasts.append((tmp_path / f'{name}.out').read_text())
    assert forecasts[0] == forecasts[1]
    for suffix in ('safetensors', 'json'):
        shutil.copy(trained / f'model.{suffix}', tmp_path / f'slow.{suffix}')
    card = json.loads((tmp_path / 'slow.json').read_text()) | {'step_s': 600.0}
    (tmp_path / 'slow.json').write_text(json.dumps(card))
    result = run('predict', tmp_path / 'slow.safetensors', '--history', tmp_path / 'oldest.csv',
                 '--out', tmp_path / 'out.csv')
    assert result.exit_code == 2
    assert 'its rows are 3600 s apart, those of the training 600 s' in result.stderr


def test_a_constant_column_is_told_and_can_be_scored(tmp_path, caplog):
    values = np.sin(np.arange(600) / 3.0)
    (tmp_path / 'series.csv').write_text('load,site\n' + ''.join(f'{v},7\n' for v in values))
    tiny = ('width=8', 'steps=2', 'rows_per_token=3', 'num_threads=1', f'run_dir={tmp_path}')
    result = run('train', tmp_path / 'series.csv', '--horizon', 6, '--history', 6,
                 '--out', tmp_path / 'm.safetensors', *(
                     word for value in tiny for word in ('--set', value)))
    assert result.exit_code == 0, result.stderr
    assert 'always has the same value of site; leave it out' in caplog.text
    result = run('score', tmp_path / 'm.safetensors', '--season', 12, '--lags', 12, '--samples', 4,
                 '--block', 20, '--sampling-steps', 2, '--out', tmp_path / 'score')
    assert result.exit_code == 0, result.stderr
    scores = json.loads((tmp_path / 'score/forecast.json').read_text())['crps']
    assert np.isfinite(list(scores.values())).all()
