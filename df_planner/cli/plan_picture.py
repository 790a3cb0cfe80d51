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

"""The picture of one plan: map, route, candidates, and what of the plan the model made."""

from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path

from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle
from matplotlib.ticker import MaxNLocator
import numpy as np

from df_planner.evaluation.picture import draw_walls
from df_planner.evaluation.picture import DRIVEN_COLOR
from df_planner.evaluation.picture import GOAL_COLOR
from df_planner.evaluation.picture import PLAN_COLORS
from df_planner.evaluation.picture import START_COLOR
from df_planner.planning.plan import OTHERS
from df_planner.planning.plan import Plan
from df_planner.planning.plan import POSITION
from df_planner.planning.planner import Planner
from df_planner.planning.route import Route
from df_planner.planning.route import Way
from df_planner.sim.maze import in_maze
from df_planner.sim.place import Place

DIFFUSED_COLOR, ROUTE_COLOR, CANDIDATE_COLOR = PLAN_COLORS[0], '#e08a00', '#1f77ff60'
WAY_COLOR = '#777777'
ROUTE_DASHES, PLAN_DASHES = (0, (2, 2)), (0, (4, 2))
HEADING_SHARE = 0.06  # of the longer side of the picture: length of the arrow
LONGEST_SIDE_IN, SHORTEST_SIDE_IN = 9.0, 3.5
MINUS = '\N{MINUS SIGN}'
Drawn = Callable[[np.ndarray], np.ndarray]


def draw_plan(file: Path, place: Place, planner: Planner, plan: Plan,
              stops: Sequence[np.ndarray], title: str) -> None:
    """
    Draw a plan to a PNG or an SVG.

    :param planner: that made the plan, and ``stops`` the way-points and the goal (2,) that it was
        asked for, in the axes of the data.
    """
    def drawn(positions: np.ndarray) -> np.ndarray:
        """Return positions (..., 2) of the data as column and row, to the right and downwards."""
        return in_maze(np.asarray(positions), planner.card.observation_to_map)[..., ::-1]

    figure = Figure(layout='constrained', facecolor='white')
    axis = figure.add_subplot()
    draw_walls(axis, place)
    _label(axis, place)
    width, height = np.ptp(axis.get_xlim()), np.ptp(axis.get_ylim())
    scale_in = LONGEST_SIDE_IN / max(width, height)
    figure.set_size_inches(max(scale_in * width, SHORTEST_SIDE_IN) + 0.6,
                           max(scale_in * height, SHORTEST_SIDE_IN) + 1.4)
    positions = plan.states[:, POSITION]
    ways = [positions[:1]]
    for stop in stops:
        route = Route(planner.map, stop, planner.settings.robot_radius_m)
        ways.append(route.way(ways[-1][-1]).points)
    way = Way(np.concatenate(ways))
    axis.add_collection(LineCollection(
        [drawn(states[:, POSITION]) for states in plan.candidates], colors=CANDIDATE_COLOR,
        linewidths=0.8, zorder=3))
    axis.plot(*drawn(way.points).T, color=WAY_COLOR, linewidth=1.2, linestyle=ROUTE_DASHES,
              zorder=4)
    split = len(plan) if plan.diffused_steps is None else plan.diffused_steps
    axis.plot(*drawn(positions[split - 1:]).T, color=ROUTE_COLOR, linewidth=2.2,
              linestyle=PLAN_DASHES, zorder=5)
    axis.plot(*drawn(positions[:split]).T, color=DIFFUSED_COLOR, linewidth=2.6, zorder=6)
    for stop in stops[:-1]:
        axis.plot(*drawn(stop), marker='D', markersize=6, color=GOAL_COLOR, zorder=7)
    axis.add_patch(Circle(drawn(stops[-1]), planner.settings.goal_tolerance_m, linewidth=1.6,
                          facecolor=GOAL_COLOR + '26', edgecolor=GOAL_COLOR, zorder=2))
    axis.plot(*drawn(stops[-1]), marker='+', color=GOAL_COLOR, markersize=8, zorder=7)
    _draw_start(axis, plan.states[0], HEADING_SHARE * max(width, height), drawn)
    _draw_legend(figure, plan, split, way.length_m, len(stops) > 1,
                 planner.settings.goal_tolerance_m, columns=3 if width * scale_in > 6.0 else 2)
    figure.suptitle(title, fontsize=11)
    figure.savefig(file, format=file.suffix[1:].lower(), dpi=110)


def _label(axis, place: Place) -> None:
    """Write the axes of the user beside the map."""
    across, up = ('x', 'y') if place.in_map_frame else ('column', 'row')
    axis.set(xlabel=f'{across} [m]', ylabel=f'{up} [m]')
    for one in (axis.xaxis, axis.yaxis):
        one.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10]))
    if place.in_map_frame:  # what is drawn downwards is -y
        axis.yaxis.set_major_formatter(lambda value, tick: f'{-value + 0.0:g}'.replace('-', MINUS))
    axis.tick_params(labelsize=8, length=2)


def _draw_start(axis, state: np.ndarray, arrow_m: float, drawn: Drawn) -> None:
    if len(state) > OTHERS.start:  # it has a heading
        axis.annotate('', drawn(state[POSITION] + arrow_m * state[OTHERS]),
                      drawn(state[POSITION]), zorder=8,
                      arrowprops={'arrowstyle': '-|>', 'color': DRIVEN_COLOR, 'linewidth': 1.6})
    axis.plot(*drawn(state[POSITION]), marker='o', markersize=7, color=START_COLOR,
              markeredgecolor=DRIVEN_COLOR, markeredgewidth=1.6, zorder=9)


def _draw_legend(figure, plan: Plan, split: int, way_m: float, with_stops: bool,
                 tolerance_m: float, columns: int) -> None:
    split_s, end_s = (split - 1) * plan.dt_s, (len(plan) - 1) * plan.dt_s
    mark = {'linestyle': '', 'markersize': 7}
    handles = [
        Line2D([], [], color=DIFFUSED_COLOR, linewidth=2.6,
               label=f'diffused, 0 to {split_s:.2f} s'),
        Line2D([], [], color=WAY_COLOR, linewidth=1.2, linestyle=ROUTE_DASHES,
               label=f'route of the map, {way_m:.2f} m'),
        Line2D([], [], color=CANDIDATE_COLOR, linewidth=1.2,
               label=f'{len(plan.candidates)} candidates'),
        Line2D([], [], marker='o', color=START_COLOR, markeredgecolor=DRIVEN_COLOR, label='start',
               **mark),
        Line2D([], [], marker='o', markersize=10, linestyle='', markerfacecolor=GOAL_COLOR + '26',
               markeredgecolor=GOAL_COLOR, label=f'goal, within {tolerance_m:g} m')]
    if split < len(plan):
        handles.insert(1, Line2D(
            [], [], color=ROUTE_COLOR, linewidth=2.2, linestyle=PLAN_DASHES,
            label=f'not yet diffused, along the route: {split_s:.2f} to {end_s:.2f} s'))
    if with_stops:
        handles.append(Line2D([], [], marker='D', color=GOAL_COLOR, label='way-point', **mark))
    figure.legend(handles=handles, loc='outside lower center', ncols=columns, frameon=False,
                  fontsize=9)
