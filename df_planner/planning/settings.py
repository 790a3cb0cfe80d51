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

from typing import Literal

from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import Field


class PlannerSettings(BaseModel):
    """Sampling, guidance and checks; the defaults are the measured best for the shipped models."""

    model_config = ConfigDict(extra='forbid', frozen=True)

    horizon_steps: int = Field(0, ge=0, le=4096, description=(
        'longest plan in control steps, 0 = the longest the model was trained for'))
    num_samples: int = Field(64, ge=1, le=256, description=(
        'candidates sampled in one batch, spread over all horizons'))
    sampling_steps: int = Field(8, ge=1, le=1000, description=(
        'denoising steps from pure noise to clean, per token'))
    schedule: Literal['full_sequence', 'pyramid', 'autoregressive'] = Field(
        'full_sequence', description='shape of the scheduling matrix')
    uncertainty_scale: float = Field(1.0, ge=0.0, le=100.0, description=(
        'pyramid only: denoising steps by which a token lags behind the one before it'))
    temperature: float = Field(1.0, ge=0.0, le=2.0, description='standard deviation of the noise')
    pin_goal: bool = Field(True, description=(
        'pin the last position of every candidate to the goal (noise level 0)'))
    guidance_scale: float = Field(0.0, ge=0.0, le=100.0, description=(
        'strength of the goal-distance reward gradient, 0 = no guidance'))
    collision_check: bool = Field(True, description=(
        'refuse plans that hit an obstacle or move as the robot was never seen to move'))
    robot_radius_m: float = Field(0.1, ge=0.0, le=10.0, description='radius of the robot')
    collision_tolerance_m: float = Field(0.05, ge=0.0, le=1.0, description=(
        'by how much a plan may overlap an obstacle and still count as free'))
    dynamics_tolerance: float = Field(3.0, gt=0.0, le=100.0, description=(
        'by which factor a plan may exceed the velocity changes seen in the data'))
    goal_tolerance_m: float = Field(0.5, gt=0.0, le=10.0, description=(
        'a plan that ends within this distance arrives'))
