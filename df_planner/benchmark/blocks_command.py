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

from datetime import datetime
from datetime import timezone
import json
from pathlib import Path
import shlex
import sys

import click

from df_planner.benchmark.assignments import assignments


@click.command(epilog='\b\nExamples:\n'
               '  df_planner measure blocks --checkpoint maze2d-medium --episodes 50\n'
               '  df_planner measure blocks --checkpoint maze2d-medium --blocks 3..3 --seed 2 '
               '--set num_samples=32')
@click.option('--checkpoint', required=True, help='A shipped name or a .safetensors file.')
@click.option('--episodes', type=click.IntRange(min=1), default=50, show_default=True)
@click.option('--blocks', 'counts', default='1..3', show_default=True,
              help='Fewest..most blocks in an episode.')
@click.option('--seed', type=click.IntRange(min=0), default=0, show_default=True,
              help='Of starts, blocks and plans.')
@click.option('--set', 'settings', multiple=True, metavar='NAME=VALUE',
              help='Replace a planner setting in every arm; may be repeated.')
@click.option('--arm', 'names', multiple=True,
              type=click.Choice(['clearance', 'selection', 'blind']),
              help='Drive only this arm; may be repeated.')
@click.option('--device', default='cpu', show_default=True, help='cpu, cuda or auto.')
@click.option('--out', type=click.Path(file_okay=False, path_type=Path),
              help='Folder of blocks.json and blocks.png.  [default: results/blocks-TIME]')
def blocks(checkpoint, episodes, counts, seed, settings, names, device, out):
    """
    Put blocks in the way that training never saw.

    They are on the planner's map and solid in the simulator. Success: the goal is reached without
    touching a block. Arms: clearance (guidance by the distance field), selection (the same planner
    without that term: candidates that collide are refused) and blind (no blocks on the map).
    """
    import torch

    from df_planner.benchmark.blocks import arms
    from df_planner.benchmark.blocks import measure_blocks
    from df_planner.benchmark.blocks_picture import draw_blocks_picture
    from df_planner.errors import ConfigError
    from df_planner.planning.planner import Planner
    from df_planner.sim.maze import load_maze

    fewest, dots, most = counts.partition('..')
    if not (dots and fewest.isdecimal() and most.isdecimal()
            and 1 <= int(fewest) <= int(most)):
        raise ConfigError(f'--blocks must be FEWEST..MOST, 1 or more, got {counts!r}')
    compared = {name: arm for name, arm in arms(assignments(settings)).items()
                if name in (names or ('clearance', 'selection', 'blind'))}
    torch.set_num_threads(1)
    planner = Planner.load(checkpoint, device)
    if planner.card.maze is None:
        raise ConfigError(f'checkpoint {checkpoint} names no maze')
    maze = load_maze(planner.card.maze)
    planner.warm_up()
    total = episodes * len(compared)
    with click.progressbar(length=total, label='drives', file=sys.stderr) as bar:
        results = measure_blocks(planner, maze, episodes, (int(fewest), int(most)), seed, compared,
                                 lambda name, record: bar.update(1))
    out = out or Path('results', f'blocks-{datetime.now():%Y%m%d-%H%M%S}')
    out.mkdir(parents=True, exist_ok=True)
    draw_blocks_picture(out / 'blocks.png', maze, results)
    content = {
        'command': shlex.join(['df_planner', *sys.argv[1:]]),
        'created': datetime.now(timezone.utc).isoformat(timespec='seconds'),
        'checkpoint': checkpoint, 'maze': maze.name, 'seed': seed,
        'arms': {name: vars(arm) for name, arm in compared.items()},
        'summary': results['summary'], 'episodes': results['episodes']}
    (out / 'blocks.json').write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')
    for name, rates in results['summary'].items():
        click.echo(f'{name:10} ' + '  '.join(
            f'{key} {rates[key]["count"]}/{rates["episodes"]} = {rates[key]["share"]:.0%} '
            f'({rates[key]["low"]:.0%} to {rates[key]["high"]:.0%})'
            for key in ('success', 'reached', 'touched')))
    click.echo(f'report: {out / "blocks.json"}')
