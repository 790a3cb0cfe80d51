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

"""Curves through tokens: cubic Hermite, through positions and velocities, in NumPy and torch."""

import numpy as np
import torch
from torch import Tensor

from df_planner.planning.plan import OTHERS
from df_planner.planning.plan import POSITION
from df_planner.planning.plan import VELOCITY

PATH_POINTS = 5  # per token: 2 cm apart at 1 m/s, 10 cm at the speed limit


def interpolate(states: np.ndarray, frame_stack: int, dt_s: float) -> np.ndarray:
    """
    Return states at every control step, (N, (T - 1) * frame_stack + 1, S), from tokens (N, T, S).

    Cubic Hermite curves through positions and velocities, straight lines through what else is
    observed: exact at the tokens, and free of any model of the robot.
    """
    token_s = frame_stack * dt_s
    s = np.arange(frame_stack)[:, None] / frame_stack
    before, after = states[:, :-1, None], states[:, 1:, None]
    position, velocity = before[..., POSITION], before[..., VELOCITY] * token_s
    position_end, velocity_end = after[..., POSITION], after[..., VELOCITY] * token_s
    x = _hermite(s, position, velocity, position_end, velocity_end)
    v = ((6 * s**2 - 6 * s) * (position - position_end) + (3 * s**2 - 4 * s + 1) * velocity
         + (3 * s**2 - 2 * s) * velocity_end) / token_s
    others = before[..., OTHERS] + s * (after[..., OTHERS] - before[..., OTHERS])
    steps = np.concatenate([x, v, others], axis=-1)
    steps = steps.reshape(len(states), -1, states.shape[-1])
    return np.concatenate([steps, states[:, -1:]], axis=1)


def path(tokens: Tensor, token_s: float, points: int = PATH_POINTS) -> Tensor:
    """
    Return positions (B, T - 1, points, 2) along the way from each token to the next.

    The curve is that of ``interpolate``; the points are evenly spaced in time, the last one of a
    segment is the next token.
    """
    s = torch.arange(1, points + 1, dtype=tokens.dtype, device=tokens.device)[:, None] / points
    position, velocity = tokens[..., None, POSITION], tokens[..., None, VELOCITY] * token_s
    return _hermite(s, position[:, :-1], velocity[:, :-1], position[:, 1:], velocity[:, 1:])


def _hermite(s, position, velocity, position_end, velocity_end):
    """Return positions at the shares s of the way; velocities are per whole way."""
    return ((2 * s**3 - 3 * s**2 + 1) * position + (s**3 - 2 * s**2 + s) * velocity
            + (3 * s**2 - 2 * s**3) * position_end + (s**3 - s**2) * velocity_end)
