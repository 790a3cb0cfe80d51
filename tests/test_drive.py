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

"""Bags in, numbers and pictures out: a drive whose numbers are known, and bags that are none."""

import csv
import re

from click.testing import CliRunner
from drive_bag import BEGIN_NS
from drive_bag import drive_messages
from drive_bag import GOALS
from drive_bag import KINDS
from drive_bag import NS
from drive_bag import OFF_M
from drive_bag import PLANNING_S
from drive_bag import RADIUS_M
from drive_bag import STORE
from drive_bag import write_bag
import numpy as np
from PIL import Image
import pytest
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer

from df_planner.cli.main import main
from df_planner.drives.bag import read_drive
from df_planner.drives.metrics import leg_record
from df_planner.drives.metrics import legs
from df_planner.drives.metrics import teleports
from df_planner.drives.metrics import tracking_errors
from df_planner.errors import BagError


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    """Return the bag of a known drive."""
    return write_bag(tmp_path_factory.mktemp('drive') / 'bag')


def run(*arguments):
    """Run a command in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.parametrize('plugin', list(StoragePlugin))
def test_what_was_written_is_read(tmp_path, plugin):
    counted = []
    drive = read_drive(write_bag(tmp_path / 'bag', plugin=plugin), on_message=counted.append)
    assert len(counted) == counted[0] == len(drive_messages())
    assert drive.times_s[[0, -1]].tolist() == pytest.approx([5.0, 8.0])
    assert np.allclose(drive.states[:251, 0], np.arange(251) / 100)
    assert [len(plan) for plan in drive.plans] == [201, 151, 101, 0]
    assert [plan.planning_time_s for plan in drive.plans] == [PLANNING_S] * 3 + [None]
    assert [goal.position_m.tolist() for goal in drive.goals] == [list(goal) for goal in GOALS]
    assert drive.occupancy.extent_m == (-0.5, 4.5, -0.5, 3.5)
    assert drive.occupancy.cells.sum() == 2000
    assert np.allclose(np.concatenate([discs.radii_m for discs in drive.uncertainty]), RADIUS_M)
    assert [found.valid for found in drive.candidates] == [[True, False]] * 3
    assert drive.problems == {'planner: inputs: no map': 1}


def test_the_twist_of_odometry_is_in_the_axes_of_the_robot(tmp_path):
    messages = [message for message in drive_messages() if message[1] == 'odom'][:2]
    for _, _, odometry in messages:  # it faces along y
        odometry.pose.pose.orientation.z = odometry.pose.pose.orientation.w = np.sqrt(0.5)
    others = [message for message in drive_messages() if message[1] == 'plan_trajectory']
    drive = read_drive(write_bag(tmp_path / 'bag', messages + others))
    assert np.allclose(drive.states[:, 2:], (0.0, 1.0))


def test_the_file_alone_and_a_namespace_will_do(bag, tmp_path):
    assert len(read_drive(bag / 'bag.mcap').plans) == 4
    assert len(read_drive(write_bag(tmp_path / 'bag', namespace='/robot1')).plans) == 4


def test_legs_end_at_a_teleport_and_errors_are_those_of_the_drive(bag):
    drive = read_drive(bag)
    assert teleports(drive).tolist() == [251]
    errors = tracking_errors(drive)
    first, second = legs(drive, 0.5)
    assert (first.rows, second.rows) == (range(0, 251), range(251, 301))
    assert (first.reached_row, second.reached_row) == (151, None)
    record = leg_record(drive, first, errors)
    assert record['reached'] and record['time_s'] == pytest.approx(1.51)
    assert record['path_m'] == pytest.approx(1.51)
    assert record['tracking_error_mean_m'] == pytest.approx(OFF_M, rel=1e-6)
    assert record['planning_p95_s'] == PLANNING_S
    assert record['uncertainty_mean_m'] == pytest.approx(RADIUS_M)
    assert (record['plans'], record['brakes']) == (3, 0)
    # Beyond the end of the last plan the robot should stay there, and drives 0.5 m too far.
    assert np.nanmax(errors) == pytest.approx(np.hypot(0.5, OFF_M))
    assert np.isnan(errors[251:]).all()
    record = leg_record(drive, second, errors)
    assert (record['reached'], record['brakes']) == (False, 1)
    assert record['tracking_error_mean_m'] is None


def test_a_clock_that_jumps_back_leaves_the_longest_stretch(tmp_path):
    later = [(time_s + 10.0, name, message) for time_s, name, message in drive_messages()
             if time_s < 1.0]
    drive = read_drive(write_bag(tmp_path / 'bag', [*drive_messages(), *later]))
    assert drive.clock_jumps == 1 and len(drive.times_s) == 301 and len(drive.plans) == 4


def test_the_report_has_table_series_and_picture(bag, tmp_path):
    result = run('report', bag, '--out', tmp_path / 'out')
    assert result.exit_code == 0, result.stderr
    assert '(2.0, 1.0) 1.51 s' in re.sub(' +', ' ', result.stdout)
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {
        'report.md', 'report.png', 'legs.csv', 'drive.csv', 'plans.csv'}
    text = re.sub(' +', ' ', (tmp_path / 'out' / 'report.md').read_text())
    assert '| goals reached | 1 of 2 (within 0.5 m) |' in text
    assert '25.0 / 25.0 / 25.0 ms' in text and '| 1 | planner: inputs: no map |' in text
    with (tmp_path / 'out' / 'drive.csv').open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 301 and float(rows[100]['tracking_error_m']) == pytest.approx(OFF_M)
    assert rows[300]['tracking_error_m'] == ''
    with (tmp_path / 'out' / 'plans.csv').open() as file:
        assert [row['points'] for row in csv.DictReader(file)] == ['201', '151', '101', '0']
    picture = np.asarray(Image.open(tmp_path / 'out' / 'report.png').convert('RGB'))
    assert picture.shape[1] > 1000 and len(np.unique(picture.reshape(-1, 3), axis=0)) > 100


def test_a_bag_with_the_least_is_reported_too(tmp_path):
    bag = write_bag(tmp_path / 'bag', left_out=(
        'map', 'goal_pose', 'planner/planning_time', 'planner/candidates', 'planner/uncertainty',
        '/diagnostics'))
    result = run('report', bag)
    assert result.exit_code == 0, result.stderr
    assert '0 of 0' in (tmp_path / 'bag-report' / 'report.md').read_text()


def test_the_animation_moves_and_stays_small(bag, tmp_path):
    result = run('animate', bag, '--width-px', 200, '--speed', 4, '--out', tmp_path / 'a.gif')
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / 'a.gif').stat().st_size < 200_000
    with Image.open(tmp_path / 'a.gif') as gif:
        assert gif.width == 200 and gif.n_frames >= 10
        frames = []
        for index in range(gif.n_frames):
            gif.seek(index)
            frames.append(np.asarray(gif.convert('RGB'), np.int16))
    blue = [np.argwhere((frame[..., 2] - frame[..., 0] > 180)) for frame in frames]
    assert blue[0][:, 1].min() < blue[5][:, 1].min()  # the robot and its plan move to the right


@pytest.mark.parametrize('damage, words', [
    ('missing', 'no such bag'),
    ('empty folder', 'is no bag: the folder has no metadata.yaml and no .mcap'),
    ('text', 'is no bag: the name of bag must end in .mcap or .db3'),
    ('truncated', '`mcap recover`'),
    ('half a chunk', 'is damaged'),
    ('no metadata', 'has bag.mcap, but no metadata.yaml (was its recorder killed?)'),
    ('no odometry', 'has no /odom (nav_msgs/msg/Odometry)'),
    ('no plan', 'has no /plan_trajectory'),
    ('one message', 'fewer than 2 messages of odometry'),
    ('two robots', 'choose one with --namespace: robot1, robot2'),
])
def test_a_bad_bag_is_one_line(tmp_path, damage, words):
    path = tmp_path / 'bag'
    messages = drive_messages()
    if damage == 'empty folder':
        path.mkdir()
    elif damage == 'text':
        path.write_text('no bag')
    elif damage == 'no odometry':
        write_bag(path, left_out=('odom',))
    elif damage == 'no plan':
        write_bag(path, left_out=('plan_trajectory',))
    elif damage == 'one message':
        write_bag(path, [m for m in messages if m[1] != 'odom' or m[0] == 0.0])
    elif damage == 'two robots':
        two_robots(path)
    elif damage != 'missing':
        file = write_bag(path) / 'bag.mcap'
        content = file.read_bytes()
        if damage == 'truncated':
            file.write_bytes(content[:len(content) // 2])
        elif damage == 'half a chunk':
            file.write_bytes(content[:2000] + bytes(2000) + content[4000:])
        else:
            (path / 'metadata.yaml').unlink()
    for command in ('report', 'animate'):
        result = run(command, path)
        assert result.exit_code == 2
        assert result.stderr.startswith('error [BAD_BAG]: '), result.stderr
        assert words in result.stderr and result.stderr.count('\n') == 1
    assert {found.name for found in tmp_path.iterdir()} <= {'bag'}


def two_robots(path):
    """Write a bag in which two robots drive."""
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for robot in ('robot1', 'robot2'):
            connections = {name: writer.add_connection(f'/{robot}/{name}', kind, typestore=STORE)
                           for name, kind in KINDS.items() if not name.startswith('/')}
            for time_s, name, message in drive_messages():
                if name in connections:
                    writer.write(connections[name], BEGIN_NS + round(time_s * NS),
                                 STORE.serialize_cdr(message, KINDS[name]))


def test_one_of_two_robots_is_read(tmp_path):
    two_robots(tmp_path / 'bag')
    assert len(read_drive(tmp_path / 'bag', 'robot2').times_s) == 301
    with pytest.raises(BagError, match='has no /robot3/odom'):
        read_drive(tmp_path / 'bag', 'robot3')
