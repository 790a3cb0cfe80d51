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
The named terms of a plan's reward, in physical units, and the guidance made of them.

Every term is a differentiable function of denoised tokens (B, T, C) in physical units, of which
``real`` (B, T) says where a plan ends, and gives one reward per plan, (B,). Sums run over all
future tokens, so that a plan gains from an early and lasting reward (Chen et al., 2024, section
4.2); the first token is the present and cannot be changed. Between tokens, ``path`` follows the
curve that the checks of a plan look at.

A gradient costs several calls of the network, so only some plans get one. Clearance steers near
misses, a limit the plans that exceed it, any other term every plan. One term of the last kind is
enough to steer, and pay for, every plan.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from df_planner.diffusion.guidance import Guidance
from df_planner.diffusion.guidance import Term
from df_planner.diffusion.guidance import Worth
from df_planner.errors import ConfigError
from df_planner.errors import InvalidInput
from df_planner.maps.grid import GridMap
from df_planner.maps.route import Route
from df_planner.planning.curves import path
from df_planner.planning.plan import POSITION
from df_planner.planning.plan import VELOCITY
from df_planner.planning.settings import PlannerSettings
from df_planner.planning.tokens import TokenSpace

# reward(states (B, T, S), actions (B, T, frame_stack, A), real (B, T)) -> (B,)
UserReward = Callable[[Tensor, Tensor, Tensor], Tensor]

POINT_SIZES = 4, 2  # numbers in a state and in an action of a point that forces push
SMOOTHING = 1e-3  # m or m/s: lengths have a finite gradient at zero
# Of clearance, while a plan is sampled: what lacks less comes out valid without guidance, what
# lacks more does not come out valid with it.
NEAR_MISS = Worth(-2.0, -0.2)
BEYOND_LIMIT = Worth(-math.inf, -1e-6)


def length(vectors: Tensor) -> Tensor:
    """Return the lengths (...) of vectors (..., 2), smooth at zero."""
    return (vectors.square().sum(-1) + SMOOTHING ** 2).sqrt()


@dataclass(frozen=True)
class Goal:
    """
    Where to go.

    :param position: (2,) in the frame of the tokens.
    :param route: what the way there costs; None goes straight.
    """

    position: np.ndarray
    route: Route | None = None

    def to_go(self, grid: GridMap | None, like: Tensor) -> Callable[[Tensor], Tensor]:
        """
        Return what gives the metres to go, (...), from positions (..., 2).

        :param grid: the map of the route, in the frame of the tokens.
        """
        if self.route is None or grid is None:
            goal = torch.tensor(self.position, dtype=like.dtype, device=like.device)
            return lambda positions: length(positions - goal)
        return DistanceField(*(torch.tensor(part, dtype=like.dtype, device=like.device)
                               for part in (self.route.costs_m, *self.route.to_index(grid))))


def goal_distance(tokens: Tensor, real: Tensor, to_go: Callable[[Tensor], Tensor]) -> Tensor:
    """Return minus the metres to go to the goal, summed over future tokens."""
    return -(to_go(tokens[:, 1:, POSITION]) * real[:, 1:]).sum(-1)


def arrival(tokens: Tensor, real: Tensor, to_go: Callable[[Tensor], Tensor], tolerance_m: float,
            token_s: float) -> Tensor:
    """
    Return minus the seconds spent away from the goal, counted smoothly: an early arrival is best.

    A token counts as at the goal by 1 / (1 + (distance / tolerance)^2): all at the goal, half on
    the edge of the tolerance, and far away still enough to be drawn nearer. A plan that has ended
    counts as being there, so that those of other horizons compare.
    """
    ratio = to_go(tokens[:, 1:, POSITION]).square() / tolerance_m**2
    return token_s * ((real[:, 1:] / (1.0 + ratio)).sum(-1) - real[:, 1:].sum(-1))


def speed(tokens: Tensor, real: Tensor, limit_mps: float) -> Tensor:
    """Return minus the speed above the limit in m/s, summed over future tokens."""
    excess = (length(tokens[:, 1:, VELOCITY]) - limit_mps).relu()
    return -(excess * real[:, 1:]).sum(-1)


def force(tokens: Tensor, real: Tensor, limit: float) -> Tensor:
    """Return minus the action beyond +-limit, summed over axes and tokens, mean over steps."""
    excess = (_actions(tokens, *POINT_SIZES).abs() - limit).relu()
    return -(excess.sum(-1).mean(-1) * real).sum(-1)


@dataclass(frozen=True)
class DistanceField:
    """
    The signed distance field of a map, for positions as tensors.

    :param distance_m: (H, W) values, of which ``index = position @ rotation.T + offset`` gives the
        fractional (row, column).
    """

    distance_m: Tensor
    rotation: Tensor
    offset: Tensor

    @classmethod
    def of(cls, grid: GridMap, device: torch.device | str = 'cpu',
           dtype: torch.dtype = torch.float32) -> 'DistanceField':
        """Return the field of a map."""
        rotation, offset = grid.to_field_index()
        return cls(*(torch.tensor(np.array(part), dtype=dtype, device=device)
                     for part in (grid.distance_m, rotation, offset)))

    def __call__(self, points: Tensor) -> Tensor:
        """Return the distance (...) in metres from points (..., 2), as ``GridMap.clearance``."""
        index = points.reshape(1, 1, -1, 2) @ self.rotation.T + self.offset
        size = index.new_tensor(self.distance_m.shape)
        # grid_sample wants (x, y) within [-1, 1] from the first to the last cell's centre.
        where = (2.0 * index / (size - 1.0) - 1.0).flip(-1)
        values = functional.grid_sample(self.distance_m[None, None], where, mode='bilinear',
                                        padding_mode='border', align_corners=True)
        return values.reshape(points.shape[:-1])


def clearance(tokens: Tensor, real: Tensor, field: DistanceField, needed_m: float, token_s: float
              ) -> Tensor:
    """
    Return minus the shortage of clearance in metres, summed over future tokens.

    A point of the way that is d from an obstacle costs (needed - d)^2 / needed if d is below what
    is needed: as much as the whole need on the edge, and a gentle push where little is missing. Of
    a token the mean over the points of the way to it counts, because an obstacle may hide between
    two tokens.
    """
    short = (needed_m - field(path(tokens, token_s))).relu()
    cost = (short.square() / needed_m).mean(-1)
    return -(cost * real[:, 1:]).sum(-1)


def user(tokens: Tensor, real: Tensor, reward: UserReward, sizes: tuple[int, int]) -> Tensor:
    """Return the reward of the user's function of states, actions and real."""
    return reward(tokens[..., :sizes[0]], _actions(tokens, *sizes), real)


def _actions(tokens: Tensor, state_size: int, action_size: int) -> Tensor:
    """Return the actions (B, T, frame_stack, A) of tokens."""
    return tokens[..., state_size:].unflatten(-1, (-1, action_size))


def build_guidance(space: TokenSpace, settings: PlannerSettings, grid: GridMap | None,
                   goal: Goal, reward: UserReward | None = None,
                   generator: torch.Generator | None = None) -> Guidance | None:
    """
    Return the guidance that the settings ask for, None where there is nothing to weigh.

    :param grid: the map; without one there is no clearance to keep.
    :param goal: to which the terms of the goal count the metres.
    :param reward: the user's own term, of weight 1.
    :param generator: of the futures of Monte Carlo Guidance.
    :raises ConfigError: for ``guide_force`` with a robot whose actions are not forces.
    :raises InvalidInput: for a reward without guidance.
    """
    is_off = settings.guidance_scale == 0.0 and settings.select_by == 'arrival'
    terms = {} if is_off else _terms(space, settings, grid, goal, reward)
    if not terms:
        if reward is not None:
            raise InvalidInput('a reward acts through guidance: set guidance_scale above 0 or '
                               'select_by to reward')
        return None
    interval = (round(settings.guidance_to * space.num_levels),
                round(settings.guidance_from * space.num_levels))
    return Guidance(terms, settings.guidance_scale, space.mean, space.std,
                    settings.guidance_samples, generator, interval)


def _terms(space: TokenSpace, settings: PlannerSettings, grid: GridMap | None, goal: Goal,
           reward: UserReward | None) -> dict[str, Term]:
    """Return the terms that weigh something, each with the plans that are worth its gradient."""
    sizes = space.state_size, len(space.action_limits)
    if settings.guide_force > 0.0 and sizes != POINT_SIZES:
        raise ConfigError('guide_force limits forces, but the actions of this model are not '
                          'forces; set it to 0')
    terms: dict[str, Term] = {}

    def add(name: str, weight: float, term: Callable[..., Tensor], worth: Worth | None = None,
            **known) -> None:
        if weight > 0.0:
            terms[name] = Term(partial(term, **known), weight, worth)

    token_s = space.token_s
    if settings.guide_goal > 0.0 or settings.guide_arrival > 0.0:
        to_go = goal.to_go(grid, space.mean)
        add('goal', settings.guide_goal, goal_distance, to_go=to_go)
        add('arrival', settings.guide_arrival, arrival, to_go=to_go,
            tolerance_m=settings.goal_tolerance_m, token_s=token_s)
    add('speed', settings.guide_speed, speed, BEYOND_LIMIT, limit_mps=settings.speed_limit_mps)
    add('force', settings.guide_force, force, BEYOND_LIMIT, limit=settings.force_limit)
    if grid is not None and settings.guide_clearance > 0.0:
        add('clearance', settings.guide_clearance, clearance, NEAR_MISS, token_s=token_s,
            field=DistanceField.of(grid, space.mean.device, space.mean.dtype),
            needed_m=settings.robot_radius_m + settings.clearance_margin_m)
    if reward is not None:
        add('user', 1.0, user, reward=reward, sizes=sizes)
    return terms
