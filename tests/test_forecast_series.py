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

"""Series, their tokens and noise levels."""

from datetime import datetime
from datetime import timedelta

import numpy as np
import pytest
import torch

from df_planner.errors import DatasetError
from df_planner.forecast.forecaster import to_rows
from df_planner.forecast.forecaster import to_tokens
from df_planner.forecast.series import open_series
from df_planner.forecast.series import read_csv
from df_planner.forecast.train import KnownPast


def test_a_csv_file_is_read_without_its_dates_and_with_gaps_filled_from_the_past(tmp_path):
    path = tmp_path / 'series.csv'
    path.write_text('time,load, temp\n2026-01-01,1,20\n2026-01-02,,21\n2026-01-03,3,nan\n')

    series = read_csv(path)

    assert series.names == ('load', 'temp')
    assert series.values.tolist() == [[1.0, 20.0], [1.0, 21.0], [3.0, 21.0]]
    assert series.observed.tolist() == [[True, True], [False, True], [True, False]]


def test_a_csv_file_without_dates_keeps_its_first_column(tmp_path):
    path = tmp_path / 'series.csv'
    path.write_text('a,b\n1,2\n3,4\n')

    assert read_csv(path).values.tolist() == [[1.0, 2.0], [3.0, 4.0]]


HOURS = [datetime(2026, 1, 30) + timedelta(hours=hour) for hour in range(60)]
SHUFFLED = [7, *range(8, 60), *range(7)]


def write(path, times, separator=',', head='when,load', shape='{0},{1}', values=None):
    """Write rows of a time and its number from 0 on, which goes up and down."""
    lines = [shape.format(time, HOURS.index(time) % 24 if values is None else values[index])
             for index, time in enumerate(times)]
    path.write_text('\n'.join([head, *lines, '']).replace(',', separator), encoding='utf-8')
    return path


@pytest.mark.parametrize('order', [range(60), range(59, -1, -1), SHUFFLED],
                         ids=['oldest first', 'newest first', 'shuffled'])
@pytest.mark.parametrize(('head', 'shape'), [
    ('when,load', '{0},{1}'), ('load,when', '{1},{0:%Y-%m-%dT%H:%M+01:00}'),
    ('when,load', '{0:%d.%m.%Y %H:%M},{1}'), ('when,load', '{0:%m/%d/%Y %I:%M %p},{1}'),
    (',when,load', '{1},{0:%d/%m/%Y %H:%M:%S},{1}')])
def test_rows_are_in_the_order_of_their_dates(tmp_path, caplog, order, head, shape):
    path = write(tmp_path / 'series.csv', [HOURS[index] for index in order], head=head,
                 shape=shape)
    if head.startswith(','):  # rows have numbers, as pandas writes them
        lines = path.read_text().splitlines()
        path.write_text('\n'.join([lines[0], *(
            f'{index},{line.partition(",")[2]}' for index, line in enumerate(lines[1:])), '']))

    series = read_csv(path)

    assert series.names == ('load',) and series.step_s == 3600.0
    assert series.values[:, 0].tolist() == [hour % 24 for hour in range(60)]
    older = [record.getMessage() for record in caplog.records]
    assert len(older) == (list(order) != list(range(60)))
    assert all('is older than the row before it; rows are sorted by when' in line
               for line in older)


@pytest.mark.parametrize(('head', 'shape'), [
    ('time,load', '{0:%s},{1}'), ('load,timestamp', '{1},{0:%s}'),
    ('date,load', '{0:%Y%m%d},{1}')])
def test_a_time_in_numbers_is_no_variable(tmp_path, head, shape):
    days = [datetime(2026, 1, 1) + timedelta(days=day) for day in range(60)]
    path = write(tmp_path / 'series.csv', days[::-1], head=head, shape=shape,
                 values=[day % 7 for day in range(60)][::-1])
    series = read_csv(path)
    assert series.names == ('load',)
    assert series.values[:, 0].tolist() == [day % 7 for day in range(60)]


def test_a_first_column_that_rises_evenly_is_a_clock_unless_told_otherwise(tmp_path, caplog):
    path = write(tmp_path / 'series.csv', HOURS, head='counter,load', shape='{1},{1}',
                 values=range(60))
    assert read_csv(path).names == ('load',)
    assert 'counter goes evenly from 0 to 59: it is taken for the clock' in caplog.text
    assert read_csv(path, ('counter', 'load')).names == ('counter', 'load')


def test_uneven_steps_are_told(tmp_path, caplog):
    read_csv(write(tmp_path / 'series.csv', HOURS[:30] + HOURS[35:]))
    assert 'row 32 comes 6:00:00 after the one before it, others 1:00:00' in caplog.text


@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig'])
@pytest.mark.parametrize('end', ['\n', '\r\n', '\n\n', '\n;\n'])
@pytest.mark.parametrize('separator', [';', '\t'])
def test_decimal_commas_and_other_habits(tmp_path, encoding, end, separator):
    path = tmp_path / 'series.csv'
    text = 'load;"a;b"\n1,5;-,25\n3;4,0'.replace('\n', '\r\n' if '\r' in end else '\n') + end
    path.write_bytes(text.replace(';', separator).encode(encoding))
    series = read_csv(path)
    assert series.names == ('load', f'a{separator}b')
    assert series.values.tolist() == [[1.5, -0.25], [3.0, 4.0]]


@pytest.mark.parametrize(('text', 'message'), [
    ('', 'no rows'),
    ('when,load\n2026-01-01,1\n2026-01-02,2\n2026-01-01,3\n', 'rows 2 and 4 have the same when'),
    ('when,load\n2026-01-01,1\nyesterday,2\n', "row 3, column when: 'yesterday'"),
    ('when,load\n2026-01-01,1\n,2\n', "row 3, column when: ''"),
    ('when,load\n2026-01-01,1\n2026-01-02T00:00+01:00,2\n', 'row 3, column when'),
    ('when,load\n1/2/2026,1\n2/1/2026,2\n1/3/2026,2\n', 'may have the day or the month first'),
    ('site,load\nA,1\nA,2\n', "row 2, column site: 'A' is neither a number nor a date"),
    ('time,load\n5,1\n7,2\n6,2\n', "row 4, column 'time': 6 after 7; sort the rows by it"),
    ('a;b\n1,5;2\n1.234;2\n', 'row 3: 1.234 has a point, other numbers have a decimal comma'),
    ('version https://git-lfs.github.com/spec/v1\noid sha256:0\n', '`git lfs pull` gets it'),
    ('a,b\n', 'no rows'),
    ('a,b\n1,2\n3\n', 'row 3 has 1 columns'),
    ('a,b\n1,2\n3,four\n', "row 3, column b: 'four'"),
    ('a,b\n1,2\n3,inf\n', "row 3, column b: 'inf'"),
    ('a,b\n1,\n3,4\n', 'first row has no value of b'),
    ('a,a\n1,2\n', 'row 1 must name every column'),
    ('1,2\n3,4\n', 'row 1 must name every column'),
    ('time\n2026-01-01\n', 'row 1 must name every column'),
    ('\x00\xff', 'no rows'),
])
def test_a_wrong_csv_file_is_refused_with_the_place(tmp_path, text, message):
    path = tmp_path / 'series.csv'
    path.write_text(text)

    with pytest.raises(DatasetError, match='series.csv') as error:
        read_csv(path)
    assert message in str(error.value)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / 'series.csv'
    path.write_bytes(b'\x89PNG\xff\xfe\n1')

    with pytest.raises(DatasetError, match='cannot be read as CSV'):
        read_csv(path)


def test_the_packaged_series_is_two_years_of_hours_split_in_time():
    series = open_series('traffic')
    parts = [series.part(name) for name in ('train', 'validation', 'test')]

    assert series.values.shape == (2 * 365 * 24, 3)
    assert np.isfinite(series.values).all() and 0.99 < series.observed.mean() < 1.0
    assert [row for part in parts for row in part] == list(range(len(series.values)))
    assert [round(len(part) / len(series.values), 2) for part in parts] == [0.70, 0.15, 0.15]


def test_tokens_hold_the_rows_of_one_variable_after_the_other():
    rows = np.arange(24.0).reshape(2, 6, 2)

    tokens = to_tokens(rows, 3)

    assert tokens.shape == (2, 2, 6)
    assert tokens[0, 0].tolist() == [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]
    assert np.array_equal(to_rows(tokens, 3), rows)


def test_levels_have_a_clean_past_where_it_is_known_and_no_clean_future():
    generator = torch.Generator().manual_seed(0)
    levels, carries_loss = KnownPast(past=5, known=0.6, shared=0.5)(4000, 8, 3, 100, generator)

    assert levels.shape == (4000, 8, 3) and bool(carries_loss.all())
    assert bool((levels == levels[..., :1]).all())
    levels = levels[..., 0]
    known = (levels[:, :5] == 0).all(1)
    assert float(known.float().mean()) == pytest.approx(0.6, abs=0.03)
    assert int(levels[~known].min()) > 0 and int(levels[:, 5:].min()) > 0
    shared = (levels[known, 5:] == levels[known, 5:6]).all(1)
    assert float(shared.float().mean()) == pytest.approx(0.5, abs=0.04)
