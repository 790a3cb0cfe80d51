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
from df_planner.ros.topics import ROBOTS
from df_planner.sim.maze import MAX_FORCE_N


@dataclass(frozen=True)
class MazeBenchmarkParameters:
    """Which episodes are driven, and what counts as success."""

    maze: str = parameter('medium', 'Maze of the simulator: a name or a YAML file.',
                          read_only=True)
    robot: str = parameter('point', 'Kind of the robot.', choices=ROBOTS, read_only=True)
    episodes: int = parameter(
        5, 'Number of episodes; 0 takes every start of the file.', low=0, read_only=True)
    seed: int = parameter(0, 'Seed of starts and goals.', low=0, read_only=True)
    starts: str = parameter('', 'File of starts (npz with state and goal); replaces the seed '
                            'unless empty.', read_only=True)
    multi_goal: bool = parameter(
        False, "Draw a goal per episode instead of the maze's own.", read_only=True)
    out_dir: str = parameter('', 'Where the report goes; empty writes none.', read_only=True)
    min_success_rate: float = parameter(
        1.0, 'Share of reached goals for exit code 0.', low=0.0, high=1.0, read_only=True)
    wait_for_recorder: bool = parameter(
        False, "Start when recorder/ready says that this package's recorder hears all.",
        read_only=True)
    startup_timeout_s: float = parameter(
        120.0, 'Wall time to wait for simulator, planner and follower.', low=1.0, read_only=True)
    stall_timeout_s: float = parameter(
        60.0, 'Wall time without progress after which an episode is given up.', low=1.0,
        read_only=True)
    realtime_priority: int = parameter(
        30, 'SCHED_FIFO priority, where the system permits it; 0 does without. Only used when the '
        'follower is not in lockstep.', low=0, high=99, read_only=True)
    max_force_n: float = parameter(
        MAX_FORCE_N, 'Of a point: force per axis at action 1.', low=0.001, read_only=True)
    global_frame_id: str = parameter('map', 'Frame of goals and plans.', read_only=True)
    odom_frame_id: str = parameter('odom', 'Frame of the odometry.', read_only=True)
