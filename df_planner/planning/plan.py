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

"""The result of planning: a variable-horizon action sequence and what it is expected to do."""

from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace

import numpy as np

# Columns of a state (S,): position (m), velocity (m/s), and what else the robot observes.
POSITION, VELOCITY, OTHERS = slice(0, 2), slice(2, 4), slice(4, None)


@dataclass(frozen=True)
class Plan:
    """
    A planned trajectory of H control steps in the observation frame of the data.

    ``states[t]`` is the state in which ``actions[t]`` is applied; ``states[0]`` is where planning
    started, filtered if the planner was told of measurement noise, and the last row is the
    arrival. H differs from plan to plan.

    :param actions: (H, A) within their limits.
    :param states: (H, S), positions first, then velocities, in metres and metres per second, then
        what else the robot observes.
    :param dt_s: duration of one control step in seconds.
    :param goal: (2,) the position planned for.
    :param reward: what candidates are ranked by: minus the arrival time in seconds, or the summed
        terms of guidance with ``select_by`` reward; ``-inf`` where a check failed.
    :param uncertainty: (H,) metres, standard deviation of the position about the plan (the root of
        the sum over both axes), by similar candidates or, with ``uncertainty_samples``, by samples
        of this horizon.
    :param valid: every check passed (collision, dynamics seen in the data, arrival).
    :param timings: wall seconds per part of planning, ``total`` among them.
    :param network_calls: calls of the network that it took.
    :param batches: of candidates that were sampled before it was found, 0 for what was not
        sampled, such as the rest of an earlier plan.
    :param candidates: states (H_i, S) of every sampled plan, for display.
    :param candidate_rewards: (N,) their rewards, ``-inf`` where a check failed.
    :param diffused_steps: number of the first rows that the network made; those behind them follow
        the route as it is. None if it made all.
    """

    actions: np.ndarray
    states: np.ndarray
    dt_s: float
    goal: np.ndarray
    reward: float = 0.0
    uncertainty: np.ndarray | None = None
    valid: bool = True
    timings: dict[str, float] = field(default_factory=dict)
    network_calls: int = 0
    batches: int = 0
    candidates: list[np.ndarray] = field(default_factory=list)
    candidate_rewards: np.ndarray | None = None
    diffused_steps: int | None = None

    def __post_init__(self):
        if self.actions.ndim != 2 or self.states.ndim != 2:
            raise ValueError('actions and states must be two-dimensional, got '
                             f'{self.actions.shape} and {self.states.shape}')
        if len(self.actions) != len(self.states) or len(self.actions) == 0:
            raise ValueError('actions and states must have the same length of at least 1, got '
                             f'{len(self.actions)} and {len(self.states)}')
        if self.uncertainty is None:
            object.__setattr__(self, 'uncertainty', np.zeros(len(self.actions)))

    def __len__(self) -> int:
        """Return the horizon H in control steps."""
        return len(self.actions)

    @property
    def dt(self) -> float:
        """Duration of one control step in seconds."""
        return self.dt_s

    def shifted(self, steps: int) -> 'Plan':
        """Return the plan without its first ``steps`` rows; the arrival row always stays."""
        first = min(max(steps, 0), len(self) - 1)
        diffused = self.diffused_steps
        return replace(self, actions=self.actions[first:], states=self.states[first:],
                       uncertainty=self.uncertainty[first:], timings={}, network_calls=0,
                       batches=0, candidates=[], candidate_rewards=None, diffused_steps=(
                           None if diffused is None else max(diffused - first, 0)))
