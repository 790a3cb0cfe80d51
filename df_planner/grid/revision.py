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
The revision of the code, by which a report tells episodes of other sources from those of today.

What decides the result of an episode is ``evaluation/episodes.py`` and all that it imports, at its
top or when it runs, beside the MuJoCo models of ``sim/``.
"""

import ast
from collections.abc import Iterable
from collections.abc import Iterator
from functools import cache
import hashlib
from pathlib import Path

from df_planner.files import share_path

PACKAGE = Path(__file__).parents[1]
ENTRY = 'df_planner.evaluation.episodes'


@cache
def code_revision() -> str:
    """Return the checksum of all that results of episodes depend on."""
    return checksum([*imported_by(ENTRY), *share_path('sim').glob('*.xml')])


@cache
def sources_revision() -> str:
    """Return the checksum of the whole package."""
    return checksum(PACKAGE.rglob('*.py'))


def imported_by(module: str, package: Path = PACKAGE) -> set[Path]:
    """Return the files of the package that importing or using a module may load, its own too."""
    files: set[Path] = set()
    names = [module]
    while names:
        path = _file_of(names.pop(), package)
        if path is not None and path not in files:
            files.add(path)
            names += _names_in(path)
    return files


def checksum(files: Iterable[Path]) -> str:
    """Return twelve digits that change with the content of any of the files."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _names_in(path: Path) -> Iterator[str]:
    """Give the dotted names that a file imports anywhere, with those of their packages."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:  # the package has no relative ones
            names = [f'{node.module}.{alias.name}' for alias in node.names]
        for name in names:
            parts = name.split('.')
            yield from ('.'.join(parts[:count]) for count in range(1, len(parts) + 1))


def _file_of(name: str, package: Path) -> Path | None:
    """Return the file of a module or a package, None for anything else."""
    first, *rest = name.split('.')
    if first != package.name:
        return None
    path = package.joinpath(*rest)
    return next((file for file in (path / '__init__.py', path.with_suffix('.py'))
                 if rest or file.parent == path if file.is_file()), None)
