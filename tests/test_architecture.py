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

"""The shape of the house: imports point one way, heavy libraries stay where they belong."""

import ast
from functools import cache
from pathlib import Path
import subprocess
import sys

import pytest

from df_planner.robots.kinds import ROBOTS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'df_planner'
HEADER = (ROOT / 'df_planner/__init__.py').read_text(encoding='utf-8').split('"""')[0]

# A folder may import its own level and the levels below it.
LEVELS = (
    {'diffusion', 'maps', 'robots'},
    {'data', 'model', 'training'},
    {'planning', 'sim'},
    {'drives', 'driving', 'evaluation'},
    {'experiments', 'forecast', 'grid', 'launching', 'ros'},
    {'nodes'},
    {'cli'},
)
LEAVES = {'configuration', 'console', 'errors', 'files', 'geometry'}
ROS_MODULES = {
    'action_msgs', 'ament_index_python', 'builtin_interfaces', 'diagnostic_msgs', 'geometry_msgs',
    'launch', 'launch_ros', 'lifecycle_msgs', 'map_msgs', 'nav2_msgs', 'nav_msgs',
    'rcl_interfaces', 'rclpy', 'rosgraph_msgs', 'sensor_msgs', 'std_msgs', 'std_srvs', 'tf2_msgs',
    'tf2_ros', 'trajectory_msgs', 'visualization_msgs',
}


@cache
def imports(path: Path) -> frozenset[str]:
    """Return the dotted names that a file imports anywhere, those inside functions included."""
    names: set[str] = set()
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = '.'.join(package[:len(package) - node.level + 1]) if node.level else ''
            module = '.'.join(part for part in (base, node.module) if part)
            names.update(f'{module}.{alias.name}' for alias in node.names)
    return frozenset(names)


def sources(folder: str = '') -> list[Path]:
    """Return the Python files of the package or of one of its folders."""
    return sorted((PACKAGE / folder).rglob('*.py'))


def relative(path: Path) -> str:
    """Return a file's name inside the package."""
    return path.relative_to(PACKAGE).as_posix()


def tops(path: Path) -> set[str]:
    """Return the top-level modules a file imports."""
    return {name.split('.')[0] for name in imports(path)}


def folders_imported(path: Path) -> set[str]:
    """Return the parts of this package (folders and top-level modules) a file imports."""
    return {name.split('.')[1] for name in imports(path)
            if name.startswith('df_planner.') and name != 'df_planner.__version__'}


def level(folder: str) -> int:
    """Return a folder's level, the lowest one being 0."""
    return next(i for i, folders in enumerate(LEVELS) if folder in folders)


def test_every_folder_has_a_level():
    """A new folder must say what it may import."""
    folders = {path.parent.name for path in PACKAGE.glob('*/__init__.py')}

    assert folders == set().union(*LEVELS)


@pytest.mark.parametrize('folder', sorted(set().union(*LEVELS)))
def test_imports_point_downwards(folder):
    """No file imports a folder of a higher level."""
    wrong = [
        f'{relative(path)} imports {target}'
        for path in sources(folder)
        for target in folders_imported(path) - LEAVES - {folder}
        if target not in set().union(*LEVELS) or level(target) > level(folder)
    ]

    assert not wrong


def test_folders_do_not_import_each_other_in_a_circle():
    """Folders of one level may use each other, but only in one direction."""
    edges = {
        (folder, target)
        for folder in set().union(*LEVELS)
        for path in sources(folder)
        for target in folders_imported(path) - LEAVES - {folder}
    }
    folders = set().union(*LEVELS)
    while leaves := {folder for folder in folders if all(a != folder for a, _ in edges)}:
        folders -= leaves
        edges = {(a, b) for a, b in edges if b not in leaves}

    assert not folders


def test_leaves_import_nothing_of_the_package():
    """What anyone may import must not drag in anything else."""
    for leaf in LEAVES:
        assert folders_imported(PACKAGE / f'{leaf}.py') <= LEAVES - {leaf}


def test_diffusion_knows_only_tensors():
    """The algorithm reads without robots, files or ROS: numpy, torch and a network compiler."""
    allowed = set(sys.stdlib_module_names) | {'df_planner', 'numpy', 'onnxruntime', 'torch'}
    for path in sources('diffusion'):
        assert tops(path) <= allowed, relative(path)
        assert folders_imported(path) <= {'diffusion'}, relative(path)


def test_only_nodes_and_ros_import_ros():
    """Planning, training and evaluation work on a machine without ROS."""
    allowed = (set(sources('nodes')) | set(sources('ros'))
               | {PACKAGE / 'launching/ros2_launch.py', PACKAGE / 'experiments/throughput.py'})
    wrong = {relative(path): tops(path) & ROS_MODULES for path in set(sources()) - allowed}

    assert not {name: modules for name, modules in wrong.items() if modules}


def test_only_sim_imports_mujoco():
    """A robot builder replaces sim/ and needs no simulator."""
    wrong = [relative(p) for p in set(sources()) - set(sources('sim')) if 'mujoco' in tops(p)]

    assert not wrong


@pytest.mark.parametrize('name', ['nodes/planner/node.py', 'nodes/follower/node.py'])
def test_robot_side_nodes_do_not_know_the_simulator(name):
    """What runs on the robot takes frames and maps from messages, parameters and the card."""
    assert 'sim' not in folders_imported(PACKAGE / name)


def test_facts_of_robots_need_no_library_of_what_uses_them():
    """Anyone may read the rows: plain data, checked by pydantic."""
    allowed = set(sys.stdlib_module_names) | {'df_planner', 'pydantic'}
    for path in sources('robots'):
        assert tops(path) <= allowed, relative(path)


def test_planning_knows_mazes_but_no_physics():
    """The planner core takes layouts of shipped mazes from sim/maze.py and nothing else."""
    names = {name for path in sources('planning') for name in imports(path)}
    from_sim = {name for name in names if name.startswith('df_planner.sim')}

    assert all(name.startswith('df_planner.sim.maze.') for name in from_sim)


@pytest.mark.parametrize('module, unwanted', [
    ('df_planner', {'torch', 'mujoco', 'rclpy', 'numpy'}),
    ('df_planner.nodes.follower.node', {'torch', 'mujoco', 'h5py', 'matplotlib'}),
    ('df_planner.nodes.maze_sim.node', {'torch', 'h5py'}),
    ('df_planner.nodes.planner.node', {'mujoco', 'h5py', 'matplotlib'}),
    ('df_planner.launching.graph', {'torch', 'mujoco', 'rclpy'}),
])
def test_process_does_not_load(module, unwanted):
    """A process loads only what it works with: seen in a fresh interpreter, not in the source."""
    code = f'import sys, {module}; print(*sys.modules)'
    loaded = subprocess.run(
        [sys.executable, '-c', code], check=True, capture_output=True, text=True, cwd=ROOT)

    assert not unwanted & set(loaded.stdout.split())


def test_package_files_hold_a_docstring_only():
    """Importing one module of a folder must not import its neighbours."""
    for path in PACKAGE.rglob('*/__init__.py'):
        body = ast.parse(path.read_text(encoding='utf-8')).body
        assert [type(node) for node in body] == [ast.Expr], relative(path)


def test_every_file_has_the_licence_header():
    """Apache-2.0, in every file of code."""
    files = [ROOT / 'setup.py', *sources()]
    files += [path for name in ('launch', 'tests') for path in (ROOT / name).rglob('*.py')]

    assert HEADER.startswith('# Copyright') and 'Apache License' in HEADER
    assert not [p for p in files if not p.read_text(encoding='utf-8').startswith(HEADER)]


def test_files_stay_small():
    """A file fits in the head; nodes only wire."""
    lengths = {relative(p): len(p.read_text(encoding='utf-8').splitlines()) for p in sources()}

    assert not {name: length for name, length in lengths.items() if length > 350}


def strings(node: ast.AST) -> set[str]:
    """Return the texts that stand in a piece of source."""
    return {part.value for part in ast.walk(node)
            if isinstance(part, ast.Constant) and isinstance(part.value, str)}


def branches_on_a_kind(tree: ast.AST) -> list[int]:
    """Return the lines that compare with names of kinds of robots, or list them as choices."""
    fewest = {ast.Compare: 1, ast.match_case: 1, ast.List: 2, ast.Tuple: 2, ast.Set: 2}
    return [getattr(node, 'lineno', 0) for node in ast.walk(tree) if type(node) in fewest
            and len(strings(node) & set(ROBOTS)) >= fewest[type(node)]]


def tables_by_kind(tree: ast.AST) -> list[int]:
    """Return the lines of dictionaries whose keys are names of kinds of robots."""
    return [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Dict)
            and any(strings(key) & set(ROBOTS) for key in node.keys if key is not None)]


@pytest.mark.parametrize('code, branches, tables', [
    ("robot == 'point'", 1, 0), ("robot in ('diff_drive', 'boat')", 1, 0),
    ("Choice(['point', 'diff_drive'])", 1, 0), ("laws = {'point': Law}", 0, 1),
    ("robot = 'point'", 0, 0), ("marks['point'] = {'x': 'point'}", 0, 0),
    ("match robot:\n    case 'point':\n        pass", 1, 0)])
def test_branches_on_the_kind_of_a_robot_are_seen(code, branches, tables):
    """The check below sees what it must, and no more."""
    tree = ast.parse(code)

    assert (len(branches_on_a_kind(tree)), len(tables_by_kind(tree))) == (branches, tables)


def test_kinds_of_robots_are_told_apart_in_one_place():
    """A new robot is a row of robots/kinds.py and an entry per registry; no branch elsewhere."""
    trees = {relative(path): ast.parse(path.read_text(encoding='utf-8')) for path in sources()}
    wrong = {name: lines for name, tree in trees.items() if (lines := branches_on_a_kind(tree))}
    tables = {name: len(lines) for name, tree in trees.items() if (lines := tables_by_kind(tree))}

    assert not wrong
    assert tables == dict.fromkeys(
        ('driving/tracking.py', 'ros/robots/kinds.py', 'sim/robots.py'), 1)
