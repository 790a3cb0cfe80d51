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
Execution: from a plan and the present state to one action.

``raw`` plays the diffused actions as they are, the claim of Diffusion Forcing. ``tracking``
follows the planned states with feedback and takes the diffused action as feed-forward.
``time_optimal`` does the same after an elastic band has made the plan as fast as the robot can
follow it. The follower node and ``Policy`` both use this module, so that ROS and ``df_planner
evaluate`` drive alike.
"""

from dataclasses import dataclass

import numpy as np

from df_planner.planning.elastic_band import ElasticBand
from df_planner.planning.plan import Plan

EXECUTIONS = ('raw', 'tracking', 'time_optimal')


@dataclass(frozen=True)
class TrackingGains:
    """
    Feedback gains of the tracker, in action units.

    :param position: action per metre of position error.
    :param velocity: action per metre per second of velocity error.
    """

    position: float = 10.0
    velocity: float = 1.3


class Executor:
    """
    Turn a plan into actions; keeps no plan of its own.

    :param execution: one of ``EXECUTIONS``; any other name is a ValueError.
    :param band: what ``time_optimal`` makes plans faster with; the others do not need it.
    """

    def __init__(self, execution: str, gains: TrackingGains = TrackingGains(),
                 band: ElasticBand = ElasticBand()):
        """Take the parts as they are."""
        if execution not in EXECUTIONS:
            raise ValueError(f'execution must be one of {EXECUTIONS}, got {execution!r}')
        self.execution = execution
        self.gains = gains
        self.band = band

    def prepare(self, plan: Plan | None) -> Plan | None:
        """Return the plan as it will be executed; once per plan, before its first action."""
        if plan is None or self.execution != 'time_optimal':
            return plan
        return self.band.refine(plan)

    def action(self, plan: Plan | None, step: int, state: np.ndarray) -> np.ndarray:
        """
        Return the action for one control step.

        :param plan: the plan in hand, as ``prepare`` returned it, or None to brake.
        :param step: control steps since the first row of the plan, 0 or more.
        :param state: (4,) position and velocity now.
        :returns: (2,) in [-1, 1], rounded to float32 as the actions in the data are. Such a number
            survives being scaled to a force and back, so a simulator behind a topic gets the very
            action that ``Policy`` would apply.
        """
        action = self._exact_action(plan, step, state)
        return action.astype(np.float32).astype(np.float64)

    def _exact_action(self, plan: Plan | None, step: int, state: np.ndarray) -> np.ndarray:
        if plan is None:
            return self.brake(state)
        if self.execution == 'raw':
            return plan.actions[step] if step < len(plan) else np.zeros(2)
        arrived = step >= len(plan) - 1
        target = plan.states[-1 if arrived else step]
        target_velocity = 0.0 if arrived else target[2:]
        feed_forward = 0.0 if arrived else plan.actions[step]
        action = (feed_forward
                  + self.gains.position * (target[:2] - state[:2])
                  + self.gains.velocity * (target_velocity - state[2:]))
        return np.clip(action, -1.0, 1.0)

    def brake(self, state: np.ndarray) -> np.ndarray:
        """Return the action (2,) that takes the velocity to zero."""
        return np.clip(-self.gains.velocity * state[2:], -1.0, 1.0)
