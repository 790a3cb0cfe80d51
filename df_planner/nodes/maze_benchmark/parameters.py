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

from df_planner.ros.parameters import fixed
from df_planner.ros.shared import realtime_priority
from df_planner.ros.shared import shared


@dataclass(frozen=True)
class MazeBenchmarkParameters:
    """Which episodes are driven, and what counts as success."""

    maze: str = fixed('medium', 'Place of the simulator: a maze by name, or the YAML file of a '
                      'maze or a map.')
    robot: str = shared('robot')
    episodes: int = fixed(5, 'Number of episodes; 0 = every start of the file.', low=0)
    seed: int = fixed(0, 'Seed of starts and goals.', low=0)
    starts: str = fixed('', 'NPZ file of starts (arrays state and goal); empty = drawn with '
                            'the seed.')
    multi_goal: bool = fixed(False, "Draw a goal per episode instead of the maze's own.")
    out_dir: str = fixed('', 'Folder of the report; empty = no report.')
    min_success_rate: float = fixed(
        1.0, 'Share of reached goals for exit code 0.', low=0.0, high=1.0)
    wait_for_recorder: bool = fixed(False, 'Wait for recorder/ready before the first episode.')
    startup_timeout_s: float = fixed(
        120.0, 'Wall time to wait for simulator, planner and follower.', low=1.0)
    stall_timeout_s: float = fixed(
        60.0, 'Wall time without odometry after which the run ends.', low=1.0)
    realtime_priority: int = realtime_priority(30, 'Not used while the follower is in lockstep.')
    max_force_n: float = shared('max_force_n')
    global_frame_id: str = shared('global_frame_id')
    odom_frame_id: str = shared('odom_frame_id')
