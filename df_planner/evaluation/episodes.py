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
One episode in the simulated maze: what is evaluated, and how it is driven, in lockstep.

An episode depends on its start, its goal and the specification only: neither the number of workers
nor the order nor the speed of the machine changes a result. The code that decides results is this
module and what it imports (``code_revision``).
"""

from copy import copy
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
from functools import cached_property
from functools import lru_cache
import hashlib
import json
import time
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ValidationError

import df_planner
from df_planner.configuration import faults
from df_planner.diffusion.runtime.names import BACKENDS
from df_planner.driving.executor import EXECUTIONS
from df_planner.driving.tracking import check_execution
from df_planner.errors import CheckpointError
from df_planner.errors import ConfigError
from df_planner.evaluation.metrics import episode_record
from df_planner.evaluation.metrics import is_reached
from df_planner.evaluation.picture import sketch
from df_planner.evaluation.places import first_episode
from df_planner.evaluation.places import place_name
from df_planner.maps.grid import GridMap
from df_planner.maps.map_file import load_map
from df_planner.planning.settings import PlannerSettings
from df_planner.planning.settings import settings_for
from df_planner.robots.kinds import POINT
from df_planner.robots.kinds import ROBOTS
from df_planner.sim.map_place import load_place
from df_planner.sim.place import Place
from df_planner.sim.robots import Controller
from df_planner.sim.robots import simulated_robot
from df_planner.sim.robots import SimulatedRobot

if TYPE_CHECKING:
    from df_planner.planning.planner import Planner

POLICIES = ('planner', 'route', 'controller')
BASELINE_NAME = 'waypoint controller'
LOADED = 4  # a process keeps so many planners and places: changing between rows is cheap


def check_simulated(robot: str | None, checkpoint: str | None) -> None:
    """Raise ConfigError if the simulator does not have this robot."""
    if robot not in ROBOTS:
        raise ConfigError(
            f'checkpoint {checkpoint}: its columns are those of no known robot; the simulator has '
            + ', '.join(ROBOTS))


@dataclass(frozen=True)
class Specification:
    """
    What is evaluated, in plain values that travel to worker processes.

    :param maze: a shipped maze's name, the YAML file of a maze or of a map, or ``unseen`` for
        random places.
    :param policy: ``planner``, ``route`` for the way on the map without a model, or
        ``controller`` for the baseline alone.
    :param checkpoint: of the planner, a shipped name or a path; a route takes its card.
    :param execution: ``raw``, ``tracking`` or ``time_optimal``.
    :param replan_interval_s: control time between two plans.
    :param planner_seed: of the noise; the same in every episode, as it is for the planner node.
    :param device: ``cpu``, ``cuda`` or ``auto``.
    :param settings: fields of ``PlannerSettings`` that differ from the default.
    :param backend: what evaluates the network (see ``diffusion/runtime/backends.py``).
    :param robot: kind of the robot, that of the checkpoint.
    :param planner_map: the YAML file of a map that is planned on instead of that of the place.
    :raises ConfigError: naming the field, its value and what is allowed.
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
    robot: str = POINT.name
    planner_map: str | None = None

    def __post_init__(self):
        check_simulated(self.robot, self.checkpoint)
        for name, allowed in (('policy', POLICIES), ('execution', EXECUTIONS),
                              ('backend', BACKENDS)):
            if getattr(self, name) not in allowed:
                raise ConfigError(f'{name} must be one of {", ".join(allowed)}, '
                                  f'got {getattr(self, name)!r}')
        if self.policy != 'controller' and not self.checkpoint:
            raise ConfigError(f'the {self.policy} needs a checkpoint: a shipped name or a path')
        if (self.policy, self.execution) == ('route', 'raw'):
            raise ConfigError('execution raw: a route has no actions to play; take tracking')
        check_execution(self.robot, self.execution)
        if not 0.0 < self.replan_interval_s < float('inf'):
            raise ConfigError('replan_interval_s must be above 0 and finite, '
                              f'got {self.replan_interval_s}')
        if self.planner_seed < 0:
            raise ConfigError(f'planner_seed must be 0 or more, got {self.planner_seed}')
        self.planner_settings  # noqa: B018  # checked here, where they come in, and only here

    @cached_property
    def planner_settings(self) -> PlannerSettings:
        """Return all settings of the planner; ConfigError for an unknown name or a bad value."""
        try:
            return settings_for(
                self.robot, ROBOTS[self.robot].signals.robot_radius_m, **self.settings)
        except ValidationError as error:
            raise ConfigError(faults(error, PlannerSettings.model_fields, lambda location:
                                     f'planner setting {".".join(map(str, location))}')) from error


class ControllerPolicy:
    """
    The baseline: the way-point controller that made the data, behind the interface of ``Policy``.

    It knows the place and learns nothing. Published planners reach about its score. The start of
    an episode seeds the jitter of its way-points, so that earlier episodes do not matter.
    """

    def __init__(self, robot: SimulatedRobot, place: Place):
        self.plans: list = []  # way-points have no states and actions
        self.planning_times_s: list[float] = []
        self._robot = robot
        self._place = place
        self._controller: Controller | None = None
        self._goal = np.zeros(2)

    def reset(self, goal: np.ndarray) -> None:
        """Start an episode towards ``goal`` (2,)."""
        self._goal = np.asarray(goal, dtype=np.float64)
        self._controller = None

    def act(self, state: np.ndarray) -> np.ndarray:
        """Return the action (A,) for this state (S,)."""
        if self._controller is None:
            entropy = np.frombuffer(np.asarray(state, np.float64).tobytes(), np.uint32)
            self._controller = self._robot.controller(self._place, np.random.default_rng(entropy))
        return np.array(self._controller.action(state, self._goal)[:-1])


class EpisodeRunner:
    """One policy in one place, built once for many episodes."""

    def __init__(self, specification: Specification, episode: int = 0):
        """Load the policy and the place of an episode; CheckpointError if that fails."""
        self.place = load_place(place_name(specification.maze, episode))
        robot = simulated_robot(specification.robot)
        self._signals = robot.signals
        self._world = robot.world(self.place)
        if specification.policy == 'controller':
            self._policy = ControllerPolicy(robot, self.place)
            return
        from df_planner.driving.policy import Policy
        planner = copy(_planner(specification.policy, specification.checkpoint,
                                _weights_sha256(specification.checkpoint), specification.device,
                                specification.backend))
        planner.map = _planned_on(specification, self.place).in_axes(
            robot.signals.observation_to_map)
        planner.settings = specification.planner_settings
        if planner.card.robot != specification.robot:
            raise ConfigError(f'checkpoint {specification.checkpoint} is for the robot '
                              f'{planner.card.robot}, not for {specification.robot}')
        self._policy = Policy(planner, specification.execution, specification.replan_interval_s,
                              specification.planner_seed)

    def run(self, episode: int, start: np.ndarray, goal: np.ndarray) -> dict:
        """
        Drive one episode: to its goal on a map, of the full length in a maze.

        :param start: (S,) and ``goal`` (2,) in the axes of the robot's states.
        :returns: ``record`` of ``episode_record`` and ``sketch`` for the picture.
        """
        steps = self.place.episode_steps(self._signals.dt_s)
        states = np.empty((steps + 1, self._signals.observation_size))
        actions = np.empty((steps, self._signals.action_size))
        self._world.set_state(start)
        self._policy.reset(goal)
        states[0] = self._world.state
        touches, in_contact = 0, False
        for step in range(steps):
            actions[step] = self._policy.act(states[step])
            states[step + 1] = self._world.step(actions[step])
            touches += self._world.in_contact and not in_contact
            in_contact = self._world.in_contact
            if self.place.ends_at_goal and is_reached(states[step + 1], goal):
                states, actions = states[:step + 2], actions[:step + 1]
                break
        plans = self._policy.plans
        record = episode_record(self.place, episode, start, goal, states, actions, plans,
                                self._policy.planning_times_s, self._signals,
                                touches if self.place.ends_at_goal else None)
        return {'record': record, 'sketch': sketch(states, plans, self._signals)}


def _planned_on(specification: Specification, place: Place) -> GridMap:
    return (place.grid if specification.planner_map is None
            else load_map(specification.planner_map))


def identity_of(specification: Specification) -> dict:
    """Return everything but the starts that results depend on, JSON-able."""
    identity = asdict(specification)
    if specification.policy == 'controller':
        identity = {key: identity[key] for key in ('maze', 'policy', 'robot')}
    else:
        identity['checkpoint_sha256'] = _weights_sha256(specification.checkpoint)
        identity['settings'] = specification.planner_settings.model_dump()
        if specification.planner_map is not None:
            identity['planner_map_sha256'] = load_map(specification.planner_map).sha256
    identity['df_planner_version'] = df_planner.__version__
    return identity


def run_episode(specification: Specification, identity: dict, episode: int, start: np.ndarray,
                goal: np.ndarray) -> dict:
    """
    Drive one episode in this process, which keeps its last few runners.

    :param identity: all that results depend on, ``identity_of`` included.
    :returns: of ``EpisodeRunner.run``, with its ``seconds``.
    :raises CheckpointError: if the checkpoint is no longer that of the identity.
    """
    first = first_episode(specification.maze, episode)
    runner = _runner(json.dumps(asdict(specification)), json.dumps(identity, sort_keys=True),
                     first)
    started = time.perf_counter()
    result = runner.run(episode, start, goal)
    return {**result, 'seconds': time.perf_counter() - started}


def _weights_sha256(checkpoint: str) -> str:
    from df_planner.model.checkpoint import find_checkpoint
    return hashlib.sha256(find_checkpoint(checkpoint).read_bytes()).hexdigest()


@lru_cache(LOADED)
def _runner(specification: str, identity: str, first_episode: int) -> EpisodeRunner:
    """Return the runner of the place of an episode; the texts are JSON."""
    fields = Specification(**json.loads(specification))
    now = json.loads(json.dumps(identity_of(fields)))
    if not now.items() <= json.loads(identity).items():
        raise CheckpointError(f'{fields.checkpoint}: changed since this evaluation began')
    return EpisodeRunner(fields, first_episode)


@lru_cache(LOADED)
def _planner(policy: str, checkpoint: str, weights_sha256: str, device: str, backend: str
             ) -> 'Planner':
    """Return a planner that is ready, whatever its map and its settings."""
    import torch

    from df_planner.evaluation.route_planner import RoutePlanner
    from df_planner.planning.planner import Planner
    torch.set_num_threads(1)  # sums, and so results, depend on the number of threads
    planner = (RoutePlanner if policy == 'route' else Planner).load(
        checkpoint, device, backend=backend)
    planner.warm_up()
    return planner
