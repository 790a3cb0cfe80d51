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

"""What ``data info`` tells of a log, and what ``data check`` finds in one."""

from click.testing import CliRunner
import h5py
from minari_data import write_minari
import numpy as np
from PIL import Image
import pytest
from robot_bag import ball
from robot_bag import circle
from robot_bag import odometry
from robot_bag import STAMP_S
from robot_bag import write_bag
from small_log import save_dataset

from df_planner.cli.main import main
from df_planner.data.d4rl import load_dataset
from df_planner.data.sources.hdf5 import Hdf5Source
from df_planner.data.summary import Summary
from df_planner.robots.kinds import DIFF_DRIVE
from df_planner.sim.generate import generate

ROWS = 5000


def run(*arguments):
    """Run a command line."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope='module')
def log(tmp_path_factory):
    """Return a generated log, stale rows included."""
    return generate('umaze', ROWS, seed=2, progress=False,
                    out=tmp_path_factory.mktemp('log') / 'umaze.hdf5')


@pytest.fixture
def spoilt(log, tmp_path):
    """Return a function that writes the log with some of its arrays changed in place."""
    def spoil(change):
        with h5py.File(log) as file:
            arrays = {key: file[key][:] for key in (
                'observations', 'actions', 'rewards', 'terminals', 'timeouts')}
        change(arrays)
        path = tmp_path / 'spoilt.hdf5'
        with h5py.File(path, 'w') as file:
            for key, array in arrays.items():
                file[key] = array
        return path
    return spoil


@pytest.mark.parametrize('block', [1, 7, 1000, ROWS])
def test_the_summary_is_that_of_numpy_however_it_is_cut(log, block):
    dataset = load_dataset(log)
    [whole] = Hdf5Source(log).blocks(pytest.fail, lambda count: None)
    summary = Summary(dataset.signals)
    count = ROWS if block > 1 else 200
    for first in range(0, count, block):
        summary.add({key: a[first:min(first + block, count)] for key, a in whole.items()})
    seen = dataset.observations[:count].astype(float)
    np.testing.assert_allclose(summary.observations.mean, seen.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(summary.observations.std, seen.std(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(summary.observations.high, seen.max(axis=0))
    np.testing.assert_array_equal(summary.episode_lengths, [count])
    assert summary.num_rows == count
    assert sum(summary.cells.values()) == count
    factor, correlation = summary.motion()
    np.testing.assert_allclose(factor, 1.0, atol=0.02)
    np.testing.assert_allclose(correlation, 1.0, atol=0.03)


@pytest.mark.parametrize('block', [1, 13, 100])
def test_episodes_are_those_that_training_finds(tmp_path, block):
    random = np.random.default_rng(0)
    rows = 100
    observations = np.cumsum(0.01 * random.standard_normal((rows, 6)), axis=0)
    observations[[20, 21, 60], :2] += 5.0
    terminals = np.isin(np.arange(rows), [0, 9, 19, 59, 99])
    path = tmp_path / 'log.hdf5'
    save_dataset(path, {'observations': observations, 'terminals': terminals,
                        'actions': np.zeros((rows, 2)), 'rewards': np.zeros(rows)},
                 signals=DIFF_DRIVE.signals)
    dataset = load_dataset(path)
    summary = Summary(DIFF_DRIVE.signals)
    [whole] = Hdf5Source(path).blocks(pytest.fail, lambda count: None)
    for first in range(0, rows, block):
        summary.add({key: array[first:first + block] for key, array in whole.items()})
    wanted = np.diff(np.append(dataset.episode_starts, rows))
    np.testing.assert_array_equal(summary.episode_lengths, wanted)
    assert summary.jumps == [22, 61]  # those that no terminal tells of


def test_info_of_a_log(log, tmp_path):
    result = run('data', 'info', log, '--out', tmp_path / 'coverage.png')
    assert result.exit_code == 0, result.output
    for text in ('hdf5', '5,000', '100 Hz, 50.0 s', 'row force', '100 N', 'umaze', '#GOO#',
                 load_dataset(log).sha256):
        assert text in result.stdout, text
    with Image.open(tmp_path / 'coverage.png') as picture:
        assert len(set(picture.convert('RGB').get_flattened_data())) > 50


@pytest.mark.parametrize('kind', ['bag', 'minari'])
def test_info_of_other_logs(tmp_path, monkeypatch, kind):
    source, wanted = {
        'bag': lambda: (write_bag(tmp_path / 'bag', ball(500)), (
            'rosbag2', '500', '/odom (nav_msgs/msg/Odometry): 500 messages, 100.16 Hz')),
        'minari': lambda: (write_minari(tmp_path / 'minari', monkeypatch), (
            'minari', '125', 'test/point-v0', '25 to 60 rows')),
    }[kind]()
    result = run('data', 'info', source, '--out', tmp_path / 'coverage.png')
    assert result.exit_code == 0, result.output
    for text in wanted:
        assert text in result.stdout, text
    assert (tmp_path / 'coverage.png').is_file()


def test_info_of_a_bad_log_is_one_line(spoilt):
    path = spoilt(lambda arrays: arrays['actions'].__setitem__(3, np.nan))
    result = run('data', 'info', path)
    assert result.exit_code == 2
    assert f'{path}: actions has a value that is not finite, first in row 3' in result.stderr
    assert result.stderr.count('\n') == 1


def test_a_good_log_has_no_problems(log, tmp_path):
    for source in (log, write_bag(tmp_path / 'bag', ball(300))):
        result = run('data', 'check', source)
        assert result.exit_code == 0, result.output
        assert result.stdout.endswith(' rows, 0 problems\n')


def test_check_lists_everything_at_once(spoilt):
    def spoil(arrays):
        arrays['observations'][[5, 6, 70], 2] = np.nan
        arrays['actions'][2000] = [3.0, 0.0]
        arrays['observations'][3000:, 0] += 1.0
        arrays['rewards'][ROWS - 1] = np.inf

    result = run('data', 'check', spoilt(spoil))
    assert result.exit_code == 1
    for text in ('observations has a value that is not finite, first in row 5, 3 rows in all',
                 'actions must be in [-1, 1] and are not in column 0, first in row 2000',
                 'row 3000: the position jumps by more than max_step_m = 0.15 m',
                 'rewards has a value that is not finite, first in row 4999',
                 ': 5,000 rows, 4 problems'):
        assert text in result.stdout, result.stdout


@pytest.mark.parametrize('change, cause', [
    (lambda a: a['observations'].__setitem__((..., slice(2, 4)),
                                             1e3 * a['observations'][:, 2:4]),
     'row moves 0.00 times as far as row velocity says'),
    (lambda a: a['observations'].__setitem__((..., [2, 3]), a['observations'][:, [3, 2]]),
     'other units, axes or rate?'),
    (lambda a: a['actions'].__setitem__((..., 1), 0.0),
     'action col force is 0 in all rows: is it the right field?'),
    (lambda a: a.pop('actions'), 'key actions is missing; the file has observations')])
def test_check_finds_what_loads_but_is_not_what_it_says(spoilt, change, cause):
    result = run('data', 'check', spoilt(change))
    assert result.exit_code == 1
    assert cause in result.stdout, result.stdout


def test_check_goes_on_after_bad_messages(tmp_path):
    messages = ball(500)
    for index in (100, 101, 300):
        t, _, _ = messages[2 * index]
        messages[2 * index] = t, 'odom', odometry(STAMP_S + t, np.nan, 0.0)
    for index in (200, 400):
        messages[2 * index][2].header.stamp.sec -= 1
    result = run('data', 'check', write_bag(tmp_path / 'bag', messages))
    assert result.exit_code == 1
    for number in (101, 102, 301):
        assert f'message {number} of /odom: pose.pose.position.x is not a finite' in result.stdout
    for number in (201, 401):
        assert f'message {number} of /odom: its stamp goes back by 0.990 s' in result.stdout
    assert '500 rows, 5 problems' in result.stdout  # single messages are interpolated over


def test_check_tells_of_a_bag_that_ends_early(tmp_path):
    bag = write_bag(tmp_path / 'bag', circle(500))
    path = bag / 'metadata.yaml'
    path.write_text(path.read_text().replace('message_count: 500', 'message_count: 600'))
    result = run('data', 'check', bag, '--config', 'diff_drive')
    assert result.exit_code == 1
    assert 'is damaged: 600 of 700 messages can be read' in result.stdout


def test_check_of_what_cannot_be_opened(tmp_path):
    (tmp_path / 'bag.mcap').write_bytes(bytes(100))
    result = run('data', 'check', tmp_path / 'bag.mcap')
    assert result.exit_code == 2 and result.stderr.startswith('error [BAD_BAG]: ')
