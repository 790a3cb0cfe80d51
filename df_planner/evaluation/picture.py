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
The picture of a run: planned and driven paths among the walls, one small panel per episode.

Drawn with the column to the right and the row downwards, as a maze is printed; the map frame
(x = column, y = -row) looks the same. Matplotlib is imported when a picture is drawn.
"""

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import BinaryIO

import numpy as np

from df_planner.planning.plan import Plan
from df_planner.robots.signals import MAZE2D
from df_planner.robots.signals import Signals
from df_planner.sim.maze import DT_S
from df_planner.sim.maze import GOAL_RADIUS_M
from df_planner.sim.maze import in_maze
from df_planner.sim.maze import OBSERVATION_TO_MAP
from df_planner.sim.place import Place

MAX_PANELS = 12
SKETCH_EVERY_STEPS = 4
WALL_COLOR = '#2b2d35'
FLOOR_COLOR = '#f6f5f1'
UNKNOWN_COLOR = '#b9b8b3'
DRIVEN_COLOR = '#111111'
START_COLOR = '#ffffff'
GOAL_COLOR = '#d1344b'
PLAN_COLORS = ('#1f77ff', '#a23bd8', '#ee4b3a', '#ffb000')
DRIVEN_WIDTH = 3.2
PLAN_WIDTH = 1.0
MARGIN_M = 0.4  # of walls around the free space


def sketch(states: np.ndarray, plans: Sequence[tuple[int, Plan | None]] = (),
           signals: Signals = MAZE2D) -> dict:
    """
    Reduce an episode to what its panel shows: thinned paths in millimetres precision, JSON-able.

    :param states: (T+1, S) driven.
    :param plans: (step, plan) as in ``episode_record``.
    :returns: ``driven`` (n, 2) and ``plans``, a list of [step, (n, 2)], nested lists, as row and
        column.
    """
    to_map = signals.observation_to_map
    return {
        'driven': _thinned(in_maze(states[:, :2], to_map)),
        'plans': [[int(step), _thinned(in_maze(plan.states[:, :2], to_map))]
                  for step, plan in plans if plan is not None],
    }


def draw_paths(file: str | Path | BinaryIO, place: Place, records: Sequence[dict],
               sketches: Sequence[dict], title: str) -> None:
    """
    Draw small multiples of the episodes to a PNG file.

    Of more than ``MAX_PANELS`` episodes, those at evenly spaced ranks of the return (on a map, of
    the time to the goal) are shown, the best first. A panel shows the plans made until the goal
    was first reached.

    :param records: of ``episode_record``; one panel each.
    :param sketches: of ``sketch``, in the order of the records.
    """
    from matplotlib.figure import Figure

    shown = _panels(records)
    across = _columns(len(shown))
    down = -(-len(shown) // across)
    (top, left), (bottom, right) = view(place)
    rows, columns = bottom - top, right - left
    width_in = max(12.0 / across, 3.0) if across > 2 else 4.6
    figure = Figure(
        figsize=(width_in * across + 0.8, (width_in * rows / columns + 0.3) * down + 0.8),
        layout='constrained', facecolor='white')
    axes = figure.subplots(down, across, squeeze=False).ravel().tolist()
    plans = [plans_on_the_way(records[index], sketches[index]) for index in shown]
    dt_s = records[0].get('dt_s', DT_S)
    last_plan_s = max((step * dt_s for found in plans for step, _ in found), default=0.0)
    colors = plan_colors(max(last_plan_s, dt_s))
    for axis, index, found in zip(axes, shown, plans):
        draw_walls(axis, place)
        draw_episode(axis, place, records[index], sketches[index]['driven'], found, colors)
    for axis in axes[len(shown):]:
        axis.set_axis_off()
    if any(plans):
        bar = figure.colorbar(colors, ax=axes, shrink=0.8, pad=0.015, aspect=36)
        bar.set_label('when the plan was made [s]', fontsize=9)
        bar.ax.tick_params(labelsize=8, length=2)
        bar.outline.set_visible(False)
    draw_legend(figure, any(plans), columns=4 if across > 1 else 2)
    note = (f'{len(shown)} of {len(records)} episodes, evenly spaced from best to worst'
            if len(shown) < len(records) else '')
    figure.suptitle('  ·  '.join(part for part in (title, note) if part), fontsize=11)
    figure.savefig(file, format='png', dpi=140)


def _thinned(points: np.ndarray) -> list[list[float]]:
    """Keep every n-th point (N, 2) and the last one, to the millimetre."""
    kept = np.unique(np.append(np.arange(0, len(points), SKETCH_EVERY_STEPS), len(points) - 1))
    return np.round(points[kept], 3).tolist()


def _panels(records: Sequence[dict]) -> list[int]:
    if len(records) <= MAX_PANELS:
        return list(range(len(records)))
    ranked = sorted(range(len(records)), key=lambda index: (
        -records[index]['return'], records[index]['first_reach_step'] or 0))
    ranks = np.linspace(0, len(ranked) - 1, MAX_PANELS).round().astype(int)
    return [ranked[rank] for rank in ranks]


def _columns(panels: int) -> int:
    """Return the number of columns, at most 4, that leaves the fewest empty panels."""
    return min(range(min(panels, 4), min(panels, 3) - 1, -1), key=lambda across: -panels % across)


def plans_on_the_way(record: dict, paths: dict) -> list[tuple[int, np.ndarray]]:
    """Return the plans (step, (n, 2)) made before the goal was first reached."""
    arrival = record['first_reach_step'] or record['steps']
    return [(step, np.array(points)) for step, points in paths['plans']
            if step < arrival and len(points) > 1]


def plan_colors(last_s: float):
    """Return the ScalarMappable of the time at which plans were made, up to ``last_s``."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.colors import Normalize

    return ScalarMappable(Normalize(0.0, last_s),
                          LinearSegmentedColormap.from_list('plan time', PLAN_COLORS))


def view(place: Place) -> np.ndarray:
    """Return the corners (2, 2) of what is worth seeing: the free space and a margin around it."""
    free = np.argwhere(~place.grid.solid)
    ends = np.stack((free.min(axis=0) - 0.5, free.max(axis=0) + 0.5))
    corners = np.array(list(product(*ends.T)))
    points = place.grid.in_axes(OBSERVATION_TO_MAP).centers(corners)
    return np.array((points.min(axis=0) - MARGIN_M, points.max(axis=0) + MARGIN_M))


def draw_walls(axis, place: Place) -> None:
    """Draw the walls and what is unknown, with little of what lies around them."""
    from matplotlib.colors import to_rgb
    from matplotlib.transforms import Affine2D

    grid = place.grid.in_axes(OBSERVATION_TO_MAP)
    image = np.where(grid.unknown[..., None], to_rgb(UNKNOWN_COLOR), np.where(
        grid.occupied[..., None], to_rgb(WALL_COLOR), to_rgb(FLOOR_COLOR)))
    (row, column), (up_row, up_column), (right_row, right_column) = grid.centers(
        np.array([(0, 0), (1, 0), (0, 1)]))
    drawn = axis.imshow(image, origin='lower', interpolation='nearest')
    drawn.set_transform(Affine2D.from_values(
        right_column - column, right_row - row, up_column - column, up_row - row, column, row)
        + axis.transData)
    (top, left), (bottom, right) = view(place)
    axis.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[])
    for spine in axis.spines.values():
        spine.set_visible(False)


def draw_episode(axis, place: Place, record: dict, driven: list, plans: list, colors) -> None:
    """
    Draw one episode over the walls.

    :param driven: (n, 2) of ``sketch``.
    :param plans: (step, (n, 2)) of ``plans_on_the_way``.
    :param colors: the ScalarMappable of the time when plans were made.
    """
    from matplotlib.collections import LineCollection
    from matplotlib.patches import Circle

    driven = np.array(driven)
    x, y = record['goal']
    goal = (x, -y) if place.in_map_frame else (y, x)  # to the right, and down
    axis.add_patch(Circle(goal, GOAL_RADIUS_M, facecolor=GOAL_COLOR + '26', edgecolor=GOAL_COLOR,
                          linewidth=1.6, zorder=2))
    axis.plot(*goal, marker='+', color=GOAL_COLOR, markersize=6, zorder=2)
    axis.plot(driven[:, 1], driven[:, 0], color=DRIVEN_COLOR, linewidth=DRIVEN_WIDTH, zorder=3,
              solid_capstyle='round')
    axis.add_collection(LineCollection(
        [points[:, ::-1] for _, points in plans],
        colors=[colors.to_rgba(step * record.get('dt_s', DT_S)) for step, _ in plans],
        linewidths=PLAN_WIDTH, zorder=4, capstyle='round', joinstyle='round'))
    axis.plot(driven[0, 1], driven[0, 0], marker='o', markersize=6.5, color=START_COLOR,
              markeredgecolor=DRIVEN_COLOR, markeredgewidth=1.6, zorder=5)
    axis.set_title(_caption(record), fontsize=9, pad=4,
                   color='black' if record['reached'] else GOAL_COLOR)


def _caption(record: dict) -> str:
    value = (f'score {record["score"]:.0f}' if record['score'] is not None
             else f'return {record["return"]:.0f}' if record['touches'] is None
             else f'{record["touches"]} touches')
    dt_s = record.get('dt_s', DT_S)
    arrival = (f'goal at {record["first_reach_step"] * dt_s:.2f} s' if record['reached']
               else 'goal not reached')
    return f'#{record["episode"]}   {value}   {arrival}'


def draw_legend(figure, planned: bool, columns: int) -> None:
    """Say below the panels what is drawn."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=DRIVEN_COLOR, linewidth=DRIVEN_WIDTH, label='driven'),
        Line2D([], [], linestyle='', marker='o', markersize=6.5, color=START_COLOR,
               markeredgecolor=DRIVEN_COLOR, markeredgewidth=1.6, label='start'),
        Line2D([], [], linestyle='', marker='o', markersize=10, markerfacecolor=GOAL_COLOR + '26',
               markeredgecolor=GOAL_COLOR, markeredgewidth=1.6,
               label=f'goal, radius {GOAL_RADIUS_M} m'),
    ]
    if planned:
        handles.insert(1, Line2D([], [], color=PLAN_COLORS[1], linewidth=PLAN_WIDTH,
                                 label='planned on the way'))
    figure.legend(handles=handles, loc='outside lower center', ncols=columns, frameon=False,
                  fontsize=9)
