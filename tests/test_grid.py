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

"""Grids: what a file may say, what it expands to, and how a fault is named."""

from itertools import product
from pathlib import Path

import pytest
import yaml

from df_planner.errors import ConfigError
from df_planner.grid.progress import duration
from df_planner.grid.rows import expand
from df_planner.grid.rows import load_grid
from df_planner.grid.rows import NEVER_S
from df_planner.grid.runs import GridRuns
from df_planner.robots.kinds import EXECUTIONS

ROOT = Path(__file__).parents[1]
SHIPPED = sorted(path.stem for path in (ROOT / 'config' / 'benchmark').glob('*.yaml'))
TASKS = {'umaze': {'maze': 'umaze'}, 'medium': {'maze': 'medium'},
         'medium-multi': {'maze': 'medium', 'multi_goal': True}}


def _grid(folder, rows, **changes):
    """Write a grid with these rows and return its path."""
    path = folder / 'grid.yaml'
    path.write_text(yaml.safe_dump({'tasks': TASKS, 'rows': rows, **changes}, sort_keys=False))
    return path


def _rows(folder, rows, **changes):
    return expand(load_grid(_grid(folder, rows, **changes)))


@pytest.mark.parametrize('name', SHIPPED)
def test_shipped_grids_are_valid(name):
    grid = load_grid(name)
    assert grid.description and expand(grid)


def test_headline_has_every_maze_task_and_execution():
    rows = expand(load_grid('headline'))
    tasks = {row.task for row in rows}
    assert len(tasks) == 6
    planner = {(row.task, run.execution): run for row in rows for run in row.specifications
               if run.policy == 'planner'}
    assert set(planner) == {*product(tasks, EXECUTIONS)}
    for (_, execution), run in planner.items():
        assert run.checkpoint == 'point'
        assert run.replan_interval_s == (0.1 if execution == 'raw' else 0.25)


def test_a_row_runs_in_all_tasks_or_those_that_it_names(tmp_path):
    rows = _rows(tmp_path, [{'name': 'a', 'checkpoint': 'point', 'execution': 'raw'},
                            {'name': 'b', 'checkpoint': '{maze}-x', 'tasks': ['medium-multi']}],
                 seed=7)
    made = [row.specifications[0] for row in rows]
    assert [(row.task, run.maze, run.checkpoint) for row, run in zip(rows, made)] == [
        ('umaze', 'umaze', 'point'), ('medium', 'medium', 'point'),
        ('medium-multi', 'medium', 'point'), ('medium-multi', 'medium', 'medium-x')]
    assert made[0].execution == 'raw' and made[0].planner_seed == 7


def test_training_seeds_and_variables(tmp_path):
    path = _grid(tmp_path, [{'name': 'a', 'tasks': ['medium'],
                             'checkpoint': ['{models}/x-0', '{models}/x-1']}],
                 variables={'models': 'runs/models'})
    row, = expand(load_grid(path))
    assert [made.checkpoint for made in row.specifications] == [
        'runs/models/x-0', 'runs/models/x-1']
    row, = expand(load_grid(path, {'device': 'cuda'}, {'models': 'm'}))
    assert [made.checkpoint for made in row.specifications] == ['m/x-0', 'm/x-1']
    assert row.specifications[0].device == 'cuda'
    with pytest.raises(ConfigError, match='no variable modles; it has models'):
        load_grid(path, variables={'modles': 'm'})


def test_a_sweep_is_one_row_per_value(tmp_path):
    rows = _rows(tmp_path, [
        {'name': 'steps', 'checkpoint': 'point', 'settings': {'num_samples': 3},
         'sweep': {'settings.sampling_steps': [2, 4]}},
        {'name': 'interval', 'checkpoint': 'point', 'group': 'b',
         'sweep': {'replan_interval_s': [1, 'never']}},
        {'name': 'both', 'checkpoint': 'point',
         'sweep': {'execution': ['raw', 'tracking'], 'settings.num_samples': [1, 2]}}],
        tasks={'umaze': TASKS['umaze']})
    assert [row.name for row in rows] == [
        'steps 2', 'steps 4', 'interval 1', 'interval never', 'both raw, 1', 'both raw, 2',
        'both tracking, 1', 'both tracking, 2']
    assert [row.value for row in rows[:4]] == [2, 4, 1, 'never']
    assert rows[1].specifications[0].settings == {'num_samples': 3, 'sampling_steps': 4}
    assert rows[0].sweep == 'steps' and rows[2].group == 'b'
    assert [row.specifications[0].replan_interval_s for row in rows[2:4]] == [1.0, NEVER_S]
    assert rows[6].specifications[0].execution == 'tracking'
    assert rows[6].specifications[0].settings == {'num_samples': 1}


@pytest.mark.parametrize(('row', 'message'), [
    ({'sped': 1}, "row 'bad': sped: no such field"),
    ({'settings': {'sped': 1}}, "row 'bad': planner setting sped"),
    ({'settings': {'num_samples': 0}}, "row 'bad': planner setting num_samples"),
    ({'execution': 'rough'}, "row 'bad': execution must be one of"),
    ({'replan_interval_s': 'sometimes'}, "row 'bad': replan_interval_s: must be a valid"),
    ({'checkpoint': '{modles}/x'}, "row 'bad': checkpoint: no variable 'modles'"),
    ({'checkpoint': None}, "row 'bad': the planner needs a checkpoint"),
    ({'tasks': ['moon']}, "row 'bad': tasks: no task moon"),
    ({'reference': 'moon'}, "row 'bad': reference: no row 'moon'"),
    ({'sweep': {'speed': [1]}}, "row 'bad': sweep: no field 'speed'"),
    ({'sweep': {'settings.sped': [1]}}, "row 'bad.*planner setting sped"),
    ({'name': 'good'}, "row 'good': name: another row has the same"),
])
def test_a_fault_names_file_row_and_field(tmp_path, row, message):
    good = {'name': 'good', 'policy': 'controller'}
    path = _grid(tmp_path, [good, {'name': 'bad', 'checkpoint': 'point', **row}])
    with pytest.raises(ConfigError, match=f'^{path}: {message}'):
        load_grid(path)


@pytest.mark.parametrize(('changes', 'message'), [
    ({'epsiodes': 3}, 'epsiodes: no such field; did you mean episodes'),
    ({'episodes': 0}, 'episodes: must be'),
    ({'rows': []}, 'rows: List should have'), ({'reference': 'x'}, "reference: no row 'x'"),
    ({'tasks': {'a': {'maze': 'moon'}}}, "task 'a': no maze 'moon'"),
    ({'tasks': {'a': {'maze': 'umaze', 'goals': 2}}}, 'tasks.a.goals: no such field'),
])
def test_a_fault_of_the_file_is_named(tmp_path, changes, message):
    path = tmp_path / 'grid.yaml'
    path.write_text(yaml.safe_dump(
        {'tasks': TASKS, 'rows': [{'name': 'a', 'policy': 'controller'}], **changes}))
    with pytest.raises(ConfigError, match=f'^{path}: {message}'):
        load_grid(path)


def test_no_such_grid_names_the_shipped_ones():
    shipped = 'ablations, headline, latency, smoke'
    with pytest.raises(ConfigError, match=f'moon.*{shipped}'):
        load_grid('moon')


def test_costs_follow_what_is_measured(tmp_path):
    grid = load_grid(_grid(tmp_path, [{'name': 'steps', 'checkpoint': 'point', 'tasks': ['umaze'],
                                       'sweep': {'settings.sampling_steps': [1, 100]}}]))
    rows = expand(grid)
    runs = GridRuns(grid, rows, tmp_path)
    (cheap,), (dear,) = map(runs.of, rows)
    assert dear.guessed_s > 10 * cheap.guessed_s
    assert runs.seconds_left([dear]) == pytest.approx(100 * dear.guessed_s)
    cheap.episodes[0] = {'seconds': 3.0 * cheap.guessed_s}  # a slow machine
    assert runs.seconds_left([dear]) == pytest.approx(300 * dear.guessed_s)
    dear.episodes |= {0: {'seconds': 0.25}, 1: {'seconds': 0.75}}
    assert runs.seconds_left([dear]) == pytest.approx(98 * 0.5)
    assert [duration(seconds) for seconds in (7, 400, 8000)] == ['7 s', '7 min', '2 h 13 min']
