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
The checks of sampled candidates, and the choice of the one that becomes the plan.

They work on whole batches in numpy, in physical units and in the observation frame of the data.
"""

from dataclasses import dataclass

import numpy as np
import torch

from df_planner.diffusion.guidance import Guidance
from df_planner.errors import At
from df_planner.maps.grid import GridMap
from df_planner.planning.horizons import Candidates
from df_planner.planning.plan import Plan
from df_planner.planning.plan import POSITION
from df_planner.planning.plan import VELOCITY
from df_planner.planning.request import Task
from df_planner.planning.settings import PlannerSettings
from df_planner.planning.tokens import TokenSpace

NUM_SIMILAR = 3  # candidates that the uncertainty of a plan is taken from


@dataclass(frozen=True)
class Verdict:
    """
    What the checks say about N candidates.

    :param arrival_steps: (N,) control step of arrival; the whole horizon if it never arrives.
    :param collision_m: (N,) deepest overlap with an obstacle beyond the tolerance, 0 if none.
    :param dynamics: (N,) largest ratio of a velocity change, drift or speed to its limit.
    :param goal_distance_m: (N,) distance from where each should end at the arrival step.
    :param stray_m: (N,) root mean square distance from the goal until then.
    :param missed_m: (N, W) distance at which each way-point is passed until then.
    :param waypoints: (W, 2) the way-points.
    :param valid: (N,) bool.
    """

    arrival_steps: np.ndarray
    collision_m: np.ndarray
    dynamics: np.ndarray
    goal_distance_m: np.ndarray
    stray_m: np.ndarray
    missed_m: np.ndarray
    waypoints: np.ndarray
    valid: np.ndarray

    @property
    def failure(self) -> np.ndarray:
        """How badly each candidate (N,) fails, 0 if it is valid."""
        failure = (self.collision_m / 0.1 + self.goal_distance_m
                   + np.maximum(self.dynamics - 1.0, 0.0) + 1e-9 + self.missed_m.sum(1))
        return np.where(self.valid, 0.0, np.nan_to_num(failure, nan=np.inf))

    def best(self, stay: bool, rewards: np.ndarray) -> int:
        """
        Return the valid candidate of the highest reward (N,), else the one that fails by least.

        With ``stay``, for a robot that is at the goal already, it is the valid one that strays
        least.
        """
        if self.valid.any():
            cost = self.stray_m if stay else -rewards
            return int(np.argmin(np.where(self.valid, cost, np.inf)))
        return int(np.argmin(self.failure))


def complaint(verdicts: list[Verdict]) -> list[str | At]:
    """Return how many candidates failed which check, as the parts of an error's message."""
    collision, dynamics, distance = (np.concatenate([getattr(v, name) for v in verdicts]) for name
                                     in ('collision_m', 'dynamics', 'goal_distance_m'))
    missed = np.concatenate([v.missed_m for v in verdicts]).min(0)
    parts: list[str | At] = [
        f'of {len(collision)} candidates {int((collision > 0.0).sum())} collide, '
        f'{int((dynamics > 1.0).sum())} exceed the dynamics seen in the data, '
        f'the nearest ends {distance.min():.2f} m from the goal']
    for point, distance in zip(verdicts[0].waypoints, missed):
        parts += ', the nearest passes way-point ', At(*point), f' at {distance:.2f} m'
    return parts


@dataclass(frozen=True)
class Attempt:
    """
    The best plan of one batch.

    :param verdict: what the checks say about the whole batch.
    :param chosen: index of the candidate that became the plan.
    """

    plan: Plan
    verdict: Verdict
    chosen: int


@dataclass(frozen=True)
class Checks:
    """
    Check the candidates of a request and choose the best of them.

    :param limits: ``velocity_change``, ``drift`` and ``max_speed`` (2,) seen in the data.
    :param grid: the map; None checks no collision.
    :param room_m: between the way, where it is narrowest, and obstacles.
    """

    space: TokenSpace
    limits: dict[str, np.ndarray]
    grid: GridMap | None
    settings: PlannerSettings
    room_m: float = np.inf

    def attempt(self, tokens: np.ndarray, batch: Candidates, task: Task,
                guidance: Guidance | None) -> Attempt:
        """
        Check a batch of candidates and return the best as a plan.

        :param tokens: (N, T, C) in physical units.
        :param guidance: with ``select_by`` reward, what candidates are ranked by.
        """
        space = self.space
        states = space.states_of(tokens)
        verdict = self.judge(states, tokens, batch, task.waypoints)
        rewards = -verdict.arrival_steps * space.dt_s - batch.left_s
        if guidance is not None and self.settings.select_by == 'reward':
            real = torch.arange(tokens.shape[1]) < torch.tensor(batch.lengths)[:, None]
            rewards = guidance.physical_reward(
                torch.tensor(tokens, dtype=torch.float32, device=space.device),
                real.to(space.device)).cpu().double().numpy()
        rewards = np.where(verdict.valid, rewards, -np.inf)
        chosen = verdict.best(task.at_goal, rewards)
        steps = verdict.arrival_steps + 1
        plan = Plan(
            actions=space.actions_of(tokens)[chosen, :steps[chosen]],
            states=states[chosen, :steps[chosen]], dt_s=space.dt_s, goal=task.goal,
            reward=float(rewards[chosen]), valid=bool(verdict.valid[chosen]),
            uncertainty=spread(states, verdict.arrival_steps, chosen,
                               batch.stretch == batch.stretch[chosen]),
            candidates=[s[:n] for s, n in zip(states, steps)], candidate_rewards=rewards)
        return Attempt(plan, verdict, chosen)

    def judge(self, states: np.ndarray, tokens: np.ndarray, batch: Candidates,
              waypoints: np.ndarray) -> Verdict:
        """
        Check N candidates.

        :param states: (N, H, S) at every control step.
        :param tokens: (N, T, C) in physical units, of which ``batch.lengths`` are real.
        :param waypoints: (W, 2) positions.
        """
        settings, frame_stack = self.settings, self.space.frame_stack
        positions, every = states[..., POSITION], np.arange(len(states))
        last_step = (batch.lengths - 1) * frame_stack
        step = np.arange(states.shape[1])
        missed = np.linalg.norm(positions[:, :, None] - waypoints, axis=-1)
        missed = np.minimum.accumulate(missed, axis=1)
        distance = np.linalg.norm(positions - batch.ends[:, None], axis=-1)
        if settings.pin_goal:
            arrival = last_step
        else:
            inside = (distance <= settings.goal_tolerance_m) & (step <= last_step[:, None])
            inside &= (missed <= settings.goal_tolerance_m).all(-1)
            arrival = np.where(inside.any(1), inside.argmax(1), last_step)
        goal_distance, missed = distance[every, arrival], missed[every, arrival]
        before = step <= arrival[:, None]
        stray = np.sqrt(np.where(before, distance**2, 0.0).sum(1) / (arrival + 1))
        collision = np.where(before, self._overlap(positions, batch.padded), 0.0).max(1)
        moves = np.arange(tokens.shape[1] - 1) * frame_stack < arrival[:, None]
        dynamics = np.where(moves, self._excess(tokens), 0.0).max(1)
        valid = (np.isfinite(states).all((1, 2)) & (collision == 0.0) & (dynamics <= 1.0)
                 & (goal_distance <= settings.goal_tolerance_m)
                 & (missed <= settings.goal_tolerance_m).all(1))
        return Verdict(arrival, collision, dynamics, goal_distance, stray, missed, waypoints,
                       valid)

    def _overlap(self, positions: np.ndarray, padded: float) -> np.ndarray:
        """
        Return by how many metres positions (N, H, 2) are too near to an obstacle, (N, H).

        :param padded: share of the padding that they should keep.
        """
        if self.grid is None:
            return np.zeros(positions.shape[:2])
        clearance, settings = self.grid.clearance(positions), self.settings
        radius_m, padding_m = settings.robot_radius_m, padded * settings.padding_m
        needed = np.clip(self.room_m, radius_m, radius_m + padding_m
                         ) - settings.collision_tolerance_m
        # A robot that touches an obstacle may leave it, but get no nearer.
        needed = np.minimum(needed, np.maximum(clearance[:, :1], 0.0))
        return np.maximum(needed - clearance, 0.0)

    def _excess(self, tokens: np.ndarray) -> np.ndarray:
        """Return the largest ratio of a move (N, T - 1) to what was seen in the data."""
        position, velocity = tokens[..., POSITION], tokens[..., VELOCITY]
        before, after = velocity[:, :-1], velocity[:, 1:]
        drift = position[:, 1:] - position[:, :-1] - self.space.token_s / 2 * (after + before)
        return np.concatenate([
            np.abs(after - before) / self.limits['velocity_change'],
            np.abs(drift) / self.limits['drift'],
            np.abs(after) / self.limits['max_speed'],
        ], axis=-1).max(-1) / self.settings.dynamics_tolerance


def spread(states: np.ndarray, last_steps: np.ndarray, chosen: int, alike: np.ndarray
           ) -> np.ndarray:
    """
    Return the uncertainty (H,) in metres of the chosen one of candidates (N, H, S).

    The others are those whose last steps (N,) are nearest to its own, at most ``NUM_SIMILAR`` of
    those that are ``alike`` (N,). A candidate that has ended stays at its end.
    """
    order = np.argsort(np.abs(last_steps - last_steps[chosen]), kind='stable')
    similar = order[(order != chosen) & alike[order]][:NUM_SIMILAR]
    own = np.arange(last_steps[chosen] + 1)
    steps = np.minimum(own, last_steps[similar][:, None])
    return spread_about(states[chosen, own, :2], states[similar[:, None], steps, :2])


def spread_about(plan: np.ndarray, others: np.ndarray) -> np.ndarray:
    """
    Return the standard deviation (H,) in metres of the position about a plan (H, 2).

    The deviation is that of others (N, H, 2) about the plan, not about their mean, times a factor
    for small N: if the plan, the others and the way of the robot are draws from one Gaussian,
    discs of 95 % about the plan hold 94 to 96 % for N from 3 on. Without others it is 0.
    """
    if len(others) == 0:
        return np.zeros(len(plan))
    mean_square = np.square(others - plan).sum(-1).mean(0)
    return np.sqrt(mean_square * (0.9 + 1.7 / len(others)))
