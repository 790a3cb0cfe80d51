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

"""Judge whether odometry arrives often enough, and its stamps, frames and numbers make sense."""

from collections.abc import Iterator
import re

import numpy as np

from df_planner.driving.odometry_watch import JUMPS as FEWEST_JUMPS
from df_planner.driving.odometry_watch import OdometryWatch
from df_planner.driving.stamps import NS_PER_S
from df_planner.driving.stamps import RESTART_NS
from df_planner.nodes.doctor.recording import BAD
from df_planner.nodes.doctor.recording import ClockLog
from df_planner.nodes.doctor.recording import Finding
from df_planner.nodes.doctor.recording import OdometryLog
from df_planner.nodes.doctor.recording import OK
from df_planner.nodes.doctor.recording import Recording
from df_planner.nodes.doctor.recording import Wanted
from df_planner.nodes.doctor.recording import WARN

FEWEST = 10  # messages to judge stamps and rates by
FEW = 0.1  # share of messages that may be bad without stopping the robot
LARGEST_OFFSET_S = 0.5  # between stamps and clock, without a word
SLOW_STEPS = 1.5  # control steps from one odometry to the next, without a word
SLACK = 0.1  # by which the rate of stamps may differ from that of the clock, without a word
COUNTED = {1: 'once', 2: 'twice'}


def judge_odometry(recording: Recording, wanted: Wanted) -> Iterator[Finding]:
    """Yield what is wrong with the odometry as it arrived; one OK if nothing is."""
    log = recording.odometry
    if len(log) < FEWEST:
        yield Finding(BAD, 'odom', f'only {len(log)} messages in '
                      f'{recording.ended_s - recording.began_s:.0f} s; the planner needs one per '
                      f'control step of {wanted.dt_s:g} s: raise the rate of the driver')
        return
    findings = [*_refused(log), *_arrival(recording, wanted), *_watched(recording, wanted),
                *_order(log)]
    if not any(finding.level == BAD for finding in findings):
        findings += _against_clock(recording, wanted)
    if not any(finding.level == BAD for finding in findings):
        frame_id, child_frame_id = log.frames[-1] if log.frames else ('', '')
        yield Finding(OK, 'odom', f'{rate_hz(log.received_s):.1f} Hz, nav_msgs/msg/Odometry, '
                      f'{frame_id} -> {child_frame_id}')
    yield from findings


def rate_hz(times_s: np.ndarray) -> float:
    """Return the rate of n times, n > 1."""
    return (len(times_s) - 1) / max(float(times_s[-1] - times_s[0]), 1e-9)


def _refused(log: OdometryLog) -> Iterator[Finding]:
    by_text: dict[str, list[str]] = {}
    for key, text in log.refusals.items():
        by_text.setdefault(f'{key[1]}: {text}', []).append(key[0])
    for text, nodes in by_text.items():
        code = text.partition(':')[0]
        count = max(log.refused[node, code] for node in nodes)
        level = BAD if count > FEW * len(log) else WARN
        yield Finding(level, 'odom', f'{" and ".join(nodes)} would refuse {count} of {len(log)}: '
                      f'{text}; {_remedy(log, code, nodes)}')


def _remedy(log: OdometryLog, code: str, nodes: list[str]) -> str:
    if code != 'TF_ERROR':
        return 'mend the message in the driver'
    frame_id = log.frames[-1][0]
    if not frame_id:
        return 'set header.frame_id in the driver'
    if frame_id.startswith('/'):
        return 'leave out the slash in the driver: frames of tf2 have none'
    parameters = {'planner': f"equivalent_frame_ids:=\"['map','{frame_id}']\"",
                  'follower': f'odom_frame_id:={frame_id}'}
    ways = ' and '.join(f'start the {node} with -p {parameters[node]}' for node in nodes)
    return f'if {frame_id!r} equals the map, {ways}; else remap odom to odometry in the map'


def _arrival(recording: Recording, wanted: Wanted) -> Iterator[Finding]:
    """Judge when messages arrived."""
    log = recording.odometry
    period_s = float(np.median(np.diff(log.received_s)))
    silent_s = recording.ended_s - float(log.received_s[-1])
    gap_s = float(np.diff(log.received_s).max())
    timeout_s = wanted.odom_timeout_s
    if silent_s > timeout_s:
        yield Finding(BAD, 'odom', f'has stopped: silent for the last {silent_s:.1f} s; look at '
                      'the driver')
    elif period_s > timeout_s:
        yield Finding(BAD, 'odom', f'{1.0 / period_s:.1f} Hz: the robot brakes after '
                      f'{timeout_s:g} s without (odom_timeout_s); raise the rate of the driver')
    elif gap_s > timeout_s:
        yield Finding(BAD, 'odom', f'silent for {gap_s:.1f} s in between: the robot brakes after '
                      f'{timeout_s:g} s (odom_timeout_s); look at the driver and the network')
    elif period_s > SLOW_STEPS * wanted.dt_s:
        yield Finding(WARN, 'odom', f'{1.0 / period_s:.1f} Hz, but the model steps at '
                      f'{1.0 / wanted.dt_s:g} Hz: a command holds for '
                      f'{period_s / wanted.dt_s:.1f} steps; raise the rate of the driver')


def _watched(recording: Recording, wanted: Wanted) -> Iterator[Finding]:
    """Judge as the nodes do whether odometry advances: each kind of fault once, as said last."""
    log, watch = recording.odometry.accepted, OdometryWatch(wanted.odom_timeout_s)
    states = np.concatenate((log.positions, log.velocities), axis=1)
    clock_s = _clock_s(recording.clock, log) if wanted.use_sim_time else None
    faults: dict[str, str] = {}
    for row, state in enumerate([] if wanted.lockstep else states):
        fault = watch.hear(state, int(log.stamps_ns[row]), float(log.received_s[row]),
                           None if clock_s is None else float(clock_s[row]))
        if fault is not None:
            faults[re.sub(r'[-\d.e]+', '', fault)] = fault
    for fault in faults.values():
        yield Finding(BAD, 'odom', fault)


def _clock_s(clock: ClockLog, log: OdometryLog) -> np.ndarray | None:
    """Return what ``/clock`` said when each message arrived (n,); None if it does not run."""
    if not clock.runs:
        return None
    return np.interp(log.received_s, clock.received_s, clock.times_ns / NS_PER_S)


def _order(log: OdometryLog) -> Iterator[Finding]:
    """Judge the order of stamps and positions."""
    n, steps_ns = len(log), np.diff(log.stamps_ns)
    late = int(((steps_ns < 0) & (steps_ns > -RESTART_NS)).sum())
    if late:
        yield Finding(BAD if late > FEW * n else WARN, 'odom', f'{late} of {n} messages are older '
                      'than the one before, and refused: two publishers, or a driver that sends '
                      'out of order')
    if (steps_ns <= -RESTART_NS).sum() == 1:
        yield Finding(WARN, 'odom', 'stamps jumped back once: its source has restarted')
    repeated = int((steps_ns == 0).sum())
    if FEW * n < repeated < n - 1:
        yield Finding(WARN, 'odom', f'{repeated} of {n} stamps are those of the message before: '
                      'something sends messages again; leave one source')
    jumps_m = log.jumps_m[log.jumps_m > 0.0]
    if 0 < len(jumps_m) < FEWEST_JUMPS:
        yield Finding(WARN, 'odom', f'the position jumped {COUNTED[len(jumps_m)]}, by '
                      f'{jumps_m.max():.2f} m: a localisation that corrects itself? The '
                      'robot brakes when it is off its plan')


def _against_clock(recording: Recording, wanted: Wanted) -> Iterator[Finding]:
    """Judge the stamps against the clock: what the nodes bear, but a user should know."""
    log = recording.odometry
    clock_s = _clock_s(recording.clock, log) if wanted.use_sim_time else None
    name = 'the clock of this machine' if clock_s is None else '/clock'
    now_s = log.received_s if clock_s is None else clock_s
    offsets_s = log.stamps_ns / NS_PER_S - now_s
    offset_s = float(np.median(offsets_s))
    if np.ptp(offsets_s) > SLACK * np.ptp(now_s) + LARGEST_OFFSET_S:
        yield Finding(WARN, 'odom', f'stamps advance {np.ptp(log.stamps_ns / NS_PER_S):.3g} s in '
                      f'{np.ptp(now_s):.3g} s of {name}, and plans are followed by stamps')
    elif abs(offset_s) > LARGEST_OFFSET_S:
        side = 'ahead of' if offset_s > 0.0 else 'behind'
        yield Finding(WARN, 'odom', f'stamps are {abs(offset_s):.3g} s {side} {name}, so stamped '
                      'goals may wait and transforms be missed: synchronise the clocks of the '
                      'machines (chrony), and set use_sim_time as the driver has it')
