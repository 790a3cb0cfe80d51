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

"""Numbers of a recorded drive: per leg, and the tracking error per step."""

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np

from df_planner.drives.bag import Discs
from df_planner.drives.bag import Drive
from df_planner.drives.bag import DrivenPlan
from df_planner.drives.bag import Goal

TELEPORT_M = 0.5  # between two messages of odometry


@dataclass(frozen=True)
class Leg:
    """
    The drive towards one goal, until the next one, a teleport or the end.

    :param rows: of the odometry.
    :param reached_row: the first one within the radius of the goal, None if there is none.
    """

    goal: Goal
    rows: range
    reached_row: int | None

    @property
    def driving(self) -> slice:
        """Return the rows until the goal was reached, or all."""
        stop = self.rows.stop if self.reached_row is None else self.reached_row + 1
        return slice(self.rows.start, stop)


def teleports(drive: Drive) -> np.ndarray:
    """Return the first rows after each teleport of the robot."""
    steps = np.linalg.norm(np.diff(drive.states[:, :2], axis=0), axis=1)
    return np.flatnonzero(steps > TELEPORT_M) + 1


def legs(drive: Drive, goal_radius_m: float) -> list[Leg]:
    """Return the legs in the order of time; driving without a goal is left out."""
    starts = [int(np.searchsorted(drive.times_s, goal.heard_s)) for goal in drive.goals]
    cuts = sorted({*starts, *teleports(drive).tolist(), len(drive.times_s)})
    found = []
    for goal, start in zip(drive.goals, starts):
        stop = next((cut for cut in cuts if cut > start), start)
        distance = np.linalg.norm(drive.states[start:stop, :2] - goal.position_m, axis=1)
        within = np.flatnonzero(distance <= goal_radius_m)
        if stop > start:
            found.append(Leg(goal, range(start, stop),
                             start + int(within[0]) if len(within) else None))
    return found


def on_the_way(drive: Drive, legs: Sequence[Leg], times_s: Sequence[float]) -> np.ndarray:
    """Tell (n,) which times lie between a goal and reaching it; all if there are no goals."""
    times = np.asarray(times_s, np.float64)
    if not legs:
        return np.ones(len(times), bool)
    spans = [(min(leg.goal.heard_s, drive.times_s[leg.rows.start]),
              drive.times_s[leg.driving.stop - 1]) for leg in legs]
    return np.any([(begin_s <= times) & (times <= end_s) for begin_s, end_s in spans], axis=0)


def tracking_errors(drive: Drive) -> np.ndarray:
    """
    Return the distance (N,) in m of the robot from where its plan was at that time.

    The plan is the newest one published; after its end it stays at its last point. NaN without a
    plan, before its begin, after "brake" and after a teleport.
    """
    errors = np.full(len(drive.times_s), np.nan)
    heard = np.array([plan.heard_s for plan in drive.plans])
    newest = np.searchsorted(heard, drive.times_s, side='right') - 1
    last_teleport = np.maximum.accumulate(
        np.isin(np.arange(len(errors)), teleports(drive)) * drive.times_s)
    for index, plan in enumerate(drive.plans):
        rows = np.flatnonzero(newest == index)
        if not len(plan) or not len(rows):
            continue
        rows = rows[(drive.times_s[rows] >= plan.times_s[0])
                    & (last_teleport[rows] <= plan.heard_s)]
        where = np.stack([np.interp(drive.times_s[rows], plan.times_s, plan.states[:, axis])
                          for axis in (0, 1)], axis=1)
        errors[rows] = np.linalg.norm(drive.states[rows, :2] - where, axis=1)
    return errors


def leg_record(drive: Drive, leg: Leg, errors: np.ndarray) -> dict:
    """Return a row of the table: goal, time and distance to it, plans, planning time, error."""
    driving = leg.driving
    path = drive.states[driving, :2]
    begin_s, end_s = drive.times_s[leg.rows.start], drive.times_s[driving.stop - 1]
    plans = during(drive.plans, leg.goal.heard_s, end_s)
    durations_s = [p.planning_time_s for p in plans if p.planning_time_s is not None]
    driven = errors[driving]
    driven = driven[~np.isnan(driven)]
    radii = [float(discs.radii_m.mean())
             for discs in during(drive.uncertainty, leg.goal.heard_s, end_s) if len(discs.radii_m)]
    return {
        'goal_x_m': float(leg.goal.position_m[0]), 'goal_y_m': float(leg.goal.position_m[1]),
        'begin_s': float(begin_s), 'reached': leg.reached_row is not None,
        'time_s': float(end_s - begin_s),
        'path_m': float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum()),
        'top_speed_mps': float(np.linalg.norm(drive.states[driving, 2:], axis=1).max()),
        'plans': sum(len(plan) > 0 for plan in plans),
        'brakes': sum(len(plan) == 0 for plan in plans),
        'planning_p50_s': quantile(durations_s, 0.5),
        'planning_p95_s': quantile(durations_s, 0.95),
        'tracking_error_mean_m': float(driven.mean()) if len(driven) else None,
        'tracking_error_max_m': float(driven.max()) if len(driven) else None,
        'uncertainty_mean_m': sum(radii) / len(radii) if radii else None}


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return a quantile, None without values."""
    return float(np.quantile(values, share)) if len(values) else None


def during(events: Sequence, begin_s: float, end_s: float) -> list:
    """Return the events of a time span."""
    return [event for event in events if begin_s <= event.heard_s <= end_s]


def uncertainty_of(drive: Drive, plan: DrivenPlan) -> Discs | None:
    """Return the discs of a plan: the next ones published, if they begin at its start."""
    if not len(plan):
        return None
    for discs in drive.uncertainty:
        if discs.heard_s >= plan.heard_s and len(discs.radii_m):
            near = math.dist(discs.centres_m[0], plan.states[0, :2]) < 1e-3
            return discs if near else None
    return None
