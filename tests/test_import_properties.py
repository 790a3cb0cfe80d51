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

"""
Whatever happens to a good log, its import gives the right rows or refuses it for a reason.

Odometry is on a circle at 50 Hz, so every row shows its time; commands, at 10 Hz, tell theirs.
"""

from collections.abc import Callable
import math
from pathlib import Path
import tempfile

from drive_bag import BEGIN_NS
from drive_bag import header
from drive_bag import make
from drive_bag import NS
from drive_bag import STORE
import h5py
from hypothesis import given
from hypothesis import Phase
from hypothesis import settings
from hypothesis import strategies as st
from mcap.writer import Writer as McapWriter
import numpy as np
from robot_bag import odometry
from robot_bag import twist
from robot_bag import TWIST_STAMPED
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer

from df_planner.data.importing import import_sources
from df_planner.data.sources.columns import load_import_config
from df_planner.errors import DFPlannerError

CONFIG = load_import_config('diff_drive')
DT, GAP = round(CONFIG.dt_s * NS), round(CONFIG.max_gap_s * NS)
STEP = NS // 50
COUNT = 100  # messages of odometry
PERIOD = 5  # a command for so many of them
STAMP = 5 * NS
TURN_RPS = 0.5
MAX_LENGTH = 500  # of a refusal
IN_SMALL = settings(derandomize=True, max_examples=25, deadline=None, database=None,
                    phases=(Phase.generate, Phase.shrink))
IN_TINY = settings(IN_SMALL, max_examples=8)

# (received_ns, topic, stamp_ns, frame): what is in a message follows from its stamp and frame.
Message = tuple[int, str, int, str]


def drive(count: int = COUNT, begin: int = 0) -> list[Message]:
    """Return the messages of a drive whose first is received ``begin`` ns after BEGIN_NS."""
    return [(begin + index * STEP + later, topic, STAMP + index * STEP + later, frame)
            for index in range(count)
            for topic, later, frame in (('odom', 0, 'odom'), ('cmd_vel', 1000, ''))
            if topic == 'odom' or index % PERIOD == 0]


def motion(stamp_ns: int) -> tuple[float, ...]:
    """Return the observation at a time."""
    yaw = TURN_RPS * (stamp_ns - STAMP) / NS
    return (math.sin(yaw), 1.0 - math.cos(yaw), TURN_RPS * math.cos(yaw),
            TURN_RPS * math.sin(yaw), math.cos(yaw), math.sin(yaw))


def command(stamp_ns: int) -> tuple[float, float]:
    """Return the command of a time; no two are equal."""
    return 0.2 + 0.1 * (stamp_ns - STAMP) / NS, 0.5


def content(message: Message) -> bytes:
    """Return a message as it is recorded."""
    _, topic, stamp_ns, frame = message
    if topic == 'odom':
        yaw = TURN_RPS * (stamp_ns - STAMP) / NS
        made = odometry(0.0, *motion(stamp_ns)[:2], yaw, TURN_RPS)
    else:
        made = make(TWIST_STAMPED, twist=twist(*command(stamp_ns)))
    made.header = header(0.0, frame)
    made.header.stamp.sec, made.header.stamp.nanosec = divmod(stamp_ns, NS)
    return bytes(STORE.serialize_cdr(made, made.__msgtype__))


KINDS = {'odom': 'nav_msgs/msg/Odometry', 'cmd_vel': TWIST_STAMPED}
CONTENTS = {message[1:]: content(message) for message in drive()}


def write(folder: Path, messages: list[Message], plugin: StoragePlugin,
          topics: tuple[str, ...] = ('odom', 'cmd_vel')) -> Path:
    """Write a bag, in the order of the messages, and return its folder."""
    with Writer(folder / 'bag', version=9, storage_plugin=plugin) as writer:
        numbers = {topic: writer.add_connection(f'/{topic}', KINDS[topic], typestore=STORE)
                   for topic in topics}
        for message in messages:
            if message[1] in numbers:
                data = CONTENTS.get(message[1:]) or content(message)
                writer.write(numbers[message[1]], BEGIN_NS + message[0], data)
    return folder / 'bag'


def write_with_checksums(path: Path, messages: list[Message]) -> Path:
    """Write an MCAP file in small chunks, each with its checksum."""
    with path.open('wb') as file:
        writer = McapWriter(file, chunk_size=8000)
        writer.start(profile='ros2', library='another')
        numbers = {}
        for topic, kind in KINDS.items():
            schema = writer.register_schema(
                kind, 'ros2msg', STORE.generate_msgdef(kind, ros_version=2)[0].encode())
            numbers[topic] = writer.register_channel(f'/{topic}', 'cdr', schema)
        for message in messages:
            time_ns = BEGIN_NS + message[0]
            writer.add_message(numbers[message[1]], time_ns, CONTENTS[message[1:]], time_ns)
        writer.finish()
    return path


def rows_of(messages: list[Message]) -> np.ndarray:
    """
    Return the rows (n, 9), the last number 1 where an episode ends, that a drive must give.

    Every DT from the first odometry there is one where odometry is GAP apart at most, and the
    latest command is GAP old at most.
    """
    odom = sorted({message[2] for message in messages if message[1] == 'odom'})
    commands = sorted({message[2] for message in messages if message[1] == 'cmd_vel'})
    rows: list[tuple[float, ...]] = []
    last_piece = None
    for time in range(odom[0], odom[-1] + 1, DT) if odom else ():
        before = max(stamp for stamp in odom if stamp <= time)
        after = min(stamp for stamp in odom if stamp >= time)
        held = [stamp for stamp in commands if time - GAP <= stamp <= time]
        if after - before > GAP or not held:
            last_piece = None
            continue
        piece = sum(later - stamp > GAP for stamp, later in zip(odom, odom[1:]) if later <= before)
        if piece != last_piece and rows:
            rows[-1] = (*rows[-1][:8], 1.0)
        last_piece = piece
        share = (time - before) / max(after - before, 1)
        between = (1 - share) * np.array(motion(before)) + share * np.array(motion(after))
        rows.append((*between, *command(held[-1]), 0.0))
    if rows:
        rows[-1] = (*rows[-1][:8], 1.0)
    return np.array(rows).reshape(-1, 9)


def check(build: Callable[[Path], Path], wanted: np.ndarray | None, reason: str = '',
          may_refuse: bool = True) -> None:
    """
    Import what ``build`` writes into a folder: its rows are those wanted, or it is refused.

    :param wanted: rows (n, 9); None: it must be refused.
    :param reason: a part of the reason.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bag, out = build(folder), folder / 'results/out.hdf5'
        out.parent.mkdir()
        try:
            import_sources([str(bag)], out, CONFIG, progress=False)
        except DFPlannerError as error:
            assert may_refuse, error
            assert str(bag) in str(error) and len(str(error)) < MAX_LENGTH, error
            assert reason in str(error), error
            assert not list(out.parent.iterdir())
            return
        assert wanted is not None, 'it is not refused'
        with h5py.File(out) as file:
            found = np.concatenate([file['observations'][:], file['actions'][:],
                                    file['terminals'][:][:, None]], axis=1)
        np.testing.assert_allclose(found, wanted, atol=2e-4)


plugins = st.sampled_from(StoragePlugin)
places = st.integers(0, len(drive()) - 1)
CLEAN = rows_of(drive())


@IN_TINY
@given(plugins)
def test_nothing_happens(plugin):
    assert len(CLEAN) == 39
    check(lambda folder: write(folder, drive(), plugin), CLEAN, may_refuse=False)


@IN_SMALL
@given(plugins, st.sets(places, max_size=20), st.lists(st.tuples(places, st.integers(2, 40)),
                                                       max_size=3))
def test_gaps(plugin, single, stretches):
    lost = single | {index for first, size in stretches for index in range(first, first + size)}
    messages = [message for index, message in enumerate(drive()) if index not in lost]
    wanted = rows_of(messages)
    check(lambda folder: write(folder, messages, plugin), wanted, may_refuse=len(wanted) < 2)


@IN_SMALL
@given(plugins, st.permutations(drive()))
def test_any_order_in_the_file(plugin, messages):
    check(lambda folder: write(folder, messages, plugin), CLEAN,
          'the clock of the recorder was set back')


@IN_SMALL
@given(plugins, st.lists(st.tuples(places, st.integers(1, 60)), max_size=6))
def test_some_are_written_late(plugin, moves):
    messages = drive()
    for place, by in moves:
        messages.insert(min(place + by, len(messages) - 1), messages.pop(place))
    check(lambda folder: write(folder, messages, plugin), CLEAN,
          'the clock of the recorder was set back')


@IN_TINY
@given(plugins, st.booleans())
def test_topics_one_after_the_other(plugin, odometry_first):
    messages = sorted(drive(), key=lambda message: message[1], reverse=odometry_first)
    check(lambda folder: write(folder, messages, plugin), CLEAN, may_refuse=False)


@IN_SMALL
@given(plugins, st.lists(st.tuples(places, st.integers(0, STEP * 3)), max_size=20))
def test_duplicates(plugin, again):
    """Two recorders, or a bridge: a message is received twice, the second time later."""
    messages = drive()
    messages += [(messages[place][0] + later, *messages[place][1:]) for place, later in again]
    check(lambda folder: write(folder, sorted(messages), plugin), CLEAN, 'its stamp goes back')


@IN_SMALL
@given(plugins, st.lists(st.integers(5, COUNT), min_size=2, max_size=3))
def test_restarts_of_the_clock(plugin, counts):
    """The stamps start over, that of the recorder goes on."""
    messages, begin, wanted = [], 0, []
    for count in counts:
        messages += drive(count, begin)
        wanted.append(rows_of(drive(count)))
        begin += count * STEP
    is_clear = all(count * STEP > NS for count in counts[:-1])
    check(lambda folder: write(folder, messages, plugin),
          np.concatenate(wanted) if is_clear else None, '' if is_clear else 'its stamp goes back',
          may_refuse=not is_clear)


@IN_SMALL
@given(plugins, st.lists(st.integers(20, COUNT), min_size=2, max_size=3))
def test_restarts_of_the_recorder(plugin, counts):
    """It keeps the time of a simulator, which starts over."""
    messages = [message for count in counts for message in drive(count)]
    check(lambda folder: write(folder, messages, plugin), None,
          'there are several runs in one bag')


@IN_SMALL
@given(plugins, st.sets(places, min_size=1, max_size=8), st.integers(100, 10**6))
def test_stamps_of_the_future(plugin, wrong, ahead_s):
    messages = [(at, topic, stamp + (index in wrong) * ahead_s * NS, frame)
                for index, (at, topic, stamp, frame) in enumerate(drive())]
    with tempfile.TemporaryDirectory() as name:
        bag, out = write(Path(name), messages, plugin), Path(name) / 'out.hdf5'
        try:
            import_sources([str(bag)], out, CONFIG, progress=False)
        except DFPlannerError as error:
            assert '`time: received`' in str(error)
            return
        with h5py.File(out) as file:
            found = np.concatenate([file['observations'][:], file['actions'][:]], axis=1)
    for row in found:  # of the drive, or of the future, where commands are at the limit
        yaw = math.atan2(row[5], row[4]) % (2.0 * math.pi)
        age_s = yaw / TURN_RPS - (row[6] - command(STAMP)[0]) / 0.1
        assert np.abs(row[:6] - motion(STAMP + round(yaw / TURN_RPS * NS))).max() < 2e-4
        assert row[6] == CONFIG.actions[0].limit or -1e-3 < age_s < CONFIG.max_gap_s + 1e-3


@IN_SMALL
@given(plugins, st.sets(st.sampled_from(['odom', 'cmd_vel']), max_size=1))
def test_topics_are_missing(plugin, topics):
    check(lambda folder: write(folder, drive(), plugin, tuple(topics)), None, 'no topic ')


@IN_SMALL
@given(plugins, st.sets(st.integers(0, COUNT - 1), min_size=1, max_size=20),
       st.sampled_from(['map', 'odom2', '']))
def test_frames_are_mixed(plugin, others, frame):
    stamps = {STAMP + index * STEP for index in others}
    messages = [(at, topic, stamp, frame if topic == 'odom' and stamp in stamps else own)
                for at, topic, stamp, own in drive()]
    check(lambda folder: write(folder, messages, plugin), None,
          'it is in another frame than those before it')


shares = st.floats(0.0, 1.0, exclude_max=True)


@IN_SMALL
@given(plugins, shares, st.booleans())
def test_files_are_cut(plugin, share, alone):
    def cut(folder):
        bag = write(folder, drive(), plugin)
        [file] = [path for path in bag.iterdir() if path.suffix != '.yaml']
        file.write_bytes(file.read_bytes()[:int(share * file.stat().st_size)])
        return file if alone else bag
    check(cut, CLEAN)


flips = st.lists(st.tuples(shares, st.integers(1, 255)), min_size=1, max_size=4)


def flip(file: Path, changes: list[tuple[float, int]]) -> Path:
    """Change single bytes of a file."""
    data = bytearray(file.read_bytes())
    for share, bits in changes:
        data[int(share * len(data))] ^= bits
    file.write_bytes(data)
    return file


@settings(IN_SMALL, max_examples=60)
@given(flips)
def test_bytes_are_wrong(changes):
    """Where a checksum can tell, no wrong number comes through."""
    check(lambda folder: flip(write_with_checksums(folder / 'bag.mcap', drive()), changes), CLEAN)


@settings(IN_SMALL, max_examples=60)
@given(plugins, flips, st.booleans())
def test_bytes_are_wrong_and_no_checksum_tells(plugin, changes, in_metadata):
    """Nobody can know all wrong numbers, but every error has a reason."""
    with tempfile.TemporaryDirectory() as name:
        bag, out = write(Path(name), drive(), plugin), Path(name) / 'out.hdf5'
        [file] = [path for path in bag.iterdir() if (path.suffix == '.yaml') == in_metadata]
        flip(file, changes)
        try:
            import_sources([str(bag)], out, CONFIG, progress=False)
        except DFPlannerError as error:
            assert str(bag) in str(error) and len(str(error)) < MAX_LENGTH
