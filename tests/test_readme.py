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
The README tells what the code does: parameters, topics, commands and files.

Run as a program, this file writes the parameter tables into the README.
"""

import ast
import importlib
from pathlib import Path
import re
import shlex

from click import Group
import pytest

from df_planner.cli.main import main
from df_planner.ros.parameters import markdown_table

ROOT = Path(__file__).parents[1]
README = ROOT / 'README.md'
TABLE = re.compile(r'(<!-- parameters: (\S+) -->\n).*?(<!-- end -->)', flags=re.DOTALL)


def with_tables(text: str) -> str:
    """Return the README with its parameter tables as the code has them."""
    def table(match: re.Match) -> str:
        module, _, name = match[2].rpartition('.')
        rows = markdown_table(getattr(importlib.import_module(module), name))
        return f'{match[1]}\n{rows}\n{match[3]}'

    return TABLE.sub(table, text)


def readme() -> str:
    """Return the text of the README."""
    return README.read_text(encoding='utf-8')


def documents() -> list[Path]:
    """Return the README and what it leads to."""
    return [README, ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').glob('*.md'))]


def commands(program: str) -> list[list[str]]:
    """Return the words of every command line of a program, in code blocks and between ticks."""
    lines = []
    for path in documents():
        text = path.read_text(encoding='utf-8')
        blocks = re.findall(r'```bash\n(.*?)```', text, flags=re.DOTALL)
        lines += [line.split('#')[0] for block in blocks
                  for line in block.replace('\\\n', ' ').splitlines()]
        lines += re.findall(r'`([^`\n]+)`', re.sub(r'```.*?```', '', text, flags=re.DOTALL))
    lines = [line for line in lines if re.match(rf'{program} [a-z]', line.strip())]
    return [shlex.split(line)[1:] for line in lines if 'needs Python' not in line]


def interface_names(path: Path) -> set[str]:
    """Return the topics and services that a node's file names: the strings passed to rclpy."""
    names = set()
    for call in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            if re.match(r'create_.*(publisher|subscription|service)$|_listen$', call.func.attr):
                names.update(arg.value for arg in call.args
                             if isinstance(arg, ast.Constant) and isinstance(arg.value, str))
    return names


def test_parameter_tables_are_current():
    """The tables are generated: run this file as a program after changing a parameter."""
    assert len(TABLE.findall(readme())) == 4
    assert readme() == with_tables(readme())


@pytest.mark.parametrize('path', ['nodes/planner/node.py', 'nodes/planner/output.py',
                                  'nodes/follower/node.py', 'nodes/maze_sim/node.py'])
def test_interface_table_names_every_topic_and_service(path):
    """What a node opens is in the README."""
    names = interface_names(ROOT / 'df_planner' / path)

    assert names
    assert not {name for name in names if f'`{name}`' not in readme()}


def test_make_targets_exist():
    """Every ``make`` command of the documents is a target that ``make help`` lists."""
    makefile = (ROOT / 'Makefile').read_text(encoding='utf-8')
    named = {word for words in commands('make') for word in words if '=' not in word}

    assert {'demo', 'test'} <= named
    assert not {name for name in named if not re.search(rf'^{name}:.*##', makefile, re.MULTILINE)}


def test_df_planner_commands_exist():
    """Every ``df_planner`` command of the documents has a command with such options."""
    found = commands('df_planner')

    assert len(found) >= 40
    for words in found:
        command, rest = main, list(words)
        while isinstance(command, Group) and rest:
            command = command.get_command(None, rest.pop(0))
        assert command is not None, words
        options = {option for parameter in command.params for option in (
            *parameter.opts, *parameter.secondary_opts)} | {'--help'}
        assert {word for word in words if word.startswith('--')} <= options, words


def test_links_lead_somewhere():
    """Files that the documents name are there."""
    for path in documents():
        text = path.read_text(encoding='utf-8')
        targets = re.findall(r'\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)', text)
        assert not [target for target in targets if not (path.parent / target).exists()]


if __name__ == '__main__':
    README.write_text(with_tables(readme()), encoding='utf-8')
