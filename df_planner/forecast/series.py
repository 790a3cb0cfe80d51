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
A multivariate time series, read from a CSV file or a package.

The first 70 % of the rows are for training, the next 15 % for choices, the last 15 % for the test.
"""

from collections.abc import Collection
import csv
from dataclasses import dataclass
import hashlib
from importlib import import_module
import io
import math
from pathlib import Path
import re
from types import ModuleType

import numpy as np

from df_planner.errors import brief
from df_planner.errors import ConfigError
from df_planner.errors import DatasetError
from df_planner.files import placeholder
from df_planner.forecast.clocks import find_clocks
from df_planner.forecast.clocks import FIRST_ROW
from df_planner.forecast.clocks import is_number

TRAFFIC = 'traffic'
TRAFFIC_COLUMNS = ('traffic_volume', 'temp', 'clouds_all')
TRAIN_SHARE, VALIDATION_SHARE = 0.70, 0.15
MISSING = {'', 'nan', 'na', 'null'}
SEPARATORS = (',', ';', '\t')
COMMA_NUMBER = re.compile(r'\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*')


@dataclass(frozen=True)
class Series:
    """
    Rows at a fixed rate.

    :param names: of the C variables.
    :param values: (N, C) float64, in the units of the source; a missing value is the last one
        before it.
    :param observed: (N, C) bool, False where a value is missing.
    :param step_s: from row to row, where the source has dates.
    """

    source: str
    names: tuple[str, ...]
    values: np.ndarray
    observed: np.ndarray
    step_s: float | None = None

    def part(self, name: str) -> range:
        """Return the rows of ``train``, ``validation`` or ``test``."""
        rows = len(self.values)
        first, second = (round(rows * share) for share in (
            TRAIN_SHARE, TRAIN_SHARE + VALIDATION_SHARE))
        return {'train': range(first), 'validation': range(first, second),
                'test': range(second, rows)}[name]

    @property
    def sha256(self) -> str:
        """Return the checksum of names and values."""
        return hashlib.sha256(repr(self.names).encode() + self.values.tobytes()).hexdigest()


def optional(module: str) -> ModuleType:
    """
    Import a module of the extra ``forecast``.

    :raises ConfigError: if its package is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigError(f'{module.partition(".")[0]} is not installed: '
                          'pip install "df_planner[forecast]"') from error


def open_series(name_or_path: str | Path, variables: Collection[str] = ()) -> Series:
    """
    Return a series by the path of its CSV file, or ``traffic``.

    The latter is two years of hourly traffic on an interstate of Minnesota, with temperature and
    clouds: Metro Interstate Traffic Volume (UCI, from the state's Department of Transportation),
    as the package AutoTS ships it, in vehicles per hour, kelvin and per cent. Rain and snow,
    nearly always zero, are left out.

    :param variables: see ``read_csv``.
    :raises ConfigError: if the package is not installed.
    :raises DatasetError: naming file, row and column.
    """
    if str(name_or_path) != TRAFFIC:
        return read_csv(Path(name_or_path), variables)
    table = optional('autots.datasets').load_hourly(long=False)
    return _filled(TRAFFIC, TRAFFIC_COLUMNS, table[list(TRAFFIC_COLUMNS)].to_numpy(np.float64))


def read_csv(path: Path, variables: Collection[str] = ()) -> Series:
    """
    Read a CSV file with a header, its cells apart by commas, semicolons or tabs.

    Columns of dates, of a time in numbers and of numbered rows are no variables; rows are in the
    order of their times. With semicolons or tabs, numbers may have decimal commas.

    :param variables: names of columns that are variables, whatever they hold.
    :raises DatasetError: naming file, row and column.
    """
    header, rows = _cells(path)
    names = [name.strip() for name in header]
    columns = list(zip(*rows))
    clocks = find_clocks(str(path), names, columns, variables)
    kept = [index for index in range(len(names)) if index not in clocks]
    names = [names[index] for index in kept]
    if not names or len(set(names)) < len(names) or '' in names or any(map(is_number, names)):
        raise DatasetError(f'{path}: row 1 must name every column, each differently, got '
                           f'{brief(",".join(header))}')
    values = np.array([[_number(text, path, number, name)
                        for number, text in enumerate(columns[index], FIRST_ROW)]
                       for index, name in zip(kept, names)]).T
    clock = next(iter(clocks.values()), None)
    if clock is not None:
        values = values[clock.order(str(path))]
    return _filled(str(path), tuple(names), values, clock.step_s if clock else None)


def _cells(path: Path) -> tuple[list[str], list[list[str]]]:
    """Return header and rows of a file, numbers with a decimal point."""
    if (stands_for := placeholder(path)) is not None:
        raise DatasetError(f'{path}: {stands_for}')
    try:
        text = path.read_text(encoding='utf-8-sig')
        separator = max(SEPARATORS, key=text.partition('\n')[0].count)
        lines = csv.reader(io.StringIO(text, newline=''), delimiter=separator)
        header, *rows = list(lines) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f'{path}: cannot be read as CSV: {error}') from error
    while rows and not any(cell.strip() for cell in rows[-1]):
        rows.pop()
    if not rows:
        raise DatasetError(f'{path}: has no rows below its header')
    for number, row in enumerate(rows, FIRST_ROW):
        if len(row) != len(header):
            raise DatasetError(f'{path}: row {number} has {len(row)} columns, the header '
                               f'{len(header)}')
    if separator != ',' and any(COMMA_NUMBER.fullmatch(cell) for row in rows for cell in row):
        rows = [[_with_point(cell, path, number) for cell in row]
                for number, row in enumerate(rows, FIRST_ROW)]
    return header, rows


def _with_point(cell: str, path: Path, row: int) -> str:
    """Return a cell of a file with decimal commas, a comma in a number replaced by a point."""
    if COMMA_NUMBER.fullmatch(cell):
        return cell.replace(',', '.')
    if '.' in cell and is_number(cell):
        raise DatasetError(f'{path}: row {row}: {cell.strip()} has a point, other numbers have a '
                           'decimal comma; write them all alike, without signs for thousands')
    return cell


def _filled(source: str, names: tuple[str, ...], values: np.ndarray,
            step_s: float | None = None) -> Series:
    """Put the last value before it in the place of every missing one (NaN)."""
    observed = np.isfinite(values)
    if not observed[0].all():
        name = names[int(np.argmin(observed[0]))]
        raise DatasetError(f'{source}: the first row has no value of {name}; start where all '
                           'variables have one')
    last = np.maximum.accumulate(np.where(observed, np.arange(len(values))[:, None], 0), axis=0)
    return Series(source, names, np.take_along_axis(values, last, axis=0), observed, step_s)


def _number(text: str, path: Path, row: int, name: str) -> float:
    if text.strip().lower() in MISSING:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        value = math.inf
    if not math.isfinite(value):
        raise DatasetError(f'{path}: row {row}, column {name}: {text!r} is not a finite number; '
                           'leave the cell empty where a value is missing')
    return value
