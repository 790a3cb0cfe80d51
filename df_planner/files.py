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

Find the package's data files: the source tree, a colcon install or a pip install.

Files that are replaced as a whole: a kill or a power cut leaves the old or the new ones.
"""

from collections.abc import Callable
from collections.abc import Mapping
import os
from pathlib import Path
import sys
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


def replace_files(writers: Mapping[Path, Callable[[BinaryIO], object]]) -> None:
    """
    Write files of one folder that belong together, and have them take the place of older ones.

    All are on the disk before the first gets its name, and get their names in the given order.

    :param writers: what fills each file.
    """
    partial = {path: path.with_name(f'{path.name}.partial') for path in writers}
    try:
        for path, write in writers.items():
            with partial[path].open('wb') as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
        for path in writers:
            os.replace(partial[path], path)
    finally:
        for path in partial.values():
            path.unlink(missing_ok=True)
    for folder in {path.parent for path in writers}:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
