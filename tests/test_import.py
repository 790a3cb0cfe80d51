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

"""From logs to one data set: what is in it, what ends an episode, what a kill costs."""

import json
import signal
import subprocess
import sys
import time

from click.testing import CliRunner
import h5py
import numpy as np
import pytest
from robot_bag import ball
from robot_bag import ball_at
from robot_bag import circle
from robot_bag import odometry
from robot_bag import STAMP_S
from robot_bag import write_bag
from rosbags.rosbag2 import StoragePlugin
from small_log import save_dataset
from small_training import write_config
import yaml

from df_planner.cli.main import main
from df_planner.data import importing
from df_planner.data.d4rl import load_dataset
from df_planner.data.importing import import_sources
from df_planner.data.sources.columns import load_import_config
from df_planner.errors import DatasetError
from df_planner.errors import DFPlannerError
from df_planner.model.checkpoint import load_card
from df_planner.robots.kinds import DIFF_DRIVE
from df_planner.robots.signals import MAZE2D
from df_planner.sim.generate import generate


PEAK_OF_AN_IMPORT = """
import sys
from pathlib import Path
from df_planner.data.importing import import_sources
import_sources([sys.argv[1]], Path(sys.argv[2]))
lines = Path('/proc/self/status').read_text().splitlines()
print(next(int(line.split()[1]) / 1024 for line in lines if line.startswith('VmHWM:')))
"""
KILLED_AT_A_WRITE = """
import os, signal, sys
import h5py
from df_planner.cli.main import main
left, write = int(sys.argv.pop(1)), h5py.Dataset.__setitem__
def write_or_die(*arguments):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    write(*arguments)
h5py.Dataset.__setitem__ = write_or_die
main()
"""


def imported(tmp_path, *names, config=None):
    """Import and load."""
    out = tmp_path / 'out.hdf5'
    import_sources([str(name) for name in names], out,
                   load_import_config(config) if config else None, progress=False)
    assert not list(tmp_path.glob('.*'))
    return load_dataset(out)


def changed_config(tmp_path, name='maze2d', **changes):
    """Write a shipped configuration with some keys replaced."""
    values = load_import_config(name).model_dump(mode='json') | changes
    path = tmp_path / 'columns.yaml'
    path.write_text(yaml.safe_dump(values), encoding='utf-8')
    return path


@pytest.mark.parametrize('plugin', [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
@pytest.mark.parametrize('single_file', [False, True])
def test_messages_of_the_simulator_become_rows_of_maze2d(tmp_path, plugin, single_file):
    bag = write_bag(tmp_path / 'bag', ball(300), '/robot1', plugin)
    if single_file:
        [bag] = [path for path in bag.iterdir() if path.suffix in ('.mcap', '.db3')]
    dataset = imported(tmp_path, bag)
    assert dataset.signals == MAZE2D
    assert len(dataset) == 300
    np.testing.assert_array_equal(dataset.episode_starts, [0])
    x, y, vx, vy, fx, fy = np.array([ball_at(0.01 * step) for step in range(300)]).T
    np.testing.assert_allclose(dataset.observations, np.stack([-y, x, -vy, vx], 1), atol=1e-6)
    np.testing.assert_allclose(dataset.actions, np.stack([-fy, fx], 1), atol=1e-6)
    [source] = json.loads(dataset.attributes['sources'])
    assert source['rows'] == 300 and source['kind'] == 'rosbag2'


@pytest.mark.parametrize('stamped', [False, True])
def test_twists_and_headings_at_another_rate(tmp_path, stamped):
    """Odometry at 50 Hz and commands at 10 Hz become rows at 20 Hz."""
    dataset = imported(tmp_path, write_bag(tmp_path / 'bag', circle(1000, stamped=stamped)),
                       config='diff_drive')
    assert dataset.signals == DIFF_DRIVE.signals
    assert len(dataset) == pytest.approx(400, abs=2)
    yaw = 0.5 * DIFF_DRIVE.signals.dt_s * np.arange(len(dataset))
    if not stamped:  # placed by when they were received
        yaw += 0.5 * DIFF_DRIVE.signals.dt_s * (400 - len(dataset))
    wanted = [np.sin(yaw), 1 - np.cos(yaw), 0.5 * np.cos(yaw), 0.5 * np.sin(yaw), np.cos(yaw),
              np.sin(yaw)]
    np.testing.assert_allclose(dataset.observations, np.stack(wanted, 1), atol=1e-4)
    np.testing.assert_allclose(dataset.actions, np.full((len(dataset), 2), 0.5), atol=1e-6)


def test_gaps_and_jumps_end_episodes(tmp_path):
    """A pause of odometry, a pause of commands, a teleport between two messages."""
    messages = [m for m in ball(1000)
                if not (2.0 < m[0] < 3.0 and m[1] == 'odom')
                and not (5.0 < m[0] < 6.0 and m[1] == 'cmd_wrench')]
    for index, (t, name, message) in enumerate(messages):
        if name == 'odom' and t > 7.995:
            x, y, vx, vy, *_ = ball_at(t)
            messages[index] = t, name, odometry(STAMP_S + t, x + 1.0, y, 0.0, vx, vy)
    dataset = imported(tmp_path, write_bag(tmp_path / 'bag', messages))
    x = np.array([ball_at(0.01 * step)[0] for step in range(1000)])
    rows = np.concatenate([np.arange(201), np.arange(300, 510), np.arange(600, 1000)])
    np.testing.assert_allclose(dataset.observations[:, 1], x[rows] + (rows >= 800), atol=1e-6)
    np.testing.assert_array_equal(dataset.episode_starts,
                                  np.searchsorted(rows, [0, 300, 600, 800]))
    assert dataset.terminals.sum() == 4


def test_a_teleport_within_one_stamp_counts_as_where_it_led(tmp_path):
    """The simulator publishes odometry again, with the same stamp, when it is teleported."""
    messages = ball(100)
    x, y, *_ = ball_at(0.5)
    messages.append((0.505, 'odom', odometry(STAMP_S + 0.5, x + 2.0, y)))
    dataset = imported(tmp_path, write_bag(tmp_path / 'bag', messages))
    assert len(dataset) == 100
    np.testing.assert_array_equal(dataset.episode_starts, [0, 50, 51])
    assert dataset.observations[50, 1] == pytest.approx(x + 2.0)


def test_a_clock_that_jumps_by_years_costs_no_time(tmp_path):
    messages = ball(100)
    for t, name, message in ball(200)[200:]:
        message.header.stamp.sec += 1_600_000_000
        messages.append((t, name, message))
    bag = write_bag(tmp_path / 'bag', messages)
    started = time.process_time()
    dataset = imported(tmp_path, bag)
    assert time.process_time() - started < 5.0
    assert len(dataset) == 200
    np.testing.assert_array_equal(dataset.episode_starts, [0, 100])


def test_commands_beyond_the_limit_are_what_the_robot_can_do(tmp_path):
    messages = ball(100)
    for _, name, message in messages:
        if name == 'cmd_wrench':
            message.wrench.force.x = 250.0
    dataset = imported(tmp_path, write_bag(tmp_path / 'bag', messages))
    assert (dataset.actions[:, 1] == 1.0).all()


def test_blocks_do_not_show(tmp_path, monkeypatch):
    """However messages are cut into batches, the rows are the same."""
    from df_planner.data.sources import bag as bag_source
    from df_planner.data.sources import resampling
    messages = [m for m in ball(1500) if not 4.0 < m[0] < 4.5]
    bag = write_bag(tmp_path / 'bag', messages)
    whole = imported(tmp_path, bag)
    (tmp_path / 'out.hdf5').unlink()
    monkeypatch.setattr(bag_source, 'BATCH', 37)
    monkeypatch.setattr(resampling, 'BLOCK_ROWS', 11)
    cut = imported(tmp_path, bag)
    np.testing.assert_array_equal(cut.observations, whole.observations)
    np.testing.assert_array_equal(cut.actions, whole.actions)
    np.testing.assert_array_equal(cut.terminals, whole.terminals)


def test_by_the_time_of_the_recorder(tmp_path):
    messages = ball(200)
    for _, _, message in messages:
        message.header.stamp.sec = 0
    bag = write_bag(tmp_path / 'bag', messages)
    with pytest.raises(Exception, match='goes back by .* `time: received`'):
        imported(tmp_path, bag)
    dataset = imported(tmp_path, bag, config=changed_config(tmp_path, time='received'))
    assert len(dataset) in (199, 200)


@pytest.mark.parametrize('version', ['v1', 'v0', 'dense'])
def test_data_sets_of_d4rl(tmp_path, version):
    """Those of v0 have no timeouts, dense rewards are not 0 or 1, all have other keys, too."""
    source = generate('umaze', 3000, seed=1, progress=False, out=tmp_path / f'{version}.hdf5')
    with h5py.File(source, 'r+') as file:
        if version == 'v0':
            del file['timeouts']
        if version == 'dense':
            file['rewards'][:] = np.exp(-np.arange(3000) / 1000.0)
        file['metadata/algorithm'] = np.bytes_('waypoint')
    before = load_dataset(source)
    after = imported(tmp_path, source)
    for name in ('observations', 'actions', 'rewards', 'terminals', 'timeouts', 'goals'):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))
    assert after.num_repaired == before.num_repaired > 0
    assert after.attributes['maze'] == 'umaze' and after.signals == MAZE2D


def test_several_logs_become_one_and_do_not_run_into_each_other(tmp_path):
    log = generate('umaze', 500, progress=False, out=tmp_path / 'log.hdf5')
    bag = write_bag(tmp_path / 'bag', ball(200))
    dataset = imported(tmp_path, log, bag)
    assert len(dataset) == 700
    assert 500 in dataset.episode_starts and dataset.terminals[499]
    assert dataset.goals is None  # not all of them have it
    assert [s['rows'] for s in json.loads(dataset.attributes['sources'])] == [500, 200]


def test_what_not_all_logs_have_is_left_out_aloud(tmp_path, caplog):
    first, second = (generate('umaze', 500, seed, progress=False, out=tmp_path / f'{seed}.hdf5')
                     for seed in (0, 1))
    import_sources([str(first), str(second)], tmp_path / 'alike.hdf5', progress=False)
    assert not caplog.records
    dataset = imported(tmp_path, first, write_bag(tmp_path / 'bag', ball(200)))
    [warning] = [record.getMessage() for record in caplog.records]
    assert warning.startswith('timeouts, infos/goal, infos/qpos, infos/qvel: left out, because ')
    assert f'missing in {tmp_path / "bag"}; ' in warning
    assert 'without timeouts the field direct of a training has no effect' in warning
    assert load_dataset(first).timeouts.any() and not dataset.timeouts.any()


def test_the_same_content_twice_is_refused(tmp_path):
    bag = write_bag(tmp_path / 'bag', ball(100))
    [file] = bag.glob('*.mcap')
    with pytest.raises(DatasetError, match='has the same content as .*bag; name it once'):
        imported(tmp_path, bag, file)
    assert [path.name for path in tmp_path.iterdir()] == ['bag']


def test_other_columns_do_not_mix(tmp_path):
    log = generate('umaze', 500, progress=False, out=tmp_path / 'log.hdf5')
    bag = write_bag(tmp_path / 'bag', circle(200))
    with pytest.raises(DFPlannerError, match='log.hdf5: has arrays, .*; import it by itself'):
        imported(tmp_path, log, bag, config='diff_drive')
    twists = tmp_path / 'twists.hdf5'
    import_sources([str(bag)], twists, load_import_config('diff_drive'), progress=False)
    with pytest.raises(DatasetError, match='log.hdf5 has .*import them into separate files'):
        imported(tmp_path, log, twists)


def robot_log(tmp_path, rows=400, **changes):
    """Write what a robot of 20 Hz that takes newtons logged, in arrays of its own."""
    t = 0.05 * np.arange(rows)
    path = tmp_path / 'robot.hdf5'
    arrays = {'steps/velocity': np.stack([0.5 * np.cos(t), 0.5 * np.sin(t)], 1),
              'steps/pose': np.stack([t, np.sin(t), 1 - np.cos(t)], 1),
              'steps/push': np.stack([8 * np.sin(t), -8 * np.cos(t)], 1),
              'rewards': np.zeros(rows), 'terminals': t == t[99], **changes}
    arrays['steps/pose'][:, 1:] *= 0.5
    with h5py.File(path, 'w') as file:
        for key, array in arrays.items():
            file[key] = array
    return path


def column(name, unit, topic, number, **more):
    return {'name': name, 'unit': unit, 'topic': f'steps/{topic}', 'field': number, **more}


ROBOT = {
    'dt_s': 0.05, 'max_step_m': 0.2,
    'observations': [
        column('x', 'm', 'pose', 1), column('y', 'm', 'pose', 2),
        column('x velocity', 'm/s', 'velocity', 0), column('y velocity', 'm/s', 'velocity', 1)],
    'actions': [column('x push', 'N', 'push', 0, limit=5.0),
                column('y push', '2 N', 'push', 1, scale=0.5, limit=5.0)]}


def test_columns_of_an_hdf5_file_are_those_of_the_configuration(tmp_path, caplog):
    log, config = robot_log(tmp_path), changed_config(tmp_path, **ROBOT)
    dataset = imported(tmp_path, log, config=config)
    assert not caplog.records
    t = 0.05 * np.arange(400)
    np.testing.assert_allclose(dataset.observations, 0.5 * np.stack(
        [np.sin(t), 1 - np.cos(t), np.cos(t), np.sin(t)], 1), atol=1e-6)
    np.testing.assert_allclose(dataset.actions, np.stack(
        [np.clip(8 * np.sin(t), -5, 5), -4 * np.cos(t)], 1), atol=1e-5)
    assert dataset.signals.dt_s == 0.05 and dataset.signals.action_units == ('N', '2 N')
    assert dataset.signals.action_limits == (5.0, 5.0)
    np.testing.assert_array_equal(dataset.episode_starts, [0, 100])
    again = tmp_path / 'again.hdf5'  # what says itself what its columns are needs no words of it
    import_sources([str(tmp_path / 'out.hdf5')], again, load_import_config(config), False)
    assert load_dataset(again).signals == dataset.signals
    with pytest.raises(DatasetError, match='says itself what its columns are, and --config says'):
        import_sources([str(again)], tmp_path / 'third.hdf5', load_import_config('diff_drive'))


@pytest.mark.parametrize('changes, cause', [
    ({'time': 'received'}, 'has arrays, not messages; leave `time: received` out'),
    ({'actions': [column('push', 'N', 'push', 'force.x', limit=5.0)]},
     "field of push in --config must be the number of a column, got 'force.x'"),
    ({'actions': [column('push', 'N', 'pull', 0, limit=5.0)]},
     'key steps/pull is missing; the file has rewards, steps'),
    ({'actions': [column('push', 'N', 'push', 2, limit=5.0)]},
     r'steps/push must have shape \(N, 3 or more\), got \(400, 2\)')])
def test_columns_that_an_hdf5_file_does_not_have(tmp_path, changes, cause):
    log, config = robot_log(tmp_path), changed_config(tmp_path, **ROBOT | changes)
    with pytest.raises(DFPlannerError, match=cause):
        imported(tmp_path, log, config=config)


def test_a_log_that_moves_otherwise_than_it_says_is_imported_aloud(tmp_path, caplog):
    """A file that does not say what its columns are, of another rate; lost rows in it."""
    x, y, vx, vy, fx, fy = np.array([ball_at(0.01 * step) for step in range(0, 2000, 5)]).T
    observations = np.stack([x, y, vx, vy], 1)
    observations[[100, 200]] = 0.0
    save_dataset(tmp_path / 'log.hdf5', {
        'observations': observations, 'actions': np.stack([fx, fy], 1),
        'rewards': np.zeros(400), 'terminals': np.zeros(400, bool)})
    import_sources([str(tmp_path / 'log.hdf5')], tmp_path / 'out.hdf5', progress=False)
    warned = '\n'.join(record.getMessage() for record in caplog.records)
    assert 'log.hdf5: row moves ' in warned and 'says at 100 Hz' in warned
    assert 'the position jumps 4 times, first in row 100; `df_planner data check`' in warned


def test_nothing_is_overwritten(tmp_path):
    (tmp_path / 'out.hdf5').write_text('precious')
    with pytest.raises(DatasetError, match='exists already'):
        imported(tmp_path, write_bag(tmp_path / 'bag', ball(100)))
    assert (tmp_path / 'out.hdf5').read_text() == 'precious'


def test_ctrl_c_keeps_the_sources_that_are_done(tmp_path, monkeypatch):
    bags = [str(write_bag(tmp_path / f'bag{i}', ball(100 + i))) for i in range(3)]
    whole = tmp_path / 'whole.hdf5'
    import_sources(bags, whole, progress=False)
    out = tmp_path / 'out.hdf5'
    original, calls = importing._write_part, []

    def interrupted(source, part, bar):
        calls.append(source.path.name)
        if len(calls) == 3:
            raise KeyboardInterrupt
        original(source, part, bar)

    monkeypatch.setattr(importing, '_write_part', interrupted)
    result = CliRunner().invoke(main, ['data', 'import', *bags, '--out', str(out)])
    assert result.exit_code == 130 and 'the same command goes on' in result.stderr
    assert not out.exists()
    again = import_sources(bags, out, progress=False)
    assert calls == ['bag0', 'bag1', 'bag2', 'bag2'] and again.num_resumed == 2
    np.testing.assert_array_equal(load_dataset(out).observations,
                                  load_dataset(whole).observations)
    assert not list(tmp_path.glob('.*'))


@pytest.mark.parametrize('write, num_done', [(2, 0), (7, 1), (12, 2), (15, 3), (24, 3)])
def test_a_kill_costs_the_source_in_hand(tmp_path, write, num_done):
    """SIGKILL at one of the 24 writes: 4 keys of 3 logs, and again when these are joined."""
    bags = [str(write_bag(tmp_path / f'bag{i}', ball(100 + i))) for i in range(3)]
    out = tmp_path / 'out.hdf5'
    done = subprocess.run([sys.executable, '-c', KILLED_AT_A_WRITE, str(write), 'data', 'import',
                           *bags, '--out', str(out)], stderr=subprocess.DEVNULL, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not out.exists()
    assert import_sources(bags, out, progress=False).num_resumed == num_done
    assert len(load_dataset(out)) == 303
    assert sorted(path.name for path in tmp_path.iterdir()) == ['bag0', 'bag1', 'bag2', 'out.hdf5']


def test_a_bag_of_a_twist_robot_trains_a_model(tmp_path):
    bag = write_bag(tmp_path / 'bag', circle(3000))
    log = tmp_path / 'log.hdf5'
    runner = CliRunner()
    result = runner.invoke(main, ['data', 'import', str(bag), '--config', 'diff_drive', '--out',
                                  str(log)])
    assert result.exit_code == 0, result.output
    config = write_config(tmp_path / 'training', log, steps=2, frame_stack=5)
    result = runner.invoke(main, ['train', '--config', str(config)])
    assert result.exit_code == 0, result.output
    checkpoint = result.stdout.splitlines()[-1]
    card = load_card(checkpoint)
    assert card.architecture.part_sizes == (2, 2, 2, 10)
    assert card.observation_names == DIFF_DRIVE.signals.observation_names and card.dt_s == 0.05
    assert card.robot == DIFF_DRIVE.name
    assert card.statistics.action_std == pytest.approx((0.5, 0.5), rel=1e-3)


def test_memory_does_not_grow_with_the_bag(tmp_path):
    """Importing ten times as many messages; all of them together would take 60 MiB more."""
    peaks = []
    for rows in (4000, 40_000):
        bag = write_bag(tmp_path / f'bag{rows}', ball(rows))
        done = subprocess.run([sys.executable, '-c', PEAK_OF_AN_IMPORT, bag,
                               tmp_path / f'{rows}.hdf5'], capture_output=True, check=True)
        peaks.append(float(done.stdout))
    x, y, vx, vy, *_ = np.array([ball_at(0.01 * step) for step in range(40_000)]).T
    np.testing.assert_allclose(load_dataset(tmp_path / '40000.hdf5').observations,
                               np.stack([-y, x, -vy, vx], 1), atol=1e-6)
    assert peaks[1] - peaks[0] < 40.0
