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
Whether odometry advances: the one rule by which follower and planner trust it.

Control counts by the stamps of the odometry. A source whose messages keep arriving while something
in them stands still would hold the robot at one row of its plan for ever, so each message is
judged by when it arrives. How long none has arrived is for others to watch.
"""

from collections import deque
import math

import numpy as np

from df_planner.driving.stamps import NS_PER_S
from df_planner.driving.stamps import RESTART_NS
from df_planner.driving.velocity_check import VelocityCheck

STILL_M = 1e-3  # a position that has moved less stands still
STILL_M_S = 0.05  # a slower robot may stand, whatever its noisy velocity says
PROMISED_M = 0.05  # how far the velocity must lead before the position is missed
LOST_M = 0.3  # so far, the position is missed at once
JUMP_M = 0.2  # off where velocity leads from one message to the next
BACK_S = 0.1  # stamps that go back by more leave the robot without commands until they catch up
JUMPS, JUMPS_S = 3, 1.0  # so many jumps in this time; a single one is a robot put elsewhere
REPEATS_S = 0.1  # for which the state of a robot that moves may stay the same
PUSH = 0.25  # a command below this share of the limit may not move a robot that stands
SLOWEST, FASTEST, LAG_S = 0.5, 2.0, 0.05  # the pace of stamps by the clock, give or take
RARE, MOST_RARE = 0.5, 0.4  # share of time in long gaps; the most that a single one counts
LONGEST_STEP_S = 0.1  # between messages; what is longer counts as this much


class OdometryWatch:
    """
    Say what is wrong with odometry that keeps arriving but does not advance.

    Once something is wrong, odometry must be good for twice the time-out to be trusted again, so
    that stamps of whole seconds do not count as good for half of each.

    :param timeout_s: wall time that the stamp, the position or the state may stand still.
    :param longest_gap_s: time between messages beyond which control is unstable.
    :ivar fault: what is wrong, with the remedy; None if nothing is.
    :ivar is_frozen: the state says that the robot moves, yet stays the same to the last bit.
    """

    def __init__(self, timeout_s: float, longest_gap_s: float = math.inf):
        self.timeout_s = timeout_s
        self._longest_gap_s = longest_gap_s
        self._rare = self._gap_s = 0.0  # share of the time lately in long gaps; the latest of them
        self._time_s: float | None = None  # when the message before came, by the robot's clock
        self.fault: str | None = None
        self._has_advanced = True
        self.is_frozen = False
        self._velocity = VelocityCheck()
        self._good_from_s = -math.inf
        self._heard_s: float | None = None  # when the message before came
        self._step_s = 0.0  # wall time between the last two
        self._heard_ns = self._newest_ns = 0  # stamps of the message before, and the newest
        self._advanced_s = 0.0  # when the stamp last did
        self._at: tuple[float, float, float] = (0.0, 0.0, 0.0)  # x, y, speed
        self._moved_from, self._moved_s, self._promised_m = (0.0, 0.0), 0.0, 0.0
        self._bytes, self._changed_s, self._pushed_s = b'', 0.0, 0.0
        self._is_lost = self._does_not_budge = False
        self._jumped_s: deque[float] = deque(maxlen=JUMPS)
        self._paced: tuple[int, float, float] | None = None  # stamp, clock, arrival
        self._pace = 0  # of the latest interval: -1 too slow, 1 too fast

    @property
    def is_sound(self) -> bool:
        """
        Tell whether odometry may be driven by.

        Nor may it be by a single stamp of a new, or restarted, source: it may stand.
        """
        return self._has_advanced and self.fault is None

    def hear(self, state: np.ndarray, stamp_ns: int, now_s: float, clock_s: float | None = None
             ) -> str | None:
        """
        Judge a message and return the ``fault``.

        :param state: (S,), position and velocity first.
        :param now_s: when it arrived, by the wall clock.
        :param clock_s: simulated time by ``/clock``, None if the time is that of the wall clock.
        """
        x, y, vx, vy = state[:4].tolist()
        at, data = (x, y, math.hypot(vx, vy)), state.tobytes()
        if self._heard_s is None:
            self._heard_ns = self._newest_ns = stamp_ns
            self._at, self._moved_from, self._bytes = at, (x, y), data
            self._heard_s = self._advanced_s = self._moved_s = self._changed_s = now_s
            self._has_advanced = False
        self._step_s = min(now_s - self._heard_s, LONGEST_STEP_S)
        if data != self._bytes:
            self._bytes, self._changed_s = data, now_s
            self._pushed_s, self._does_not_budge = 0.0, False
        self.is_frozen = at[2] > STILL_M_S and (
            now_s - self._changed_s > min(self._longest_gap_s, REPEATS_S))
        time_s = now_s if clock_s is None else clock_s
        jump = self._jump(at, stamp_ns, now_s)
        if self._jumped_s and self._jumped_s[-1] == now_s:
            self._velocity.forget()
        wrong = self._velocity.hear(state, now_s, stamp_ns / NS_PER_S)
        found = (self._standing_stamp(stamp_ns, now_s) or self._late_stamp(stamp_ns) or jump
                 or self._standing_position(at, now_s) or self._wrong_pace(now_s, clock_s)
                 or self._no_effect(now_s) or wrong)
        self._heard_s, self._heard_ns, self._at = now_s, stamp_ns, at
        rare = self._rare_messages(time_s)
        if found is not None or rare is not None:
            self.fault = rare if found is None else f'odometry does not advance: {found}'
            self._good_from_s = now_s + 2.0 * self.timeout_s
        elif now_s >= self._good_from_s:
            self.fault = None
        return self.fault

    @property
    def has_velocity(self) -> bool:
        """Tell whether the velocity may be true: it is neither frozen nor in other axes."""
        return not (self.is_frozen or self._velocity.is_wrong)

    def commanded(self, share: float) -> None:
        """Take the command that answers the message, as a share of its limit."""
        if share >= PUSH:
            self._pushed_s += self._step_s

    def release(self) -> None:
        """Let a robot try again that did not budge or went astray: its plan has ended."""
        self._pushed_s, self._does_not_budge = 0.0, False
        self._promised_m, self._is_lost = 0.0, False
        self._velocity.release()

    def _standing_stamp(self, stamp_ns: int, now_s: float) -> str | None:
        restarts = stamp_ns <= self._newest_ns - RESTART_NS
        if stamp_ns > self._newest_ns or restarts:
            self._newest_ns, self._advanced_s = stamp_ns, now_s
            self._has_advanced = not restarts
        stood_s = now_s - self._advanced_s
        if stood_s <= self.timeout_s:
            return None
        if stamp_ns == 0:
            return 'its stamps are all 0; the driver must stamp each message'
        what = 'a stamp of whole seconds' if stamp_ns % NS_PER_S == 0 else 'its stamp'
        return (f'{what} has stood at {self._newest_ns / NS_PER_S:.3f} s for {stood_s:.1f} s '
                'while messages arrive; the driver must stamp each message with the time of its '
                'measurement')

    def _late_stamp(self, stamp_ns: int) -> str | None:
        """Tell of a stamp that goes back, but not so far that its source has restarted."""
        back_s = (self._newest_ns - stamp_ns) / NS_PER_S
        if stamp_ns >= self._heard_ns or not BACK_S < back_s < RESTART_NS / NS_PER_S:
            return None
        return (f'its stamps went back by {back_s:.2f} s; look whether the clock of the driver is '
                'set back, or two sources send')

    def _jump(self, at: tuple[float, float, float], stamp_ns: int, now_s: float) -> str | None:
        """Tell of jumps: two sources on one topic take turns."""
        step_ns = stamp_ns - self._heard_ns
        jump_m = math.hypot(at[0] - self._at[0], at[1] - self._at[1])
        reach_m = JUMP_M + (at[2] + self._at[2]) * abs(step_ns) / NS_PER_S
        goes_back = step_ns <= -RESTART_NS
        if not goes_back and jump_m <= reach_m:
            return None
        self._jumped_s.append(now_s)
        if len(self._jumped_s) < JUMPS or now_s - self._jumped_s[0] > JUMPS_S:
            return None
        if goes_back:
            what = f'its stamps jump back and forth by {-step_ns / NS_PER_S:.3g} s'
        else:
            what = (f'its position jumps by {jump_m:.2f} m between messages at a velocity of '
                    f'{at[2]:.2f} m/s')
        return f'{what}; look for a second publisher with ros2 topic info -v'

    def _standing_position(self, at: tuple[float, float, float], now_s: float) -> str | None:
        x, y, speed = at
        if math.hypot(x - self._moved_from[0], y - self._moved_from[1]) > STILL_M:
            self._moved_from, self._moved_s = (x, y), now_s
            self._promised_m, self._is_lost = 0.0, False
        elif speed > STILL_M_S:
            self._promised_m += speed * self._step_s
        stood_s = now_s - self._moved_s
        allowed_m = PROMISED_M if stood_s > self.timeout_s else LOST_M
        self._is_lost = self._is_lost or self._promised_m > allowed_m
        if not self._is_lost:  # else until it moves: braking has stopped what could tell
            return None
        return (f'its position has stood still for {stood_s:.1f} s while its velocity told of '
                f'{self._promised_m:.2f} m; look why the source of the position has stopped')

    def _wrong_pace(self, now_s: float, clock_s: float | None) -> str | None:
        """Tell of stamps that run at another pace than the clock, twice in a row the same way."""
        time_s, paced = now_s if clock_s is None else clock_s, self._paced
        if paced is None or self._newest_ns < paced[0] or time_s < paced[1]:
            self._paced, self._pace = (self._newest_ns, time_s, now_s), 0
            return None
        if now_s - paced[2] < self.timeout_s / 2.0:
            return None
        stamps_s, passed_s = (self._newest_ns - paced[0]) / NS_PER_S, time_s - paced[1]
        before, self._pace = self._pace, (
            (stamps_s > FASTEST * passed_s + LAG_S) - (stamps_s < SLOWEST * passed_s - LAG_S))
        self._paced = self._newest_ns, time_s, now_s
        if self._pace == 0 or self._pace != before:
            return None
        if passed_s == 0.0:
            return 'use_sim_time is set, but /clock stands still, or nobody publishes it'
        clock = ('the wall clock; set use_sim_time if they are simulated' if clock_s is None
                 else '/clock')
        return f'its stamps run {stamps_s / passed_s:.2g} times as fast as {clock}'

    def _rare_messages(self, time_s: float) -> str | None:
        """Tell of messages that are too far apart for most of the time."""
        gap_s = 0.0 if self._time_s is None else max(time_s - self._time_s, 0.0)
        self._time_s = time_s
        is_long = gap_s > self._longest_gap_s
        self._gap_s = gap_s if is_long else self._gap_s
        self._rare += min(gap_s / self.timeout_s, MOST_RARE) * (is_long - self._rare)
        if self._rare <= RARE:
            return None
        return (f'odometry comes every {self._gap_s:.2f} s only; control needs it every '
                f'{self._longest_gap_s:.2g} s at least')

    def _no_effect(self, now_s: float) -> str | None:
        """Tell of a state that stays the same to the last bit whatever is commanded."""
        if min(now_s - self._changed_s, self._pushed_s) > self.timeout_s:
            self._does_not_budge = True
        if not self._does_not_budge:
            return None
        return (f'it has repeated to the last bit for {now_s - self._changed_s:.1f} s although '
                'commands push the robot: it is frozen, or the robot is blocked or switched off; '
                'then clear the goal and send it again')
