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

"""The picture of odometry noise: scores over the noise, and the paired difference of the arms."""

from pathlib import Path

from df_planner.benchmark.odometry_noise import ARMS

COLORS = {'raw': '#d1344b', 'tracking': '#1f77ff', 'time_optimal': '#2b9d5c'}
LINES = {'exact': '--', 'matched': '-'}


def draw_noise_picture(path: Path, results: list[dict]) -> None:
    """
    Draw to a PNG file; bars are one standard error.

    :param results: of ``measure_noise``.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 4.2), layout='constrained')
    scores, differences = figure.subplots(1, 2, sharex=True)
    differences.axhline(0.0, color='#888888', linewidth=0.8)
    for execution in dict.fromkeys(result['execution'] for result in results):
        driven = [result for result in results if result['execution'] == execution]
        for arm in ARMS:
            # Without noise the arms are the same.
            found = [(result['noise_std'], result.get(arm, result['exact'])['score'])
                     for result in driven]
            _draw_errorbars(scores, found, COLORS[execution], LINES[arm], f'{execution}, {arm}')
        _draw_errorbars(differences, [(result['noise_std'], result['difference'])
                                      for result in driven if 'difference' in result],
                        COLORS[execution], '-', execution)
    scores.set(title='score')
    differences.set(title='matched less exact, start by start')
    for axis in (scores, differences):
        axis.set_xlabel('noise of the odometry [m] and [m/s]')
        axis.legend(fontsize=8, frameon=False, handlelength=3.5)
    figure.savefig(path, dpi=120)


def _draw_errorbars(axis, found: list[tuple[float, dict]], color: str, line: str,
                    label: str) -> None:
    axis.errorbar([std for std, _ in found], [score['mean'] for _, score in found],
                  [score['stderr'] or 0.0 for _, score in found], linestyle=line, color=color,
                  marker='.', capsize=2, label=label)
