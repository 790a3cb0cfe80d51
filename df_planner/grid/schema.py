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
A grid of evaluations as a YAML file: tasks times rows.

    seed: 0                     # of the starts and of the planner's noise
    episodes: 100               # the same starts for every row
    reference: controller       # the row that differences are taken to
    variables: {models: runs/models}
    tasks:
      medium: {maze: medium}
      medium-multi: {maze: medium, multi_goal: true}
      random: {maze: unseen, robot: diff_drive, episodes: 200}  # random places, two drives in each
    rows:
      - {name: controller, policy: controller}
      - {name: route, policy: route, checkpoint: point}  # the way on the map, without a model
      - name: raw               # any field of ``evaluate.Specification``
        checkpoint: maze2d-{maze}
        execution: raw
        replan_interval_s: 0.1
      - name: three seeds       # a list: the spread over training seeds is reported
        checkpoint: ['{models}/medium-df-0', '{models}/medium-df-1', '{models}/medium-df-2']
      - name: trained first     # by the benchmark, once for every seed; tasks: of its maze
        train: comparison       # a configuration as of ``df_planner train``
        seeds: [0, 1, 2]
      - name: sampling_steps    # one row for every value
        group: ablation
        checkpoint: maze2d-medium
        sweep: {settings.sampling_steps: [2, 4, 8, 16]}

A row runs in its ``tasks``; by default in all of them if it is a controller or its checkpoint
names ``{maze}`` or ``{robot}``, else in those of the maze its checkpoint was made for.
"""

from dataclasses import fields
from typing import Self

from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import Field
from pydantic import model_validator

from df_planner.evaluation.episodes import Specification
from df_planner.robots.kinds import POINT

SPECIFICATION_FIELDS = {field.name for field in fields(Specification)} - {
    'maze', 'checkpoint', 'robot'}


class _Section(BaseModel):
    model_config = ConfigDict(extra='forbid', frozen=True)


class Task(_Section):
    """Where episodes take place."""

    maze: str = Field(description='name of a shipped maze, a YAML file, or unseen: random places')
    robot: str = Field(POINT.name, description='kind of the robot')
    episodes: int | None = Field(None, ge=1, description='at most so many starts')
    multi_goal: bool = Field(False, description='a goal of its own for every start (Multi2D)')


class RowConfig(_Section):
    """A row as the file has it; ``specification`` collects the fields of ``Specification``."""

    name: str
    group: str = 'headline'
    tasks: list[str] | None = None
    checkpoint: str | list[str] | None = None
    train: str | None = None
    seeds: list[int] = []
    sweep: dict[str, list] = {}
    reference: str | None = None
    specification: dict = {}

    @model_validator(mode='before')
    @classmethod
    def _collect(cls, values: object) -> object:
        """Put the fields of a specification together; what remains unknown is an error."""
        if not isinstance(values, dict) or 'specification' in values:
            return values
        known = {key: values[key] for key in values if key in SPECIFICATION_FIELDS}
        rest = {key: values[key] for key in values if key not in known}
        return {**rest, 'specification': known}

    @model_validator(mode='after')
    def _check_training(self) -> Self:
        if self.train and (self.checkpoint or 'checkpoint' in self.sweep):
            raise ValueError('train makes its own checkpoints: leave out checkpoint')
        if bool(self.train) != bool(self.seeds):
            raise ValueError('train and seeds belong together')
        if len(set(self.seeds)) < len(self.seeds) or min(self.seeds, default=0) < 0:
            raise ValueError('seeds must differ and be 0 or more')
        return self


class Grid(_Section):
    """The whole file."""

    description: str = ''
    seed: int = Field(0, ge=0, description='of the starts, and of the noise of the planner')
    episodes: int = Field(100, ge=1, description='starts of every task')
    device: str = Field('cpu', description='where networks run: cpu, cuda or auto')
    reference: str | None = Field(None, description='row that differences are taken to')
    variables: dict[str, str] = Field({}, description='values for {names} in checkpoints')
    tasks: dict[str, Task] = Field(min_length=1)
    rows: list[RowConfig] = Field(min_length=1)
