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

"""A recorded drive as arrays, in the map frame: what was driven, planned and expected."""

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field

import numpy as np


@dataclass(frozen=True)
class Occupancy:
    """
    The map.

    :param cells: int8 (H, W), from the lower-left corner: 0 free to 100 occupied, -1 unknown.
    :param origin_m: (2,) that corner.
    """

    cells: np.ndarray
    resolution_m: float
    origin_m: np.ndarray

    @property
    def extent_m(self) -> tuple[float, float, float, float]:
        """Return left, right, bottom and top."""
        (left, bottom), (height, width) = self.origin_m.tolist(), self.cells.shape
        return (left, left + width * self.resolution_m,
                bottom, bottom + height * self.resolution_m)


@dataclass(frozen=True)
class DrivenPlan:
    """
    A plan as it was published; without points it means "brake".

    :param heard_s: when it was published, in the time of the drive.
    :param times_s: (n,) when the robot should be at each point.
    :param states: (n, 4) position and velocity there.
    :param planning_time_s: None where it was not recorded, or nothing was planned.
    """

    heard_s: float
    times_s: np.ndarray
    states: np.ndarray
    planning_time_s: float | None = None

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.times_s)


@dataclass(frozen=True)
class Discs:
    """Where the robot was expected along a plan: (n, 2) centres and (n,) radii."""

    heard_s: float
    centres_m: np.ndarray
    radii_m: np.ndarray


@dataclass(frozen=True)
class Candidates:
    """Sampled plans: (n, 2) points of each, and whether it passed the checks."""

    heard_s: float
    lines: Sequence[np.ndarray]
    valid: Sequence[bool]


@dataclass(frozen=True)
class Goal:
    """A goal (2,) and when it was given."""

    heard_s: float
    position_m: np.ndarray


@dataclass(frozen=True)
class Drive:
    """
    Everything in the order of time.

    :param times_s: (N,) stamps of the odometry, the time of the drive; rising.
    :param states: (N, 4) position and velocity.
    :param clock_jumps: how often the stamps jumped back; the longest stretch between is kept.
    :param problems: how often each diagnostic status was a warning or an error, by its words.
    """

    times_s: np.ndarray
    states: np.ndarray
    plans: Sequence[DrivenPlan]
    occupancy: Occupancy | None = None
    goals: Sequence[Goal] = ()
    uncertainty: Sequence[Discs] = ()
    candidates: Sequence[Candidates] = ()
    clock_jumps: int = 0
    problems: dict[str, int] = field(default_factory=dict)
