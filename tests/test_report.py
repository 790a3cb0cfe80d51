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

"""The files of a report, read back, and the picture."""

import csv
import json
import re

from matplotlib.image import imread
import numpy as np
import pytest

from df_planner.evaluation.metrics import episode_record
from df_planner.evaluation.metrics import summarize
from df_planner.evaluation.picture import DRIVEN_COLOR
from df_planner.evaluation.picture import GOAL_COLOR
from df_planner.evaluation.picture import MAX_PANELS
from df_planner.evaluation.picture import PLAN_COLORS
from df_planner.evaluation.picture import sketch
from df_planner.evaluation.picture import WALL_COLOR
from df_planner.evaluation.report import progress_line
from df_planner.evaluation.report import text_table
from df_planner.evaluation.report import write_results
from df_planner.planning.plan import Plan
from df_planner.sim.maze import load_maze

MAZE = load_maze('umaze')
META = {'maze': 'umaze', 'checkpoint': 'models/own.safetensors', 'execution': 'raw', 'seed': 7}


def _episode(index=0, arrival=60, planned=True):
    """Return record and sketch of a drive along the top corridor, with one plan half-way off."""
    columns = np.linspace(3.0, 1.0, 101)[np.minimum(np.arange(121) * 60 // arrival, 100)]
    states = np.zeros((121, 4))
    states[:, 0], states[:, 1] = 0.8, columns
    plan = Plan(actions=np.zeros((121, 2)), states=states + [0.2, 0, 0, 0], dt_s=0.01,
                goal=np.array([1.0, 1.0]))
    plans = [(0, plan), (30, None)] if planned else []
    record = episode_record(MAZE, index, states[0], [1.0, 1.0], states, np.zeros((120, 2)), plans,
                            [0.02, 0.04] if planned else [])
    return record, sketch(states, plans)


def test_the_files_of_a_report(tmp_path):
    episodes = [_episode(0), _episode(1, arrival=200)]
    records = [record for record, _ in episodes]
    baseline = {'name': 'other policy', 'episodes': [_episode(0, planned=False)[0]]}
    returned = write_results(tmp_path / 'new', MAZE, records, META,
                             [paths for _, paths in episodes], baseline)
    folder = tmp_path / 'new'
    assert {path.name for path in folder.iterdir()} == {
        'results.json', 'results.csv', 'report.md', 'paths.png'}
    results = json.loads((folder / 'results.json').read_text())
    assert results == returned
    assert results['format_version'] == 1
    assert results['episodes'] == records
    assert results['summary'] == summarize(records)
    assert results['summary']['reached'] == 1
    assert results['baseline']['summary']['episodes'] == 1
    assert results['meta'] == META


def test_csv_has_one_row_per_episode_and_one_column_per_axis(tmp_path):
    records = [_episode(index)[0] for index in range(3)]
    write_results(tmp_path, MAZE, records, META)
    with open(tmp_path / 'results.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    assert [int(row['episode']) for row in rows] == [0, 1, 2]
    assert float(rows[0]['start_row']) == 0.8 and float(rows[0]['goal_column']) == 1.0
    assert float(rows[0]['return']) == records[0]['return'] > 0
    assert float(rows[0]['planning_time_max_s']) == 0.04
    assert 'planning_times_s' not in rows[0]
    assert not (tmp_path / 'paths.png').exists()


def test_markdown_shows_scores_the_baseline_and_how_it_was_made(tmp_path):
    record, paths = _episode(planned=False)
    missed, missed_paths = _episode(1, arrival=200)
    write_results(tmp_path, MAZE, [record, missed], {**META, 'command': 'a | b'},
                  [paths, missed_paths], {'name': 'other policy', 'episodes': [record]})
    text = re.sub(' +', ' ', (tmp_path / 'report.md').read_text())
    assert '# maze umaze · own · raw' in text
    assert '1 of 2 goals reached' in text
    assert '| | this run | other policy |' in text
    assert '![Planned and driven paths](paths.png)' in text
    assert '| command | `a \\| b` |' in text
    assert ' never ' in text
    tables = [line for line in text.splitlines() if line.startswith('| ') and '\\|' not in line]
    widths = {line.count('|') for line in tables}
    assert widths == {3, 4, 12}  # facts, summary, episodes: no row has a cell too many


def test_a_report_without_reference_scores_shows_returns(tmp_path):
    record = {**_episode()[0], 'score': None}
    results = write_results(tmp_path, MAZE, [record], META)
    assert results['summary']['score']['mean'] is None
    assert f'return {record["return"]:.1f}' in text_table([record], results['summary'])
    assert 'return' in progress_line(record, 1, 1)


def test_text_table_and_progress_line():
    record, _ = _episode()
    table = text_table([record], summarize([record]))
    lines = table.splitlines()
    assert len({len(line) for line in lines[:3]}) == 1
    assert lines[2].split()[:2] == ['0', '(1.0,']
    assert '1 of 1 goals reached' in lines[-1] and 'p50 30 ms' in lines[-1]
    assert progress_line(record, 3, 12).startswith('[ 3/12] goal reached at  0.7')
    assert 'NOT reached' in progress_line(_episode(arrival=200)[0], 1, 1)
    assert text_table([], summarize([record])).splitlines() == [lines[-1]]


def test_a_new_report_replaces_the_old_one(tmp_path):
    write_results(tmp_path, MAZE, [_episode(0)[0], _episode(1)[0]], META)
    write_results(tmp_path, MAZE, [_episode(5)[0]], META)
    results = json.loads((tmp_path / 'results.json').read_text())
    assert [record['episode'] for record in results['episodes']] == [5]
    assert not list(tmp_path.glob('*partial*'))


def _color(name):
    return np.array([int(name[index:index + 2], 16) for index in (1, 3, 5)]) / 255


def _share(image, name):
    return np.mean(np.abs(image[..., :3] - _color(name)).max(axis=-1) < 0.02)


@pytest.mark.parametrize('episodes', [1, 5, MAX_PANELS + 3])
def test_the_picture_shows_walls_paths_and_goal(tmp_path, episodes):
    drawn = [_episode(index) for index in range(episodes)]
    write_results(tmp_path, MAZE, [record for record, _ in drawn], META,
                  [paths for _, paths in drawn])
    image = imread(tmp_path / 'paths.png')
    assert image.shape[1] > 700
    assert 0.1 < _share(image, WALL_COLOR) < 0.6
    for color in (DRIVEN_COLOR, PLAN_COLORS[0], GOAL_COLOR):
        assert _share(image, color) > 1e-4, color


def test_the_picture_has_the_row_downwards_and_the_column_to_the_right(tmp_path):
    # In the umaze the wall between the corridors touches the left border, at row 2.
    record, paths = _episode(planned=False)
    write_results(tmp_path, MAZE, [record], META, [paths])
    image = imread(tmp_path / 'paths.png')[..., :3]
    wall = np.abs(image - _color(WALL_COLOR)).max(axis=-1) < 0.02
    rows, columns = np.flatnonzero(wall.any(axis=1)), np.flatnonzero(wall.any(axis=0))
    panel = wall[rows[0]:rows[-1] + 1, columns[0]:columns[-1] + 1]
    height, width = panel.shape
    middle = panel[height // 2]
    assert middle[:int(0.6 * width)].all() and not middle[int(0.7 * width)]
    goal = np.abs(image - _color(GOAL_COLOR)).max(axis=-1) < 0.02
    goal_rows, goal_columns = np.nonzero(goal[rows[0]:rows[-1], columns[0]:columns[-1]])
    assert goal_rows.mean() < 0.5 * height and goal_columns.mean() < 0.5 * width


def test_a_sketch_is_small_and_keeps_both_ends():
    _, paths = _episode()
    assert len(paths['driven']) == 31
    assert paths['driven'][0] == [0.8, 3.0] and paths['driven'][-1] == [0.8, 1.0]
    assert [step for step, _ in paths['plans']] == [0]
    assert json.loads(json.dumps(paths)) == paths
