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
candidate that arrives first is the plan. If none does, the best are refined (see
``refinement.py``). Horizons longer than the model was trained for slide (see
``sliding.py``).
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
import math
from pathlib import Path

import numpy as np
import torch

from df_planner.diffusion.denoiser import Denoiser
from df_planner.diffusion.guidance import Guidance
from df_planner.diffusion.runtime.backends import on_backend
from df_planner.diffusion.runtime.names import Backend
from df_planner.errors import ConfigError
from df_planner.errors import GoalOccupied
from df_planner.errors import GoalOutsideMap
from df_planner.errors import InvalidInput
from df_planner.errors import NoValidPlan
from df_planner.errors import PlanningCancelled
from df_planner.errors import PlanningTimeout
from df_planner.errors import StartOccupied
from df_planner.errors import StartOutsideMap
from df_planner.model.arrival import ArrivalTime
from df_planner.model.checkpoint import load_arrival_time
from df_planner.model.checkpoint import load_checkpoint
from df_planner.model.checkpoint import ModelCard
from df_planner.planning.arguments import finite
from df_planner.planning.arguments import past_states
from df_planner.planning.arguments import whole_tokens
from df_planner.planning.checks import choose
from df_planner.planning.checks import spread_about
from df_planner.planning.clock import Clock
from df_planner.planning.filtering import filtered_state
from df_planner.planning.horizons import BATCH_SIZES
from df_planner.planning.horizons import horizons
from df_planner.planning.map import GridMap
from df_planner.planning.map import maze_map
from df_planner.planning.plan import Plan
from df_planner.planning.rewards import build_guidance
from df_planner.planning.rewards import UserReward
from df_planner.planning.sampling import Drawing
from df_planner.planning.schedules import matrix_for
from df_planner.planning.search import Search
from df_planner.planning.settings import PlannerSettings
from df_planner.planning.settings import settings_for
from df_planner.planning.tokens import TokenSpace
from df_planner.planning.tokens import what_is_known


class Planner:
    """
    A trained model, the map, and how to plan with them.

    :param denoiser: the trained network, in evaluation mode.
    :param card: its model card.
    :param grid: the map; None plans without collision check.
    :param settings: may be replaced between plans.
    :param arrival_time: the network that tells which horizons to try first.
    :ivar clock: of the latest request, also of one that failed.
    """

    def __init__(self, denoiser: Denoiser, card: ModelCard, grid: GridMap | None = None,
                 settings: PlannerSettings = PlannerSettings(), device: str = 'cpu',
                 arrival_time: ArrivalTime | None = None):
        """Take the parts as they are; ``load`` finds them by name."""
        self.card = card
        self.map = grid
        self.settings = settings
        self.device = device
        self.clock = Clock()
        self._denoiser = denoiser
        self._arrival_time = arrival_time
        self._space = TokenSpace(card, device)
        self._limits = {name: np.array(getattr(card.statistics, name))
                        for name in ('velocity_change', 'drift', 'max_speed')}

    @classmethod
    def load(cls, checkpoint: str | Path, device: str = 'cpu', grid: GridMap | None = None,
             settings: PlannerSettings | None = None, backend: Backend = 'auto'
             ) -> 'Planner':
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
            denoiser = on_backend(denoiser, backend, device)
        except (ImportError, RuntimeError) as error:
            reason = ' '.join(str(error).split())[:200]
            raise ConfigError(f'backend {backend} cannot run {checkpoint}: {reason}') from error
        return cls(denoiser, card, grid, settings or settings_for(card.robot, card.robot_radius_m),
                   device, load_arrival_time(checkpoint))

    def policy(self, execution: str = 'tracking', replan_interval_s: float = 0.25, seed: int = 0):
        """Return a ``Policy`` that plans, replans and acts (see ``driving/policy.py``)."""
        from df_planner.driving.policy import Policy
        return Policy(self, execution, replan_interval_s, seed)

    def warm_up(self) -> None:
        """Run the network in both directions, so that the first plans are no slower."""
        tokens = torch.zeros((2, self.card.architecture.max_tokens, len(self._space.mean)),
                             device=self.device)
        levels = torch.zeros((*tokens.shape[:2], len(self._space.part_sizes)),
                             dtype=torch.long, device=self.device)
        lengths = torch.tensor([2, tokens.shape[1]], device=self.device)
        with torch.inference_mode():
            self._denoiser(tokens, levels, lengths)
        self._denoiser.with_pullback(tokens, levels, lengths)[1](tokens)
        if not isinstance(self._denoiser, Denoiser):
            self._denoiser.prepare(BATCH_SIZES)

    def check_state(self, state: np.ndarray) -> np.ndarray:
        """Return the state as float64 (S,); InvalidInput, StartOutsideMap or StartOccupied."""
        state = finite(state, self._space.state_size, 'state')
        self._check_position(state[:2], 'start', StartOutsideMap, StartOccupied)
        return state

    def check_goal(self, goal: np.ndarray) -> np.ndarray:
        """Return the goal as float64 (2,); InvalidInput, GoalOutsideMap or GoalOccupied."""
        goal = finite(goal, 2, 'goal')
        self._check_position(goal, 'goal', GoalOutsideMap, GoalOccupied)
        return goal

    def plan(self, state: np.ndarray, goal: np.ndarray, horizon: int | None = None, seed: int = 0,
             previous: Plan | None = None, rest_at_goal: bool = False,
             should_stop: Callable[[], bool] = lambda: False,
             waypoints: np.ndarray | None = None, reward: UserReward | None = None,
             prefix: np.ndarray | None = None, schedule: np.ndarray | None = None,
             history: np.ndarray | None = None, faster: bool = False) -> Plan:
        """
        Plan from a state to a goal.

        :param state: (S,) position, velocity and what else is observed, in the axes of the data.
        :param goal: (2,) position.
        :param horizon: longest plan in control steps, also beyond what the model was trained for;
            None takes ``settings.horizon_steps``.
        :param seed: decides the noise; the same arguments give the same plan.
        :param previous: what is left of the plan being executed: horizons near its own are tried
            first, which is much cheaper than trying them all; with ``warm_start``, from it.
        :param rest_at_goal: arrive with velocity zero, which takes longer; for who plays the
            actions as they are and cannot stop there by other means. No warm start then: actions
            that are kept from plan to plan know nothing of where the robot has got to.
        :param should_stop: polled between network calls.
        :param waypoints: (W, 2) positions to pass on the way to the goal, each within
            ``goal_tolerance_m``. Guidance draws plans through them and knows no order; their order
            decides what horizon is expected. A detour may need a longer ``horizon`` than the model
            was trained for, and ``guidance_from`` 1, as it is decided early on.
        :param reward: a term of guidance of one's own (see ``rewards.UserReward``).
        :param prefix: (P, A) actions that will be executed while the plan is computed: its first
            ones. P must be a multiple of the model's ``frame_stack``.
        :param schedule: (M + 1, T) integer scheduling matrix instead of the settings', T at least
            the tokens of the longest plan, or of what the model was trained for if that is less;
            shorter plans take its first columns.
        :param history: (n, S) states before the present, ``frame_stack`` control steps apart and
            oldest first, measured with the noise of the settings; without noise it is not used.
        :param faster: draw candidates from pure noise, too, that arrive before ``previous``.
        :raises NoValidPlan: if no candidate passes the checks and ``collision_check`` is on.
        :raises PlanningTimeout: if ``deadline_ms`` came first.
        :raises PlanningCancelled: if ``should_stop`` returned True.
        :raises DFPlannerError: InvalidInput, the errors of ``check_state`` and ``check_goal``, or
            ConfigError for a bad ``schedule_file``.
        """
        clock = self.clock = Clock(self.settings.deadline_ms / 1e3 or math.inf)
        state, goal = self.check_state(state), self.check_goal(goal)
        history = past_states([] if history is None else history, self._space.state_size)
        generator = torch.Generator().manual_seed(seed)
        way = np.array([] if waypoints is None else [self.check_goal(p) for p in waypoints])
        stops = np.array([*way, goal])
        guidance = self._guidance(goal, way, reward, generator)
        fewest, limit = 2, self._max_tokens(horizon)
        drawing = self._drawing(limit, generator, guidance,
                                lambda: should_stop() or clock.is_over(), schedule)
        if prefix is not None:
            prefix = whole_tokens(prefix, self.card.frame_stack, limit,
                                  self._space.action_limits)
            fewest = max(2, len(prefix) // self.card.frame_stack + 1)
        if any(self._state_noise):
            # Once for all: of candidates with a start of their own, the first to arrive would be
            # the one whose start is wrong by most.
            state = filtered_state(drawing, state, history, self._state_noise)
        at_goal = len(way) == 0 and (
            np.linalg.norm(state[:2] - goal) <= self.settings.goal_tolerance_m)
        batches = horizons(state, stops, fewest, limit, at_goal, previous,
                           self._arrival_s(state, *stops), self.settings,
                           self._limits['max_speed'], self._space, faster)
        known = partial(what_is_known, self._space, self.settings, state=state, goal=goal,
                        rest=at_goal or rest_at_goal, prefix=prefix)
        search = Search(
            lambda batch: drawing.draw(known(
                batch.lengths, previous=None if rest_at_goal else batch.previous,
                drafts=batch.drafts), batch.wide),
            lambda tokens, lengths: choose(tokens, lengths, stops, at_goal, self._space,
                                           self._limits, self.map, self.settings, guidance),
            clock)
        rounds = self.settings.refine_rounds if self.settings.collision_check else 0
        search.run(batches, rounds, self.settings.anytime, should_stop)
        best = search.best
        if best is None or not best.plan.valid and self.settings.collision_check:
            raise (PlanningTimeout if search.is_late else NoValidPlan)(
                f'no valid plan from {state[:2].round(2)} to {goal.round(2)}: '
                + search.complaint())
        uncertainty = self._uncertainty(drawing, known, best, should_stop)
        return replace(best.plan, uncertainty=uncertainty, timings=clock.timings,
                       network_calls=clock.network_calls)

    def _arrival_s(self, state: np.ndarray, *stops: np.ndarray) -> float | None:
        """
        Return when the robot should arrive by the model, None if it was not trained for it.

        :param stops: (2,) positions one after the other, the goal last; the robot is taken to
            rest at all before it.
        """
        if self._arrival_time is None or not self.settings.predict_horizon:
            return None
        seconds = 0.0
        for stop in stops:
            seconds += self._arrival_time.median_s(state, stop, self.card.normalizer())
            state = np.concatenate([stop, np.zeros(2), state[4:]])
        return seconds

    def _uncertainty(self, drawing, known, best, should_stop) -> np.ndarray:
        """Return the uncertainty (H,) of a plan, from samples of its own if there is time."""
        samples = self.settings.uncertainty_samples
        if samples == 0:
            return best.plan.uncertainty
        try:
            tokens = drawing.draw(known(np.full(samples, best.num_tokens)))
        except PlanningCancelled:
            if should_stop():
                raise
            return best.plan.uncertainty
        return spread_about(best.plan.states[:, :2],
                            self._space.states_of(tokens)[:, :len(best.plan), :2])

    @property
    def _state_noise(self) -> tuple[float, float]:
        return self.settings.position_noise_std_m, self.settings.velocity_noise_std_mps

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
        :raises PlanningCancelled: if ``should_stop`` returned True.
        :raises DFPlannerError: the errors of ``check_state`` and ``check_goal``.
        """
        self.clock = Clock()
        state, goal = self.check_state(state), None if goal is None else self.check_goal(goal)
        if horizon < 1 or num_samples < 1:
            raise InvalidInput('horizon and num_samples must be 1 or more, '
                               f'got {horizon} and {num_samples}')
        generator = torch.Generator().manual_seed(seed)
        num_tokens = max(2, -(-(horizon - 1) // self.card.frame_stack) + 1)
        guidance = None if goal is None else self._guidance(goal, (), None, generator)
        tokens = self._drawing(num_tokens, generator, guidance, should_stop).draw(what_is_known(
            self._space, self.settings, np.full(num_samples, num_tokens), state, goal,
            state_noise=self._state_noise))
        return (self._space.states_of(tokens)[:, :horizon],
                self._space.actions_of(tokens)[:, :horizon])

    def _check_position(self, position, what, outside, occupied):
        if self.map is None:
            return
        if not self.map.contains(position):
            raise outside(f'{what} {position.round(3)} is outside the map')
        if self.map.clearance(position) <= 0.0:
            raise occupied(f'{what} {position.round(3)} is inside an obstacle')

    def _max_tokens(self, horizon: int | None) -> int:
        if horizon is not None and horizon < 1:
            raise InvalidInput(f'horizon must be 1 or more, got {horizon}')
        steps = horizon or self.settings.horizon_steps
        if steps == 0:
            return self.card.architecture.max_tokens
        return max(2, -(-steps // self.card.frame_stack) + 1)

    def _guidance(self, goal, way, reward, generator) -> Guidance | None:
        guidance = build_guidance(
            self.settings, goal, self.map, self._space.mean, self._space.std,
            self._space.token_s, way, reward, generator, self._space.num_levels,
            (self._space.state_size, len(self._space.action_limits)))
        if guidance is None and not (len(way) == 0 and reward is None):
            raise InvalidInput('way-points and rewards act through guidance: '
                               'set guidance_scale above 0 or select_by to reward')
        return guidance

    def _drawing(self, most_tokens, generator, guidance, should_stop, schedule=None) -> Drawing:
        window = min(most_tokens, self._space.max_tokens)
        matrix = matrix_for(self.settings, self._space.num_levels, window, schedule)
        return Drawing(self._denoiser, self._space, matrix, generator, self.settings.temperature,
                       guidance, should_stop, self.clock)
