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

"""The picture of in-painting: a row per task, with example windows and the errors."""

from pathlib import Path

import numpy as np

from df_planner.benchmark.inpainting import known_mask
from df_planner.benchmark.inpainting import METHODS
from df_planner.benchmark.inpainting import POSITION
from df_planner.benchmark.picture import draw_walls
from df_planner.sim.maze import Maze

SHOWN_WINDOWS = 4
COLORS = {'truth': '#111111', 'sample': '#1f77ff', 'best': '#0b3d91', 'mean': '#5fa4f5',
          'linear': '#ffb000', 'spline': '#d1344b'}


def draw_inpainting_picture(path: Path, maze: Maze, measured: dict) -> None:
    """
    Draw the first windows of every task to a PNG file.

    :param measured: of ``measure_inpainting``.
    """
    from matplotlib.figure import Figure

    tasks = measured['examples']
    shown = min(SHOWN_WINDOWS, len(tasks['middle']['truth']))
    figure = Figure(figsize=(3.1 * (shown + 1), 3.2 * len(tasks) + 0.4), layout='constrained')
    panels = figure.subplots(len(tasks), shown + 1, squeeze=False)
    for (task, trajectories), axes in zip(tasks.items(), panels):
        done = len(trajectories['truth'])  # fewer than of the first task after Ctrl-C
        for axis in axes[done:-1]:
            axis.set_axis_off()
        for index, axis in enumerate(axes[:-1][:done]):
            draw_walls(axis, maze)
            _draw_window(axis, {name: states[index] for name, states in trajectories.items()},
                         task)
        title = 'all but way-points hidden' if task == 'way-points' else f'{task} hidden'
        axes[0].set_title(title, fontsize=10, loc='left')
        _draw_errors(axes[-1], measured['summary'][task])
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside lower center', ncols=len(handles), frameon=False)
    figure.savefig(path, dpi=120)


def _draw_window(axis, trajectories: dict[str, np.ndarray], task: str) -> None:
    truth = trajectories['truth'][0]
    for index, states in enumerate(trajectories['sample']):
        axis.plot(states[:, 1], states[:, 0], color=COLORS['sample'], linewidth=0.7, alpha=0.6,
                  label='samples' if index == 0 else None)
    for name in ('spline', 'truth'):
        states = trajectories[name][0]
        axis.plot(states[:, 1], states[:, 0], color=COLORS[name], linewidth=1.6, label=name)
    known = truth[known_mask(task, len(truth))[:, POSITION]]
    axis.plot(known[:, 1], known[:, 0], linestyle='', marker='o', markersize=4.5, color='white',
              markeredgecolor='black', label='known')


def _draw_errors(axis, summary: dict) -> None:
    names = [name for name in METHODS if name != 'truth']
    errors = [summary[name]['error_m'] for name in names]
    axis.bar(names, [error['mean'] for error in errors],
             yerr=[error['stderr'] or 0.0 for error in errors],
             color=[COLORS[name] for name in names])
    axis.plot(names, [error['p50'] for error in errors], linestyle='', marker='_', markersize=18,
              color='black')
    axis.set_title('error [m]: mean, median (line)', fontsize=10)
    axis.tick_params(axis='x', labelsize=8)
