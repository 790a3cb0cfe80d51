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

``raw`` applies the diffused actions unchanged, the claim of Diffusion Forcing. ``tracking``
follows the planned states with feedback, by the law of the kind of robot (``tracking.py``).
``time_optimal`` does so after an elastic band has made the plan as fast as a point robot can
follow it. The follower and ``Policy`` both use this module, so that ROS and ``evaluate`` drive
alike.
"""

import numpy as np

from df_planner.driving.elastic_band import ElasticBand
from df_planner.driving.tracking import PointTracking
from df_planner.driving.tracking import TrackingLaw
from df_planner.planning.plan import Plan
from df_planner.robots.kinds import EXECUTIONS


class Executor:
    """
    Turn a plan into actions; keeps no plan of its own.

    :param execution: one of ``EXECUTIONS``.
    :param law: how the robot follows states and stops (see ``tracking.tracking_law``).
    :param band: makes plans faster for ``time_optimal``.
    :raises ValueError: if there is no such execution.
    """

    def __init__(self, execution: str, law: TrackingLaw = PointTracking(),
                 band: ElasticBand = ElasticBand()):
        if execution not in EXECUTIONS:
            raise ValueError(f'execution must be one of {EXECUTIONS}, got {execution!r}')
        self.execution = execution
        self.law = law
        self.band = band

    def prepare(self, plan: Plan | None) -> Plan | None:
        """Return the plan as it will be executed; once per plan, before its first action."""
        if plan is None or self.execution != 'time_optimal':
            return plan
        return self.band.refine(plan)

    def action(self, plan: Plan | None, step: int, state: np.ndarray) -> np.ndarray:
        """
        Return the action for one control step.

        :param plan: the plan to execute, as ``prepare`` returned it, or None to brake.
        :param step: control steps since the first row of the plan, 0 or more.
        :param state: (S,) now.
        :returns: (A,) within its limits, rounded to float32 like the actions in the data. Such a
            number is the same after scaling to a force and back, so a simulator behind a topic
            gets exactly the action that ``Policy`` would apply.
        """
        if plan is None:
            action = self.law.brake(state)
        elif self.execution == 'raw':
            action = plan.actions[step] if step < len(plan) else np.zeros(plan.actions.shape[1])
        else:
            action = self.law.action(plan, step, state)
        return action.astype(np.float32).astype(np.float64)
