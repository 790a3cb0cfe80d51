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

A search on the map gives the way (see ``route.py``). Its first part, as far as one window of the
model reaches, is diffused in the frame of the robot: every candidate of a batch has its own number
of tokens; its first state is pinned to where the robot is, its positions are known from the way
with an error, and at the goal the last one is pinned, with ``pin_goal``. Batches of short horizons
are denoised before those of longer ones, until one holds a candidate that passes the checks; the
candidate that arrives first is the plan. Longer plans are diffused piece after piece.
"""

from collections.abc import Callable
from copy import copy
from dataclasses import replace
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from df_planner.data.frames import Frame
from df_planner.diffusion.denoiser import Network
from df_planner.diffusion.runtime.backends import on_backend
from df_planner.diffusion.runtime.names import Backend
from df_planner.errors import ConfigError
from df_planner.errors import DFPlannerError
from df_planner.errors import GoalOccupied
from df_planner.errors import GoalOutsideMap
from df_planner.errors import NoValidPlan
from df_planner.errors import PlanningTimeout
from df_planner.errors import StartOccupied
from df_planner.errors import StartOutsideMap
from df_planner.maps.grid import GridMap
from df_planner.maps.route import Way
from df_planner.model.checkpoint import load_checkpoint
from df_planner.model.checkpoint import ModelCard
from df_planner.planning.checks import Attempt
from df_planner.planning.checks import Checks
from df_planner.planning.checks import spread_about
from df_planner.planning.clock import Clock
from df_planner.planning.filtering import filtered_state
from df_planner.planning.horizons import ahead_m
from df_planner.planning.horizons import along
from df_planner.planning.horizons import BATCH_SIZES
from df_planner.planning.horizons import Candidates
from df_planner.planning.horizons import CRUISE
from df_planner.planning.horizons import Stretch
from df_planner.planning.plan import Plan
from df_planner.planning.plan import POSITION
from df_planner.planning.request import finite
from df_planner.planning.request import past_states
from df_planner.planning.request import refuse_blocked
from df_planner.planning.request import Request
from df_planner.planning.request import reward_in
from df_planner.planning.request import Task
from df_planner.planning.request import whole
from df_planner.planning.request import whole_tokens
from df_planner.planning.rewards import build_guidance
from df_planner.planning.rewards import Goal
from df_planner.planning.sampling import Sampling
from df_planner.planning.schedules import matrix_for
from df_planner.planning.search import search
from df_planner.planning.settings import PlannerSettings
from df_planner.planning.settings import settings_for
from df_planner.planning.tokens import Known
from df_planner.planning.tokens import tokens_of_steps
from df_planner.planning.tokens import TokenSpace
from df_planner.planning.ways import extended
from df_planner.planning.ways import joined
from df_planner.planning.ways import Routes


class Planner:
    """
    A trained model, the map, and how to plan with them.

    :param network: in evaluation mode; ``card`` is its model card.
    :param grid: the map; None plans without collision check.
    :param settings: may be replaced between plans.
    :ivar clock: of the latest request, also of one that failed.
    """

    def __init__(self, network: Network, card: ModelCard, grid: GridMap | None = None,
                 settings: PlannerSettings = PlannerSettings(), device: str = 'cpu'):
        self.network = network
        self.card = card
        self.map = grid
        self.settings = settings
        self.device = device
        self.clock = Clock()
        self.space = TokenSpace(card, device)
        self._routes = Routes()
        self._limits = {name: np.array(getattr(card.statistics, name))
                        for name in ('velocity_change', 'drift', 'max_speed')}
        self._fastest_mps = float(self._limits['max_speed'].max())
        self._most_mps2 = float(self._limits['velocity_change'].max()) / self.space.token_s

    @classmethod
    def load(cls, checkpoint: str | Path, device: str = 'cpu', grid: GridMap | None = None,
             settings: PlannerSettings | None = None, backend: Backend = 'auto') -> 'Planner':
        """
        Load a shipped model by name, or any checkpoint by path.

        :param device: ``cpu``, ``cuda`` or ``auto``.
        :param grid: the map; None plans straight to the goal, without collision check.
        :param settings: by default those for the robot in the model card.
        :param backend: what evaluates the network: ``torch``, ``onnxruntime``, ``cuda_graphs``, or
            ``auto``, the fastest of those that can.
        :raises CheckpointError: if the checkpoint is missing, broken or of another format.
        :raises ConfigError: if there is no such device, or the backend cannot run the model.
        """
        if device == 'auto':
            device = 'cuda' if torch.cuda.is_available() else 'cpu'
        elif device.startswith('cuda') and not torch.cuda.is_available():
            raise ConfigError(f'device {device}: there is no CUDA device; use cpu or auto')
        denoiser, card = load_checkpoint(checkpoint, device)
        try:
            network = on_backend(denoiser, backend, device)
        except (ImportError, RuntimeError) as error:
            reason = ' '.join(str(error).split())[:200]
            raise ConfigError(f'backend {backend} cannot run {checkpoint}: {reason}') from error
        return cls(network, card, grid, settings or settings_for(card.robot, card.robot_radius_m),
                   device)

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
        :param horizon: control steps to diffuse; None takes ``settings.horizon_steps``. One piece
            is as long as the model was trained for at most.
        :param seed: decides the noise; the same arguments give the same plan.
        :param request: way-points, a reward, a prefix and more, also as keywords:
            ``plan(state, goal, waypoints=...)``.
        :raises NoValidPlan: if no way leads to the goal, or if no candidate passes the checks and
            ``collision_check`` is on.
        :raises PlanningTimeout: if ``deadline_ms`` came first.
        :raises PlanningCancelled: if ``should_stop`` returned True.
        :raises DFPlannerError: InvalidInput, the errors of ``check_state`` and ``check_goal``, or
            ConfigError for a bad ``schedule_file``.
        """
        request = replace(request, **fields)
        self.start_clock()
        state, goal = self.check_state(state), self.check_goal(goal)
        waypoints = [] if request.waypoints is None else [*map(self.check_goal, request.waypoints)]
        steps = self.settings.horizon_steps if horizon is None else whole(horizon, 1, 'horizon')
        generator = generator_of(seed)
        state = self._filtered(state, request, generator)
        stops = np.array([*waypoints, goal])
        plan, stretch = self._piece(state, stops, steps, request, generator)
        while stretch.left_m > 0.0 and len(plan) <= steps:
            rest = replace(request, prefix=None, waypoints=None)
            stops = stops[stretch.way.stops_m > stretch.length_m]
            try:
                piece, stretch = self._piece(
                    plan.states[-1], stops, steps - len(plan) + 1, rest, generator)
            except NoValidPlan:
                break
            plan = joined(plan, piece)
        plan = replace(plan, goal=goal, timings=self.clock.timings,
                       network_calls=self.clock.network_calls)
        if stretch.left_m == 0.0:
            return plan
        return extended(plan, stretch.way, stretch.length_m, CRUISE * self._fastest_mps,
                        self.space.has_heading)

    def _piece(self, state: np.ndarray, stops: np.ndarray, steps: int, request: Request,
               generator: torch.Generator) -> tuple[Plan, Stretch]:
        """
        Diffuse the way over stops (W + 1, 2) as far as one window reaches.

        :param steps: of the longest plan, 0 = as long as the model was trained for.
        :returns: the plan, and which stretch of which way it covers.
        """
        space, settings = self.space, self.settings
        most = min(tokens_of_steps(steps, space.frame_stack) if steps else space.max_tokens,
                   space.max_tokens)
        prefix = whole_tokens(request.prefix, space.frame_stack, most, space.action_limits)
        look_m = ahead_m(most, space.token_s, self._fastest_mps)
        with self.clock.spending('route'):
            stretches = [Stretch.of(way, look_m) for way in self._routes.ways(
                self.map, settings.robot_radius_m, state[POSITION], stops, look_m)]
        best = stretches[0]
        frame = Frame.of(state, space.has_heading)
        local = self.seen_from(frame)
        ahead = [replace(each, way=Way(frame.points_in(each.way.points))) for each in stretches]
        passed = frame.points_in(stops[best.way.stops_m < best.length_m]).reshape(-1, 2)
        at_goal = len(stops) == 1 and best.way.length_m <= settings.goal_tolerance_m
        task = Task(frame.states_in(state[None])[0], passed, frame.points_in(stops[-1]),
                    max(2, len(prefix) // space.frame_stack + 1), most, at_goal, prefix, request)
        reward = request.reward and reward_in(frame, request.reward)
        try:
            sampling = local.sampling(most, generator, replace(request, reward=reward),
                                      Goal(frame.points_in(stops[0]), self._routes.to(stops[0])))
            batches = along(ahead, task, space, settings, self._fastest_mps, self._most_mps2)
            room_m = np.inf if local.map is None else min(
                local.map.clearance(each.points).min() for each in ahead)
            attempt, batch = search(batches, task, sampling, Checks(
                space, self._limits, local.map, settings, room_m))
            plan = self._with_uncertainty(attempt, batch, task, sampling)
        except DFPlannerError as error:
            raise error.moved(frame.points_out)
        return replace(plan, states=frame.states_out(plan.states), goal=stops[-1], candidates=[
            frame.states_out(states) for states in plan.candidates]
        ), stretches[batch.stretch[attempt.chosen]]

    def seen_from(self, frame: Frame) -> 'Planner':
        """Return a planner whose map, states and goals are those of a frame."""
        local = copy(self)
        local.map = self.map and self.map.seen_from(frame.origin, frame.matrix)
        return local

    def rollout(self, state: np.ndarray, horizon: int, num_samples: int = 8, seed: int = 0,
                should_stop: Callable[[], bool] = lambda: False) -> tuple[np.ndarray, np.ndarray]:
        """
        Return what the robot would do from a state on by its data, for any number of steps.

        The map plays no part, and nothing is checked or chosen. Settings of sampling apply.

        :param state: (S,) as for ``plan``.
        :param horizon: control steps H. Beyond one window of the model each roll-out goes on from
            its last state.
        :param num_samples: roll-outs N.
        :returns: states (N, H, S) and actions (N, H, A).
        :raises PlanningTimeout: if ``deadline_ms`` came first.
        :raises PlanningCancelled: if ``should_stop`` returned True.
        :raises DFPlannerError: as ``plan``.
        """
        self.start_clock()
        state = self.check_state(state)
        horizon, num_samples = whole(horizon, 1, 'horizon'), whole(num_samples, 1, 'num_samples')
        space, generator = self.space, generator_of(seed)
        window = (space.max_tokens - 1) * space.frame_stack
        states, actions = [np.repeat(state[None, None], num_samples, 0)], []
        for first in range(0, max(1, horizon - 1), window):
            now = states[-1][:, -1:]
            frame = Frame.of(now[:, 0], space.has_heading)
            tokens = max(2, tokens_of_steps(min(horizon - 1 - first, window), space.frame_stack))
            known = Known(space, np.full(num_samples, tokens))
            known.start(frame.states_in(now), *self.settings.state_noise_std if first == 0 else ())
            sampling = self.sampling(tokens, generator, Request(should_stop=should_stop))
            drawn = sampling.draw(known)
            moved = frame.states_out(space.states_of(drawn))
            states.append(moved if first == 0 else moved[:, 1:])
            actions.append(space.actions_of(drawn)[:, :window])
        return (np.concatenate(states[1:], 1)[:, :horizon],
                np.concatenate(actions, 1)[:, :horizon])

    def start_clock(self) -> None:
        """Start the clock of a request."""
        self.clock = Clock(self.settings.deadline_ms / 1e3 or math.inf)

    def sampling(self, most_tokens: int, generator: torch.Generator, request: Request,
                 goal: Goal | None = None) -> Sampling:
        """
        Return what samples trajectories, under the deadline of the clock.

        :param most_tokens: of the longest trajectory.
        :param generator: of the noise.
        :param goal: which guidance needs; without it there is none.
        :raises ConfigError: for a bad ``schedule_file``, or settings that do not fit the robot.
        :raises InvalidInput: for a bad schedule, or a reward without guidance.
        """
        matrix = matrix_for(self.settings, self.space.num_levels, most_tokens, request.schedule)
        guidance = None if goal is None else build_guidance(
            self.space, self.settings, self.map, goal, request.reward, generator)
        return Sampling(self.network, self.space, matrix, generator, self.settings.temperature,
                        self.clock, guidance, request.should_stop)

    def _filtered(self, state: np.ndarray, request: Request, generator: torch.Generator
                  ) -> np.ndarray:
        """Return what a state (S,) that is measured with noise may have been."""
        history = past_states(request.history, self.space.state_size)
        if not any(self.settings.state_noise_std):
            return state
        return filtered_state(self.sampling(self.space.max_tokens, generator, request), state,
                              history, self.settings.state_noise_std)

    def _with_uncertainty(self, attempt: Attempt, batch: Candidates, task: Task,
                          sampling: Sampling) -> Plan:
        """Return the plan, its uncertainty from samples of its own if they are asked for."""
        plan, samples = attempt.plan, self.settings.uncertainty_samples
        if samples == 0:
            return plan
        try:
            tokens = sampling.draw(batch.only(np.full(samples, attempt.chosen)).known(
                task, self.space, self.settings))
        except PlanningTimeout:
            return plan
        states = self.space.states_of(tokens)[:, :len(plan)]
        return replace(plan, uncertainty=spread_about(plan.states[:, POSITION],
                                                      states[..., POSITION]))


def generator_of(seed: int) -> torch.Generator:
    """Return a generator of noise on the CPU, the same for the same seed; InvalidInput."""
    return torch.Generator().manual_seed(whole(seed, 0, 'seed') % 2**64)
