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
The goal outlives the planner: a planner that restarts resumes it.

The planner publishes its goal on ``active_goal`` (latched); an empty ``frame_id`` means none. The
follower repeats it on ``resume_goal`` (latched), so that it outlives a planner that was killed. A
cleared goal is not resumed, nor one dropped by deactivating.
"""

from collections.abc import Callable

from geometry_msgs.msg import PoseStamped

from df_planner.errors import DFPlannerError
from df_planner.ros.diagnostics import Complaints


class GoalResumption:
    """
    Resume the kept goal once after activation, unless another goal arrives before.

    :param set_goal: takes it; a DFPlannerError becomes a complaint.
    """

    def __init__(self, set_goal: Callable[[PoseStamped], None], complaints: Complaints):
        """Wait for ``start``."""
        self._set_goal = set_goal
        self._complaints = complaints
        self._kept: PoseStamped | None = None
        self._waiting = False

    def start(self) -> None:
        """Resume the kept goal, now or when it arrives."""
        self._waiting = True
        self._resume()

    def stop(self) -> None:
        """Resume nothing: there is a newer goal, or none is wanted."""
        self._waiting = False

    def forget(self) -> None:
        """Drop the kept goal, without waiting for the follower to repeat that there is none."""
        self.stop()
        self._kept = None

    def hear(self, msg: PoseStamped) -> None:
        """Take a message of ``resume_goal``."""
        self._kept = msg if msg.header.frame_id else None
        self._resume()

    def _resume(self) -> None:
        if self._waiting and self._kept is not None:
            self._waiting = False
            try:
                self._set_goal(self._kept)
            except DFPlannerError as error:
                self._complaints.add('goal', error)
