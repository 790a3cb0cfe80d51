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

"""A policy: plans, replans at a fixed interval and executes, without ROS."""

import time

import numpy as np

from df_planner.driving.elastic_band import ElasticBand
from df_planner.driving.executor import Executor
from df_planner.driving.obstacles import first_hit
from df_planner.driving.obstacles import Obstacles
from df_planner.driving.replanner import Replanner
from df_planner.driving.stamps import seconds_to_ns
from df_planner.driving.tracking import check_execution
from df_planner.driving.tracking import tracking_law
from df_planner.errors import GoalOccupied
from df_planner.errors import StartOccupied
from df_planner.maps.grid import GridMap
from df_planner.planning.plan import Plan
from df_planner.planning.planner import Planner


class Policy:
    """
    Act towards a goal, one control step at a time.

        policy = planner.policy(execution='tracking')
        policy.reset(goal)
        action = policy.act(state)

    :param execution: ``raw``, ``tracking`` or ``time_optimal`` (see ``driving/executor.py``).
    :param replan_interval_s: control time between two plans.
    :ivar plan: what is executed; None brakes.
    :ivar plans: (control step, plan) of the episode, before the executor prepared them.
    """

    def __init__(self, planner: Planner, execution: str = 'tracking',
                 replan_interval_s: float = 0.25, seed: int = 0):
        """
        Build the executor and the replanner.

        :raises ConfigError: if this kind of robot cannot be driven with this execution.
        """
        check_execution(planner.card.robot, execution)
        law = tracking_law(planner.card.robot, planner.card.action_limits)
        self.executor = Executor(execution, law, ElasticBand(planner.map))
        self.replanner = Replanner(planner, hold_at_goal=execution != 'raw', seed=seed)
        self.interval_steps = max(1, round(replan_interval_s / planner.card.dt_s))
        self.obstacles = Obstacles(planner.settings.robot_radius_m)
        self.obstacles.map = planner.map
        self.plan: Plan | None = None
        self.plans: list[tuple[int, Plan | None]] = []
        self.planning_times_s: list[float] = []
        self._in_hand: Plan | None = None  # the plan before the executor prepared it
        self._step = self._since = 0  # steps of the episode, and since the plan in hand began

    def reset(self, goal: np.ndarray) -> None:
        """Start an episode towards ``goal`` (2,); the errors of ``Planner.check_goal``."""
        self._look(None)
        self.replanner.reset(goal)
        self.plan = self._in_hand = None
        self._step, self._since = 0, self.interval_steps
        self.plans, self.planning_times_s = [], []

    def see(self, local: GridMap) -> None:
        """
        Take an open map of what is near; a plan in hand that it blocks is replaced at once.

        Positions on it are in the axes of the data.
        """
        self._look(local)
        planner, settings = self.replanner.planner, self.replanner.planner.settings
        if self.plan is None or first_hit(
                planner.map.clearance(self.plan.shifted(self._since).states[:, :2]),
                settings.robot_radius_m - settings.collision_tolerance_m) is not None:
            self._since = max(self._since, self.interval_steps)

    def act(self, state: np.ndarray) -> np.ndarray:
        """
        Return the action (A,) for this state (S,).

        :raises DFPlannerError: those of ``Planner.check_state``, of the map only without a plan.
        """
        state = np.array(state, np.float64)
        self.replanner.observe(state, self._step)
        if self._since >= self.interval_steps:
            self._replan(state)
        if self.plan is not None and self.obstacles.are_told:
            ahead = self.plan.shifted(self._since).states[
                :self.obstacles.steps_ahead(seconds_to_ns(self.plan.dt_s)), :2]
            if self.obstacles.are_in_way(
                    np.vstack([state[:2], ahead]), self.plan.dt_s, self._now_ns):
                self.plan = self._in_hand = None
        action = self.executor.action(self.plan, self._since, state)
        self._step += 1
        self._since += 1
        return action

    @property
    def _now_ns(self) -> int:
        return self._step * seconds_to_ns(self.replanner.planner.card.dt_s)

    def _look(self, local: GridMap | None) -> None:
        planner = self.replanner.planner
        self.obstacles.take(local, self._now_ns)
        planner.map = self.obstacles.planning_map(planner.settings)

    def _replan(self, state: np.ndarray) -> None:
        in_hand = None if self._in_hand is None else self._in_hand.shifted(self._since)
        started = time.perf_counter()
        try:
            plan = self.replanner.replan(state, self._step, in_hand)
        except (StartOccupied, GoalOccupied):
            if not self.obstacles.are_told:
                raise
            plan = None  # wait until the obstacle has gone
        self.planning_times_s.append(time.perf_counter() - started)
        self.plans.append((self._step, plan))
        self._in_hand, self.plan, self._since = plan, self.executor.prepare(plan), 0


class PolicyPlanner(Planner):
    """``df_planner.Planner``: the planner, and a policy that acts by its plans."""

    def policy(self, execution: str = 'tracking', replan_interval_s: float = 0.25, seed: int = 0
               ) -> Policy:
        """Return a ``Policy`` that plans, replans and acts."""
        return Policy(self, execution, replan_interval_s, seed)
