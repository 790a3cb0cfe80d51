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
What a planner node is from configure to shutdown: its parameters, its model and its threads.

The node itself (``node.py``) adds what it says and listens to: it opens its interface
when there is a model, and closes it when the model goes.
"""

from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING

from rclpy.lifecycle import LifecycleNode
from rclpy.lifecycle import LifecycleState
from rclpy.lifecycle import TransitionCallbackReturn

from df_planner.errors import ConfigError
from df_planner.errors import DFPlannerError
from df_planner.nodes.planner.model_swap import check_schedule_file
from df_planner.nodes.planner.model_swap import load_planner
from df_planner.nodes.planner.model_swap import ModelSwap
from df_planner.nodes.planner.parameters import PlannerParameters
from df_planner.nodes.planner.planning_job import Result
from df_planner.nodes.planner.report import PlannerReport
from df_planner.nodes.planner.session import PlanningSession
from df_planner.ros.conversions import MapAxes
from df_planner.ros.diagnostics import Complaints
from df_planner.ros.diagnostics import Diagnostics
from df_planner.ros.parameters import declare
from df_planner.ros.parameters import on_change
from df_planner.ros.rclpy_gaps import give_back_memory
from df_planner.ros.rclpy_gaps import refuse_impossible_transitions
from df_planner.ros.realtime import keep_on_time
from df_planner.ros.robots.kinds import robot_messages
from df_planner.ros.worker import Worker

if TYPE_CHECKING:
    from df_planner.planning.planner import Planner

SUCCESS, FAILURE, ERROR = (TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE,
                           TransitionCallbackReturn.ERROR)
Transition = Callable[['PlannerLifecycle', LifecycleState], TransitionCallbackReturn]


def transition(callback: Transition) -> Transition:
    """Decorate a transition callback: an exception, silent in rclpy, is kept for ``on_error``."""
    @wraps(callback)
    def call(node: 'PlannerLifecycle', state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return callback(node, state)
        except Exception as error:  # whatever it is, on_error takes the node back
            node.transition_error = f'{callback.__name__} failed: {error!r}'
            return ERROR
    return call


class PlannerLifecycle(LifecycleNode, ABC):
    """A lifecycle node that has a planning session while it is configured."""

    def __init__(self):
        """Declare the parameters; the model is loaded by ``on_configure``."""
        super().__init__('planner')
        refuse_impossible_transitions(self)
        self.parameters = declare(self, PlannerParameters)
        on_change(self, PlannerParameters, self._apply_parameters, self._check_change)
        self.transition_error = ''
        self._session: PlanningSession | None = None
        self._worker: Worker | None = None
        self._swap: ModelSwap | None = None
        self._active = False
        diagnostics = Diagnostics(self)
        self._complaints = Complaints(self, diagnostics)
        self._report = PlannerReport(diagnostics, self._complaints)

    @abstractmethod
    def open_interface(self) -> None:
        """Create publishers, subscriptions and services: there is a session now."""

    @abstractmethod
    def close_interface(self) -> None:
        """Destroy what ``open_interface`` created, as far as it got."""

    @abstractmethod
    def begin(self) -> None:
        """Begin to serve: the node is active."""

    @abstractmethod
    def halt(self) -> None:
        """End all that is being done; the node is about to be inactive."""

    @abstractmethod
    def finish_plan(self, result: Result) -> None:
        """Publish what became of a plan."""

    @transition
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model, run it once and open the interface."""
        self._report.model_loading(self.parameters.checkpoint)
        try:
            planner = load_planner(self.parameters)
            self._axes = MapAxes(planner.card.observation_to_map)
            self._take_robot()
        except DFPlannerError as error:
            self.get_logger().error(f'{error.code}: {error}')
            self._report.model_failed(error)
            return FAILURE
        self._worker = Worker(self)
        self._session = PlanningSession(planner, self._worker, self.parameters, self.finish_plan)
        self._swap = ModelSwap(self, self.parameters, planner.card, self._take_planner,
                               self._report.model_swapping)
        self.open_interface()
        keep_on_time(self, self.parameters.realtime_priority)
        self._say_loaded(planner, self.parameters)
        return super().on_configure(state)

    @transition
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Accept goals."""
        self._active = True
        result = super().on_activate(state)
        self.begin()
        self.get_logger().info('Ready for goals')
        return result

    @transition
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop planning and let the robot brake."""
        self.halt()
        self._active = False
        return super().on_deactivate(state)

    @transition
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close the interface and free the model."""
        result = super().on_cleanup(state)
        self._let_go()
        self._report.model_unloaded()
        return result

    @transition
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Do what deactivating and cleaning up do."""
        if self._active:
            self.on_deactivate(state)
        return self.on_cleanup(state) if self._session is not None else SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of everything after a transition that failed, and go back to unconfigured."""
        self.get_logger().error(self.transition_error)
        self._active = False
        self._let_go()
        self._report.model_failed(DFPlannerError(self.transition_error))
        return super().on_error(state)

    def start(self) -> None:
        """With autostart, configure and activate; without a model stay unconfigured."""
        if self.parameters.autostart and self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    def close(self) -> None:
        """End the threads, cancelling what they do."""
        if self._swap is not None:
            self._swap.close()
            self._swap = None
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _let_go(self) -> None:
        self.close()
        self.close_interface()
        self._session = None
        self._complaints.clear_all()
        give_back_memory()

    def _check_change(self, parameters: PlannerParameters) -> None:
        """Refuse, by a ConfigError, parameters that the planner at work cannot take."""
        if self._session is None:
            return
        if parameters.num_threads != self.parameters.num_threads:
            raise ConfigError('parameter num_threads: is read at configure, clean up first')
        self._swap.check(parameters)
        check_schedule_file(parameters, self._session.planner.card)

    def _take_robot(self) -> None:
        """Speak for the robot that the parameters describe."""
        p = self.parameters
        self._robot = robot_messages(p.robot, self._axes, p.max_force_n, p.mass_kg)

    def _apply_parameters(self, parameters: PlannerParameters) -> None:
        self.parameters = parameters
        if self._session is not None:
            self._take_robot()
            self._session.set_parameters(parameters)
            self._swap.want(parameters)

    def _take_planner(self, planner: 'Planner', parameters: PlannerParameters) -> None:
        """Plan with another model from the next plan on."""
        self._session.set_planner(planner)
        self._say_loaded(planner, parameters)

    def _say_loaded(self, planner: 'Planner', parameters: PlannerParameters) -> None:
        self._report.model_loaded(planner, parameters)
        self.get_logger().info(f'Loaded {parameters.checkpoint}')
