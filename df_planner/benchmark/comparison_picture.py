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

"""The picture of a comparison: both latencies as distributions, and the ratio start by start."""

from pathlib import Path

import numpy as np

from df_planner.benchmark.comparison import PLANNER
from df_planner.benchmark.comparison import ratios
from df_planner.benchmark.comparison import REFERENCE
from df_planner.benchmark.profile_picture import COLORS
from df_planner.benchmark.profile_picture import draw_distribution

STYLES = {REFERENCE: ':', PLANNER: '-'}


def draw_comparison_picture(path: Path, title: str, records: list[dict]) -> None:
    """
    Draw to a PNG file.

    :param records: of ``measure_comparison``.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 4.2), layout='constrained', facecolor='white')
    left, right = figure.subplots(1, 2)
    lines = {}
    for kind, color in COLORS.items():
        for who, style in STYLES.items():
            seconds = [record['seconds'] for record in records
                       if record['kind'] == kind and record['who'] == who]
            if seconds:
                lines[f'{kind}, {who}'] = seconds, color, style
        found = np.sort(ratios(records, kind))
        if len(found):
            right.plot(100.0 * (np.arange(len(found)) + 0.5) / len(found), found, 'o-',
                       markersize=3, color=color, label=f'{kind}: median {np.median(found):.3f}')
    draw_distribution(left, lines)
    right.axhline(1.0, color='black', linewidth=0.8)
    right.set(yscale='log', xlabel='share of starts [%]', ylabel='time of planner / reference')
    right.grid(True, which='both', linewidth=0.3)
    right.legend(fontsize=8, frameon=False)
    right.spines[['top', 'right']].set_visible(False)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=120)
