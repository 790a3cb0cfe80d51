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

"""A configuration that does not fit is told in one line: file, field, value, what is allowed."""

import ast
from pathlib import Path

from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import Field
from pydantic import model_validator
import pytest

from df_planner.configuration import assignments
from df_planner.configuration import checked
from df_planner.configuration import read_yaml
from df_planner.configuration import shipped_path
from df_planner.errors import ConfigError

PACKAGE = Path(__file__).parents[1] / 'df_planner'
FOLDERS = {'train': 'point', 'import': 'maze2d', 'benchmark': 'smoke'}


class Part(BaseModel):
    model_config = ConfigDict(extra='forbid')

    width: int = Field(1, ge=1)


class Whole(BaseModel):
    model_config = ConfigDict(extra='forbid')

    name: str
    steps: int = Field(10, ge=1)
    parts: dict[str, Part] = {}

    @model_validator(mode='after')
    def _check(self):
        if self.name == str(self.steps):
            raise ValueError('name must differ from steps')
        return self


@pytest.mark.parametrize(('values', 'message'), [
    ({'name': 'a', 'steps': 0}, 'x.yaml: steps: must be greater than or equal to 1, got 0'),
    ({'name': 'a', 'step': 3}, 'x.yaml: step: no such field; did you mean steps?'),
    ({'name': 'a', 'moon': 3}, 'x.yaml: moon: no such field'),
    ({}, 'x.yaml: name: is missing'),
    ({'name': '3', 'steps': 3}, 'x.yaml: name must differ from steps'),
    ({'name': 'a', 'parts': {'left': {'width': 0}}},
     'x.yaml: parts.left.width: must be greater than or equal to 1, got 0'),
    ({'name': 1, 'steps': 'many'},
     'x.yaml: name: must be a valid string, got 1; steps: must be a valid integer, unable to '
     "parse string as an integer, got 'many'"),
])
def test_every_fault_is_named_with_its_value(values, message):
    with pytest.raises(ConfigError) as error:
        checked(Whole, values, 'x.yaml')
    assert str(error.value) == message


@pytest.mark.parametrize(('content', 'message'), [
    (b'a: [1\n', 'cannot be read'), (b'\xff\xfe\x00', 'cannot be read'),
    (b'- 1\n', 'must be a mapping'), (b'', 'must be a mapping'),
    (b'1: 2\n', 'field names must be words, got 1'),
    (b'a: 1\nb: {c: 1, c: 2}\n', 'cannot be read: c: is given twice, the second time in line 2'),
    (b'a: 1\na: 2\n', 'cannot be read: a: is given twice'), (None, 'cannot be read'),
])
def test_a_file_that_is_no_mapping_is_one_line(tmp_path, content, message):
    path = tmp_path / 'x.yaml'
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=f'^{path}: {message}') as error:
        read_yaml(path)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('folder', FOLDERS)
def test_a_name_is_a_path_or_shipped(tmp_path, folder):
    own = tmp_path / 'own.yaml'
    own.write_text('')
    assert shipped_path(f'config/{folder}', own, 'thing') == own
    shipped = shipped_path(f'config/{folder}', FOLDERS[folder], 'thing')
    assert shipped.name == f'{FOLDERS[folder]}.yaml'
    with pytest.raises(ConfigError, match=f"no thing 'moon': .*{FOLDERS[folder]}"):
        shipped_path(f'config/{folder}', 'moon', 'thing')


def test_assignments():
    assert assignments(('a=1', 'b=[1, 2]', 'c=x=y')) == {'a': 1, 'b': [1, 2], 'c': 'x=y'}
    for text, message in [('a', 'NAME=VALUE'), ('1a=2', 'NAME=VALUE'), ('a=[', '--set a: ')]:
        with pytest.raises(ConfigError, match=message) as error:
            assignments((text,))
        assert '\n' not in str(error.value)


def test_nobody_else_words_the_faults_of_a_model():
    """``ValidationError.errors()`` becomes a line in one place, so that all lines are alike."""
    wrong = [f'{path.relative_to(PACKAGE)}:{node.lineno}'
             for path in PACKAGE.rglob('*.py') if path.name != 'configuration.py'
             for node in ast.walk(ast.parse(path.read_text(encoding='utf-8')))
             if isinstance(node, ast.Attribute) and node.attr == 'errors'
             and isinstance(node.value, ast.Name) and node.value.id == 'error']
    assert not wrong
