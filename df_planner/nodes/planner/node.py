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

Only wiring: messages become arrays and back, ``lifecycle.py`` has the transitions, the
parameters and the model, and ``session.py`` decides when to plan. One worker thread
plans, so that odometry and services never wait for the network; others read a map and load a model
that is to replace the one in use. Without a plan that passes the safety gate, an empty trajectory
is published, which means "brake".
"""

from collections.abc import Callable
from functools import partial
import sys

from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import OccupancyGrid
from nav_msgs.msg import Odometry
from nav_msgs.srv import GetPlan
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock
from rclpy.clock import ClockType
from rclpy.task import Future
from std_srvs.srv import Trigger

from df_planner.errors import DFPlannerError
from df_planner.errors import PlanningCancelled
from df_planner.nodes.planner.lifecycle import PlannerLifecycle
from df_planner.nodes.planner.nav2_actions import as_typed
from df_planner.nodes.planner.nav2_actions import Nav2Actions
from df_planner.nodes.planner.output import PlanOutput
from df_planner.nodes.planner.planning_job import Result
from df_planner.nodes.planner.transforms import MapFrame
from df_planner.nodes.planner.transforms import tf_buffer
from df_planner.ros.conversions import check_frame
from df_planner.ros.conversions import position_from_pose
from df_planner.ros.conversions import stamp_to_ns
from df_planner.ros.diagnostics import guarded
from df_planner.ros.goal_memory import GoalResumption
from df_planner.ros.maps import grid_map_from_message
from df_planner.ros.qos import LATCHED_QOS
from df_planner.ros.qos import LATEST_QOS
from df_planner.ros.qos import SENSOR_DATA_QOS
from df_planner.ros.rclpy_gaps import on_jump_back
from df_planner.ros.run import run_node
from df_planner.ros.worker import Outcome
from df_planner.ros.worker import Worker


class PlannerNode(PlannerLifecycle):
    """Wire a planning session to topics and services (the README has their table)."""

    def __init__(self):
        """Watch the inputs; the rest waits for ``on_configure``."""
        super().__init__()
        self._output: PlanOutput | None = None
        self._actions: Nav2Actions | None = None
        self._map_frame: MapFrame | None = None
        self._map_reader: Worker | None = None
        self._odom_frame = ''
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
        self._actions.end_all('the planner was deactivated')
        self._map_frame.cancel('get_plan')
        self._session.cancel_plan_once('get_plan')
        self._dismiss()

    def close(self) -> None:
        """End the threads, and the action servers, which must not outlive the node's clock."""
        super().close()
        if self._map_reader is not None:
            self._map_reader.close()
            self._map_reader = None
        if self._actions is not None:
            self._actions.close()
            self._actions = None

    def open_interface(self) -> None:
        """Create publishers and subscriptions, and once for all the services."""
        self._output = PlanOutput(self, self._axes)
        self._map_reader = Worker(self)
        self._map_frame = MapFrame(self, lambda: self._frames, tf_buffer(self))
        self._actions = Nav2Actions(
            self, self._session, self._robot, self._map_frame, lambda: self.parameters,
            lambda: self._active, self._set_goal, self._drop_goal)
        self._inputs = [
            self.create_subscription(kind, topic, guarded(listen, what, self._complaints), quality)
            for kind, topic, what, listen, quality in (
                (PoseStamped, 'resume_goal', 'goal', self._resumption.hear, LATCHED_QOS),
                (Odometry, 'odom', 'odom', self._on_odometry, SENSOR_DATA_QOS))]
        self._inputs += [
            self.create_subscription(OccupancyGrid, 'map', self._on_map, LATCHED_QOS),
            self.create_subscription(PoseStamped, 'goal_pose', self._on_goal, LATEST_QOS)]
        if self._own_services:
            return
        # An `async def` holds its group while it waits for the worker, hence a group of its own.
        group = MutuallyExclusiveCallbackGroup()
        self._own_services = [
            self.create_service(GetPlan, '~/get_plan', self._get_plan, callback_group=group),
            self.create_service(Trigger, '~/clear_goal', self._clear_goal),
            self.create_service(Trigger, '~/replan', self._replan),
        ]

    def close_interface(self) -> None:
        """Destroy them, but for the services: who waits for a plan still gets an answer."""
        self._dismiss()
        for part in (self._output, self._actions, self._map_frame):
            if part is not None:
                part.close()
        self._output = self._actions = self._map_frame = None
        while self._inputs:
            self.destroy_subscription(self._inputs.pop())

    def _dismiss(self) -> None:
        """Answer who waits for a plan that will not come."""
        if self._get_plan_future is not None and not self._get_plan_future.done():
            self._get_plan_future.set_result(
                Outcome(error=PlanningCancelled('the planner was deactivated')))

    @property
    def _frames(self) -> tuple[str, ...]:
        return self.parameters.global_frame_id, *self.parameters.equivalent_frame_ids

    def _on_jump_back(self) -> None:
        self.get_logger().warning('The clock jumped back: odometry and plan are forgotten')
        if self._session is not None:
            self._session.restart()
        if self._map_frame is not None:
            self._map_frame.forget()

    def _watch(self) -> None:
        if self._session is None:
            return
        missing = self._session.missing_inputs()
        self._report.inputs(missing, self._session.odom, self._session.goal)
        if self._session.goal is not None and missing:
            self.get_logger().warning('The goal waits for ' + ', '.join(missing),
                                      throttle_duration_sec=5.0)
        if self._odom_frame:
            guarded(self._map_frame.check_same, 'frames', self._complaints)(self._odom_frame)

    def _on_map(self, msg: OccupancyGrid) -> None:
        p = self.parameters
        read = partial(grid_map_from_message, msg, self._axes, p.global_frame_id,
                       p.occupied_threshold)

        def take(grid: Outcome) -> None:
            self._session.set_map(grid.result())
        self._map_reader.submit('map', lambda should_stop: read(),
                                guarded(take, 'map', self._complaints))

    def _on_goal(self, msg: PoseStamped) -> None:
        if not self._active:
            self.get_logger().warning('Goal ignored: the planner is not active',
                                      throttle_duration_sec=5.0)
            return

        def take(poses: Outcome) -> None:
            self._set_goal(poses.result()[0])
            self._actions.end_drive('replaced by a goal on goal_pose')
        self._map_frame.resolve('goal', [(msg, 'goal')], guarded(take, 'goal', self._complaints))

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
        state = self._robot.state(msg, self._frames)
        self._odom_frame = msg.header.frame_id
        self._session.set_odometry(state, stamp_to_ns(msg.header.stamp))

    def finish_plan(self, result: Result) -> None:
        """Publish a plan, or that there is none, and take stock."""
        if result.start_is_bad:
            self._complaints.add('start', result.error)
            self._actions.take(result)
            return
        self._complaints.clear('start')
        if result.plan is None:
            self._complaints.add('plan', result.error)
        else:
            self._complaints.clear('plan')
        self._output.publish(result.plan, result.stamp_ns, self._robot, self.parameters)
        self._actions.take(result)
        parts = self._report.planned(result, 1.0 / self.parameters.planning_frequency_hz,
                                     self._session.latency_steps)
        self._output.publish_time(result.duration_s, parts)

    def _drop_goal(self) -> None:
        """Forget the goal, cancel its plan and let the robot brake."""
        self._session.clear_goal()
        self._resumption.forget()
        self._output.publish_goal(None, '')
        for what in ('goal', 'plan'):
            self._complaints.clear(what)
        odom = self._session.odom
        self._output.publish(None, self.get_clock().now().nanoseconds if odom is None else
                             odom.stamp_ns, self._robot, self.parameters)

    def _clear_goal(self, request: Trigger.Request, response: Trigger.Response):
        response.success = self._active
        response.message = 'the planner is not active'
        if self._active:
            response.message = 'no goal' if self._session.goal is None else 'goal cleared'
            self._drop_goal()
            self._actions.end_drive('the goal was cleared')
        return response

    def _replan(self, request: Trigger.Request, response: Trigger.Response):
        response.success = self._active and self._session.goal is not None
        response.message = 'planning from the next odometry'
        if response.success:
            self._session.plan_anew()
        else:
            response.message = 'no goal' if self._active else 'the planner is not active'
        return response

    async def _get_plan(self, request: GetPlan.Request, response: GetPlan.Response):
        """Plan once, from rest or (without a start frame) from the odometry; empty on failure."""
        stamp, frame_id = request.start.header.stamp, self.parameters.global_frame_id
        response.plan = self._robot.path(None, stamp, frame_id)
        try:
            if not self._active:
                raise PlanningCancelled('get_plan: the planner is not active')
            poses = [(request.goal, 'goal of get_plan')]
            if request.start.header.frame_id:
                poses.append((request.start, 'start of get_plan'))
            poses = await self._outcome(partial(self._map_frame.resolve, 'get_plan', poses))
            goal = position_from_pose(poses[0].pose, self._axes, 'get_plan')
            start = self._robot.at_rest(poses[1].pose, 'get_plan') if len(poses) > 1 else None
            plan = await self._outcome(
                lambda done: self._session.plan_once(start, goal, done, 'get_plan'))
            response.plan = self._robot.path(plan, stamp, frame_id)
            self._complaints.clear('get_plan')
        except DFPlannerError as error:
            self._complaints.add('get_plan', error)
        return response

    async def _outcome(self, begin: Callable[[Callable[[Outcome], None]], None]):
        """Begin something and return its value, or raise why there is none."""
        future = self._get_plan_future = Future(executor=self.executor)
        begin(future.set_result)
        outcome = await future
        if outcome.error is not None:
            raise as_typed(outcome.error)
        return outcome.value


def main(args: list[str] | None = None) -> int:
    """Run the planner until it is told to end."""
    return run_node(PlannerNode, args)


if __name__ == '__main__':
    sys.exit(main())
