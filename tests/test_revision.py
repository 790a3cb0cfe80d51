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

"""The code revision changes with every file that decides results, and with no other."""

import json
from pathlib import Path
import shutil
import subprocess
import sys

import pytest
from small_grid import CHEAP
from small_grid import fill_folder

from df_planner.grid.revision import checksum
from df_planner.grid.revision import code_revision
from df_planner.grid.revision import ENTRY
from df_planner.grid.revision import imported_by
from df_planner.grid.revision import PACKAGE
from df_planner.grid.revision import share_path
from df_planner.grid.revision import sources_revision

CODE = """
import json, sys
import numpy as np
from df_planner.evaluation.episodes import identity_of, run_episode, Specification
for fields in json.loads(sys.argv[1]):
    specification = Specification(**fields)
    run_episode(specification, identity_of(specification), 0,
                np.array([1.0, 1.0, 0.0, 0.0]), np.array([3.0, 1.0]))
print(*(m.__file__ for name, m in sys.modules.items() if name.split('.')[0] == 'df_planner'),
      sep='\\n')
"""


@pytest.fixture(scope='module')
def loaded(tmp_path_factory):
    """Return the files of the package that a process has loaded after an episode of each kind."""
    folder = fill_folder(tmp_path_factory.mktemp('episodes'))
    common = {'maze': str(folder / 'short.yaml'), 'checkpoint': str(folder / 'tiny')}
    kinds = [{**common, 'policy': 'controller'}, {**common, 'execution': 'raw', 'settings': CHEAP},
             {**common, 'execution': 'tracking', 'settings': {**CHEAP, 'guidance_scale': 1.0}},
             {**common, 'execution': 'time_optimal', 'settings': CHEAP}]
    done = subprocess.run([sys.executable, '-c', CODE, json.dumps(kinds)], check=True,
                          capture_output=True, text=True)
    files = {Path(line) for line in done.stdout.splitlines()}
    assert len(files) > 30 and PACKAGE / 'driving/tracking.py' in files
    return files


@pytest.fixture
def copy(tmp_path):
    """Return a copy of the package that a test may change."""
    return Path(shutil.copytree(PACKAGE, tmp_path / 'df_planner',
                                ignore=shutil.ignore_patterns('__pycache__')))


def test_every_module_that_an_episode_loads_counts(loaded, copy):
    files = imported_by(ENTRY, copy)
    before = checksum(files)
    for path in loaded:
        changed = copy / path.relative_to(PACKAGE)
        content = changed.read_bytes()
        changed.write_bytes(content + b'\n# another line\n')
        assert checksum(files) != before, path
        changed.write_bytes(content)
    assert checksum(files) == before


def test_no_other_file_counts(loaded, copy):
    before = checksum(imported_by(ENTRY, copy))
    for name in ('cli/main.py', 'grid/report.py', 'evaluation/report.py', 'nodes/planner/node.py',
                 'training/train.py', 'data/d4rl.py'):
        assert PACKAGE / name not in loaded
        (copy / name).write_bytes(b'# something else\n')
    assert checksum(imported_by(ENTRY, copy)) == before


def test_the_models_of_the_simulator_count(monkeypatch, tmp_path):
    before = code_revision()
    shutil.copytree(share_path('sim'), tmp_path / 'sim')
    (tmp_path / 'sim/point_mass.xml').write_text('<mujoco/>')
    monkeypatch.setattr('df_planner.grid.revision.share_path', lambda name: tmp_path / name)
    code_revision.cache_clear()
    assert code_revision() != before
    code_revision.cache_clear()
    assert sources_revision() != before
