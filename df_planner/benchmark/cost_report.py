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

"""The table and the picture of how the cost of sampling grows."""

from collections.abc import Sequence
import csv
import io
from pathlib import Path

import numpy as np

from df_planner.benchmark.cost import BASE_CANDIDATES
from df_planner.benchmark.cost import FAR_STEPS
from df_planner.benchmark.cost import growth_exponent
from df_planner.benchmark.cost import Point

LABELS = {'horizon_steps': 'horizon [control steps]', 'candidates': 'candidates',
          'sampling_steps': 'sampling steps'}
FITTED_FROM = {'horizon_steps': (0, FAR_STEPS), 'candidates': (BASE_CANDIDATES,),
               'sampling_steps': (0,)}
COLORS = ('#1f77ff', '#ee4b3a', '#12a594', '#a23bd8', '#ffb000')
HEADER = ('sweep', 'horizon [steps]', 'candidates', 'sampling steps', 'threads', 'time [ms]',
          'min', 'max', 'calls', 'ms per call', 'peak memory [MiB]')


def of_sweeps(swept: dict[str, list[Point]], points: list[Point], records: list[dict]
              ) -> dict[str, list[dict]]:
    """Return the records of each sweep; the point that sweeps have in common is in all of them."""
    return {name: [records[points.index(point)] for point in members]
            for name, members in swept.items()}


def cost_table(by_sweep: dict[str, list[dict]]) -> list[list[str]]:
    """Return one row of text per point and sweep, the header first; times are medians."""
    return [list(HEADER), *(
        [name.replace('_', ' '), *(str(record[key]) for key in (
            'horizon_steps', 'candidates', 'sampling_steps', 'threads')),
         *(f'{1e3 * value:.1f}' for value in (
             np.median(record['seconds']), min(record['seconds']), max(record['seconds']))),
         str(record['calls']), f'{1e3 * record["call_s"]:.2f}',
         '-' if record['peak_mib'] is None else f'{record["peak_mib"]:.1f}']
        for name, records in by_sweep.items() for record in records)]


def csv_of(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as comma-separated values."""
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows(rows)
    return text.getvalue()


def growth(by_sweep: dict[str, list[dict]]) -> list[dict]:
    """Return the fitted growth exponents: of every sweep and thread count, from a value on."""
    return [{'sweep': name, 'threads': threads, 'from': least,
             'exponent': growth_exponent(_on(records, threads), name, least)}
            for name, records in by_sweep.items()
            for threads in sorted({record['threads'] for record in records})
            for least in FITTED_FROM[name]]


def growth_lines(fits: list[dict]) -> list[str]:
    """Return the growth exponents as sentences."""
    return [f'time ~ {fit["sweep"].replace("_", " ")} ^ {fit["exponent"]:.2f}'
            + (f' from {fit["from"]} on' if fit['from'] else '')
            + f', {fit["threads"]} thread{"s" if fit["threads"] > 1 else ""}'
            for fit in fits if fit['exponent'] is not None]


def draw_cost_picture(path: Path, title: str, by_sweep: dict[str, list[dict]]) -> None:
    """Draw time over each swept quantity, and memory over the horizon, all axes logarithmic."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 8.0), layout='constrained', facecolor='white')
    axes = figure.subplots(2, 2).ravel()
    for axis, (name, records) in zip(axes, by_sweep.items()):
        for color, threads in zip(COLORS, sorted({record['threads'] for record in records})):
            _draw_line(axis, name, _on(records, threads), threads, color)
        axis.set(xlabel=LABELS[name], ylabel='time of a batch [ms]')
        axis.legend(fontsize=8, frameon=False)
    for style, name in (('o-', 'horizon_steps'), ('s--', 'candidates')):
        fewest = min((record['threads'] for record in by_sweep[name]), default=1)
        known = [record for record in _on(by_sweep[name], fewest)
                 if record['peak_mib'] is not None and record['peak_mib'] > 0.0]
        axes[3].plot([record[name] for record in known], [record['peak_mib'] for record in known],
                     style, color=COLORS[0], markersize=4, label=f'over {LABELS[name]}')
    axes[3].set(xlabel='value', ylabel='peak growth of memory [MiB]')
    axes[3].legend(fontsize=8, frameon=False)
    for axis in axes:
        axis.set(xscale='log', yscale='log')
        axis.grid(True, which='both', linewidth=0.3)
        axis.spines[['top', 'right']].set_visible(False)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=120)


def _draw_line(axis, name: str, records: list[dict], threads: int, color: str) -> None:
    """Draw medians with the range of the repetitions, and the fit of the far horizons."""
    values = np.array([record[name] for record in records])
    seconds = [np.array(record['seconds']) for record in records]
    medians = 1e3 * np.array([np.median(several) for several in seconds])
    axis.errorbar(values, medians, [medians - [1e3 * several.min() for several in seconds],
                                    [1e3 * several.max() for several in seconds] - medians],
                  color=color, marker='o', markersize=4, capsize=2, linewidth=1.2,
                  label=f'{threads} thread{"s" if threads > 1 else ""}')
    least = FITTED_FROM[name][-1]
    exponent = growth_exponent(records, name, least)
    if exponent is not None:
        far = values[values >= least]
        level = np.exp(np.mean(np.log(medians[values >= least])
                               - exponent * np.log(far)))
        axis.plot(far, level * far ** exponent, ':', color=color,
                  label=f'grows with the power {exponent:.2f}'
                        + (f' from {least} on' if least else ''))


def _on(records: list[dict], threads: int) -> list[dict]:
    """Return the records of a thread count."""
    return [record for record in records if record['threads'] == threads]
