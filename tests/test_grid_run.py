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

"""Running a grid: real episodes in worker processes, interrupted, resumed, changed and broken."""

import json
import os
import signal
import subprocess
import sys
import time

from click.testing import CliRunner
import pytest
from ros.episode_records import without_latencies
from ros.tiny_model import write_tiny_model
from small_grid import execute
from small_grid import fill_folder
from small_grid import journal_lines
from small_grid import living
from small_grid import planner_row
from small_grid import without_times
from small_grid import write_grid

from df_planner.cli.main import main
from df_planner.errors import CheckpointError
from df_planner.errors import ConfigError
from df_planner.evaluation.episodes import run_episode
from df_planner.evaluation.evaluate import evaluate
from df_planner.evaluation.jobs import LocalEngine
from df_planner.evaluation.jobs import locked
from df_planner.evaluation.protocol import sample_starts
from df_planner.grid.results import grid_results
from df_planner.grid.rows import expand
from df_planner.grid.rows import load_grid
from df_planner.grid.runs import GridRuns
from df_planner.sim.maze import load_maze


@pytest.fixture
def folder(tmp_path):
    """Return a folder with an untrained model and a maze with short episodes."""
    return fill_folder(tmp_path)


def test_workers_and_order_change_nothing_and_a_row_equals_evaluate(folder):
    rows = [{'name': 'controller', 'policy': 'controller'}, planner_row(folder),
            planner_row(folder, 'raw', execution='raw')]
    one = execute(write_grid(folder, rows), folder / 'one')
    many = execute(write_grid(folder, rows[::-1], 'turned'), folder / 'many', LocalEngine(2))
    rows_one = {(row['name'], row['task']): {**row, 'reference': None, 'difference': None}
                for row in without_times(grid_results(one))}
    rows_many = {(row['name'], row['task']): {**row, 'reference': None, 'difference': None}
                 for row in without_times(grid_results(many))}
    assert rows_one == rows_many and len(rows_one) == 4
    planner = next(row for row in one.rows if row.name == 'planner')
    starts = sample_starts(load_maze(folder / 'short.yaml'), 3, seed=0)
    alone = evaluate(planner.specifications[0], starts, folder / 'alone', baseline=False)
    assert [without_latencies(record) for record in alone['episodes']] == [
        without_latencies(one.of(planner)[0].episodes[index]['record']) for index in range(3)]
    summary = next(row['summary'] for row in grid_results(one)['rows']
                   if row['name'] == 'planner')
    del alone['summary']['planning_time_s'], summary['planning_time_s']
    assert summary == alone['summary']


def test_only_a_changed_row_runs_again_and_equal_rows_run_once(folder):
    out = folder / 'out'
    rows = [{'name': 'controller', 'policy': 'controller', 'tasks': ['short']},
            planner_row(folder), planner_row(folder, 'the same')]
    execute(write_grid(folder, rows), out)
    before = journal_lines(out)
    assert len(before) == 2 and all(len(lines) == 4 for lines in before.values())
    rows[1] = planner_row(folder, planner_seed=5)
    changed = GridRuns(*_loaded(write_grid(folder, rows)), out)
    assert [(run.specification.planner_seed, run.missing()) for run in changed.unfinished()] == [
        (5, [0, 1, 2])]
    changed.execute(LocalEngine(1))
    after = journal_lines(out)
    assert len(after) == 3 and before.items() <= after.items()
    more = GridRuns(*_loaded(write_grid(folder, rows)), out, episodes=5)
    assert {tuple(run.missing()) for run in more.unfinished()} == {(3, 4)}


def _loaded(path):
    grid = load_grid(path)
    return grid, expand(grid)


def test_other_starts_are_other_runs(folder):
    rows = [{'name': 'controller', 'policy': 'controller'}]
    execute(write_grid(folder, rows), folder / 'out')
    again = GridRuns(*_loaded(write_grid(folder, rows)), folder / 'out')
    assert not again.unfinished()
    other = GridRuns(*_loaded(write_grid(folder, rows, seed=1)), folder / 'out')
    assert len(other.unfinished()) == 2
    longer = GridRuns(*_loaded(write_grid(folder, rows, steps=70)), folder / 'out')
    assert len(longer.unfinished()) == 2


def test_broken_rows_are_reported_and_stop_no_other(folder):
    write_tiny_model(folder, 'broken')
    (folder / 'broken.safetensors').write_bytes(b'not weights')
    path = write_grid(folder, [
        {'name': 'controller', 'policy': 'controller', 'tasks': ['short']},
        planner_row(folder, 'missing', checkpoint=str(folder / 'nowhere')),
        planner_row(folder, 'broken', checkpoint=str(folder / 'broken')),
        planner_row(folder, 'one of two', checkpoint=[str(folder / 'tiny'), str(folder / 'none')]),
        planner_row(folder)], episodes=2)
    result = CliRunner().invoke(main, ['benchmark', str(path), '--out', str(folder / 'out'),
                                       '--workers', '2'])
    assert result.exit_code == 1, result.output
    assert 'FAILED missing [short]: BAD_CHECKPOINT' in result.stderr
    assert 'FAILED broken [short]: BAD_CHECKPOINT' in result.stderr
    rows = {row['name']: row
            for row in json.loads((folder / 'out' / 'results.json').read_text())['rows']}
    assert {name: row['episodes'] for name, row in rows.items()} == {
        'controller': 2, 'missing': 0, 'broken': 0, 'one of two': 2, 'planner': 2}
    assert rows['one of two']['seeds'] == {'count': 1, 'wanted': 2, 'std': None}
    assert 'nowhere' in rows['missing']['failure'] and rows['planner']['failure'] is None
    report = (folder / 'out' / 'report.md').read_text()
    assert '**missing** [short] FAILED: BAD_CHECKPOINT' in report


def test_a_checkpoint_that_changes_meanwhile_is_a_failure(folder, monkeypatch):
    grid, rows = _loaded(write_grid(folder, [planner_row(folder)]))
    run = GridRuns(grid, rows, folder / 'out').of(rows[0])[0]
    weights = folder / 'tiny.safetensors'
    weights.write_bytes(weights.read_bytes()[:-4] + b'\0\0\0\1')
    with pytest.raises(CheckpointError, match='changed since this evaluation began'):
        run_episode(run.specification, run.identity, 0, run.starts.state[0], run.starts.goal[0])


def test_two_benchmarks_do_not_share_a_folder(folder):
    path = write_grid(folder, [{'name': 'controller', 'policy': 'controller'}])
    with locked(folder / 'out'), pytest.raises(ConfigError, match='another benchmark'):
        execute(path, folder / 'out')


def test_an_interrupted_run_goes_on_and_equals_an_uninterrupted_one(folder):
    path = write_grid(folder, [
        {'name': 'controller', 'policy': 'controller'}, planner_row(folder),
        planner_row(folder, 'raw', execution='raw')], steps=600, episodes=10)
    command = [sys.executable, '-m', 'df_planner.cli', 'benchmark', str(path), '--workers', '2',
               '--out', str(folder / 'out')]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               start_new_session=True)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if sum(len(lines) - 1 for lines in journal_lines(folder / 'out').values()) >= 3:
            break
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert 'the same command goes on' in errors and 'Traceback' not in errors
    assert not living(process.pid)
    finished = journal_lines(folder / 'out')
    assert 3 <= sum(len(lines) - 1 for lines in finished.values()) < 40
    partial = json.loads((folder / 'out' / 'results.json').read_text())
    assert 0 < sum(row['episodes'] for row in partial['rows']) < 40
    assert 'is not finished' in (folder / 'out' / 'report.md').read_text()

    resumed = execute(path, folder / 'out')
    for name, lines in journal_lines(folder / 'out').items():
        assert set(finished.get(name, [])) <= set(lines)  # kept, not run again
    whole = execute(path, folder / 'whole')
    assert without_times(grid_results(resumed)) == without_times(grid_results(whole))
    assert all(row['episodes'] == 10 for row in grid_results(whole)['rows'])


def test_the_shipped_smoke_grid_runs(tmp_path):
    out = tmp_path / 'out'
    common = ['benchmark', 'smoke', '--out', str(out), '--workers', '1']
    result = CliRunner().invoke(main, [*common, '--list'])
    assert result.exit_code == 0 and not out.exists()
    assert 'tracking [umaze-multi]' in result.stdout and '0 of 2 episodes' in result.stdout
    result = CliRunner().invoke(main, common)
    assert result.exit_code == 0, result.output
    assert {path.name for path in out.iterdir() if not path.name.startswith('.')} == {
        'report.md', 'results.csv', 'results.json', 'episodes', 'scores.png', 'differences.png',
        'latency.png', 'sweep-sampling_steps.png'}
    rows = json.loads((out / 'results.json').read_text())['rows']
    assert len(rows) == 7 and all(row['episodes'] == 2 for row in rows)
    assert next(row for row in rows if row['name'] == 'tracking')['summary']['reach_rate'] > 0
    before = journal_lines(out)
    result = CliRunner().invoke(main, [*common, '--only', 'no such row'])
    assert result.exit_code == 2 and 'it has controller, tracking' in result.stderr
    result = CliRunner().invoke(main, [*common, '--group', 'ablation'])
    assert result.exit_code == 0 and journal_lines(out) == before
