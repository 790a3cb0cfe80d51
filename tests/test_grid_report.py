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

"""The report of a grid: its numbers worked out by hand, and what stands beside them."""

import csv
import io
import json
import re

import numpy as np
import pytest
import yaml

from df_planner.evaluation.machine import machine_facts
from df_planner.evaluation.metrics import episode_record
from df_planner.evaluation.metrics import summarize
from df_planner.grid.report import csv_text
from df_planner.grid.report import markdown
from df_planner.grid.report import text_overview
from df_planner.grid.report import write_grid_report
from df_planner.grid.results import grid_results
from df_planner.grid.results import published
from df_planner.grid.revision import code_revision
from df_planner.grid.rows import expand
from df_planner.grid.rows import load_grid
from df_planner.grid.runs import GridRuns
from df_planner.sim.maze import load_maze

STARTS = 4
RETURNS = {  # per row and training seed, steps inside the goal by start
    'controller': [[100, 150, 200, 250]],
    'one seed': [[110, 150, 210, 290]],
    'three seeds': [[120, 160, 220, 260], [126, 166, 226, 266], [132, 172, 232, 272]],
}


def _record(run, index, steps_inside):
    """Return the record of an episode that is inside of the goal for its last steps."""
    maze = load_maze('umaze')
    start, goal = run.starts.state[index], run.starts.goal[index]
    states = np.zeros((maze.max_episode_steps + 1, 4))
    states[-steps_inside:, :2] = goal
    states[:-steps_inside, :2] = goal + 1.0
    return episode_record(maze, index, start, goal, states, np.zeros((len(states) - 1, 2)))


@pytest.fixture
def runs(tmp_path):
    """Return a grid whose episodes are as in ``RETURNS``."""
    path = tmp_path / 'grid.yaml'
    path.write_text(yaml.safe_dump({
        'description': 'A grid', 'episodes': STARTS, 'reference': 'controller',
        'tasks': {'umaze': {'maze': 'umaze'}}, 'rows': [
            {'name': 'controller', 'policy': 'controller'},
            {'name': 'one seed', 'checkpoint': 'point'},
            {'name': 'three seeds', 'tasks': ['umaze'], 'checkpoint': ['point'] * 3}]},
        sort_keys=False))
    grid = load_grid(path)
    runs = GridRuns(grid, expand(grid), tmp_path / 'out')
    for row in runs.rows:
        # Seeds of one checkpoint are one run: here they stand for different ones.
        members = [type(runs.of(row)[0])(**vars(run)) for run in runs.of(row)]
        runs._of_row[id(row)] = members
        for run, returns in zip(members, RETURNS[row.name]):
            run.episodes = {index: {'record': _record(run, index, value), 'seconds': 2.0,
                                    'code': code_revision()}
                            for index, value in enumerate(returns)}
    return runs


def _score(value):
    return load_maze('umaze').normalized_score(value)


def test_numbers_are_those_of_the_episodes(runs):
    rows = {row['name']: row for row in grid_results(runs)['rows']}
    row = rows['one seed']
    scores = [_score(value) for value in RETURNS['one seed'][0]]
    assert row['summary']['score']['mean'] == pytest.approx(np.mean(scores))
    assert row['summary']['score']['stderr'] == pytest.approx(np.std(scores, ddof=1) / 2)
    assert row['summary'] == summarize([episode['record']
                                        for episode in runs.of(runs.rows[1])[0].episodes.values()])
    assert row['seeds'] == {'count': 1, 'wanted': 1, 'std': None}
    assert row['seconds_per_episode'] == 2.0
    assert rows['controller']['kind'] == 'controller' and row['kind'] == 'measured'


def test_differences_are_taken_start_by_start(runs):
    rows = {row['name']: row for row in grid_results(runs)['rows']}
    per_step = _score(1) - _score(0)
    steps = np.array([10, 0, 10, 40])
    difference = rows['one seed']['difference']
    assert difference['reference'] == 'controller' and difference['count'] == 4
    assert difference['mean'] == pytest.approx(per_step * steps.mean())
    assert difference['stderr'] == pytest.approx(per_step * steps.std(ddof=1) / 2)
    assert difference['stderr'] < rows['one seed']['summary']['score']['stderr'] / 3
    assert rows['controller']['difference'] is None


def test_spread_over_seeds_and_error_over_starts_are_apart(runs):
    row = {row['name']: row for row in grid_results(runs)['rows']}['three seeds']
    table = np.array(RETURNS['three seeds'])
    per_step = _score(1) - _score(0)
    assert row['seeds'] == {'count': 3, 'wanted': 3, 'std': pytest.approx(6.0 * per_step)}
    assert row['summary']['return']['mean'] == table.mean()
    over_starts = table.mean(axis=0).std(ddof=1) / 2
    assert row['summary']['return']['stderr'] == pytest.approx(over_starts)
    assert [run['score_mean'] for run in row['runs']] == pytest.approx(
        [_score(value) for value in table.mean(axis=1)])
    text = markdown(grid_results(runs), {})
    assert f'{6.0 * per_step:.1f} (3 seeds)' in text


def test_seeds_are_averaged_over_the_starts_all_have(runs):
    del runs.of(runs.rows[2])[1].episodes[3]
    results = grid_results(runs)
    row = results['rows'][2]
    assert row['episodes'] == 3 and row['summary']['episodes'] == 3
    assert row['summary']['return']['mean'] == np.array(RETURNS['three seeds'])[:, :3].mean()
    assert row['seeds']['std'] == pytest.approx(6.0 * (_score(1) - _score(0)))
    assert '**three seeds** [umaze] is not finished: 3 of 4 starts' in markdown(results, {})


def test_others_stand_beside_and_are_marked(runs):
    results = grid_results(runs)
    text = re.sub(' +', ' ', markdown(results, {'scores.png': 'Scores'}))
    for cells in ('controller | controller, measured here', 'one seed | measured here',
                  'Diffusion Forcing | published', 'time-optimal limit** | limit'):
        assert f'{cells} |' in text
    assert '![Scores](scores.png)' in text and 'Diffusion Veteran is left out' in text
    assert 'arXiv 2407.01392' in text
    lines = text_overview(results).splitlines()
    assert lines[0].split() == ['row', 'kind', 'umaze'] and lines[-1].endswith('168.3')


def test_published_numbers_are_complete():
    rows = published()['rows']
    keys = {f'{maze}{goals}' for maze in ('umaze', 'medium', 'large') for goals in ('', '-multi')}
    assert all(set(row['scores']) == keys and row['source'] for row in rows)
    best = {key: max(row['scores'][key] for row in rows if row['kind'] == 'published')
            for key in keys}
    assert best['umaze'] == 144.6 and best['medium'] == 154.8 and best['large'] == 205.2
    assert best['umaze-multi'] == 158.2 and best['medium-multi'] == 170.5
    limit = next(row['scores'] for row in rows if row['kind'] == 'limit')
    assert all(limit[key] > best[key] for key in keys)


def test_csv_has_a_line_per_row_and_per_published_score(runs):
    results = grid_results(runs)
    lines = list(csv.DictReader(io.StringIO(csv_text(results))))
    assert [line['row'] for line in lines[:3]] == list(RETURNS)
    assert float(lines[1]['score']) == results['rows'][1]['summary']['score']['mean']
    assert lines[2]['seeds'] == '3' and float(lines[2]['score_std_over_seeds']) > 0
    assert {line['kind'] for line in lines[3:]} == {'published', 'reference', 'limit'}


def test_episodes_of_other_code_and_failures_are_told(runs):
    for episode in runs.of(runs.rows[0])[0].episodes.values():
        episode['code'] = 'older'
    runs.of(runs.rows[1])[0].failure = 'BAD_CHECKPOINT: gone'
    text = markdown(grid_results(runs), {})
    assert '**controller** [umaze] holds episodes of another state of the code: older' in text
    assert '**one seed** [umaze] FAILED: BAD_CHECKPOINT: gone' in text
    assert '**three seeds**' not in text.split('## Scores')[0]


def test_rows_that_were_not_selected_appear_once_they_have_episodes(runs):
    runs.selected = runs.rows[:1]
    runs.of(runs.rows[1])[0].episodes = {}
    assert [row['name'] for row in grid_results(runs)['rows']] == ['controller', 'three seeds']


def test_everything_is_written(runs, tmp_path):
    results = grid_results(runs, machine_facts())
    write_grid_report(tmp_path / 'out', results)
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {
        'report.md', 'results.csv', 'results.json', 'scores.png', 'differences.png'}
    read = json.loads((tmp_path / 'out' / 'results.json').read_text())
    assert read == results and read['meta']['cores'] >= 1 and 'torch' in read['meta']['packages']


def test_a_report_without_a_finished_episode(runs, tmp_path):
    for row in runs.rows:
        for run in runs.of(row):
            run.episodes, run.failure = {}, 'BAD_CHECKPOINT: gone'
    write_grid_report(tmp_path / 'out', grid_results(runs))
    assert 'FAILED' in (tmp_path / 'out' / 'report.md').read_text()
