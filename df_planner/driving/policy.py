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
from df_planner.driving.replanner import Replanner
from df_planner.driving.tracking import check_execution
from df_planner.driving.tracking import tracking_law
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
        self.plan: Plan | None = None
        self.plans: list[tuple[int, Plan | None]] = []
        self.planning_times_s: list[float] = []
        self._step = 0

    def reset(self, goal: np.ndarray) -> None:
        """Start an episode towards ``goal`` (2,); the errors of ``Planner.check_goal``."""
        self.replanner.reset(goal)
        self.plan, self._step = None, 0
        self.plans, self.planning_times_s = [], []

    def act(self, state: np.ndarray) -> np.ndarray:
        """
        Return the action (A,) for this state (S,).

        :raises DFPlannerError: those of ``Planner.check_state``, of the map only without a plan.
        """
        state = np.array(state, np.float64)
        self.replanner.observe(state, self._step)
        plan_step = self._step % self.interval_steps
        if plan_step == 0:
            latest = self.plans[-1][1] if self.plans else None
            in_hand = None if latest is None else latest.shifted(self.interval_steps)
            started = time.perf_counter()
            plan = self.replanner.replan(state, self._step, in_hand)
            self.planning_times_s.append(time.perf_counter() - started)
            self.plans.append((self._step, plan))
            self.plan = self.executor.prepare(plan)
        action = self.executor.action(self.plan, plan_step, state)
        self._step += 1
        return action


class PolicyPlanner(Planner):
    """``df_planner.Planner``: the planner, and a policy that acts by its plans."""

    def policy(self, execution: str = 'tracking', replan_interval_s: float = 0.25, seed: int = 0
               ) -> Policy:
        """Return a ``Policy`` that plans, replans and acts."""
        return Policy(self, execution, replan_interval_s, seed)
