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

"""Bags as other recorders leave them: read whole and right, or refused for the true reason."""

from contextlib import closing
import logging
import shutil
import sqlite3

from click.testing import CliRunner
from drive_bag import BEGIN_NS
from drive_bag import NS
from drive_bag import STORE
import h5py
from mcap.writer import CompressionType
from mcap.writer import IndexType
from mcap.writer import Writer as McapWriter
import numpy as np
import pytest
from robot_bag import circle
from robot_bag import ODOM
from robot_bag import STAMP_S
from robot_bag import TWIST
from robot_bag import write_bag
from rosbags.rosbag2 import CompressionFormat
from rosbags.rosbag2 import CompressionMode
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer
import yaml

from df_planner.cli.main import main
from df_planner.data.importing import import_sources
from df_planner.data.sources.columns import load_import_config
from df_planner.data.sources.formats import open_source
from df_planner.data.summary import find_problems
from df_planner.errors import BagError

STEPS = 300  # 6 s of a circle, 119 or 120 rows
CONFIG = load_import_config('diff_drive')
BY_RECEPTION = CONFIG.model_copy(update={'time': 'received'})


def assert_whole(tmp_path, bag, rows=119, ends=(1,), config=CONFIG):
    """Import a bag, see that all rows lie on the circle, and return them (n, 6)."""
    out = tmp_path / 'out.hdf5'
    import_sources([str(bag)], out, config, progress=False)
    with h5py.File(out) as file:
        found, is_last = file['observations'][:], file['terminals'][:]
    out.unlink()
    assert abs(len(found) - rows) <= 1 and is_last.sum() in ends
    x, y, vx, vy, cos, sin = found.T
    np.testing.assert_allclose(np.hypot(x, y - 1.0), 1.0, atol=1e-4)
    np.testing.assert_allclose(np.stack([cos, sin]), [1.0 - y, x], atol=1e-3)
    np.testing.assert_allclose(np.stack([vx, vy]), 0.5 * np.stack([cos, sin]), atol=1e-3)
    steps = np.hypot(*np.diff(found[:, :2], axis=0).T)[~is_last[:-1]]
    np.testing.assert_allclose(steps, 0.025, atol=1e-4)
    return found


def refusal(bag, config=CONFIG):
    """Return why a bag is not imported."""
    out = bag.with_name('out.hdf5')
    with pytest.raises(BagError) as caught:
        import_sources([str(bag)], out, config, progress=False)
    assert not out.exists()
    assert str(bag) in str(caught.value) and len(str(caught.value)) < 500
    return str(caught.value)


def problems(bag, config=CONFIG):
    """Return what is wrong with a bag, but for commands that never change."""
    found = []
    find_problems(open_source(str(bag), config), found.append)
    return [problem for problem in found if 'in all rows' not in problem]


# Half a log


def kill_recorder(folder, whole, mode):
    """Leave an SQLite file as a killed recorder does; all was committed to the WAL."""
    [file] = whole.glob('*.db3')
    work = folder / 'work.db3'
    shutil.copy(file, work)
    folder = folder / 'killed'
    folder.mkdir()
    with closing(sqlite3.connect(work)) as connection:
        rows = connection.execute('SELECT * FROM messages ORDER BY id').fetchall()
        connection.execute('DELETE FROM messages')
        connection.commit()
        connection.execute(f'PRAGMA journal_mode={mode}')
        connection.execute('PRAGMA wal_autocheckpoint=0')
        half = len(rows) // 2
        for part in (rows[:half], rows[half:]):
            connection.executemany('INSERT INTO messages VALUES (?, ?, ?, ?)', part)
            connection.commit()
            if part[0] == rows[0]:
                connection.execute('PRAGMA wal_checkpoint(TRUNCATE)')
        if mode == 'DELETE':  # in the middle of a transaction that has spilled into the file
            connection.execute('PRAGMA cache_size=2')
            connection.execute('DELETE FROM messages WHERE id % 2 = 0')
        for part in work.parent.glob('work.db3*'):
            if not part.name.endswith('-shm'):
                shutil.copy(part, folder / part.name.replace('work', 'bag_0'))
    return folder


@pytest.mark.parametrize('mode, beside', [('WAL', '-wal'), ('DELETE', '-journal')])
def test_what_sqlite_has_not_merged_is_read_and_not_touched(tmp_path, mode, beside):
    whole = write_bag(tmp_path / 'whole', circle(STEPS), plugin=StoragePlugin.SQLITE3)
    folder = kill_recorder(tmp_path, whole, mode)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(before) == {'bag_0.db3', f'bag_0.db3{beside}'}
    assert_whole(tmp_path, folder / 'bag_0.db3')
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert 'has bag_0.db3, but no metadata.yaml (was its recorder killed?)' in refusal(folder)


def split(tmp_path):
    """Write a bag of two files."""
    folder = tmp_path / 'split'
    folder.mkdir()
    messages = circle(STEPS)
    names = []
    for index in range(2):
        part = write_bag(tmp_path / f'part{index}',
                         [m for m in messages if (m[0] >= 3.0) == index])
        names.append(f'bag_{index}.mcap')
        shutil.move(part / f'part{index}.mcap', folder / names[-1])
    about = yaml.safe_load((part / 'metadata.yaml').read_text())
    information = about['rosbag2_bagfile_information']
    information['relative_file_paths'] = names
    for topic in information['topics_with_message_count']:
        topic['message_count'] *= 2
    (folder / 'metadata.yaml').write_text(yaml.safe_dump(about))
    return folder, about


def test_a_split_bag_has_all_of_its_files_or_is_refused(tmp_path):
    folder, about = split(tmp_path)
    assert_whole(tmp_path, folder)
    (folder / 'bag_1.mcap').rename(tmp_path / 'bag_1.mcap')
    assert 'bag_1.mcap is missing (1 of 2 files)' in refusal(folder)
    (tmp_path / 'bag_1.mcap').rename(folder / 'bag_1.mcap')
    about['rosbag2_bagfile_information']['relative_file_paths'].pop()
    (folder / 'metadata.yaml').write_text(yaml.safe_dump(about))
    assert 'metadata.yaml does not name bag_1.mcap' in refusal(folder)
    (folder / 'bag_1.mcap').unlink()
    assert 'is damaged: 180 of 360 messages can be read' in refusal(folder)


@pytest.mark.parametrize('mode', CompressionMode)
@pytest.mark.parametrize('plugin', StoragePlugin)
def test_compressed_bags(tmp_path, mode, plugin):
    if mode == CompressionMode.STORAGE and plugin == StoragePlugin.SQLITE3:
        pytest.skip('SQLite does not compress')
    bag = Writer(tmp_path / 'bag', version=9, storage_plugin=plugin)
    bag.set_compression(mode, CompressionFormat.ZSTD)
    with bag as writer:
        numbers = {}
        for time_s, name, message in circle(STEPS):
            kind = message.__msgtype__
            if name not in numbers:
                numbers[name] = writer.add_connection(f'/{name}', kind, typestore=STORE)
            writer.write(numbers[name], BEGIN_NS + round(time_s * NS),
                         STORE.serialize_cdr(message, kind))
    assert_whole(tmp_path, tmp_path / 'bag')


@pytest.mark.parametrize('plugin', StoragePlugin)
def test_folders_of_any_name(tmp_path, plugin):
    bag = write_bag(tmp_path / 'bag', circle(STEPS), plugin=plugin)
    assert_whole(tmp_path, bag.rename(tmp_path / 'day #1, 50% ü?'))


# MCAP of other writers


def write_mcap(path, messages, channels=1, also=None, **options):
    """Write an MCAP file; each topic has a channel for an equal part of the time."""
    with path.open('wb') as file:
        writer = McapWriter(file, **options)
        writer.start(profile='ros2', library='another')
        numbers = {}
        for name, kind in (('odom', ODOM), ('cmd_vel', TWIST)):
            schema = writer.register_schema(
                kind, 'ros2msg', STORE.generate_msgdef(kind, ros_version=2)[0].encode())
            for index in range(channels):
                numbers[name, index] = writer.register_channel(
                    f'/{name}', 'cdr', schema, {'publisher': str(index)})
        if also is not None:
            schema = writer.register_schema(*also[:3]) if also[0] else 0
            number = writer.register_channel('/also', also[3], schema)
            writer.add_message(number, BEGIN_NS, b'{"a": 1}', BEGIN_NS)
        for index, (time_s, name, message) in enumerate(messages):
            time_ns = BEGIN_NS + round(time_s * NS)
            writer.add_message(
                numbers[name, index * channels // len(messages)], time_ns,
                bytes(STORE.serialize_cdr(message, message.__msgtype__)), time_ns)
        writer.finish()
    return path


MCAP = {
    'plain': {},
    'two channels of a topic': {'channels': 2},
    'nothing but messages': {
        'index_types': IndexType.NONE, 'use_statistics': False, 'repeat_channels': False,
        'repeat_schemas': False, 'use_summary_offsets': False},
    'no statistics': {'use_statistics': False},
    'an index of chunks': {'index_types': IndexType.CHUNK},
    'an index of chunks, no statistics': {'index_types': IndexType.CHUNK, 'use_statistics': False},
    'no channels in the summary': {'repeat_channels': False},
    'no chunks': {'use_chunking': False},
    'lz4': {'compression': CompressionType.LZ4},
    'zstd in small chunks': {'compression': CompressionType.ZSTD, 'chunk_size': 5000},
    'a topic in JSON': {'also': ('app.Log', 'jsonschema', b'{"type": "object"}', 'json')},
    'a topic in Protobuf': {'also': ('foxglove.Log', 'protobuf', b'\xff\xfe', 'protobuf')},
    'a topic without schema': {'also': ('', '', b'', 'json')},
    'a topic without definition': {'also': ('my_msgs/msg/Wheel', '', b'', 'cdr')},
    'an empty definition': {'also': ('my_msgs/msg/Wheel', 'ros2msg', b'', 'cdr')},
    'a definition of what is missing': {
        'also': ('my_msgs/msg/Odd', 'ros2msg', b'my_msgs/Missing part\nfloat64 x 1.0\n', 'cdr')},
}


@pytest.mark.parametrize('name', MCAP)
def test_mcap_of_another_writer(tmp_path, name):
    assert_whole(tmp_path, write_mcap(tmp_path / 'bag.mcap', circle(STEPS), **MCAP[name]))


ASKED = {
    'JSON': (('app.Log', 'jsonschema', b'{}', 'json'), "it is encoded as 'json'"),
    'no definition': (('my_msgs/msg/Wheel', '', b'', 'cdr'), 'no definition of my_msgs/msg/Wheel'),
    'a part is missing': (('my_msgs/msg/Odd', 'ros2msg', b'my_msgs/Missing part\n', 'cdr'),
                          'the definition of my_msgs/msg/Odd in the bag is wrong'),
}


@pytest.mark.parametrize('name', ASKED)
def test_what_is_asked_for_and_cannot_be_read_is_named(tmp_path, name):
    also, words = ASKED[name]
    bag = write_mcap(tmp_path / 'bag.mcap', circle(STEPS), also=also)
    action = CONFIG.actions[0].model_copy(update={'topic': 'also'})
    found = refusal(bag, CONFIG.model_copy(update={'actions': (action, *CONFIG.actions[1:])}))
    assert 'bag.mcap: /also cannot be read: ' in found and words in found
    assert 'recorder' not in found


def test_two_types_of_a_topic_are_named(tmp_path):
    bag = write_mcap(tmp_path / 'bag.mcap', circle(STEPS),
                     also=('app.Log', 'jsonschema', b'{}', 'json'))
    content = bag.read_bytes().replace(b'/also', b'/odom')
    bag.write_bytes(content)
    assert bag.name and 'checksum' in refusal(bag)
    bag = write_mcap(tmp_path / 'bag.mcap', circle(STEPS), enable_crcs=False,
                     also=('app.Log', 'jsonschema', b'{}', 'json'))
    bag.write_bytes(bag.read_bytes().replace(b'/also', b'/odom'))
    assert 'odom has several types: app.Log (json), nav_msgs/msg/Odometry (cdr)' in refusal(bag)


def test_another_profile_is_no_damage(tmp_path):
    bag = write_mcap(tmp_path / 'bag.mcap', circle(STEPS))
    bag.write_bytes(bag.read_bytes().replace(b'ros2', b'ros1', 1))
    found = refusal(bag)
    assert 'profile' in found.lower() and 'recorder' not in found


# Clocks


def stamped(change, steps=STEPS, of=('odom',), kind=False):
    """Return messages whose stamps are ``change`` of the right ones, both in ns."""
    messages = circle(steps, stamped=kind)
    for _, name, message in messages:
        if name in of:
            stamp = message.header.stamp
            stamp.sec, stamp.nanosec = divmod(change(stamp.sec * NS + stamp.nanosec), NS)
    return messages


STANDING = {
    'zero': lambda ns: 0,
    'whole seconds': lambda ns: ns // NS * NS,
    'milliseconds in the place of nanoseconds': lambda ns: ns // NS * NS + ns % NS // 10**6,
}


@pytest.mark.parametrize('name', STANDING)
def test_stamps_that_stand(tmp_path, name):
    bag = write_bag(tmp_path / 'bag', stamped(STANDING[name]))
    assert 'stamps of /odom do not advance; with `time: received` in --config' in refusal(bag)
    assert_whole(tmp_path, bag, config=BY_RECEPTION)
    assert len(problems(bag)) <= 2


def test_commands_without_stamps(tmp_path):
    """A joystick, or ``ros2 topic pub``."""
    bag = write_bag(tmp_path / 'bag', stamped(lambda ns: 0, of=('cmd_vel',), kind=True))
    found = refusal(bag)
    assert 'gives no rows: 300 messages of /odom until 10.98 s' in found
    assert '(do they belong to the same time?); with `time: received` in --config' in found
    assert_whole(tmp_path, bag, config=BY_RECEPTION)


def test_a_restarted_clock_ends_an_episode(tmp_path, caplog):
    """Two runs of a simulator, whose clock starts over, in one bag."""
    messages = circle(STEPS)
    messages += [(t + 6.0, name, message) for t, name, message in circle(STEPS)]
    bag = write_bag(tmp_path / 'bag', messages)
    found = assert_whole(tmp_path, bag, rows=238, ends=(2,))
    np.testing.assert_allclose(found[119:], found[:119], atol=1e-6)
    [warning] = [record.getMessage() for record in caplog.records]
    assert f'{bag}: stamps start over 1 times, first at message 301 of /odom' in warning
    assert_whole(tmp_path, bag, rows=238, ends=(2,), config=BY_RECEPTION)


def test_a_stamp_from_the_future_ends_an_episode(tmp_path, caplog):
    messages = circle(STEPS)
    odometry = [message for _, name, message in messages if name == 'odom']
    for index in (100, 200):
        odometry[index].header.stamp.sec += 1000
    caplog.set_level(logging.WARNING)
    assert_whole(tmp_path, write_bag(tmp_path / 'bag', messages), rows=114, ends=(3, 4, 5))
    assert 'stamps start over 2 times, first at message 102 of /odom' in caplog.text


@pytest.mark.parametrize('plugin', StoragePlugin)
def test_a_recorder_whose_clock_restarts(tmp_path, plugin):
    """A recorder on the clock of a simulator gives two runs the same times."""
    bag = tmp_path / 'bag'
    with Writer(bag, version=9, storage_plugin=plugin) as writer:
        numbers = {name: writer.add_connection(f'/{name}', kind, typestore=STORE)
                   for name, kind in (('odom', ODOM), ('cmd_vel', TWIST))}
        for time_s, name, message in circle(STEPS) + circle(STEPS):
            writer.write(numbers[name], BEGIN_NS + round(time_s * NS),
                         STORE.serialize_cdr(message, message.__msgtype__))
    for config in (CONFIG, BY_RECEPTION):
        assert 'was received 5.980 s before the one before it: the clock of the recorder' in (
            refusal(bag, config))


def test_topics_one_after_the_other(tmp_path):
    """A converter may write them so; the times of reception tell the order."""
    messages = sorted(circle(STEPS), key=lambda message: message[1])
    assert_whole(tmp_path, write_mcap(tmp_path / 'bag.mcap', messages, chunk_size=5000))


# Problems


def test_equal_problems_are_counted(tmp_path):
    messages = circle(STEPS)
    for _, name, message in messages:
        if name == 'odom':
            message.pose.pose.position.x = np.nan
    bag = write_bag(tmp_path / 'bag', messages)
    assert problems(bag) == [
        *(f'message {number} of /odom: pose.pose.position.x is not a finite number'
          for number in (1, 2, 3)),
        '297 more messages of /odom are like message 1 (pose.pose.position.x is not a finite '
        'number), the last is message 300',
        'gives no rows: 300 messages of /odom, none valid, 60 messages of /cmd_vel until '
        f'{STAMP_S + 5.901:.2f} s']
    assert 'message 1 of /odom: pose.pose.position.x' in refusal(bag)


@pytest.mark.parametrize('part', ['frame_id', 'child_frame_id'])
def test_positions_of_two_frames_do_not_mix(tmp_path, part):
    messages = circle(STEPS)
    for time_s, name, message in messages:
        if name == 'odom' and time_s > 2.99:
            setattr(message if part == 'child_frame_id' else message.header, part, 'map')
    bag = write_bag(tmp_path / 'bag', messages)
    assert 'message 151 of /odom: it is in another frame than those before' in refusal(bag)
    assert '147 more messages of /odom are like message 151' in problems(bag)[3]


def test_a_bug_is_called_a_bug(tmp_path, monkeypatch):
    """It is no damage of the log."""
    from df_planner.data.sources import bag as bag_source

    def failing(*_):
        raise IndexError('index 0 is out of bounds')

    monkeypatch.setattr(bag_source, '_stack', failing)
    bag = write_bag(tmp_path / 'bag', circle(STEPS))
    result = CliRunner().invoke(main, ['data', 'check', str(bag), '--config', 'diff_drive'])
    assert result.exit_code == 70
    assert 'Traceback' in result.stderr and 'damaged' not in result.stderr
    assert result.stderr.splitlines()[-1] == (
        'error [BUG]: IndexError: index 0 is out of bounds: a bug of df_planner, not of your '
        'input; please report these lines and the command to maintainers@df-planner.example')
