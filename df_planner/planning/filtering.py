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
Filtering: from a noisy state and those before it to where the robot is.

Past states and the present are tokens, one after the other, each pinned at the noise level that
its measurement noise amounts to; the actions between them and a few tokens to come are unknown.
What comes out as the present is consistent with all of them, as the model knows the robot to move.
"""

from dataclasses import replace

import numpy as np

from df_planner.diffusion.schedule import scheduling_matrix
from df_planner.planning.drawing import Drawing
from df_planner.planning.history import HISTORY_TOKENS
from df_planner.planning.tokens import Known

SAMPLES, FUTURE_TOKENS = 8, 3
# One step is the mean of all that may have been, but the model is not that exact; more than two
# gain nothing for the position and lose for the velocity.
STEPS = 2


def filtered_state(drawing: Drawing, state: np.ndarray, history: np.ndarray,
                   state_noise: tuple[float, float]) -> np.ndarray:
    """
    Return the mean (S,) of what a noisily measured state may have been, by the model.

    :param drawing: its noise and clock are used, its schedule and guidance are not.
    :param state: (S,) the present; what is neither position nor velocity is taken as exact.
    :param history: (n, S) states before it, one token apart, oldest first.
    :param state_noise: standard deviation in m and in m/s with which all were measured.
    """
    states = np.vstack([history[-HISTORY_TOKENS:], state])
    known = Known(drawing.space, np.full(SAMPLES, len(states) + FUTURE_TOKENS))
    known.start(states, *state_noise)
    free = replace(drawing, guidance=None, should_stop=lambda: False,
                   schedule=lambda num_tokens: scheduling_matrix(
                       'full_sequence', num_tokens, STEPS, drawing.space.num_levels))
    return free.draw(known)[:, len(states) - 1, :len(state)].mean(0)
