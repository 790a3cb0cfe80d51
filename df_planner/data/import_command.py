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

"""The command ``df_planner data import``; what it needs is imported when it runs."""

from pathlib import Path

import click


@click.command('import', epilog='\b\nExamples:\n'
               '  df_planner data import results/RUN/bag --out data/drives.hdf5\n'
               '  df_planner data import day1 day2 --config diff_drive --out data/robot.hdf5\n'
               '  df_planner data import maze2d-umaze-sparse-v1.hdf5 --out data/umaze.hdf5\n'
               '  df_planner data import minari:D4RL/pointmaze/umaze-v2 --out data/umaze.hdf5')
@click.argument('sources', nargs=-1, required=True, metavar='SOURCE...')
@click.option('--out', required=True, type=click.Path(dir_okay=False, path_type=Path),
              help='The HDF5 file, which must not be there yet.')
@click.option('--config', metavar='YAML',
              help='Columns of bags and Minari data sets: a file, or the name of a shipped one: '
                   'maze2d, diff_drive, point_maze.  [default: maze2d, point_maze]')
def import_command(sources: tuple[str, ...], out: Path, config: str | None):
    """
    Bring logs into one file that `df_planner train` loads.

    A SOURCE is a bag (its folder, or its .mcap or .db3 file), an HDF5 file with the keys of D4RL,
    or a Minari data set (its folder, or minari:NAME). Messages of bags are resampled to a fixed
    rate; gaps and jumps end an episode. After Ctrl-C or a kill the same command goes on.
    """
    from df_planner.data.columns import load_import_config
    from df_planner.data.importing import import_sources
    try:
        imported = import_sources(sources, out, load_import_config(config) if config else None)
    except KeyboardInterrupt:
        click.echo('stopped: the same command goes on with the sources that are left', err=True)
        raise
    resumed = f', {imported.num_resumed} sources were done before' if imported.num_resumed else ''
    click.echo(f'{imported.path}: {imported.num_rows:,} rows, {imported.num_episodes} ends of '
               f'episodes{resumed}')
