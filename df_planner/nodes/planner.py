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
The planner as a lifecycle node: goals, odometry and a map in, timed plans out.

Only wiring: messages become arrays and back, ``ros/planner_lifecycle.py`` has the transitions, the
parameters and the model, and ``ros/planning_session.py`` decides when to plan. One worker thread
plans, so that odometry and services never wait for the network, and another loads a model that is
to replace the one in use. Without a plan that passes the safety gate, an empty trajectory is
published, which means "brake".
"""

import sys

from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import OccupancyGrid
from nav_msgs.msg import Odometry
from nav_msgs.srv import GetPlan
import numpy as np
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock
from rclpy.clock import ClockType
from rclpy.task import Future
from std_srvs.srv import Trigger

from df_planner.errors import DFPlannerError
from df_planner.errors import InvalidInput
from df_planner.errors import PlanningCancelled
from df_planner.ros.clock_jumps import on_jump_back
from df_planner.ros.conversions import check_frame
from df_planner.ros.conversions import path_from_plan
from df_planner.ros.conversions import position_from_pose
from df_planner.ros.conversions import stamp_to_ns
from df_planner.ros.conversions import state_from_odometry
from df_planner.ros.goal_memory import GoalResumption
from df_planner.ros.inputs import guarded
from df_planner.ros.maps import grid_map_from_message
from df_planner.ros.plan_output import PlanOutput
from df_planner.ros.planner_lifecycle import PlannerLifecycle
from df_planner.ros.qos import LATCHED_QOS
from df_planner.ros.qos import LATEST_QOS
from df_planner.ros.qos import SENSOR_DATA_QOS
from df_planner.ros.replanning import Result
from df_planner.ros.run import run_node
from df_planner.ros.worker import Outcome


class PlannerNode(PlannerLifecycle):
    """Wire a planning session to topics and services (the README has their table)."""

    def __init__(self):
        """Watch the inputs; the rest waits for ``on_configure``."""
        super().__init__()
        self._output: PlanOutput | None = None
        self._inputs, self._own_services = [], []
        self._get_plan_future: Future | None = None
        self._resumption = GoalResumption(self._on_kept_goal, self._complaints)
        self.create_timer(0.5, self._watch, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._jump = on_jump_back(self, self._on_jump_back)

    def begin(self) -> None:
        """Plan for the goal of the planner that ran before, if there is one."""
        if self.parameters.resume_goal:
            self._resumption.start()

    def halt(self) -> None:
        """Forget the goal, let the robot brake, and answer who waits."""
        self._drop_goal()
        self._session.cancel_plan_once('get_plan')
        if self._get_plan_future is not None and not self._get_plan_future.done():
            self._get_plan_future.set_result(
                Outcome(error=PlanningCancelled('the planner was deactivated')))

    def open_interface(self) -> None:
        """Create publishers, subscriptions and services."""
        self._output = PlanOutput(self, self._axes)
        self._inputs = [
            self.create_subscription(kind, topic, guarded(listen, what, self._complaints), quality)
            for kind, topic, what, listen, quality in (
                (PoseStamped, 'goal_pose', 'goal', self._on_goal, LATEST_QOS),
                (PoseStamped, 'resume_goal', 'goal', self._resumption.hear, LATCHED_QOS),
                (Odometry, 'odom', 'odom', self._on_odometry, SENSOR_DATA_QOS),
                (OccupancyGrid, 'map', 'map', self._on_map, LATCHED_QOS))]
        # An `async def` holds its group while it waits for the worker, hence a group of its own.
        group = MutuallyExclusiveCallbackGroup()
        self._own_services = [
            self.create_service(GetPlan, '~/get_plan', self._get_plan, callback_group=group),
            self.create_service(Trigger, '~/clear_goal', self._clear_goal),
            self.create_service(Trigger, '~/replan', self._replan),
        ]

    def close_interface(self) -> None:
        """Destroy them."""
        if self._output is not None:
            self._output.close()
            self._output = None
        while self._inputs:
            self.destroy_subscription(self._inputs.pop())
        while self._own_services:
            self.destroy_service(self._own_services.pop())

    @property
    def _frames(self) -> tuple[str, ...]:
        return self.parameters.global_frame_id, *self.parameters.equivalent_frame_ids

    def _on_jump_back(self) -> None:
        self.get_logger().warning('The clock jumped back: odometry and plan are forgotten')
        if self._session is not None:
            self._session.restart()

    def _watch(self) -> None:
        if self._session is None:
            return
        missing = self._session.missing_inputs()
        self._report.inputs(missing, self._session.odom, self._session.goal)
        if self._session.goal is not None and missing:
            self.get_logger().warning('The goal waits for ' + ', '.join(missing),
                                      throttle_duration_sec=5.0)

    def _on_map(self, msg: OccupancyGrid) -> None:
        self._session.set_map(grid_map_from_message(
            msg, self._axes, self.parameters.global_frame_id, self.parameters.occupied_threshold))

    def _on_goal(self, msg: PoseStamped) -> None:
        if self._active:
            check_frame(msg.header.frame_id, self._frames, 'goal')
            self._set_goal(msg)
        else:
            self.get_logger().warning('Goal ignored: the planner is not active',
                                      throttle_duration_sec=5.0)

    def _set_goal(self, pose: PoseStamped) -> None:
        position = position_from_pose(pose.pose, self._axes, 'goal')
        self._session.set_goal(position, stamp_to_ns(pose.header.stamp))
        self._resumption.stop()
        self._output.publish_goal(position, self.parameters.global_frame_id)

    def _on_kept_goal(self, msg: PoseStamped) -> None:
        check_frame(msg.header.frame_id, (self.parameters.global_frame_id,), 'resume_goal')
        self._set_goal(msg)
        self.get_logger().info('Resuming the goal of the planner before this one')

    def _on_odometry(self, msg: Odometry) -> None:
        self._session.set_odometry(state_from_odometry(msg, self._axes, self._frames),
                                   stamp_to_ns(msg.header.stamp))

    def finish_plan(self, result: Result) -> None:
        """Publish a plan, or that there is none, and take stock."""
        if result.start_is_bad:
            self._complaints.add('start', result.error)
            return
        self._complaints.clear('start')
        if result.plan is None:
            self._complaints.add('plan', result.error)
        else:
            self._complaints.clear('plan')
        self._output.publish(result.plan, result.stamp_ns, self.parameters)
        parts = self._report.planned(result, 1.0 / self.parameters.planning_frequency_hz,
                                     self._session.latency_steps)
        self._output.publish_time(result.duration_s, parts)

    def _drop_goal(self) -> None:
        """Forget the goal, cancel its plan and let the robot brake."""
        self._session.clear_goal()
        self._resumption.stop()
        self._output.publish_goal(None, '')
        self._complaints.clear('plan')
        odom = self._session.odom
        self._output.publish(None, self.get_clock().now().nanoseconds if odom is None else
                             odom.stamp_ns, self.parameters)

    def _clear_goal(self, request: Trigger.Request, response: Trigger.Response):
        response.success = self._active
        response.message = 'the planner is not active'
        if self._active:
            response.message = 'no goal' if self._session.goal is None else 'goal cleared'
            self._drop_goal()
        return response

    def _replan(self, request: Trigger.Request, response: Trigger.Response):
        response.success = self._active and self._session.goal is not None
        response.message = 'planning from the next odometry'
        if not response.success:
            response.message = 'no goal' if self._active else 'the planner is not active'
        self._session.plan_anew()
        return response

    async def _get_plan(self, request: GetPlan.Request, response: GetPlan.Response):
        """Plan once, from rest or (without a start frame) from the odometry; empty on failure."""
        stamp, frame_id = request.start.header.stamp, self.parameters.global_frame_id
        response.plan = path_from_plan(None, self._axes, stamp, frame_id)
        try:
            if not self._active:
                raise PlanningCancelled('get_plan: the planner is not active')
            planner = self._session.planner
            goal = planner.check_goal(self._position(request.goal, 'goal of get_plan'))
            state = planner.check_state(self._start_state(request.start))
            future = self._get_plan_future = Future(executor=self.executor)
            self._session.plan_once(state, goal, future.set_result, 'get_plan')
            outcome = await future
            if outcome.error is not None:
                raise outcome.error
            response.plan = path_from_plan(outcome.value, self._axes, stamp, frame_id)
            self._complaints.clear('get_plan')
        except DFPlannerError as error:
            self._complaints.add('get_plan', error)
        return response

    def _start_state(self, pose: PoseStamped) -> np.ndarray:
        """Return the state (4,) that a start pose stands for."""
        if pose.header.frame_id:
            return np.concatenate([self._position(pose, 'start of get_plan'), np.zeros(2)])
        if self._session.odom is None:
            raise InvalidInput('start of get_plan: no frame_id, which means the odometry, '
                               'and there is none yet')
        return self._session.odom.state

    def _position(self, pose: PoseStamped, what: str) -> np.ndarray:
        check_frame(pose.header.frame_id, self._frames, what)
        return position_from_pose(pose.pose, self._axes, what)


def main(args: list[str] | None = None) -> int:
    """Run the planner until it is told to end."""
    return run_node(PlannerNode, args)


if __name__ == '__main__':
    sys.exit(main())
