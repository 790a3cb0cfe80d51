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
Drive among blocks that training never saw, on the planner's map and solid in the simulator.

    df_planner measure blocks --checkpoint point --maze medium --episodes 50
"""

from collections.abc import Callable
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path

import click
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from matplotlib.patches import Rectangle
import numpy as np
from scipy.ndimage import label
from scipy.stats import binomtest

from df_planner.console import examples
from df_planner.console import refuse_given
from df_planner.console import RESUME
from df_planner.driving.policy import Policy
from df_planner.errors import At
from df_planner.errors import ConfigError
from df_planner.evaluation.episodes import Specification
from df_planner.evaluation.journal import Journal
from df_planner.evaluation.picture import draw_walls
from df_planner.evaluation.picture import GOAL_COLOR
from df_planner.evaluation.protocol import sample_starts
from df_planner.experiments import common
from df_planner.maps.grid import GridMap
from df_planner.planning.planner import Planner
from df_planner.planning.settings import PlannerSettings
from df_planner.sim.maze import BALL_RADIUS_M
from df_planner.sim.maze import Block
from df_planner.sim.maze import CELL_LOWER_EDGE_M
from df_planner.sim.maze import GOAL_RADIUS_M
from df_planner.sim.maze import MAP_RESOLUTION_M
from df_planner.sim.maze import Maze
from df_planner.sim.maze import maze_map
from df_planner.sim.maze import next_cells
from df_planner.sim.world import World

EDGE_CELLS = (3, 4)  # of the map: 0.3 and 0.4 m
PASSAGE_M = 0.15  # clearance of the robot's centre on the way that must remain
KEEP_OFF_M = 0.3  # of a block from the start and from the goal
MAX_DRAWS = 2000
MAX_PANELS = 12
BLOCK_COLOR = '#8a5a2b'
ARM_COLORS = {'clearance': '#1f77ff', 'selection': '#ffb000', 'blind': '#a23bd8'}

# A wider robot, because driving is not exactly as planned; more noise, because ways around what
# training never saw are rare samples.
COMMON_SETTINGS = {'collision_tolerance_m': 0.0, 'robot_radius_m': BALL_RADIUS_M + 0.03,
                   'temperature': 1.0}
CLEARANCE_SETTINGS = {'guidance_scale': 1.0, 'guide_goal': 0.0, 'guide_clearance': 3.0,
                      'clearance_margin_m': 0.17}


@dataclass(frozen=True)
class Arm:
    """A way to plan; ``sees_blocks`` if the blocks are on the planner's map."""

    settings: PlannerSettings
    sees_blocks: bool = True


def arms(specification: Specification) -> dict[str, Arm]:
    """
    Return the arms by name; the settings of ``specification`` are common to all.

    :raises ConfigError: if a setting is wrong.
    """
    def settings(**changes: float) -> PlannerSettings:
        return replace(specification, settings={
            **COMMON_SETTINGS, **specification.settings, **changes}).planner_settings

    selection = settings(guide_clearance=0.0, guidance_scale=0.0)
    return {'clearance': Arm(settings(**{name: value for name, value in CLEARANCE_SETTINGS.items()
                                         if name not in specification.settings})),
            'selection': Arm(selection), 'blind': Arm(selection, sees_blocks=False)}


def drive(planner: Planner, arm: Arm, maze: Maze, blocks: list[Block], start: np.ndarray,
          goal: np.ndarray, seed: int) -> tuple[dict, np.ndarray]:
    """
    Drive until the goal is reached, a block is touched or the time is up.

    :returns: the record and the positions (T + 1, 2).
    """
    grid = maze_map(maze.name)
    planner.map = block_map(grid, blocks) if arm.sees_blocks else grid
    planner.settings = arm.settings
    policy = Policy(planner, 'tracking', seed=seed)
    world = World(maze, blocks)
    world.set_state(start)
    policy.reset(goal)
    states = [world.state]
    reached = touched = False
    while len(states) <= maze.max_episode_steps and not (reached or touched):
        states.append(world.step(policy.act(states[-1])))
        reached = np.linalg.norm(states[-1][:2] - goal) <= GOAL_RADIUS_M
        touched = min(b.distance(states[-1][:2]) for b in blocks) < BALL_RADIUS_M
    positions = np.array(states)[:, :2]
    crossed = bool(maze.is_wall(positions).any())
    return {
        'success': bool(reached and not touched and not crossed),
        'reached': bool(reached),
        'touched': bool(touched),
        'wall_crossed': crossed,
        'steps': len(states) - 1,
        'block_distance_m': float(min(b.distance(positions).min() for b in blocks)),
        'plans': len(policy.plans),
        'failed_plans': sum(plan is None for _, plan in policy.plans),
        'planning_time_p50_s': float(np.median(policy.planning_times_s)),
    }, positions


def measure_blocks(planner: Planner, maze: Maze, episodes: int, counts: tuple[int, int], seed: int,
                   compared: dict[str, Arm], journal: Journal,
                   on_episode: Callable[[], None] = lambda: None) -> dict:
    """
    Drive the same episodes with every arm.

    :param counts: fewest and most blocks; episode i has ``fewest + i % (most - fewest + 1)``.
    :param journal: keeps every finished drive at once; those that it holds are not driven again.
    :param on_episode: called after every drive, also for those that were there.
    :returns: ``episodes`` (start, goal, blocks and, by arm, records), ``paths`` (by arm, positions
        of each episode) and ``summary`` (by arm, all episodes and by number of blocks).
    """
    starts = sample_starts(maze, episodes, seed)
    records, paths = [], {name: [] for name in compared}
    for episode, (start, goal) in enumerate(zip(starts.state, starts.goal)):
        count = counts[0] + episode % (counts[1] - counts[0] + 1)
        blocks = draw_blocks(maze, start[:2], goal, count, np.random.default_rng([seed, episode]))
        record = {'episode': episode, 'start': start.tolist(), 'goal': goal.tolist(),
                  'blocks': [asdict(block) for block in blocks], 'arms': {}}
        for index, (name, arm) in enumerate(compared.items(), episode * len(compared)):
            if index not in journal.episodes:
                driven, positions = drive(planner, arm, maze, blocks, start, goal, seed)
                journal.add({'record': {'episode': index, 'arm': name}, 'drive': driven,
                             'path': positions.tolist()})
            kept = journal.episodes[index]
            record['arms'][name] = kept['drive']
            paths[name].append(np.array(kept['path']))
            on_episode()
        records.append(record)
    return {'episodes': records, 'paths': paths, 'summary': {
        name: summarize([(len(record['blocks']), record['arms'][name]) for record in records])
        for name in compared}}


def summarize(records: list[tuple[int, dict]]) -> dict:
    """Return rates of success, reach and touch over (number of blocks, record)."""
    def rates(chosen: list[dict]) -> dict:
        return {'episodes': len(chosen), **{
            name: rate(sum(record[name] for record in chosen), len(chosen))
            for name in ('success', 'reached', 'touched')}}
    counts = sorted({count for count, _ in records})
    return {**rates([record for _, record in records]), 'by_blocks': {
        str(count): rates([record for other, record in records if other == count])
        for count in counts}}


def rate(successes: int, trials: int) -> dict:
    """Return a share with its 95 % Wilson score interval (Wilson, 1927)."""
    interval = binomtest(successes, trials).proportion_ci(0.95, method='wilson')
    return {'count': successes, 'share': successes / trials, 'low': float(interval.low),
            'high': float(interval.high)}


def block_map(grid: GridMap, blocks: list[Block]) -> GridMap:
    """Return the map with the blocks on it."""
    return grid.with_occupied(lambda points: np.any(
        [block.distance(points) == 0.0 for block in blocks], axis=0))


def draw_blocks(maze: Maze, start: np.ndarray, goal: np.ndarray, count: int,
                rng: np.random.Generator) -> list[Block]:
    """
    Draw blocks into the cells between start (2,) and goal (2,), on whole cells of the map.

    :raises ConfigError: if that many do not fit.
    """
    grid = maze_map(maze.name)
    cells = _cells_between(maze, start, goal)
    blocks: list[Block] = []
    for _ in range(MAX_DRAWS):
        if len(blocks) == count:
            return blocks
        cell = np.array(cells[rng.integers(len(cells))])
        edge = int(rng.choice(EDGE_CELLS))
        corner = rng.integers(0, round(1.0 / MAP_RESOLUTION_M) - edge + 1, size=2)
        center = cell + CELL_LOWER_EDGE_M + MAP_RESOLUTION_M * (corner + edge / 2)
        block = Block((float(center[0]), float(center[1])), edge * MAP_RESOLUTION_M)
        apart = all(other.distance(center) > block.edge_m for other in blocks)
        clear = block.distance(np.array([start, goal])).min() >= KEEP_OFF_M
        if apart and clear and leaves_a_way(maze, block_map(grid, [*blocks, block]), start, goal):
            blocks.append(block)
    raise ConfigError(f'{count} blocks do not fit between ', At(*start), ' and ', At(*goal),
                      f' in maze {maze.name!r}')


def leaves_a_way(maze: Maze, grid: GridMap, start: np.ndarray, goal: np.ndarray) -> bool:
    """Tell whether start, goal and every cell of the maze stay connected for the robot."""
    wide = grid.distance_m >= PASSAGE_M - 1e-9
    region, _ = label(wide)
    matrix, offset = grid.to_field_index()
    first, last = (region[tuple(np.rint(point @ matrix.T + offset).astype(int))]
                   for point in (start, goal))
    points = (np.argwhere(region == first) - offset) @ np.linalg.inv(matrix).T
    cells = np.floor(points - CELL_LOWER_EDGE_M).astype(int)
    return first == last != 0 and {tuple(cell) for cell in cells.tolist()} >= set(maze.cells)


def _cells_between(maze: Maze, start: np.ndarray, goal: np.ndarray) -> list[tuple[int, int]]:
    """Return the cells of the shortest way without its ends; all cells if none are left."""
    end = tuple(np.rint(goal).astype(int).tolist())
    following = next_cells(maze, end)
    cell, between = following[tuple(np.rint(start).astype(int).tolist())], []
    while cell != end:
        between.append(cell)
        cell = following[cell]
    return between or list(maze.cells)


def draw_blocks_picture(path: Path, maze: Maze, results: dict) -> None:
    """Draw the first episodes of ``measure_blocks`` to a PNG; a cross marks a touched block."""
    episodes = results['episodes'][:MAX_PANELS]
    across = min(len(episodes), 4)
    down = -(-len(episodes) // across)
    figure = Figure(figsize=(3.0 * across, 3.2 * down + 0.5), layout='constrained')
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for axis in axes[len(episodes):]:
        axis.set_axis_off()
    for axis, episode in zip(axes, episodes):
        draw_walls(axis, maze)
        for block in episode['blocks']:
            corner = np.array(block['center'][::-1]) - block['edge_m'] / 2
            axis.add_patch(Rectangle(corner, block['edge_m'], block['edge_m'], color=BLOCK_COLOR))
        axis.add_patch(Circle(episode['goal'][::-1], GOAL_RADIUS_M, facecolor=GOAL_COLOR + '26',
                              edgecolor=GOAL_COLOR))
        for name, record in episode['arms'].items():
            driven = results['paths'][name][episode['episode']]
            axis.plot(*driven.T[::-1], color=ARM_COLORS[name], linewidth=1.6, label=name)
            axis.plot(driven[-1, 1], driven[-1, 0], color=ARM_COLORS[name],
                      marker='X' if record['touched'] else '.', markersize=7)
        axis.plot(*episode['start'][1::-1], marker='o', color='white', markeredgecolor='black')
        axis.set_title(f'#{episode["episode"]}', fontsize=9)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside lower center', ncols=len(handles), frameon=False)
    figure.savefig(path, dpi=120)


@click.command(epilog=examples(
    'df_planner measure blocks --checkpoint point --maze medium --episodes 50',
    'df_planner measure blocks --checkpoint point --maze medium --blocks 3..3 --seed 2 '
    '--set num_samples=32'))
@click.option('--episodes', type=click.IntRange(min=1), default=50)
@click.option('--blocks', 'counts', default='1..3', help='Fewest..most blocks in an episode.')
@click.option('--arm', 'names', multiple=True, type=click.Choice(list(ARM_COLORS)),
              help='Drive only this arm; may be repeated.')
@RESUME
@common.measure_options('blocks', seed_of='starts, blocks and plans',
                        files='blocks.json, blocks.png and drives.jsonl')
def blocks(checkpoint, maze, episodes, counts, seed, settings, names, resume, device, out):
    """
    Drive among blocks that training never saw.

    They are on the planner's map and solid in the simulator. Success: the goal is reached without
    touching a block. Arms: clearance (guidance by the distance field), selection (the same planner
    without that term: candidates that collide are refused) and blind (no blocks on the map).
    Every drive is on disk at once: after Ctrl-C, --resume with the same --out goes on.
    """
    fewest, dots, most = counts.partition('..')
    if not (dots and fewest.isdecimal() and most.isdecimal() and 1 <= int(fewest) <= int(most)):
        raise ConfigError(f'--blocks must be FEWEST..MOST, 1 or more, got {counts!r}')
    specification = common.specification_of(checkpoint, maze, device, settings)
    compared = {name: arm for name, arm in arms(specification).items()
                if name in (names or ARM_COLORS)}
    planner, maze = common.open_point_planner('blocks', checkpoint, maze, device)
    if out is None:
        refuse_given('without --out, where the run is that goes on', 'resume')
    folder = common.result_folder('blocks', out)
    with common.open_journal(folder / 'drives.jsonl', specification, resume, episodes=episodes,
                             blocks=counts, arms=list(compared), seed=seed) as kept, \
            common.progress(episodes * len(compared), 'drives') as advance:
        results = measure_blocks(planner, maze, episodes, (int(fewest), int(most)), seed, compared,
                                 kept, advance)
    draw_blocks_picture(folder / 'blocks.png', maze, results)
    for name, rates in results['summary'].items():
        click.echo(f'{name:10} ' + '  '.join(
            f'{key} {rates[key]["count"]}/{rates["episodes"]} = {rates[key]["share"]:.0%} '
            f'({rates[key]["low"]:.0%} to {rates[key]["high"]:.0%})'
            for key in ('success', 'reached', 'touched')))
    common.write_result(folder / 'blocks.json', checkpoint, seed, {
        'maze': maze.name, 'arms': {
            name: {'settings': arm.settings.model_dump(exclude_unset=True),
                   'sees_blocks': arm.sees_blocks} for name, arm in compared.items()},
        'summary': results['summary'], 'episodes': results['episodes']})
