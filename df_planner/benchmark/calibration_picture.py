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

"""The picture of calibration: reliability curves, coverage over time, spread against error."""

from pathlib import Path

import numpy as np

from df_planner.benchmark.calibration import CONDITIONS
from df_planner.benchmark.calibration import CURVE
from df_planner.benchmark.calibration import NOMINAL
from df_planner.benchmark.picture import draw_walls
from df_planner.sim.maze import Maze

COLORS = ('#1f77ff', '#d1344b', '#2b9d5c', '#ffb000')
LINES = {'gaussian': '--', 'ranks': '-'}
LEVEL_COLORS = ('#9ecbff', '#5fa4f5', '#1f77ff', '#0b3d91')
SHOWN = 'position'


def draw_calibration_picture(path: Path, maze: Maze, measured: dict, window: np.ndarray,
                             token_s: float) -> None:
    """
    Draw a row per condition to a PNG file; coverage and spread are those of the position.

    :param measured: of ``measure_calibration``.
    :param window: (T, C) the first window, the truth of ``examples``.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15.0, 7.6), layout='constrained')
    panels = figure.subplots(len(CONDITIONS), 4)
    for axis in panels[len(measured['examples']):].ravel():
        axis.set_axis_off()  # stopped by Ctrl-C before
    for condition, axes in zip(measured['examples'], panels):
        results = [r for r in measured['results'] if r['condition'] == condition]
        _draw_futures(axes[0], maze, measured['examples'][condition], window)
        axes[0].set_title(f'given {condition}: sampled futures', fontsize=10)
        _draw_reliability(axes[1], results)
        _draw_coverage(axes[2], results[0], token_s)
        _draw_spread(axes[3], results, token_s)
    figure.savefig(path, dpi=120)


def _draw_futures(axis, maze: Maze, samples: np.ndarray, window: np.ndarray) -> None:
    draw_walls(axis, maze)
    for states in samples:
        axis.plot(states[:, 1], states[:, 0], color=COLORS[0], linewidth=0.7, alpha=0.5)
    axis.plot(window[:, 1], window[:, 0], color='black', linewidth=2.0, label='truth')
    axis.plot(*window[0, 1::-1], marker='o', color='white', markeredgecolor='black')
    axis.legend(fontsize=8, loc='lower left')


def _draw_reliability(axis, results: list[dict]) -> None:
    axis.plot([0, 1], [0, 1], color='#888888', linewidth=0.8)
    for color, result in zip(COLORS, results):
        for kind, line in LINES.items():
            axis.plot(CURVE, result[SHOWN][kind]['curve'], line, color=color, marker='.',
                      markersize=4, label=f'temperature {result["temperature"]:g}, {kind}')
    axis.set(xlim=(0, 1), ylim=(0, 1), xlabel='nominal', ylabel='holds the truth',
             title='reliability')
    axis.legend(fontsize=8, frameon=False)


def _draw_coverage(axis, result: dict, token_s: float) -> None:
    part = result[SHOWN]
    time_s = _times_s(part, part['ranks']['by_token'][0], token_s)
    for nominal, color, covered in zip(NOMINAL, LEVEL_COLORS, part['ranks']['by_token']):
        axis.axhline(nominal, color=color, linewidth=0.8)
        axis.plot(time_s, covered, color=color, marker='.', label=f'{nominal:.0%}')
    axis.set(ylim=(0, 1), xlabel='time into the future [s]', ylabel='holds the truth',
             title=f'coverage (ranks), temperature {result["temperature"]:g}')
    axis.legend(fontsize=8, frameon=False, loc='lower right')


def _draw_spread(axis, results: list[dict], token_s: float) -> None:
    for color, result in zip(COLORS, results):
        part = result[SHOWN]
        time_s = _times_s(part, part['std_by_token'], token_s)
        label = f'temperature {result["temperature"]:g}'
        axis.plot(time_s, part['std_by_token'], color=color, label=f'spread, {label}')
        axis.plot(time_s, part['error_by_token'], ':', color=color, label=f'error, {label}')
    axis.set(xlabel='time into the future [s]', ylabel='metres per axis', ylim=(0, None),
             title='spread of samples, error of their mean')
    axis.legend(fontsize=8, frameon=False)


def _times_s(part: dict, by_token: list[float], token_s: float) -> np.ndarray:
    return token_s * (part['first_token'] + np.arange(len(by_token)))
