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

"""ROS 2's own linters over everything that is Python here."""

from pathlib import Path

from ament_flake8.main import main_with_errors
from ament_pep257.main import main as ament_pep257
import pytest

ROOT = Path(__file__).parents[1]
PATHS = [str(ROOT / name) for name in ('df_planner', 'launch', 'setup.py', 'tests')]


@pytest.mark.linter
def test_flake8():
    """PEP 8, quotes, import order, docstrings: ament_flake8 with this package's import group."""
    _, errors = main_with_errors(argv=['--config', str(ROOT / 'setup.cfg'), *PATHS])

    assert not errors, '\n'.join(errors)


@pytest.mark.linter
def test_pep257():
    """Docstring conventions as ROS 2 reads PEP 257."""
    assert ament_pep257(argv=PATHS) == 0
