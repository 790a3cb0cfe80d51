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
Progress bars over the trainings and the episodes of a grid, with a line for every finished row.

Without a terminal, only the lines are written.
"""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from contextlib import contextmanager
import sys
import threading

from tqdm import tqdm

from df_planner.evaluation.metrics import summarize
from df_planner.evaluation.report import summary_line
from df_planner.grid.rows import Row
from df_planner.grid.runs import GridRuns
from df_planner.grid.runs import RowRun
from df_planner.grid.training import Training

LOOK_EVERY_S = 1.0


@contextmanager
def training_progress(trainings: Collection[Training]
                      ) -> Iterator[Callable[[Training, str | None], None]]:
    """
    Show the steps of trainings, from their logs of losses, wherever they run.

    :returns: writes a line about a training that ended, with the reason if it failed.
    """
    def steps_done() -> int:
        return sum(training.steps_done() for training in trainings)

    def on_training(training: Training, failure: str | None) -> None:
        tqdm.write(f'{training.config.name}: '
                   + ('trained' if failure is None else f'FAILED: {failure}'), file=sys.stderr)

    def watch() -> None:
        while not ended.wait(LOOK_EVERY_S):
            bar.n = steps_done()
            bar.refresh()

    ended, watcher = threading.Event(), threading.Thread(target=watch)
    with tqdm(total=sum(training.steps for training in trainings), initial=steps_done(),
              unit='step', desc='training', disable=None) as bar:
        watcher.start()
        try:
            yield on_training
        finally:
            ended.set()
            watcher.join()


@contextmanager
def grid_progress(runs: GridRuns, workers: int) -> Iterator[Callable[[RowRun, dict | None], None]]:
    """
    Show episodes, rows and the time left.

    :param workers: processes that share the work.
    :returns: counts a finished episode of a run, None for a run that failed.
    """
    def is_open(row: Row) -> bool:
        return any(run.missing() for run in runs.of(row))

    def show() -> None:
        seconds = runs.seconds_left(runs.unfinished()) / workers
        bar.set_postfix_str(f'{len(runs.selected) - len(open_rows)}/{len(runs.selected)} rows, '
                            f'about {duration(seconds)} left')

    def on_episode(run: RowRun, episode: dict | None) -> None:
        if episode is None:
            bar.total = sum(runs.counts())
            bar.refresh()
        else:
            bar.update()
        for row in [row for row in open_rows if run in runs.of(row) and not is_open(row)]:
            open_rows.remove(row)
            tqdm.write(f'{row.title}: {_line(runs, row)}', file=sys.stderr)
        show()

    open_rows = [row for row in runs.selected if is_open(row)]
    finished, missing = runs.counts()
    with tqdm(total=finished + missing, initial=finished, unit='episode', disable=None,
              bar_format='{l_bar}{bar}| {n_fmt}/{total_fmt} {unit}s, {postfix}') as bar:
        show()
        yield on_episode


def _line(runs: GridRuns, row: Row) -> str:
    failure = runs.failure(row)
    if failure is not None:
        return f'FAILED: {failure}'
    return summary_line(summarize([episode['record'] for run in runs.of(row)
                                   for episode in run.episodes.values()]))


def duration(seconds: float) -> str:
    """Return a time span in words: ``40 s``, ``12 min``, ``3 h 05 min``."""
    minutes = round(seconds / 60.0)
    if minutes < 2:
        return f'{seconds:.0f} s'
    return f'{minutes} min' if minutes < 120 else f'{minutes // 60} h {minutes % 60:02d} min'
