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
Reconstruction: fill in what is not known of a trajectory, whatever subset that is.

    states = np.full((24, 4), np.nan)
    states[0] = start            # position and velocity; must be known
    states[9, :2] = way_point    # to be there at token 9, at any speed
    states[23, :2] = end
    samples = reconstruct(planner, states, num_samples=16)
    samples.states               # (16, 231, 4), a row per control step

Conditioning is a matter of noise level: known parts enter at level 0 and stay as they are, unknown
ones start as pure noise. Way-points at known times, a fixed end and a missing middle of a log are
therefore the same task.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from df_planner.data.frames import Frame
from df_planner.errors import InvalidInput
from df_planner.planning.plan import POSITION
from df_planner.planning.planner import generator_of
from df_planner.planning.planner import Planner
from df_planner.planning.request import refuse_blocked
from df_planner.planning.request import Request
from df_planner.planning.tokens import Known
from df_planner.planning.tokens import TokenSpace

PART_NAMES = {3: ('position', 'velocity', 'actions'),
              4: ('position', 'velocity', 'other observations', 'actions')}


@dataclass(frozen=True)
class Reconstruction:
    """
    N samples of one trajectory of T tokens, H = (T - 1) * frame_stack + 1 control steps.

    :param tokens: (N, T, S + frame_stack * A), states and the actions from there on, in the units
        of the data; what was known is as it was given.
    :param states: (N, H, S), the state at every control step, from the first token's on.
    :param actions: (N, H, A), the action in each of these states, within its limits.
    """

    tokens: np.ndarray
    states: np.ndarray
    actions: np.ndarray


def reconstruct(planner: Planner, states: np.ndarray, actions: np.ndarray | None = None,
                num_samples: int = 16, seed: int = 0,
                should_stop: Callable[[], bool] = lambda: False) -> Reconstruction:
    """
    Sample trajectories that agree with what is known.

    Settings of sampling are ``planner.settings``; there is no goal, so guidance does not apply.

    A token is ``frame_stack`` control steps: its state is that of the first of them. Position,
    velocity and the actions of a token can each be known or not, but not in part.

    :param states: (T, S) position, velocity and what else is observed, NaN where unknown. T is 2
        to as many tokens as the model was trained for.
    :param actions: (T, frame_stack, A), NaN where unknown; None knows none.
    :param seed: decides the samples.
    :param should_stop: polled between network calls.
    :raises InvalidInput: for a wrong shape, an infinite value, a part of which only some numbers
        are known, or a known position in an obstacle of ``planner.map``.
    :raises ConfigError: for a bad ``schedule_file``.
    :raises PlanningTimeout: if ``deadline_ms`` came first.
    :raises PlanningCancelled: if ``should_stop`` returned True.
    """
    space = planner.space
    given = _tokens(states, actions, space)
    parts = known_parts(~np.isnan(given), space.part_sizes)
    for token in np.flatnonzero(parts[:, 0]):
        refuse_blocked(given[token, POSITION], planner.map, f'position of token {token},',
                       outside=InvalidInput, occupied=InvalidInput)
    if not parts[0, :-1].all():
        raise InvalidInput('states: the first one must be known: the model tells motion from '
                           'where it begins')
    size = space.state_size
    frame = Frame.of(given[0, :size], space.has_heading)
    given[:, :size] = frame.states_in(given[:, :size])
    planner.start_clock()
    sampling = planner.sampling(len(given), generator_of(seed), Request(should_stop=should_stop))
    known = Known(space, np.full(num_samples, len(given)))
    known.parts(given, parts)
    tokens = sampling.draw(known)
    tokens[..., :size] = frame.states_out(tokens[..., :size])
    states = space.states_of(tokens)
    return Reconstruction(tokens, states, space.actions_of(tokens)[:, :states.shape[1]])


def known_parts(known: np.ndarray, part_sizes: tuple[int, ...]) -> np.ndarray:
    """
    Return which parts are known, bool (T, P), from which numbers are, bool (T, C).

    :raises InvalidInput: for a part of which only some numbers are known.
    """
    by_part = np.split(known, np.cumsum(part_sizes)[:-1], axis=1)
    for name, numbers in zip(PART_NAMES[len(part_sizes)], by_part):
        half = numbers.any(axis=1) & ~numbers.all(axis=1)
        if half.any():
            raise InvalidInput(f'{name} of token {int(half.argmax())}: some numbers are given and '
                               'some are NaN; give all of them or none')
    return np.stack([numbers.all(axis=1) for numbers in by_part], axis=1)


def _tokens(states, actions, space: TokenSpace) -> np.ndarray:
    """Return tokens (T, C), NaN where they are unknown."""
    states, size = np.asarray(states, np.float64), space.state_size
    if (states.ndim != 2 or states.shape[1] != size
            or not 2 <= len(states) <= space.max_tokens):
        raise InvalidInput(f'states must have shape (T, {size}) with T in 2..{space.max_tokens}, '
                           f'got {states.shape}')
    shape = (len(states), space.frame_stack, len(space.action_limits))
    actions = np.full(shape, np.nan) if actions is None else np.asarray(actions, np.float64)
    if actions.shape != shape:
        raise InvalidInput(f'actions must have shape {shape}, got {actions.shape}')
    tokens = np.concatenate([states, actions.reshape(len(states), -1)], axis=1)
    if np.isinf(tokens).any():
        raise InvalidInput(f'token {int(np.isinf(tokens).any(axis=1).argmax())} is infinite; '
                           'NaN marks what is unknown')
    return tokens
