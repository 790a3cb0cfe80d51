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
Filtering: the model estimates a noisily measured state from it and the states before it.

Past states and the present are consecutive tokens, each pinned at the noise level that matches its
measurement noise; the actions between them and a few tokens to come are unknown. The present that
is sampled agrees with all of them and with how the robot moves in the data.
"""

from dataclasses import replace

import numpy as np

from df_planner.data.frames import Frame
from df_planner.diffusion.schedule import scheduling_matrix
from df_planner.planning.plan import POSITION
from df_planner.planning.plan import VELOCITY
from df_planner.planning.sampling import Sampling
from df_planner.planning.tokens import Known

# More gain little in motion, and lose at rest: the data never stop, so the model sees motion.
HISTORY_TOKENS = 2
SAMPLES, FUTURE_TOKENS = 8, 3
# One step gives the mean of all that may have been, but the model is not that exact; more than two
# gain nothing for the position and lose for the velocity.
STEPS = 2


class History:
    """
    Keep the last states by control step, and return those that lie whole tokens back.

    :param frame_stack: control steps of a token.
    :param dt_s: seconds of a control step.
    :param state_size: numbers S in a state.
    """

    def __init__(self, frame_stack: int, dt_s: float, state_size: int):
        self._state_size = state_size
        self._frame_stack = frame_stack
        self._dt_s = dt_s
        self._tolerance_steps = frame_stack // 4
        self._states: dict[int, np.ndarray] = {}

    def clear(self) -> None:
        """Forget all states."""
        self._states.clear()

    def observe(self, state: np.ndarray, step: int) -> None:
        """
        Keep a state (S,) of a control step; drop those that are too old or of a later step.

        A state that is not (S,) finite numbers is not kept: it leaves a gap.
        """
        oldest = step - HISTORY_TOKENS * self._frame_stack - self._tolerance_steps
        self._states = {kept: self._states[kept] for kept in self._states if oldest <= kept < step}
        if np.shape(state) == (self._state_size,) and np.isfinite(state).all():
            self._states[step] = state

    def before(self, step: int) -> np.ndarray:
        """
        Return the states (n, S) that lie 1, 2, ... tokens before a control step, oldest first.

        A state that was measured a little earlier or later is moved there at its velocity. n ends
        at the first gap, and is at most ``HISTORY_TOKENS``.
        """
        found: list[np.ndarray] = []
        for tokens in range(1, HISTORY_TOKENS + 1):
            wanted = step - tokens * self._frame_stack
            nearest = min(self._states, key=lambda kept: abs(kept - wanted), default=None)
            if nearest is None or abs(nearest - wanted) > self._tolerance_steps:
                break
            state = self._states[nearest]
            moved_m = (wanted - nearest) * self._dt_s * state[VELOCITY]
            found.insert(0, np.concatenate([state[POSITION] + moved_m, state[2:]]))
        return np.reshape(found, (-1, self._state_size))


def filtered_state(sampling: Sampling, state: np.ndarray, history: np.ndarray,
                   state_noise: tuple[float, float]) -> np.ndarray:
    """
    Return the model's mean (S,) of what a noisily measured state may have been.

    :param sampling: of the request; its schedule and guidance are not used.
    :param state: (S,) the present; what is neither position nor velocity is taken as exact.
    :param history: (n, S) states before it, one token apart, oldest first.
    :param state_noise: standard deviation in m and in m/s with which all were measured.
    """
    states = np.vstack([history[-HISTORY_TOKENS:], state])
    frame = Frame.of(states[0], sampling.space.has_heading)
    known = Known(sampling.space, np.full(SAMPLES, len(states) + FUTURE_TOKENS))
    known.start(frame.states_in(states), *state_noise)
    free = replace(sampling, guidance=None, schedule=lambda num_tokens: scheduling_matrix(
        'full_sequence', num_tokens, STEPS, sampling.space.num_levels))
    drawn = free.draw(known)[:, len(states) - 1, :len(state)]
    return frame.states_out(drawn).mean(0)
