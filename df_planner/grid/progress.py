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

from collections.abc import Collection
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


class TrainingProgress:
    """
    Count the steps of trainings from their logs of losses, wherever they run.

    :param trainings: to be done.
    """

    def __init__(self, trainings: Collection[Training]):
        """Show what earlier runs did."""
        self._trainings = trainings
        self._bar = tqdm(total=sum(training.steps for training in trainings),
                         initial=self._steps(), unit='step', desc='training', disable=None)
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch)

    def __enter__(self) -> 'TrainingProgress':
        """Start to watch the logs."""
        self._watcher.start()
        return self

    def __exit__(self, *_) -> None:
        """Stop watching, and close the bar."""
        self._ended.set()
        self._watcher.join()
        self._bar.close()

    def add(self, training: Training, failure: str | None) -> None:
        """Write a line about a training that ended."""
        tqdm.write(f'{training.config.name}: '
                   + ('trained' if failure is None else f'FAILED: {failure}'), file=sys.stderr)

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_EVERY_S):
            self._bar.n = self._steps()
            self._bar.refresh()

    def _steps(self) -> int:
        return sum(training.steps_done() for training in self._trainings)


class GridProgress:
    """
    Count episodes and rows and show the time left.

    :param runs: of ``runs.GridRuns``.
    :param workers: processes that share the work.
    """

    def __init__(self, runs: GridRuns, workers: int):
        """Show what earlier runs did."""
        self._runs, self._workers = runs, workers
        self._open = [row for row in runs.selected if any(run.missing() for run in runs.of(row))]
        self._done = len(runs.selected) - len(self._open)
        finished, missing = runs.counts()
        self._bar = tqdm(total=finished + missing, initial=finished, unit='episode', disable=None,
                         bar_format='{l_bar}{bar}| {n_fmt}/{total_fmt} {unit}s, {postfix}')
        self._show()

    def __enter__(self) -> 'GridProgress':
        """Return the bar, to be closed at the end of the block."""
        return self

    def __exit__(self, *_) -> None:
        """Close the bar."""
        self._bar.close()

    def add(self, run: RowRun, episode: dict | None) -> None:
        """Count an episode, None for a run that failed."""
        if episode is None:
            self._bar.total = sum(self._runs.counts())
            self._bar.refresh()
        else:
            self._bar.update()
        for row in [row for row in self._open if run in self._runs.of(row)]:
            if not any(other.missing() for other in self._runs.of(row)):
                self._open.remove(row)
                self._done += 1
                tqdm.write(f'{row.title}: {self._line(row)}', file=sys.stderr)
        self._show()

    def _show(self) -> None:
        self._bar.set_postfix_str(
            f'{self._done}/{len(self._runs.selected)} rows, '
            f'about {duration(self._runs.seconds_left() / self._workers)} left')

    def _line(self, row: Row) -> str:
        failure = self._runs.failure(row)
        if failure is not None:
            return f'FAILED: {failure}'
        return summary_line(summarize([episode['record'] for run in self._runs.of(row)
                                       for episode in run.episodes.values()]))


def duration(seconds: float) -> str:
    """Return a time span in words: ``40 s``, ``12 min``, ``3 h 05 min``."""
    minutes = round(seconds / 60.0)
    if minutes < 2:
        return f'{seconds:.0f} s'
    return f'{minutes} min' if minutes < 120 else f'{minutes // 60} h {minutes % 60:02d} min'
