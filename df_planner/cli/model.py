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

"""The commands ``df_planner train`` and ``df_planner info``."""

import click

from df_planner.configuration import assignments
from df_planner.console import echo_facts
from df_planner.console import examples
from df_planner.files import share_path
from df_planner.model.checkpoint import load_card
from df_planner.sim.maze import MAZE_NAMES
from df_planner.training.config import config_path


@click.command(epilog=examples(
    'df_planner train --config point',
    'df_planner train --config my_robot.yaml --stage base',
    'df_planner train --config point --set steps=2000 --set name=quick',
    'df_planner train --config point --set devices=2',
    'df_planner train --config point --set patience_steps=1000 --set tensorboard=true',
    'torchrun --nproc-per-node 2 -m df_planner.cli train --config point'))
@click.option('--config', required=True, help='A YAML file, or the name of a shipped one: point.')
@click.option('--stage', metavar='NAME',
              help='Stop after this stage.  [default: the last one of the file]')
@click.option('--set', 'overrides', multiple=True, metavar='FIELD=VALUE',
              help='Replace a field of the configuration, in all stages; may be repeated.')
def train(config: str, stage: str | None, overrides: tuple[str, ...]):
    """
    Train a model on a log; the same command resumes it.

    A configuration may have several stages. Each starts from the model of the one before, and a
    finished stage is not repeated. The last stage makes the model NAME, the others NAME-STAGE, all
    in OUT_DIR. Progress goes to RUN_DIR/MODEL/loss.csv. To train a stage again, delete its model
    and its folder in RUN_DIR.

    The fields of the configuration, their ranges and defaults are in
    df_planner/training/config.py. Processes share each batch: their number changes the result by
    rounding only.
    """
    from df_planner.training.train import train as run
    if (path := run(config_path(config), assignments(overrides), stage)) is not None:
        click.echo(path)


@click.command(epilog=examples('df_planner info', 'df_planner info point'))
@click.argument('checkpoint', required=False)
def info(checkpoint: str | None):
    """Show the card of a CHECKPOINT, or the shipped models and mazes."""
    if checkpoint is None:
        for card in sorted(share_path('checkpoints').glob('*.json')):
            click.echo(f'{card.stem:20} {load_card(card).description}')
        click.echo('mazes: ' + ', '.join(MAZE_NAMES))
        return
    echo_facts(load_card(checkpoint).model_dump())
