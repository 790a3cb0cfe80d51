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
Configuration from outside: YAML files and ``NAME=VALUE`` texts, checked against pydantic models.

Whatever does not fit is a ConfigError of one line that names the file, the field, the value and
what is allowed.
"""

from collections.abc import Callable
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel
from pydantic import ValidationError
import yaml

from df_planner.errors import brief
from df_planner.errors import ConfigError
from df_planner.errors import MOST_NAMES
from df_planner.files import share_path

Model = TypeVar('Model', bound=BaseModel)


class _Loader(yaml.SafeLoader):
    """YAML in which no key of a mapping may come twice: the first one would have no effect."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key, _ in node.value:
            if key.value in seen and isinstance(key.value, str):
                raise yaml.YAMLError(f'{key.value}: is given twice, the second time in line '
                                     f'{key.start_mark.line + 1}')
            if isinstance(key.value, str):
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def shipped_path(folder: str, name_or_path: str | Path, what: str) -> Path:
    """
    Return the YAML file of this path, or the shipped one of this name.

    :param folder: of the shipped ones, for example ``config/train``.
    :param what: the file holds, for the error.
    :raises ConfigError: if it is neither, naming the shipped ones.
    """
    if Path(name_or_path).is_file():
        return Path(name_or_path)
    try:
        return share_path(f'{folder}/{name_or_path}.yaml')
    except FileNotFoundError as error:
        shipped = sorted(path.stem for path in share_path(folder).glob('*.yaml'))
        raise ConfigError(f'no {what} {str(name_or_path)!r}: neither a file nor one of '
                          + ', '.join(shipped)) from error


def read_yaml(path: Path) -> dict[str, object]:
    """Return the content of a YAML file; ConfigError if it is not a mapping with words as keys."""
    try:
        values = yaml.load(path.read_text(encoding='utf-8'), _Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f'{path}: cannot be read: {" ".join(str(error).split())}') from error
    if not isinstance(values, dict):
        raise ConfigError(f'{path}: must be a mapping of field names to values')
    for key in values:
        if not isinstance(key, str):
            raise ConfigError(f'{path}: field names must be words, got {key!r}')
    return values


def checked(model: Callable[..., Model], values: dict[str, object], source: str,
            place: Callable[[tuple], str] | None = None) -> Model:
    """
    Return a model made of values by field name.

    :param source: of the values, for the error.
    :param place: returns the words for the location of a fault.
    :raises ConfigError: if a value does not fit.
    """
    try:
        return model(**values)
    except ValidationError as error:
        names = getattr(model, 'model_fields', ())
        raise ConfigError(f'{source}: {faults(error, names, place)}') from error


def faults(error: ValidationError, names: Iterable[str] = (),
           place: Callable[[tuple], str] | None = None) -> str:
    """
    Return what a pydantic model complains of, in one line: the first complaints, if many.

    :param names: of the model's fields, to suggest one for a misspelt name.
    :param place: returns the words for the location of a fault, by default ``tasks.medium.maze``.
    """
    place = place or (lambda location: '.'.join(map(str, location)))
    found = [': '.join(filter(None, (place(fault['loc']), _complaint(fault, names))))
             for fault in error.errors()]
    more = len(found) - MOST_NAMES
    return '; '.join(found[:MOST_NAMES] + [f'{more} more faults'] * (more > 0))


def _complaint(fault: dict, names: Iterable[str]) -> str:
    message, value = fault['msg'].removeprefix('Value error, '), brief(fault['input'])
    if fault['type'] == 'missing':
        return 'is missing'
    if fault['type'] == 'extra_forbidden':
        near = get_close_matches(str(fault['loc'][-1]), names, 1) if len(fault['loc']) == 1 else ()
        return 'no such field' + ''.join(f'; did you mean {name}?' for name in near)
    if isinstance(fault['input'], dict | list) and fault['type'] == 'value_error':
        return message  # of a whole section: it names the fields itself
    return f'{message.replace("Input should", "must")}, got {value}'


def assignments(texts: tuple[str, ...]) -> dict[str, object]:
    """Return ``NAME=VALUE`` texts of ``--set`` as a dictionary; values are read as YAML."""
    values = {}
    for text in texts:
        name, equals, value = text.partition('=')
        if not equals or not name.isidentifier():
            raise ConfigError(f'--set must be NAME=VALUE, got {text!r}')
        if name in values:
            raise ConfigError(f'--set {name}: is given twice')
        try:
            values[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f'--set {name}: not a YAML value: '
                              f'{" ".join(str(error).split())}') from error
    return values
