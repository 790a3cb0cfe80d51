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
The route without a model: what a search on the map and a tracker reach by themselves.

The planner takes the same way on the map as the models of any place do, and times it by what their
card says of the data: as fast as half of the velocity changes seen there allow, in bends and
towards the goal. No network is asked. It is the row beside a model's rows that says how much of
their success is the route's.
"""

import math
from typing import Any

import numpy as np

from df_planner.planning.plan import OTHERS
from df_planner.planning.plan import Plan
from df_planner.planning.plan import POSITION
from df_planner.planning.plan import VELOCITY
from df_planner.planning.planner import Planner
from df_planner.planning.request import Request
from df_planner.planning.route import Way

SPEED_SHARE = 0.9  # of the fastest in the data
ACCELERATION_SHARE = 0.5  # of the largest change of the velocity in the data
TURN_SHARE = 0.75  # of the largest turning rate
TURN_IN_PLACE_RAD = math.radians(60.0)  # a way further off the heading than this is turned to
SLOWEST_MPS = 0.05


class RoutePlanner(Planner):
    """A planner whose plans are the ways on the map; it needs a checkpoint for its card only."""

    def plan(self, state: np.ndarray, goal: np.ndarray, horizon: int | None = None, seed: int = 0,
             request: Request = Request(), **fields: Any) -> Plan:
        """Return the way from a state to a goal as a plan; only these two are looked at."""
        state, goal = self.check_state(state), self.check_goal(goal)
        way = self._routes.way(self.map, self.settings.robot_radius_m, state[POSITION], goal)
        acceleration_mps2 = self._limits['velocity_change'].max() / self.space.token_s
        rows = timed(way, state[VELOCITY], SPEED_SHARE * self._limits['max_speed'].max(),
                     ACCELERATION_SHARE * acceleration_mps2, self.space.dt_s)
        others = np.tile(state[OTHERS], (len(rows), 1))
        if self.space.has_heading:
            turned = self._turn(state, rows[0, VELOCITY])
            others = rows[:, VELOCITY] / np.linalg.norm(rows[:, VELOCITY], axis=-1, keepdims=True)
            others = np.vstack([turned, others])
            still = np.tile([*state[POSITION], 0.0, 0.0], (len(turned), 1))
            rows = np.vstack([still, rows])
        rows[-1, VELOCITY] = 0.0
        return Plan(actions=np.zeros((len(rows), len(self.space.action_limits))),
                    states=np.hstack([rows, others]), dt_s=self.space.dt_s, goal=goal,
                    diffused_steps=0)

    def _turn(self, state: np.ndarray, towards: np.ndarray) -> np.ndarray:
        """Return the headings (n, 2) of a turn in place towards a way; none if it is ahead."""
        yaw = math.atan2(state[5], state[4])
        angle = math.remainder(math.atan2(towards[1], towards[0]) - yaw, math.tau)
        if abs(angle) < TURN_IN_PLACE_RAD:
            return np.zeros((0, 2))
        step = TURN_SHARE * self.space.action_limits[-1] * self.space.dt_s
        yaws = yaw + np.linspace(0.0, angle, math.ceil(abs(angle) / step) + 1)
        return np.stack([np.cos(yaws), np.sin(yaws)], axis=-1)


def timed(way: Way, velocity: np.ndarray, fastest_mps: float, acceleration_mps2: float,
          dt_s: float) -> np.ndarray:
    """
    Return positions and velocities (H, 4) along a way, one per control step.

    Accelerations along and across the way keep to the limit each, and the way ends at rest.

    :param velocity: (2,) now; what of it points along the way is kept.
    """
    steps = np.diff(way.points, axis=0)
    lengths_m = np.linalg.norm(steps, axis=-1).clip(1e-6)
    ahead = steps / lengths_m[:, None]
    bend = np.arccos(np.sum(ahead[1:] * ahead[:-1], axis=-1).clip(-1.0, 1.0))
    square = np.full(len(way.points), fastest_mps ** 2)  # of the speed at each point
    square[1:-1] = np.minimum(square[1:-1], acceleration_mps2 * lengths_m[1:] / bend.clip(1e-9))
    square[0] = min(square[0], max(float(velocity @ ahead[0]), 0.0) ** 2)
    square[-1] = 0.0
    gain = 2.0 * acceleration_mps2 * lengths_m
    for i in range(len(gain)):
        square[i + 1] = min(square[i + 1], square[i] + gain[i])
    for i in reversed(range(len(gain))):
        square[i] = min(square[i], square[i + 1] + gain[i])
    speeds = np.sqrt(square)
    mean_mps = np.maximum((speeds[1:] + speeds[:-1]) / 2.0, SLOWEST_MPS)
    times_s = np.concatenate([[0.0], np.cumsum(lengths_m / mean_mps)])
    rows_s = dt_s * np.arange(math.ceil(times_s[-1] / dt_s) + 1)
    along_m = np.interp(rows_s, times_s, way.lengths_m)
    segment = np.searchsorted(way.lengths_m, along_m, side='right') - 1
    speed = np.maximum(np.interp(rows_s, times_s, speeds), SLOWEST_MPS)
    return np.hstack([way.at(along_m), speed[:, None] * ahead[segment.clip(0, len(ahead) - 1)]])
