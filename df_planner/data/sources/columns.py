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
Which number of a log becomes which column: the YAML file behind ``data import --config``.

::

    dt_s: 0.05                   # seconds from row to row; what is recorded is resampled to it
    max_step_m: 0.1              # a longer move from row to row is a jump: an episode ends there
    max_gap_s: 0.25              # a longer time without a message ends an episode, too
    observations:                # position, velocity in the same axes, then all the rest
    - {name: x, unit: m, topic: odom, field: pose.pose.position.x}
    ...
    actions:                     # the latest command holds until the next
    - {name: linear_velocity, unit: m/s, topic: cmd_vel, field: linear.x, limit: 1.0}

``topic`` and ``field`` name a number in the messages of a bag (``message_fields.py``), or an
array of an HDF5 file or a Minari data set and the number of its column; rows of arrays are taken
as they are, ``dt_s`` apart. Shipped ones are in ``config/import``.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from typing import Self

import numpy as np
from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import Field
from pydantic import field_validator
from pydantic import model_validator

from df_planner.configuration import checked
from df_planner.configuration import read_yaml
from df_planner.configuration import shipped_path
from df_planner.errors import ConfigError
from df_planner.robots.signals import PLANAR_SIZE
from df_planner.robots.signals import Signals

DEFAULT = 'maze2d'


class Column(BaseModel):
    """
    A column and where it comes from.

    :param scale: factor from the number to the unit.
    :param limit: of the magnitude, after scaling: the robot cannot do more, so larger commands are
        clipped. Every action needs one.
    """

    model_config = ConfigDict(extra='forbid', frozen=True)

    name: str
    unit: str
    topic: str
    field: str
    scale: float = 1.0
    limit: float | None = Field(None, gt=0.0)

    @field_validator('field', mode='before')
    @classmethod
    def _as_text(cls, value: object) -> object:
        return str(value) if isinstance(value, int) else value  # the column of an array


class ImportConfig(BaseModel):
    """
    What ``df_planner data import`` reads; unknown keys are errors.

    :param time: when a message holds: ``stamp``, by its header where it has one, or ``received``,
        by the recorder's clock.
    :param observation_to_map: and ``robot_radius_m``: see ``Signals``.
    """

    model_config = ConfigDict(extra='forbid', frozen=True)

    dt_s: float = Field(ge=1e-4, le=10.0)
    max_step_m: float = Field(gt=0.0)
    max_gap_s: float = Field(gt=0.0, le=60.0)
    time: Literal['stamp', 'received'] = 'stamp'
    robot_radius_m: float = Field(0.1, ge=0.0)
    observation_to_map: tuple[tuple[float, float], tuple[float, float]] = ((1.0, 0.0), (0.0, 1.0))
    observations: tuple[Column, ...] = Field(min_length=PLANAR_SIZE)
    actions: tuple[Column, ...] = Field(min_length=1)

    @model_validator(mode='after')
    def _check_position(self) -> Self:
        if self.observations[0].topic != self.observations[1].topic:
            raise ValueError('the first two observations are the position and need one topic')
        unlimited = [column.name for column in self.actions if column.limit is None]
        if unlimited:
            raise ValueError('actions need a limit, the most that the robot can do: '
                             + ', '.join(unlimited))
        self.signals()
        return self

    @property
    def topics(self) -> tuple[str, ...]:
        """Return the topics, each once."""
        return tuple(dict.fromkeys(c.topic for c in (*self.observations, *self.actions)))

    def signals(self) -> Signals:
        """Return the meaning of the columns."""
        return Signals(
            observation_names=tuple(column.name for column in self.observations),
            observation_units=tuple(column.unit for column in self.observations),
            action_names=tuple(column.name for column in self.actions),
            action_units=tuple(column.unit for column in self.actions),
            action_limits=tuple(column.limit for column in self.actions),
            robot_radius_m=self.robot_radius_m, dt_s=self.dt_s, max_step_m=self.max_step_m,
            observation_to_map=self.observation_to_map)


def load_import_config(name: str | Path) -> ImportConfig:
    """
    Read the file of this path, or the shipped one of this name.

    :raises ConfigError: one line that names the file, the field, its value and what is allowed.
    """
    path = shipped_path('config/import', name, 'columns')
    return checked(ImportConfig, read_yaml(path), str(path))


def array_widths(config: ImportConfig, source: str) -> dict[str, int]:
    """
    Return how many columns arrays must have, by topic.

    :param source: the log of arrays, for the error.
    :raises ConfigError: if the columns are not those of arrays.
    """
    if config.time != 'stamp':
        raise ConfigError(f'{source}: has arrays, not messages; leave `time: {config.time}` out '
                          'of --config')
    widths: dict[str, int] = {}
    for column in (*config.observations, *config.actions):
        if not column.field.isdecimal():
            raise ConfigError(f'{source}: has arrays, not messages: field of {column.name} in '
                              f'--config must be the number of a column, got {column.field!r}; '
                              'import it by itself, with columns of its own')
        widths[column.topic] = max(widths.get(column.topic, 0), int(column.field) + 1)
    return widths


def stacked(columns: Sequence[Column], arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return columns (N, C) float32 of arrays (N, ...) by topic, scaled and within limits."""
    found = []
    for column in columns:
        numbers = column.scale * np.asarray(arrays[column.topic][:, int(column.field)], np.float64)
        limit = column.limit or np.inf
        found.append(np.clip(numbers, -limit, limit))
    return np.stack(found, axis=1).astype(np.float32)
