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

"""What commands have in common: the end of a help text, and facts printed by name."""

import click


def examples(*commands: str) -> str:
    """Return the end of a help text: commands to try, each on a line of its own."""
    return '\b\nExamples:\n' + '\n'.join(f'  {command}' for command in commands)


def echo_facts(facts: dict) -> None:
    """Print names and values, long ones wrapped by nothing but the terminal."""
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        first, *rest = str(value).splitlines() or ['']
        click.echo(f'{name:{width}}  {first}')
        for line in rest:
            click.echo(f'{"":{width}}  {line}')
