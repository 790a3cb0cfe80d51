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

import numpy as np

from df_planner.driving.stamps import NS_PER_S
from df_planner.driving.stamps import RESTART_NS
from df_planner.nodes.doctor.recording import BAD
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
JUMP_M = 0.2  # from one message to the next, beyond what the speed explains
STAMP = 'set header.stamp in the driver to the time of the measurement'


def judge_odometry(recording: Recording, wanted: Wanted) -> Iterator[Finding]:
    """Yield what is wrong with the odometry as it arrived; one OK if nothing is."""
    log = recording.odometry
    if len(log) < FEWEST:
        yield Finding(BAD, 'odom', f'only {len(log)} messages in '
                      f'{recording.ended_s - recording.began_s:.0f} s; the planner needs one per '
                      f'control step of {wanted.dt_s:g} s: raise the rate of the driver')
        return
    findings = [*_refused(log), *_arrival(recording, wanted), *_stamps(recording, wanted),
                *_jumps(log)]
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


def _stamps(recording: Recording, wanted: Wanted) -> Iterator[Finding]:
    """Judge stamps against each other and against the clock."""
    log, n = recording.odometry, len(recording.odometry)
    steps_ns = np.diff(log.stamps_ns)
    if (log.stamps_ns == log.stamps_ns[0]).all():
        value = 'are 0' if log.stamps_ns[0] == 0 else 'do not advance'
        yield Finding(BAD, 'odom', f'stamps {value} ({n} messages): {STAMP}')
        return
    if (log.stamps_ns % NS_PER_S == 0).all():
        yield Finding(BAD, 'odom', f'stamps are whole seconds: {STAMP}, nanosec too')
        return
    standing_s = _longest_stand_s(log)
    if standing_s > wanted.odom_timeout_s:
        yield Finding(BAD, 'odom', f'stamps stood still for {standing_s:.1f} s while messages '
                      f'arrived: {STAMP}')
        return
    late = int(((steps_ns < 0) & (steps_ns > -RESTART_NS)).sum())
    restarts = int((steps_ns <= -RESTART_NS).sum())
    if late:
        yield Finding(BAD if late > FEW * n else WARN, 'odom', f'{late} of {n} messages are older '
                      'than the one before and refused: two publishers, or a driver that sends '
                      'out of order')
    if restarts:
        yield Finding(BAD if restarts > 1 else WARN, 'odom', f'stamps jumped back {restarts} '
                      'times by a second or more: the source restarted, or two publishers have '
                      'clocks of their own; leave one')
        return
    repeated = int((steps_ns == 0).sum())
    if repeated > FEW * n:
        yield Finding(WARN, 'odom', f'{repeated} of {n} stamps are those of the message before: '
                      'something sends messages again, or two publish the same; leave one')
    yield from _against_clock(recording, wanted)


def _longest_stand_s(log: OdometryLog) -> float:
    """Return the longest time in which messages arrived without a newer stamp."""
    newest = np.maximum.accumulate(log.stamps_ns)
    begins = np.flatnonzero(np.concatenate(([True], np.diff(newest) > 0)))
    restarts = np.diff(log.stamps_ns) <= -RESTART_NS  # judged apart
    if restarts.any():
        return 0.0
    ends = np.append(begins[1:], len(log)) - 1
    return float((log.received_s[ends] - log.received_s[begins]).max())


def _against_clock(recording: Recording, wanted: Wanted) -> Iterator[Finding]:
    log, clock = recording.odometry, recording.clock
    stamps_s = log.stamps_ns / NS_PER_S
    now_s, name = log.received_s, 'the clock of this machine'
    if wanted.use_sim_time and len(clock.received_s) > 1:
        now_s = np.interp(log.received_s, clock.received_s, clock.times_ns / NS_PER_S)
        name = '/clock'
    elif len(clock.received_s) > 1 and abs(stamps_s[-1] - clock.times_ns[-1] / NS_PER_S) < 60.0:
        now_s = np.interp(log.received_s, clock.received_s, clock.times_ns / NS_PER_S)
    spent_s = float(now_s[-1] - now_s[0])
    if spent_s > 0.5:
        pace = float(stamps_s[-1] - stamps_s[0]) / spent_s
        if abs(pace - 1.0) > SLACK:
            yield Finding(BAD if not 0.5 <= pace <= 2.0 else WARN, 'odom',
                          f'stamps advance {pace:.3g} s per second of {name}, and plans are '
                          f'followed by stamps: {STAMP}, in seconds and nanoseconds')
    offset_s = float(np.median(stamps_s - now_s))
    if abs(offset_s) > LARGEST_OFFSET_S:
        side = 'ahead of' if offset_s > 0.0 else 'behind'
        remedy = ('synchronise the clocks of the machines (chrony), or set use_sim_time as the '
                  'driver has it')
        yield Finding(WARN, 'odom', f'stamps are {abs(offset_s):.4g} s {side} {name}, so stamped '
                      f'goals may wait and transforms be missed: {remedy}')


def _jumps(log: OdometryLog) -> Iterator[Finding]:
    """Judge whether the position jumps, as that of two publishers does."""
    moves_m = np.linalg.norm(np.diff(log.positions, axis=0), axis=1)
    speeds_mps = np.linalg.norm(log.twists, axis=1)
    waits_s = np.clip(np.diff(log.received_s), 0.0, None)
    usual_m = float(np.median(moves_m))
    allowed_m = JUMP_M + 2.0 * np.maximum(speeds_mps[1:], speeds_mps[:-1]) * waits_s + 5 * usual_m
    jumps = moves_m > allowed_m
    if jumps.any():
        level = BAD if jumps.sum() > 2 else WARN
        yield Finding(level, 'odom', f'the position jumped {int(jumps.sum())} times, by up to '
                      f'{moves_m.max():.2f} m: two publishers with poses of their own (leave '
                      'one), or a localisation that corrects itself')
