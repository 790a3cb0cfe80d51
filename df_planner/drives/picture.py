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

"""The picture of a recorded drive: way and plans over the map; latency, error, uncertainty."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.colors import Normalize
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
import numpy as np

from df_planner.drives.bag import Drive
from df_planner.drives.bag import DrivenPlan
from df_planner.drives.bag import Occupancy
from df_planner.drives.metrics import Leg
from df_planner.drives.metrics import on_the_way
from df_planner.drives.metrics import teleports
from df_planner.evaluation.picture import DRIVEN_COLOR
from df_planner.evaluation.picture import FLOOR_COLOR
from df_planner.evaluation.picture import GOAL_COLOR
from df_planner.evaluation.picture import PLAN_COLORS
from df_planner.evaluation.picture import START_COLOR
from df_planner.evaluation.picture import WALL_COLOR

UNKNOWN_COLOR = '#c9c7c0'
OCCUPIED = 65  # cells of this value and above are walls
LATENCY_COLOR, ERROR_COLOR, SPREAD_COLOR = '#1f77ff', '#ee4b3a', '#d98a00'
NOT_RECORDED = 'not recorded'
GAP_S = 1.0  # where a line is interrupted


def draw_drive(path: Path, drive: Drive, legs: Sequence[Leg], errors: np.ndarray,
               goal_radius_m: float, title: str) -> None:
    """Draw to a PNG file; ``errors`` (N,) are those of ``tracking_errors``."""
    begin_s = drive.times_s[0]
    plans = [plan for plan in drive.plans if len(plan) > 1]
    plans = [plan for plan, counts in zip(plans, on_the_way(
        drive, legs, [plan.heard_s for plan in plans])) if counts]
    last_s = max((plan.heard_s for plan in plans), default=drive.times_s[-1])
    figure = Figure(figsize=(14.0, 6.6), layout='constrained', facecolor='white')
    grid = figure.add_gridspec(3, 3, width_ratios=(1.25, 1.0, 0.34))
    colors = ScalarMappable(
        Normalize(0.0, last_s - begin_s),
        LinearSegmentedColormap.from_list('plan time', PLAN_COLORS))
    world = figure.add_subplot(grid[:, 0])
    _draw_map(world, drive.occupancy)
    _draw_drive(world, drive, legs, plans, goal_radius_m, colors)
    bar = figure.colorbar(colors, ax=world, location='bottom', shrink=0.7, pad=0.02, aspect=40)
    bar.set_label('when the plan was made [s]', fontsize=9)
    bar.ax.tick_params(labelsize=8, length=2)
    bar.outline.set_visible(False)

    planned = [(p.heard_s, 1e3 * p.planning_time_s) for p in drive.plans
               if p.planning_time_s is not None]
    spread = [(d.heard_s, 1e2 * d.radii_m.mean(), 1e2 * d.radii_m.max())
              for d in drive.uncertainty if len(d.radii_m)]
    rows = (('planning time [ms]', LATENCY_COLOR, np.array(planned).reshape(-1, 2), 'o'),
            ('tracking error [cm]', ERROR_COLOR,
             np.stack([drive.times_s, 1e2 * errors], axis=1)[~np.isnan(errors)], ''),
            ('uncertainty [cm]', SPREAD_COLOR, np.array(spread).reshape(-1, 3), ''))
    shared = None
    for row, (label, color, values, marker) in enumerate(rows):
        axis = figure.add_subplot(grid[row, 1], sharex=shared)
        shared = shared or axis
        beside = figure.add_subplot(grid[row, 2], sharey=axis)
        counted = values[on_the_way(drive, legs, values[:, 0]), 1]
        _draw_series(axis, label, color, _with_gaps(values) - begin_s * (
            np.arange(values.shape[1]) == 0), marker)
        _draw_distribution(beside, color, counted)
        for leg in legs:  # shade the time until the goal was reached
            axis.axvspan(drive.times_s[leg.driving.start] - begin_s,
                         drive.times_s[leg.driving.stop - 1] - begin_s, color='#000000',
                         alpha=0.05, linewidth=0)
        if row < len(rows) - 1:
            axis.tick_params(labelbottom=False)
    shared.set_xlim(0.0, drive.times_s[-1] - begin_s)
    axis.set_xlabel('time [s]', fontsize=9)
    beside.set_xlabel('share, on the way', fontsize=9)
    figure.suptitle(title, fontsize=11)
    figure.savefig(path, dpi=130)


def _draw_map(axis, occupancy: Occupancy | None) -> None:
    axis.set(xticks=[], yticks=[], aspect='equal', anchor='N')
    for spine in axis.spines.values():
        spine.set_visible(False)
    if occupancy is None:
        axis.set_facecolor(FLOOR_COLOR)
        return
    cells = occupancy.cells[..., None]
    picture = np.where(cells < 0, to_rgb(UNKNOWN_COLOR), np.where(
        cells >= OCCUPIED, to_rgb(WALL_COLOR), to_rgb(FLOOR_COLOR)))
    axis.imshow(picture, origin='lower', extent=occupancy.extent_m, interpolation='nearest')


def _draw_drive(axis, drive: Drive, legs: Sequence[Leg], plans: Sequence[DrivenPlan],
                goal_radius_m: float, colors) -> None:
    path = drive.states[:, :2].copy()
    path[teleports(drive)] = np.nan  # interrupts the line
    axis.plot(*path.T, color=DRIVEN_COLOR, linewidth=3.0, zorder=3, solid_capstyle='round')
    axis.add_collection(LineCollection(
        [plan.states[:, :2] for plan in plans], linewidths=1.0, zorder=4, capstyle='round',
        colors=[colors.to_rgba(plan.heard_s - drive.times_s[0]) for plan in plans]))
    for position in {tuple(leg.goal.position_m.tolist()) for leg in legs}:
        axis.add_patch(Circle(position, goal_radius_m, facecolor=GOAL_COLOR + '26',
                              edgecolor=GOAL_COLOR, linewidth=1.6, zorder=2))
    for leg in legs:
        axis.plot(*drive.states[leg.rows.start, :2], marker='o', markersize=6.0, zorder=5,
                  color=START_COLOR, markeredgecolor=DRIVEN_COLOR, markeredgewidth=1.5)
    axis.legend(handles=[
        Line2D([], [], color=DRIVEN_COLOR, linewidth=3.0, label='driven'),
        Line2D([], [], color=PLAN_COLORS[1], linewidth=1.0, label='planned'),
        Line2D([], [], linestyle='', marker='o', color=START_COLOR, markersize=6.0,
               markeredgecolor=DRIVEN_COLOR, label='given a goal here'),
        Line2D([], [], linestyle='', marker='o', markersize=9, markerfacecolor=GOAL_COLOR + '26',
               markeredgecolor=GOAL_COLOR, label='goal')],
        loc='upper center', bbox_to_anchor=(0.5, 0.0), ncols=4, frameon=False, fontsize=9)


def _with_gaps(values: np.ndarray) -> np.ndarray:
    """Return (n, k) with a row of NaN in every gap of more than ``GAP_S``."""
    gaps = np.flatnonzero(np.diff(values[:, 0]) > GAP_S) + 1
    return np.insert(values, gaps, np.nan, axis=0)


def _style(axis) -> None:
    axis.tick_params(labelsize=8, length=2)
    axis.grid(alpha=0.25, linewidth=0.6)
    for name in ('top', 'right'):
        axis.spines[name].set_visible(False)


def _draw_series(axis, label: str, color: str, values: np.ndarray, marker: str) -> None:
    """Draw (n, 2 or 3), time and value, and with a third column the highest value."""
    _style(axis)
    axis.set_ylabel(label, fontsize=9)
    if not len(values):
        axis.text(0.5, 0.5, NOT_RECORDED, transform=axis.transAxes, ha='center', color='#888888')
        return
    if values.shape[1] > 2:
        axis.fill_between(*values.T, color=color, alpha=0.2, linewidth=0,
                          label='mean to largest radius along the plan')
        axis.legend(frameon=False, fontsize=8, loc='upper right')
    axis.plot(values[:, 0], values[:, 1], color=color, linewidth=0.8 if marker else 1.2,
              marker=marker, markersize=2.5)
    axis.set_ylim(bottom=0.0)


def _draw_distribution(axis, color: str, values: np.ndarray) -> None:
    _style(axis)
    axis.tick_params(labelleft=False)
    if not len(values):
        return
    axis.hist(values, bins=30, orientation='horizontal', color=color, alpha=0.7,
              weights=np.full(len(values), 1.0 / len(values)))
    for share, style in ((0.5, '-'), (0.95, '--')):
        level = np.quantile(values, share)
        axis.axhline(level, color='#333333', linewidth=0.9, linestyle=style,
                     label=f'p{100 * share:.0f}  {level:.1f}')
    axis.legend(frameon=False, fontsize=8, loc='upper right', handlelength=1.2)
