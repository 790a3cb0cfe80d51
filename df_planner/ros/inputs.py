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


"""Inputs that a node refuses: answered in the log and in diagnostics, changing nothing."""

from collections.abc import Callable

from df_planner.errors import DFPlannerError
from df_planner.ros.diagnostics import Complaints
from df_planner.ros.diagnostics import OK
from df_planner.ros.diagnostics import Status
from df_planner.ros.diagnostics import WARN


def guarded(callback: Callable, what: str, complaints: Complaints) -> Callable:
    """
    Return a subscription's callback whose typed errors become complaints.

    :param what: the input, in the words of the diagnostics; complaints about it end with its next
        good message.
    """
    def call(message):
        try:
            callback(message)
        except DFPlannerError as error:
            complaints.add(what, error)
        else:
            complaints.clear(what)
    return call


def inputs_status(complaints: Complaints) -> Status:
    """Return the diagnostics task on a node's inputs."""
    refused = list(complaints)
    if refused:
        return Status(WARN, 'refused ' + '; '.join(refused))
    return Status(OK, 'all inputs accepted')
