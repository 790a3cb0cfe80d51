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

"""The parameters of the maze simulator."""

from dataclasses import dataclass

from df_planner.ros.parameters import fixed
from df_planner.ros.parameters import parameter
from df_planner.ros.shared import realtime_priority
from df_planner.ros.shared import shared


@dataclass(frozen=True)
class MazeSimParameters:
    """How the simulator runs; only its pace changes at run time."""

    maze: str = fixed(
        'medium', 'Maze: umaze, medium, large, eval-umaze, eval-medium, eval-large or giant.')
    maze_file: str = fixed(
        '', 'YAML file of another maze, or of a map (map_server); replaces maze unless empty.')
    robot: str = shared('robot')
    seed: int = fixed(0, 'Seed of the starts after a reset and of the noise.', low=0)
    real_time_factor: float = parameter(
        1.0, 'Simulated per wall time; 0 = as fast as possible. Not used in lockstep.',
        low=0.0, high=1000.0)
    lockstep: bool = fixed(
        False, 'Advance only on a command stamped with the present time, one tick for each.')
    lockstep_timeout_s: float = fixed(
        0.5, 'In lockstep, wall time without a command after which the odometry is repeated.',
        low=0.01)
    realtime_priority: int = realtime_priority(50, 'Only used at a real_time_factor of 1.')
    control_mode: str = fixed(
        'force', 'Of a point: listen to cmd_wrench (force) or to cmd_vel (velocity).',
        choices=('force', 'velocity'))
    velocity_gain: float = fixed(
        2.0, 'In velocity control, action per m/s of velocity error.', low=0.0)
    max_force_n: float = shared('max_force_n')
    enable_stamped_cmd_vel: bool = shared('enable_stamped_cmd_vel')
    cmd_timeout_s: float = fixed(
        0.5, 'Simulated time after which a command is stale and becomes zero; 0 = never.', low=0.0)
    command_delay_s: float = fixed(
        0.0, 'Simulated time between a command and its effect.', low=0.0)
    action_noise_std: float = fixed(
        0.0, 'Standard deviation of Gaussian noise on the action, as a share of its '
        'limits.', low=0.0)
    steps_per_call: int = parameter(1, 'Ticks per call of the step service.', low=1, high=100000)
    map_resolution_m: float = fixed(
        0.1, 'Edge of a cell of the published map of a maze; 1 m must be a whole number of them.',
        low=0.01, high=1.0)
    moving_obstacles: int = fixed(
        0, 'Discs and boxes that wander about; they turn back before a robot that stands still.',
        low=0, high=100)
    moving_obstacle_speed_mps: float = fixed(
        0.5, 'Speed of the fastest; the slowest has a quarter of it.', low=0.0)
    scan_frequency_hz: float = fixed(
        0.0, 'Scans of the lidar, each with a local costmap, per second of simulated time; 0 = '
        'none.', low=0.0)
    publish_tf: bool = fixed(
        True, 'Publish the transforms map -> odom and odom -> base_link, where tf2_msgs is '
        'installed.')
    publish_clock: bool = fixed(True, 'Publish /clock.')
    global_frame_id: str = shared('global_frame_id')
    odom_frame_id: str = shared('odom_frame_id')
    base_frame_id: str = shared('base_frame_id')
