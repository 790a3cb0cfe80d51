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
The goal outlives the planner: who executes plans keeps it, and a planner that restarts resumes it.

The planner says on ``active_goal`` (latched) what it plans for; an empty ``frame_id`` means
nothing any more. The follower repeats that on ``resume_goal`` (latched), so that it is still there
when the planner was killed. A goal that was cleared, or dropped by deactivating, is not resumed.
"""

from collections.abc import Callable

from geometry_msgs.msg import PoseStamped
from rclpy.node import Node

from df_planner.errors import DFPlannerError
from df_planner.ros.diagnostics import Complaints
from df_planner.ros.qos import LATCHED_QOS


class GoalKeeper:
    """Keep the goal of the planner on behalf of it: for a node that outlives it."""

    def __init__(self, node: Node):
        """Listen to the planner, and repeat what it says."""
        publisher = node.create_publisher(PoseStamped, 'resume_goal', LATCHED_QOS)
        node.create_subscription(PoseStamped, 'active_goal', publisher.publish, LATCHED_QOS)


class GoalResumption:
    """
    Resume the kept goal once, if the planner that has become active gets no other before.

    :param set_goal: takes it; a DFPlannerError becomes a complaint.
    """

    def __init__(self, set_goal: Callable[[PoseStamped], None], complaints: Complaints):
        """Wait for ``start``."""
        self._set_goal = set_goal
        self._complaints = complaints
        self._kept: PoseStamped | None = None
        self._waiting = False

    def start(self) -> None:
        """Resume what is kept, or will be heard of."""
        self._waiting = True
        self._resume()

    def stop(self) -> None:
        """Resume nothing any more: there is a newer goal, or the wish to have none."""
        self._waiting = False

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
