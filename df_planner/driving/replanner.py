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
Replanning: what happens to the plan in hand when a new one is due.

``Policy`` and the planner node both use this class, so that ROS and ``df_planner evaluate`` decide
alike.
"""

from collections.abc import Callable

import numpy as np

from df_planner.driving.timeline import from_nearest_row
from df_planner.errors import DFPlannerError
from df_planner.errors import NoValidPlan
from df_planner.errors import StartOccupied
from df_planner.errors import StartOutsideMap
from df_planner.planning.filtering import History
from df_planner.planning.plan import Plan
from df_planner.planning.planner import Planner
from df_planner.planning.request import Request
from df_planner.planning.request import whole

# Nearer to the goal than this there is nothing left to plan.
HOLD_RADIUS_M = 0.3


class Replanner:
    """
    Plan again and again towards one goal.

    :param hold_at_goal: near the goal, return a plan that stays there instead of asking the model,
        whose data never stop. ``raw`` execution cannot follow such a plan and turns this off: then
        every plan is made to come to rest at the goal.
    :param seed: the noise of the k-th plan after ``reset`` depends on (seed, k) only.
    :ivar last_error: why the latest plan is not a new one, None if it is.
    """

    def __init__(self, planner: Planner, hold_at_goal: bool = True, seed: int = 0):
        self.planner = planner
        self.hold_at_goal = hold_at_goal
        self.seed = whole(seed, 0, 'seed')
        self.goal: np.ndarray | None = None
        self.last_error: DFPlannerError | None = None
        self._history = History(planner.card.frame_stack, planner.card.dt_s,
                                len(planner.card.observation_names))
        self._count = 0

    def reset(self, goal: np.ndarray) -> None:
        """Take a new goal (2,) and forget the states; the errors of ``check_goal``."""
        self.goal = self.planner.check_goal(goal)
        self.last_error = None
        self._history.clear()
        self._count = 0

    def observe(self, state: np.ndarray, step: int) -> None:
        """Take a state (S,) of any control step: a noisy present is filtered with it."""
        self._history.observe(state, step)

    def replan(self, state: np.ndarray, step: int, in_hand: Plan | None = None,
               should_stop: Callable[[], bool] = lambda: False) -> Plan | None:
        """
        Return the plan to execute from this state on, its first row being now.

        A new plan if one is valid, else what is left of the plan in hand, else None: brake. Where
        the map says that no robot can be, the plan in hand goes on.

        :param step: control steps since any fixed time.
        :param in_hand: what is left by now of the plan towards this goal that is executed.
        """
        rest = None if in_hand is None else from_nearest_row(in_hand, state)
        try:
            state = self.planner.check_state(state)
        except (StartOccupied, StartOutsideMap) as error:
            if rest is None:
                raise
            self.last_error = error
            return rest
        seed = int(np.random.SeedSequence([self.seed, self._count]).generate_state(1)[0])
        self.last_error = None
        if self.hold_at_goal and np.linalg.norm(state[:2] - self.goal) <= HOLD_RADIUS_M:
            plan = self._hold(state)
        else:
            try:
                plan = self.planner.plan(state, self.goal, seed=seed, request=Request(
                    rest_at_goal=not self.hold_at_goal, should_stop=should_stop,
                    prefix=self._prefix(in_hand), history=self._history.before(step)))
            except NoValidPlan as error:
                self.last_error = error
                rest = None if in_hand is None else from_nearest_row(in_hand, state)
                plan = rest if rest is not None and len(rest) > 1 else None
        self._count += 1
        return plan

    def _prefix(self, in_hand: Plan | None) -> np.ndarray | None:
        """
        Return the actions (P, A) of the ``delay_steps`` from now on, in whole tokens.

        They end with what the network made of the plan in hand: its route has no actions.
        """
        delay_steps = self.planner.settings.delay_steps
        if in_hand is None or delay_steps == 0:
            return None
        frame_stack = self.planner.card.frame_stack
        made = len(in_hand) if in_hand.diffused_steps is None else in_hand.diffused_steps
        tokens = min(-(-delay_steps // frame_stack), max(made - 1, 0) // frame_stack)
        return in_hand.actions[:tokens * frame_stack] if tokens else None

    def _hold(self, state: np.ndarray) -> Plan:
        """Return a plan of one row: at rest at the goal, with the heading of the robot."""
        rest = np.concatenate([self.goal, np.zeros(2), state[4:]])[None]
        card = self.planner.card
        return Plan(actions=np.zeros((1, len(card.action_names))), states=rest, dt_s=card.dt_s,
                    goal=self.goal, timings={'total': 0.0})
