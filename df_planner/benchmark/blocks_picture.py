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

"""The picture of driving among unseen blocks: one panel per episode, the arms in colours."""

from pathlib import Path

import numpy as np

from df_planner.benchmark.picture import draw_walls
from df_planner.benchmark.picture import GOAL_COLOR
from df_planner.sim.maze import GOAL_RADIUS_M
from df_planner.sim.maze import Maze

MAX_PANELS = 12
BLOCK_COLOR = '#8a5a2b'
ARM_COLORS = {'clearance': '#1f77ff', 'selection': '#ffb000', 'blind': '#a23bd8'}


def draw_blocks_picture(path: Path, maze: Maze, results: dict) -> None:
    """
    Draw the first episodes to a PNG file; a cross marks where an arm touched a block.

    :param results: of ``measure_blocks``.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Circle
    from matplotlib.patches import Rectangle

    episodes = results['episodes'][:MAX_PANELS]
    across = min(len(episodes), 4)
    down = -(-len(episodes) // across)
    figure = Figure(figsize=(3.0 * across, 3.2 * down + 0.5), layout='constrained')
    axes = figure.subplots(down, across, squeeze=False).ravel()
    for axis in axes[len(episodes):]:
        axis.set_axis_off()
    for axis, episode in zip(axes, episodes):
        draw_walls(axis, maze)
        for block in episode['blocks']:
            corner = np.array(block['center'][::-1]) - block['edge_m'] / 2
            axis.add_patch(Rectangle(corner, block['edge_m'], block['edge_m'], color=BLOCK_COLOR))
        axis.add_patch(Circle(episode['goal'][::-1], GOAL_RADIUS_M, facecolor=GOAL_COLOR + '26',
                              edgecolor=GOAL_COLOR))
        for name, record in episode['arms'].items():
            driven = results['paths'][name][episode['episode']]
            axis.plot(driven[:, 1], driven[:, 0], color=ARM_COLORS[name], linewidth=1.6,
                      label=name)
            axis.plot(driven[-1, 1], driven[-1, 0], color=ARM_COLORS[name],
                      marker='X' if record['touched'] else '.', markersize=7)
        axis.plot(*episode['start'][1::-1], marker='o', color='white', markeredgecolor='black')
        axis.set_title(f'#{episode["episode"]}', fontsize=9)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside lower center', ncols=len(handles), frameon=False)
    figure.savefig(path, dpi=120)
