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
``real`` (B, T) says where a plan ends, and gives one reward per plan, (B,). A token is the state
(position, velocity, what else is observed) at its first control step and the actions of its
steps. What is summed is summed over all future tokens, which makes a plan want the reward early
and all the time (Chen et al., 2024, section 4.2); the first token is the present and cannot be
changed.

Between tokens, ``path`` follows the curve that the checks of a plan look at.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from df_planner.diffusion.guidance import EVERY_REWARD
from df_planner.diffusion.guidance import Guidance
from df_planner.diffusion.guidance import Reward
from df_planner.errors import ConfigError
from df_planner.planning.curves import path
from df_planner.planning.map import GridMap
from df_planner.planning.settings import PlannerSettings

# reward(states (B, T, S), actions (B, T, frame_stack, A), real (B, T)) -> (B,)
UserReward = Callable[[Tensor, Tensor, Tensor], Tensor]

POINT_SIZES = 4, 2  # numbers in a state and in an action of a point that forces push
SMOOTHING = 1e-3  # m or m/s: lengths have a finite gradient at zero
WAYPOINT_SOFTNESS_M = 0.1
# Of clearance, while a plan is drawn: of the candidates of maze2d-large that are short of it by
# less, four of five come out valid with and without guidance; by more, one of fifty with it.
NEAR_MISS_M = (-2.0, -0.2)


def length(vectors: Tensor) -> Tensor:
    """Return the lengths (...) of vectors (..., 2), smooth at zero."""
    return (vectors.square().sum(-1) + SMOOTHING ** 2).sqrt()


def goal_distance(tokens: Tensor, real: Tensor, goal: Tensor) -> Tensor:
    """Return minus the distance to the goal (2,) in metres, summed over future tokens."""
    return -(length(tokens[:, 1:, :2] - goal) * real[:, 1:]).sum(-1)


def arrival(tokens: Tensor, real: Tensor, goal: Tensor, tolerance_m: float, token_s: float
            ) -> Tensor:
    """
    Return minus the seconds spent away from the goal, counted smoothly: an early arrival is best.

    A token counts as at the goal by 1 / (1 + (distance / tolerance)^2): all at the goal, half on
    the edge of the tolerance, and far away still enough to be drawn nearer. A plan that has ended
    counts as being there, so that those of other horizons compare.
    """
    ratio = (tokens[:, 1:, :2] - goal).square().sum(-1) / tolerance_m**2
    return token_s * ((real[:, 1:] / (1.0 + ratio)).sum(-1) - real[:, 1:].sum(-1))


def speed(tokens: Tensor, real: Tensor, limit_mps: float) -> Tensor:
    """Return minus the speed above the limit in m/s, summed over future tokens."""
    excess = (length(tokens[:, 1:, 2:4]) - limit_mps).relu()
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


def waypoints(tokens: Tensor, real: Tensor, points: Tensor, token_s: float) -> Tensor:
    """
    Return minus the distance in metres at which the way passes each of points (W, 2), summed.

    The passing distance is a soft minimum over the way, at most the smallest distance.
    """
    way = path(tokens, token_s)
    distance = length(way[:, :, :, None] - points)
    distance = distance.masked_fill(~real[:, 1:, None, None], torch.inf).flatten(1, 2)
    return WAYPOINT_SOFTNESS_M * (-distance / WAYPOINT_SOFTNESS_M).logsumexp(1).sum(-1)


def user(tokens: Tensor, real: Tensor, reward: UserReward,
         sizes: tuple[int, int] = POINT_SIZES) -> Tensor:
    """Return the reward of the user's function of states, actions and real."""
    return reward(tokens[..., :sizes[0]], _actions(tokens, *sizes), real)


def _actions(tokens: Tensor, state_size: int, action_size: int) -> Tensor:
    """Return the actions (B, T, frame_stack, A) of tokens."""
    return tokens[..., state_size:].unflatten(-1, (-1, action_size))


def build_guidance(settings: PlannerSettings, goal: np.ndarray, grid: GridMap | None,
                   mean: Tensor, std: Tensor, token_s: float,
                   way: np.ndarray | None = None, reward: UserReward | None = None,
                   generator: torch.Generator | None = None, num_levels: int = 1000,
                   sizes: tuple[int, int] = POINT_SIZES) -> Guidance | None:
    """
    Return the guidance that the settings ask for, None where there is nothing to weigh.

    :param goal: (2,) position.
    :param grid: the map; without one there is no clearance to keep.
    :param mean: (C,) and ``std`` (C,) of tokens, on the device of the tokens.
    :param token_s: seconds between two tokens.
    :param way: (W, 2) way-points, each to be passed.
    :param reward: the user's own term, of weight 1.
    :param generator: of the futures of Monte Carlo Guidance.
    :param num_levels: the level of pure noise.
    :param sizes: numbers S in a state and A in an action.
    :raises ConfigError: for ``guide_force`` with a robot that no forces push.
    """
    if settings.guide_force > 0.0 and sizes != POINT_SIZES:
        raise ConfigError('guide_force limits forces, which are no actions of this model; '
                          'set it to 0')
    if settings.guidance_scale == 0.0 and settings.select_by == 'arrival':
        return None
    tensor = partial(torch.tensor, dtype=mean.dtype, device=mean.device)
    terms: dict[str, tuple[Reward, float]] = {}

    def add(name: str, weight: float, term: Callable[..., Tensor], **known) -> None:
        if weight > 0.0:
            terms[name] = (partial(term, **known), weight)

    target = tensor(goal)
    add('goal', settings.guide_goal, goal_distance, goal=target)
    add('arrival', settings.guide_arrival, arrival, goal=target,
        tolerance_m=settings.goal_tolerance_m, token_s=token_s)
    add('speed', settings.guide_speed, speed, limit_mps=settings.speed_limit_mps)
    add('force', settings.guide_force, force, limit=settings.force_limit)
    if grid is not None and settings.guide_clearance > 0.0:
        add('clearance', settings.guide_clearance, clearance,
            field=DistanceField.of(grid, mean.device, mean.dtype), token_s=token_s,
            needed_m=settings.robot_radius_m + settings.clearance_margin_m)
    if way is not None and len(way):
        add('waypoints', settings.guide_waypoints, waypoints, points=tensor(way), token_s=token_s)
    if reward is not None:
        add('user', 1.0, user, reward=reward, sizes=sizes)
    if not terms:
        return None
    interval = (round(settings.guidance_to * num_levels),
                round(settings.guidance_from * num_levels))
    worth = EVERY_REWARD
    if set(terms) == {'clearance'}:
        worth = tuple(settings.guide_clearance * reward_m for reward_m in NEAR_MISS_M)
    return Guidance(terms, settings.guidance_scale, mean, std, settings.guidance_samples,
                    generator, interval, worth)
