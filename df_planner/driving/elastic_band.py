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
The timed elastic band: follow a plan as fast as the robot can.

A plan of the diffusion model says where to go; it moves no faster than the data did. The band
starts as the planned path, keeps to the free space around it, and shrinks in time until the
actuators saturate (after Roesmann et al., 2012, *Trajectory modification considering dynamic
constraints of autonomous robots*, the controller that Nav2 knows as TEB). It chooses no route: it
only ever slides continuously from the planned one, clear of the obstacles all the way.

The unknowns are the positions of N + 1 knots and the one time step between them. Limits are
squared penalties on how far they are exceeded, minimised by Levenberg-Marquardt. The penalties are
weak at first and then stiffened, because a band that starts stiff gets stuck at the first limit.
"""

from dataclasses import dataclass
from dataclasses import replace

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.linalg import cho_factor
from scipy.linalg import cho_solve
from scipy.linalg import LinAlgError

from df_planner.maps.grid import GridMap
from df_planner.planning.plan import Plan
from df_planner.robots.kinds import POINT

KNOT_S = 0.06
MIN_KNOTS, MAX_KNOTS = 8, 100
STIFFNESS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)  # in turn, of the limits of the robot
CLEARANCE_STIFFNESS = 3.0  # throughout, so that the band never slips through a wall
SMOOTHNESS = 0.05
CLEARANCE_SCALE_M = 0.1
ITERATIONS = 20  # at most, per stiffness
CONVERGED = 1e-4  # relative decrease of the cost
GRADIENT_STEP_M = 0.02
MAX_MOVE_M = 0.3  # of a knot per iteration


@dataclass(frozen=True)
class RobotLimits:
    """
    What the robot can do, per axis; the defaults are D4RL's ball: 100 N on 4.19 kg, 1 N s/m.

    :param max_acceleration_mps2: at full action and rest.
    :param max_speed_mps: it is not driven faster.
    :param damping_per_s: deceleration per speed without action.
    """

    max_acceleration_mps2: float = POINT.max_force_n / POINT.mass_kg
    max_speed_mps: float = 5.2
    damping_per_s: float = 1.0 / POINT.mass_kg


@dataclass(frozen=True)
class ElasticBand:
    """
    Turn plans into faster plans along the same way.

    :param grid: the map; without one, only the robot's limits hold.
    :param clearance_m: how far from obstacles the centre of the robot stays.
    :param utilisation: share of the robot's limits that is used; the rest is left to feedback.
    """

    grid: GridMap | None = None
    limits: RobotLimits = RobotLimits()
    clearance_m: float = 0.15
    utilisation: float = 0.98

    def refine(self, plan: Plan) -> Plan:
        """
        Return the plan to track: from the plan's first state to rest at its end, in less time.

        Returned as it is: a plan too short to refine, such as one that holds a position, one that
        the band cannot make faster, and one whose numbers overflow.
        """
        if len(plan) < 3:
            return plan
        band = _Band(self, plan)
        try:
            with np.errstate(over='ignore', invalid='ignore'):
                for stiffness in STIFFNESS:
                    band.relax(stiffness)
        except (LinAlgError, ValueError):  # SciPy's, for numbers that are not finite
            return plan
        if not band.duration_s < (len(plan) - 1) * plan.dt_s:
            return plan
        return band.sampled(plan)


class _Band:
    """The unknowns of one plan, and one Levenberg-Marquardt minimisation at a time."""

    def __init__(self, settings: ElasticBand, plan: Plan):
        self.settings = settings
        duration_s = (len(plan) - 1) * plan.dt_s
        intervals = int(np.clip(round(duration_s / KNOT_S), MIN_KNOTS, MAX_KNOTS))
        rows = np.linspace(0, len(plan) - 1, intervals + 1)
        self.knots = np.stack([np.interp(rows, np.arange(len(plan)), plan.states[:, axis])
                               for axis in range(2)], axis=1)
        self.start_velocity = plan.states[0, 2:]
        self.step_s = duration_s / intervals
        identity = np.eye(intervals + 1)
        # Differences over the knots; the ends are continued by the present velocity and by rest.
        below, above = np.vstack([identity[:1], identity[:-1]]), np.vstack([identity[1:],
                                                                           identity[-1:]])
        self.second = below - 2 * identity + above
        self.central = (above - below) / 2
        self.first = np.diff(identity, axis=0)

    @property
    def duration_s(self) -> float:
        return self.step_s * (len(self.knots) - 1)

    def relax(self, stiffness: float) -> None:
        """Minimise the cost at this stiffness, from where the band is."""
        cost, gradient, hessian = self._cost(self.knots, self.step_s, stiffness)
        trust = 1e-3
        for _ in range(ITERATIONS):
            damped = hessian + np.diag(trust * hessian.diagonal() + 1e-6)
            move = -cho_solve(cho_factor(damped, check_finite=False), gradient)
            knots, step_s = self._moved(move)
            trial = self._cost(knots, step_s, stiffness)
            if trial[0] < cost:
                done = cost - trial[0] < CONVERGED * cost
                (cost, gradient, hessian), self.knots, self.step_s = trial, knots, step_s
                trust = max(trust / 4, 1e-6)
                if done:
                    return
            else:
                trust *= 8

    def sampled(self, plan: Plan) -> Plan:
        """Return the band as a plan with a row per control step."""
        limits = self.settings.limits
        times_s = self.step_s * np.arange(len(self.knots))
        spline = CubicSpline(times_s, self.knots, bc_type=(
            (1, self.start_velocity), (1, np.zeros(2))))
        steps_s = np.append(np.arange(0.0, times_s[-1], plan.dt_s), times_s[-1])
        velocity = spline(steps_s, 1)
        force = spline(steps_s, 2) + limits.damping_per_s * velocity
        return replace(
            plan, states=np.hstack([spline(steps_s), velocity]),
            actions=np.clip(force / limits.max_acceleration_mps2, -1.0, 1.0),
            uncertainty=np.interp(np.linspace(0, 1, len(steps_s)),
                                  np.linspace(0, 1, len(plan)), plan.uncertainty))

    def _moved(self, move: np.ndarray) -> tuple[np.ndarray, float]:
        """Return knots and time step after a move of the unknowns, shortened if it is too long."""
        step_move = np.clip(move[-1], -0.2 * self.step_s, 0.2 * self.step_s)
        knot_move = move[:-1].reshape(2, -1).T
        knot_move *= min(1.0, MAX_MOVE_M / max(np.abs(knot_move).max(), 1e-9))
        knots = self.knots.copy()
        knots[1:-1] += knot_move
        return knots, self.step_s + step_move

    def _cost(self, knots: np.ndarray, step_s: float, stiffness: float):
        """
        Return the cost, and the gradient and Gauss-Newton Hessian of half of it.

        Their unknowns are the inner knots, first along one axis, then along the other, and last
        the time step.
        """
        settings, limits = self.settings, self.settings.limits
        inner, intervals = slice(1, -1), len(knots) - 1
        free = intervals - 1
        cost = (intervals * step_s) ** 2
        gradient, hessian = np.zeros(2 * free + 1), np.zeros((2 * free + 1, 2 * free + 1))
        gradient[-1] = intervals**2 * step_s
        hessian[-1, -1] = intervals**2

        # Acceleration (N + 1) and speed (N) per axis.
        damping = limits.damping_per_s
        to_force = self.second / step_s**2 + damping * self.central / step_s
        to_speed = self.first / step_s
        before_start = np.zeros(intervals + 1)
        before_start[0] = -(1 / step_s - damping / 2)  # knot -1 lies start_velocity * step_s back
        for axis in range(2):
            at = slice(axis * free, (axis + 1) * free)
            force = to_force @ knots[:, axis] + before_start * self.start_velocity[axis]
            by_step = (-2 * self.second @ knots[:, axis] / step_s**3
                       - damping * self.central @ knots[:, axis] / step_s**2)
            by_step[0] += self.start_velocity[axis] / step_s**2
            speed = to_speed @ knots[:, axis]
            for value, jacobian, slope, limit, smoothness in (
                    (force, to_force[:, inner], by_step,
                     settings.utilisation * limits.max_acceleration_mps2, SMOOTHNESS * step_s),
                    (speed, to_speed[:, inner], -speed / step_s,
                     settings.utilisation * limits.max_speed_mps, 0.0)):
                excess = np.sign(value) * np.maximum(np.abs(value) / limit - 1.0, 0.0)
                cost += stiffness * excess @ excess + smoothness * (value @ value) / limit**2
                pull = (stiffness * excess + smoothness * value / limit) / limit
                weight = (stiffness * (excess != 0.0) + smoothness) / limit**2
                gradient[at] += jacobian.T @ pull
                gradient[-1] += slope @ pull
                hessian[at, at] += jacobian.T @ (weight[:, None] * jacobian)
                mixed = jacobian.T @ (weight * slope)
                hessian[at, -1] += mixed
                hessian[-1, at] += mixed
                hessian[-1, -1] += slope @ (weight * slope)
        if settings.grid is None:
            return cost, gradient, hessian

        # Clearance at the knots and half-way between them.
        halves = np.repeat(np.eye(intervals + 1), 2, axis=0)
        halves = (halves[1:] + halves[:-1])[1:-1] / 2
        clearance, direction = self._clearance(halves @ knots)
        short = np.maximum(settings.clearance_m - clearance, 0.0) / CLEARANCE_SCALE_M
        cost += CLEARANCE_STIFFNESS * short @ short
        close = short > 0.0
        if close.any():
            jacobian = np.hstack([-direction[close, axis, None] * halves[close][:, inner]
                                  for axis in range(2)]) / CLEARANCE_SCALE_M
            gradient[:-1] += CLEARANCE_STIFFNESS * jacobian.T @ short[close]
            hessian[:-1, :-1] += CLEARANCE_STIFFNESS * jacobian.T @ jacobian
        return cost, gradient, hessian

    def _clearance(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the clearance (M,) in metres and its gradient (M, 2)."""
        shifts = GRADIENT_STEP_M * np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])
        values = self.settings.grid.clearance(points + shifts[:, None])
        return values[0], np.stack([values[1] - values[2], values[3] - values[4]],
                                   axis=1) / (2 * GRADIENT_STEP_M)
