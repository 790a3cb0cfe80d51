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
Which tests ``make check`` leaves out: those over DDS, and those that train, drive or build.

They are marked by file (``long_tests.py``). A single test of another file marks itself:
``@pytest.mark.long``.
``make test`` runs all, in two processes: one has the tests over DDS, one after the other.
"""

from pathlib import Path

from long_tests import LONG
import pytest

TESTS = Path(__file__).parent
OVER_DDS = ('ros', 'soak')


@pytest.hookimpl(tryfirst=True)  # before xdist looks for groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by where they stand."""
    for item in items:
        parts = item.path.relative_to(TESTS).parts
        if parts[0] in OVER_DDS:
            item.add_marker(pytest.mark.dds)
            item.add_marker(pytest.mark.xdist_group('dds'))  # one after the other: they mind time
        elif item.path.stem in LONG:
            item.add_marker(pytest.mark.long)
