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

"""The command ``df_planner measure blocks``; what it needs is imported when it runs."""

import click

from df_planner.benchmark.assignments import assignments
from df_planner.benchmark.measuring import journal_of_drives
from df_planner.benchmark.measuring import measure_options
from df_planner.benchmark.measuring import open_point_planner
from df_planner.benchmark.measuring import progress
from df_planner.benchmark.measuring import result_folder
from df_planner.benchmark.measuring import RESUME
from df_planner.benchmark.measuring import write_result


@click.command(epilog='\b\nExamples:\n'
               '  df_planner measure blocks --checkpoint maze2d-medium --episodes 50\n'
               '  df_planner measure blocks --checkpoint maze2d-medium --blocks 3..3 --seed 2 '
               '--set num_samples=32')
@click.option('--episodes', type=click.IntRange(min=1), default=50, show_default=True)
@click.option('--blocks', 'counts', default='1..3', show_default=True,
              help='Fewest..most blocks in an episode.')
@click.option('--arm', 'names', multiple=True,
              type=click.Choice(['clearance', 'selection', 'blind']),
              help='Drive only this arm; may be repeated.')
@RESUME
@measure_options('blocks', seed_of='starts, blocks and plans',
                 files='blocks.json, blocks.png and drives.jsonl')
def blocks(checkpoint, episodes, counts, seed, settings, names, resume, device, out):
    """
    Put blocks in the way that training never saw.

    They are on the planner's map and solid in the simulator. Success: the goal is reached without
    touching a block. Arms: clearance (guidance by the distance field), selection (the same planner
    without that term: candidates that collide are refused) and blind (no blocks on the map).
    Every drive is on disk at once: after Ctrl-C, --resume with the same --out goes on.
    """
    from df_planner.benchmark.blocks import arms
    from df_planner.benchmark.blocks import measure_blocks
    from df_planner.benchmark.blocks_picture import draw_blocks_picture
    from df_planner.errors import ConfigError

    fewest, dots, most = counts.partition('..')
    if not (dots and fewest.isdecimal() and most.isdecimal()
            and 1 <= int(fewest) <= int(most)):
        raise ConfigError(f'--blocks must be FEWEST..MOST, 1 or more, got {counts!r}')
    compared = {name: arm for name, arm in arms(assignments(settings)).items()
                if name in (names or ('clearance', 'selection', 'blind'))}
    planner, maze = open_point_planner('blocks', checkpoint, device, settings)
    folder = result_folder('blocks', out)
    with journal_of_drives(folder, checkpoint, device, settings, resume, episodes=episodes,
                           blocks=counts, arms=list(compared), seed=seed) as journal, \
            progress(episodes * len(compared), 'drives') as bar:
        results = measure_blocks(planner, maze, episodes, (int(fewest), int(most)), seed, compared,
                                 journal, lambda: bar.update(1))
    draw_blocks_picture(folder / 'blocks.png', maze, results)
    for name, rates in results['summary'].items():
        click.echo(f'{name:10} ' + '  '.join(
            f'{key} {rates[key]["count"]}/{rates["episodes"]} = {rates[key]["share"]:.0%} '
            f'({rates[key]["low"]:.0%} to {rates[key]["high"]:.0%})'
            for key in ('success', 'reached', 'touched')))
    write_result(folder / 'blocks.json', checkpoint, seed, {
        'maze': maze.name, 'arms': {name: vars(arm) for name, arm in compared.items()},
        'summary': results['summary'], 'episodes': results['episodes']})
