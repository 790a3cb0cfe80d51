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

from pydantic import BaseModel
from pydantic import ValidationError

from df_planner.configuration import faults
from df_planner.diffusion.runtime.names import BACKENDS
from df_planner.planning.settings import PlannerSettings
from df_planner.ros.parameters import parameter
from df_planner.ros.topics import ROBOTS


@dataclass(frozen=True)
class NodeParameters:
    """What the node itself adds to the settings of the planner."""

    checkpoint: str = parameter(
        'maze2d-medium',
        'Name of a shipped model, or the path of a checkpoint. While configured, another one is '
        'loaded beside the one in use and replaces it between two plans; refused if the file is '
        'missing or broken or its card is for another robot; put back, with the reason in '
        'diagnostics, if it cannot be loaded.')
    robot: str = parameter(
        'point', 'Kind of the robot that odometry and plans are of; a checkpoint for another one '
        'is refused.', choices=ROBOTS, read_only=True)
    device: str = parameter('cpu', 'Where the network runs; changes like checkpoint.',
                            choices=('auto', 'cpu', 'cuda'))
    backend: str = parameter(
        'auto', 'What evaluates the network, auto = the fastest there is; changes like '
        'checkpoint.', choices=BACKENDS)
    num_threads: int = parameter(
        1, 'Threads of torch, 0 for its own choice; read at configure.', low=0, high=64)
    autostart: bool = parameter(True, 'Configure and activate at start-up.', read_only=True)
    seed: int = parameter(0, 'Seed of the plans, -1 draws one at configure.', low=-1)
    planning_frequency_hz: float = parameter(
        4.0, 'Plans per second of the time of the odometry; more than the planner can make mean '
        'as many as it can.', low=0.1, high=100.0)
    compensate_latency: bool = parameter(
        True, 'Plan from where the plan in hand will have led the robot by the time the new one '
        'is there, as far ahead as 95 % of the last 20 plans took; with delay_steps above 0, from '
        'where it is. The launch files turn it off in lockstep.')
    timeout_s: float = parameter(
        10.0, 'Wall time after which planning gives up; 0.3 s at most for a plan from where the '
        'robot will be, see compensate_latency.', low=0.01, high=600.0)
    odom_timeout_s: float = parameter(
        2.0, 'Wall time after which odometry is stale and nothing is planned from it.', low=0.01)
    start_tolerance_m: float = parameter(
        0.5, 'Safety gate: distance of a plan from the start asked for, and of the robot from the '
        'plan.', low=0.0, high=100.0)
    start_tolerance_mps: float = parameter(
        0.5, 'Safety gate: speed by which a plan may begin unlike the start asked for.', low=0.0,
        high=100.0)
    max_plan_shift_m: float = parameter(
        1.0, 'Safety gate: how far a plan may leave, within 0.25 s, the way of the one being '
        'executed, while that is still good; 0 = any distance. Needs collision_check.', low=0.0,
        high=100.0)
    resume_goal: bool = parameter(
        True, 'After a restart, plan for the goal on resume_goal, where the follower keeps that '
        'of a planner that was killed.')
    hold_at_goal: bool = parameter(
        True, 'Near the goal, plan to stay there; off for raw execution, which cannot.')
    occupied_threshold: int = parameter(
        65, 'Cells of the map of this value or above are obstacles.', low=1, high=100)
    global_frame_id: str = parameter('map', 'Frame of the plans.')
    equivalent_frame_ids: tuple[str, ...] = parameter(
        ('map', 'odom'), 'Frames that goals and odometry may be in, taken to be the same.')
    base_frame_id: str = parameter('base_link', 'Name of the joint in plan_trajectory.')
    max_force_n: float = parameter(100.0, 'Of a point: force per axis at action 1.', low=1e-6)
    mass_kg: float = parameter(4.18879020478639, 'Of a point: mass.', low=1e-6)
    realtime_priority: int = parameter(
        40, 'SCHED_FIFO priority of the threads that serve messages, where the system permits it; '
        '0 does without. Planning itself stays time-shared.', low=0, high=99, read_only=True)
    publish_candidates: bool = parameter(
        True, 'Publish sampled plans, and the uncertainty, as markers.')

    def __post_init__(self):
        """Check the planner's part by its own rules."""
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


PlannerParameters = make_dataclass('PlannerParameters', fields_of(PlannerSettings),
                                   bases=(NodeParameters,), frozen=True)
