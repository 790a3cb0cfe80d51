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

"""The package installs in every way the README names: really built, in a temporary folder."""

import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
import sysconfig

from catkin_pkg.package import parse_package
import pytest

import df_planner

ROOT = Path(__file__).parents[1]
EXECUTABLES = {
    'df_planner', 'follower', 'maze_benchmark', 'maze_sim', 'planner', 'recorder'}
NOT_COPIED = {
    '.git', '.venv', '.pytest_cache', 'build', 'data', 'install', 'log', 'results', 'runs',
}
WHERE = """
from pathlib import Path
import df_planner
from df_planner.files import share_path
for name in ('package.xml', 'sim/mazes/medium.yaml', 'config/train/point.yaml'):
    print(share_path(name))
print(Path(df_planner.__file__).absolute())
"""


def copy_source(target: Path) -> Path:
    """Copy what a clone of the repository would hold, so that builds leave no trace in it."""
    def ignored(folder, names):
        top = NOT_COPIED if Path(folder) == ROOT else set()
        return {n for n in names if n in top or n == '__pycache__' or n.endswith('.egg-info')}

    shutil.copytree(ROOT, target, ignore=ignored)
    return target


def environment() -> dict[str, str]:
    """Return this process's environment without the caller's choices."""
    unwanted = ('PYTHONPATH', 'AMENT_PREFIX_PATH', 'COLCON_PREFIX_PATH', 'PYTEST_ADDOPTS')
    return {name: value for name, value in os.environ.items() if name not in unwanted}


def run(*command, cwd, **variables) -> str:
    """Run a command, fail with all it said if it fails, and return what it printed."""
    result = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment() | variables, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert result.returncode == 0, result.stdout
    return result.stdout


def share_files() -> set[str]:
    """Return the files that every installation must put under share/df_planner."""
    patterns = ('launch/*', 'config/**/*', 'sim/**/*', 'checkpoints/*')
    paths = [path for pattern in patterns for path in ROOT.glob(pattern)]
    names = {p.relative_to(ROOT).as_posix() for p in paths if p.is_file() and p.suffix != '.pyc'}
    return {'package.xml'} | names


class Workspace:
    """A colcon workspace with this package, built."""

    def __init__(self, folder: Path, *options: str):
        self.folder = folder
        self.source = copy_source(folder / 'src' / 'df_planner')
        self.options = options
        self.output = self.colcon('build', *options)
        self.prefix = folder / 'install' / 'df_planner'

    def colcon(self, verb: str, *arguments: str) -> str:
        """Run colcon in the workspace with this interpreter."""
        return run(sys.executable, '-m', 'colcon', verb, *arguments, cwd=self.folder)

    def shell(self, command: str) -> str:
        """Run a command in a shell that has sourced the workspace, outside of it."""
        setup = self.folder / 'install' / 'setup.bash'
        return run('bash', '-c', f'. {setup} && {command}', cwd=self.folder.parent)

    def python(self, code: str) -> list[str]:
        """Return the lines that a program prints in the sourced workspace."""
        return self.shell(f"{sys.executable} -c '{code}'").splitlines()


@pytest.fixture(scope='module', params=['copied', 'symlinked'])
def workspace(request, tmp_path_factory):
    """Build the package with colcon, once plainly and once with --symlink-install."""
    options = ['--symlink-install'] if request.param == 'symlinked' else []
    return Workspace(tmp_path_factory.mktemp(request.param), *options)


def test_colcon_puts_executables_where_ros2_run_looks(workspace):
    """Every node is a file that may be executed, in lib/df_planner, started by this Python."""
    folder = workspace.prefix / 'lib' / 'df_planner'

    assert {path.name for path in folder.iterdir()} == EXECUTABLES
    for path in folder.iterdir():
        assert os.access(path, os.X_OK)
        assert path.read_text(encoding='utf-8').startswith(f'#!{sys.executable}\n')


def test_colcon_installs_all_shared_files(workspace):
    """Launch files, configuration, mazes and checkpoints are in share/, launch files once."""
    share = workspace.prefix / 'share' / 'df_planner'
    installed = {p.relative_to(share).as_posix() for p in share.rglob('*') if p.is_file()}

    assert not share_files() - installed
    launch_files = [Path(name).name for name in installed if name.endswith('.launch.py')]
    assert len(launch_files) == len(set(launch_files))


def test_colcon_package_is_in_the_ament_index(workspace):
    """What ros2 and FindPackageShare ask finds the package after sourcing the workspace."""
    code = ('from ament_index_python.packages import get_package_share_directory as share; '
            'print(share("df_planner"))')

    assert workspace.python(code) == [str(workspace.prefix / 'share' / 'df_planner')]


def test_colcon_install_finds_its_files(workspace):
    """The sourced package is the workspace's own, and so are the files it reads."""
    *shared, module = workspace.python(WHERE.replace("'", '"'))

    for path in (*shared, module):
        assert Path(path).exists()
        assert Path(path).is_relative_to(workspace.folder)


def test_colcon_executable_starts(workspace):
    """The installed command runs in the sourced workspace, from another folder."""
    out = workspace.shell(f'{workspace.prefix}/lib/df_planner/df_planner --help')

    assert 'evaluate' in out and 'demo' in out


def test_colcon_test_runs_the_tests(workspace):
    """``colcon test`` really runs pytest on tests/, and reports what it ran."""
    workspace.colcon('test', '--pytest-args', 'tests/test_architecture.py', '-k', 'level')
    result = workspace.colcon('test-result', '--verbose')

    counted = re.search(r'Summary: (\d+) tests?, 0 errors, 0 failures, 0 skipped', result)
    assert counted and int(counted.group(1)) >= 1, result


def make_environment(folder: Path) -> Path:
    """Make a virtual environment that sees this one's packages and return its Python."""
    run(sys.executable, '-m', 'venv', '--without-pip', folder, cwd=folder.parent)
    python = folder / 'bin' / 'python'
    scheme = {'base': str(folder), 'platbase': str(folder)}
    packages = Path(sysconfig.get_path('purelib', 'venv', vars=scheme))
    (packages / 'outer.pth').write_text(sysconfig.get_path('purelib') + '\n', encoding='utf-8')
    return python


@pytest.fixture(scope='module', params=['editable', 'copied'])
def pip_installation(request, tmp_path_factory):
    """Install the package with pip into an environment of its own: (Python, source folder)."""
    folder = tmp_path_factory.mktemp(f'pip-{request.param}')
    python = make_environment(folder / 'venv')
    source = copy_source(folder / 'df_planner')
    editable = ['--editable'] if request.param == 'editable' else []
    run(sys.executable, '-m', 'pip', '--python', python, 'install', '--no-deps', '--no-index',
        '--no-build-isolation', '--ignore-installed', *editable, source, cwd=folder)
    return python, source


def test_pip_puts_executables_beside_python(pip_installation):
    """The command is on the path of the activated environment, lib/df_planner or not."""
    python, _ = pip_installation

    assert EXECUTABLES <= {path.name for path in python.parent.iterdir()}
    assert 'evaluate' in run(python.parent / 'df_planner', '--help', cwd=python.parent)


def test_pip_install_finds_its_files(pip_installation):
    """The installed package is the one just installed, and so are the files it reads."""
    python, source = pip_installation
    *shared, module = run(python, '-c', WHERE, cwd=python.parent).splitlines()

    for path in (*shared, module):
        assert Path(path).exists()
        assert Path(path).is_relative_to(source.parent)


def test_version_is_the_same_everywhere():
    """package.xml, setup.py and the module name one version; colcon and bloom read the first."""
    manifest = (ROOT / 'package.xml').read_text(encoding='utf-8')
    setup = (ROOT / 'setup.py').read_text(encoding='utf-8')

    assert f'<version>{df_planner.__version__}</version>' in manifest
    assert f"version='{df_planner.__version__}'" in setup


def test_manifest_is_valid_and_complete():
    """catkin_pkg parses package.xml without a warning; every ROS import is a dependency."""
    warnings = []
    package = parse_package(str(ROOT / 'package.xml'), warnings=warnings)
    declared = {dependency.name for dependency in package.exec_depends}
    sources = [p.read_text(encoding='utf-8') for p in (ROOT / 'df_planner').rglob('*.py')]
    imported = set(re.findall(r'^\s*from (rclpy|\w+_(?:msgs|interfaces|srvs))\b',
                              '\n'.join(sources), flags=re.MULTILINE))

    assert not warnings
    assert package.get_build_type() == 'ament_python'
    assert imported and imported <= declared | {'nav2_msgs'}


def test_requirements_are_pinned_and_justified():
    """Every dependency has an exact version and a reason; flake8's plug-ins share one."""
    for path in ROOT.glob('requirements*.txt'):
        for line in path.read_text(encoding='utf-8').splitlines():
            assert re.match(r'#|[\w-]+==[\w.]+\s+# \w|flake8-[\w-]+==[\w.]+$', line), line
