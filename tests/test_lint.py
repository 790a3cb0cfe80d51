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
ROS 2's own linters over everything that is Python here, and XML.

``ament_copyright`` and ``ament_xmllint`` are not on the Python package index: where a ROS 2
installation provides them they run too.
"""

import importlib
from pathlib import Path
from xml.etree import ElementTree

from ament_flake8.main import main_with_errors
from ament_pep257.main import main as ament_pep257
from mypy import api
import pytest

ROOT = Path(__file__).parents[1]
PATHS = [str(ROOT / name) for name in (
    'df_planner', 'docs/drive_around.py', 'launch', 'setup.py', 'tests')]


@pytest.mark.linter
def test_flake8():
    """PEP 8, quotes, import order, docstrings: ament_flake8 with this package's import group."""
    _, errors = main_with_errors(argv=['--config', str(ROOT / 'setup.cfg'), *PATHS])

    assert not errors, '\n'.join(errors)


@pytest.mark.linter
def test_pep257():
    """Docstring conventions as ROS 2 reads PEP 257."""
    assert ament_pep257(argv=PATHS) == 0


@pytest.mark.linter
def test_types():
    """No name, attribute or argument that does not exist; setup.cfg says what else mypy checks."""
    report, complaint, code = api.run(['--config-file', str(ROOT / 'setup.cfg')])

    assert code == 0, report + complaint


@pytest.mark.linter
@pytest.mark.parametrize('name, paths', [
    ('ament_copyright', PATHS), ('ament_xmllint', [str(ROOT / 'package.xml')])])
def test_linters_of_a_ros_2_installation(name, paths):
    """Licence headers, and package.xml against its schema."""
    pytest.importorskip(name, reason=f'{name} comes with a ROS 2 installation, not from PyPI')

    assert importlib.import_module(f'{name}.main').main(argv=paths) == 0


@pytest.mark.linter
def test_xml_is_well_formed():
    """package.xml, the models of the simulator, the policy."""
    paths = [ROOT / 'package.xml', *(path for name in ('config', 'sim')
                                     for path in (ROOT / name).rglob('*.xml'))]

    assert len(paths) >= 3
    for path in paths:
        ElementTree.parse(path)
