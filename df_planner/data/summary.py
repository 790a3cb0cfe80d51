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

"""A log in numbers and as a picture, and its problems, block by block in bounded memory."""

from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from df_planner.console import text_table
from df_planner.data.layout import true_observations
from df_planner.data.sources.source import Block
from df_planner.data.sources.source import Source
from df_planner.errors import DFPlannerError
from df_planner.robots.signals import Signals


MAX_SHOWN = 20  # jumps by number; the others are counted
VELOCITY_TOLERANCE = 0.2
MIN_CORRELATION = 0.7


class Moments:
    """Smallest (``low``), largest (``high``), ``mean`` and standard deviation of C columns."""

    def __init__(self, size: int):
        self.low, self.high = np.full(size, np.inf), np.full(size, -np.inf)
        self.mean, self._squares = np.zeros(size), np.zeros(size)
        self._count = 0

    def add(self, values: np.ndarray) -> None:
        """Take a block of values (n, C), n at least 1."""
        values = values.astype(np.float64)
        self.low = np.minimum(self.low, values.min(axis=0))
        self.high = np.maximum(self.high, values.max(axis=0))
        # Chan, Golub and LeVeque, 1979: the moments of two sets together.
        count = self._count + len(values)
        mean = values.mean(axis=0)
        change = mean - self.mean
        self._squares += (np.square(values - mean).sum(axis=0)
                          + np.square(change) * self._count * len(values) / count)
        self.mean += change * len(values) / count
        self._count = count

    @property
    def std(self) -> np.ndarray:
        """Return the standard deviations (C,)."""
        return np.sqrt(self._squares / max(self._count, 1))


class Summary:
    """
    The rows of a log.

    :param repair: use the true state where D4RL repeats an old observation.
    :ivar jumps: rows to which the position jumps although no episode ends.
    :ivar cells: how often the robot was in each cell of ``max_step_m``, by its (2,) number.
    """

    def __init__(self, signals: Signals, repair: bool = True):
        self.signals = signals
        self.num_rows = self.num_stale = self.num_timeouts = 0
        self.observations = Moments(signals.observation_size)
        self.actions = Moments(signals.action_size)
        self.rewards = Moments(1)
        self.jumps: list[int] = []
        self.cells: dict[tuple[int, int], int] = {}
        self._repair = repair
        self._lengths: list[int] = []
        self._open_rows = 0  # of the episode that has not ended yet
        self._last: np.ndarray | None = None
        self._last_ends = False
        # Sums over moves within an episode: of displacement and velocity, per axis.
        self._moved, self._meant, self._both = np.zeros(2), np.zeros(2), np.zeros(2)

    def add(self, block: Block) -> None:
        """Take the next rows."""
        count = len(block['observations'])
        if count == 0:
            return
        seen = true_observations(block) if self._repair else block['observations']
        self.num_stale += int((seen != block['observations']).any(axis=1).sum())
        self.num_timeouts += int(block['timeouts'].sum()) if 'timeouts' in block else 0
        self.observations.add(seen)
        self.actions.add(block['actions'])
        self.rewards.add(block['rewards'][:, None])
        self._count_cells(seen)
        self._follow(seen, block['terminals'])
        self.num_rows += count

    @property
    def episode_lengths(self) -> np.ndarray:
        """Return the rows (E,) of every stretch of continuous motion."""
        return np.array(self._lengths + ([self._open_rows] if self._open_rows else []), int)

    def motion(self) -> tuple[np.ndarray, np.ndarray]:
        """
        Compare how the position moves with what the velocity says, per axis (2,).

        :returns: the move as a multiple of what the velocity says, by least squares, and the
            correlation of both; NaN without motion.
        """
        with np.errstate(divide='ignore', invalid='ignore'):
            return self._both / self._meant, self._both / np.sqrt(self._moved * self._meant)

    def _count_cells(self, observations: np.ndarray) -> None:
        numbers = np.floor(observations[:, :2] / self.signals.max_step_m).astype(np.int64)
        found, counts = np.unique(numbers, axis=0, return_counts=True)
        for cell, count in zip(map(tuple, found.tolist()), counts.tolist()):
            self.cells[cell] = self.cells.get(cell, 0) + count

    def _follow(self, observations: np.ndarray, terminals: np.ndarray) -> None:
        """Find where episodes end, and how velocities fit the motion in them."""
        if self._last is not None:
            observations = np.concatenate([self._last, observations])
            terminals = np.concatenate([[self._last_ends], terminals])
        else:
            self._open_rows = 1
        self._last, self._last_ends = observations[-1:], bool(terminals[-1])
        moves = np.diff(observations[:, :2].astype(np.float64), axis=0)
        jumps = np.hypot(*moves.T) > self.signals.max_step_m
        ends = terminals[:-1]
        first = max(self.num_rows - 1, 0)
        self.jumps += (np.flatnonzero(jumps & ~ends) + first + 1).tolist()
        starts = np.flatnonzero(jumps | ends) + 1  # row 0 is the one before this block
        bounds = np.concatenate([[0], starts, [len(observations)]])
        lengths = np.diff(bounds)
        lengths[0] += self._open_rows - 1
        self._lengths += lengths[:-1].tolist()
        self._open_rows = int(lengths[-1])
        inside = ~(jumps | ends)
        speeds = observations[:, 2:4].astype(np.float64)
        meant = (0.5 * self.signals.dt_s * (speeds[1:] + speeds[:-1]))[inside]
        moved = moves[inside]
        self._moved += np.square(moved).sum(axis=0)
        self._meant += np.square(meant).sum(axis=0)
        self._both += (moved * meant).sum(axis=0)


def facts_of(summary: Summary) -> dict[str, object]:
    """Return facts for a reader, by name; needs at least one row."""
    signals, lengths = summary.signals, summary.episode_lengths
    columns = [['', 'smallest', 'largest', 'mean', 'std', 'unit']]
    for kind, moments in (('observation', summary.observations), ('action', summary.actions)):
        columns += [[name, *(f'{value:.4g}' for value in values), unit]
                    for name, unit, *values in zip(
                        getattr(signals, f'{kind}_names'), getattr(signals, f'{kind}_units'),
                        moments.low, moments.high, moments.mean, moments.std)]
    area_m2 = len(summary.cells) * signals.max_step_m**2
    return {
        'rows': f'{summary.num_rows:,}',
        'rate': f'{1.0 / signals.dt_s:g} Hz, {summary.num_rows * signals.dt_s:,.1f} s in all',
        'continuous stretches': len(lengths),
        'their lengths': f'{lengths.min():,} to {lengths.max():,} rows, median '
                         f'{np.median(lengths):,.0f} ({np.median(lengths) * signals.dt_s:.1f} s)',
        'goals reached': summary.num_timeouts,
        'rows repaired': f'{summary.num_stale} ({summary.num_stale / summary.num_rows:.2%})',
        'coverage': f'{area_m2:.1f} m² in cells of {signals.max_step_m} m',
        'reward mean': round(float(summary.rewards.mean[0]), 5),
        'columns': text_table(columns)}


def find_problems(source: Source, on_problem: Callable[[str], None],
                  on_progress: Callable[[int], object] = lambda count: None) -> Summary:
    """
    Read a log to its end and report all that is wrong with it, or likely to be.

    :param on_problem: called with a line for every problem, which names rows or messages.
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
        for doubt in motion_doubts(summary):
            on_problem(doubt)
        _report_constants('observation', summary, summary.observations, on_problem)
        _report_constants('action', summary, summary.actions, on_problem)
    return summary


def motion_doubts(summary: Summary) -> Iterator[str]:
    """Give what is odd if a velocity does not fit the position: other units, axes or rates."""
    names, rate_hz = summary.signals.observation_names, 1.0 / summary.signals.dt_s
    for axis, (factor, correlation) in enumerate(zip(*summary.motion())):
        if abs(factor - 1.0) > VELOCITY_TOLERANCE or correlation < MIN_CORRELATION:
            yield (f'{names[axis]} moves {factor:.2f} times as far as {names[axis + 2]} says at '
                   f'{rate_hz:g} Hz (correlation {correlation:.2f}): other units, axes or rate?')


def _report_constants(kind: str, summary: Summary, moments: Moments,
                      on_problem: Callable[[str], None]) -> None:
    names = getattr(summary.signals, f'{kind}_names')
    for name, low, high in zip(names, moments.low, moments.high):
        if low == high:
            on_problem(f'{kind} {name} is {low:g} in all rows: is it the right field?')


def draw_coverage(path: Path, summary: Summary, title: str) -> None:
    """Draw time spent per cell in the map frame, and episode lengths, into a PNG file."""
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    signals = summary.signals
    to_map = np.array(signals.observation_to_map)
    centres = (np.array(list(summary.cells)) + 0.5) * signals.max_step_m @ to_map.T
    seconds = np.array(list(summary.cells.values())) * signals.dt_s
    low, high = centres.min(axis=0), centres.max(axis=0)
    shape = np.rint((high - low) / signals.max_step_m).astype(int) + 1
    grid = np.full(shape[::-1], np.nan)
    index = np.rint((centres - low) / signals.max_step_m).astype(int)
    grid[index[:, 1], index[:, 0]] = seconds
    half = signals.max_step_m / 2.0

    figure = Figure(figsize=(10.0, 5.0), layout='constrained')
    place, lengths = figure.subplots(1, 2, width_ratios=(3, 2))
    image = place.imshow(grid, origin='lower', norm=LogNorm(), cmap='viridis', extent=(
        low[0] - half, high[0] + half, low[1] - half, high[1] + half))
    place.set(xlabel='x of the map, m', ylabel='y of the map, m', title=title)
    figure.colorbar(image, ax=place, label='s per cell')
    lengths.hist(summary.episode_lengths * signals.dt_s, bins=40, color='#1f77ff')
    lengths.set(xlabel='length, s', ylabel='continuous stretches')
    figure.savefig(path, dpi=120)
