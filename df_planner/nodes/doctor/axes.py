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
Judge whether the velocity agrees with how the position moves.

Over short stretches of the drive, the way that the position went is compared with the twist,
integrated as the planner reads it and in the axes that drivers have it in by mistake.
"""

from collections.abc import Iterator

import numpy as np

from df_planner.driving.stamps import NS_PER_S
from df_planner.geometry import turned
from df_planner.nodes.doctor.recording import BAD
from df_planner.nodes.doctor.recording import Finding
from df_planner.nodes.doctor.recording import OdometryLog
from df_planner.nodes.doctor.recording import OK
from df_planner.nodes.doctor.recording import Wanted
from df_planner.nodes.doctor.recording import WARN

STRETCH_S = 0.25
FEWEST = 10  # messages
LEAST_M = 0.1  # of the drive, to judge by
FITS, FAILS = 0.3, 0.6  # share of the way that the twist does not explain
SAME_SCALE = 0.2  # by which the length of the twist may differ
TURNED_RAD = 0.35  # a robot that never heads this far from x does not tell axes apart
UNITS = {100.0: 'cm/s', 1000.0: 'mm/s', 3.6: 'km/h', 2.237: 'mph', 3.281: 'ft/s'}
RIGHT = 'as the planner reads it'
# What else drivers do: the remedy, and what makes the velocity (n, 2) of positions of the twist
# (n, 2) and the yaw (n,).
MISTAKES = {
    'it is in the axes of the pose: turn it into those of child_frame_id, the robot, in the '
    'driver (REP 105)':
        lambda twists, yaws: twists,
    'it is in the axes of the robot: set child_frame_id to the frame of the robot, in the driver':
        lambda twists, yaws: _turned(twists, yaws),
    'ahead and behind are swapped: negate the twist in the driver, or turn the yaw by 180 degrees':
        lambda twists, yaws: -_turned(twists, yaws),
    'left and right are swapped: y of the twist points to the left of the robot (REP 103)':
        lambda twists, yaws: _turned(twists * (1.0, -1.0), yaws),
    'the yaw turns the wrong way round: it grows counter-clockwise (REP 103)':
        lambda twists, yaws: _turned(twists, -yaws),
    'y of the position points the wrong way (NED?): x, y, up are right-handed (REP 103)':
        lambda twists, yaws: _turned(twists, yaws) * (1.0, -1.0),
    'it is turned by 90 degrees: x of the twist points ahead, y to the left (REP 103)':
        lambda twists, yaws: _turned(twists, yaws + 0.5 * np.pi),
    'it is turned by -90 degrees: x of the twist points ahead, y to the left (REP 103)':
        lambda twists, yaws: _turned(twists, yaws - 0.5 * np.pi),
}


def judge_axes(log: OdometryLog, wanted: Wanted) -> Iterator[Finding]:
    """Yield whether twist and position agree, and whether the robot is as fast as the model's."""
    log = log.accepted
    if len(log) < FEWEST:
        return
    times_s = _times_s(log)
    ways, twist_ways = _stretches(log, times_s)
    if not len(ways):
        return
    went_m = float(np.linalg.norm(ways, axis=1).sum())
    said_m = float(np.linalg.norm(twist_ways[RIGHT], axis=1).sum())
    if max(went_m, said_m) < LEAST_M:
        yield Finding(WARN, 'twist', f'the robot moved {went_m:.2f} m only: drive it about a '
                      'metre by hand, with a turn, while the doctor listens, to check its axes')
        return
    if said_m < 0.05 * went_m:
        yield Finding(BAD, 'twist', f'is {said_m:.2f} m long while the position moved '
                      f'{went_m:.2f} m: fill twist.twist.linear in the driver')
        return
    if went_m < 0.02 * said_m and went_m < LEAST_M:
        yield Finding(BAD, 'twist', f'says that the robot moved {said_m:.2f} m, but the position '
                      'stands still: look at what the driver writes to pose, and at its wheels')
        return
    fits = {name: _fit(ways, way) for name, way in twist_ways.items()}
    yield from _judge_fits(fits, log, went_m)
    fastest_mps = float(np.abs(log.twists).max()) / max(fits[RIGHT][1], 1.0)
    if fastest_mps > wanted.max_speed_mps:
        yield Finding(WARN, 'twist', f'{fastest_mps:.2f} m/s; the data of the model has at most '
                      f'{wanted.max_speed_mps:.2f} m/s per axis: plans begin where it knows '
                      'nothing; drive slower, or train it on such drives')


def _judge_fits(fits: dict[str, tuple[float, float]], log: OdometryLog, went_m: float
                ) -> Iterator[Finding]:
    """Judge the misfit and the scale of each reading of the twist."""
    misfit, scale = fits[RIGHT]
    best = min(fits, key=lambda name: fits[name][0])
    if misfit > FITS and fits[best][0] < FITS and fits[best][0] < 0.5 * misfit:
        yield Finding(BAD, 'twist', f'does not agree with how the position moves: {best}')
        return
    if misfit > FAILS:
        yield Finding(BAD, 'twist', f'does not agree with how the position moves: it explains '
                      f'{max(0.0, 1.0 - misfit):.0%} of {went_m:.1f} m in any axes; are pose and '
                      'twist of the same robot, in metres and m/s?')
        return
    if abs(np.log(scale)) > SAME_SCALE:
        near = min(UNITS, key=lambda unit: abs(np.log(scale / unit)))
        unit = UNITS[near] if abs(np.log(scale / near)) < SAME_SCALE else ''
        yield Finding(BAD, 'twist', f'is {scale:.3g} times as long as the way that the position '
                      'moved: ' + (f'{unit} in place of m/s? ' if unit else '')
                      + 'Positions are metres, velocities m/s')
        return
    if misfit > FITS:
        yield Finding(WARN, 'twist', f'explains only {1.0 - misfit:.0%} of how the position '
                      'moves: noisy odometry, or a twist that lags behind')
        return
    if np.abs(np.arctan2(np.sin(log.yaws), np.cos(log.yaws))).max() < TURNED_RAD:
        yield Finding(WARN, 'twist', f'agrees with {went_m:.1f} m of the position, but the robot '
                      'headed along x all the time: turn it and drive on, to check its axes')
        return
    yield Finding(OK, 'twist', f'agrees with how the position moved, {went_m:.1f} m')


def _times_s(log: OdometryLog) -> np.ndarray:
    """Return times (n,) that advance: stamps if they do, else those of arrival."""
    received_s = np.maximum.accumulate(log.received_s)
    steps_ns = np.diff(log.stamps_ns)
    spent_s = (log.stamps_ns[-1] - log.stamps_ns[0]) / NS_PER_S
    real_s = received_s[-1] - received_s[0]
    if (steps_ns >= 0).all() and abs(spent_s - real_s) < 0.5 * real_s and (
            (steps_ns == 0).mean() < 0.5):
        return (log.stamps_ns - log.stamps_ns[0]) / NS_PER_S
    return received_s - received_s[0]


def _stretches(log: OdometryLog, times_s: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the ways (k, 2) of the position, and by reading those of the twist."""
    numbers = np.floor(times_s / STRETCH_S)
    ends = np.flatnonzero(np.diff(numbers, prepend=-1.0) > 0)
    ways = np.diff(log.positions[ends], axis=0)
    readings = {RIGHT: log.velocities,
                **{name: read(log.twists, log.yaws) for name, read in MISTAKES.items()}}
    steps_s = np.diff(times_s)[:, None]
    twist_ways = {}
    for name, velocities in readings.items():
        driven = np.concatenate((np.zeros((1, 2)), np.cumsum(
            0.5 * steps_s * (velocities[1:] + velocities[:-1]), axis=0)))
        twist_ways[name] = np.diff(driven[ends], axis=0)
    # A jump of the position is no motion, and judged apart.
    jumps = np.cumsum(log.jumps_m > 0.0)
    keep = np.diff(np.append(0, jumps)[ends]) == 0
    return ways[keep], {name: way[keep] for name, way in twist_ways.items()}


def _fit(ways: np.ndarray, twist_ways: np.ndarray) -> tuple[float, float]:
    """Return the share of the ways that is not explained, and how much too long the twist is."""
    power = float((twist_ways * twist_ways).sum())
    share = float((ways * twist_ways).sum()) / max(power, 1e-12)
    if share <= 0.0:
        return np.inf, 1.0
    misfit = np.linalg.norm(ways - share * twist_ways) / max(np.linalg.norm(ways), 1e-9)
    return float(misfit), 1.0 / share


def _turned(vectors: np.ndarray, yaws: np.ndarray) -> np.ndarray:
    """Return vectors (n, 2) of a robot that heads for yaws (n,), in the axes of its pose."""
    return turned(vectors, np.stack((np.cos(yaws), np.sin(yaws)), axis=1))
