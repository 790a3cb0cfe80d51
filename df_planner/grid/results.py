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
The numbers of a grid: the content of ``results.json``, from which tables and plots are made.

A row with several training seeds is averaged over them start by start, so that two kinds of
spread stay apart: the standard error over starts (of these averages), and the standard deviation
over training seeds (of their mean scores). Differences between rows are taken start by start.
"""

from collections.abc import Sequence

import numpy as np

from df_planner.configuration import read_yaml
from df_planner.evaluation.episodes import Specification
from df_planner.evaluation.metrics import statistics
from df_planner.evaluation.metrics import summarize
from df_planner.evaluation.metrics import SUMMARY_FIELDS
from df_planner.files import share_path
from df_planner.grid.revision import code_revision
from df_planner.grid.rows import NEVER
from df_planner.grid.rows import NEVER_S
from df_planner.grid.rows import Row
from df_planner.grid.runs import GridRuns
from df_planner.grid.runs import RowRun
from df_planner.grid.schema import Grid
from df_planner.robots.kinds import POINT
from df_planner.robots.kinds import ROBOTS
from df_planner.sim.map_place import load_place
from df_planner.sim.map_place import UNSEEN
from df_planner.sim.maze import DT_S

FORMAT_VERSION = 1
SECONDS = 'seconds'  # to the goal: less is better
MEASURED, CONTROLLER, PUBLISHED, LIMIT = 'measured', 'controller', 'published', 'limit'


def grid_results(runs: GridRuns, facts: dict | None = None) -> dict:
    """
    Return the content of ``results.json``, plain values only.

    A row is there if it was selected or if an earlier run left episodes of it.

    :param facts: more entries for the meta data, for example the command line.
    """
    selected = {id(row) for row in runs.selected}
    shown = [row for row in runs.rows
             if id(row) in selected or any(run.episodes for run in runs.of(row))]
    rows = [_row(row, runs) for row in shown]
    scores = {(row['name'], row['task']): row['by_start'] for row in rows}
    for row in rows:
        row['difference'] = _difference(row, scores)
    grid = runs.grid
    return {
        'format_version': FORMAT_VERSION,
        'meta': {'description': grid.description, 'starts_seed': grid.seed,
                 'starts': runs.num_episodes, 'code': code_revision(), **(facts or {})},
        'tasks': {name: _task(name, grid) for name in grid.tasks
                  if any(row['task'] == name for row in rows)},
        'rows': rows,
        'others': published(),
    }


def published() -> dict:
    """Return the scores of others: ``rows`` with name, kind, source and scores, and a ``note``."""
    return read_yaml(share_path('config/published_scores.yaml'))


def average_records(records: Sequence[dict]) -> dict:
    """Return the record of one start, averaged over training seeds; a None does not count."""
    if len(records) == 1:
        return records[0]
    merged = {name: statistics([record.get(name) for record in records])['mean']
              for name in SUMMARY_FIELDS}
    return {**merged, 'dt_s': records[0].get('dt_s', DT_S),
            'reached': float(np.mean([record['reached'] for record in records])),
            'planning_times_s': sum((record['planning_times_s'] for record in records), [])}


def _row(row: Row, runs: GridRuns) -> dict:
    started = [run for run in runs.of(row) if run.episodes]
    common = sorted(set.intersection(*(set(run.episodes) for run in started))) if started else []
    records = [average_records([run.episodes[index]['record'] for run in started])
               for index in common]
    summary = summarize(records)
    value = _value(summary)
    by_start = [_measured(record, value) for record in records]
    means = [_mean(run, value, common) for run in started]
    return {
        'name': row.name, 'group': row.group, 'task': row.task, 'sweep': row.sweep,
        'value': row.value, 'reference': row.reference, 'failure': runs.failure(row),
        'kind': (CONTROLLER if all(run.specification.policy == 'controller' for run in started)
                 and started else MEASURED),
        'episodes': len(common),
        'seeds': {'count': len(started), 'wanted': len(row.specifications),
                  'std': float(np.std(means, ddof=1)) if len(means) > 1 else None},
        'summary': summary,
        'measured': {'name': value, **statistics(by_start)},
        'by_start': {str(index): number for index, number in zip(common, by_start)},
        'seconds_per_episode': statistics([episode['seconds'] for run in started
                                           for episode in run.episodes.values()])['mean'],
        'runs': [_run(run, value, common) for run in runs.of(row)],
    }


def _value(summary: dict) -> str:
    """Return what episodes are compared by: a score, seconds to the goal on a map, a return."""
    if summary['score']['count']:
        return 'score'
    return SECONDS if summary['touches']['count'] else 'return'


def _measured(record: dict, value: str) -> float | None:
    """Return a number of a record; seconds to the goal only if it was reached."""
    if value != SECONDS:
        return record[value]
    step = record['first_reach_step']
    return None if step is None else step * record['dt_s']


def _run(run: RowRun, value: str, common: Sequence[int]) -> dict:
    """Return what one training seed contributes; its mean is over the starts all seeds have."""
    specification = run.specification
    return {
        'checkpoint': specification.checkpoint,
        'checkpoint_sha256': run.identity.get('checkpoint_sha256'),
        'settings': _readable(specification),
        'journal': f'{run.path.parent.name}/{run.path.name}',
        'episodes': len(run.episodes),
        f'{value}_mean': _mean(run, value, common),
        'code': sorted({episode['code'] for episode in run.episodes.values()}),
        'failure': run.failure,
    }


def _readable(specification: Specification) -> dict:
    if specification.policy == 'controller':
        return {}
    interval = specification.replan_interval_s
    return {'policy': specification.policy, 'execution': specification.execution,
            'replan_interval_s': NEVER if interval == NEVER_S else interval,
            'planner_seed': specification.planner_seed, 'device': specification.device,
            'backend': specification.backend, **specification.settings}


def _mean(run: RowRun, value: str, episodes: Sequence[int]) -> float | None:
    return statistics([_measured(run.episodes[index]['record'], value) for index in episodes
                       if index in run.episodes])['mean']


def _difference(row: dict, scores: dict[tuple[str, str], dict]) -> dict | None:
    """Return the mean difference to the reference on the same starts with its standard error."""
    other = scores.get((row['reference'], row['task']))
    if not other or row['reference'] == row['name']:
        return None
    pairs = statistics([value - other[index] for index, value in row['by_start'].items()
                        if None not in (value, other.get(index))])
    return {'reference': row['reference'],
            **{key: pairs[key] for key in ('count', 'mean', 'stderr')}}


def _task(name: str, grid: Grid) -> dict:
    """Return what a task is, and the key of its published scores."""
    task = grid.tasks[name]
    common = {'maze': task.maze, 'robot': task.robot, 'multi_goal': task.multi_goal}
    if task.maze == UNSEEN:
        return {**common, 'title': f'random places, {task.robot}', 'published_as': name}
    place = load_place(task.maze)
    goals = 'a goal per start' if place.ends_at_goal else (
        'Multi2D (a goal per start)' if task.multi_goal else 'single task')
    of_robot = '' if task.robot == POINT.name else f', {task.robot}'
    return {**common, 'title': f'{place.name}, {goals}{of_robot}', 'maze': place.name,
            'steps': place.episode_steps(ROBOTS[task.robot].signals.dt_s),
            'published_as': place.name + ('-multi' if task.multi_goal else '') + of_robot}
