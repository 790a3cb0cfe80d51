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
The safety gate: the last check of a plan before it leaves the planner node.

It trusts nothing that planning says about its own result. Every reason to refuse has its own error
(``UnsafePlan`` in ``errors.py``), in the order of the checks.
"""

from dataclasses import dataclass
from dataclasses import fields
from typing import Any
from typing import TYPE_CHECKING

import numpy as np

from df_planner.driving.obstacles import first_hit
from df_planner.errors import At
from df_planner.errors import PlanBeyondLimits
from df_planner.errors import PlanInCollision
from df_planner.errors import PlanJumps
from df_planner.errors import PlanMissesGoal
from df_planner.errors import PlanNotFinite
from df_planner.errors import PlanOffStart
from df_planner.maps.grid import GridMap
from df_planner.planning.plan import Plan

if TYPE_CHECKING:
    from df_planner.model.checkpoint import ModelCard

ROUNDING = 1e-6
NOISE_STDS = 5.0  # how far a filtered start may be from the measured one
SHIFT_WINDOW_S = 0.25  # the part of a new plan that is compared with the one being executed


@dataclass(frozen=True)
class GateLimits:
    """What the gate allows: the parameters of the planner node with these names."""

    collision_check: bool
    robot_radius_m: float
    collision_tolerance_m: float
    goal_tolerance_m: float
    dynamics_tolerance: float
    position_noise_std_m: float
    velocity_noise_std_mps: float
    start_tolerance_m: float
    start_tolerance_mps: float
    max_plan_shift_m: float

    @classmethod
    def of(cls, parameters: Any) -> 'GateLimits':
        """Return the limits of an object that has attributes of these names."""
        return cls(**{field.name: getattr(parameters, field.name) for field in fields(cls)})


class SafetyGate:
    """
    Let good plans pass.

    Collision, speed and shift are only checked with ``collision_check``, as in planning itself.

    :param card: the model card, with the limits of actions and the fastest speeds in the data.
    """

    def __init__(self, limits: GateLimits, card: 'ModelCard'):
        self._limits = limits
        self._action_limits = np.array(card.action_limits)
        self._fastest_mps = np.array(card.statistics.max_speed) * limits.dynamics_tolerance
        self._shift_rows = max(1, round(SHIFT_WINDOW_S / card.dt_s))
        self._slack_m = NOISE_STDS * limits.position_noise_std_m
        self._slack_mps = NOISE_STDS * limits.velocity_noise_std_mps

    def check(self, plan: Plan, start: np.ndarray | None, grid: GridMap | None,
              executed: Plan | None = None) -> None:
        """
        Raise an UnsafePlan if a plan may not leave the node.

        :param start: (S,) the state that was planned from; None for the rest of an older plan,
            which begins near the robot.
        :param grid: the present map.
        :param executed: the rest of the plan that is being executed, if that may go on.
        """
        self._check_finite(plan)
        if start is not None and len(plan) > 1:  # one row alone means: stay at the goal
            self._check_start(plan, start)
        self._check_limits(plan)
        if grid is not None:
            self.check_collision(plan, grid)
        self._check_goal(plan)
        if executed is not None and len(plan) > 1 and len(executed) > 1:
            self._check_shift(plan, executed)

    def check_robot(self, plan: Plan, robot: np.ndarray, ahead_s: float) -> None:
        """
        Raise a PlanOffStart if the robot is not where it could follow a plan.

        :param robot: (S,) the newest state of the robot.
        :param ahead_s: time until the plan begins; at 0 or less, the robot may be anywhere on it.
        """
        if ahead_s > 0.0:
            speed_mps = max(np.linalg.norm(robot[2:4]),
                            np.linalg.norm(plan.states[0, 2:4]))
            off_m = np.linalg.norm(plan.states[0, :2] - robot[:2]) - speed_mps * ahead_s
        else:
            off_m = np.linalg.norm(plan.states[:, :2] - robot[:2], axis=-1).min()
        allowed_m = self._limits.start_tolerance_m + self._slack_m
        if off_m > allowed_m:
            raise PlanOffStart('the robot at ', At(*robot[:2]), f' is {off_m:.2f} m off the plan; '
                               f'start_tolerance_m allows {allowed_m:.2f}')

    def check_collision(self, plan: Plan, grid: GridMap) -> None:
        """Raise a PlanInCollision if a plan hits an obstacle of a map."""
        limits = self._limits
        if not limits.collision_check:
            return
        clearance_m = grid.clearance(plan.states[:, :2])
        # A robot that touches an obstacle may leave it, but get no nearer.
        needed_m = min(limits.robot_radius_m - limits.collision_tolerance_m,
                       max(clearance_m[0], 0.0))
        short_m = needed_m - clearance_m
        row = int(short_m.argmax())
        if short_m[row] > 0.0:
            where = plan.states[row, :2]
            what = ('cells that the map does not know (unknown)' if grid.is_unknown_near(where)
                    else 'an obstacle')
            raise PlanInCollision(
                f'the plan hits {what} at ', At(*where),
                f', {row * plan.dt_s:.2f} s after its start, by {short_m[row]:.2f} m')

    def hits_within(self, plan: Plan, grid: GridMap, time_s: float) -> bool:
        """Tell whether a plan hits an obstacle of a map within this time from its start."""
        limits = self._limits
        rows = int(min(time_s / plan.dt_s, len(plan))) + 1
        return limits.collision_check and first_hit(
            grid.clearance(plan.states[:rows, :2]),
            limits.robot_radius_m - limits.collision_tolerance_m) is not None

    @staticmethod
    def _check_finite(plan: Plan) -> None:
        for name in ('states', 'actions', 'uncertainty'):
            bad = ~np.isfinite(getattr(plan, name))
            if bad.any():
                raise PlanNotFinite(f'{int(bad.sum())} values of the {name} of the plan are NaN '
                                    'or infinite')

    def _check_start(self, plan: Plan, start: np.ndarray) -> None:
        off = plan.states[0] - start
        for name, unit, difference, slack in (
                ('start_tolerance_m', 'm', off[:2], self._slack_m),
                ('start_tolerance_mps', 'm/s', off[2:4], self._slack_mps)):
            distance = np.linalg.norm(difference)
            allowed = getattr(self._limits, name) + slack
            if distance > allowed:
                raise PlanOffStart(f'the plan begins {distance:.2f} {unit} from the start asked '
                                   f'for; {name} allows {allowed:.2f}')

    def _check_limits(self, plan: Plan) -> None:
        largest = np.abs(plan.actions).max(0)
        if (largest > self._action_limits * (1.0 + ROUNDING)).any():
            axis = int((largest / self._action_limits).argmax())
            raise PlanBeyondLimits(f'an action of the plan is {largest[axis]:.3f}, the limit is '
                                   f'{self._action_limits[axis]:g}')
        if not self._limits.collision_check or len(plan) < 2:
            return
        steps_mps = np.diff(plan.states[:, :2], axis=0) / plan.dt_s
        for what, speeds in (('plans', plan.states[1:, 2:4]), ('moves at', steps_mps)):
            excess = np.abs(speeds).max(0) - self._fastest_mps
            if (excess > ROUNDING).any():
                raise PlanBeyondLimits(
                    f'the plan {what} up to {np.abs(speeds).max():.1f} m/s per axis; the data '
                    f'and dynamics_tolerance allow {self._fastest_mps.min():.1f}')

    def _check_goal(self, plan: Plan) -> None:
        distance_m = goal_distance_m(plan)
        allowed_m = self._limits.goal_tolerance_m
        if distance_m > allowed_m + ROUNDING:
            raise PlanMissesGoal(f'the plan ends {distance_m:.2f} m from the goal; '
                                 f'goal_tolerance_m allows {allowed_m:.2f}')

    def _check_shift(self, plan: Plan, executed: Plan) -> None:
        allowed_m = self._limits.max_plan_shift_m
        if allowed_m == 0.0 or not self._limits.collision_check:
            return
        shift_m = plan_shift_m(plan, executed, self._shift_rows)
        if shift_m > allowed_m + self._slack_m:
            raise PlanJumps(f'within {SHIFT_WINDOW_S} s the plan leaves the way of the one being '
                            f'executed by {shift_m:.2f} m; max_plan_shift_m allows '
                            f'{allowed_m:.2f}')


def goal_distance_m(plan: Plan) -> float:
    """Return how far from its goal a plan ends."""
    return float(np.linalg.norm(plan.states[-1, :2] - plan.goal))


def plan_shift_m(plan: Plan, executed: Plan, rows: int) -> float:
    """
    Return how far the first rows of a plan get from the way of another, in metres.

    Ways are compared, not times: faster or slower along the same way is no shift.
    """
    beginning, way = plan.states[:rows + 1, None, :2], executed.states[None, :, :2]
    return float(np.linalg.norm(beginning - way, axis=-1).min(1).max())
