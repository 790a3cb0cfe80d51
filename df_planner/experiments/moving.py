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
Drive among obstacles that move, seen by a lidar, beside the same planner that does not see them.

    df_planner measure moving --checkpoint point --maze medium
    df_planner measure moving --checkpoint diff_drive --maze rooms
"""

from functools import lru_cache
import math

import click
import numpy as np
import torch

from df_planner.console import examples
from df_planner.console import refuse_given
from df_planner.console import RESUME
from df_planner.console import text_table
from df_planner.driving.policy import Policy
from df_planner.evaluation.metrics import is_reached
from df_planner.evaluation.metrics import statistics
from df_planner.experiments import common
from df_planner.maps.generator import unseen_place
from df_planner.planning.planner import Planner
from df_planner.robots.kinds import ROBOTS
from df_planner.sim.map_place import load_place
from df_planner.sim.map_place import MapPlace
from df_planner.sim.movers import Movers
from df_planner.sim.place import Place
from df_planner.sim.robots import simulated_robot
from df_planner.sim.session import local_map

ROOMS, KINDS_OF_PLACES = 'rooms', 4  # every fourth unseen place has rooms
COUNTS = (1, 3, 5)
SHARE_OF_SPEED = 0.5  # of the robot's usual one: the fastest obstacle
SCAN_S = 0.05
REPLAN_S = 0.1
LONGEST_S, APART_M = 60.0, 3.0  # of a drive; its goal from its start
STILL_MPS = 0.2
ARMS = {'local map': True, 'map alone': False}


@lru_cache(2)
def place_of(maze: str, drive: int) -> Place:
    """Return where a drive takes place: rooms are others in every drive."""
    if maze != ROOMS:
        return load_place(maze)
    rooms = unseen_place(KINDS_OF_PLACES * drive + KINDS_OF_PLACES - 1)
    return MapPlace(rooms.grid, rooms.name)


def drive(planner: Planner, maze: str, number: int, count: int, seed: int, sees: bool) -> dict:
    """
    Drive to a goal once.

    :param number: of the drive; start, goal and obstacles depend on it, on ``count`` and ``seed``.
    :param sees: scan and replan at their rates; otherwise the obstacles stay unknown.
    :returns: the record, JSON-able.
    """
    place, robot = place_of(maze, number), simulated_robot(planner.card.robot)
    rng = np.random.default_rng([seed, number])
    state = robot.start(place.draw_position(rng), rng)
    goal = robot.from_maze(place.draw_anywhere(rng))
    while np.linalg.norm(goal - state[:2]) < APART_M:
        goal = robot.from_maze(place.draw_anywhere(rng))
    usual_mps = float(np.linalg.norm(planner.card.statistics.state_std[2:4]))  # around 0
    movers = Movers(place, count, SHARE_OF_SPEED * usual_mps, number)
    movers.start(robot.to_maze(np.stack([state[:2], goal])), seed + number)
    world = robot.world(place, movers=movers)
    world.set_state(state)
    planner.map = place.grid.in_axes(robot.signals.observation_to_map)
    policy = Policy(planner, replan_interval_s=REPLAN_S, seed=seed)
    policy.reset(goal)
    scan_steps, in_touch, touches, standing, length_m, braked = (
        round(SCAN_S / robot.signals.dt_s), False, 0, 0, 0.0, 0)
    for step in range(math.ceil(LONGEST_S / robot.signals.dt_s)):
        before, state = state, world.state
        length_m += float(np.linalg.norm(state[:2] - before[:2]))
        if is_reached(state, goal):
            break
        if sees and step % scan_steps == 0:
            policy.see(local_map(world, robot)[1].in_axes(robot.signals.observation_to_map))
        action = policy.act(state)
        braked += policy.plan is None
        world.step(action)
        if world.touches_mover and not in_touch:
            touches += 1
            standing += bool(np.linalg.norm(state[2:4]) < STILL_MPS)
        in_touch = world.touches_mover
    return {'touches': touches, 'standing': standing, 'untouched': touches == 0,
            'reached': bool(is_reached(state, goal)), 'time_s': step * robot.signals.dt_s,
            'length_m': length_m, 'braked_s': braked * robot.signals.dt_s}


def summarize(records: list[dict]) -> dict:
    """Return the means of the records of one arm among so many obstacles, with standard errors."""
    reached = [record for record in records if record['reached']]
    return {'drives': len(records), **{
        name: statistics([record[name] for record in chosen])
        for name, chosen in (('untouched', records), ('reached', records), ('time_s', reached),
                             ('touches', records), ('standing', records))}}


def table(summary: dict[str, dict]) -> list[list[str]]:
    """Return the summaries by row as a table."""
    def cell(values: dict, scale: float = 1.0) -> str:
        return f'{scale * (values["mean"] or 0.0):.3g} ± {scale * (values["stderr"] or 0.0):.2g}'
    return [['obstacles, planner', 'without a touch [%]', 'reached [%]', 'time [s]',
             'touches per drive', 'of a standing robot'],
            *([name, cell(found['untouched'], 100.0), cell(found['reached'], 100.0),
               cell(found['time_s']), cell(found['touches']), cell(found['standing'])]
              for name, found in summary.items())]


@click.command(epilog=examples(
    'df_planner measure moving --checkpoint point --episodes 40',
    'df_planner measure moving --checkpoint diff_drive --maze rooms --episodes 40'))
@click.option('--episodes', type=click.IntRange(min=1), default=40)
@RESUME
@common.measure_options('moving', seed_of='starts, obstacles and plans',
                        files='moving.json and drives.jsonl',
                        places='Maze by name, or the YAML file of a maze or a map; '
                               f'{ROOMS}: rooms that nobody has seen, others in every drive.')
def moving(checkpoint, maze, episodes, seed, settings, resume, device, out):
    """
    Drive among 1, 3 and 5 obstacles that move at up to half the robot's speed.

    Its speed is the root mean square of its log. Discs and boxes of 0.2 to 0.4 m wander about,
    wherever the robot is; before a robot that stands still they turn back. A lidar makes a local
    costmap every 0.05 s. Arms: the planner with it, and the same planner with the map alone, on
    the same starts among the same obstacles. Every drive is on disk at once: after Ctrl-C,
    --resume with the same --out goes on.
    """
    specification = common.specification_of(checkpoint, maze, device, settings)
    torch.set_num_threads(1)
    robot = ROBOTS[specification.robot]
    planner = Planner.load(checkpoint, device, place_of(maze, 0).grid.in_axes(
        robot.signals.observation_to_map), specification.planner_settings)
    planner.warm_up()
    if out is None:
        refuse_given('without --out, where the run is that goes on', 'resume')
    folder = common.result_folder('moving', out)
    rows = [(f'{count}, {arm}', count, sees) for count in COUNTS for arm, sees in ARMS.items()]
    records: dict[str, list[dict]] = {name: [] for name, *_ in rows}
    with common.open_journal(folder / 'drives.jsonl', specification, resume, seed=seed
                             ) as kept, \
            common.progress(episodes * len(rows), 'drives') as advance:
        for index in range(episodes * len(rows)):
            name, count, sees = rows[index % len(rows)]
            if index not in kept.episodes:
                found = drive(planner, maze, index // len(rows), count, seed, sees)
                kept.add({'record': {'episode': index, 'row': name, **found}})
            records[name].append(kept.episodes[index]['record'])
            advance()
    summary = {name: summarize(found) for name, found in records.items()}
    click.echo(text_table(table(summary)))
    common.write_result(folder / 'moving.json', checkpoint, seed, {
        'maze': maze, 'summary': summary, 'episodes': records})
