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

"""The picture of long roll-outs: some of them in the maze, and every measure along them."""

from pathlib import Path

import numpy as np

from df_planner.benchmark.picture import draw_walls
from df_planner.planning.selection import interpolate
from df_planner.sim.maze import Maze
from df_planner.training.checkpoint import ModelCard

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
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15.0, 9.0), layout='constrained')
    axes = figure.subplots(3, 4).ravel()
    shown = min(SHOWN_ROLLOUTS, len(states))
    chosen = np.linspace(0, len(states) - 1, shown).round().astype(int)
    colors = _stretch_colors(len(measured['stretches']))
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


def _stretch_colors(count: int) -> list:
    """Return a colour per stretch, from early to late."""
    from matplotlib import colormaps
    return list(colormaps['plasma'](np.linspace(0.0, 0.9, count)))
