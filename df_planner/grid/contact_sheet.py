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
The pictures of drives in random places: the first places, and what went wrong elsewhere.

A panel shows the way on the map, the plans that were made on the way and the path driven.
"""

from pathlib import Path
import re

from df_planner.errors import NoValidPlan
from df_planner.evaluation.picture import draw_episode
from df_planner.evaluation.picture import draw_walls
from df_planner.evaluation.picture import plan_colors
from df_planner.evaluation.picture import plans_on_the_way
from df_planner.evaluation.picture import view
from df_planner.evaluation.places import DRIVES
from df_planner.evaluation.places import place_name
from df_planner.files import replace_files
from df_planner.maps.route import Route
from df_planner.maps.route import Way
from df_planner.robots.kinds import ROBOTS
from df_planner.sim.map_place import load_place
from df_planner.sim.map_place import UNSEEN
from df_planner.sim.maze import in_maze
from df_planner.sim.place import Place

PLACES = 12  # that are shown in any case, their first drives
MOST_OTHERS = 12  # drives that did not reach their goal first, then those that touched a wall
ACROSS = 4
ROUTE_COLOR = '#12a594'


def is_shown(maze: str, record: dict) -> bool:
    """Tell whether an episode is drawn: of the first places, or failed, or touched a wall."""
    return maze == UNSEEN and (_is_first(record) or not record['reached'] or record['touches'] > 0)


def draw_contact_sheets(folder: Path, runs) -> dict[str, str]:
    """
    Draw a sheet for every row in random places that makes plans; return captions by file name.

    :param runs: ``GridRuns``.
    """
    captions = {}
    for row in runs.selected:
        for run in runs.of(row)[:1]:
            shown = [episode for episode in run.episodes.values() if 'sketch' in episode]
            if not any(episode['sketch']['plans'] for episode in shown):
                continue
            others = sorted((e for e in shown if not _is_first(e['record'])), key=lambda episode: (
                episode['record']['reached'], -episode['record']['touches']))
            panels = [e for e in shown if _is_first(e['record'])] + others[:MOST_OTHERS]
            name = re.sub(r'[^\w-]+', '-', f'places-{row.task}-{row.name}') + '.png'
            robot = ROBOTS[run.specification.robot].signals
            figure = _sheet(panels, robot.observation_to_map, robot.robot_radius_m)
            replace_files({folder / name:
                           lambda file, drawn=figure: drawn.savefig(file, format='png', dpi=100)})
            captions[name] = (
                f'{row.title}: the first drives in the first {PLACES} places, then those that did '
                f'not arrive or touched most, at most {MOST_OTHERS}; green: the way on the map, '
                'coloured: plans, early ones blue, black: driven')
    return captions


def _is_first(record: dict) -> bool:
    place, drive = divmod(record['episode'], DRIVES)
    return drive == 0 and place < PLACES


def _sheet(panels: list[dict], to_map, radius_m: float):
    from matplotlib.figure import Figure

    down = -(-len(panels) // ACROSS)
    figure = Figure(figsize=(3.6 * ACROSS, 3.2 * down), layout='constrained', facecolor='white')
    axes = figure.subplots(down, ACROSS, squeeze=False).ravel().tolist()
    for axis, episode in zip(axes, panels):
        record, sketch = episode['record'], episode['sketch']
        place = load_place(place_name(UNSEEN, record['episode']))
        plans = plans_on_the_way(record, sketch)
        draw_walls(axis, place)
        way = _way(place, episode, to_map, radius_m)
        if way is not None:
            axis.plot(*_drawn(way.points, to_map), color=ROUTE_COLOR, linewidth=2.4, zorder=2)
        last_s = max((step for step, _ in plans), default=1) * record['dt_s']
        draw_episode(axis, place, record, sketch['driven'], plans, plan_colors(last_s))
        axis.set_title(f'{place.name}   {axis.get_title()}', fontsize=7, pad=3,
                       color=axis.title.get_color())
        (top, left), (bottom, right) = view(place)
        axis.set(xlim=(left, right), ylim=(bottom, top))
    for axis in axes[len(panels):]:
        axis.set_axis_off()
    return figure


def _way(place: Place, episode: dict, to_map, radius_m: float) -> Way | None:
    """Return the way that the planner was told at the start."""
    grid = place.grid.in_axes(to_map)
    try:
        return Route(grid, episode['goal'], radius_m).way(episode['state'][:2])
    except NoValidPlan:
        return None


def _drawn(points, to_map) -> tuple:
    """Return positions (N, 2) in the axes of a robot as they are drawn: right, and down."""
    row, column = in_maze(points, to_map).T
    return column, row
