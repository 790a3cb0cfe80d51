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
What the benchmark records of an episode, put together by stamps, and of a run in real time.

A message that arrives twice counts once. One that arrives late or early goes where its stamp says.
For one that never arrives, a state is interpolated and an action is the one before.
"""

import json
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np

from df_planner.evaluation.metrics import is_reached
from df_planner.planning.plan import Plan


class EpisodeRecording:
    """
    States, actions and plans of the control steps 0 to T.

    :param start: (S,) the state at step 0.
    :param stamp_ns: the stamp of step 0.
    :param num_steps: T.
    :param period_ns: of the control steps.
    :param action_size: A.
    :param goal: (2,) T becomes the first step there; None for episodes of one length.
    """

    def __init__(self, start: np.ndarray, stamp_ns: int, num_steps: int, period_ns: int,
                 action_size: int, goal: np.ndarray | None = None):
        self.stamp_ns = stamp_ns
        self.touches = 0
        self.planning_times_s: list[float] = []
        self._period_ns = period_ns
        self._goal = goal
        self._states = np.full((num_steps + 1, len(start)), np.nan)
        self._states[0] = start
        self._actions = np.full((num_steps, action_size), np.nan)
        self._plans: dict[int, Plan | None] = {}

    @property
    def num_steps(self) -> int:
        """Return T."""
        return len(self._actions)

    @property
    def is_complete(self) -> bool:
        """Tell whether the last state has been heard."""
        return not np.isnan(self._states[-1, 0])

    @property
    def missing_states(self) -> int:
        """Return how many states have not been heard."""
        return int(np.isnan(self._states[:, 0]).sum())

    @property
    def states(self) -> np.ndarray:
        """Return (T+1, S), the states; those not heard lie between their neighbours."""
        heard = np.flatnonzero(~np.isnan(self._states[:, 0]))
        steps = np.arange(len(self._states))
        return np.stack([np.interp(steps, heard, column) for column in self._states[heard].T], 1)

    @property
    def actions(self) -> np.ndarray:
        """Return (T, A), the actions; one not heard repeats the one before, zero at first."""
        heard = ~np.isnan(self._actions[:, 0])
        last = np.maximum.accumulate(np.where(heard, np.arange(self.num_steps), -1))
        return np.where(last[:, None] >= 0, self._actions[last], 0.0)

    @property
    def plans(self) -> list[tuple[int, Plan | None]]:
        """Return (step, plan) by rising step; a failed plan is None."""
        return sorted(self._plans.items(), key=lambda item: item[0])

    def add_state(self, state: np.ndarray, stamp_ns: int) -> bool:
        """Take a state (S,); tell whether it belongs to the episode."""
        step = self._step(stamp_ns)
        belongs = 0 <= step <= self.num_steps
        if belongs:
            self._states[step] = state
            if self._goal is not None and step > 0 and is_reached(state, self._goal):
                self._states, self._actions = self._states[:step + 1], self._actions[:step]
                self._plans = {at: plan for at, plan in self._plans.items() if at < step}
        return belongs

    def add_action(self, action: np.ndarray, stamp_ns: int) -> None:
        """Take an action (2,), the answer to the state of this stamp."""
        step = self._step(stamp_ns)
        if 0 <= step < self.num_steps:
            self._actions[step] = action

    def add_plan(self, plan: Plan | None, stamp_ns: int) -> None:
        """Take a plan made from the state of this stamp, None for a failed one."""
        step = self._step(stamp_ns)
        if 0 <= step < self.num_steps:
            self._plans[step] = plan

    def _step(self, stamp_ns: int) -> int:
        return round((stamp_ns - self.stamp_ns) / self._period_ns)


class RealTimeRecording:
    """Periods of commands and last diagnostics of a run in real time."""

    def __init__(self):
        self.command_periods_s: list[float] = []
        self._statuses: dict[str, dict] = {}

    def add_diagnostics(self, msg: DiagnosticArray) -> None:
        """Keep the last status of every task."""
        for status in msg.status:
            self._statuses[status.name] = {
                'message': status.message, **{pair.key: pair.value for pair in status.values}}

    def write(self, path: Path) -> None:
        """Write what was heard as JSON."""
        path.write_text(json.dumps({'command_periods_s': self.command_periods_s,
                                    'diagnostics': self._statuses}) + '\n', encoding='utf-8')
