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

"""Planner settings: what may change from plan to plan, each with its range and meaning."""

from typing import Any
from typing import Literal

from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import Field
from pydantic import field_validator

from df_planner.robots.kinds import ROBOTS


class PlannerSettings(BaseModel):
    """Sampling, guidance and checks; the defaults are the measured best for the shipped models."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    horizon_steps: int = Field(0, ge=0, le=4096, description=(
        'control steps to diffuse, piece after piece, while the deadline allows; 0 = one piece. '
        'Beyond them a plan goes on as its route'))
    num_samples: int = Field(8, ge=1, le=256, description=(
        'candidates of a batch; they differ in how long they take'))
    sampling_steps: int = Field(2, ge=1, le=1000, description=(
        'denoising steps from pure noise to clean, per token'))
    schedule: Literal['full_sequence', 'pyramid', 'autoregressive'] = Field(
        'full_sequence', description='shape of the scheduling matrix')
    deadline_ms: float = Field(0.0, ge=0.0, le=60000.0, description=(
        'wall time after which the best valid plan so far is returned, 0 = none'))
    uncertainty_scale: float = Field(1.0, ge=0.0, le=100.0, description=(
        'pyramid only: denoising steps by which a token lags behind the one before it'))
    schedule_file: str = Field('', description=(
        'CSV file of integers, a scheduling matrix that replaces schedule and sampling_steps: a '
        'line per denoising step, a column per token, from the highest level down to 0'))
    temperature: float = Field(0.6, ge=0.0, le=2.0, description=(
        'standard deviation of the noise; less finds faster plans, 1 more different ones'))
    delay_steps: int = Field(0, ge=0, le=1000, description=(
        'control steps that planning takes: a replan keeps that many actions of the current plan, '
        'rounded up to whole tokens, as its first ones; 0 = none'))
    position_noise_std_m: float = Field(0.0, ge=0.0, le=10.0, description=(
        'measurement noise of the position: plans start from a filtered one; 0 = exact'))
    velocity_noise_std_mps: float = Field(0.0, ge=0.0, le=10.0, description=(
        'measurement noise of the velocity: plans start from a filtered one; 0 = exact'))
    route_std_m: float = Field(0.05, gt=0.0, le=10.0, description=(
        'error that is expected of the positions on the route: less keeps plans on it, more lets '
        'guidance and the data draw them elsewhere'))
    pin_goal: bool = Field(True, description=(
        'pin the last position of every candidate to the goal (noise level 0)'))
    guidance_scale: float = Field(2.0, ge=0.0, le=100.0, description=(
        'strength of the gradient of the reward, 0 = no guidance'))
    guidance_from: float = Field(1.0, gt=0.0, le=1.0, description=(
        'share of all noise levels up to which tokens are guided'))
    guidance_to: float = Field(0.0, ge=0.0, le=1.0, description=(
        'share of all noise levels at and below which tokens are no longer guided'))
    guidance_samples: int = Field(1, ge=1, le=64, description=(
        'Monte Carlo Guidance: sampled futures that the gradient is averaged over, 1 = off; no '
        'effect with full_sequence'))
    guide_goal: float = Field(0.0, ge=0.0, le=100.0, description=(
        'weight of minus the distance to the goal in m, summed over tokens'))
    guide_arrival: float = Field(0.0, ge=0.0, le=100.0, description=(
        'weight of the seconds spent at the goal'))
    guide_speed: float = Field(0.0, ge=0.0, le=100.0, description=(
        'weight of minus the speed above speed_limit_mps in m/s, summed over tokens'))
    speed_limit_mps: float = Field(5.0, ge=0.0, le=100.0, description=(
        'speed that guide_speed allows'))
    guide_force: float = Field(0.0, ge=0.0, le=100.0, description=(
        'weight of minus the action beyond force_limit, summed over axes and tokens'))
    force_limit: float = Field(1.0, ge=0.0, le=1.0, description=(
        'action per axis that guide_force allows'))
    guide_clearance: float = Field(1.0, ge=0.0, le=1000.0, description=(
        'weight of minus the shortage of clearance in m, squared over what is needed '
        '(robot_radius_m + clearance_margin_m), summed over tokens; alone, or with guide_speed or '
        'guide_force, it steers near misses only; any other term steers every candidate, which '
        'costs more network time'))
    clearance_margin_m: float = Field(0.1, ge=0.0, le=10.0, description=(
        'clearance beyond the robot that guide_clearance asks for'))
    uncertainty_samples: int = Field(0, ge=0, le=256, description=(
        'samples of the horizon of the plan that are drawn for its uncertainty, 4 or more; 0 = '
        'take the spread of similar candidates'))
    select_by: Literal['arrival', 'reward'] = Field('arrival', description=(
        'take the valid candidate that arrives first, or the one of the highest reward'))
    collision_check: bool = Field(True, description=(
        'refuse plans that hit an obstacle or exceed the dynamics seen in the data'))
    robot_radius_m: float = Field(0.1, ge=0.0, le=10.0, description='radius of the robot')
    collision_tolerance_m: float = Field(0.02, ge=0.0, le=1.0, description=(
        'by how much a plan may overlap an obstacle and still count as free'))
    padding_m: float = Field(0.0, ge=0.0, le=10.0, description=(
        'distance beyond the robot that plans keep from obstacles, because driving is not exactly '
        'as planned; less where the way has less room, and less in later batches'))
    obstacle_margin_m: float = Field(0.1, ge=0.0, le=10.0, description=(
        'distance beyond the robot that plans keep from the obstacles of a local costmap, which '
        'may move'))
    dynamics_tolerance: float = Field(3.0, gt=0.0, le=100.0, description=(
        'factor by which a plan may exceed the velocity changes and speeds seen in the data'))
    goal_tolerance_m: float = Field(0.5, gt=0.0, le=10.0, description=(
        'a plan that ends within this distance of the goal arrives'))

    @property
    def state_noise_std(self) -> tuple[float, float]:
        """Return the standard deviation of measured positions in m and velocities in m/s."""
        return self.position_noise_std_m, self.velocity_noise_std_mps

    @field_validator('uncertainty_samples')
    @classmethod
    def _enough_for_a_spread(cls, value: int) -> int:
        if 0 < value < 4:
            raise ValueError('must be 0, or 4 or more')
        return value


def settings_for(robot: str | None, robot_radius_m: float, /, **settings: Any) -> PlannerSettings:
    """
    Return the defaults for a robot, with some replaced.

    :raises pydantic.ValidationError: for an unknown name or a bad value.
    """
    of_kind = ROBOTS[robot].planner_settings if robot else {}
    return PlannerSettings(**{'robot_radius_m': robot_radius_m, **of_kind, **settings})
