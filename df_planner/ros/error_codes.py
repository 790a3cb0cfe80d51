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
Error codes of action results, looked up by name: their numbers differ between distributions.

The codes of this package's errors are Nav2's names (``errors.py``). A result of Humble has no
``error_code``, one of Jazzy no ``error_msg``; what there is gets filled.
"""

from collections.abc import Sequence
from typing import Any

from df_planner.errors import DFPlannerError
from df_planner.errors import PlanningCancelled


def fill_error(result: Any, error: DFPlannerError, codes: Sequence[type] = ()) -> None:
    """
    Write an error into the result of an action.

    :param result: with or without the fields ``error_code`` and ``error_msg``.
    :param codes: further classes whose constants are known to readers of this result, as Nav2's
        navigator passes on the codes of its servers.
    """
    if hasattr(result, 'error_code'):
        result.error_code = error_code(error, (type(result), *codes))
    if hasattr(result, 'error_msg'):
        result.error_msg = f'{error.code}: {error}'


def error_code(error: DFPlannerError, codes: Sequence[type]) -> int:
    """
    Return the number of an error: the constant of its name in the first class that has it.

    A name that Nav2 does not know counts as what the error is a kind of: all that the safety gate
    refuses is NO_VALID_PATH, and in the end all is UNKNOWN. A goal that somebody ended on purpose
    is NONE.
    """
    names = [kind.code for kind in type(error).__mro__ if issubclass(kind, DFPlannerError)]
    for wanted in ['NONE'] if isinstance(error, PlanningCancelled) else names:
        for kind in codes:
            if hasattr(kind, wanted):
                return getattr(kind, wanted)
    return 0
