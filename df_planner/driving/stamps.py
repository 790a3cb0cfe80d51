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

"""Time as nodes count it: whole nanoseconds, by the stamps of messages."""

from df_planner.errors import StaleInput

NS_PER_S = 1_000_000_000
RESTART_NS = NS_PER_S  # odometry this far in the past is a restarted source, not a late message


def seconds_to_ns(time_s: float) -> int:
    """Return seconds as the nearest whole nanosecond."""
    return round(time_s * NS_PER_S)


def has_restarted(last_ns: int | None, stamp_ns: int) -> bool:
    """
    Tell whether the source of odometry has restarted: its stamps begin again, far in the past.

    :param last_ns: stamp of the odometry before, None if there was none.
    :raises StaleInput: if the new odometry is only a little older: a late message.
    """
    late_ns = 0 if last_ns is None else last_ns - stamp_ns
    if 0 < late_ns < RESTART_NS:
        raise StaleInput(f'odometry: {late_ns / NS_PER_S:.3f} s older than the one before')
    return late_ns > 0
