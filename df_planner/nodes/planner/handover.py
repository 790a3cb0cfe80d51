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

"""From one plan to the next: what the robot follows until the plan in hand begins."""

from collections.abc import Callable

import numpy as np

from df_planner.driving.latency import off_plan
from df_planner.driving.latency import row_at
from df_planner.nodes.planner.planning_job import InHand
from df_planner.nodes.planner.planning_job import Reading


class Handover:
    """
    Remember the plan that the robot follows while the newest one has not begun.

    :param step: returns the control step of a stamp.
    """

    def __init__(self, step: Callable[[int], int]):
        """Start without a plan."""
        self._step = step
        self._followed: InHand | None = None

    def replace(self, before: InHand | None, now_ns: int) -> None:
        """Take note that another plan takes the place of the one in hand, None if none was."""
        if before is None:
            self._followed = None
        elif before.stamp_ns <= now_ns:
            self._followed = before

    def off_plan(self, executed: InHand, odom: Reading) -> np.ndarray | None:
        """
        Return how far the robot is, or will be when it begins, off the plan in hand, (4,).

        :returns: None if the robot does not follow what it should.
        """
        followed = executed if executed.stamp_ns <= odom.stamp_ns else self._followed
        if followed is None:
            return np.zeros(4)
        began = self._step(followed.stamp_ns)
        off = off_plan(followed.plan, self._step(odom.stamp_ns) - began, odom.state)
        handed_over = row_at(followed.plan, self._step(executed.stamp_ns) - began)
        return None if off is None else off + handed_over[:4] - executed.plan.states[0, :4]
