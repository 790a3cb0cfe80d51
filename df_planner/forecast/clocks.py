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
Which columns of a CSV file are clocks, and what their times say of the rows.

A clock is no variable. Rows in another order than that of their times are put into it: a forecast
follows the newest row, wherever the file has it.
"""

from collections.abc import Collection
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from datetime import timedelta
from datetime import timezone
import logging
import re

import numpy as np

from df_planner.errors import brief
from df_planner.errors import DatasetError

FIRST_ROW = 2  # of the file: row 1 is the header
NAMES = {'', 'date', 'datetime', 'ds', 'epoch', 'index', 'time', 'timestamp', 'unix', 'unixtime',
         'unnamed: 0'}
DAYS = ('%d.%m.%Y', '%Y/%m/%d', '%m/%d/%Y', '%d/%m/%Y', '%m-%d-%Y', '%d-%m-%Y')
HOURS = ('', ' %H:%M', ' %H:%M:%S', ' %H:%M:%S.%f', ' %I:%M %p', ' %I:%M:%S %p')
FORMATS = (*(day + hour for day in DAYS for hour in HOURS), '%Y-%m', '%d %b %Y', '%b %d, %Y')
MOST_UNEVEN = 1.2  # the longest step by the shortest: months and quarters are even
LEAST_ROWS = 8  # for numbers that rise evenly to be a clock although they are not named so
DIGITS = re.compile(r'(19|20)\d{6}')  # a date without separators
EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True)
class Clock:
    """
    The times of the rows of a file.

    :param times: (N,) float64, in seconds where ``of_dates``, else as in the file.
    """

    name: str
    times: np.ndarray
    of_dates: bool

    @property
    def step_s(self) -> float | None:
        """Return the usual time from row to row; None if the unit is not known."""
        if not self.of_dates or len(self.times) < 2:
            return None
        return float(np.median(np.diff(np.sort(self.times))))

    def order(self, source: str) -> np.ndarray:
        """
        Return the rows (N,) from the oldest to the newest, and warn of what is odd about them.

        :raises DatasetError: if two rows have the same time.
        """
        log = logging.getLogger(__name__)
        order = np.argsort(self.times, kind='stable')
        steps = np.diff(self.times[order])
        for index in np.flatnonzero(steps == 0)[:1]:
            first, second = order[index:index + 2] + FIRST_ROW
            raise DatasetError(f'{source}: rows {first} and {second} have the same {self.name}; '
                               'leave one of them, and write times in UTC')
        falls = np.flatnonzero(np.diff(self.times) < 0)
        if len(falls):
            log.warning('%s: row %d is older than the row before it; rows are sorted by %s, the '
                        'newest last', source, falls[0] + 1 + FIRST_ROW, self.name)
        if len(steps) and steps.max() > MOST_UNEVEN * steps.min():
            usual = np.median(steps)
            odd = int(np.argmax(np.maximum(steps / usual, usual / steps)))
            log.warning('%s: by %s row %d comes %s after the one before it, others %s; rows are '
                        'forecast as if they were evenly apart', source, self.name,
                        order[odd + 1] + FIRST_ROW, self._words(steps[odd]), self._words(usual))
        return order

    def _words(self, step: float) -> str:
        return str(timedelta(seconds=step)) if self.of_dates else f'{step:g}'


def find_clocks(source: str, names: Sequence[str], columns: Sequence[Sequence[str]],
                variables: Collection[str]) -> dict[int, Clock]:
    """
    Return the columns that are clocks, by number, the one to sort by first.

    :param columns: the cells of each.
    :param variables: names of columns that are none, whatever they hold.
    :raises DatasetError: naming row and column, if a column is neither numbers nor dates, or is
        named like a clock and is none.
    """
    dates, numbers = {}, {}
    for index, (name, cells) in enumerate(zip(names, columns)):
        named = name.lower() in NAMES
        if (values := _numbers(cells)) is None or named and all(map(DIGITS.fullmatch, cells)):
            if values is not None or _is_text(cells[0]):
                dates[index] = Clock(name, _dates(source, name, cells), True)
        elif name not in variables:
            steps = np.diff(values)
            rises = len(steps) > 0 and ((steps > 0).all() or (steps < 0).all())
            even = index == 0 and len(columns) > 1 and len(cells) >= LEAST_ROWS and np.allclose(
                steps, steps[0], rtol=1e-6, atol=0.0)
            if named and not rises and len(steps):
                at = int(np.flatnonzero(steps * np.sign(steps[0] or 1.0) <= 0)[0])
                raise DatasetError(f'{source}: row {at + 1 + FIRST_ROW}, column {name!r}: '
                                   f'{cells[at + 1]} after {cells[at]}; sort the rows by it if it '
                                   'is their time, rename it if it is a variable')
            if rises and even and not named:
                logging.getLogger(__name__).warning(
                    '%s: column %s goes evenly from %s to %s: it is taken for the clock and not '
                    'forecast', source, name, cells[0], cells[-1])
            if rises and (named or even):
                numbers[index] = Clock(name, values, False)
    return dates | numbers


def is_number(text: str) -> bool:
    """Tell whether a cell is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_text(text: str) -> bool:
    return not is_number(text) and text.strip().lower() not in ('', 'nan', 'na', 'null')


def _numbers(cells: Sequence[str]) -> np.ndarray | None:
    """Return the numbers (N,) of a column; None if a cell is none, or not finite."""
    try:
        values = np.array([float(text) for text in cells])
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None


def _dates(source: str, name: str, cells: Sequence[str]) -> np.ndarray:
    """Return the times (N,) of a column of dates in seconds."""
    readings, far = [], -1
    for form in (None, *FORMATS):
        seconds, bad = _read(cells, form)
        if bad is None:
            readings.append(seconds)
        far = len(cells) if bad is None else max(far, bad)
        if form is None and readings:
            break
    if not readings:
        cell = cells[max(far, 0)]
        raise DatasetError(f'{source}: row {max(far, 0) + FIRST_ROW}, column {name}: '
                           f'{brief(cell)} is neither a number nor a date like the others, such '
                           'as 2026-01-31 23:00; leave the column out if it is no variable')
    steady = [seconds for seconds in readings
              if (np.diff(seconds) > 0).all() or (np.diff(seconds) < 0).all()]
    readings = steady or readings
    if any((np.argsort(readings[0]) != np.argsort(other)).any() for other in readings[1:]):
        raise DatasetError(f'{source}: column {name}: {brief(cells[0])} may have the day or the '
                           'month first; write dates as 2026-01-31')
    return readings[0]


def _read(cells: Sequence[str], form: str | None) -> tuple[np.ndarray, int | None]:
    """Return the dates in seconds, and the first cell that is none; ISO 8601 by default."""
    seconds = np.zeros(len(cells))
    zoned = None
    for index, text in enumerate(cells):
        text = text.strip()
        try:
            time = datetime.strptime(text, form) if form else datetime.fromisoformat(text)
        except ValueError:
            return seconds, index
        if zoned is None:
            zoned = time.tzinfo is not None
        if zoned != (time.tzinfo is not None):
            return seconds, index
        if zoned:
            time = time.astimezone(timezone.utc).replace(tzinfo=None)
        seconds[index] = (time - EPOCH).total_seconds()
    return seconds, None
