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

"""The command ``df_planner evaluate``."""

from datetime import datetime
from pathlib import Path

import click
from tqdm import tqdm

from df_planner.configuration import assignments
from df_planner.console import asked_for
from df_planner.console import DEVICE
from df_planner.console import examples
from df_planner.console import MAP
from df_planner.console import one_place
from df_planner.console import out_option
from df_planner.console import refuse_given
from df_planner.console import RESUME
from df_planner.console import SEED
from df_planner.console import seed_option
from df_planner.console import SETTINGS
from df_planner.diffusion.runtime.names import BACKENDS
from df_planner.errors import ConfigError
from df_planner.errors import InvalidInput
from df_planner.evaluation import protocol
from df_planner.evaluation.report import text_table
from df_planner.model.checkpoint import load_card
from df_planner.robots.kinds import EXECUTIONS
from df_planner.robots.kinds import POINT
from df_planner.robots.kinds import ROBOTS
from df_planner.sim.map_place import load_place
from df_planner.sim.map_place import MapPlace

MAX_TABLE_EPISODES = 30


@click.command(epilog=examples(
    'df_planner evaluate --checkpoint maze2d-medium --episodes 5',
    'df_planner evaluate --checkpoint maze2d-medium --execution raw --workers 2 --out results/raw',
    'df_planner evaluate --checkpoint maze2d-umaze --set num_samples=64 --set sampling_steps=4',
    'df_planner evaluate --policy controller --maze large',
    'df_planner evaluate --policy route --checkpoint point --maze unseen-17 --episodes 10',
    'df_planner evaluate --policy controller --robot diff_drive --map office.yaml --episodes 10'))
@click.option('--checkpoint', help='A shipped name (maze2d-medium) or a .safetensors file.')
@click.option('--maze', help='Name, YAML file, or a random place as unseen-17.  '
              '[default: the one the checkpoint was made for]')
@MAP
@click.option('--planner-map', type=click.Path(path_type=Path), metavar='YAML',
              help='Map that is planned on instead of that of the place, for example of '
                   '`data map`.')
@click.option('--policy', type=click.Choice(['planner', 'route', 'controller']), default='planner',
              help='route: the way on the map without a model, timed by the card of --checkpoint. '
                   'controller: only the baseline, which needs no checkpoint.')
@click.option('--robot', type=click.Choice(tuple(ROBOTS)), help='Of the controller.')
@click.option('--episodes', type=click.IntRange(min=1),
              help='Number of episodes.  [default: 100, or all of --starts]')
@seed_option('starts')
@click.option('--starts', type=click.Path(path_type=Path),
              help='An npz file with arrays state (N, S) and goal (N, 2), instead of the seed.')
@click.option('--multi-goal', is_flag=True, help='A goal of its own for every start (Multi2D).')
@click.option('--execution', type=click.Choice(EXECUTIONS), default='tracking',
              help='Play the diffused actions as they are, track the planned states, or follow '
                   'the planned way as fast as the robot can.')
@click.option('--replan-interval-s', type=float, default=0.25,
              help='Control time between two plans.')
@click.option('--planner-seed', type=SEED,
              help='Of the noise that plans are sampled from.  [default: as --seed]')
@SETTINGS
@DEVICE
@click.option('--backend', type=click.Choice(BACKENDS), default='auto',
              help='What evaluates the network; auto is the fastest.')
@click.option('--workers', type=click.IntRange(min=1), default=1,
              help='Processes. Only latencies depend on it.')
@click.option('--baseline/--no-baseline', default=True,
              help='Run the way-point controller on the same starts.')
@RESUME
@out_option('the report', 'results/evaluate-MAZE-TIME')
def evaluate(checkpoint, maze, map_file, planner_map, policy, robot, episodes, seed, starts,
             multi_goal, execution, replan_interval_s, planner_seed, settings, device, backend,
             workers, baseline, resume, out):
    """
    Score a planner on a maze or a map, without ROS.

    Every episode starts from a fixed state and lasts as long as in D4RL; on a map it ends at the
    goal, and starts, goals and results are in the map frame. Writes results.json, results.csv,
    report.md, paths.png, starts.npz and episodes.jsonl.
    """
    from df_planner.evaluation.episodes import check_simulated
    from df_planner.evaluation.episodes import Specification
    from df_planner.evaluation.evaluate import evaluate as evaluated
    if policy == 'controller':
        refuse_given('on the controller', 'execution', 'replan_interval_s', 'planner_seed',
                     'settings', 'device', 'backend', 'baseline', 'planner_map')
    elif checkpoint:
        refuse_given('with --checkpoint, which says what robot it is for', 'robot')
    if starts is not None and (policy == 'controller' or planner_seed is not None):
        refuse_given('with --starts', 'seed')
    if out is None:
        refuse_given('without --out, where the run is that goes on', 'resume')
    robot = robot or (load_card(checkpoint).robot if checkpoint else POINT.name)
    check_simulated(robot, checkpoint)
    maze = one_place(maze, map_file) or _maze_of(checkpoint)
    place = MapPlace.load(map_file) if map_file is not None else load_place(maze)
    specification = Specification(
        maze, policy, checkpoint, execution, replan_interval_s, seed if planner_seed is None
        else planner_seed, device, assignments(settings), backend, robot,
        None if planner_map is None else str(planner_map))
    if starts is None:
        chosen = protocol.sample_starts(place, episodes or 100, seed, multi_goal, robot)
    elif multi_goal:
        raise InvalidInput('the goals are in the starts file: --multi-goal has no effect with it')
    else:
        chosen = protocol.load_starts(starts, robot, place)
        chosen = chosen.head(episodes) if episodes else chosen
    if out is None:
        out = Path('results', f'evaluate-{Path(maze).stem}-{datetime.now():%Y%m%d-%H%M%S}')
    facts = {'starts': f'seed {seed}' if starts is None else str(starts),
             'multi_goal': multi_goal, **asked_for()}
    finished: list[dict] = []

    def show(record: dict) -> None:
        finished.append(record)
        name = 'return' if record['score'] is None else 'score'
        mean = sum(other[name] for other in finished) / len(finished)
        reached = sum(other['reached'] for other in finished)
        bar.set_postfix_str(f'{name} {mean:.1f}, reached {reached}/{len(finished)}')
        bar.update()

    with tqdm(total=len(chosen), unit='episode', disable=None) as bar:
        try:
            results = evaluated(specification, chosen, out, workers, baseline, resume, facts, show)
        except KeyboardInterrupt:
            bar.close()
            click.echo(f'stopped: {len(finished)} of {len(chosen)} episodes are kept in '
                       f'{out}; add --resume --out {out} to go on', err=True)
            raise
    records = results['episodes'] if len(chosen) <= MAX_TABLE_EPISODES else []
    click.echo(text_table(records, results['summary'], results.get('baseline')))
    click.echo(f'report: {out / "report.md"}')


def _maze_of(checkpoint: str | None) -> str:
    if checkpoint is None:
        raise ConfigError('give --checkpoint (for example maze2d-medium), '
                          'or --policy controller and --maze')
    maze = load_card(checkpoint).maze
    if maze is None:
        raise ConfigError(f'checkpoint {checkpoint} names no maze; give --maze')
    return maze
