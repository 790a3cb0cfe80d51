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

"""The report on throughput: ``throughput.json``, ``.csv``, ``.md`` and a bar plot of the rates."""

import csv
from dataclasses import fields
import io
from pathlib import Path

from df_planner.benchmark.measuring import write_result
from df_planner.benchmark.report import inline
from df_planner.benchmark.report import write_text
from df_planner.benchmark.throughput import Row

COLORS = {'training': '#1f77ff', 'data': '#2b9d5c', 'long': '#17a2a2', 'simulator': '#e08a1e',
          'ros': '#d1344b', 'gpu': '#7a4fd0'}
TITLES = {'training': 'Training', 'data': 'Data path', 'long': 'Long log',
          'simulator': 'Simulator without ROS', 'ros': 'Over ROS 2', 'gpu': 'On a GPU'}
MISSING = '-'


def write_report(folder: Path, maze: str, facts: dict, rows: list[Row]) -> None:
    """
    Write the report of all rows so far; each file replaces an older one.

    :param facts: how it was made, plain values.
    """
    write_text(folder / 'throughput.csv', table_csv(rows))
    draw_rates(folder / 'throughput.png', rows)
    write_text(folder / 'throughput.md', markdown(maze, facts, rows))
    write_result(folder / 'throughput.json', f'maze2d-{maze}', 0,
                 {'maze': maze, **facts, 'rows': [row.content() for row in rows]})


def number(value: float | None) -> str:
    """Return a value with three digits, whole above 100."""
    if value is None:
        return MISSING
    return f'{value:,.0f}' if abs(value) >= 100.0 else f'{value:.3g}'


def table_csv(rows: list[Row]) -> str:
    """Return the rows as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Row)], lineterminator='\n')
    writer.writeheader()
    writer.writerows(row.content() for row in rows)
    return text.getvalue()


def markdown(maze: str, facts: dict, rows: list[Row]) -> str:
    """Return the report for a reader."""
    lines = [f'# Throughput, maze {maze}', '', '![Rates](throughput.png)', '']
    for section in dict.fromkeys(row.section for row in rows):
        lines += [f'## {TITLES[section]}', '', '| | value | unit | what it is of | source |',
                  '|---|---|---|---|---|']
        lines += [f'| {row.name} | {number(row.value)} | {row.unit} | {row.note} | {row.source} |'
                  for row in rows if row.section == section]
        lines.append('')
    lines += ['## How this was made', '', '| | |', '|---|---|']
    lines += [f'| {key} | {inline(value)} |' for key, value in facts.items()]
    return '\n'.join(lines) + '\n'


def draw_rates(path: Path, rows: list[Row]) -> None:
    """Draw every rate as a bar on one logarithmic axis to a PNG file."""
    from matplotlib.figure import Figure

    rates = [row for row in rows if row.value and row.unit.endswith('/s')]
    figure = Figure(figsize=(9.0, 1.2 + 0.27 * len(rates)), layout='constrained')
    axes = figure.subplots()
    places = range(len(rates))
    bars = axes.barh(places, [row.value for row in rates],
                     color=[COLORS[row.section] for row in rates])
    axes.bar_label(bars, [f'{number(row.value)} {row.unit}' for row in rates], padding=3,
                   fontsize=7)
    axes.set_yticks(places, [f'{row.section}: {row.name}' for row in rates], fontsize=7)
    axes.invert_yaxis()
    if rates:
        axes.set_xscale('log')
        axes.set_xlim(0.5 * min(row.value for row in rates), 30.0 * max(
            row.value for row in rates))
    axes.set_xlabel('per second')
    axes.spines[['top', 'right']].set_visible(False)
    figure.savefig(path, dpi=120)
