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


@pytest.mark.parametrize(('text', 'message'), [
    ('', 'no rows'),
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
