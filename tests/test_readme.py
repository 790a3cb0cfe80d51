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
The documents tell what the code does: commands, options, settings, topics, parameters, files.

Run as a program, this file writes the generated tables of ``docs/interface.md``.
"""

import ast
import importlib
from pathlib import Path
import re
import shlex

from click import Group
import pytest

from df_planner.cli.main import main
from df_planner.forecast.forecaster import ForecastConfig
from df_planner.launching.graph import ARGUMENTS
from df_planner.planning.settings import PlannerSettings
from df_planner.ros import topics
from df_planner.ros.parameters import markdown_table
from df_planner.training.config import config_path
from df_planner.training.config import load_stages

ROOT = Path(__file__).parents[1]
README = ROOT / 'README.md'
INTERFACE = ROOT / 'docs/interface.md'
DOCUMENTS = [ROOT / name for name in (
    'README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'QUALITY_DECLARATION.md')]
DOCUMENTS += sorted((ROOT / 'docs').glob('*.md'))
MOST_LINES_OF_README = 200
TABLE = re.compile(r'(<!-- (topics|parameters: (\S+)) -->\n).*?(<!-- end -->)', flags=re.DOTALL)
BLOCK = re.compile(r'^```(\w*)\n(.*?)^```', flags=re.DOTALL | re.MULTILINE)
FOLDERS = 'config|df_planner|docs|launch|sim|tests'
FILE = re.compile(rf'(?<![\w/.$-])(?:{FOLDERS})/[\w./*-]*')
ENVIRONMENT = re.compile(r'df_planner/\w+-\w+-v\d$')  # a name of Gymnasium, not a file
EV = 'df_planner evaluate --checkpoint point --episodes 5'  # as docs/abilities.md says


def text_of(path: Path) -> str:
    """Return the text of a document."""
    return path.read_text(encoding='utf-8')


def with_tables(text: str) -> str:
    """Return a document with its generated tables as the code has them."""
    def table(match: re.Match) -> str:
        if match[2] == 'topics':
            rows = topics.markdown_table()
        else:
            module, _, name = match[3].rpartition('.')
            rows = markdown_table(getattr(importlib.import_module(module), name))
        return f'{match[1]}\n{rows}\n{match[4]}'

    return TABLE.sub(table, text)


def blocks(text: str, language: str) -> list[str]:
    """Return the code blocks of a language."""
    return [code for found, code in BLOCK.findall(text) if found == language]


def code_lines(text: str) -> list[str]:
    """Return the lines of shell blocks and what stands between ticks, a command on one line."""
    lines = [line.split(' #')[0] for block in (*blocks(text, 'bash'), *blocks(text, 'sh'))
             for line in block.replace('\\\n', ' ').splitlines()]
    spans = re.findall(r'`([^`]+)`', BLOCK.sub('', text))
    return [line.strip() for line in (*lines, *(' '.join(span.split()) for span in spans))]


def commands(program: str, path: Path) -> list[list[str]]:
    """Return the words after the program of every command line of a document."""
    lines = [re.sub(r'^(\.venv/bin/|python -m |torchrun .* -m )df_planner(\.cli)? ',
                    'df_planner ', re.sub(r'^EV ', f'{EV} ', line))
             for line in code_lines(text_of(path))]
    lines = [line for line in lines if re.match(rf'{program} [a-z]', line)]
    return [shlex.split(line)[len(program.split()):] for line in lines
            if 'needs Python' not in line]


def all_commands(program: str) -> list[list[str]]:
    """Return the words after the program of every command line of all documents."""
    return [words for path in DOCUMENTS for words in commands(program, path)]


def values(words: list[str], option: str) -> list[str]:
    """Return what a command line gives to an option."""
    return [value for word, value in zip(words, words[1:]) if word == option]


def slug(heading: str) -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    return re.sub(r'[^\w\- ]', '', heading.strip().lower()).replace(' ', '-')


def anchors(path: Path) -> set[str]:
    """Return the anchors of a document."""
    return {slug(heading) for heading in re.findall(
        r'^#+ (.*)$', BLOCK.sub('', text_of(path)), flags=re.MULTILINE)}


def interface_rows(text: str) -> set[tuple[str, str, str]]:
    """Return the (direction, name, type) of the tables of topics, services and actions."""
    rows = re.findall(r'\| (sub|pub|srv|act|client) \| (.*?) \| (.*?) \|', text)
    found = set()
    for direction, names, types in rows:
        names, types = re.findall('`(.*?)`', names), types.split(', ')
        found |= {(direction, name, kind)
                  for name, kind in zip(names, types if len(types) > 1 else types * len(names))}
    return found


def test_readme_is_short():
    """It welcomes; everything else is in docs/."""
    assert len(text_of(README).splitlines()) <= MOST_LINES_OF_README


def test_readme_leads_to_every_document():
    """A page that nothing leads to is not found."""
    linked = set(re.findall(r'\]\((docs/[\w.]+\.md)', text_of(README)))

    assert linked == {f'docs/{path.name}' for path in (ROOT / 'docs').glob('*.md')}


def test_generated_tables_are_current():
    """Run this file as a program after changing a topic or a parameter."""
    assert len(TABLE.findall(text_of(INTERFACE))) == 5
    assert text_of(INTERFACE) == with_tables(text_of(INTERFACE))


def test_readme_shows_rows_of_the_interface():
    """The README's table of the planner is a part of docs/interface.md."""
    rows = interface_rows(text_of(README))

    assert len(rows) >= 12
    assert not rows - interface_rows(text_of(INTERFACE))


def test_make_targets_exist():
    """Every ``make`` command of the documents is a target that ``make help`` lists."""
    makefile = (ROOT / 'Makefile').read_text(encoding='utf-8')
    named = {words[0] for words in all_commands('make')}

    assert {'demo', 'test'} <= named
    assert not {name for name in named if not re.search(rf'^{name}:.*##', makefile, re.MULTILINE)}


def test_df_planner_commands_exist():
    """Every ``df_planner`` command of the documents has a command with such options."""
    found = all_commands('df_planner')

    assert len(found) >= 90
    for words in found:
        command, rest = main, list(words)
        while isinstance(command, Group) and rest and not rest[0].startswith('-'):
            command = command.get_command(None, rest.pop(0))
        assert command is not None, words
        options = {option for parameter in command.params for option in (
            *parameter.opts, *parameter.secondary_opts)} | {'--help', '--ros-args'}
        if not command.context_settings.get('ignore_unknown_options'):  # handed on as they are
            assert {word for word in words if word.startswith('--')} <= options, words


def test_configurations_models_and_settings_of_commands_exist():
    """``--config``, ``--checkpoint`` and every ``--set`` of the documents are accepted."""
    shipped = {path.stem for path in (ROOT / 'checkpoints').glob('*.json')}
    for path in DOCUMENTS:
        for words in commands('df_planner', path):
            chosen = dict(pair.split('=', 1) for pair in values(words, '--set'))
            for checkpoint in values(words, '--checkpoint'):
                assert '/' in checkpoint or checkpoint in shipped, words
            if words[0] == 'train':
                for config in values(words, '--config'):
                    if f'cat > {config}' not in text_of(path):
                        stages = load_stages(config_path(config), chosen)
                        assert set(values(words, '--stage')) <= set(stages), words
            elif words[0] == 'forecast':
                assert set(chosen) <= set(ForecastConfig.model_fields), words
            else:
                PlannerSettings(**chosen)


def test_launch_files_arguments_and_nodes_exist():
    """What ``ros2 launch`` and ``ros2 run`` are given in the documents."""
    arguments = {argument.name for argument in ARGUMENTS} | {'use_respawn'}
    launched, run = all_commands('ros2 launch'), all_commands('ros2 run')

    assert launched and run
    for package, file, *words in launched:
        assert package == 'df_planner' and (ROOT / 'launch' / file).is_file(), file
        assert {word.split(':=')[0] for word in words if ':=' in word} <= arguments, words
    for package, node, *_ in run:
        assert (ROOT / 'df_planner/nodes' / node / 'node.py').is_file(), node


@pytest.mark.parametrize('path', DOCUMENTS, ids=lambda path: path.name)
def test_python_blocks_import_what_exists(path):
    """A name that moved is found here, before a user finds it."""
    for block in blocks(text_of(path), 'python'):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module)
                assert not [name.name for name in node.names if not hasattr(module, name.name)]


def test_the_python_of_the_readme_runs():
    """As a user pastes it."""
    block, = blocks(text_of(README), 'python')
    names: dict = {}
    exec(block, names)

    assert names['plan'].valid and names['action'].shape == (2,)


@pytest.mark.parametrize('path', DOCUMENTS, ids=lambda path: path.name)
def test_files_named_exist(path):
    """Paths of this repository between ticks, in commands and in links; anchors too."""
    text = text_of(path)
    named = {file for line in code_lines(text) for file in FILE.findall(line)
             if not ENVIRONMENT.match(file) and f'--out {file}' not in text}

    assert not {file for file in named if not list(ROOT.glob(file))}
    for target, anchor in re.findall(r'\]\((?!https?:)([^)#]*)#?([^)]*)\)', text):
        file = path.parent / target if target else path
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), f'{target}#{anchor}'


def test_every_picture_is_shown():
    """A picture that no document shows can go."""
    shown = {name for path in DOCUMENTS for name in re.findall(r'images/([\w.]+)', text_of(path))}

    assert shown == {path.name for path in (ROOT / 'docs/images').iterdir()}


if __name__ == '__main__':
    INTERFACE.write_text(with_tables(text_of(INTERFACE)), encoding='utf-8')
