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
Evaluation without ROS: the policy drives the simulated maze in lockstep, episode by episode.

    specification = Specification(maze='medium', checkpoint='maze2d-medium')
    starts = sample_starts(load_maze('medium'), episodes=100, seed=0)
    results = evaluate(specification, starts, out_dir='results/medium', workers=2)

An episode depends on its start, its goal and the specification only: neither the number of workers
nor the order nor the speed of the machine changes a result.
"""

from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import as_completed
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
import hashlib
import multiprocessing
from pathlib import Path
import signal

import numpy as np
from pydantic import ValidationError

import df_planner
from df_planner.diffusion.runtime.names import BACKENDS
from df_planner.driving.executor import EXECUTIONS
from df_planner.driving.tracking import check_execution
from df_planner.errors import ConfigError
from df_planner.errors import DFPlannerError
from df_planner.evaluation.baseline import BASELINE_NAME
from df_planner.evaluation.baseline import ControllerPolicy
from df_planner.evaluation.journal import Journal
from df_planner.evaluation.metrics import episode_record
from df_planner.evaluation.picture import sketch
from df_planner.evaluation.protocol import save_starts
from df_planner.evaluation.protocol import Starts
from df_planner.evaluation.report import write_results
from df_planner.planning.settings import PlannerSettings
from df_planner.planning.settings import settings_for
from df_planner.robots.signals import Robot
from df_planner.robots.signals import SIGNALS
from df_planner.sim.maze import load_maze
from df_planner.sim.robots import simulated_robot

POLICIES = ('planner', 'controller')
JOURNAL_NAME = 'episodes.jsonl'
STARTS_NAME = 'starts.npz'


def check_simulated(robot: Robot | None, checkpoint: str | None) -> None:
    """Raise ConfigError for a robot that the simulator does not know."""
    if robot not in SIGNALS:
        raise ConfigError(
            f'checkpoint {checkpoint} is of a robot of no known kind: to simulate it, it must be '
            f'one of {", ".join(SIGNALS)}, which the names of its columns tell')


@dataclass(frozen=True)
class Specification:
    """
    What is evaluated, in plain values that travel to worker processes.

    :param maze: a shipped maze's name or a YAML file.
    :param policy: ``planner``, or ``controller`` for the baseline alone.
    :param checkpoint: of the planner, a shipped name or a path.
    :param execution: ``raw``, ``tracking`` or ``time_optimal``.
    :param replan_interval_s: control time between two plans.
    :param planner_seed: of the noise; the same in every episode, as it is for the planner node.
    :param device: ``cpu``, ``cuda`` or ``auto``.
    :param settings: fields of ``PlannerSettings`` that differ from the default.
    :param backend: what evaluates the network (see ``diffusion/runtime/backends.py``).
    :param robot: kind of the robot, which must be that of the checkpoint.
    """

    maze: str
    policy: str = 'planner'
    checkpoint: str | None = None
    execution: str = 'tracking'
    replan_interval_s: float = 0.25
    planner_seed: int = 0
    device: str = 'cpu'
    settings: dict = field(default_factory=dict)
    backend: str = 'auto'
    robot: str = 'point'

    def __post_init__(self):
        """Check every field, with one line for each fault."""
        check_simulated(self.robot, self.checkpoint)
        if self.policy not in POLICIES:
            raise ConfigError(f'policy must be one of {", ".join(POLICIES)}, got {self.policy!r}')
        if self.policy == 'planner' and not self.checkpoint:
            raise ConfigError('the planner needs a checkpoint: a shipped name or a path')
        if self.execution not in EXECUTIONS:
            raise ConfigError(f'execution must be one of {", ".join(EXECUTIONS)}, '
                              f'got {self.execution!r}')
        check_execution(self.robot, self.execution)
        if not 0.0 < self.replan_interval_s < float('inf'):
            raise ConfigError('replan_interval_s must be above 0 and finite, '
                              f'got {self.replan_interval_s}')
        if self.backend not in BACKENDS:
            raise ConfigError(f'backend must be one of {", ".join(BACKENDS)}, '
                              f'got {self.backend!r}')
        if self.planner_seed < 0:
            raise ConfigError(f'planner_seed must be 0 or more, got {self.planner_seed}')
        self.planner_settings()

    def planner_settings(self) -> PlannerSettings:
        """Return the settings of the planner; ConfigError for an unknown name or a bad value."""
        try:
            return settings_for(self.robot, SIGNALS[self.robot].robot_radius_m, **self.settings)
        except ValidationError as error:
            raise ConfigError('; '.join(
                f'planner setting {".".join(map(str, fault["loc"]))}: {fault["msg"]}, '
                f'got {fault["input"]!r}' for fault in error.errors())) from error


class EpisodeRunner:
    """One policy in one maze, built once and used for many episodes."""

    def __init__(self, specification: Specification):
        """Load the maze and the policy; CheckpointError if that fails."""
        self.maze = load_maze(specification.maze)
        robot = simulated_robot(specification.robot)
        self._signals = robot.signals
        self._world = robot.world(self.maze)
        if specification.policy == 'controller':
            self._policy = ControllerPolicy(robot, self.maze)
            return
        import torch

        from df_planner.planning.map import maze_map
        from df_planner.planning.planner import Planner
        torch.set_num_threads(1)  # sums, and so results, depend on the number of threads
        planner = Planner.load(specification.checkpoint, specification.device,
                               maze_map(specification.maze, robot.signals.observation_to_map),
                               specification.planner_settings(), specification.backend)
        if planner.card.robot != specification.robot:
            raise ConfigError(f'checkpoint {specification.checkpoint} is of a robot of the kind '
                              f'{planner.card.robot}, not {specification.robot}')
        planner.warm_up()
        self._policy = planner.policy(specification.execution, specification.replan_interval_s,
                                      specification.planner_seed)

    def run(self, episode: int, start: np.ndarray, goal: np.ndarray) -> dict:
        """
        Drive one episode of the maze's full length.

        :param start: (S,) and ``goal`` (2,) in the axes of the robot's states.
        :returns: ``record`` of ``episode_record`` and ``sketch`` for the picture.
        """
        steps = self.maze.max_episode_steps
        states = np.empty((steps + 1, self._signals.observation_size))
        actions = np.empty((steps, self._signals.action_size))
        self._world.set_state(start)
        self._policy.reset(goal)
        states[0] = self._world.state
        for step in range(steps):
            actions[step] = self._policy.act(states[step])
            states[step + 1] = self._world.step(actions[step])
        plans = self._policy.plans
        return {
            'record': episode_record(self.maze, episode, start, goal, states, actions, plans,
                                     self._policy.planning_times_s, self._signals),
            'sketch': sketch(states, plans, self._signals),
        }


def evaluate(
    specification: Specification,
    starts: Starts,
    out_dir: str | Path,
    workers: int = 1,
    baseline: bool = True,
    resume: bool = False,
    facts: dict | None = None,
    on_episode: Callable[[dict], None] = lambda record: None,
) -> dict:
    """
    Run every episode, write and return the results, as ``report.write_results`` has them.

    A KeyboardInterrupt writes the report of the finished episodes and is raised again; they are
    also in ``out_dir/episodes.jsonl``, from where ``resume`` goes on.

    :param out_dir: where the report goes.
    :param workers: processes; latencies are comparable only if each has a core of its own.
    :param baseline: run the way-point controller on the same starts too.
    :param facts: more entries for the meta data, for example the command line.
    :param on_episode: called with every record, as it is finished or taken from the journal.
    """
    maze = load_maze(specification.maze)
    starts.check_inside(maze)
    if workers < 1:
        raise ConfigError(f'workers must be 1 or more, got {workers}')
    identity = {**identity_of(specification), 'starts_sha256': hashlib.sha256(
        starts.state.tobytes() + starts.goal.tobytes()).hexdigest()}
    out_dir = Path(out_dir)
    with Journal(out_dir / JOURNAL_NAME, identity, resume) as journal:
        save_starts(out_dir / STARTS_NAME, starts)

        def report(baseline_records: list[dict] | None = None) -> dict:
            episodes = journal.finished()
            meta = {**identity, **(facts or {}), 'workers': workers, 'episodes': len(starts),
                    'finished': len(episodes)}
            return write_results(
                out_dir, maze, [episode['record'] for episode in episodes], meta,
                [episode['sketch'] for episode in episodes],
                baseline_records and {'name': BASELINE_NAME, 'episodes': baseline_records})

        for episode in journal.finished():
            on_episode(episode['record'])
        try:
            for episode in run_episodes(specification, starts, workers, set(journal.episodes)):
                journal.add(episode)
                on_episode(episode['record'])
            return report(_baseline(specification, starts) if baseline else None)
        except KeyboardInterrupt:
            if journal.episodes:
                report()
            raise


def run_episodes(specification: Specification, starts: Starts, workers: int = 1,
                 skip: set[int] = frozenset()) -> Iterator[dict]:
    """Yield the result of ``EpisodeRunner.run`` for every episode not skipped, as they finish."""
    jobs = [(episode, starts.state[episode], starts.goal[episode])
            for episode in range(len(starts)) if episode not in skip]
    if not jobs:
        return
    if workers == 1:
        runner = EpisodeRunner(specification)
        for job in jobs:
            yield runner.run(*job)
        return
    with worker_pool(min(workers, len(jobs)), _start_worker, specification) as pool:
        futures = [pool.submit(_run_in_worker, *job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise DFPlannerError('a worker process was killed, perhaps for lack of memory; '
                                 'try fewer workers') from error


def _baseline(specification: Specification, starts: Starts) -> list[dict] | None:
    """Return the records of the baseline, None if it is what was evaluated anyway."""
    if specification.policy == 'controller':
        return None
    controller = replace(specification, policy='controller')
    return [episode['record'] for episode in run_episodes(controller, starts)]


def identity_of(specification: Specification) -> dict:
    """Return everything but the starts that results depend on, JSON-able."""
    identity = asdict(specification)
    if specification.policy == 'controller':
        identity = {key: identity[key] for key in ('maze', 'policy', 'robot')}
    else:
        from df_planner.model.checkpoint import find_checkpoint
        weights = find_checkpoint(specification.checkpoint)
        identity['checkpoint_sha256'] = hashlib.sha256(weights.read_bytes()).hexdigest()
        identity['settings'] = specification.planner_settings().model_dump()
    identity['df_planner_version'] = df_planner.__version__
    return identity


@contextmanager
def worker_pool(workers: int, start_worker: Callable[..., None], *arguments: object
                ) -> Iterator[ProcessPoolExecutor]:
    """
    Start worker processes; on any error, Ctrl-C included, end them without waiting.

    :param start_worker: called with the arguments in every worker, once; it should leave Ctrl-C
        to the parent.
    """
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context('spawn'), start_worker,
                               arguments)
    try:
        yield pool
    except BaseException:
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


_worker: dict = {}


def _start_worker(specification: Specification) -> None:
    """Note what to run; Ctrl-C is for the parent, which ends the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker['specification'] = specification


def _run_in_worker(episode: int, start: np.ndarray, goal: np.ndarray) -> dict:
    """Run an episode; the runner is built here, so that its typed errors reach the parent."""
    if 'runner' not in _worker:
        _worker['runner'] = EpisodeRunner(_worker['specification'])
    return _worker['runner'].run(episode, start, goal)
