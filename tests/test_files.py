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

"""Files are replaced as a whole: whatever ends the writer, the old content or the new is there."""

import ast
import json
from pathlib import Path
import signal
import subprocess
import sys

import pytest

from df_planner.files import git_revision
from df_planner.files import replace_files
from df_planner.files import replacing

PACKAGE = Path(__file__).parents[1] / 'df_planner'
WRITERS = {
    'replace_files': 'replace_files({other: "new", path: fill})',
    'replacing': 'with replacing(path) as partial, partial.open("wb") as file: fill(file)',
}
CODE = """
import os, sys
from pathlib import Path
from df_planner.files import replace_files, replacing
path, other = Path(sys.argv[1]), Path(sys.argv[2])
def fill(file):
    file.write(b'half of it')
    file.flush()
    {end}
{write}
"""


@pytest.mark.parametrize('write', WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize('end', ['os.kill(os.getpid(), 9)', 'os.kill(os.getpid(), 2)',
                                 'raise OSError("no space left on device")'])
def test_a_writer_that_ends_in_the_middle_leaves_the_old_files(tmp_path, write, end):
    paths = [tmp_path / 'model.bin', tmp_path / 'card.json']
    for path in paths:
        path.write_text('old')
    done = subprocess.run([sys.executable, '-c', CODE.format(write=write, end=end), *paths],
                          capture_output=True, check=False)
    assert done.returncode != 0
    assert [path.read_text() for path in paths] == ['old', 'old']
    if done.returncode != -signal.SIGKILL:  # nobody can tidy up after that
        assert sorted(tmp_path.iterdir()) == sorted(paths)


def test_new_files_take_the_place_of_the_old_ones(tmp_path):
    text, binary, stream = (tmp_path / name for name in ('ü.json', 'b', 'c'))
    text.write_text('an older and longer text')
    replace_files({text: json.dumps({'ü': 1}, ensure_ascii=False),
                   binary: lambda file: file.write(b'\x00')})
    with replacing(stream) as partial:
        partial.write_text('whole')
        assert not stream.exists()
    assert json.loads(text.read_text(encoding='utf-8')) == {'ü': 1}
    assert binary.read_bytes() == b'\x00' and stream.read_text() == 'whole'
    assert stream.stat().st_mode & 0o777 == 0o644
    assert sorted(tmp_path.iterdir()) == sorted([text, binary, stream])


def test_nobody_else_replaces_files():
    """``os.replace`` and what makes partial files have one place, which flushes to the disk."""
    wrong = [f'{path.relative_to(PACKAGE)}:{node.lineno}'
             for path in PACKAGE.rglob('*.py') if path.name != 'files.py'
             for node in ast.walk(ast.parse(path.read_text(encoding='utf-8')))
             if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
             and f'{node.value.id}.{node.attr}' in ('os.replace', 'os.rename', 'tempfile.mkstemp')]
    assert not wrong


def test_outside_a_checkout_the_revision_is_unknown(monkeypatch):
    assert git_revision() != ''
    monkeypatch.setenv('PATH', '')
    assert git_revision() == 'unknown'
