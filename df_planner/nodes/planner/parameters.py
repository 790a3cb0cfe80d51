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

"""The parameters of the planner node; those of sampling and checks come from PlannerSettings."""

from dataclasses import dataclass
from dataclasses import make_dataclass
from typing import Any
from typing import get_args
from typing import TYPE_CHECKING

from pydantic import BaseModel
from pydantic import ValidationError

from df_planner.configuration import faults
from df_planner.diffusion.runtime.names import BACKENDS
from df_planner.planning.settings import PlannerSettings
from df_planner.ros.parameters import parameter
from df_planner.ros.shared import realtime_priority
from df_planner.ros.shared import shared


@dataclass(frozen=True)
class NodeParameters:
    """What the node adds to the settings of the planner."""

    checkpoint: str = parameter(
        'maze2d-medium',
        'Name of a shipped model, or path of a checkpoint. Changed while configured, the new '
        'model is loaded beside the one in use and replaces it between two plans. A missing or '
        'broken file and a model for another robot are refused. If loading fails, the value is '
        'put back, with the reason in diagnostics.')
    robot: str = shared('robot')
    device: str = parameter('cpu', 'Where the network runs; changes like checkpoint.',
                            choices=('auto', 'cpu', 'cuda'))
    backend: str = parameter(
        'auto', 'What evaluates the network, auto = the fastest available; changes like '
        'checkpoint.', choices=BACKENDS)
    num_threads: int = parameter(
        1, 'Threads of torch, 0 = torch decides; read at configure.', low=0, high=64)
    autostart: bool = parameter(True, 'Configure and activate at start-up.', read_only=True)
    seed: int = parameter(0, 'Seed of the plans, -1 = drawn at configure.', low=-1)
    planning_frequency_hz: float = parameter(
        4.0, 'Plans per second, by the stamps of the odometry; at most as many as the planner can '
        'make.', low=0.1, high=100.0)
    compensate_latency: bool = parameter(
        True, 'Plan from where the robot will be when the new plan is ready: as far ahead on the '
        'plan in hand as 95 % of the last 20 plans took. With delay_steps above 0, plan from the '
        'odometry. The launch files turn it off in lockstep.')
    timeout_s: float = parameter(
        10.0, 'Wall time after which planning gives up; with compensate_latency, at most 0.3 s '
        'while the robot drives.', low=0.01, high=600.0)
    odom_timeout_s: float = parameter(
        2.0, 'Wall time after which odometry is stale: no plan is made from it. Nor is one made '
        'from odometry in which stamp or position stands still for this long, or for 0.5 s.',
        low=0.01)
    lockstep: bool = parameter(
        False, 'The simulator waits for commands, so that its time may stand still; never set for '
        'another robot: it turns the check off that odometry advances. The launch files set it.',
        read_only=True)
    start_tolerance_m: float = parameter(
        0.5, 'Safety gate: largest distance of a plan from its requested start, and of the robot '
        'from the plan.', low=0.0, high=100.0)
    start_tolerance_mps: float = parameter(
        0.5, 'Safety gate: largest difference in speed of a plan from its requested start.',
        low=0.0, high=100.0)
    max_plan_shift_m: float = parameter(
        1.0, 'Safety gate: largest distance, within 0.25 s, of a plan from the plan that is '
        'executed, while that one is still valid; 0 = any. Needs collision_check.', low=0.0,
        high=100.0)
    resume_goal: bool = parameter(
        True, 'After a restart, plan for the goal on resume_goal: the follower keeps it there.')
    hold_at_goal: bool = parameter(
        True, 'Near the goal, plan to stay there; off for raw execution, which cannot hold.')
    hold_after_action: bool = parameter(
        False, 'After navigate_to_pose has succeeded, keep the goal: the robot is held there, and '
        'driven back if somebody moves it, until the goal is cleared or replaced. A goal on '
        'goal_pose is always kept.')
    occupied_threshold: int = shared('occupied_threshold', read_only=False)
    allow_unknown: bool = shared('allow_unknown', read_only=False)
    local_occupied_threshold: int = shared('local_occupied_threshold', read_only=False)
    local_costmap_timeout_s: float = shared('local_costmap_timeout_s', read_only=False)
    brake_ahead_s: float = shared('brake_ahead_s', read_only=False)
    global_frame_id: str = shared('global_frame_id', read_only=False)
    equivalent_frame_ids: tuple[str, ...] = parameter(
        ('map', 'odom'), 'Frames that goals and odometry may be in; taken to equal the map.')
    base_frame_id: str = shared('base_frame_id', read_only=False)
    max_force_n: float = shared('max_force_n', read_only=False)
    mass_kg: float = shared('mass_kg', read_only=False)
    realtime_priority: int = realtime_priority(
        40, 'Of the threads that serve messages; planning itself stays time-shared.')
    publish_candidates: bool = parameter(
        True, 'Publish the sampled plans and the uncertainty as markers.')

    def __post_init__(self):
        self.settings()

    def settings(self) -> PlannerSettings:
        """Return the planner's part."""
        try:
            return PlannerSettings(**{name: getattr(self, name)
                                      for name in PlannerSettings.model_fields})
        except ValidationError as error:
            raise ValueError(f'parameter {faults(error)}') from error


def fields_of(model: type[BaseModel]) -> list[tuple[str, type, Any]]:
    """Return the fields of a settings model as parameter fields, ranges and choices included."""
    fields = []
    for name, info in model.model_fields.items():
        limits = {key: getattr(rule, key) for rule in info.metadata
                  for key in ('ge', 'gt', 'le') if hasattr(rule, key)}
        description = info.description[0].upper() + info.description[1:] + '.'
        fields.append((name, type(info.default), parameter(
            info.default, description, low=limits.get('ge', limits.get('gt')),
            high=limits.get('le'), choices=get_args(info.annotation))))
    return fields


if TYPE_CHECKING:
    class PlannerParameters(NodeParameters, PlannerSettings):
        """All parameters of the planner node."""
else:
    PlannerParameters = make_dataclass('PlannerParameters', fields_of(PlannerSettings),
                                       bases=(NodeParameters,), frozen=True)
