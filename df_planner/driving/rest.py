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

"""Whether a robot is at rest, by where it is as well as by the speed that it tells."""

import numpy as np

from df_planner.driving.stamps import seconds_to_ns

# A robot that has moved and moves less than this stands still. The speeds are those at which
# Nav2's goal checker calls a robot stopped.
STILL_M, STILL_M_S, STILL_RAD = 0.05, 0.2, 0.05
REST_S = 0.25  # a robot that has stood still for so long, by its odometry's stamps, is at rest


def is_still(state: np.ndarray, before: np.ndarray) -> bool:
    """Tell whether a robot in a state (S,) has stood still since it was in another one."""
    moved_m = np.linalg.norm(state[:2] - before[:2])
    speed_mps = max(np.linalg.norm(state[2:4]), np.linalg.norm(before[2:4]))
    turned_rad = np.linalg.norm(state[4:] - before[4:])  # 0 without a heading
    return bool(moved_m <= STILL_M and speed_mps <= STILL_M_S and turned_rad <= STILL_RAD)


class Rest:
    """
    Follow a robot until it is at rest.

    The position counts as well as the speed: a twist that is never filled in is no standstill, nor
    is a turn in place.
    """

    def __init__(self):
        self._since: tuple[np.ndarray, int] | None = None  # state and stamp
        self._now_ns = 0

    def take(self, state: np.ndarray, stamp_ns: int) -> None:
        """Take a state (S,) of the odometry."""
        since = self._since
        if since is None or stamp_ns < since[1] or not is_still(state, since[0]):
            self._since = state, stamp_ns
        self._now_ns = stamp_ns

    def begin(self) -> None:
        """Forget all states: count from the next one on."""
        self._since = None

    @property
    def is_reached(self) -> bool:
        """Tell whether the robot has stood still for REST_S."""
        return self._since is not None and self._now_ns - self._since[1] >= seconds_to_ns(REST_S)
