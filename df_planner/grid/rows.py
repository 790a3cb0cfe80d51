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

"""A grid of evaluations (``schema.py``), read from its file, checked and expanded to rows."""

from collections.abc import Iterator
from dataclasses import dataclass
import itertools
from pathlib import Path

from pydantic import TypeAdapter
from pydantic import ValidationError

from df_planner.configuration import checked
from df_planner.configuration import faults
from df_planner.configuration import read_yaml
from df_planner.configuration import shipped_path
from df_planner.errors import CheckpointError
from df_planner.errors import ConfigError
from df_planner.evaluation.episodes import Specification
from df_planner.evaluation.places import facts_of
from df_planner.grid.schema import Grid
from df_planner.grid.schema import RowConfig
from df_planner.grid.schema import SPECIFICATION_FIELDS
from df_planner.grid.training import Training
from df_planner.grid.training import training
from df_planner.model.checkpoint import load_card
from df_planner.sim.maze import DT_S
from df_planner.sim.robots import simulated_robot

NEVER = 'never'
NEVER_S = 1e6  # longer than any episode


@dataclass(frozen=True)
class Row:
    """
    One row of the report in one task.

    :param task: its name; None if ``error`` hides it.
    :param specifications: one for every training seed, in the order of the file.
    :param sweep: name of the row in the file that it was made from, with the ``value`` it has.
    :param error: why the row cannot run.
    :param trainings: of the checkpoints, where the grid makes them.
    """

    name: str
    group: str
    task: str | None
    reference: str | None
    sweep: str | None
    value: object
    trainings: tuple[Training, ...]
    specifications: tuple[Specification, ...] = ()
    error: str | None = None

    @property
    def title(self) -> str:
        """Return row and task for a line of text."""
        return f'{self.name} [{self.task or "?"}]'


def grid_path(name_or_path: str | Path) -> Path:
    """Return the file of a grid: a path, or a shipped name as ``headline``; ConfigError."""
    return shipped_path('config/benchmark', name_or_path, 'grid')


def load_grid(name_or_path: str | Path, overrides: dict | None = None,
              variables: dict[str, str] | None = None) -> Grid:
    """
    Read a grid and check every row.

    :param overrides: values that replace top-level fields of the file, for example ``device``.
    :param variables: values that replace or add to the ``variables`` of the file.
    :raises ConfigError: naming the file, the row and the field.
    """
    path = grid_path(name_or_path)
    values = read_yaml(path)
    grid = checked(Grid, {**values, **(overrides or {})}, str(path),
                   lambda location: _where(location, values))
    try:
        unknown = set(variables or {}) - set(grid.variables)
        if unknown:
            raise ConfigError(f'no variable {", ".join(sorted(unknown))}; it has '
                              + (', '.join(grid.variables) or 'none'))
        grid = grid.model_copy(update={'variables': {**grid.variables, **(variables or {})}})
        _check(grid)
    except ConfigError as error:
        raise ConfigError(f'{path}: {error}') from error
    return grid


def expand(grid: Grid, out_dir: Path = Path()) -> list[Row]:
    """
    Return the rows of the report, sweeps and tasks multiplied out, in the order of the file.

    :param out_dir: folder of the benchmark, where models are trained.
    """
    rows = []
    for config in grid.rows:
        config, trainings = _with_checkpoints(config, grid, out_dir)
        for name, value, fields in _variants(config, grid):
            common = {'name': name, 'group': config.group, 'value': value,
                      'reference': config.reference or grid.reference,
                      'sweep': config.name if config.sweep else None, 'trainings': trainings}
            try:
                tasks = _tasks(config, fields, grid)
            except CheckpointError as error:
                rows.append(Row(task=None, error=str(error), **common))
                continue
            rows += [Row(task=task, specifications=tuple(_specifications(fields, grid, task)),
                         **common) for task in tasks]
    return rows


def _check(grid: Grid) -> None:
    """Raise ConfigError for faults that the schema alone does not find."""
    for name, task in grid.tasks.items():
        try:
            facts_of(task.maze, DT_S)
            simulated_robot(task.robot)
        except ConfigError as error:
            raise ConfigError(f'task {name!r}: {error}') from error
    names = []
    for config in grid.rows:
        unknown = set(config.tasks or ()) - set(grid.tasks)
        if unknown:
            raise ConfigError(f'row {config.name!r}: tasks: no task {", ".join(sorted(unknown))}; '
                              f'the grid has {", ".join(grid.tasks)}')
        try:
            config, _ = _with_checkpoints(config, grid, Path())
        except ConfigError as error:
            raise ConfigError(f'row {config.name!r}: train: {error}') from error
        for name, _, fields in _variants(config, grid):
            names.append(name)
            for task in config.tasks or grid.tasks:
                list(_specifications(fields, grid, task, config.name))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f'row {twice[0]!r}: name: another row has the same')
    for config in (grid, *grid.rows):
        if config.reference is not None and config.reference not in names:
            where = f'row {config.name!r}: ' if isinstance(config, RowConfig) else ''
            raise ConfigError(f'{where}reference: no row {config.reference!r}')


def _with_checkpoints(config: RowConfig, grid: Grid, out_dir: Path
                      ) -> tuple[RowConfig, tuple[Training, ...]]:
    """
    Return a row with the checkpoints, and the tasks, of the trainings that it names.

    :raises ConfigError: if their configuration is wrong, or of a maze without a task.
    """
    if config.train is None:
        return config, ()
    trainings = tuple(training(config.train, seed, out_dir) for seed in config.seeds)
    maze = trainings[0].config.maze
    tasks = config.tasks or [name for name, task in grid.tasks.items() if task.maze == maze]
    if not tasks:
        raise ConfigError(f'{config.train} is for maze {maze!r}, of which the grid has no task')
    literal = [t.checkpoint.replace('{', '{{').replace('}', '}}') for t in trainings]
    return config.model_copy(update={'checkpoint': literal, 'tasks': tasks}), trainings


def _variants(config: RowConfig, grid: Grid) -> Iterator[tuple[str, object, dict]]:
    """Yield (name, swept value, fields of the specification) for every value of the sweep."""
    base = {'device': grid.device, 'planner_seed': grid.seed, 'checkpoint': config.checkpoint,
            **config.specification}
    if not config.sweep:
        yield config.name, None, base
        return
    for values in itertools.product(*config.sweep.values()):
        chosen = {**base, 'settings': dict(base.get('settings', {}))}
        for key, value in zip(config.sweep, values):
            target, _, setting = key.partition('.')
            if setting and target == 'settings':
                chosen['settings'][setting] = value
            elif key in SPECIFICATION_FIELDS | {'checkpoint'}:
                chosen[key] = value
            else:
                raise ConfigError(f'row {config.name!r}: sweep: no field {key!r}')
        label = ', '.join(str(value) for value in values)
        yield f'{config.name} {label}', values[0] if len(values) == 1 else label, chosen


def _tasks(config: RowConfig, fields: dict, grid: Grid) -> list[str]:
    """Return the tasks of a row; CheckpointError if that needs a model card that is missing."""
    if config.tasks is not None:
        return config.tasks
    checkpoint = _checkpoints(fields)[0]
    if checkpoint is None or '{maze}' in checkpoint or '{robot}' in checkpoint:
        return list(grid.tasks)
    maze = load_card(checkpoint.format(**grid.variables)).maze
    tasks = [name for name, task in grid.tasks.items() if task.maze == maze]
    if not tasks:
        raise CheckpointError(f'{checkpoint} was made for maze {maze!r}, of which the grid '
                              'has no task')
    return tasks


def _checkpoints(fields: dict) -> list[str | None]:
    value = fields['checkpoint']
    return list(value) if isinstance(value, list) else [value]


def _specifications(fields: dict, grid: Grid, task: str, row: str = '') -> Iterator[Specification]:
    """Yield one specification per checkpoint; ConfigError names the row and the field."""
    maze, robot = grid.tasks[task].maze, grid.tasks[task].robot
    values = dict(fields)
    if values.get('replan_interval_s') == NEVER:
        values['replan_interval_s'] = NEVER_S
    for checkpoint in _checkpoints(fields):
        try:
            if checkpoint is not None:
                checkpoint = str(checkpoint).format(
                    **grid.variables, maze=Path(maze).stem, robot=robot)
            yield TypeAdapter(Specification).validate_python(
                {**values, 'maze': maze, 'checkpoint': checkpoint, 'robot': robot})
        except ValidationError as error:
            raise ConfigError(f'row {row!r}: {faults(error)}') from error
        except (KeyError, IndexError, ValueError) as error:
            raise ConfigError(
                f'row {row!r}: checkpoint: no variable {error} for {checkpoint!r}') from error
        except ConfigError as error:
            raise ConfigError(f'row {row!r}: {error}') from error


def _where(location: tuple, values: dict) -> str:
    """Return the place of a fault, rows by their names: ``row 'raw': execution``."""
    if len(location) > 1 and location[0] == 'rows':
        row = values['rows'][location[1]]
        name = row.get('name', location[1]) if isinstance(row, dict) else location[1]
        return ': '.join([f'row {name!r}', '.'.join(map(str, location[2:]))]).removesuffix(': ')
    return '.'.join(map(str, location))
