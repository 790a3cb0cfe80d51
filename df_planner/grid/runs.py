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
Run a grid: every episode of every row over one pool of workers, resumably.

    grid = load_grid('headline')
    runs = GridRuns(grid, expand(grid), 'results/headline')
    runs.execute(LocalEngine(workers=8))
    write_grid_report('results/headline', grid_results(runs))

A run is identified by all that its results depend on (specification, weights of the checkpoint,
maze, starts), so rows that share a run share its episodes, in ``OUT/episodes/KEY.jsonl``. A
changed row has another key and runs again; all others keep their episodes. Neither the number of
workers nor the order changes a result.

How long a grid will take is measured where episodes ran before. Elsewhere it is a rough guess from
the calls of the network, which the seconds of finished episodes correct while the grid runs.
"""

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from contextlib import closing
from contextlib import ExitStack
from dataclasses import dataclass
from dataclasses import field
from functools import cached_property
import hashlib
import json
from pathlib import Path

from df_planner.errors import CheckpointError
from df_planner.evaluation.episodes import identity_of
from df_planner.evaluation.episodes import run_episode
from df_planner.evaluation.episodes import Specification
from df_planner.evaluation.jobs import Engine
from df_planner.evaluation.jobs import Job
from df_planner.evaluation.jobs import locked
from df_planner.evaluation.jobs import reason
from df_planner.evaluation.journal import Journal
from df_planner.evaluation.journal import read_episodes
from df_planner.evaluation.places import facts_of
from df_planner.evaluation.places import starts_of
from df_planner.evaluation.protocol import Starts
from df_planner.grid.contact_sheet import is_shown
from df_planner.grid.revision import code_revision
from df_planner.grid.rows import Row
from df_planner.grid.schema import Grid
from df_planner.robots.kinds import ROBOTS

EPISODES_FOLDER = 'episodes'

# Of the shipped models on one core of a server: orders of magnitude, corrected as episodes finish.
STEP_S = 5e-5  # of the simulator and the executor
SAMPLE_CALL_S = 5e-4  # one call of the network for one candidate
GRADIENT_CALLS = 3  # what a call with its gradient costs
REPLAN_SAMPLES = 10  # candidates when there is a previous plan
MOVING_SHARE = 0.4  # of an episode; then an execution that stops at the goal plans no more
TOKENS = 40
RANDOM_PLACE_S = 20.0  # of an episode


@dataclass
class RowRun:
    """
    One specification on the starts of one task.

    :param identity: all that its results depend on, JSON-able.
    :param episodes: the finished ones by index: ``record``, ``seconds``, ``code``, ``state`` and
        ``goal`` (the start in the axes of the robot), and ``sketch`` of those to be drawn.
    :param failure: why the run cannot go on.
    """

    specification: Specification
    identity: dict
    starts: Starts
    path: Path
    episodes: dict[int, dict] = field(default_factory=dict)
    failure: str | None = None

    @property
    def key(self) -> str:
        """Return the name of its journal."""
        return self.path.stem

    @cached_property
    def guessed_s(self) -> float:
        """Return a guess of the seconds of one episode."""
        return guessed_seconds(self.specification)

    def missing(self) -> list[int]:
        """Return the episodes that are still to run."""
        if self.failure is not None:
            return []
        return [index for index in range(len(self.starts)) if index not in self.episodes]


class GridRuns:
    """
    The runs behind the rows of a grid, with their episodes on disk.

    :param rows: of ``rows.expand``; ``selected`` are those to execute, by default all.
    :param episodes: starts per task, by default those of the grid.
    :param untrained: by checkpoint, why the grid could not train it.
    """

    def __init__(self, grid: Grid, rows: list[Row], out_dir: str | Path,
                 selected: list[Row] | None = None, episodes: int | None = None,
                 untrained: Mapping[str, str] | None = None):
        """Read the finished episodes; nothing is written."""
        self.grid, self.rows = grid, rows
        self.selected = rows if selected is None else selected
        self.out_dir = Path(out_dir)
        self.num_episodes = episodes or grid.episodes
        self._untrained = untrained or {}
        self._runs: dict[str, RowRun] = {}
        self._of_row: dict[int, list[RowRun]] = {}
        self._starts = {
            name: starts_of(task.maze, min(self.num_episodes, task.episodes or self.num_episodes),
                            grid.seed, task.multi_goal, task.robot)
            for name, task in grid.tasks.items()}
        for row in rows:
            self._of_row[id(row)] = [self._run(row.task, specification)
                                     for specification in row.specifications]

    def of(self, row: Row) -> list[RowRun]:
        """Return the runs of a row, one for every training seed."""
        return self._of_row[id(row)]

    def failure(self, row: Row) -> str | None:
        """Return why a row could not run, None if it could."""
        reasons = [row.error, *(run.failure for run in self.of(row))]
        return '; '.join(dict.fromkeys(reason for reason in reasons if reason)) or None

    def unfinished(self) -> list[RowRun]:
        """Return the selected runs that lack episodes, in the order of the rows."""
        runs = {run.key: run for row in self.selected for run in self.of(row) if run.missing()}
        return list(runs.values())

    def counts(self) -> tuple[int, int]:
        """Return how many episodes of the selected rows are finished and how many missing."""
        runs = {run.key: run for row in self.selected for run in self.of(row)}.values()
        return (sum(len(run.episodes) for run in runs), sum(len(run.missing()) for run in runs))

    def seconds_left(self, runs: Iterable[RowRun]) -> float:
        """
        Return the expected seconds of what is missing in these runs, on one core.

        A run without episodes costs its guess, times what all finished episodes took as a multiple
        of their guesses.
        """
        spent = {key: sum(episode['seconds'] for episode in run.episodes.values())
                 for key, run in self._runs.items() if run.episodes}
        guessed = sum(len(self._runs[key].episodes) * self._runs[key].guessed_s for key in spent)
        slowness = sum(spent.values()) / guessed if guessed else 1.0
        return sum(len(run.missing()) * (spent[run.key] / len(run.episodes) if run.episodes
                                         else slowness * run.guessed_s) for run in runs)

    def execute(self, engine: Engine,
                on_episode: Callable[[RowRun, dict | None], None] = lambda run, episode: None
                ) -> None:
        """
        Run the missing episodes of the selected rows.

        A run that fails keeps its reason in ``failure`` and stops no other. On a KeyboardInterrupt
        the jobs end and it is raised again; finished episodes are kept.

        :param on_episode: called with every finished episode, and with None for a failure.
        :raises ConfigError: if another process works in the same folder.
        """
        unfinished = {run.key: run for run in self.unfinished()}
        if not unfinished:
            return
        jobs = [job for run in unfinished.values() for job in _jobs(run)]
        with locked(self.out_dir), ExitStack() as journals, \
                closing(engine.outcomes(jobs)) as outcomes:
            opened = {}
            for job, outcome in outcomes:
                run = unfinished[job.group]
                if isinstance(outcome, Exception):
                    run.failure = reason(outcome)
                    on_episode(run, None)
                    continue
                if run.key not in opened:
                    opened[run.key] = journals.enter_context(
                        Journal(run.path, run.identity, resume=True))
                episode = {'record': outcome['record'], 'seconds': outcome['seconds'],
                           'code': code_revision(), **_start(run, outcome['record'])}
                if is_shown(run.specification.maze, outcome['record']):
                    episode['sketch'] = outcome['sketch']
                opened[run.key].add(episode)
                run.episodes[episode['record']['episode']] = episode
                on_episode(run, episode)

    def _run(self, task: str, specification: Specification) -> RowRun:
        """Return the run of a specification, the same one for all rows that share it."""
        config = self.grid.tasks[task]
        failure = None
        try:
            identity = identity_of(specification)
        except CheckpointError as error:
            identity = {'missing': repr(specification)}
            failure = self._untrained.get(specification.checkpoint, reason(error))
        identity = {**identity, **facts_of(config.maze, ROBOTS[config.robot].signals.dt_s),
                    'starts_seed': self.grid.seed, 'multi_goal': config.multi_goal}
        key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
        if key not in self._runs:
            run = RowRun(specification, identity, self._starts[task],
                         self.out_dir / EPISODES_FOLDER / f'{key}.jsonl', failure=failure)
            run.episodes = {
                index: episode for index, episode in sorted(
                    read_episodes(run.path, identity).items())
                if index < len(run.starts) and _is_of(episode, run.starts, index)}
            self._runs[key] = run
        return self._runs[key]


def _start(run: RowRun, record: dict) -> dict:
    """Return the start of an episode; the record has it in the axes of users."""
    index = record['episode']
    return {'state': run.starts.state[index].tolist(), 'goal': run.starts.goal[index].tolist()}


def _is_of(episode: dict, starts: Starts, index: int) -> bool:
    """Tell whether an episode began at this start; older ones do not say it themselves."""
    record = episode['record']
    return (episode.get('state', record['start']) == starts.state[index].tolist()
            and episode.get('goal', record['goal']) == starts.goal[index].tolist())


def _jobs(run: RowRun) -> list[Job]:
    return [Job(run.key, run_episode, (run.specification, run.identity, index,
                                       run.starts.state[index], run.starts.goal[index]),
                num_gpus=int(run.specification.device == 'cuda')) for index in run.missing()]


def guessed_seconds(specification: Specification) -> float:
    """Return a rough guess of the seconds of one episode on one core."""
    dt_s = ROBOTS[specification.robot].signals.dt_s
    steps = facts_of(specification.maze, dt_s)['steps'] or RANDOM_PLACE_S / dt_s
    if specification.policy == 'controller':
        return steps * STEP_S
    settings = specification.planner_settings
    calls = settings.sampling_steps
    if settings.schedule == 'autoregressive':
        calls *= TOKENS
    elif settings.schedule == 'pyramid':
        calls += TOKENS * settings.uncertainty_scale
    if settings.guidance_scale > 0.0:
        mcg = settings.schedule != 'full_sequence'
        calls *= GRADIENT_CALLS * (settings.guidance_samples if mcg else 1)
    moving = 1.0 if specification.execution == 'raw' else MOVING_SHARE
    plans = moving * steps * dt_s / specification.replan_interval_s
    samples = settings.num_samples
    later = min(REPLAN_SAMPLES, samples) if settings.pin_goal else samples
    return steps * STEP_S + SAMPLE_CALL_S * calls * (samples + max(plans - 1.0, 0.0) * later)
