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
What a caller asks of a plan, and the task that it becomes once it is checked.

``Planner.plan`` takes the fields of ``Request`` as keywords, too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
import operator

import numpy as np
import torch
from torch import Tensor

from df_planner.data.frames import Frame
from df_planner.data.frames import PLANAR
from df_planner.errors import At
from df_planner.errors import brief
from df_planner.errors import DFPlannerError
from df_planner.errors import InvalidInput
from df_planner.maps.grid import GridMap
from df_planner.planning.rewards import UserReward


@dataclass(frozen=True, eq=False)
class Request:
    """
    What a plan should be like.

    :param waypoints: (W, 2) positions to pass on the way to the goal, in this order, each within
        ``goal_tolerance_m``.
    :param reward: a guidance term of the caller's own (see ``rewards.UserReward``).
    :param schedule: (M + 1, T) integer scheduling matrix instead of that of the settings. T is at
        least the tokens of the longest plan or, if fewer, those the model was trained for; shorter
        plans use the first columns.
    :param prefix: (P, A) actions that will be executed while the plan is computed: its first ones.
        P must be a multiple of the model's ``frame_stack``.
    :param history: (n, S) earlier states, ``frame_stack`` control steps apart, oldest first. Used
        only if the settings say that measurements are noisy.
    :param rest_at_goal: arrive with velocity zero, which takes longer. For executions that cannot
        stop by themselves.
    :param should_stop: polled between network calls; True cancels.
    """

    waypoints: np.ndarray | None = None
    reward: UserReward | None = None
    schedule: np.ndarray | None = None
    prefix: np.ndarray | None = None
    history: np.ndarray | None = None
    rest_at_goal: bool = False
    should_stop: Callable[[], bool] = lambda: False


@dataclass(frozen=True, eq=False)
class Task:
    """
    A checked request: what all its candidates have in common.

    :param state: (S,) where the robot is; filtered if it was measured with noise.
    :param waypoints: (W, 2) positions to pass, of those that candidates get to.
    :param goal: (2,) which may lie beyond what candidates get to.
    :param fewest: the fewest tokens of a candidate, 2 or more, and ``most`` the most.
    :param at_goal: whether the robot is at the goal already.
    :param prefix: (P, A) first actions of every candidate.
    """

    state: np.ndarray
    waypoints: np.ndarray
    goal: np.ndarray
    fewest: int
    most: int
    at_goal: bool = False
    prefix: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    request: Request = Request()


def reward_in(frame: Frame, reward: UserReward) -> UserReward:
    """Return a reward of states in a frame, given one of states in the axes of the data."""
    def moved(states: Tensor, actions: Tensor, real: Tensor) -> Tensor:
        turn, origin = states.new_tensor(frame.matrix), states.new_tensor(frame.origin)
        vectors = [columns for columns in PLANAR if columns.stop <= states.shape[-1]]
        parts = [states[..., columns] @ turn.T for columns in vectors]
        parts.append(states[..., vectors[-1].stop:])
        return reward(torch.cat([parts[0] + origin, *parts[1:]], -1), actions, real)
    return moved


def finite(value: object, size: int, what: str) -> np.ndarray:
    """Return ``value`` as float64 (size,), or raise InvalidInput."""
    array = _numbers(value, f'{size} numbers', what)
    if array.shape != (size,):
        raise InvalidInput(f'{what} must have shape ({size},), got {array.shape}')
    if not np.isfinite(array).all():
        raise InvalidInput(f'{what} must be finite, got {array}')
    return array


def whole(value: object, least: int, what: str) -> int:
    """Return ``value``, a whole number of any type, as int; InvalidInput if it is less or none."""
    try:
        number = operator.index(value)
    except TypeError as error:
        raise InvalidInput(f'{what} must be a whole number, got {brief(value)}') from error
    if number < least:
        raise InvalidInput(f'{what} must be {least} or more, got {number}')
    return number


def refuse_blocked(position: np.ndarray, grid: GridMap | None, what: str,
                   outside: type[DFPlannerError], occupied: type[DFPlannerError]) -> None:
    """Raise ``outside`` or ``occupied`` if a position (2,) is not free on the map."""
    if grid is None:
        return
    if not grid.contains(position):
        raise outside(f'{what} ', At(*position), ' is outside the map')
    if grid.clearance(position) > 0.0:
        return
    if grid.is_unknown_near(position):
        raise occupied(f'{what} ', At(*position), ' is unknown: the map does not know its cell, '
                       'which counts as an obstacle; map the place, or mark it as free')
    raise occupied(f'{what} ', At(*position), ' is inside an obstacle')


def past_states(value: object, size: int) -> np.ndarray:
    """Return a history as float64 (n, ``size``), n possibly 0, or raise InvalidInput."""
    history = _numbers([] if value is None else value, 'states', 'history')
    if history.size == 0:
        return np.zeros((0, size))
    if history.ndim != 2 or history.shape[1] != size:
        raise InvalidInput(f'history must have shape (n, {size}), got {history.shape}')
    if not np.isfinite(history).all():
        raise InvalidInput('history must be finite')
    return history


def whole_tokens(value: object, frame_stack: int, most: int, limits: np.ndarray) -> np.ndarray:
    """
    Return the actions of a prefix as float64 (P, A), P possibly 0, or raise InvalidInput.

    P must be a multiple of ``frame_stack``, because all actions of a token share one noise level,
    and leave at least one of the ``most`` tokens to be planned.

    :param limits: (A,) the largest magnitude of each action.
    """
    prefix = _numbers(np.zeros((0, len(limits))) if value is None else value, 'actions', 'prefix')
    if prefix.ndim != 2 or prefix.shape[1] != len(limits) or len(prefix) % frame_stack:
        raise InvalidInput(f'prefix must have shape (P, {len(limits)}), P a multiple of the '
                           f'{frame_stack} steps of a token, got {prefix.shape}')
    if not (np.abs(prefix) <= limits).all():
        raise InvalidInput('prefix must lie within '
                           + ' x '.join(f'[-{x:g}, {x:g}]' for x in limits))
    if len(prefix) > (most - 1) * frame_stack:
        raise InvalidInput(f'prefix has {len(prefix)} steps, more than the horizon: '
                           f'{(most - 1) * frame_stack}')
    return prefix


def _numbers(value: object, what_numbers: str, what: str) -> np.ndarray:
    """Return a copy of ``value`` as float64, or raise InvalidInput."""
    try:
        if value is None:  # it would become NaN
            raise TypeError
        return np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f'{what} must be {what_numbers}, got {brief(value)}') from error
