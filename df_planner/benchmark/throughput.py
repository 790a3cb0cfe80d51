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
How fast everything around the planner is, section by section.

A row of the report is a number with its unit and where it comes from. Whatever torch or ROS runs
in is a process of its own: the number of torch's threads cannot be changed once it has computed.
"""

from collections.abc import Callable
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from df_planner.data.generator import generate
from df_planner.resources import share_path
from df_planner.training.config import load_config
from df_planner.training.config import TrainConfig

GENERATED_ROWS = 100_000


@dataclass(frozen=True)
class Row:
    """
    A line of the report.

    :param value: None if it was not measured; ``note`` says why.
    :param source: ``measured``, ``derived`` from measured rows, or ``published`` by others.
    """

    section: str
    name: str
    value: float | None
    unit: str
    note: str = ''
    source: str = 'measured'

    def content(self) -> dict:
        """Return it as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Plan:
    """
    What to measure.

    :param maze: name of a maze with a training configuration, a log or the means to generate one.
    :param seconds: time for a number that is a rate of calls.
    :param steps: training steps per number.
    :param episodes: of the ROS benchmark; the first one is not counted.
    :param folder: of temporary files.
    :param rows: of the long log.
    """

    maze: str
    seconds: float
    steps: int
    episodes: int
    folder: Path
    rows: int = 2_000_000

    @property
    def config_path(self) -> Path:
        """Return the training configuration of the shipped model."""
        return share_path(f'config/train/{self.maze}.yaml')

    def config(self, **overrides: object) -> TrainConfig:
        """Return the configuration on a log that exists, a short one generated for want of it."""
        config = load_config(self.config_path, overrides)
        if config.dataset.exists():
            return config
        log = self.folder / f'{self.maze}.hdf5'
        if not log.exists():
            generate(self.maze, GENERATED_ROWS, out=log)
        return config.model_copy(update={'dataset': log})


def sections() -> dict[str, Callable[[Plan], list[Row]]]:
    """Return what measures each section, by name."""
    from df_planner.benchmark.throughput_data import measure_data
    from df_planner.benchmark.throughput_gpu import measure_gpu
    from df_planner.benchmark.throughput_long import measure_long
    from df_planner.benchmark.throughput_ros import measure_ros
    from df_planner.benchmark.throughput_sim import measure_simulator
    from df_planner.benchmark.throughput_training import measure_training
    return {'training': measure_training, 'data': measure_data, 'long': measure_long,
            'simulator': measure_simulator, 'ros': measure_ros, 'gpu': measure_gpu}


def measure_sections(names: tuple[str, ...], maze: str, seconds: float, steps: int, episodes: int,
                     rows_of_long_log: int, on_section: Callable[[list[Row]], None]) -> list[Row]:
    """
    Measure sections one after the other and return all rows.

    :param on_section: called after each with all rows so far.
    """
    rows: list[Row] = []
    with TemporaryDirectory(prefix='df_planner-') as folder:
        plan = Plan(maze, seconds, steps, episodes, Path(folder), rows_of_long_log)
        for name in names:
            rows += sections()[name](plan)
            on_section(rows)
    return rows
