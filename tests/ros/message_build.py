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
Build message packages that have no wheel from their definitions, with ROS 2's own generators.

``interfaces/`` holds the parts of ``nav2_msgs`` (Jazzy), ``tf2_msgs`` and ``map_msgs`` that this
package uses.
Within ``installed()`` this process and those it starts find them, as they would under a ROS 2
installation. It takes a C++ compiler and about 10 seconds.
"""

from collections.abc import Iterator
from contextlib import contextmanager
import ctypes
import os
from pathlib import Path
import shutil
import subprocess
import sys
import sysconfig

import numpy as np

DEFINITIONS = Path(__file__).parent / 'interfaces'
PREFIX = Path(sys.prefix)
LIBRARIES = PREFIX / 'lib'
USED = ('action_msgs', 'builtin_interfaces', 'geometry_msgs', 'nav_msgs', 'service_msgs',
        'std_msgs', 'unique_identifier_msgs')
GENERATORS = ('rosidl_generator_c:GenerateC',
              'rosidl_typesupport_fastrtps_c:GenerateFastRTPSCTypesupport',
              'rosidl_typesupport_c:GenerateCTypesupport',
              'rosidl_generator_py:GeneratePython',
              'rosidl_typesupport_introspection_c:GenerateIntrospectionCTypesupport')
GENERATE = """
from importlib import import_module
from pathlib import Path
import sys
from rosidl_adapter.cli import TranslateActionToIDL, TranslateMsgToIDL
package, definitions, share, out, *generators = sys.argv[1:]
files = []
for kind, translate in (('msg', TranslateMsgToIDL), ('action', TranslateActionToIDL)):
    names = [f'{definitions}/{package}:{kind}/{path.name}'
             for path in Path(definitions, package, kind).glob('*')]
    files += translate(kind).translate(package, names, [share], Path(out, 'idl', package))
for generator in generators:
    module, name = generator.split(':')
    getattr(import_module(f'{module}.cli'), name)(name).generate(
        package, files, [share],
        Path(out, 'more' if 'ntrospection' in name else 'source', package))  # names clash
"""


def have_compiler() -> bool:
    """Tell whether messages can be built on this machine."""
    return all(map(shutil.which, ('gcc', 'g++')))


def build(package: str, folder: Path) -> None:
    """Build a package of ``interfaces/`` into a folder: ``python/`` and ``lib/``."""
    subprocess.run([sys.executable, '-c', GENERATE, package, str(DEFINITIONS),
                    str(PREFIX / 'share'), str(folder), *GENERATORS], check=True,
                   env=os.environ | {'AMENT_PREFIX_PATH': str(PREFIX)}, stdout=subprocess.DEVNULL)
    source, more, python = (folder / part / package for part in ('source', 'more', 'python'))
    (folder / 'lib').mkdir(exist_ok=True)
    for path in source.rglob('*.py'):
        (python / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, python / path.relative_to(source))
    (python / '__init__.py').touch()

    def library(name: str, pattern: str, links: tuple[str, ...], source: Path = source) -> str:
        _link(folder, source.glob(pattern), folder / f'lib/lib{package}__{name}.so',
              [*links, *(f'{used}__{name}' for used in USED)])
        return f'{package}__{name}'

    structs = library('rosidl_generator_c', '*/detail/*[a-z].c', ('rosidl_runtime_c', 'rcutils'))
    wire = library('rosidl_typesupport_fastrtps_c', '*/detail/*__type_support_c.cpp', (
        structs, 'rosidl_typesupport_fastrtps_c', 'rosidl_typesupport_fastrtps_cpp', 'fastcdr',
        'rmw'))
    library('rosidl_typesupport_introspection_c', '*/detail/*__type_support.c', (
        structs, 'rosidl_typesupport_introspection_c'), more)
    support = library('rosidl_typesupport_c', '*/*__type_support.cpp', (
        structs, wire, 'rosidl_typesupport_c'))
    bridge = library('rosidl_generator_py', '*/_*_s.c', (structs,))
    name = f'{package}_s__rosidl_typesupport_c'
    _link(folder, source.glob('_*_s.ep.rosidl_typesupport_c.c'), python / f'{name}.so',
          [bridge, support, structs])


@contextmanager
def installed(folder: Path) -> Iterator[None]:
    """Let this process, and those it starts meanwhile, find what was built into a folder."""
    before = {name: os.environ.get(name) for name in ('LD_LIBRARY_PATH', 'PYTHONPATH')}
    for name, path in zip(before, (folder / 'lib', folder / 'python')):
        os.environ[name] = os.pathsep.join([str(path), *filter(None, [before[name]])])
    sys.path.insert(0, str(folder / 'python'))
    for path in (folder / 'lib').glob('*'):  # for this process it is too late to look there
        ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)
    try:
        yield
    finally:
        sys.path.remove(str(folder / 'python'))
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _link(folder: Path, sources, target: Path, libraries: list[str]) -> None:
    """Compile C or C++ files into a shared library."""
    files = sorted(map(str, sources))
    is_cpp = files[0].endswith('.cpp')
    includes = [folder / 'source', folder / 'more', np.get_include(),
                sysconfig.get_paths()['include'], PREFIX / 'include',
                *(PREFIX / 'include').iterdir()]
    command = ['g++', '-std=c++17'] if is_cpp else ['gcc']
    command += ['-O0', '-fPIC', '-shared', '-w', *(f'-I{path}' for path in includes), *files,
                '-o', str(target), f'-L{LIBRARIES}', f'-L{folder / "lib"}',
                '-Wl,--allow-shlib-undefined', f'-Wl,-soname,{target.name}',
                f'-Wl,-rpath,{folder / "lib"}:{LIBRARIES}', *(f'-l{name}' for name in libraries)]
    subprocess.run(command, check=True)
