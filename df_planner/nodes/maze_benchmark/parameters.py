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


"""The parameters of the benchmark node."""

from dataclasses import dataclass

from df_planner.ros.parameters import parameter
from df_planner.ros.shared import realtime_priority
from df_planner.ros.shared import shared


@dataclass(frozen=True)
class MazeBenchmarkParameters:
    """Which episodes are driven, and what counts as success."""

    maze: str = parameter('medium', 'Maze of the simulator: a name or a YAML file.',
                          read_only=True)
    robot: str = shared('robot')
    episodes: int = parameter(
        5, 'Number of episodes; 0 = every start of the file.', low=0, read_only=True)
    seed: int = parameter(0, 'Seed of starts and goals.', low=0, read_only=True)
    starts: str = parameter('', 'NPZ file of starts (arrays state and goal); empty = drawn with '
                            'the seed.', read_only=True)
    multi_goal: bool = parameter(
        False, "Draw a goal per episode instead of the maze's own.", read_only=True)
    out_dir: str = parameter('', 'Folder of the report; empty = no report.', read_only=True)
    min_success_rate: float = parameter(
        1.0, 'Share of reached goals for exit code 0.', low=0.0, high=1.0, read_only=True)
    wait_for_recorder: bool = parameter(
        False, 'Wait for recorder/ready before the first episode.', read_only=True)
    startup_timeout_s: float = parameter(
        120.0, 'Wall time to wait for simulator, planner and follower.', low=1.0, read_only=True)
    stall_timeout_s: float = parameter(
        60.0, 'Wall time without odometry after which the run ends.', low=1.0, read_only=True)
    realtime_priority: int = realtime_priority(
        30, 'Not used while the follower is in lockstep.')
    max_force_n: float = shared('max_force_n')
    global_frame_id: str = shared('global_frame_id')
    odom_frame_id: str = shared('odom_frame_id')
