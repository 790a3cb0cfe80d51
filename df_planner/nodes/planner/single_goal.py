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
An action server with one goal at a time, as Nav2's SimpleActionServer, and its error codes.

A newer goal aborts the one before; a client may cancel the goal. Nothing blocks: ``begin`` starts
the work, and ``succeed`` or ``abort`` is called when it is done. Error codes are looked up by
name, because their numbers differ between distributions: the codes of this package (``errors.py``)
are Nav2's names. A result of Humble has no ``error_code``, one of Jazzy no ``error_msg``.
"""

from collections.abc import Callable
from collections.abc import Sequence
from functools import partial
from typing import Any

from rclpy.action import ActionServer
from rclpy.action import CancelResponse
from rclpy.action import GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.node import Node
from rclpy.task import Future

from df_planner.errors import DFPlannerError
from df_planner.errors import PlanningCancelled

RESULT_TIMEOUT_S = 10  # as long as Nav2 keeps a result that no client has asked for


def fill_error(result: Any, error: DFPlannerError, codes: Sequence[type] = ()) -> None:
    """
    Write an error into the result of an action.

    :param result: with or without the fields ``error_code`` and ``error_msg``.
    :param codes: further classes with error codes: Nav2's navigator passes on those of its
        servers.
    """
    if hasattr(result, 'error_code'):
        result.error_code = error_code(error, (type(result), *codes))
    if hasattr(result, 'error_msg'):
        result.error_msg = f'{error.code}: {error}'


def error_code(error: DFPlannerError, codes: Sequence[type]) -> int:
    """
    Return the number of an error: the constant of its name in the first class that has one.

    An error whose name Nav2 does not know takes the code of its base class: all refusals of the
    safety gate are NO_VALID_PATH, all else is UNKNOWN. A goal that was cancelled or replaced is
    NONE.
    """
    names = [kind.code for kind in type(error).__mro__ if issubclass(kind, DFPlannerError)]
    for wanted in ['NONE'] if isinstance(error, PlanningCancelled) else names:
        for kind in codes:
            if hasattr(kind, wanted):
                return getattr(kind, wanted)
    return 0


class SingleGoalServer:
    """
    Serve one goal of an action; call every method from the executor's thread.

    :param accepts: a goal is rejected while it returns False.
    :param begin: starts the work for a goal, and drops that for the one before.
    :param cancel: stops the work when a client cancels.
    :param codes: see ``fill_error``.
    """

    def __init__(self, node: Node, kind: Any, name: str, accepts: Callable[[], bool],
                 begin: Callable[[Any], None], cancel: Callable[[], None],
                 codes: Sequence[type] = ()):
        self.kind, self.name = kind, name
        self._node = node
        self._begin, self._cancel, self._codes = begin, cancel, codes
        self._handle: ServerGoalHandle | None = None
        self._result: Future | None = None  # of the goal in hand: (how it ends, result)
        self._server = ActionServer(
            node, kind, name, self._no_result, handle_accepted_callback=self._take,
            goal_callback=lambda _: GoalResponse.ACCEPT if accepts() else GoalResponse.REJECT,
            cancel_callback=self._on_cancel, result_timeout=RESULT_TIMEOUT_S)

    @property
    def is_busy(self) -> bool:
        """Return whether a goal is in hand."""
        return self._handle is not None

    def succeed(self, result: Any) -> None:
        """End the goal in hand."""
        self._end(ServerGoalHandle.succeed, result)

    def abort(self, error: DFPlannerError) -> None:
        """End the goal in hand, if there is one, with an error."""
        if self._handle is not None:
            self._end(ServerGoalHandle.abort, self._failed(error))

    def publish_feedback(self, feedback: Any) -> None:
        """Send feedback on the goal in hand."""
        if self._handle is not None:
            self._handle.publish_feedback(feedback)

    def close(self) -> None:
        """Destroy the server; ``abort`` before, or clients wait in vain."""
        self._server.destroy()

    def _take(self, handle: ServerGoalHandle) -> None:
        self.abort(PlanningCancelled('replaced by a newer goal'))
        self._handle, self._result = handle, Future(executor=self._node.executor)
        handle.execute(partial(self._wait, self._result))
        self._begin(handle.request)

    def _on_cancel(self, handle: ServerGoalHandle) -> CancelResponse:
        if handle is not self._handle:
            return CancelResponse.REJECT  # it is ending already
        self._cancel()
        self._end(ServerGoalHandle.canceled, self._failed(PlanningCancelled('cancelled')))
        return CancelResponse.ACCEPT

    def _end(self, how: Callable[[ServerGoalHandle], None], result: Any) -> None:
        if self._result is not None:
            self._result.set_result((how, result))
        self._handle = self._result = None

    async def _wait(self, future: Future, handle: ServerGoalHandle) -> Any:
        how, result = await future
        how(handle)
        return result

    def _failed(self, error: DFPlannerError) -> Any:
        result = self.kind.Result()
        fill_error(result, error, self._codes)
        return result

    @staticmethod
    def _no_result(handle: ServerGoalHandle) -> None:
        """Do not run: every goal is executed by ``_wait``."""
