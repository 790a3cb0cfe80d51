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

"""The command ``df_planner measure import``; what it needs is imported when it runs."""

from datetime import datetime
from datetime import timezone
import json
from pathlib import Path
import shlex
import sys
import tempfile

import click

from df_planner.benchmark.measuring import echo_table
from df_planner.benchmark.measuring import result_folder


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
    from df_planner.benchmark.import_speed import in_process
    from df_planner.benchmark.import_speed import write_drive_bag
    from df_planner.benchmark.machine import machine_facts
    from df_planner.data.d4rl import load_dataset
    from df_planner.data.generator import generate

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
