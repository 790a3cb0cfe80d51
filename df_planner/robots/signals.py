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
What the columns of a log mean: names, units, rate and axes.

A log of this package's own says it in its attribute ``signals``; D4RL's files say nothing, and are
those of Maze2D. A robot moves in the plane: its first two observations are the position, the next
two the velocity in the same axes; what else it observes (a heading, a load) follows.
"""

from typing import Self

from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import Field
from pydantic import model_validator
from pydantic import ValidationError

from df_planner.configuration import faults
from df_planner.errors import DatasetError

PLANAR_SIZE = 4  # position and velocity
HEADING = ('heading_cos', 'heading_sin')
ATTRIBUTE = 'signals'


class Signals(BaseModel):
    """
    The columns of observations and actions.

    :param action_limits: (A,) the largest magnitude of each action, in its unit; 1 if left out.
    :param robot_radius_m: of the robot, seen from above.
    :param dt_s: seconds from row to row.
    :param max_step_m: a longer move from row to row is a jump: the motion breaks there.
    :param observation_to_map: rows of the matrix that turns positions of the data into those of
        the ROS ``map`` frame (REP 103), in metres.
    """

    model_config = ConfigDict(extra='forbid', frozen=True)

    observation_names: tuple[str, ...] = Field(min_length=PLANAR_SIZE)
    observation_units: tuple[str, ...]
    action_names: tuple[str, ...] = Field(min_length=1)
    action_units: tuple[str, ...]
    action_limits: tuple[float, ...] = ()
    robot_radius_m: float = Field(0.1, ge=0.0)
    dt_s: float = Field(gt=0.0)
    max_step_m: float = Field(gt=0.0)
    observation_to_map: tuple[tuple[float, float], tuple[float, float]] = ((1.0, 0.0), (0.0, 1.0))

    @model_validator(mode='before')
    @classmethod
    def _limits_of_one(cls, values: object) -> object:
        if isinstance(values, dict) and not values.get('action_limits'):
            return {**values, 'action_limits': (1.0,) * len(values.get('action_names', ()))}
        return values

    @model_validator(mode='after')
    def _check_units(self) -> Self:
        for kind in ('observation', 'action'):
            names, units = getattr(self, f'{kind}_names'), getattr(self, f'{kind}_units')
            if len(names) != len(units):
                raise ValueError(f'{len(names)} {kind}_names, {len(units)} {kind}_units')
            if len(set(names)) != len(names):
                raise ValueError(f'{kind}_names must differ, got {", ".join(names)}')
        if len(self.action_limits) != len(self.action_names) or min(self.action_limits) <= 0.0:
            raise ValueError(f'action_limits must be {len(self.action_names)} positive numbers, '
                             f'got {self.action_limits}')
        return self

    @property
    def observation_size(self) -> int:
        """Return the number of observations S."""
        return len(self.observation_names)

    @property
    def action_size(self) -> int:
        """Return the number of actions A."""
        return len(self.action_names)

    @property
    def has_heading(self) -> bool:
        """Return whether the cosine and the sine of the heading follow the velocity."""
        return self.observation_names[PLANAR_SIZE:] == HEADING

    def part_sizes(self, frame_stack: int) -> tuple[int, ...]:
        """Return the channels of the parts of a token: position, velocity, others, actions."""
        others = self.observation_size - PLANAR_SIZE
        return (2, 2, *([others] if others else []), frame_stack * self.action_size)


MAZE2D = Signals(
    observation_names=('row', 'col', 'row velocity', 'col velocity'),
    observation_units=('m', 'm', 'm/s', 'm/s'),
    action_names=('row force', 'col force'), action_units=('100 N', '100 N'), dt_s=0.01,
    max_step_m=0.15,  # the ball moves at most 0.075 m in 10 ms
    observation_to_map=((0.0, 1.0), (-1.0, 0.0)))


def signals_from_attribute(text: str | None, source: str) -> Signals:
    """
    Return what a file says of its columns; those of Maze2D if it says nothing.

    :param source: the file, for the error.
    :raises DatasetError: if the attribute cannot be understood.
    """
    if text is None:
        return MAZE2D
    try:
        return Signals.model_validate_json(text)
    except ValidationError as error:
        raise DatasetError(f'{source}: attribute {ATTRIBUTE}: {faults(error)}') from error
