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
The planner node, from configure to shutdown: goals, odometry and a map in, timed plans out.

While configured, it has a model, a ``PlanningSession`` that decides when to plan, an ``Interface``
of topics and services, and Nav2's actions. A worker thread plans, so that odometry and services
never wait for the network. Without a plan that passes the safety gate, the node publishes an empty
trajectory, which means "brake".
"""

from collections.abc import Callable
from functools import wraps
import sys
from typing import TYPE_CHECKING

from rclpy.clock import Clock
from rclpy.clock import ClockType
from rclpy.lifecycle import LifecycleNode
from rclpy.lifecycle import LifecycleState
from rclpy.lifecycle import TransitionCallbackReturn

from df_planner.errors import ConfigError
from df_planner.errors import DFPlannerError
from df_planner.nodes.planner.interface import Interface
from df_planner.nodes.planner.model_swap import check_schedule_file
from df_planner.nodes.planner.model_swap import load_planner
from df_planner.nodes.planner.model_swap import ModelSwap
from df_planner.nodes.planner.nav2_actions import Nav2Actions
from df_planner.nodes.planner.parameters import PlannerParameters
from df_planner.nodes.planner.planning_job import Result
from df_planner.nodes.planner.report import PlannerReport
from df_planner.nodes.planner.session import PlanningSession
from df_planner.ros import topics
from df_planner.ros.clock import PatienceClock
from df_planner.ros.conversions import MapAxes
from df_planner.ros.diagnostics import Complaints
from df_planner.ros.diagnostics import Diagnostics
from df_planner.ros.parameters import declare
from df_planner.ros.parameters import on_change
from df_planner.ros.rclpy_gaps import give_back_memory
from df_planner.ros.rclpy_gaps import on_jump_back
from df_planner.ros.rclpy_gaps import refuse_impossible_transitions
from df_planner.ros.realtime import keep_on_time
from df_planner.ros.run import run_node
from df_planner.ros.wiring import Wiring
from df_planner.ros.worker import Worker

if TYPE_CHECKING:
    from df_planner.planning.planner import Planner

SUCCESS, FAILURE, ERROR = (TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE,
                           TransitionCallbackReturn.ERROR)
WATCH_PERIOD_S = 0.5
Transition = Callable[['PlannerNode', LifecycleState], TransitionCallbackReturn]


def transition(callback: Transition) -> Transition:
    """Decorate a transition callback: rclpy hides its exception, ``on_error`` reports it."""
    @wraps(callback)
    def call(node: 'PlannerNode', state: LifecycleState) -> TransitionCallbackReturn:
        try:
            return callback(node, state)
        except Exception as error:  # whatever it is, on_error takes the node back
            node.transition_error = f'{callback.__name__} failed: {error!r}'
            return ERROR
    return call


class PlannerNode(LifecycleNode):
    """Plan for the goal while active."""

    def __init__(self):
        """Declare the parameters; ``on_configure`` loads the model."""
        super().__init__('planner')
        refuse_impossible_transitions(self)
        self.parameters = declare(self, PlannerParameters)
        on_change(self, PlannerParameters, self._apply_parameters, self._check_change)
        self.transition_error = ''
        diagnostics = Diagnostics(self)
        self._complaints = Complaints(self, diagnostics)
        self._report = PlannerReport(diagnostics, self._complaints)
        diagnostics.add('topics', Wiring(
            self, (topics.ODOM, topics.MAP), self._vital_outputs).status)
        self._interface = Interface(
            self, lambda: self.parameters, self._complaints, self._end_drive)
        self._worker: Worker | None = None
        self._session: PlanningSession | None = None
        self._actions: Nav2Actions | None = None
        self._swap: ModelSwap | None = None
        self._goal_waits = False
        self._patience = PatienceClock(self)
        self.create_timer(WATCH_PERIOD_S, self._watch,
                          clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._jump = on_jump_back(self, self._on_jump_back)

    def start(self) -> None:
        """With autostart, configure and activate; without a model stay unconfigured."""
        if self.parameters.autostart and self.trigger_configure() == SUCCESS:
            self.trigger_activate()

    @transition
    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the model, run it once and open the interface."""
        self._report.model_loading(self.parameters.checkpoint)
        try:
            planner = load_planner(self.parameters)
            axes = MapAxes(planner.card.observation_to_map)
        except DFPlannerError as error:
            self.get_logger().error(f'{error.code}: {error}')
            self._report.model_failed(error)
            return FAILURE
        self._worker = Worker(self)
        self._session = PlanningSession(planner, self._worker, self.parameters, self._finish_plan)
        self._swap = ModelSwap(self, self.parameters, planner.card, self._take_planner,
                               self._report.model_swapping)
        self._interface.configure(self._session, axes)
        self._actions = Nav2Actions(self._interface, self._patience)
        keep_on_time(self, self.parameters.realtime_priority)
        self._report_loaded(planner, self.parameters)
        return super().on_configure(state)

    @transition
    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Accept goals, and resume that of the planner before this one."""
        self._interface.is_active = True
        result = super().on_activate(state)
        if self.parameters.resume_goal:
            self._interface.resume()
        self.get_logger().info('Ready for goals')
        return result

    @transition
    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop planning, let the robot brake, and answer all callers."""
        self._interface.halt()
        self._actions.end_all('the planner was deactivated')
        self._interface.is_active = False
        return super().on_deactivate(state)

    @transition
    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close the interface and free the model."""
        result = super().on_cleanup(state)
        self._free()
        self._report.model_unloaded()
        return result

    @transition
    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Deactivate and clean up, as far as that is due."""
        if self._interface.is_active:
            self.on_deactivate(state)
        return self.on_cleanup(state) if self._session is not None else SUCCESS

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After a transition that failed, free everything and go back to unconfigured."""
        self.get_logger().error(self.transition_error)
        self._free()
        self._interface.is_active = False
        self._report.model_failed(DFPlannerError(self.transition_error))
        return super().on_error(state)

    def _free(self) -> None:
        self.close()
        self._complaints.clear_all()
        give_back_memory()

    def close(self) -> None:
        """Let the robot brake; end threads and action servers: none must outlive the clock."""
        self._interface.last_brake()
        for part in (self._swap, self._worker, self._actions, self._interface):
            if part is not None:
                part.close()
        self._swap = self._worker = self._actions = self._session = None

    # Parameters and the model

    def _check_change(self, parameters: PlannerParameters) -> None:
        """Refuse, with a ConfigError, parameters that cannot change while configured."""
        if self._session is None:
            return
        if parameters.num_threads != self.parameters.num_threads:
            raise ConfigError('parameter num_threads: is read at configure, clean up first')
        self._swap.check(parameters)
        check_schedule_file(parameters, self._session.planner.card)

    def _apply_parameters(self, parameters: PlannerParameters) -> None:
        self.parameters = parameters
        if self._session is not None:
            self._interface.take_parameters()
            self._session.set_parameters(parameters)
            self._swap.want(parameters)

    def _take_planner(self, planner: 'Planner', parameters: PlannerParameters) -> None:
        self._session.set_planner(planner)
        self._report_loaded(planner, parameters)

    def _report_loaded(self, planner: 'Planner', parameters: PlannerParameters) -> None:
        self._report.model_loaded(planner, parameters)
        self.get_logger().info(f'Loaded {parameters.checkpoint}')

    # Plans

    def _finish_plan(self, result: Result) -> None:
        if result.error is not None:
            self._interface.told(result.error)
        if result.start_is_bad:
            self._complaints.add('start', result.error)
            self._actions.take(result)
            return
        self._complaints.clear('start')
        if result.plan is None:
            self._complaints.add('plan', result.error)
        else:
            self._complaints.clear('plan')
        self._interface.publish(result.plan, result.stamp_ns)
        self._actions.take(result)
        parts = self._report.planned(result, 1.0 / self.parameters.planning_frequency_hz,
                                     self._session.latency_steps)
        self._interface.publish_time(result.duration_s, parts)

    def _end_drive(self, reason: str) -> None:
        self._actions.end_drive(reason)

    def _watch(self) -> None:
        if self._session is None:
            return
        missing = self._session.missing_inputs()
        self._patience.now_s(self.parameters.lockstep and not missing)
        if self._patience.fault is not None:
            self.get_logger().warning(self._patience.fault, throttle_duration_sec=5.0)
        self._report.inputs(missing, self._patience.fault, self._session.odom, self._session.goal)
        waited = self._goal_waits
        self._goal_waits = self._session.goal is not None and bool(missing)
        if waited and self._goal_waits:  # not just while nodes find each other
            self.get_logger().warning('The goal waits for ' + ', '.join(missing),
                                      throttle_duration_sec=5.0)
        self._interface.check_odom_frame()

    def _vital_outputs(self) -> tuple[tuple[topics.Topic, ...], ...]:
        """Return what somebody must listen to while there is a goal."""
        has_goal = self._session is not None and self._session.goal is not None
        return ((topics.PLAN_TRAJECTORY, topics.PLAN),) if has_goal else ()

    def _on_jump_back(self) -> None:
        self.get_logger().warning('The clock jumped back: dropping odometry and plan')
        if self._session is not None:
            self._session.restart()
            self._interface.map_frame.forget()


def main(args: list[str] | None = None) -> int:
    """Run the planner until SIGINT or SIGTERM."""
    return run_node(PlannerNode, args)


if __name__ == '__main__':
    sys.exit(main())
