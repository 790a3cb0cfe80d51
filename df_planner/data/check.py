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

"""Everything that is wrong with a log, or likely to be."""

from collections.abc import Callable

import numpy as np

from df_planner.data.source import Source
from df_planner.data.summary import Moments
from df_planner.data.summary import Summary
from df_planner.errors import DFPlannerError

MAX_SHOWN = 20  # jumps by number; the others are counted
VELOCITY_TOLERANCE = 0.2
MIN_CORRELATION = 0.7


def find_problems(source: Source, on_problem: Callable[[str], None],
                  on_progress: Callable[[int], object] = lambda count: None) -> Summary:
    """
    Read a log to its end, whatever it has.

    :param on_problem: called with a line for every problem, with the numbers of its rows or
        messages.
    """
    summary = Summary(source.signals)
    try:
        for block in source.blocks(on_problem, on_progress):
            with np.errstate(invalid='ignore', over='ignore'):
                summary.add(block)
    except DFPlannerError as error:
        on_problem(str(error).removeprefix(f'{source.path}: '))
    for row in summary.jumps[:MAX_SHOWN]:
        on_problem(f'row {row}: the position jumps by more than max_step_m = '
                   f'{source.signals.max_step_m} m; an episode ends there')
    if len(summary.jumps) > MAX_SHOWN:
        on_problem(f'{len(summary.jumps) - MAX_SHOWN} more such jumps, the last in row '
                   f'{summary.jumps[-1]}')
    if summary.num_rows:
        _report_motion(summary, on_problem)
        _report_constants('observation', summary, summary.observations, on_problem)
        _report_constants('action', summary, summary.actions, on_problem)
    return summary


def _report_motion(summary: Summary, on_problem: Callable[[str], None]) -> None:
    """Report a velocity that is not that of the position: other units, other axes."""
    names = summary.signals.observation_names
    for axis, (factor, correlation) in enumerate(zip(*summary.motion())):
        if abs(factor - 1.0) > VELOCITY_TOLERANCE or correlation < MIN_CORRELATION:
            on_problem(f'{names[axis]} moves {factor:.2f} times as far as {names[axis + 2]} says '
                       f'(correlation {correlation:.2f}): other units or axes?')


def _report_constants(kind: str, summary: Summary, moments: Moments,
                      on_problem: Callable[[str], None]) -> None:
    names = getattr(summary.signals, f'{kind}_names')
    for name, low, high in zip(names, moments.low, moments.high):
        if low == high:
            on_problem(f'{kind} {name} is {low:g} in all rows: is it the right field?')
