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
Evaluation without ROS: a policy drives in simulation, episode by episode.

    specification = Specification(maze='medium', checkpoint='point')
    starts = sample_starts(load_place('medium'), episodes=100, seed=0)
    results = evaluate(specification, starts, out_dir='results/medium', workers=2)
"""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Set
from contextlib import closing
from dataclasses import replace
import hashlib
from pathlib import Path

from df_planner.evaluation.episodes import BASELINE_NAME
from df_planner.evaluation.episodes import identity_of
from df_planner.evaluation.episodes import run_episode
from df_planner.evaluation.episodes import Specification
from df_planner.evaluation.jobs import Engine
from df_planner.evaluation.jobs import Job
from df_planner.evaluation.jobs import LocalEngine
from df_planner.evaluation.journal import Journal
from df_planner.evaluation.protocol import save_starts
from df_planner.evaluation.protocol import Starts
from df_planner.evaluation.report import write_results
from df_planner.robots.kinds import ROBOTS
from df_planner.sim.map_place import load_place

JOURNAL_NAME = 'episodes.jsonl'
STARTS_NAME = 'starts.npz'


def evaluate(specification: Specification, starts: Starts, out_dir: str | Path, workers: int = 1,
             baseline: bool = True, resume: bool = False, facts: dict | None = None,
             on_episode: Callable[[dict], None] = lambda record: None) -> dict:
    """
    Run every episode, write and return the results, as ``report.write_results`` has them.

    A KeyboardInterrupt writes the report of the finished episodes and is raised again. Finished
    episodes are kept in ``out_dir/episodes.jsonl``, from where ``resume`` goes on.

    :param workers: processes; latencies are comparable only if each has a core of its own.
    :param baseline: run the way-point controller on the same starts too.
    :param facts: more entries for the meta data, for example the command line.
    :param on_episode: called with every record, as it is finished or taken from the journal.
    """
    place = load_place(specification.maze)
    starts.check_inside(place)
    engine = LocalEngine(workers)
    identity = {**identity_of(specification), 'starts_sha256': hashlib.sha256(
        starts.state.tobytes() + starts.goal.tobytes()).hexdigest()}
    depends_on = {
        **identity, 'layout': place.layout,
        'steps': place.episode_steps(ROBOTS[specification.robot].signals.dt_s)}
    out_dir = Path(out_dir)
    with Journal(out_dir / JOURNAL_NAME, identity, resume) as journal:
        save_starts(out_dir / STARTS_NAME, starts, place)

        def report(baseline_records: list[dict] | None = None) -> dict:
            episodes = journal.finished()
            meta = {**identity, **(facts or {}), 'workers': workers, 'episodes': len(starts),
                    'finished': len(episodes)}
            return write_results(
                out_dir, place, [episode['record'] for episode in episodes], meta,
                [episode['sketch'] for episode in episodes],
                baseline_records and {'name': BASELINE_NAME, 'episodes': baseline_records})

        for episode in journal.finished():
            on_episode(episode['record'])
        try:
            for episode in _run(specification, depends_on, starts, engine, set(journal.episodes)):
                journal.add({'record': episode['record'], 'sketch': episode['sketch']})
                on_episode(episode['record'])
            return report(_baseline(specification, depends_on, starts) if baseline else None)
        except KeyboardInterrupt:
            if journal.episodes:
                report()
            raise


def _run(specification: Specification, identity: dict, starts: Starts, engine: Engine,
         skip: Set[int] = frozenset()) -> Iterator[dict]:
    jobs = [Job('', run_episode,
                (specification, identity, episode, starts.state[episode], starts.goal[episode]))
            for episode in range(len(starts)) if episode not in skip]
    with closing(engine.outcomes(jobs)) as outcomes:
        for _, outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
            yield outcome


def _baseline(specification: Specification, identity: dict, starts: Starts) -> list[dict] | None:
    """Return the records of the baseline, None if it is what was evaluated anyway."""
    if specification.policy == 'controller':
        return None
    controller = replace(specification, policy='controller')
    return [episode['record'] for episode in _run(
        controller, {**identity, **identity_of(controller)}, starts, LocalEngine(1))]
