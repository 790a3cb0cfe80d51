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
Files: the shipped ones, wherever the package is installed, and writing whole or not at all.

``replace_files`` and ``replacing`` write beside the file and rename at the end: a kill or a power
cut leaves the old content or the new, never a part of it.
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
import os
from pathlib import Path
import subprocess
import sys
import tempfile
from typing import BinaryIO


def share_path(relative: str) -> Path:
    """
    Return the path of a shipped file, for example ``sim/point_mass.xml``.

    Looked for in the source tree (``pip install -e``, ``colcon build --symlink-install``), then in
    ``share/df_planner`` of the prefix this module is installed under.

    :raises FileNotFoundError: naming every place that was looked at.
    """
    module = Path(__file__).resolve()
    roots = [module.parents[1]]
    roots += [parent / 'share' / 'df_planner' for parent in Path(__file__).absolute().parents]
    roots.append(Path(sys.prefix) / 'share' / 'df_planner')
    for root in roots:
        if (root / relative).exists():
            return root / relative
    raise FileNotFoundError(f'{relative} is not in any of ' + ', '.join(str(r) for r in roots))


def placeholder(path: Path) -> str | None:
    """Return what a file is that stands for data and how to get these; None if it holds them."""
    try:
        with path.open('rb') as file:
            start = file.read(64).lstrip().lower()
    except OSError:
        return None
    if start.startswith(b'version https://git-lfs'):
        return 'is a pointer of Git LFS, not the file itself; `git lfs pull` gets it'
    if start.startswith((b'<!doctype html', b'<html')):
        return 'is a web page, not data; download the file itself'
    return None


def git_revision() -> str:
    """Return the revision of the source tree, ``unknown`` outside a git checkout."""
    try:
        result = subprocess.run(['git', 'describe', '--always', '--dirty'], capture_output=True,
                                text=True, cwd=Path(__file__).parent, check=False)
    except OSError:
        return 'unknown'
    return result.stdout.strip() or 'unknown'


def replace_files(contents: Mapping[Path, str | Callable[[BinaryIO], object]]) -> None:
    """
    Write files that belong together, each whole or not at all.

    All are on the disk before the first gets its name, and they get their names in the given
    order. The folders must exist.

    :param contents: the text of each file, or a function that writes it.
    """
    partial = {path: path.with_name(f'{path.name}.partial') for path in contents}
    try:
        for path, content in contents.items():
            with partial[path].open('wb') as file:
                if callable(content):
                    content(file)
                else:
                    file.write(content.encode())
                file.flush()
                os.fsync(file.fileno())
        for path in contents:
            os.replace(partial[path], path)
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)
    for folder in {path.parent for path in contents}:
        _sync(folder)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """
    Give a hidden file beside ``path``, which takes its name if the block ends without an error.

    For what is written piece by piece. Several processes may replace the same file at once.
    """
    handle, name = tempfile.mkstemp(
        prefix=f'.{path.name.lstrip(".")}.', suffix='.part', dir=path.parent)
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        partial.chmod(0o644)
        _sync(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    _sync(path.parent)


def _sync(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
