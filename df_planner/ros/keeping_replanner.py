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

"""A replanner that is told when something else is executed than what it planned last."""

from df_planner.planning.plan import Plan
from df_planner.planning.replanner import Replanner


class KeepingReplanner(Replanner):
    """Plan on from what the robot executes: the safety gate may have kept the plan before."""

    def keep(self, plan: Plan | None, step: int) -> None:
        """Take a plan, its first row at a control step, as the one in hand; None: no plan."""
        self._plan, self._plan_step = plan, step
