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

"""A grid of a second, for the tests: short episodes of an untrained model."""

import json
from pathlib import Path
import time

from ros.tiny_model import write_tiny_model
import yaml

from df_planner.evaluation.jobs import LocalEngine
from df_planner.grid.rows import expand
from df_planner.grid.rows import load_grid
from df_planner.grid.runs import GridRuns
from df_planner.sim.maze import load_maze

CHEAP = {'collision_check': False, 'num_samples': 2, 'sampling_steps': 1}


def fill_folder(folder):
    """Put an untrained model and a maze with short episodes into a folder and return it."""
    maze = load_maze('umaze')
    write_tiny_model(folder)
    (folder / 'short.yaml').write_text(yaml.safe_dump({
        'layout': list(maze.rows), 'max_episode_steps': 60,
        'reference_return': list(maze.reference_return)}))
    return folder


def planner_row(folder, name='planner', **changes):
    """Return a row of the untrained model."""
    return {'name': name, 'checkpoint': str(folder / 'tiny'), 'tasks': ['short'],
            'settings': CHEAP, **changes}


def write_grid(folder, rows, name='grid', steps=None, **changes):
    """Write a grid over the short maze and return its path."""
    maze = folder / 'short.yaml'
    if steps is not None:
        content = yaml.safe_load(maze.read_text())
        maze.write_text(yaml.safe_dump({**content, 'max_episode_steps': steps}))
    path = folder / f'{name}.yaml'
    path.write_text(yaml.safe_dump({
        'episodes': 3, 'reference': rows[0]['name'], 'tasks': {
            'short': {'maze': str(maze)}, 'multi': {'maze': str(maze), 'multi_goal': True}},
        'rows': rows, **changes}))
    return path


def execute(path, out, engine=None):
    """Run a grid, by default in this process, and return its runs."""
    grid = load_grid(path)
    runs = GridRuns(grid, expand(grid), out)
    runs.execute(engine or LocalEngine(1))
    return runs


def without_times(results):
    """Return the rows of a report without what depends on the speed of the machine."""
    rows = json.loads(json.dumps(results['rows']))
    for row in rows:
        del row['seconds_per_episode'], row['summary']['planning_time_s']
    return rows


def journal_lines(out):
    """Return the journals by name, as lines."""
    return {path.name: path.read_text().splitlines() for path in out.glob('episodes/*.jsonl')}


def processes():
    """Return what /proc tells of living processes, by number: their parents and sessions."""
    found = {}
    for path in Path('/proc').glob('[0-9]*/stat'):
        try:
            state, parent, _, session = path.read_text().rpartition(')')[2].split()[:4]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state != 'Z':
            found[int(path.parent.name)] = {'parent': int(parent), 'session': int(session)}
    return found


def living(session):
    """Return the processes of a session that are still alive after a while."""
    deadline = time.monotonic() + 10
    while True:
        living = [number for number, process in processes().items()
                  if process['session'] == session]
        if not living or time.monotonic() > deadline:
            return living
        time.sleep(0.05)
