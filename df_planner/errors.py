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
Typed errors: one class per failure, each with a code.

The codes of planning failures are the names that Nav2's ``ComputePathToPose`` uses, so that the
ROS edge can map an exception to an error code in one place.
"""

from collections.abc import Callable
from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from typing import NamedTuple
from typing import Self

MOST_NAMES = 8
MOST_CHARACTERS = 200


class At(NamedTuple):
    """
    A position in the message of an error, in the axes of the data: ``At(*position)``.

    No position is formatted by hand: a ROS node tells all of them in the axes of the map.
    """

    x: float
    y: float

    def __str__(self) -> str:
        return '({}, {})'.format(*(f'{round(float(value), 2) + 0.0:.2f}' for value in self))


class DFPlannerError(Exception):
    """
    Base of every error this package raises on purpose; ``code`` names the failure.

    Its arguments are the parts of the message; those that are ``At`` can be told in other axes.
    """

    code = 'UNKNOWN'

    def told_in(self, turn: Callable[[At], Iterable[float]]) -> Self:
        """
        Tell the positions in other axes from now on.

        :param turn: turns a position in the axes of the data.
        """
        self._turn = turn
        return self

    def __str__(self) -> str:
        turn = getattr(self, '_turn', tuple)
        return ''.join(str(At(*turn(part)) if isinstance(part, At) else part)
                       for part in self.args)


class InvalidInput(DFPlannerError, ValueError):
    """An array of the wrong shape or with a non-finite value."""

    code = 'INVALID_INPUT'


class StaleInput(DFPlannerError):
    """An input that is missing, too old, or stamped in the future."""

    code = 'STALE_INPUT'


class FrameError(DFPlannerError):
    """A message in a frame that cannot be related to the map."""

    code = 'TF_ERROR'


class StartOutsideMap(DFPlannerError):
    """The start position lies outside the map."""

    code = 'START_OUTSIDE_MAP'


class GoalOutsideMap(DFPlannerError):
    """The goal position lies outside the map."""

    code = 'GOAL_OUTSIDE_MAP'


class StartOccupied(DFPlannerError):
    """The start position lies inside an obstacle."""

    code = 'START_OCCUPIED'


class GoalOccupied(DFPlannerError):
    """The goal position lies inside an obstacle."""

    code = 'GOAL_OCCUPIED'


class NoValidPlan(DFPlannerError):
    """No sampled plan passed the checks."""

    code = 'NO_VALID_PATH'


class PlanningTimeout(NoValidPlan):
    """The deadline came before a sampled plan passed the checks."""

    code = 'TIMEOUT'


class UnsafePlan(NoValidPlan):
    """A plan that the safety gate rejects; one class per reason."""

    code = 'UNSAFE_PLAN'


class PlanNotFinite(UnsafePlan):
    """A state, an action or an uncertainty of the plan is NaN or infinite."""

    code = 'PLAN_NOT_FINITE'


class PlanOffStart(UnsafePlan):
    """The plan does not begin with the robot's position and velocity."""

    code = 'PLAN_OFF_START'


class PlanBeyondLimits(UnsafePlan):
    """An action, a speed or a step of the plan exceeds the limits of the robot."""

    code = 'PLAN_BEYOND_LIMITS'


class PlanInCollision(UnsafePlan):
    """The plan hits an obstacle of the current map."""

    code = 'PLAN_IN_COLLISION'


class PlanMissesGoal(UnsafePlan):
    """The plan ends outside the tolerance of the goal."""

    code = 'PLAN_MISSES_GOAL'


class PlanJumps(UnsafePlan):
    """The plan jumps away from the plan being executed, which is still valid."""

    code = 'PLAN_JUMPS'


class WaitTimeout(DFPlannerError):
    """An expected event did not happen in time."""

    code = 'TIMEOUT'


class NoProgress(DFPlannerError):
    """The robot makes no progress although it has a plan."""

    code = 'FAILED_TO_MAKE_PROGRESS'


class PlanningCancelled(DFPlannerError):
    """The caller cancelled the plan between two network calls."""

    code = 'CANCELLED'


class CheckpointError(DFPlannerError):
    """A checkpoint that is missing, corrupt, or of a format this version cannot read."""

    code = 'BAD_CHECKPOINT'


class DeviceError(DFPlannerError):
    """The device that the network runs on failed."""

    code = 'DEVICE_ERROR'


class DatasetError(DFPlannerError):
    """A data set that is missing, truncated, or does not have D4RL's keys, shapes and dtypes."""

    code = 'BAD_DATASET'


class BagError(DFPlannerError):
    """A bag that is missing, damaged, or lacks the topics that are needed."""

    code = 'BAD_BAG'


class ConfigError(DFPlannerError):
    """A configuration file or value that does not fit its schema."""

    code = 'BAD_CONFIG'


class ProcessLost(DFPlannerError):
    """Another process of the same run ended too early."""

    code = 'PROCESS_LOST'


class TrainingDiverged(DFPlannerError):
    """A gradient of the training is not finite."""

    code = 'TRAINING_DIVERGED'


def some_of(names: Iterable[object]) -> str:
    """Return names for a message, which stays short: the first few, and whether there are more."""
    first = [str(name) for name in islice(names, MOST_NAMES + 1)]
    return ', '.join(first[:MOST_NAMES]) + ' and more' * (len(first) > MOST_NAMES)


def did_you_mean(name: str, known: Iterable[str], closeness: float = 0.6) -> str:
    """Return the end of a message: the known name that is most like this one; empty for none."""
    near = get_close_matches(name, list(known), 1, closeness)
    return f'; did you mean {near[0]}?' if near else ''


def brief(value: object) -> str:
    """Return what a value looks like, for a message: of a long one the beginning."""
    text = repr(value)
    return text if len(text) <= MOST_CHARACTERS else f'{text[:MOST_CHARACTERS]}…'
