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

"""The command ``df_planner plan``: one plan without ROS, as a picture and a short table."""

from collections.abc import Sequence
from pathlib import Path
import time

import click
import numpy as np
from pydantic import ValidationError

from df_planner.configuration import assignments
from df_planner.configuration import faults
from df_planner.console import echo_facts
from df_planner.console import examples
from df_planner.console import MAP
from df_planner.console import one_place
from df_planner.console import seed_option
from df_planner.console import SETTINGS
from df_planner.errors import ConfigError
from df_planner.errors import DFPlannerError
from df_planner.errors import InvalidInput
from df_planner.model.checkpoint import load_card
from df_planner.model.checkpoint import ModelCard
from df_planner.planning.plan import Plan
from df_planner.planning.settings import PlannerSettings
from df_planner.planning.settings import settings_for
from df_planner.robots.signals import HEADING
from df_planner.robots.signals import PLANAR_SIZE
from df_planner.sim.map_place import load_place
from df_planner.sim.map_place import MapPlace

POSITIONS = '--start', '--goal', '--waypoint'
PICTURES = '.png', '.svg'


class Numbers(click.ParamType):
    """Numbers with blanks between them."""

    name = 'numbers'

    def __init__(self, *counts: int):
        self._counts = counts

    def convert(self, value: str | np.ndarray, param: click.Parameter | None,
                ctx: click.Context | None) -> np.ndarray:
        """Return an array (n,), n one of the counts."""
        if isinstance(value, np.ndarray):
            return value
        try:
            numbers = np.array([float(word) for word in value.split()])
        except ValueError:
            self.fail(f'{value!r} are not numbers', param, ctx)
        if len(numbers) not in self._counts:
            self.fail(f'needs {" or ".join(map(str, self._counts))} numbers, got {value!r}',
                      param, ctx)
        if not np.isfinite(numbers).all():
            self.fail(f'needs finite numbers, got {value!r}', param, ctx)
        return numbers


class WithPositions(click.Command):
    """A command whose options of positions take all numbers behind them, however many."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Join the words behind an option of a position to one."""
        joined: list[str] = []
        for word in args:
            if len(joined) > 1 and joined[-2] in POSITIONS and not word.startswith('--'):
                joined[-1] += f' {word}'
            else:
                joined.append(word)
        return super().parse_args(ctx, joined)


@click.command(cls=WithPositions, epilog=examples(
    'df_planner plan --checkpoint diff_drive --map office.yaml --start 1 2 0 --goal 7 5',
    'df_planner plan --checkpoint point --map office.yaml --start 1 2 --goal 7 5 --waypoint 3 4',
    'df_planner plan --checkpoint point --maze medium --start 1 1 --goal 6 6 --out plan.svg'))
@click.option('--checkpoint', required=True, help='A shipped name (point) or a .safetensors file.')
@click.option('--maze', help='Name or YAML file.')
@MAP
@click.option('--start', required=True, type=Numbers(2, 3), metavar='X Y [HEADING]',
              help='Where the robot stands, in m, and its heading in rad, if it has one.')
@click.option('--goal', required=True, type=Numbers(2), metavar='X Y', help='In m.')
@click.option('--waypoint', 'waypoints', type=Numbers(2), multiple=True, metavar='X Y',
              help='A position to pass on the way; repeatable, in this order.')
@seed_option('noise that the plan is sampled from')
@SETTINGS
@click.option('--out', type=click.Path(dir_okay=False, path_type=Path), default='plan.png',
              help='The picture, a PNG or an SVG.')
def plan(checkpoint: str, maze: str | None, map_file: Path | None, start: np.ndarray,
         goal: np.ndarray, waypoints: Sequence[np.ndarray], seed: int, settings: tuple[str, ...],
         out: Path):
    """
    Make one plan on a map or in a maze, and draw it.

    The robot starts at rest. On a map, positions are x and y in the map frame and a heading of 0
    looks along x. In a maze they are in the axes of the robot's log: row and column for a point.

    The time to plan leaves out loading the model. The picture tells what the model made (diffused)
    from what only follows the route: a planner that drives makes that part later.
    """
    if out.suffix.lower() not in PICTURES:
        raise ConfigError(f'--out {out}: must end in {" or ".join(PICTURES)}')
    one = one_place(maze, map_file)
    if one is None:
        raise ConfigError('give --map (for example office.yaml) or --maze (for example medium)')
    place = MapPlace.load(map_file) if map_file is not None else load_place(one)
    card = load_card(checkpoint)
    to_user = np.array(card.observation_to_map) if place.in_map_frame else np.eye(2)
    chosen = _settings(card, settings)
    state = _at_rest(card, start, to_user)
    out.parent.mkdir(parents=True, exist_ok=True)

    import torch

    from df_planner.cli.plan_picture import draw_plan
    from df_planner.planning.planner import Planner
    torch.set_num_threads(1)  # the same plan as in evaluate, to the last bit
    planner = Planner.load(
        checkpoint, grid=place.grid.in_axes(card.observation_to_map), settings=chosen)
    planner.warm_up()
    from_user = np.linalg.inv(to_user).T
    stops = [point @ from_user for point in (*waypoints, goal)]
    began_s = time.perf_counter()
    try:
        planned = planner.plan(state, stops[-1], seed=seed,
                               waypoints=np.array(stops[:-1]) if waypoints else None)
    except DFPlannerError as error:
        raise error.told_in(lambda at: to_user @ at)
    facts = _facts(planned, time.perf_counter() - began_s)
    draw_plan(out, place, planner, planned, stops,
              f'{card.name}, {place}: {facts["duration"]}, {facts["length"]}')
    echo_facts({**facts, 'picture': out})


def _settings(card: ModelCard, texts: tuple[str, ...]) -> PlannerSettings:
    try:
        return settings_for(card.robot, card.robot_radius_m, **assignments(texts))
    except ValidationError as error:
        raise ConfigError(faults(error, PlannerSettings.model_fields, lambda location:
                                 f'planner setting {".".join(map(str, location))}')) from error


def _at_rest(card: ModelCard, start: np.ndarray, to_user: np.ndarray) -> np.ndarray:
    """Return the state (S,) of a robot that stands at a start in the axes of the user."""
    others = tuple(card.observation_names[PLANAR_SIZE:])
    if others not in ((), HEADING):
        raise InvalidInput(f'{card.name} also observes {", ".join(others)}, which --start cannot '
                           'tell; plan in Python: Planner.load(…).plan(state, goal)')
    if others and len(start) == 2:
        raise InvalidInput(f'--start: {card.name} is of a robot with a heading; give X Y HEADING')
    if not others and len(start) == 3:
        raise InvalidInput(f'--start: {card.name} is of a robot without a heading; give X Y')
    heading = [np.cos(start[2:]), np.sin(start[2:])]
    vectors = np.array([start[:2], (0.0, 0.0), *[np.ravel(heading)] * bool(others)])
    return (vectors @ np.linalg.inv(to_user).T).ravel()


def _facts(planned: Plan, took_s: float) -> dict[str, str]:
    """Return what the table says of a plan."""
    steps_m = np.linalg.norm(np.diff(planned.states[:, :2], axis=0), axis=-1)
    valid = int(np.isfinite(planned.candidate_rewards).sum())
    return {'valid': 'yes' if planned.valid else 'no',
            'duration': f'{(len(planned) - 1) * planned.dt_s:.2f} s',
            'length': f'{steps_m.sum():.2f} m',
            'time to plan': f'{1e3 * took_s:.1f} ms, of which the search on the map took '
                            f'{1e3 * (took_s - planned.timings["total"]):.1f} ms',
            'candidates valid': f'{valid} of {len(planned.candidates)}'}
