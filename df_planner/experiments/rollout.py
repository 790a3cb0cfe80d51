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
Roll out far beyond the trained length and compare every stretch with the data.

    df_planner measure rollout --checkpoint point
"""

from collections.abc import Callable
from pathlib import Path

import click
from matplotlib import colormaps
from matplotlib.figure import Figure
import numpy as np
from scipy.stats import wasserstein_distance

from df_planner.console import examples
from df_planner.console import text_table
from df_planner.evaluation.metrics import statistics
from df_planner.evaluation.picture import draw_walls
from df_planner.experiments import common
from df_planner.model.checkpoint import ModelCard
from df_planner.planning.curves import interpolate
from df_planner.planning.planner import Planner
from df_planner.sim.maze import CELL_LOWER_EDGE_M
from df_planner.sim.maze import Maze
from df_planner.sim.world import BatchWorld

MEASURES = ('in_walls', 'over_limit', 'jump', 'speed_mps', 'speed_std_mps', 'action_std',
            'simulated_gap_m', 'simulated_gap_mps')
DISTANCES = ('speed_distance_mps', 'action_distance', 'cell_distance')


def roll_out(planner: Planner, states: np.ndarray, multiples: int, num_samples: int, seed: int,
             on_start: Callable[[], None] = lambda: None) -> tuple[np.ndarray, np.ndarray]:
    """
    Roll out from every one of states (S, 4); after Ctrl-C from those until then.

    :param multiples: length in windows of the trained length, M tokens each.
    :returns: token states (R, multiples * M + 1, 4) and actions (R, multiples * M, frame_stack, 2)
        of R = S * num_samples roll-outs.
    :raises KeyboardInterrupt: before the first roll-out is done.
    """
    frame_stack = planner.card.frame_stack
    steps = multiples * planner.card.architecture.max_tokens * frame_stack
    found = []
    try:
        for index, state in enumerate(states):
            found.append(planner.rollout(state, steps + 1, num_samples, seed + index))
            on_start()
    except KeyboardInterrupt:
        if not found:
            raise
    rolled, actions = (np.concatenate(arrays) for arrays in zip(*found))
    return rolled[:, ::frame_stack], actions[:, :steps].reshape(len(actions), -1, frame_stack, 2)


def simulated(maze: Maze, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Return where the actions (B, n, 2) lead the simulator from the states (B, 4), (B, 4)."""
    worlds = BatchWorld(maze, len(states))
    worlds.set_states(states)
    for step in range(actions.shape[1]):
        worlds.step(actions[:, step])
    return worlds.states


def stretch_measures(states: np.ndarray, actions: np.ndarray, maze: Maze, card: ModelCard
                     ) -> dict[str, np.ndarray]:
    """
    Measure one stretch of R roll-outs.

    :param states: (R, M + 1, 4) of tokens, the last one being the first of the next stretch.
    :param actions: (R, M, frame_stack, 2).
    :returns: (R,) each: ``in_walls``, share of positions at control steps; ``jump``, mean over
        tokens, and ``over_limit``, share above 1 (see ``common.jumps``); mean and standard
        deviation of the speed; standard deviation of the actions; ``simulated_gap``, median
        distance of a token's state from where the simulator gets from the one before with its
        actions.
    """
    jump = common.jumps(states, card)
    speed = np.linalg.norm(states[:, :-1, 2:], axis=-1)
    positions = interpolate(states, card.frame_stack, card.dt_s)[..., :2]
    reached = simulated(maze, states[:, :-1].reshape(-1, 4),
                        actions.reshape(-1, card.frame_stack, 2)).reshape(*actions.shape[:2], 4)
    gap = reached - states[:, 1:]
    return dict(zip(MEASURES, (
        maze.is_wall(positions).mean(axis=1), (jump > 1.0).mean(axis=1), jump.mean(axis=1),
        speed.mean(axis=1), speed.std(axis=1), actions.std(axis=(1, 2, 3)),
        np.median(np.linalg.norm(gap[..., :2], axis=-1), axis=1),
        np.median(np.linalg.norm(gap[..., 2:], axis=-1), axis=1))))


def distances(states: np.ndarray, actions: np.ndarray, data_states: np.ndarray,
              data_actions: np.ndarray, maze: Maze) -> dict[str, float]:
    """
    Return how far a stretch is from the data as a distribution.

    :returns: Wasserstein distances of the speed and of the actions, and ``cell_distance``: the
        share of time that is spent in other cells of the maze (total variation), 0 to 1.
    """
    def speed(of: np.ndarray) -> np.ndarray:
        return np.linalg.norm(of[..., 2:], axis=-1).ravel()

    def share_by_cell(of: np.ndarray) -> np.ndarray:
        cells = np.floor(of[..., :2].reshape(-1, 2) - CELL_LOWER_EDGE_M).astype(int)
        inside = cells.clip(0, np.array(maze.walls.shape) - 1)
        counts = np.zeros(maze.walls.shape)
        np.add.at(counts, tuple(inside.T), 1.0)
        return counts / counts.sum()

    return dict(zip(DISTANCES, (
        float(wasserstein_distance(speed(states), speed(data_states))),
        float(wasserstein_distance(actions.ravel(), data_actions.ravel())),
        float(np.abs(share_by_cell(states) - share_by_cell(data_states)).sum() / 2))))


def measure_rollout(maze: Maze, card: ModelCard, states: np.ndarray, actions: np.ndarray,
                    windows: np.ndarray) -> dict:
    """
    Measure every stretch of the roll-outs, and the data.

    :param states: (R, multiples * M + 1, 4) and ``actions``, of ``roll_out``.
    :param windows: (W, M + 1, C) held-out tokens.
    :returns: ``stretches``, a list, and ``data``: each with statistics over roll-outs by measure,
        and the distances from the data; those of the data are of one half from the other.
    """
    tokens = windows.shape[1] - 1
    data_states = windows[..., :4]
    data_actions = windows[:, :-1, 4:].reshape(len(windows), tokens, card.frame_stack, 2)

    def measured(some_states, some_actions, against) -> dict:
        found = stretch_measures(some_states, some_actions, maze, card)
        return {**{name: statistics(values) for name, values in found.items()},
                **distances(some_states, some_actions, data_states[against],
                            data_actions[against], maze)}

    half = len(windows) // 2
    data = measured(data_states[:half], data_actions[:half], slice(half, None))
    stretches = [measured(states[:, first:first + tokens + 1], actions[:, first:first + tokens],
                          slice(None)) for first in range(0, states.shape[1] - 1, tokens)]
    return {'stretches': stretches, 'data': data}


SHOWN_ROLLOUTS = 3
COLOR, DATA_COLOR = '#1f77ff', '#111111'
PANELS = {
    'in_walls': 'positions in walls', 'over_limit': 'steps beyond the limits of the data',
    'simulated_gap_m': 'gap to the simulated actions [m]',
    'simulated_gap_mps': 'gap to the simulated actions [m/s]', 'speed_mps': 'speed [m/s]',
    'action_std': 'standard deviation of actions',
    'speed_distance_mps': 'distance from the data: speed [m/s]',
    'action_distance': 'distance from the data: actions',
    'cell_distance': 'distance from the data: cells'}


def draw_rollout_picture(path: Path, maze: Maze, card: ModelCard, states: np.ndarray,
                         measured: dict) -> None:
    """
    Draw to a PNG file; bars are one standard error, the black line is the data.

    :param states: (R, T, 4) of tokens.
    :param measured: of ``measure_rollout``.
    """
    figure = Figure(figsize=(15.0, 9.0), layout='constrained')
    axes = figure.subplots(3, 4).ravel()
    shown = min(SHOWN_ROLLOUTS, len(states))
    chosen = np.linspace(0, len(states) - 1, shown).round().astype(int)
    colors = colormaps['plasma'](np.linspace(0.0, 0.9, len(measured['stretches'])))
    tokens = (states.shape[1] - 1) // len(colors)
    for axis, rollout in zip(axes, states[chosen]):
        draw_walls(axis, maze)
        for index, color in enumerate(colors):
            part = rollout[None, index * tokens:(index + 1) * tokens + 1]
            steps = interpolate(part, card.frame_stack, card.dt_s)[0]
            axis.plot(steps[:, 1], steps[:, 0], color=color, linewidth=0.9)
        axis.set_title(f'one roll-out, {len(colors)} times the trained length', fontsize=9)
    for axis in axes[shown:SHOWN_ROLLOUTS]:
        axis.set_axis_off()
    for axis, (name, title) in zip(axes[SHOWN_ROLLOUTS:], PANELS.items()):
        _draw_measure(axis, name, measured)
        axis.set_title(title, fontsize=10)
    figure.savefig(path, dpi=120)


def _draw_measure(axis, name: str, measured: dict) -> None:
    def mean_and_error(found: dict) -> tuple[float, float]:
        value = found[name]
        return (value['mean'], value['stderr'] or 0.0) if isinstance(value, dict) else (value, 0.0)

    values = [mean_and_error(found) for found in measured['stretches']]
    multiples = np.arange(1, len(values) + 1)
    axis.errorbar(multiples, [mean for mean, _ in values], [error for _, error in values],
                  color=COLOR, marker='.', capsize=2)
    axis.axhline(mean_and_error(measured['data'])[0], color=DATA_COLOR, linewidth=1.0)
    axis.set(xlabel='times the trained length', ylim=(0, None), xticks=multiples)


@click.command(epilog=examples(
    'df_planner measure rollout --checkpoint point --maze medium',
    'df_planner measure rollout --checkpoint point --maze umaze --starts 4 --multiples 20'))
@click.option('--starts', type=click.IntRange(min=2), default=16,
              help='States of held-out data to roll out from.')
@click.option('--samples', type=click.IntRange(min=1), default=8,
              help='Roll-outs from each of them.')
@click.option('--multiples', type=click.IntRange(min=1), default=10,
              help='Length of a roll-out, in times the trained length.')
@common.measure_options('rollout', seed_of='held-out data and roll-outs')
def rollout(checkpoint, maze, starts, samples, multiples, seed, settings, device, out):
    """
    Roll out far beyond the trained length and watch for drift.

    A row per trained length, and one for the data: share of positions in walls; share of steps
    beyond what the data do; the gap between a token and where the actions before it lead the
    simulator (median); speed; actions; and distances from the data as distributions. Stable means
    that the rows are alike.
    Ctrl-C reports the roll-outs until then.
    """
    planner, maze = common.open_point_planner('rollout', checkpoint, maze, device,
                                              (*common.LIKE_THE_DATA, *settings))
    card = planner.card
    windows = common.held_out_windows(card, maze.name, max(starts, 200),
                                      card.architecture.max_tokens + 1, seed)
    with common.progress(starts, 'roll-outs') as advance:
        states, actions = roll_out(planner, windows[:starts, 0, :4], multiples, samples, seed,
                                   advance)
    done = len(states) // samples
    measured = measure_rollout(maze, card, states, actions, windows)
    folder = common.result_folder('rollout', out)
    draw_rollout_picture(folder / 'rollout.png', maze, card, states, measured)
    rows = [['length', 'in walls', '+-', 'over limit', 'gap [m]', 'gap [m/s]', 'speed', 'std',
             'action std', 'speed dist.', 'action dist.', 'cell dist.']]
    for label, found in [*((f'{index}x', stretch) for index, stretch in
                           enumerate(measured['stretches'], 1)), ('data', measured['data'])]:
        rows.append([
            label, f'{found["in_walls"]["mean"]:.2%}', f'{found["in_walls"]["stderr"] or 0:.2%}',
            f'{found["over_limit"]["mean"]:.1%}', f'{found["simulated_gap_m"]["mean"]:.3f}',
            f'{found["simulated_gap_mps"]["mean"]:.3f}', f'{found["speed_mps"]["mean"]:.2f}',
            f'{found["speed_std_mps"]["mean"]:.2f}', f'{found["action_std"]["mean"]:.3f}',
            f'{found["speed_distance_mps"]:.3f}', f'{found["action_distance"]:.3f}',
            f'{found["cell_distance"]:.3f}'])
    click.echo(text_table(rows))
    common.write_result(folder / 'rollout.json', checkpoint, seed, {
        'maze': maze.name, 'starts': done, 'samples': samples,
        'trained_length_s': card.architecture.max_tokens * card.frame_stack * card.dt_s,
        'settings': planner.settings.model_dump(), **measured})
    if done < starts:
        raise KeyboardInterrupt
