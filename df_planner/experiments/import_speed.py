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

from datetime import datetime
from datetime import timezone
import json
from pathlib import Path
import shlex
import subprocess
import sys
import tempfile
import time

import click
import numpy as np
from rosbags.rosbag2 import CompressionFormat
from rosbags.rosbag2 import CompressionMode
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer
from rosbags.typesys import get_typestore
from rosbags.typesys import Stores
from tqdm import tqdm

from df_planner.data.d4rl import Dataset
from df_planner.data.d4rl import load_dataset
from df_planner.data.importing import import_sources
from df_planner.errors import ConfigError
from df_planner.evaluation.machine import machine_facts
from df_planner.evaluation.machine import memory_mib
from df_planner.experiments.common import echo_table
from df_planner.experiments.common import result_folder
from df_planner.sim.generate import generate

NS_PER_S = 1_000_000_000
BEGIN_S = 1_700_000_000
COMMAND_AFTER_NS = 2_000_000


def write_drive_bag(folder: Path, log: Dataset) -> None:
    """
    Write a log of the maze's ball as the bag that its drive would have left: MCAP, zstd.

    Two messages a row: odometry, and the force that answers it.
    """
    store = get_typestore(Stores.ROS2_JAZZY)
    odometry, wrench = _messages(store.types)
    dt_ns = round(log.signals.dt_s * NS_PER_S)
    writer = Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    with writer:
        topics = [(message, message.__msgtype__, writer.add_connection(
            name, message.__msgtype__, typestore=store))
            for name, message in (('/odom', odometry), ('/cmd_wrench', wrench))]
        rows = zip(log.observations.tolist(), log.actions.tolist())
        for index, (observation, action) in enumerate(tqdm(
                rows, total=len(log), desc='bag', unit='row', unit_scale=True, disable=None)):
            row, col, row_speed, col_speed = observation
            pose, speed = odometry.pose.pose.position, odometry.twist.twist.linear
            pose.x, pose.y, speed.x, speed.y = col, -row, col_speed, -row_speed
            force = wrench.wrench.force
            force.x, force.y = 100.0 * action[1], -100.0 * action[0]
            now_ns = BEGIN_S * NS_PER_S + index * dt_ns
            for after_ns, (message, kind, connection) in zip((0, COMMAND_AFTER_NS), topics):
                stamp = message.header.stamp
                stamp.sec, stamp.nanosec = divmod(now_ns, NS_PER_S)
                writer.write(connection, now_ns + after_ns, store.serialize_cdr(message, kind))


def in_process(task: str, *arguments: object) -> dict:
    """
    Return what one of ``TASKS`` measures, in a process of its own.

    :raises ConfigError: with its last words, if it fails.
    """
    done = subprocess.run([sys.executable, '-m', __name__, task, *map(str, arguments)],
                          stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise ConfigError(f'{task} cannot be measured: it ended with {done.returncode}')
    return json.loads(done.stdout)


def _import(bag: str, out: str) -> dict:
    started = time.perf_counter()
    imported = import_sources([bag], Path(out))
    return _facts(started, imported.num_rows)


def _open(log: str) -> dict:
    started = time.perf_counter()
    dataset = load_dataset(log)
    return _facts(started, len(dataset))


def _facts(started_s: float, rows: int) -> dict:
    return {'seconds': time.perf_counter() - started_s, 'cpu_seconds': time.process_time(),
            'rows': rows, 'resident_mib': memory_mib('VmHWM')}


def _messages(types: dict) -> tuple[object, object]:
    """Return an Odometry and a WrenchStamped of zeros."""
    def make(kind: str, *fields: object) -> object:
        return types[kind.replace('/', '/msg/')](*fields)

    def vector() -> object:
        return make('geometry_msgs/Vector3', 0.0, 0.0, 0.0)

    def header(frame_id: str) -> object:
        return make('std_msgs/Header', make('builtin_interfaces/Time', 0, 0), frame_id)

    pose = make('geometry_msgs/Pose', make('geometry_msgs/Point', 0.0, 0.0, 0.0),
                make('geometry_msgs/Quaternion', 0.0, 0.0, 0.0, 1.0))
    twist = make('geometry_msgs/Twist', vector(), vector())
    return (
        make('nav_msgs/Odometry', header('odom'), 'base_link',
             make('geometry_msgs/PoseWithCovariance', pose, np.zeros(36)),
             make('geometry_msgs/TwistWithCovariance', twist, np.zeros(36))),
        make('geometry_msgs/WrenchStamped', header('map'),
             make('geometry_msgs/Wrench', vector(), vector())))


TASKS = {'import': _import, 'open': _open}


if __name__ == '__main__':
    print(json.dumps(TASKS[sys.argv[1]](*sys.argv[2:])))


@click.command('import', epilog='\b\nExamples:\n'
               '  df_planner measure import\n'
               '  df_planner measure import --hours 0.1 --rows 1000000 --out results/import')
@click.option('--hours', type=click.FloatRange(min=0.001), default=1.0, show_default=True,
              help='Of the bag, at 100 Hz: odometry and a command per step.')
@click.option('--rows', type=click.IntRange(min=1000), default=4_000_000, show_default=True,
              help='Of the HDF5 log that is opened.')
@click.option('--seed', type=click.IntRange(min=0), default=0, show_default=True,
              help='Of both logs.')
@click.option('--out', type=click.Path(file_okay=False, path_type=Path),
              help='Folder of import.json.  [default: results/import-TIME]')
def import_speed(hours: float, rows: int, seed: int, out: Path | None):
    """
    Measure how long a long bag takes to import, and a long log to open.

    Both are made first, of drives in the large maze, in the folder for temporary files (TMPDIR).
    """
    folder = result_folder('import', out)
    measured = {}
    with tempfile.TemporaryDirectory() as name:
        temporary = Path(name)
        driven = generate('large', max(2, round(hours * 3600.0 / 0.01)), seed, repair_stale=True,
                          out=temporary / 'driven.hdf5')
        bag = temporary / 'bag'
        write_drive_bag(bag, load_dataset(driven))
        size_mib = sum(path.stat().st_size for path in bag.iterdir()) / 2**20
        measured['import of a bag'] = in_process('import', bag, temporary / 'imported.hdf5') | {
            'bag_mib': size_mib}
        log = generate('large', rows, seed, out=temporary / 'long.hdf5')
        measured['first opening of a log'] = in_process('open', log)
        measured['opening of a log'] = in_process('open', log)
    facts = {'command': shlex.join(['df_planner', *sys.argv[1:]]),
             'created': datetime.now(timezone.utc).isoformat(timespec='seconds'),
             'hours': hours, 'rows': rows, 'seed': seed, 'machine': machine_facts()}
    path = folder / 'import.json'
    path.write_text(json.dumps({**facts, 'measured': measured}, indent=1) + '\n',
                    encoding='utf-8')
    echo_table([['', 'rows', 's', 's of processor', 'MiB resident'], *(
        [name, f'{value["rows"]:,}', *(f'{value[key]:.2f}' for key in ('seconds', 'cpu_seconds')),
         f'{value["resident_mib"]:.0f}']
        for name, value in measured.items())])
    click.echo(f'report: {path}')
