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

"""The picture of a profile: how latencies are distributed, and what a mean plan consists of."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from df_planner.benchmark.plan_timing import NETWORK
from df_planner.benchmark.plan_timing import REST

COLORS = {'cold': '#1f77ff', 'warm': '#ee4b3a'}
PART_COLORS = ('#1f77ff', '#a23bd8', '#ffb000', '#12a594', '#ee4b3a', '#5b6470', '#8c564b')
REST_COLOR = '#c4c7cf'


def draw_profile_picture(path: Path, title: str, records: list[dict], summary: dict[str, dict]
                         ) -> None:
    """
    Draw to a PNG file.

    :param records: of ``time_drive``, and ``summary`` of ``summarize_profile``.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 4.2), layout='constrained', facecolor='white')
    left, right = figure.subplots(1, 2)
    draw_distribution(left, {kind: ([record['seconds'] for record in records
                                     if record['kind'] == kind], COLORS[kind], '-')
                             for kind in summary})
    _draw_parts(right, summary)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=120)


def draw_distribution(axis, lines: dict[str, tuple[Sequence[float], str, str]]) -> None:
    """
    Draw the share of plans that are made within a time, on a logarithmic axis.

    :param lines: by label: seconds of every plan, colour, line style.
    """
    from matplotlib.ticker import LogFormatter

    for label, (seconds, color, style) in lines.items():
        ordered = 1e3 * np.sort(seconds)
        share = np.arange(1, len(ordered) + 1) / len(ordered)
        axis.step(np.concatenate([ordered[:1], ordered]), np.concatenate([[0.0], share]),
                  where='post', color=color, linestyle=style,
                  label=f'{label}: p50 {np.percentile(ordered, 50):.0f} ms, '
                        f'p99 {np.percentile(ordered, 99):.0f} ms')
    axis.set_xscale('log')
    axis.xaxis.set_major_formatter(LogFormatter())
    axis.set(xlabel='time for a plan [ms]', ylabel='share of plans', ylim=(0.0, 1.02))
    axis.grid(True, which='both', linewidth=0.3)
    axis.legend(fontsize=8, frameon=False, loc='lower right')
    axis.spines[['top', 'right']].set_visible(False)


def _draw_parts(axis, summary: dict[str, dict]) -> None:
    """Draw a bar per kind of plan, stacked of its parts, in shares of its mean."""
    names = list(dict.fromkeys(name for found in summary.values() for name in found['parts_s']))
    names = [NETWORK, *(name for name in names if name not in (NETWORK, REST)), REST]
    split = {kind: found['parts_s'] for kind, found in summary.items() if found['parts_s']}
    left = np.zeros(len(split))
    for index, name in enumerate(names):
        shares = np.array([100.0 * parts.get(name, 0.0) / sum(parts.values())
                           for parts in split.values()])
        color = REST_COLOR if name == REST else PART_COLORS[index % len(PART_COLORS)]
        axis.barh(range(len(split)), shares, left=left, height=0.5, color=color, label=name)
        left += shares
    axis.set_yticks(range(len(split)), [
        f'{kind}\n{1e3 * sum(parts.values()):.0f} ms' for kind, parts in split.items()])
    axis.set(xlabel='share of a mean plan [%]', xlim=(0.0, 100.0))
    axis.invert_yaxis()
    axis.legend(fontsize=8, frameon=False, ncols=2, loc='upper center',
                bbox_to_anchor=(0.5, -0.15))
    axis.spines[['top', 'right']].set_visible(False)
