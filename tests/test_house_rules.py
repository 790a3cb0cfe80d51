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

"""Rules that keep the house easy to enter: small folders, no circles, no idle options."""

import ast
from collections import Counter
from collections import defaultdict
from functools import cache
from pathlib import Path
import re

from long_tests import LONG

from df_planner import errors

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'df_planner'
MOST_MODULES_IN_A_FOLDER = 16
MOST_LINES_IN_A_FILE = 350
LARGEST_SHARE_OF_A_ROOM = 0.15
SMALL_MODULE_LINES = 40

# Modules with one importer that stand elsewhere, and why.
APART = {
    # PyTorch's fast paths belong to the network; any other caller of a network may take one.
    'df_planner.diffusion.runtime.backends',
    # What the follower node does without ROS, so that it is tested without ROS.
    'df_planner.driving.following',
    # A command (cli/) and a measurement use these alike.
    'df_planner.evaluation.evaluate', 'df_planner.launching.runner',
    # A Gymnasium environment for users, which the bench times.
    'df_planner.sim.env',
}
# Modules below 40 lines, and why.
SMALL = {
    'df_planner.cli.__main__',  # python -m df_planner.cli
    'df_planner.diffusion.runtime.names',  # --help lists backends without loading torch
    'df_planner.driving.stamps',  # the follower's and the planner's notion of time
}
# Parameters that callers outside this repository pass: the public Python interface.
PUBLIC = {
    'df_planner.sim.env.Maze2DEnv(dense)', 'df_planner.sim.env.Maze2DEnv(multi_goal)',
    'df_planner.sim.env.Maze2DEnv(robot)',
}
# Classes that are called by the name of a field.
CALLED_AS = {'world': ('RobotWorld', 'World', 'BaseWorld')}  # of a simulated robot


def modules() -> dict[str, Path]:
    """Return the modules of the package by dotted name, packages left out."""
    return {'.'.join(path.relative_to(ROOT).with_suffix('').parts): path
            for path in sorted(PACKAGE.rglob('*.py')) if path.name != '__init__.py'}


@cache
def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_text(encoding='utf-8'))


def imported(path: Path, names: set[str]) -> set[str]:
    """Return the modules of the package that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f'{node.module}.{alias.name}' for alias in node.names)}
    return found & names


@cache
def graph() -> dict[str, set[str]]:
    """Return, by module, the modules that it imports."""
    named = modules()
    return {name: imported(path, set(named)) - {name} for name, path in named.items()}


def room(name: str) -> str:
    """Return the folder of a module, dotted."""
    return name.rpartition('.')[0]


def test_a_folder_holds_at_most_sixteen_modules():
    sizes = Counter(map(room, modules()))
    assert not {name: size for name, size in sizes.items() if size > MOST_MODULES_IN_A_FOLDER}


def test_a_file_fits_in_the_head():
    lengths = {name: len(path.read_text(encoding='utf-8').splitlines())
               for name, path in modules().items()}
    assert not {n: length for n, length in lengths.items() if length > MOST_LINES_IN_A_FILE}
    small = {name for name, length in lengths.items() if length < SMALL_MODULE_LINES}
    assert small == SMALL, 'a module this small needs a reason in SMALL'


def test_no_room_is_an_attic():
    lines = Counter()
    for name, path in modules().items():
        lines[room(name)] += len(path.read_text(encoding='utf-8').splitlines())
    largest, most = lines.most_common(1)[0]
    assert most <= LARGEST_SHARE_OF_A_ROOM * lines.total(), largest


def test_files_do_not_import_each_other_in_a_circle():
    left = {name: set(targets) for name, targets in graph().items()}
    while leaves := {name for name, targets in left.items() if not targets & set(left)}:
        left = {name: targets for name, targets in left.items() if name not in leaves}
    assert not sorted(left)


def test_a_module_stands_beside_its_only_user():
    users = defaultdict(set)
    for name, targets in graph().items():
        if room(name) != 'df_planner.cli':  # a command uses what stands in the room of its subject
            for target in targets:
                users[target].add(name)
    apart = {name for name, by in users.items()
             if len(by) == 1 and room(name) != room(*by) and not room(name).startswith(room(*by))}
    assert apart == APART, 'say in APART why it stands elsewhere, or move it'


def calls(paths: list[Path]) -> dict[str, list[ast.Call]]:
    """Return the calls in files by the last name of what is called, also through ``partial``."""
    found = defaultdict(list)
    for path in paths:
        aliases = {alias.asname: alias.name for node in ast.walk(tree(path))
                   if isinstance(node, ast.ImportFrom) for alias in node.names if alias.asname}
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.Call):
                continue
            called, arguments = node.func, node.args
            if getattr(called, 'id', getattr(called, 'attr', None)) == 'partial' and arguments:
                called, arguments = arguments[0], arguments[1:]
            name = getattr(called, 'id', getattr(called, 'attr', None))
            owners = class_names(path) if name == 'cls' else (
                CALLED_AS.get(name) or [aliases.get(name, name)])
            for owner in owners:
                found[owner].append(ast.Call(func=called, args=arguments, keywords=node.keywords))
    return found


def class_names(path: Path) -> list[str]:
    """Return the classes of a file, each of which ``cls`` may be."""
    return [node.name for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef)]


def passes(call: ast.Call, name: str, index: int | None) -> bool:
    """Tell whether a call passes the parameter of a name, or may pass it in bulk."""
    return (any(word.arg in (name, None) for word in call.keywords)
            or any(isinstance(value, ast.Starred) for value in call.args)
            or index is not None and len(call.args) > index)


def optional_parameters():
    """Yield (file, function, the name it is called by, parameter, index) of all defaults."""
    for module, path in modules().items():
        for parent in ast.walk(tree(path)):
            for node in ast.iter_child_nodes(parent):
                if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    continue
                method = isinstance(parent, ast.ClassDef) and not any(
                    getattr(d, 'id', None) == 'staticmethod' for d in node.decorator_list)
                if node.name in ('__call__', 'forward') or node.name == 'main':
                    continue  # called by an instance's name, or by a script
                called = parent.name if node.name == '__init__' else node.name
                places = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
                places = places[1:] if method else places
                for name in places[len(places) - len(node.args.defaults):]:
                    yield module, node, called, name, places.index(name)
                for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults):
                    if default is not None:
                        yield module, node, called, argument.arg, None


def test_every_optional_parameter_is_passed_by_somebody():
    """A parameter that nobody passes is a constant in disguise."""
    found = calls([*modules().values(), *(ROOT / 'tests').rglob('*.py'),
                   *(ROOT / 'launch').glob('*.py')])
    idle = {f'{module}.{called}({name})' for module, node, called, name, index
            in optional_parameters()
            if not any(passes(call, name, index) for call in found[called])
            and not any('command' in ast.unparse(d) for d in node.decorator_list)}
    assert idle == PUBLIC


def test_the_long_tests_are_files():
    """A file that was renamed must not slip back into ``make check``."""
    stems = {path.stem for path in (ROOT / 'tests').rglob('test_*.py')}
    assert LONG <= stems


def test_errors_tell_positions_by_their_own_type():
    """Numbers of an array in a message are in the axes of the data: users get those of the map."""
    names = {name for name, value in vars(errors).items()
             if isinstance(value, type) and issubclass(value, errors.DFPlannerError)}
    bad = []
    for module, path in modules().items():
        for told in ast.walk(tree(path)):
            if not (isinstance(told, ast.Raise) or isinstance(told, ast.Call)
                    and getattr(told.func, 'id', '') in names):
                continue
            for part in ast.walk(told):
                if isinstance(part, ast.FormattedValue) and (
                        re.search(r'\.round\(|:2\]|^(position|point|start)$',
                                  ast.unparse(part.value))):
                    bad.append(f'{module}:{part.lineno}: {ast.unparse(part.value)}; use At')
    assert bad == []
