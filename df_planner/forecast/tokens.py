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

"""Tokens of a series: some consecutive rows, each variable a part with its own noise level."""

import numpy as np


def to_tokens(rows: np.ndarray, rows_per_token: int) -> np.ndarray:
    """Return (..., T, C * R) of rows (..., T * R, C): one variable after the other."""
    *batch, count, variables = rows.shape
    stacked = rows.reshape(*batch, count // rows_per_token, rows_per_token, variables)
    return stacked.swapaxes(-1, -2).reshape(*stacked.shape[:-2], -1)


def to_rows(tokens: np.ndarray, rows_per_token: int) -> np.ndarray:
    """Return (..., T * R, C) of tokens (..., T, C * R)."""
    *batch, count, channels = tokens.shape
    stacked = tokens.reshape(*batch, count, channels // rows_per_token, rows_per_token)
    return stacked.swapaxes(-1, -2).reshape(*batch, count * rows_per_token, -1)
