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

"""The picture of a run in real time: periods of commands, planning times, scores."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from df_planner.benchmark.real_time import LATE_S

BLUE, RED, GREY = '#1f77ff', '#d1344b', '#888888'


def draw_real_time_picture(path: Path, periods_s: Sequence[float], real_time: Sequence[dict],
                           lockstep: Sequence[dict]) -> None:
    """
    Draw to a PNG file.

    :param periods_s: wall time from each command to the next.
    :param real_time: records of ``episode_record``, and ``lockstep`` those of the same episodes.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.0, 4.0), layout='constrained')
    over_time, planning, scores = figure.subplots(1, 3)
    periods_ms = 1e3 * np.asarray(periods_s)
    over_time.plot(np.cumsum(periods_ms) / 60e3, periods_ms, ',', color=BLUE)
    over_time.axhline(1e3 * LATE_S, color=RED, linewidth=0.8)
    over_time.set(title='period of the commands', xlabel='time [min]', ylabel='[ms]',
                  ylim=(0.0, max(1.1 * periods_ms.max(), 1.2e3 * LATE_S)))
    times_ms = [1e3 * value for record in real_time for value in record['planning_times_s']]
    planning.hist(times_ms, bins=60, color=BLUE)
    planning.set(title='planning time', xlabel='[ms]', ylabel='plans', yscale='log')
    pairs = [(a['return'], b['return']) for a, b in zip(lockstep, real_time)]
    most = max(max(pair) for pair in pairs)
    scores.plot([0.0, most], [0.0, most], color=GREY, linewidth=0.8)
    scores.plot(*zip(*pairs), '.', color=BLUE)
    scores.set(title='return, start by start', xlabel='lockstep [steps]',
               ylabel='real time [steps]')
    figure.savefig(path, dpi=120)
