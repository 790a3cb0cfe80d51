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
A recorded drive as a GIF: robot, driven path, current plan with its uncertainty, candidates.

Only the time from a goal until shortly after it was reached is shown.
"""

from collections.abc import Callable
from collections.abc import Sequence
import math
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import Collection
from matplotlib.collections import EllipseCollection
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
import numpy as np
from PIL import Image

from df_planner.drives.bag import Drive
from df_planner.drives.bag import Occupancy
from df_planner.drives.metrics import Leg
from df_planner.drives.metrics import teleports
from df_planner.drives.picture import OCCUPIED
from df_planner.errors import BagError
from df_planner.evaluation.picture import DRIVEN_COLOR
from df_planner.evaluation.picture import FLOOR_COLOR
from df_planner.evaluation.picture import GOAL_COLOR
from df_planner.evaluation.picture import WALL_COLOR

FRAMES_PER_S = 25  # a GIF counts in hundredths of a second
LAST_S = 0.5  # shown after a goal was reached
STILL_FRAMES = 20  # at the end, before it starts again
DPI = 100
MARGIN_M = 0.45  # of the outer wall, cropped
CAPTION_IN = 0.34
COLOURS = 96
PALETTE_FRAMES = 12
PLAN_COLOR, SPREAD_COLOR, CORE_COLOR = '#1463e6', '#d6e4fb', '#b7d0f8'
VALID_COLOR, INVALID_COLOR = '#17a34a', '#ef7d6d'
ROBOT_COLOR, OLD_COLOR = '#1463e6', '#aaa89f'
ROBOT_RADIUS_M = 0.13  # a little larger than it is, to be seen
DRAWN_COLORS = ('#ffffff', DRIVEN_COLOR, FLOOR_COLOR, GOAL_COLOR, WALL_COLOR, PLAN_COLOR,
                SPREAD_COLOR, CORE_COLOR, VALID_COLOR, INVALID_COLOR, OLD_COLOR)
SWATCH_PX = 40  # of each of them in the picture that the palette is made from: none gets lost
CORE_SHARE = math.sqrt(math.log(2.0) / math.log(20.0))  # radius that holds 50 % to that of 95 %
DISCS_PER_M = 12


def animate(path: Path, drive: Drive, legs: Sequence[Leg], goal_radius_m: float, speed: float,
            width_px: int, on_frame: Callable[[int], object] = lambda total: None) -> None:
    """
    Write the GIF.

    :param speed: seconds of the drive per second of the GIF.
    :param on_frame: called with the number of frames after each.
    :raises BagError: if the bag has no map or no goal.
    """
    if drive.occupancy is None or not legs:
        raise BagError('the bag has no ' + ('goal_pose' if drive.occupancy else 'map')
                       + ' to animate')
    times = _frame_times(drive, legs, speed)
    scene = _Scene(drive, drive.occupancy, goal_radius_m, width_px)
    frames = []
    for time_s, leg in times:
        scene.show(time_s, leg)
        frames.append(scene.pixels())
        on_frame(len(times))
    _write_gif(path, frames)


def _frame_times(drive: Drive, legs: Sequence[Leg], speed: float) -> list[tuple[float, Leg]]:
    times: list[tuple[float, Leg]] = []
    for leg in legs:
        end = min(leg.rows.stop, leg.driving.stop + round(LAST_S / np.median(
            np.diff(drive.times_s)))) - 1
        times += [(time_s, leg) for time_s in np.arange(
            drive.times_s[leg.rows.start], drive.times_s[end], speed / FRAMES_PER_S).tolist()]
    return times


class _Scene:
    """A figure whose moving parts are replaced from frame to frame."""

    def __init__(self, drive: Drive, occupancy: Occupancy, goal_radius_m: float, width_px: int):
        self._drive, self._goal_radius_m = drive, goal_radius_m
        self._teleports = teleports(drive)
        left, right, bottom, top = occupancy.extent_m
        left, right = left + MARGIN_M, right - MARGIN_M
        bottom, top = bottom + MARGIN_M, top - MARGIN_M
        width_in = width_px / DPI
        height_in = width_in * (top - bottom) / (right - left)
        figure = Figure(figsize=(width_in, height_in + CAPTION_IN), dpi=DPI, facecolor='white')
        self._canvas = FigureCanvasAgg(figure)
        share = CAPTION_IN / (height_in + CAPTION_IN)
        self._axis = figure.add_axes((0.0, share, 1.0, 1.0 - share))
        self._axis.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[])
        self._axis.set_facecolor(FLOOR_COLOR)
        for spine in self._axis.spines.values():
            spine.set_visible(False)
        self._draw_walls(occupancy)
        self._caption = figure.text(0.012, share / 2.0, '', fontsize=8.5, va='center',
                                    family='monospace', color='#333333')
        self._legend(figure, share)
        self._moving: list = []

    def pixels(self) -> np.ndarray:
        """Return the frame, (height, width, 3) uint8."""
        self._canvas.draw()
        return np.asarray(self._canvas.buffer_rgba())[..., :3].copy()

    def show(self, time_s: float, leg: Leg) -> None:
        """Draw the moving parts for a time of the drive."""
        for artist in self._moving:
            artist.remove()
        self._moving = []
        drive = self._drive
        row = int(np.searchsorted(drive.times_s, time_s, side='right')) - 1
        self._show_goal(leg)
        plan = _newest(drive.plans, time_s)
        if plan is not None and len(plan) > 1 and plan.heard_s >= leg.goal.heard_s:
            self._show_spread(plan.heard_s, time_s)
            self._show_candidates(plan.heard_s, time_s)
            ahead = plan.states[plan.times_s >= time_s, :2]
            self._line(np.vstack([drive.states[row:row + 1, :2], ahead]), PLAN_COLOR, 2.4, 6)
        self._show_way(leg, row)
        planning = '' if plan is None or plan.planning_time_s is None else (
            f'   planned in {1e3 * plan.planning_time_s:3.0f} ms')
        self._caption.set_text(f'{time_s - drive.times_s[leg.rows.start]:4.1f} s{planning}')

    def _draw_walls(self, occupancy: Occupancy) -> None:
        """Draw the walls, over the uncertainty that may reach into them."""
        walls = np.zeros((*occupancy.cells.shape, 4))
        walls[..., :3] = to_rgb(WALL_COLOR)
        walls[..., 3] = (occupancy.cells >= OCCUPIED) | (occupancy.cells < 0)
        limits = self._axis.axis()
        self._axis.imshow(walls, origin='lower', extent=occupancy.extent_m, zorder=4,
                          interpolation='nearest')
        self._axis.axis(limits)

    def _legend(self, figure, share: float) -> None:
        figure.legend(handles=[
            Line2D([], [], color=DRIVEN_COLOR, linewidth=2.6, label='driven'),
            Line2D([], [], color=PLAN_COLOR, linewidth=2.4, label='plan'),
            Line2D([], [], color=SPREAD_COLOR, linewidth=7.0, label='95 %'),
            Line2D([], [], color=VALID_COLOR, linewidth=1.0, label='candidates'),
            Line2D([], [], color=INVALID_COLOR, linewidth=1.0, label='refused'),
        ], loc='center right', bbox_to_anchor=(1.0, share / 2.0), ncols=5, frameon=False,
            fontsize=8.0, handlelength=1.3, columnspacing=1.0, handletextpad=0.5,
            borderaxespad=0.4)

    def _show_goal(self, leg: Leg) -> None:
        self._add(Circle(tuple(leg.goal.position_m), self._goal_radius_m, zorder=4.5,
                         facecolor=GOAL_COLOR + '2b', edgecolor=GOAL_COLOR, linewidth=1.8))
        self._moving += self._axis.plot(*leg.goal.position_m, marker='*', markersize=9,
                                        color=GOAL_COLOR, markeredgewidth=0, zorder=4.5)

    def _show_spread(self, heard_s: float, time_s: float) -> None:
        """Draw the discs of the plan densely, as a tube, with a darker core of 50 %."""
        discs = _newest(self._drive.uncertainty, time_s)
        if discs is None or discs.heard_s < heard_s or len(discs.radii_m) < 2:
            return
        steps = np.linalg.norm(np.diff(discs.centres_m, axis=0), axis=1)
        along = np.concatenate([[0.0], np.cumsum(steps)])
        dense = np.linspace(0.0, along[-1], max(2, round(along[-1] * DISCS_PER_M)))
        centres = np.stack([np.interp(dense, along, axis) for axis in discs.centres_m.T], axis=1)
        radii = np.interp(dense, along, discs.radii_m)
        for scale, color, zorder in ((1.0, SPREAD_COLOR, 1.0), (CORE_SHARE, CORE_COLOR, 1.5)):
            widths = 2.0 * scale * radii
            self._add(EllipseCollection(
                widths, widths, np.zeros(len(widths)), units='xy', offsets=centres,
                offset_transform=self._axis.transData, facecolor=color, edgecolor='none',
                zorder=zorder))

    def _show_candidates(self, heard_s: float, time_s: float) -> None:
        found = _newest(self._drive.candidates, time_s)
        if found is None or found.heard_s < heard_s:
            return
        self._add(LineCollection(
            found.lines, linewidths=0.9, zorder=5, colors=[
                VALID_COLOR if valid else INVALID_COLOR for valid in found.valid]))

    def _show_way(self, leg: Leg, row: int) -> None:
        """Draw the path since the last teleport, pale where it led to older goals."""
        before = self._teleports[self._teleports <= row]
        start = int(before[-1]) if len(before) else 0
        positions, since = self._drive.states[:, :2], max(start, leg.rows.start)
        self._line(positions[start:since + 1], OLD_COLOR, 2.6, 4.2)
        self._line(positions[since:row + 1], DRIVEN_COLOR, 2.8, 7)
        self._add(Circle(tuple(self._drive.states[row, :2]), ROBOT_RADIUS_M, zorder=9,
                         facecolor=ROBOT_COLOR, edgecolor='white', linewidth=1.6))

    def _line(self, points: np.ndarray, color: str, width: float, zorder: int) -> None:
        self._moving += self._axis.plot(
            points[:, 0], points[:, 1], color=color, linewidth=width, zorder=zorder,
            solid_capstyle='round', solid_joinstyle='round')

    def _add(self, artist) -> None:
        if isinstance(artist, Collection):
            self._axis.add_collection(artist, autolim=False)
        else:
            self._axis.add_patch(artist)
        self._moving.append(artist)


def _newest(events: Sequence, time_s: float):
    return next((event for event in reversed(events) if event.heard_s <= time_s), None)


def _write_gif(path: Path, frames: Sequence[np.ndarray]) -> None:
    """Write frames (height, width, 3) with one palette, so that only what moves is stored."""
    sample = frames[::max(1, len(frames) // PALETTE_FRAMES)]
    width = sample[0].shape[1]
    swatches = [np.full((SWATCH_PX, width, 3), [round(255 * part) for part in to_rgb(color)],
                        np.uint8) for color in DRAWN_COLORS]
    palette = Image.fromarray(np.vstack([*sample, *swatches])).quantize(
        COLOURS, dither=Image.Dither.NONE)
    images = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
              for frame in frames]
    duration_ms = 1000 // FRAMES_PER_S
    images[0].save(path, save_all=True, append_images=images[1:], loop=0, disposal=1,
                   duration=[duration_ms] * (len(images) - 1) + [duration_ms * STILL_FRAMES])
