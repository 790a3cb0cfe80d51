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
candidate that arrives first is the plan.
"""

from collections.abc import Callable
from pathlib import Path
import time

import numpy as np
import torch

from df_planner.diffusion.denoiser import Denoiser
from df_planner.diffusion.guidance import Guidance
from df_planner.diffusion.noise import NoiseSchedule
from df_planner.diffusion.sampler import Cancelled
from df_planner.diffusion.sampler import Pins
from df_planner.diffusion.sampler import sample
from df_planner.diffusion.schedule import scheduling_matrix
from df_planner.errors import GoalOccupied
from df_planner.errors import GoalOutsideMap
from df_planner.errors import InvalidInput
from df_planner.errors import NoValidPlan
from df_planner.errors import PlanningCancelled
from df_planner.errors import StartOccupied
from df_planner.errors import StartOutsideMap
from df_planner.planning.grid import GridMap
from df_planner.planning.grid import maze_map
from df_planner.planning.plan import Plan
from df_planner.planning.rewards import build_guidance
from df_planner.planning.rewards import UserReward
from df_planner.planning.selection import complaint
from df_planner.planning.selection import interpolate
from df_planner.planning.selection import judge
from df_planner.planning.selection import spread
from df_planner.planning.selection import Verdict
from df_planner.planning.settings import PlannerSettings
from df_planner.training.checkpoint import load_checkpoint
from df_planner.training.checkpoint import ModelCard

POSITION, VELOCITY = 0, 1  # parts of a token
NEARBY_TOKENS = range(-3, 2)  # horizons tried around what is left of the previous plan
SAMPLES_PER_NEARBY_HORIZON = 2
SAMPLES_PER_BATCH = 8
STAY_TOKENS = range(3, 7)  # horizons of plans that start and end at the goal


class Planner:
    """
    A trained model, the map, and how to plan with them.

    :param denoiser: the trained network, in evaluation mode.
    :param card: its model card.
    :param grid: the map; None plans without collision check.
    :param settings: may be replaced between plans.
    """

    def __init__(self, denoiser: Denoiser, card: ModelCard, grid: GridMap | None = None,
                 settings: PlannerSettings = PlannerSettings(), device: str = 'cpu'):
        """Take the parts as they are; ``load`` finds them by name."""
        self.card = card
        self.map = grid
        self.settings = settings
        self.device = device
        self._denoiser = denoiser
        self._noise = NoiseSchedule(card.architecture.num_levels, device)
        mean, std = card.normalizer().token_moments(card.frame_stack)
        self._mean = torch.tensor(mean, dtype=torch.float32, device=device)
        self._std = torch.tensor(std, dtype=torch.float32, device=device)
        self._limits = {name: np.array(getattr(card.statistics, name))
                        for name in ('velocity_change', 'drift', 'max_speed')}

    @classmethod
    def load(cls, checkpoint: str | Path, device: str = 'cpu', grid: GridMap | None = None,
             settings: PlannerSettings = PlannerSettings()) -> 'Planner':
        """
        Load a shipped model by name, or any checkpoint by path.

        :param device: ``cpu``, ``cuda`` or ``auto``.
        :param grid: the map; by default that of the maze named in the model card.
        :raises CheckpointError: if the checkpoint is missing, broken or of another format.
        """
        if device == 'auto':
            device = 'cuda' if torch.cuda.is_available() else 'cpu'
        denoiser, card = load_checkpoint(checkpoint, device)
        if grid is None and card.maze is not None:
            grid = maze_map(card.maze)
        return cls(denoiser, card, grid, settings, device)

    def policy(self, execution: str = 'tracking', replan_interval_s: float = 0.25, seed: int = 0):
        """Return a ``Policy`` that plans, replans and acts (see ``planning/policy.py``)."""
        from df_planner.planning.policy import Policy
        return Policy(self, execution, replan_interval_s, seed)

    def warm_up(self) -> None:
        """Run the network once, so that the first plan is not slower than the others."""
        tokens = torch.zeros((2, self.card.architecture.max_tokens, len(self._mean)),
                             device=self.device)
        levels = torch.zeros((*tokens.shape[:2], len(self._denoiser.part_sizes)),
                             dtype=torch.long, device=self.device)
        with torch.inference_mode():
            self._denoiser(tokens, levels)

    def check_state(self, state: np.ndarray) -> np.ndarray:
        """Return the state as float64 (4,); InvalidInput, StartOutsideMap or StartOccupied."""
        state = _finite(state, 4, 'state')
        self._check_position(state[:2], 'start', StartOutsideMap, StartOccupied)
        return state

    def check_goal(self, goal: np.ndarray) -> np.ndarray:
        """Return the goal as float64 (2,); InvalidInput, GoalOutsideMap or GoalOccupied."""
        goal = _finite(goal, 2, 'goal')
        self._check_position(goal, 'goal', GoalOutsideMap, GoalOccupied)
        return goal

    def plan(self, state: np.ndarray, goal: np.ndarray, horizon: int | None = None, seed: int = 0,
             previous: Plan | None = None, rest_at_goal: bool = False,
             should_stop: Callable[[], bool] = lambda: False,
             waypoints: np.ndarray | None = None, reward: UserReward | None = None) -> Plan:
        """
        Plan from a state to a goal.

        :param state: (4,) position and velocity in the observation frame of the data.
        :param goal: (2,) position.
        :param horizon: longest plan in control steps; None takes ``settings.horizon_steps``.
        :param seed: decides the noise; the same arguments give the same plan.
        :param previous: what is left of the plan being executed: horizons near its own are tried
            first, which is much cheaper than trying them all.
        :param rest_at_goal: arrive with velocity zero, which takes longer; for who plays the
            actions as they are and cannot stop there by other means.
        :param should_stop: polled between network calls.
        :param waypoints: (W, 2) positions that guidance draws the plan through.
        :param reward: a term of guidance of one's own (see ``rewards.UserReward``).
        :raises NoValidPlan: if no candidate passes the checks and ``collision_check`` is on.
        :raises PlanningCancelled: if ``should_stop`` returned True.
        :raises DFPlannerError: the errors of ``check_state`` and ``check_goal``.
        """
        started = time.perf_counter()
        state, goal = self.check_state(state), self.check_goal(goal)
        generator = torch.Generator().manual_seed(seed)
        guidance = self._guidance(goal, waypoints, reward, generator)
        limit = self._max_tokens(horizon)
        at_goal = np.linalg.norm(state[:2] - goal) <= self.settings.goal_tolerance_m
        batches = self._all_horizons(state, goal, limit)
        if self.settings.pin_goal and at_goal:
            batches.insert(0, np.resize(STAY_TOKENS, self.settings.num_samples).clip(2, limit))
        elif self.settings.pin_goal and previous is not None:
            batches.insert(0, self._nearby_horizons(previous, limit))
        timings = {'network': 0.0, 'checks': 0.0}
        attempts: list[tuple[Plan, Verdict]] = []
        for lengths in batches:
            tokens = self._sample(state, goal, lengths, at_goal or rest_at_goal, generator,
                                  guidance, should_stop, timings)
            attempts.append(self._choose(tokens, lengths, goal, at_goal, guidance, timings))
            if attempts[-1][0].valid:
                break
        plan, _ = min(attempts, key=lambda attempt: attempt[1].failure.min())
        timings['total'] = time.perf_counter() - started
        plan.timings.update(timings)
        if not plan.valid and self.settings.collision_check:
            raise NoValidPlan(f'no valid plan from {state[:2].round(2)} to {goal.round(2)}: '
                              + complaint([verdict for _, verdict in attempts]))
        return plan

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
        longest = self.card.architecture.max_tokens
        if steps == 0:
            return longest
        return int(np.clip(-(-steps // self.card.frame_stack) + 1, 2, longest))

    def _all_horizons(self, state: np.ndarray, goal: np.ndarray, limit: int
                      ) -> list[np.ndarray]:
        """Return batches of token counts, from the fewest that could reach the goal upwards."""
        num_samples = self.settings.num_samples
        if not self.settings.pin_goal:
            return [np.full(num_samples, limit)]
        token_s = self.card.frame_stack * self.card.dt_s
        fastest_s = (np.abs(goal - state[:2]) / self._limits['max_speed']).max()
        fewest = min(max(2, int(np.ceil(fastest_s / token_s)) + 1), limit)
        counts = np.linspace(fewest, limit, num_samples).round().astype(int)
        return np.array_split(counts, -(-num_samples // SAMPLES_PER_BATCH))

    def _nearby_horizons(self, previous: Plan, limit: int) -> np.ndarray:
        """Return token counts (N,) around what is left of the previous plan."""
        left = -(-(len(previous) - 1) // self.card.frame_stack) + 1
        counts = np.unique(np.clip([left + d for d in NEARBY_TOKENS], 2, limit))
        return np.repeat(counts, SAMPLES_PER_NEARBY_HORIZON)

    def _guidance(self, goal, waypoints, reward, generator) -> Guidance | None:
        if waypoints is not None:
            waypoints = np.array([self.check_goal(point) for point in waypoints])
        guidance = build_guidance(
            self.settings, goal, self.map, self._mean, self._std,
            self.card.frame_stack * self.card.dt_s, waypoints, reward, generator)
        if guidance is None and not (waypoints is None and reward is None):
            raise InvalidInput('way-points and rewards act through guidance: '
                               'set guidance_scale above 0 or select_by to reward')
        return guidance

    def _sample(self, state, goal, lengths, rest, generator, guidance, should_stop,
                timings) -> np.ndarray:
        """Return sampled tokens (N, T, C) in physical units."""
        started = time.perf_counter()
        settings, architecture = self.settings, self.card.architecture
        batch, num_tokens, channels = len(lengths), int(lengths.max()), len(self._mean)
        values = torch.zeros((batch, num_tokens, channels))
        levels = torch.full((batch, num_tokens, len(architecture.part_sizes)),
                            architecture.num_levels)
        values[:, 0, :4] = torch.tensor(state, dtype=torch.float32)
        levels[:, 0, [POSITION, VELOCITY]] = 0
        if settings.pin_goal:
            rows, last = torch.arange(batch), torch.tensor(lengths - 1)
            values[rows, last, :2] = torch.tensor(goal, dtype=torch.float32)
            levels[rows, last, POSITION] = 0
            if rest:
                levels[rows, last, VELOCITY] = 0
        values = (values.to(self.device) - self._mean) / self._std
        noise = settings.temperature * torch.randn(values.shape, generator=generator)
        schedule = scheduling_matrix(settings.schedule, num_tokens, settings.sampling_steps,
                                     architecture.num_levels, settings.uncertainty_scale)
        try:
            tokens = sample(self._denoiser, self._noise, noise.to(self.device), schedule,
                            Pins(values, levels.to(self.device)),
                            torch.tensor(lengths, device=self.device), guidance, should_stop)
        except Cancelled:
            raise PlanningCancelled('planning was cancelled between two network calls') from None
        result = (tokens * self._std + self._mean).cpu().double().numpy()
        result[:, 0, :4] = state
        if settings.pin_goal:
            result[np.arange(batch), lengths - 1, :2] = goal
        timings['network'] += time.perf_counter() - started
        return result

    def _choose(self, tokens, lengths, goal, at_goal, guidance,
                timings) -> tuple[Plan, Verdict]:
        """Check the sampled tokens (N, T, C) and return the best as a plan."""
        started = time.perf_counter()
        frame_stack, dt_s = self.card.frame_stack, self.card.dt_s
        states = interpolate(tokens[..., :4], frame_stack, dt_s)
        verdict = judge(states, tokens[..., :4], lengths, goal, self._limits, self.map,
                        self.settings, frame_stack * dt_s)
        rewards = -verdict.arrival_steps * dt_s
        if guidance is not None and self.settings.select_by == 'reward':
            real = torch.arange(tokens.shape[1]) < torch.tensor(lengths)[:, None]
            rewards = guidance.physical_reward(
                torch.tensor(tokens, dtype=torch.float32, device=self.device),
                real.to(self.device)).cpu().double().numpy()
        rewards = np.where(verdict.valid, rewards, -np.inf)
        chosen = verdict.best(at_goal, rewards)
        actions = tokens[chosen, :, 4:].reshape(-1, 2).clip(-1.0, 1.0)
        steps = verdict.arrival_steps + 1
        plan = Plan(
            actions=actions[:steps[chosen]], states=states[chosen, :steps[chosen]], dt_s=dt_s,
            goal=goal, reward=float(rewards[chosen]), valid=bool(verdict.valid[chosen]),
            uncertainty=spread(states, verdict.arrival_steps, chosen),
            candidates=[s[:n] for s, n in zip(states, steps)], candidate_rewards=rewards)
        timings['checks'] += time.perf_counter() - started
        return plan, verdict


def _finite(value, size: int, what: str) -> np.ndarray:
    """Return ``value`` as float64 (size,), or raise InvalidInput."""
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f'{what} must be {size} numbers, got {value!r}') from error
    if array.shape != (size,):
        raise InvalidInput(f'{what} must have shape ({size},), got {array.shape}')
    if not np.isfinite(array).all():
        raise InvalidInput(f'{what} must be finite, got {array}')
    return array.copy()
