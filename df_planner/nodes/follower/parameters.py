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

"""The parameters of the follower node."""

from dataclasses import dataclass
from dataclasses import fields

from df_planner.driving.elastic_band import ElasticBand
from df_planner.driving.elastic_band import RobotLimits
from df_planner.driving.obstacles import Obstacles
from df_planner.driving.tracking import check_execution
from df_planner.driving.tracking import LAWS
from df_planner.driving.tracking import PointTracking
from df_planner.driving.tracking import TrackingLaw
from df_planner.driving.tracking import UnicycleTracking
from df_planner.errors import ConfigError
from df_planner.robots.kinds import DIFF_DRIVE
from df_planner.robots.kinds import EXECUTIONS
from df_planner.robots.kinds import POINT
from df_planner.robots.kinds import ROBOTS
from df_planner.ros.parameters import fixed
from df_planner.ros.shared import realtime_priority
from df_planner.ros.shared import shared


@dataclass(frozen=True)
class FollowerParameters:
    """How plans are executed; all is fixed at start-up."""

    robot: str = shared('robot')
    execution: str = fixed(
        'tracking', 'Play the planned actions as they are (raw), follow the planned states '
        'with feedback (tracking), or, a point only, follow the planned way as fast as the robot '
        'can, clear of the obstacles of the map (time_optimal).', choices=EXECUTIONS)
    position_gain: float = fixed(
        PointTracking().position_gain, 'Tracking of a point: action per metre of position error.',
        low=0.0)
    velocity_gain: float = fixed(
        PointTracking().velocity_gain, 'Tracking and braking of a point: action per m/s of '
        'velocity error.', low=0.0)
    along_gain_per_s: float = fixed(
        UnicycleTracking().along_gain_per_s, 'Tracking by twists: speed per metre of error in '
        'the directions that the robot can drive in.', low=0.0)
    across_gain_per_m2: float = fixed(
        UnicycleTracking().across_gain_per_m2, 'Tracking of a differential drive: turning rate '
        'per metre of error to the side and m/s of the plan.', low=0.0)
    heading_gain_per_s: float = fixed(
        UnicycleTracking().heading_gain_per_s, 'Tracking by twists: turning rate per radian of '
        'heading error.', low=0.0)
    max_speed_mps: float = fixed(
        RobotLimits().max_speed_mps, 'time_optimal: speed per axis that is never planned for.',
        low=0.01)
    damping_per_s: float = fixed(
        RobotLimits().damping_per_s, 'time_optimal: deceleration per speed without force.',
        low=0.0)
    clearance_m: float = fixed(
        ElasticBand().clearance_m, 'time_optimal: distance that the centre of the robot keeps '
        'from obstacles.', low=0.0)
    occupied_threshold: int = shared('occupied_threshold')
    allow_unknown: bool = shared('allow_unknown')
    robot_radius_m: float = fixed(
        POINT.signals.robot_radius_m, 'Radius of the robot: braking keeps it clear of obstacles '
        'of the local costmap.', low=0.0)
    local_occupied_threshold: int = shared('local_occupied_threshold')
    local_costmap_timeout_s: float = shared('local_costmap_timeout_s')
    brake_ahead_s: float = shared('brake_ahead_s')
    plan_timeout_s: float = fixed(
        2.0, 'Brake when the odometry a plan was made from is this old.', low=0.01)
    odom_timeout_s: float = fixed(
        0.5, 'Wall time without odometry after which the force becomes zero; odometry in which '
        'stamp or position stands still for this long is not trusted: brake. A gap this long in '
        'its stamps ends the plan in hand.', low=0.01)
    lockstep: bool = fixed(
        False, 'Answer an odometry only when there is a plan for it (see lockstep_plan_steps).')
    lockstep_plan_steps: int = fixed(
        25, 'Lockstep: control steps a plan is executed for; the interval of the planner.', low=1)
    control_period_s: float = fixed(
        POINT.signals.dt_s, 'Time from one odometry, or one row of a plan, to the next.',
        low=0.0001)
    realtime_priority: int = realtime_priority(50, 'Not used in lockstep.')
    max_force_n: float = shared('max_force_n')
    mass_kg: float = shared('mass_kg')
    observation_to_map: tuple[float, ...] = fixed(
        sum(POINT.signals.observation_to_map, ()), "Matrix from the model's axes to those of the "
        'map, row by row; as in the model card.', low=-1.0, high=1.0)
    max_linear_mps: float = fixed(
        DIFF_DRIVE.signals.action_limits[0], 'Largest speed in a command on cmd_vel, per axis.',
        low=0.0)
    max_angular_radps: float = fixed(
        DIFF_DRIVE.signals.action_limits[1], 'Largest turning rate in a command on cmd_vel.',
        low=0.0)
    enable_stamped_cmd_vel: bool = shared('enable_stamped_cmd_vel')
    global_frame_id: str = shared('global_frame_id')
    odom_frame_id: str = shared('odom_frame_id')
    base_frame_id: str = shared('base_frame_id')

    def __post_init__(self):
        check_execution(self.robot, self.execution)
        takes_twists = not ROBOTS[self.robot].takes_forces
        if self.lockstep and takes_twists and not self.enable_stamped_cmd_vel:
            raise ConfigError('parameter enable_stamped_cmd_vel: must be true in lockstep, which '
                              'counts by stamps')

    @property
    def action_limits(self) -> tuple[float, ...]:
        """Return the largest magnitudes of the actions (A,) of the robot."""
        kind = ROBOTS[self.robot]
        return (tuple(getattr(self, name) for name in kind.limit_parameters)
                or kind.signals.action_limits)

    @property
    def obstacles(self) -> Obstacles:
        """Return what tells whether the robot must brake for an obstacle."""
        return Obstacles(self.robot_radius_m, self.brake_ahead_s, self.local_costmap_timeout_s)

    @property
    def law(self) -> TrackingLaw:
        """Return how the robot follows planned states; parameters have the names of its fields."""
        law = LAWS[self.robot]
        return law(**{field.name: getattr(self, field.name) for field in fields(law)})
