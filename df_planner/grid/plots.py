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
The plots of a grid: scores beside those of others, score against latency, sweeps, differences.

Every plot is drawn from the content of ``results.json`` alone.
"""

from collections.abc import Callable
from pathlib import Path
import re

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from matplotlib.ticker import NullFormatter
from matplotlib.ticker import ScalarFormatter

from df_planner.files import replace_files
from df_planner.grid.results import CONTROLLER
from df_planner.grid.results import LIMIT
from df_planner.grid.results import MEASURED
from df_planner.grid.rows import NEVER

COLORS = {MEASURED: '#1f77ff', CONTROLLER: '#7b7f8c', 'published': '#f0b46c',
          'reference': '#b9bcc6'}
LIMIT_COLOR = '#d1344b'
CYCLE = ('#1f77ff', '#a23bd8', '#ee4b3a', '#ffb000', '#12a594', '#7b7f8c')
STYLE = {'axes.spines.top': False, 'axes.spines.right': False, 'axes.titlesize': 9,
         'axes.labelsize': 8, 'xtick.labelsize': 8, 'ytick.labelsize': 8,
         'legend.fontsize': 7, 'legend.frameon': False}


@rc_context(STYLE)
def draw_plots(folder: Path, results: dict) -> dict[str, str]:
    """
    Draw what the rows allow and return the captions by file name.

    :param results: of ``grid_results``.
    """
    rows = [row for row in results['rows'] if row['episodes'] and _score(row)['mean'] is not None]
    if not rows:
        return {}
    group = rows[0]['group']
    headline = [row for row in rows if row['group'] == group]
    captions = {}

    def save(name: str, caption: str, draw: Callable, *arguments: object) -> None:
        figure = draw(*arguments)
        if figure is not None:
            replace_files({folder / f'{name}.png':
                           lambda file: figure.savefig(file, format='png', dpi=130)})
            captions[f'{name}.png'] = caption

    save('scores', f'Scores of {group} (blue: measured here, grey: the controller, orange: '
         'published on other starts); error bars: standard error over starts', _bars, headline,
         results)
    save('differences', 'Start by start: score minus that of the reference, sorted', _differences,
         headline, {(row['name'], row['task']): row for row in rows}, results)
    save('latency', 'Score against planning latency (p50), every row; a line joins a sweep, '
         'whose values are beside the points; the star is what the others are compared with',
         _latency, rows, results)
    for sweep in dict.fromkeys(row['sweep'] for row in rows if row['sweep']):
        name = 'sweep-' + re.sub(r'[^\w-]+', '-', sweep).strip('-')
        save(name, f'{sweep}; error bars: standard error over starts', _sweep,
             [row for row in rows if row['sweep'] == sweep], results, sweep)
    return captions


def _score(row: dict) -> dict:
    """Return the statistics of what rows are compared by: the score, where there is one."""
    return row['measured']


def _panels(count: int, width_in: float, height_in: float) -> tuple:
    """Return a figure and ``count`` axes, at most three beside each other."""
    across = min(count, 3)
    down = -(-count // across)
    figure = Figure(figsize=(width_in * across, height_in * down), layout='constrained',
                    facecolor='white')
    axes = figure.subplots(down, across, squeeze=False).ravel().tolist()
    for axis in axes[count:]:
        axis.set_axis_off()
    return figure, axes


def _bars(rows: list[dict], results: dict):
    """Draw one bar per row and per published row, and the limit as a line, for every task."""
    tasks = [name for name in results['tasks'] if any(row['task'] == name for row in rows)]
    figure, axes = _panels(len(tasks), 4.6, 3.6)
    for axis, name in zip(axes, tasks):
        task = results['tasks'][name]
        bars = [(row['name'], _score(row)['mean'], _score(row)['stderr'], row['kind'])
                for row in rows if row['task'] == name]
        for other in results['others']['rows']:
            score = other['scores'].get(task['published_as'])
            if score is None:
                continue
            if other['kind'] == LIMIT:
                axis.axvline(score, color=LIMIT_COLOR, linestyle='--', linewidth=1.4)
                axis.annotate(f'{other["name"]} {score:.0f}', (score, 1.0), ha='right',
                              xycoords=('data', 'axes fraction'), va='bottom', fontsize=7,
                              color=LIMIT_COLOR)
            else:
                bars.append((other['name'], score, None, other['kind']))
        positions = range(len(bars))
        axis.barh(positions, [bar[1] for bar in bars], color=[COLORS[bar[3]] for bar in bars],
                  xerr=[bar[2] or 0.0 for bar in bars], error_kw={'linewidth': 1.0})
        for position, (_, value, _, _) in zip(positions, bars):
            axis.annotate(f'{value:.1f}', (0, position), xytext=(4, 0), va='center', fontsize=7,
                          textcoords='offset points')
        axis.set_yticks(positions, [bar[0] for bar in bars])
        axis.invert_yaxis()
        axis.set_title(task['title'], pad=14)
    return figure


def _differences(rows: list[dict], known: dict, results: dict):
    """Draw the sorted differences of every row to its reference, for every task."""
    lines = {}
    for row in rows:
        other = known.get((row['reference'], row['task']))
        if other is None or other is row:
            continue
        pairs = sorted(value - other['by_start'][index]
                       for index, value in row['by_start'].items()
                       if None not in (value, other['by_start'].get(index)))
        if len(pairs) > 1:
            lines.setdefault(row['task'], []).append((row, pairs))
    if not lines:
        return None
    figure, axes = _panels(len(lines), 4.2, 3.0)
    for axis, (task, drawn) in zip(axes, lines.items()):
        axis.axhline(0.0, color='black', linewidth=0.8)
        for color, (row, pairs) in zip(CYCLE, drawn):
            share = [100.0 * (rank + 0.5) / len(pairs) for rank in range(len(pairs))]
            axis.plot(share, pairs, color=color, linewidth=1.6,
                      label=f'{row["name"]} ({sum(pairs) / len(pairs):+.1f})')
        axis.set(title=results['tasks'][task]['title'], xlabel='share of starts [%]',
                 ylabel=f'minus {drawn[0][0]["reference"]}')
        axis.legend()
    return figure


def _latency(rows: list[dict], results: dict):
    """Draw one point per row, a line per sweep, the reference as a star; a panel per task."""
    points = [row for row in rows if row['summary']['planning_time_s']['p50'] is not None]
    tasks = [name for name in results['tasks'] if any(row['task'] == name for row in points)]
    if not tasks:
        return None
    figure, axes = _panels(len(tasks), 4.6, 3.6)
    for axis, name in zip(axes, tasks):
        members = [row for row in points if row['task'] == name]
        groups = list(dict.fromkeys(row['group'] for row in members))
        for row in members:
            marked = row['name'] == row['reference']
            color = CYCLE[groups.index(row['group']) % len(CYCLE)]
            axis.errorbar(_latency_ms(row), _score(row)['mean'], yerr=_score(row)['stderr'],
                          fmt='*' if marked else 'o', markersize=11 if marked else 4,
                          color=color, elinewidth=0.8, zorder=3 if marked else 2)
            axis.annotate(str(row['value']) if row['sweep'] else row['name'],
                          (_latency_ms(row), _score(row)['mean']), color=color,
                          xytext=(6, -9) if marked else (4, 3), textcoords='offset points',
                          fontsize=8 if marked else 6, weight='bold' if marked else 'normal')
        for sweep in dict.fromkeys(row['sweep'] for row in members if row['sweep']):
            swept = [row for row in members if row['sweep'] == sweep]
            axis.plot([_latency_ms(row) for row in swept],
                      [_score(row)['mean'] for row in swept], linewidth=0.8, alpha=0.6, zorder=1,
                      color=CYCLE[groups.index(swept[0]['group']) % len(CYCLE)], label=sweep)
        axis.set_xscale('log')
        axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.xaxis.set_major_formatter(ScalarFormatter())
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.set(title=results['tasks'][name]['title'], xlabel='planning latency p50 [ms]',
                 ylabel='score')
        if axis.get_legend_handles_labels()[0]:
            axis.legend()
    return figure


def _latency_ms(row: dict) -> float:
    return 1e3 * row['summary']['planning_time_s']['p50']


def _sweep(rows: list[dict], results: dict, sweep: str):
    """Draw the score over the swept values, evenly spaced in the order of the file."""
    values = list(dict.fromkeys(str(row['value']) for row in rows))
    if len(values) < 2:
        return None
    figure, (axis,) = _panels(1, 5.0, 3.4)
    numeric = all(isinstance(row['value'], (int, float)) or row['value'] == NEVER for row in rows)
    for color, name in zip(CYCLE, dict.fromkeys(row['task'] for row in rows)):
        members = [row for row in rows if row['task'] == name]
        axis.errorbar([values.index(str(row['value'])) for row in members],
                      [_score(row)['mean'] for row in members],
                      yerr=[_score(row)['stderr'] or 0.0 for row in members], color=color,
                      marker='o', markersize=4, linestyle='-' if numeric else '', capsize=3,
                      linewidth=1.4, label=results['tasks'][name]['title'])
    axis.set_xticks(range(len(values)), values)
    axis.set(xlabel=sweep, ylabel='score')
    axis.legend()
    return figure
