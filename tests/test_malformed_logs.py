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

"""Malformed logs: one line that names file and cause, exit code 2, nothing half-written."""

import json
import shutil
import sqlite3

from click.testing import CliRunner
from drive_bag import make
from drive_bag import NS
from drive_bag import STORE
import h5py
from minari_data import write_minari
import numpy as np
import pytest
from robot_bag import ball
from robot_bag import ODOM
from robot_bag import STAMP_S
from robot_bag import TWIST
from robot_bag import twist
from robot_bag import WRENCH
from robot_bag import write_bag
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer
import yaml

from df_planner.cli.main import main
from df_planner.data.sources.columns import load_import_config
from df_planner.sim.generate import generate

ROWS = 400


@pytest.fixture(scope='module')
def good(tmp_path_factory):
    """Return a folder with an HDF5 log, an MCAP bag, an SQLite bag and a Minari data set."""
    folder = tmp_path_factory.mktemp('good')
    generate('umaze', ROWS, progress=False, out=folder / 'log.hdf5')
    write_bag(folder / 'mcap', ball(ROWS))
    write_bag(folder / 'sqlite', ball(ROWS), plugin=StoragePlugin.SQLITE3)
    with pytest.MonkeyPatch.context() as patch:
        write_minari(folder / 'minari', patch)
    return folder


def run(*arguments):
    """Run a command line."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def assert_refused(folder, source, cause, *options):
    """Import into a folder of its own, and see that nothing is there afterwards."""
    results = folder / 'results'
    results.mkdir()
    result = run('data', 'import', source, '--out', results / 'out.hdf5', *options)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith('error [BAD_'), result.stderr
    [line] = result.stderr.splitlines()
    assert source.name in line or 'columns.yaml' in line, line
    assert cause in line, line
    assert len(line) < 1000 and 'Traceback' not in line
    assert not list(results.iterdir())


# HDF5


def cut(share):
    return lambda path: path.write_bytes(path.read_bytes()[:int(share * path.stat().st_size)])


def flip(path):
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle:middle + 4096] = bytes(4096)
    path.write_bytes(content)


def inside(change):
    def damage(path):
        with h5py.File(path, 'r+') as file:
            change(file)
    return damage


def without(key):
    return inside(lambda file: file.__delitem__(key))


def with_array(key, change):
    def replace(file):
        array = change(file[key][:])
        del file[key]
        file[key] = array
    return inside(replace)


def with_value(key, row, value):
    return inside(lambda file: file[key].__setitem__(row, value))


def of_huge_size(file):
    for key in ('observations', 'actions', 'rewards', 'terminals'):
        shape, kind = file[key].shape[1:], file[key].dtype
        del file[key]
        file.create_dataset(key, (10**12, *shape), kind, chunks=(1024, *shape))


def shortened(rows):
    def shorten(file):
        for key in ('observations', 'actions', 'rewards', 'terminals', 'timeouts', 'infos/goal',
                    'infos/qpos', 'infos/qvel'):
            array = file[key][:rows]
            del file[key]
            file[key] = array
    return inside(shorten)


def as_group(file):
    del file['actions']
    file.create_group('actions')


def rows_elsewhere(path):
    """Move the observations into a file that is lost then."""
    with h5py.File(path, 'r+') as file:
        observations = file['observations'][:]
        del file['observations']
        layout = h5py.VirtualLayout(observations.shape, observations.dtype)
        layout[:] = h5py.VirtualSource('part.hdf5', 'observations', observations.shape)
        file.create_virtual_dataset('observations', layout)


def external_rows(file):
    del file['observations']
    file.create_dataset('observations', (ROWS, 4), np.float32,
                        external=[('gone.raw', 0, h5py.h5f.UNLIMITED)])


def linked(key):
    def link(file):
        del file[key]
        file[key] = h5py.ExternalLink('other.hdf5', f'/{key}')
    return inside(link)


def never_written(**options):
    def forget(file):
        del file['observations']
        array = file.create_dataset('observations', (ROWS, 4), np.float32, **options)
        if options:
            array[:250] = 1.0
    return inside(forget)


def standing_still(file):
    for key in ('observations', 'infos/qpos', 'infos/qvel'):
        file[key][:] = 0.0


def of_many_groups(name, *keys):
    def write(path):
        with h5py.File(path, 'w') as file:
            for index in range(300):
                for key in keys:
                    file[f'{name}{index}/{key}'] = np.zeros((2, 2), np.float32)
    return write


HDF5 = {
    'other rows in another file': (rows_elsewhere, 'rows in other files (part.hdf5)'),
    'raw rows in another file': (inside(external_rows), 'rows in other files (gone.raw)'),
    'a link to another file': (linked('observations'), 'observations is a link to other.hdf5'),
    'a linked group': (linked('infos'), 'infos/goal is a link to other.hdf5'),
    'never written': (never_written(), 'observations is incomplete: 1 of 1 blocks'),
    'written in part': (never_written(chunks=(100, 4)), 'incomplete: 1 of 4 blocks'),
    'nothing but zeros': (inside(standing_still), 'the position is (0, 0) in all 400 rows'),
    'no space for an array': (
        with_array('actions', lambda a: h5py.Empty('f4')), 'actions must have shape (N, 2)'),
    'transposed': (with_array('observations', np.transpose), 'rows and columns are swapped'),
    'another robot': (
        with_array('actions', lambda a: np.hstack([a, a])), 'taken for one of Maze2D'),
    'inner file of Minari': (
        of_many_groups('episode_', 'actions', 'observations/observation'), 'give the data set'),
    'robomimic': (of_many_groups('data/demo_', 'actions', 'obs/object'), "robomimic's layout"),
    'nobody knows': (of_many_groups('run_', 'actions', 'states'), 'and more'),
    'pointer of Git LFS': (lambda path: path.write_text(
        'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n'), '`git lfs pull`'),
    'a web page': (lambda path: path.write_text('<!DOCTYPE html><html>'), 'is a web page'),
    'empty': (cut(0.0), 'is empty'),
    'wrong magic': (lambda path: path.write_bytes(b'PK\3\4' + bytes(4000)), 'not HDF5'),
    'text': (lambda path: path.write_text('observations,actions\n1,2\n'), 'not HDF5'),
    'cut in the header': (cut(0.01), 'truncated or not HDF5'),
    'cut near the end': (cut(0.95), 'truncated or not HDF5'),
    'zeros in the middle': (flip, 'not HDF5'),
    'no observations': (
        without('observations'), 'key observations is missing; the file has actions'),
    'no actions': (without('actions'), 'key actions is missing'),
    'no terminals': (without('terminals'), 'key terminals is missing'),
    'integers': (with_array('observations', lambda a: a.astype(int)), 'must be of dtype float'),
    'strings': (with_array('actions', lambda a: a.astype('S8')), 'must be of dtype float'),
    'flags as numbers': (with_array('terminals', lambda a: a.astype(float)), 'of dtype bool'),
    'a column less': (with_array('observations', lambda a: a[:, :3]), 'shape (N, 4)'),
    'a number': (with_array('rewards', lambda a: np.float32(1.0)), 'shape (N), got'),
    'rows less': (with_array('actions', lambda a: a[:-1]), 'actions has 399 rows, observations'),
    'no rows': (shortened(0), 'needs at least 2 rows'),
    'one row': (shortened(1), 'needs at least 2 rows'),
    'a group': (inside(as_group), 'actions is a group'),
    'NaN': (with_value('observations', 7, np.nan), 'not finite, first in row 7'),
    'infinite': (with_value('actions', 399, np.inf), 'actions has a value that is not finite'),
    'beyond the limit': (with_value('actions', 5, 1.5), 'must be in [-1, 1]'),
    'huge claimed size': (inside(of_huge_size), 'claims 1000000000000 rows'),
    'signals are no JSON': (inside(lambda f: f.attrs.update(signals='{')), 'attribute signals'),
    'signals of a number': (inside(lambda f: f.attrs.update(signals=3)), 'attribute signals'),
}


@pytest.mark.parametrize('name', HDF5)
def test_hdf5(good, tmp_path, name):
    damage, cause = HDF5[name]
    path = tmp_path / 'bad.hdf5'
    shutil.copy(good / 'log.hdf5', path)
    damage(path)
    assert_refused(tmp_path, path, cause)


# Bags


def of_file(damage):
    def of_bag(bag):
        [file] = [path for path in bag.iterdir() if path.name != 'metadata.yaml']
        damage(file)
    return of_bag


def metadata(change):
    def damage(bag):
        path = bag / 'metadata.yaml'
        content = yaml.safe_load(path.read_text())
        change(content['rosbag2_bagfile_information'])
        path.write_text(yaml.safe_dump(content))
    return damage


def more_messages(information):
    for topic in information['topics_with_message_count']:
        topic['message_count'] += 10**15


def query(text):
    def run_query(path):
        with sqlite3.connect(path) as connection:
            connection.execute(text)
    return run_query


MCAP = {
    'no metadata': (
        lambda bag: (bag / 'metadata.yaml').unlink(),
        'has mcap.mcap, but no metadata.yaml (was its recorder killed?); `ros2 bag reindex`'),
    'metadata is no YAML': (lambda bag: (bag / 'metadata.yaml').write_text('{a: ['), 'YAML'),
    'metadata is empty': (lambda bag: (bag / 'metadata.yaml').write_text(''), 'metadata'),
    'metadata of the future': (metadata(lambda m: m.update(version=99)), 'version 99'),
    'metadata without topics': (
        metadata(lambda m: m.pop('topics_with_message_count')), 'topics_with_message_count'),
    'metadata names another file': (
        metadata(lambda m: m.update(relative_file_paths=['gone.mcap'])), 'gone.mcap'),
    'metadata claims more messages': (metadata(more_messages), 'is damaged: 800 of'),
    'empty file': (of_file(cut(0.0)), 'cannot be read as a bag'),
    'pointer of Git LFS': (of_file(lambda path: path.write_text(
        'version https://git-lfs.github.com/spec/v1\noid sha256:0\n')), '`git lfs pull` gets it'),
    'wrong magic': (of_file(lambda p: p.write_bytes(b'PK' + p.read_bytes()[2:])), 'as a bag'),
    'cut in the middle': (of_file(cut(0.5)), 'cannot be read as a bag'),
    'cut at the end': (of_file(cut(0.99)), 'cannot be read as a bag'),
    'zeros in the middle': (of_file(flip), 'bag'),
}
SQLITE = {
    'wrong magic': (of_file(lambda p: p.write_bytes(b'PK' + p.read_bytes()[2:])), 'as a bag'),
    'cut in the middle': (of_file(cut(0.5)), 'bag'),
    'no table of messages': (of_file(query('DROP TABLE messages')), 'as a bag'),
    'messages are gone': (
        of_file(query('DELETE FROM messages WHERE id > 600')), 'is damaged: 600'),
    'messages are cut': (of_file(query('UPDATE messages SET data = substr(data, 1, 40)')), 'bag'),
    'text for a length': (of_file(query(
        "UPDATE messages SET data = x'00010000050000000000000000ffffff' "
        'WHERE id = 1')), 'is damaged: message 1 of /odom is no nav_msgs/msg/Odometry'),
}


@pytest.mark.parametrize('storage, name', [('mcap', name) for name in MCAP]
                         + [('sqlite', name) for name in SQLITE])
def test_bag(good, tmp_path, storage, name):
    damage, cause = {'mcap': MCAP, 'sqlite': SQLITE}[storage][name]
    bag = tmp_path / 'bad_bag'
    shutil.copytree(good / storage, bag)
    damage(bag)
    assert_refused(tmp_path, bag, cause)


def changed(name, change, from_row=200):
    """Return the messages of the ball, those of a topic changed from a row on."""
    messages = ball(ROWS)
    for received_s, topic, message in messages:
        if topic == name and received_s >= 0.01 * from_row:
            change(message, received_s)
    return messages


def set_x(message, _):
    message.pose.pose.position.x = np.nan


def set_force(message, _):
    message.wrench.force.y = -np.inf


def no_rotation(message, _):
    message.pose.pose.orientation.w = 0.0


def backwards(message, received_s):
    nanoseconds = round((STAMP_S + 10.0 - received_s) * NS)
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(nanoseconds, NS)


def a_second_back(message, _):
    message.header.stamp.sec -= 1


def much_later(message, _):
    message.header.stamp.sec += 1000


MESSAGES = {
    'nothing': ([], 'no topic odom; the bag has nothing'),
    'no odometry': (
        [m for m in ball(ROWS) if m[1] != 'odom'], 'no topic odom; the bag has /cmd_wrench'),
    'no commands': ([m for m in ball(ROWS) if m[1] == 'odom'], 'no topic cmd_wrench; '),
    'another type': ([*((t, 'cmd_wrench', twist(0.1, 0.2)) for t in range(5)), *(
        m for m in ball(ROWS) if m[1] == 'odom')], f'has no number force.y in {TWIST}'),
    'NaN': (changed('odom', set_x), 'message 201 of /odom: pose.pose.position.x is not a finite'),
    'infinite': (changed('cmd_wrench', set_force), 'message 201 of /cmd_wrench: force.y is not'),
    'no rotation': (changed('odom', no_rotation), 'message 201 of /odom: its orientation mu'),
    'reversed stamps': (changed('odom', backwards, 0), 'message 2 of /odom: its stamp goes back'),
    'one stamp backwards': (changed('odom', a_second_back, 399), 'message 400 of /odom: its st'),
    'commands of another time': (changed('cmd_wrench', much_later, 0), 'gives no rows: 400'),
    'one message': (ball(1), 'gives 1 rows: 1 messages of /odom until 5.00 s, 1'),
    'two robots': ([(t, f'{robot}/{name}', message) for robot in 'ab' for t, name, message in
                    ball(5)], 'several topics named odom; choose one in --config: '
                   '/a/odom, /b/odom'),
}


@pytest.mark.parametrize('name', MESSAGES)
def test_messages(tmp_path, name):
    messages, cause = MESSAGES[name]
    assert_refused(tmp_path, write_bag(tmp_path / 'bad_bag', messages), cause)


def test_topics_without_messages(tmp_path):
    bag = write_bag(tmp_path / 'bad_bag', [], also={'odom': ODOM, 'cmd_wrench': WRENCH})
    assert_refused(tmp_path, bag, 'gives no rows: 0 messages of /odom, 0 messages of /cmd_wrench')


def test_a_message_that_is_not_of_its_type(tmp_path):
    bag = tmp_path / 'bad_bag'
    with Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for name, kind in (('/odom', ODOM), ('/cmd_wrench', WRENCH)):
            connection = writer.add_connection(name, kind, typestore=STORE)
            writer.write(connection, 1, STORE.serialize_cdr(
                make('std_msgs/msg/Float64', data=1.0), 'std_msgs/msg/Float64'))
    assert_refused(tmp_path, bag, 'message 1 of /odom is no nav_msgs/msg/Odometry')


# Minari


def minari_value(path):
    with h5py.File(path / 'data/main_data.hdf5', 'r+') as file:
        file['episode_1/observations/observation'][3] = np.nan


def fewer_actions(path):
    with h5py.File(path / 'data/main_data.hdf5', 'r+') as file:
        actions = file['episode_1/actions'][:-5]
        del file['episode_1/actions']
        file['episode_1/actions'] = actions


def other_spaces(path):
    content = json.loads((path / 'data/metadata.json').read_text())
    content['observation_space'] = 'nonsense'
    (path / 'data/metadata.json').write_text(json.dumps(content))


MINARI = {
    'metadata is no JSON': (lambda p: (p / 'data/metadata.json').write_text('{'), 'as a Minari'),
    'metadata without spaces': (other_spaces, 'cannot be read as a Minari data set'),
    'no data': (lambda p: (p / 'data/main_data.hdf5').unlink(), 'as a Minari data set'),
    'data is cut': (lambda p: cut(0.5)(p / 'data/main_data.hdf5'), 'as a Minari data set'),
    'NaN': (minari_value, 'not finite, first in row 43 (row 3 of episode 1)'),
    'fewer actions': (fewer_actions, 'has 25 rewards, but 20 rows of actions'),
}


@pytest.mark.parametrize('name', MINARI)
def test_minari(good, tmp_path, name):
    damage, cause = MINARI[name]
    folder = tmp_path / 'bad_minari'
    shutil.copytree(good / 'minari/test/point-v0', folder)
    damage(folder)
    assert_refused(tmp_path, folder, cause)


# Columns


COLUMNS = {
    'not YAML': ('{a: [', 'cannot be read'),
    'a list': ('- 1', 'must be a mapping'),
    'an unknown key': ({'speed': 1}, 'speed: no such field'),
    'a negative rate': ({'dt_s': -0.1}, 'dt_s: must be greater than'),
    'a gap without end': ({'max_gap_s': float('inf')}, 'max_gap_s: must be less than'),
    'no actions': ({'actions': []}, 'actions: Tuple should have at least 1 item'),
    'a field that is not there': ({'actions': [{
        'name': 'a', 'unit': 'N', 'topic': 'cmd_wrench', 'field': 'force.w', 'limit': 1.0}]},
        'has no number force.w in geometry_msgs/msg/WrenchStamped'),
    'an action without a limit': ({'actions': [{
        'name': 'a', 'unit': 'N', 'topic': 'cmd_wrench', 'field': 'force.x'}]}, 'need a limit'),
}


@pytest.mark.parametrize('name', COLUMNS)
def test_columns(good, tmp_path, name):
    changes, cause = COLUMNS[name]
    path = tmp_path / 'columns.yaml'
    path.write_text(changes if isinstance(changes, str) else yaml.safe_dump(
        load_import_config('maze2d').model_dump(mode='json') | changes))
    assert_refused(tmp_path, good / 'mcap', cause, '--config', path)


def test_what_is_there_is_no_log(tmp_path):
    (tmp_path / 'log.csv').write_text('1,2\n')
    assert_refused(tmp_path, tmp_path / 'log.csv', 'its name must end in one of')


def test_what_is_not_there(tmp_path):
    assert_refused(tmp_path, tmp_path / 'gone.hdf5', 'no such file or folder')


def test_one_bad_log_among_good_ones_keeps_what_is_done(good, tmp_path):
    """It is mended or left out, and the others are not read again."""
    bad = write_bag(tmp_path / 'bad_bag', changed('odom', set_x))
    out = tmp_path / 'out.hdf5'
    result = run('data', 'import', good / 'mcap', bad, '--out', out)
    assert result.exit_code == 2 and 'bad_bag: message 201' in result.stderr
    assert not out.exists()
    result = run('data', 'import', good / 'mcap', '--out', out)
    assert result.exit_code == 0 and '1 sources were done before' in result.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ['bad_bag', 'out.hdf5']
