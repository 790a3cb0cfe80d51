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
The planner: from a state and a goal to a plan of variable horizon.

Every candidate of a batch has its own number of tokens; its first state is pinned to where the
robot is and, with ``pin_goal``, its last position to the goal. Batches of short horizons are
denoised before those of longer ones, until one holds a candidate that passes the checks; the
candidate that arrives first is the plan. If none does, the best are refined (see ``search.py``).
Horizons longer than the model was trained for slide (see ``sampling.py``).
"""

from collections.abc import Callable
from copy import copy
from dataclasses import replace
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from df_planner.data.frames import DATA
from df_planner.data.frames import Frame
from df_planner.diffusion.denoiser import Network
from df_planner.diffusion.runtime.backends import on_backend
from df_planner.diffusion.runtime.names import Backend
from df_planner.errors import ConfigError
from df_planner.errors import DFPlannerError
from df_planner.errors import GoalOccupied
from df_planner.errors import GoalOutsideMap
from df_planner.errors import InvalidInput
from df_planner.errors import PlanningTimeout
from df_planner.errors import StartOccupied
from df_planner.errors import StartOutsideMap
from df_planner.maps.grid import GridMap
from df_planner.model.arrival import ArrivalTime
from df_planner.model.checkpoint import load_arrival_time
from df_planner.model.checkpoint import load_checkpoint
from df_planner.model.checkpoint import ModelCard
from df_planner.planning.checks import Attempt
from df_planner.planning.checks import Checks
from df_planner.planning.checks import spread_about
from df_planner.planning.clock import Clock
from df_planner.planning.filtering import filtered_state
from df_planner.planning.horizons import along
from df_planner.planning.horizons import BATCH_SIZES
from df_planner.planning.horizons import Candidates
from df_planner.planning.horizons import diffused_m
from df_planner.planning.horizons import horizons
from df_planner.planning.plan import OTHERS
from df_planner.planning.plan import Plan
from df_planner.planning.plan import POSITION
from df_planner.planning.request import finite
from df_planner.planning.request import past_states
from df_planner.planning.request import refuse_blocked
from df_planner.planning.request import Request
from df_planner.planning.request import seen_from
from df_planner.planning.request import Task
from df_planner.planning.request import whole
from df_planner.planning.request import whole_tokens
from df_planner.planning.rewards import build_guidance
from df_planner.planning.route import extended
from df_planner.planning.route import Routes
from df_planner.planning.route import Way
from df_planner.planning.sampling import Sampling
from df_planner.planning.schedules import matrix_for
from df_planner.planning.search import Search
from df_planner.planning.settings import PlannerSettings
from df_planner.planning.settings import settings_for
from df_planner.planning.tokens import Known
from df_planner.planning.tokens import tokens_of_steps
from df_planner.planning.tokens import TokenSpace
from df_planner.sim.maze import maze_map


class Planner:
    """
    A trained model, the map, and how to plan with them.

    :param network: in evaluation mode; ``card`` is its model card.
    :param grid: the map; None plans without collision check.
    :param settings: may be replaced between plans.
    :param arrival_time: the network that tells which horizons to try first.
    :ivar clock: of the latest request, also of one that failed.
    """

    def __init__(self, network: Network, card: ModelCard, grid: GridMap | None = None,
                 settings: PlannerSettings = PlannerSettings(), device: str = 'cpu',
                 arrival_time: ArrivalTime | None = None):
        self.network = network
        self.card = card
        self.map = grid
        self.settings = settings
        self.device = device
        self.clock = Clock()
        self.space = TokenSpace(card, device)
        self._arrival_time = arrival_time
        self._routes = Routes()
        self._limits = {name: np.array(getattr(card.statistics, name))
                        for name in ('velocity_change', 'drift', 'max_speed')}

    @classmethod
    def load(cls, checkpoint: str | Path, device: str = 'cpu', grid: GridMap | None = None,
             settings: PlannerSettings | None = None, backend: Backend = 'auto') -> 'Planner':
        """
        Load a shipped model by name, or any checkpoint by path.

        :param device: ``cpu``, ``cuda`` or ``auto``.
        :param grid: the map; by default that of the maze named in the model card.
        :param settings: by default those for the robot in the model card.
        :param backend: what evaluates the network: ``torch``, ``openvino``, ``cuda_graphs``, or
            ``auto``, the fastest of those that can.
        :raises CheckpointError: if the checkpoint is missing, broken or of another format.
        :raises ConfigError: if there is no such device, or the backend cannot run the model.
        """
        if device == 'auto':
            device = 'cuda' if torch.cuda.is_available() else 'cpu'
        elif device.startswith('cuda') and not torch.cuda.is_available():
            raise ConfigError(f'device {device}: there is no CUDA device; use cpu or auto')
        denoiser, card = load_checkpoint(checkpoint, device)
        if grid is None and card.maze is not None:
            grid = maze_map(card.maze, card.observation_to_map)
        try:
            network = on_backend(denoiser, backend, device)
        except (ImportError, RuntimeError) as error:
            reason = ' '.join(str(error).split())[:200]
            raise ConfigError(f'backend {backend} cannot run {checkpoint}: {reason}') from error
        return cls(network, card, grid, settings or settings_for(card.robot, card.robot_radius_m),
                   device, load_arrival_time(checkpoint))

    def warm_up(self) -> None:
        """Run the network and its gradient once, so that the first plans are no slower."""
        tokens = torch.zeros((2, self.space.max_tokens, len(self.space.mean)), device=self.device)
        levels = torch.zeros((*tokens.shape[:2], len(self.space.part_sizes)),
                             dtype=torch.long, device=self.device)
        lengths = torch.tensor([2, tokens.shape[1]], device=self.device)
        with torch.inference_mode():
            self.network(tokens, levels, lengths)
        self.network.with_pullback(tokens, levels, lengths)[1](tokens)
        self.network.prepare(BATCH_SIZES)

    def check_state(self, state: np.ndarray) -> np.ndarray:
        """Return the state as float64 (S,); InvalidInput, StartOutsideMap or StartOccupied."""
        state = finite(state, self.space.state_size, 'state')
        refuse_blocked(state[POSITION], self.map, 'start', StartOutsideMap, StartOccupied)
        return state

    def check_goal(self, goal: np.ndarray) -> np.ndarray:
        """Return the goal as float64 (2,); InvalidInput, GoalOutsideMap or GoalOccupied."""
        goal = finite(goal, 2, 'goal')
        refuse_blocked(goal, self.map, 'goal', GoalOutsideMap, GoalOccupied)
        return goal

    def plan(self, state: np.ndarray, goal: np.ndarray, horizon: int | None = None, seed: int = 0,
             request: Request = Request(), **fields: Any) -> Plan:
        """
        Plan from a state to a goal.

        :param state: (S,) position, velocity and what else is observed, in the axes of the data.
        :param goal: (2,) position.
        :param horizon: longest plan in control steps, also beyond what the model was trained for;
            None takes ``settings.horizon_steps``.
        :param seed: decides the noise; the same arguments give the same plan.
        :param request: way-points, a reward, the previous plan and more, also as keywords:
            ``plan(state, goal, waypoints=...)``.
        :raises NoValidPlan: if no candidate passes the checks and ``collision_check`` is on.
        :raises PlanningTimeout: if ``deadline_ms`` came first.
        :raises PlanningCancelled: if ``should_stop`` returned True.
        :raises DFPlannerError: InvalidInput, the errors of ``check_state`` and ``check_goal``, or
            ConfigError for a bad ``schedule_file``.
        """
        request = replace(request, **fields)
        if self.card.relative:
            return self._plan_along(state, goal, horizon, seed, request)
        task, sampling = self._task(state, goal, horizon, seed, request)
        return self._search(task, sampling, horizons(
            task, self._arrival_s(task.state, *task.stops), self.settings, self.space,
            self._limits['max_speed']))

    def _plan_along(self, state, goal, horizon, seed, request: Request) -> Plan:
        """Plan along the way on the map, in the frame of the robot."""
        state, goal = self.check_state(state), self.check_goal(goal)
        stops = [] if request.waypoints is None else [*map(self.check_goal, request.waypoints)]
        way = self._routes.way(self.map, self.settings.robot_radius_m, state[POSITION], *stops,
                               goal)
        fastest_mps = float(self._limits['max_speed'].max())
        length_m = diffused_m(way, self.space, fastest_mps)
        frame = Frame.of(state, self.space.has_heading)
        ahead = Way(frame.points_in(way.points))
        local = self.seen_from(frame)
        try:
            task, sampling = local._task(frame.states_in(state[None])[0], ahead.at(length_m),
                                         horizon, seed, seen_from(frame, request))
            plan = local._search(task, sampling, along(
                ahead, length_m, self.space, fastest_mps, task))
        except DFPlannerError as error:
            raise error.moved(frame.points_out)
        finally:
            self.clock = local.clock
        plan = replace(plan, states=frame.states_out(plan.states), goal=goal, candidates=[
            frame.states_out(states) for states in plan.candidates])
        return plan if length_m == way.length_m else extended(
            plan, way, length_m, self.space.has_heading)

    def seen_from(self, frame: Frame) -> 'Planner':
        """Return a planner whose map, states and goals are those of a frame."""
        local = copy(self)
        local.map = self.map and self.map.seen_from(frame.origin, frame.matrix)
        return local

    def _search(self, task: Task, sampling: Sampling, stages: list[list[Candidates]]) -> Plan:
        """Try batches of candidates, stage by stage, and return the plan."""
        checks = Checks(self.space, self._limits, self.map, self.settings)
        search = Search(stages, self.settings)
        timeout = None
        try:
            for batch in search.batches():
                known = batch.known(task, self.space, self.settings)
                tokens = sampling.draw(known, batch.wide)
                with self.clock.spending('checks'):
                    search.attempts.append(
                        checks.attempt(tokens, batch.lengths, task, sampling.guidance))
        except PlanningTimeout as error:
            timeout = error
        best = search.best
        if best is None or not best.plan.valid and self.settings.collision_check:
            raise search.failure(task, timeout)
        return replace(best.plan, uncertainty=self._uncertainty(best, task, sampling),
                       timings=self.clock.timings, network_calls=self.clock.network_calls,
                       batches=len(search.attempts))

    def rollout(self, state: np.ndarray, horizon: int, num_samples: int = 8, seed: int = 0,
                goal: np.ndarray | None = None,
                should_stop: Callable[[], bool] = lambda: False) -> tuple[np.ndarray, np.ndarray]:
        """
        Return what the robot would do from a state on by its data, for any number of steps.

        Nothing is checked or chosen. Settings of sampling apply; those of guidance and
        ``pin_goal`` too if there is a goal.

        :param state: (S,) as for ``plan``.
        :param horizon: control steps H.
        :param num_samples: roll-outs N.
        :param goal: (2,) position at the end.
        :returns: states (N, H, S) and actions (N, H, A).
        :raises PlanningTimeout: if ``deadline_ms`` came first.
        :raises PlanningCancelled: if ``should_stop`` returned True.
        :raises DFPlannerError: as ``plan``.
        """
        state = self.check_state(state)
        stops = np.array([] if goal is None else [self.check_goal(goal)])
        frame = Frame.of(state, self.space.has_heading) if self.card.relative else DATA
        local = self.seen_from(frame)
        horizon, num_samples = whole(horizon, 1, 'horizon'), whole(num_samples, 1, 'num_samples')
        num_tokens = max(2, tokens_of_steps(horizon - 1, self.space.frame_stack))
        if self.card.relative and num_tokens > self.space.max_tokens:
            longest = (self.space.max_tokens - 1) * self.space.frame_stack + 1
            raise InvalidInput(f'horizon must be at most {longest} with this model, got {horizon}')
        sampling = local.sampling(num_tokens, seed, Request(should_stop=should_stop),
                                  frame.points_in(stops) if len(stops) else stops)
        self.clock = local.clock
        known = Known(self.space, np.full(num_samples, num_tokens))
        known.start(frame.states_in(state[None])[0], *self.settings.state_noise_std)
        if goal is not None and self.settings.pin_goal:
            known.end(frame.points_in(stops[-1]), rest=False)
        tokens = sampling.draw(known)
        return (frame.states_out(self.space.states_of(tokens)[:, :horizon]),
                self.space.actions_of(tokens)[:, :horizon])

    def sampling(self, most_tokens: int, seed: int, request: Request, stops: np.ndarray = ()
                 ) -> Sampling:
        """
        Start the clock of a request, and return what samples its trajectories.

        :param most_tokens: of the longest trajectory.
        :param stops: (W + 1, 2) way-points and goal, which guidance needs; without any there is no
            guidance.
        :raises ConfigError: for a bad ``schedule_file``, or settings that do not fit the robot.
        :raises InvalidInput: for a bad schedule, or way-points or a reward without guidance.
        """
        self.clock = Clock(self.settings.deadline_ms / 1e3 or math.inf)
        generator = torch.Generator().manual_seed(whole(seed, 0, 'seed') % 2**64)
        matrix = matrix_for(self.settings, self.space.num_levels,
                            min(most_tokens, self.space.max_tokens), request.schedule)
        guidance = build_guidance(self.space, self.settings, self.map, stops, request.reward,
                                  generator) if len(stops) else None
        return Sampling(self.network, self.space, matrix, generator, self.settings.temperature,
                        self.clock, guidance, request.should_stop)

    def _task(self, state, goal, horizon, seed, request: Request) -> tuple[Task, Sampling]:
        """Check what the caller asks for, and filter the state if it is noisy."""
        state, goal = self.check_state(state), self.check_goal(goal)
        way = [] if request.waypoints is None else [self.check_goal(p) for p in request.waypoints]
        stops = np.array([*way, goal])
        history = past_states(request.history, self.space.state_size)
        horizon = None if horizon is None else whole(horizon, 1, 'horizon')
        steps, frame_stack = horizon or self.settings.horizon_steps, self.space.frame_stack
        most = tokens_of_steps(steps, frame_stack) if steps else self.space.max_tokens
        prefix = whole_tokens(request.prefix, frame_stack, most, self.space.action_limits)
        sampling = self.sampling(most, seed, request, stops)
        if any(self.settings.state_noise_std):
            # Once for all: of candidates with a start of their own, the first to arrive would be
            # the one whose start is wrong by most.
            state = filtered_state(sampling, state, history, self.settings.state_noise_std)
        at_goal = not way and (
            np.linalg.norm(state[POSITION] - goal) <= self.settings.goal_tolerance_m)
        fewest = max(2, len(prefix) // frame_stack + 1)
        return Task(state, stops, fewest, most, at_goal, prefix, request), sampling

    def _arrival_s(self, state: np.ndarray, *stops: np.ndarray) -> float | None:
        """
        Return when the robot should arrive by the model, None if it was not trained for it.

        :param stops: (2,) positions one after the other, the goal last; the robot is assumed to
            rest at each of the others.
        """
        if self._arrival_time is None or not self.settings.predict_horizon:
            return None
        seconds = 0.0
        for stop in stops:
            seconds += self._arrival_time.median_s(state, stop, self.card.normalizer())
            state = np.concatenate([stop, np.zeros(2), state[OTHERS]])
        return seconds

    def _uncertainty(self, best: Attempt, task: Task, sampling: Sampling) -> np.ndarray:
        """Return the uncertainty (H,) of a plan, from samples of its own if there is time."""
        samples = self.settings.uncertainty_samples
        if samples == 0:
            return best.plan.uncertainty
        candidates = Candidates(np.full(samples, best.num_tokens))
        known = candidates.known(task, self.space, self.settings)
        try:
            states = self.space.states_of(sampling.draw(known))[:, :len(best.plan)]
        except PlanningTimeout:
            return best.plan.uncertainty
        return spread_about(best.plan.states[:, POSITION], states[..., POSITION])
