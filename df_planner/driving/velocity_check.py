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
Whether the velocity of odometry agrees with how its position moves.

A driver that gives the velocity in other axes than those of ``child_frame_id`` turns braking into
accelerating: the sooner that is found, the slower the robot still is.
"""

from collections import deque

import numpy as np

WINDOW_S = 0.3  # in which velocity and position must lead to about the same place,
SHARE, ON_TOP_M = 0.6, 0.15  # but for this share of the way and this much on top of it
JUMP_M = 0.2  # a position that is this far off from one message to the next was put elsewhere
# So many steps that are off by more may be jumps, if all others together are off by no more.
FEW, STEP_M, REST_M = 3, 0.02, 0.05
PROVES_M = 0.1  # of the way: enough to tell that velocity and position agree


class VelocityCheck:
    """
    Compare where the position goes and where the velocity leads.

    :ivar fault: what is wrong. If the position moves, but not as the velocity says, that stays so
        until they agree about a motion, or until ``release``: a robot that stands proves nothing.
    :ivar is_wrong: likewise, but in spite of ``release``: nothing may brake by the velocity.
    """

    def __init__(self):
        self.fault: str | None = None
        self.is_wrong = False
        self._led = np.zeros((2, 2))  # where the velocity has led so far, by each of two clocks
        # Of the last moments: times by both clocks, position, velocity, where it had led, and by
        # how much the step to there was off.
        self._recent: deque[tuple[np.ndarray, ...]] = deque()

    def hear(self, state: np.ndarray, now_s: float, stamp_s: float) -> str | None:
        """
        Take a state (S,), position and velocity first, and return what is wrong with it.

        It is enough if the velocity is right by one of both clocks: that of the node, or stamps.
        """
        recent, times_s, moves = self._recent, np.array((now_s, stamp_s)), False
        off = np.zeros((2, 2))
        if recent:
            before_s, position, velocity, _, _ = recent[-1]
            steps_s = (times_s - before_s).clip(0.0, WINDOW_S)
            steps_m = np.outer(steps_s, 0.5 * (velocity + state[2:4]))
            self._led = self._led + steps_m
            step_m = state[:2] - position
            moves, off = bool(step_m.any()), steps_m - step_m
            if now_s - before_s[0] > WINDOW_S or np.linalg.norm(off[0]) > (
                    JUMP_M + 0.5 * np.linalg.norm(steps_m[0])):
                self.forget()
        recent.append((times_s, state[:2], state[2:4], self._led, off))
        while recent[0][0][0] <= now_s - WINDOW_S:
            recent.popleft()
        moved, led = state[:2] - recent[0][1], self._led - recent[0][3]
        way_m, ways_m = np.linalg.norm(moved), np.linalg.norm(led, axis=1)
        off_m = np.linalg.norm(led - moved, axis=1)
        if (off_m > SHARE * np.maximum(way_m, ways_m) + ON_TOP_M).all() and not self._jumped():
            self.is_wrong = self.is_wrong or moves
            self.fault = (
                f'in {WINDOW_S} s its position moved by {moved.round(2).tolist()} m while its '
                f'velocity led by {led[0].round(2).tolist()} m; the twist must be in the axes of '
                'child_frame_id, as REP 105 says; then send the goal again')
        elif not self.is_wrong:
            self.fault = None
        elif way_m > PROVES_M and off_m.min() < SHARE * way_m:
            self.release()
            self.is_wrong = False
        return self.fault

    def _jumped(self) -> bool:
        """Tell whether a few steps explain it: jumps, or messages of somebody else."""
        steps = np.array([off[0] for *_, off in list(self._recent)[1:]]).reshape(-1, 2)
        sizes_m = np.linalg.norm(steps, axis=1)
        jumps = np.argsort(sizes_m)[len(steps) - min(FEW, len(steps) // 4):]
        jumps = jumps[sizes_m[jumps] > STEP_M]
        return bool(np.linalg.norm(steps.sum(0) - steps[jumps].sum(0)) < REST_M)

    def release(self) -> None:
        """Give a robot that stands another chance: its plan has ended."""
        self.fault = None
        self.forget()

    def forget(self) -> None:
        """Compare with nothing before: the position has jumped, or its source has changed."""
        self._recent.clear()
