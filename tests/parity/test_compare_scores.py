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

"""The script that compares scores finds what differs."""

import json

from compare_scores import differences
import pytest

EPISODE = {'episode': 0, 'score': 100.0, 'reached': True, 'planning_times_s': [0.1]}


def results(folder, episodes):
    path = folder / 'point-umaze-raw' / 'results.json'
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({'episodes': episodes}))
    return folder


def test_latencies_may_differ(tmp_path):
    before = results(tmp_path / 'before', [EPISODE])
    after = results(tmp_path / 'after', [{**EPISODE, 'planning_times_s': [0.2]}])
    assert differences(before, after) == []


@pytest.mark.parametrize(('episodes', 'words'), [
    ([{**EPISODE, 'score': 100.00000000000001}], 'episode 0: score'),
    ([{**EPISODE, 'extra': 1}], 'episode 0: extra'),
    ([], '1 and 0 episodes')])
def test_anything_else_is_told(tmp_path, episodes, words):
    before = results(tmp_path / 'before', [EPISODE])
    [line] = differences(before, results(tmp_path / 'after', episodes))
    assert words in line


def test_a_missing_task_is_told(tmp_path):
    before = results(tmp_path / 'before', [EPISODE])
    [line] = differences(before, tmp_path / 'after')
    assert 'missing' in line
