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
The kinds of robots: one row of facts per kind.

Three tables hold what a kind *does*, by its name: how it follows a plan (``driving/tracking.py``),
what its messages are (``ros/robots/kinds.py``) and how it is simulated (``sim/robots.py``). No
other code tells kinds apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field

from df_planner.robots.signals import HEADING
from df_planner.robots.signals import MAZE2D
from df_planner.robots.signals import PLANAR_SIZE
from df_planner.robots.signals import Signals

EXECUTIONS = ('raw', 'tracking', 'time_optimal')


@dataclass(frozen=True)
class RobotKind:
    """
    A kind of robot.

    :param name: the value of the parameter ``robot`` of every node and of ``--robot``.
    :param description: what it is and takes, for lists of the kinds.
    :param signals: its states and actions, those of the simulated one.
    :param command_topic: where it takes commands.
    :param executions: the ``EXECUTIONS`` that it can be driven with.
    :param prefix: what the names of its generated logs begin with.
    :param family: name of its Gymnasium environments.
    :param shape: of its marker: ``sphere``, ``box`` or ``cylinder``.
    :param planner_settings: measured best where the defaults, those of a point, are not.
    :param params_file: parameter file of its launch.
    :param limit_parameters: parameters of the follower that limit its actions, one per action;
        none for a robot whose limits are those of its signals.
    :param generated_rows: rows of a generated log; None for as many as D4RL's log of the maze has.
    :param max_force_n: per axis at action 1, of a robot that takes forces.
    :param mass_kg: that the force accelerates.
    """

    name: str
    description: str
    signals: Signals
    command_topic: str
    executions: tuple[str, ...]
    prefix: str
    family: str
    shape: str
    planner_settings: dict[str, float] = field(default_factory=dict)
    params_file: str = 'config/params.yaml'
    limit_parameters: tuple[str, ...] = ()
    generated_rows: int | None = None
    max_force_n: float | None = None
    mass_kg: float | None = None

    @property
    def takes_forces(self) -> bool:
        """Tell whether actions are forces; else they are velocities."""
        return self.max_force_n is not None

    def node_parameters(self) -> dict[str, dict]:
        """Return what nodes must know of the kind, by node and parameter."""
        signals = self.signals
        return {
            'planner': {'robot_radius_m': signals.robot_radius_m, **self.planner_settings},
            'follower': {
                'control_period_s': signals.dt_s, 'robot_radius_m': signals.robot_radius_m,
                'observation_to_map': [float(x) for row in signals.observation_to_map
                                       for x in row],
                **dict(zip(self.limit_parameters, signals.action_limits))}}


POINT = RobotKind(
    name='point', description='a ball that takes forces on cmd_wrench', signals=MAZE2D,
    command_topic='cmd_wrench', executions=EXECUTIONS, prefix='maze2d',
    family='Maze2D', shape='sphere', max_force_n=100.0, mass_kg=4.18879020478639)

DIFF_DRIVE = RobotKind(
    name='diff_drive', description='two driven wheels that take twists on cmd_vel',
    signals=Signals(
        observation_names=('x', 'y', 'vx', 'vy', *HEADING),
        observation_units=('m', 'm', 'm/s', 'm/s', '1', '1'),
        action_names=('linear_velocity', 'angular_velocity'), action_units=('m/s', 'rad/s'),
        action_limits=(1.0, 4.0),
        robot_radius_m=0.12, dt_s=0.05, max_step_m=0.1),  # it moves at most 0.05 m in 50 ms
    command_topic='cmd_vel',
    # The elastic band of time_optimal moves a plan as forces along two axes can.
    executions=('raw', 'tracking'), prefix='diff_drive', family='DiffDrive', shape='box',
    # Its wheels cannot push it along a wall that it touches, as a force pushes a point.
    planner_settings={'padding_m': 0.08},
    params_file='config/diff_drive.yaml',
    limit_parameters=('max_linear_mps', 'max_angular_radps'),
    generated_rows=600_000)  # 8.3 h

OMNI = RobotKind(
    name='omni', description='a base that drives in any direction, takes twists on cmd_vel',
    signals=Signals(
        observation_names=('x', 'y', 'vx', 'vy', *HEADING),
        observation_units=('m', 'm', 'm/s', 'm/s', '1', '1'),
        action_names=('forward_velocity', 'left_velocity', 'angular_velocity'),
        action_units=('m/s', 'm/s', 'rad/s'), action_limits=(1.0, 1.0, 4.0),
        robot_radius_m=0.15, dt_s=0.05, max_step_m=0.15),  # it moves at most 0.071 m in 50 ms
    command_topic='cmd_vel', executions=('raw', 'tracking'), prefix='omni', family='Omni',
    shape='cylinder',
    planner_settings={'padding_m': 0.08},
    limit_parameters=('max_linear_mps', 'max_linear_mps', 'max_angular_radps'),
    generated_rows=600_000)

ROBOTS = {kind.name: kind for kind in (POINT, DIFF_DRIVE, OMNI)}
DESCRIPTIONS = ', '.join(f'{kind.name} ({kind.description})' for kind in ROBOTS.values())


def robot_kind(observation_names: Sequence[str], action_names: Sequence[str]) -> str | None:
    """
    Return the kind of robot that columns of these names belong to, None for another one.

    Names of positions and velocities may be any. So may those of the two forces of a point, but
    they must not be those of another kind's commands.
    """
    others, actions = tuple(observation_names[PLANAR_SIZE:]), tuple(action_names)
    for name, kind in ROBOTS.items():
        if (others, actions) == (kind.signals.observation_names[PLANAR_SIZE:],
                                 kind.signals.action_names):
            return name
    claimed = any(actions == kind.signals.action_names for kind in ROBOTS.values())
    return POINT.name if not others and len(actions) == 2 and not claimed else None
