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

"""What ``--set NAME=VALUE`` means, for every command that has it."""

import yaml

from df_planner.errors import ConfigError


def assignments(texts: tuple[str, ...]) -> dict[str, object]:
    """Return ``NAME=VALUE`` texts as a dictionary; values are read as YAML."""
    values = {}
    for text in texts:
        name, equals, value = text.partition('=')
        if not equals or not name.isidentifier():
            raise ConfigError(f'--set must be NAME=VALUE, got {text!r}')
        try:
            values[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f'--set {name}: {error}') from error
    return values
