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
The baseline: the way-point controller that made the data.

It knows the maze, learns nothing, and plans every episode from scratch. Published planners reach
about its score; its score on the same starts stands beside every result.
"""

import numpy as np

from df_planner.sim.maze import Maze
from df_planner.sim.robots import Controller
from df_planner.sim.robots import SimulatedRobot

BASELINE_NAME = 'waypoint controller'


class ControllerPolicy:
    """
    The robot's way-point controller behind the interface of ``planning.policy.Policy``.

    The jitter of its way-points is seeded by the start of the episode: it differs between
    episodes and does not depend on earlier ones.
    """

    def __init__(self, robot: SimulatedRobot, maze: Maze):
        """Wait for a goal."""
        self.plans: list = []  # way-points have no states and actions
        self.planning_times_s: list[float] = []
        self._robot = robot
        self._maze = maze
        self._controller: Controller | None = None
        self._goal = np.zeros(2)

    def reset(self, goal: np.ndarray) -> None:
        """Start an episode towards ``goal`` (2,)."""
        self._goal = np.asarray(goal, dtype=np.float64)
        self._controller = None

    def act(self, state: np.ndarray) -> np.ndarray:
        """Return the action (A,) for this state (S,)."""
        if self._controller is None:
            entropy = np.frombuffer(np.asarray(state, np.float64).tobytes(), np.uint32)
            self._controller = self._robot.controller(self._maze, np.random.default_rng(entropy))
        return np.array(self._controller.action(state, self._goal)[:-1])
