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
The launch files: which processes each of them starts, and which arguments matter to it.

Nothing here imports launch or ROS.
"""

from dataclasses import dataclass

from df_planner.launching.graph import Argument

USE_RESPAWN = Argument(
    'use_respawn', False, 'Start simulator, planner and follower again when they end, instead of '
    'ending all.')
COMMON = ('params_file', 'namespace', 'log_level', 'use_respawn')


@dataclass(frozen=True)
class Piece:
    """
    What a launch file starts.

    :param processes: by name; those that the arguments do not ask for are left out.
    :param switch: the argument that includes this piece into the whole; empty for always.
    :param arguments: those that matter to it, besides COMMON.
    """

    processes: tuple[str, ...]
    switch: str
    arguments: tuple[str, ...]


PIECES = {
    'record': Piece(('recorder', 'bag'), 'record', (
        'maze', 'map', 'robot', 'results_dir', 'use_sim')),
    'sim': Piece(('maze_sim',), 'use_sim', (
        'maze', 'map', 'robot', 'seed', 'lockstep', 'real_time_factor', 'moving_obstacles')),
    'planner': Piece(('planner', 'follower'), '', (
        'maze', 'map', 'robot', 'checkpoint', 'device', 'seed', 'execution',
        'planning_frequency_hz', 'lockstep', 'use_sim', 'use_planner', 'use_follower',
        'autostart', 'use_sim_time')),
    'rviz': Piece(('rviz2',), 'use_rviz', ('rviz_config_file', 'use_sim', 'use_sim_time')),
    'benchmark': Piece(('maze_benchmark',), 'use_benchmark', (
        'maze', 'map', 'robot', 'episodes', 'seed', 'starts', 'results_dir', 'use_sim',
        'use_sim_time')),
}
