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

"""Judge the clock and the map, and whether the robot stands where it could drive."""

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import label

from df_planner.driving.stamps import NS_PER_S
from df_planner.nodes.doctor.recording import BAD
from df_planner.nodes.doctor.recording import ClockLog
from df_planner.nodes.doctor.recording import Finding
from df_planner.nodes.doctor.recording import MapLog
from df_planner.nodes.doctor.recording import OK
from df_planner.nodes.doctor.recording import Recording
from df_planner.nodes.doctor.recording import Wanted
from df_planner.nodes.doctor.recording import WARN
from df_planner.planning.map import GridMap

LEAST_REACH_M2 = 0.5  # less than this around the robot is no room to drive in
SMALL_REACH = 0.2  # share of where the robot fits
COARSE_CELLS = 2.0  # radii of the robot per cell


def judge_clock(recording: Recording, wanted: Wanted) -> Iterator[Finding]:
    """Yield whether the nodes' clock is there and runs."""
    clock = recording.clock
    if not wanted.use_sim_time:
        if len(clock.times_ns):
            yield Finding(WARN, 'clock', 'somebody publishes /clock, but use_sim_time is false: '
                          'beside a simulator, start planner and follower with -p '
                          'use_sim_time:=true')
        else:
            yield Finding(OK, 'clock', 'the clock of this machine (use_sim_time is false)')
    elif not len(clock.times_ns):
        yield Finding(BAD, 'clock', 'use_sim_time is true, but nobody publishes /clock: the time '
                      'of the nodes stands still; start the simulator, or set use_sim_time to '
                      'false on a real robot')
    elif not clock.runs:
        yield Finding(BAD, 'clock', f'/clock stands at {clock.times_ns[-1] / NS_PER_S:.3f} s: '
                      'is the simulator paused?')
    else:
        yield Finding(OK, 'clock', f'/clock, {_pace(clock):.2f} s per second')


def _pace(clock: ClockLog) -> float:
    spent_s = max(float(clock.received_s[-1] - clock.received_s[0]), 1e-9)
    return float(clock.times_ns[-1] - clock.times_ns[0]) / NS_PER_S / spent_s


def judge_map(recording: Recording, wanted: Wanted, start: np.ndarray | None,
              start_error: str) -> Iterator[Finding]:
    """
    Yield whether the map is taken, and whether the robot has room on it.

    A map that did not come is judged with the graph.

    :param start: (2,) position of the robot in the axes of the data; None if unknown.
    :param start_error: why the planner would refuse to start there; empty if it would not.
    """
    heard = recording.newest_map
    if heard is None:
        if not wanted.needs_map:
            yield Finding(OK, 'map', 'none, and none is needed (collision_check is false)')
        return
    if heard.error or heard.grid is None or heard.unknown is None:
        yield Finding(BAD, 'map', f'the planner would refuse it: {heard.error}')
        return
    grid = heard.grid
    free = ~grid.occupied
    height_m, width_m = np.array(grid.occupied.shape) * grid.resolution_m
    about = (f'{width_m:.1f} m x {height_m:.1f} m in {heard.frame_id!r}, cells of '
             f'{grid.resolution_m:g} m, {free.mean():.0%} free, '
             f'{heard.unknown.mean():.0%} unknown')
    if not free.any():
        yield Finding(BAD, 'map', f'{about}: no cell is free; look at occupied_threshold and at '
                      'the map server')
        return
    yield Finding(OK, 'map', about)
    if grid.resolution_m > COARSE_CELLS * max(wanted.robot_radius_m, 1e-3):
        yield Finding(WARN, 'map', f'its cells of {grid.resolution_m:g} m are larger than the '
                      f'robot ({wanted.robot_radius_m:.2f} m radius): narrow ways are lost')
    if start is not None:
        yield from _judge_start(heard, grid, wanted, start, start_error)


def _judge_start(heard: MapLog, grid: GridMap, wanted: Wanted, start: np.ndarray,
                 start_error: str) -> Iterator[Finding]:
    if start_error:
        yield Finding(BAD, 'start', f'{start_error}: is the robot where its odometry says, and '
                      'do odometry and map have the same origin? Unknown cells count as '
                      'obstacles: look around with the robot, or map the place')
        return
    x, y = np.asarray(start) @ grid.observation_to_map.T
    clearance_m = float(grid.clearance(start))
    reach_m2, fits_m2 = reach(grid, start, wanted.robot_radius_m)
    where = f'map ({x:.2f}, {y:.2f}), {clearance_m:.2f} m from the nearest obstacle'
    if clearance_m < wanted.robot_radius_m:
        yield Finding(WARN, 'start', f'{where}: nearer than its radius of '
                      f'{wanted.robot_radius_m:.2f} m; it may leave, but get no nearer')
    elif reach_m2 < LEAST_REACH_M2:
        yield Finding(BAD, 'start', f'{where}: enclosed, a robot of {wanted.robot_radius_m:.2f} m '
                      f'radius reaches {reach_m2:.2f} m2 from there; look at robot_radius_m and '
                      'at the map around the robot')
    elif reach_m2 < SMALL_REACH * fits_m2:
        yield Finding(WARN, 'start', f'{where}: reaches {reach_m2:.1f} m2 of the {fits_m2:.1f} m2 '
                      'of the map where the robot fits; the rest is behind obstacles')
    else:
        yield Finding(OK, 'start', f'{where}, reaches {reach_m2:.1f} m2')


def reach(grid: GridMap, start: np.ndarray, radius_m: float) -> tuple[float, float]:
    """
    Return the areas in m2 where a robot fits: connected with where it is, and in all.

    :param start: (2,) in the axes of the data, on the grid.
    """
    fits = grid.distance_m[1:-1, 1:-1] >= radius_m
    cell_m2 = grid.resolution_m ** 2
    regions, _ = label(fits)
    matrix, offset = grid.to_field_index()
    row, column = np.rint(np.asarray(start) @ matrix.T + offset).astype(int) - 1
    region = regions[min(max(row, 0), regions.shape[0] - 1),
                     min(max(column, 0), regions.shape[1] - 1)]
    reached = float((regions == region).sum()) * cell_m2 if region else 0.0
    return reached, float(fits.sum()) * cell_m2
