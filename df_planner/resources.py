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

"""Find the package's data files: the source tree, a colcon install or a pip install."""

from pathlib import Path
import sys


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
