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
Odometry noise: the policy sees the truth plus Gaussian noise, the simulator is the truth.

The same starts are driven twice: with the noisy state pinned as if it were exact (level 0), and
pinned at the noise level that matches its noise, from where it is denoised with the rest of the
plan. That is the filter that comes with Diffusion Forcing. The noise of a control step is the same
for both, so what differs is the pin.
"""

from collections.abc import Callable

import numpy as np

from df_planner.benchmark.journal import Journal
from df_planner.benchmark.metrics import episode_record
from df_planner.benchmark.metrics import statistics
from df_planner.benchmark.protocol import sample_starts
from df_planner.planning.grid import GridMap
from df_planner.planning.planner import Planner
from df_planner.planning.settings import PlannerSettings
from df_planner.sim.maze import Maze
from df_planner.sim.world import World

ARMS = ('exact', 'matched')
MAX_DRAWS = 100
KEPT = ('episode', 'return', 'score', 'reached', 'first_reach_step', 'plans', 'failed_plans',
        'plan_execution_gap')


class NoisyOdometry:
    """
    What the robot believes: the truth plus noise of one standard deviation in m and in m/s.

    A planner refuses a start in an obstacle, and so would who fuses odometry with a map: a
    position there is drawn again, which ``redrawn`` counts. Step t has the same draws in every
    episode of the same seed.
    """

    def __init__(self, grid: GridMap, std: float, seed: tuple[int, ...]):
        """Start an episode."""
        self.redrawn = 0
        self._grid = grid
        self._std = std
        self._seed = seed
        self._step = 0

    def observe(self, state: np.ndarray) -> np.ndarray:
        """Return the state (4,) as it is seen; once per control step."""
        rng = np.random.default_rng([*self._seed, self._step])
        self._step += 1
        seen = state + self._std * rng.standard_normal(4)
        if self._grid.clearance(seen[:2]) > 0.0:
            return seen
        self.redrawn += 1
        draws = state[:2] + self._std * rng.standard_normal((MAX_DRAWS, 2))
        free = np.flatnonzero(self._grid.clearance(draws) > 0.0)
        seen[:2] = draws[free[0]] if len(free) else state[:2]
        return seen


def arm_settings(settings: PlannerSettings, arm: str, std: float) -> PlannerSettings:
    """Return the settings of an arm: ``matched`` knows the noise, ``exact`` assumes none."""
    told = std if arm == 'matched' else 0.0
    return PlannerSettings(**{**settings.model_dump(), 'position_noise_std_m': told,
                              'velocity_noise_std_mps': told})


def drive(planner: Planner, maze: Maze, execution: str, std: float, episode: int,
          start: np.ndarray, goal: np.ndarray, seed: int) -> dict:
    """
    Drive one episode of the maze's full length, as ``EpisodeRunner`` does.

    :returns: the fields ``KEPT`` of ``episode_record``, and ``redrawn_share`` of control steps.
    """
    policy = planner.policy(execution, seed=seed)
    odometry = NoisyOdometry(planner.map, std, (seed, episode))
    world = World(maze)
    world.set_state(start)
    policy.reset(goal)
    states, actions = [world.state], []
    for _ in range(maze.max_episode_steps):
        actions.append(policy.act(odometry.observe(states[-1])))
        states.append(world.step(actions[-1]))
    record = episode_record(maze, episode, start, goal, np.array(states), np.array(actions),
                            policy.plans, policy.planning_times_s)
    return {**{name: record[name] for name in KEPT},
            'redrawn_share': odometry.redrawn / maze.max_episode_steps}


def measure_noise(planner: Planner, maze: Maze, episodes: int, stds: tuple[float, ...],
                  executions: tuple[str, ...], seed: int, journal: Journal,
                  on_episode: Callable[[], None] = lambda: None) -> list[dict]:
    """
    Drive the same starts at every noise, with every execution and arm.

    :param stds: in m and in m/s; without noise both arms are the same and driven once.
    :param journal: keeps every finished drive at once; those that it holds are not driven again.
    :param on_episode: called after every drive, also for those that were there.
    :returns: per noise and execution, see ``summarize``, with the records by arm.
    """
    starts = sample_starts(maze, episodes, seed)
    before = planner.settings
    results = []
    index = 0
    for std in stds:
        for execution in executions:
            records = {}
            for arm in arms_at(std):
                planner.settings = arm_settings(before, arm, std)
                records[arm] = []
                for episode, (start, goal) in enumerate(zip(starts.state, starts.goal)):
                    if index not in journal.episodes:
                        journal.add({
                            'record': {'episode': index, 'noise_std': std, 'execution': execution,
                                       'arm': arm},
                            'drive': drive(planner, maze, execution, std, episode, start, goal,
                                           seed)})
                    records[arm].append(journal.episodes[index]['drive'])
                    index += 1
                    on_episode()
            results.append({'noise_std': std, 'execution': execution, **summarize(records),
                            'episodes': records})
    planner.settings = before
    return results


def arms_at(std: float) -> tuple[str, ...]:
    """Return the arms to drive at a noise."""
    return ARMS if std > 0.0 else ARMS[:1]


def summarize(records: dict[str, list[dict]]) -> dict:
    """
    Return statistics by arm and of their difference, start by start.

    :param records: by arm, episode by episode.
    :returns: by arm: ``score`` (the return in a maze without a reference), ``reached`` (share),
        ``failed_plans`` and ``redrawn_share``; and ``difference``: of matched less exact.
    """
    scores = {arm: [record['return'] if record['score'] is None else record['score']
                    for record in found] for arm, found in records.items()}
    summary = {arm: {
        'score': statistics(scores[arm]),
        'reached': float(np.mean([record['reached'] for record in found])),
        'failed_plans': float(np.mean([record['failed_plans'] for record in found])),
        'redrawn_share': float(np.mean([record['redrawn_share'] for record in found]))}
        for arm, found in records.items()}
    if len(records) == 2:
        summary['difference'] = statistics(np.subtract(scores['matched'], scores['exact']))
    return summary
