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

"""A log that fits in memory, for the tests."""

from df_planner.data.d4rl import dataset_writer
from df_planner.robots.signals import MAZE2D


def save_dataset(path, arrays, attributes=None, signals=MAZE2D):
    """Write arrays under D4RL's keys, all at once."""
    keys = tuple(arrays)
    with dataset_writer(path, len(arrays['observations']), keys, attributes, signals) as write:
        write(0, arrays)
