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
The topics and services of the planner node: messages become arrays here, plans become messages.

The interface is configured while the node has a session; its services stay, and answer that the
planner is not active. A thread reads maps; poses of other frames wait for their transform.
"""

from collections.abc import Callable
from functools import partial

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
from nav_msgs.srv import GetPlan
import numpy as np
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleNode
from rclpy.lifecycle import LifecyclePublisher
from rclpy.task import Future
from std_msgs.msg import Float64
from std_srvs.srv import Trigger

from df_planner.errors import DFPlannerError
from df_planner.errors import PlanningCancelled
from df_planner.nodes.planner.markers import candidate_markers
from df_planner.nodes.planner.markers import uncertainty_markers
from df_planner.nodes.planner.parameters import PlannerParameters
from df_planner.nodes.planner.session import PlanningSession
from df_planner.nodes.planner.transforms import MapFrame
from df_planner.nodes.planner.transforms import tf_buffer
from df_planner.planning.plan import Plan
from df_planner.ros import conversions
from df_planner.ros import qos
from df_planner.ros import topics
from df_planner.ros.clock import simulated_s
from df_planner.ros.conversions import MapAxes
from df_planner.ros.diagnostics import Complaints
from df_planner.ros.diagnostics import guarded
from df_planner.ros.diagnostics import key_values
from df_planner.ros.maps import LocalMapReader
from df_planner.ros.maps import MapReader
from df_planner.ros.robots.kinds import robot_messages
from df_planner.ros.robots.messages import RobotMessages
from df_planner.ros.trajectory_cdr import path_bytes
from df_planner.ros.trajectory_cdr import trajectory_bytes
from df_planner.ros.worker import Outcome
from df_planner.ros.worker import Worker

LAST_BRAKE_TIMEOUT = Duration(seconds=0.5)


class Interface:
    """
    Wire a planning session to topics and services.

    :param parameters: returns those of the node.
    :param end_drive: ends a drive of ``navigate_to_pose``, with the reason.
    :ivar is_active: whether goals are accepted.
    :ivar session: None while closed.
    """

    def __init__(self, node: LifecycleNode, parameters: Callable[[], PlannerParameters],
                 complaints: Complaints, end_drive: Callable[[str], None]):
        self.node = node
        self.is_active = False
        self.session: PlanningSession | None = None
        self.robot: RobotMessages
        self.map_frame: MapFrame
        self._kept_goal: PoseStamped | None = None
        self._is_resuming = False
        self._parameters, self._complaints, self._end_drive = parameters, complaints, end_drive
        self._odom_frame = ''
        self._closing: list[Callable[[], object]] = []
        self._services: list = []
        self._get_plan_future: Future | None = None

    @property
    def parameters(self) -> PlannerParameters:
        """Return the parameters of the node."""
        return self._parameters()

    # Open and close

    def configure(self, session: PlanningSession, axes: MapAxes) -> None:
        """Create publishers and subscriptions, and the services once for all."""
        node, complaints, closing = self.node, self._complaints, self._closing
        self.session, self._axes = session, axes
        self.take_parameters()
        self._goal = self._publisher(topics.ACTIVE_GOAL)
        self._path = self._publisher(topics.PLAN)
        self._trajectory = self._publisher(topics.PLAN_TRAJECTORY)
        self._candidates = self._publisher(topics.CANDIDATES)
        self._uncertainty = self._publisher(topics.UNCERTAINTY)
        self._time = self._publisher(topics.PLANNING_TIME)
        self._time_detail = self._publisher(topics.PLANNING_TIME_DETAIL)
        self.map_frame = MapFrame(node, self._frames, tf_buffer(node))
        closing.append(self.map_frame.close)
        map_worker = Worker(node)
        closing.append(map_worker.close)
        closing.append(MapReader(
            node, axes, self._parameters, session.set_map, complaints, map_worker).close)
        closing.append(LocalMapReader(
            node, axes, self._parameters, self._frames, session.set_local_map, complaints,
            map_worker).close)
        for topic, callback in (  # goals last: who finds the planner has been found by its inputs
                (topics.RESUME_GOAL, guarded(self._on_kept_goal, 'goal', complaints)),
                (topics.ODOM, guarded(self._on_odometry, 'odom', complaints)),
                (topics.GOAL_POSE, self._on_goal)):
            closing.append(partial(
                node.destroy_subscription, qos.subscription(node, topic, callback)))
        if not self._services:
            # An `async def` holds its group while it waits for the worker: it needs its own group.
            group = MutuallyExclusiveCallbackGroup()
            self._services = [
                qos.service(node, topics.GET_PLAN, self._get_plan, callback_group=group),
                qos.service(node, topics.CLEAR_GOAL, self._clear_goal),
                qos.service(node, topics.REPLAN, self._replan)]

    def close(self) -> None:
        """Destroy what ``configure`` created as far as it got, except the services."""
        self._dismiss()
        while self._closing:
            self._closing.pop()()
        self.session = None

    def halt(self) -> None:
        """Drop the goal, let the robot brake, and answer callers that wait for a plan."""
        self.drop_goal()
        self.map_frame.cancel('get_plan')
        self.session.cancel_plan_once('get_plan')
        self._dismiss()

    def take_parameters(self) -> None:
        """Convert messages by the present parameters."""
        p = self.parameters
        self.robot = robot_messages(p.robot, self._axes, p.max_force_n, p.mass_kg)

    def _publisher(self, topic: topics.Topic) -> LifecyclePublisher:
        publisher = qos.lifecycle_publisher(self.node, topic)
        self._closing.append(partial(self.node.destroy_lifecycle_publisher, publisher))
        return publisher

    def _frames(self) -> tuple[str, ...]:
        p = self.parameters
        return p.global_frame_id, *p.equivalent_frame_ids

    # Inputs

    def _on_odometry(self, msg: Odometry) -> None:
        state = self.robot.state(msg, self._frames())
        self._odom_frame = msg.header.frame_id
        self.session.set_odometry(state, conversions.stamp_to_ns(msg.header.stamp),
                                  simulated_s(self.node.get_clock()))

    def check_odom_frame(self) -> None:
        """Complain if tf2 says that the frame of the odometry is not equal to the map."""
        if self._odom_frame:
            guarded(self.map_frame.check_same, 'frames', self._complaints)(self._odom_frame)

    def _on_goal(self, msg: PoseStamped) -> None:
        if not self.is_active:
            self.node.get_logger().warning('Goal ignored: the planner is not active',
                                           throttle_duration_sec=5.0)
            return

        def take(poses: Outcome) -> None:
            self.set_goal(poses.result()[0])
            self._end_drive('replaced by a goal on goal_pose')
        self.map_frame.resolve('goal', [(msg, 'goal')], guarded(take, 'goal', self._complaints))

    def resume(self) -> None:
        """
        Plan for the goal of the planner before this one, now or when it arrives.

        ``active_goal`` is latched; an empty ``frame_id`` means none. The follower repeats it on
        ``resume_goal``, so that the goal outlives a planner that was killed. Neither a cleared
        goal is resumed, nor one dropped by deactivating, nor that of an action, which has ended
        with its server: it has a stamp.
        """
        self._is_resuming = True
        if self._kept_goal is not None:
            guarded(self._on_kept_goal, 'goal', self._complaints)(self._kept_goal)

    def _on_kept_goal(self, msg: PoseStamped) -> None:
        by_action = conversions.stamp_to_ns(msg.header.stamp) > 0
        self._kept_goal = msg if msg.header.frame_id and not by_action else None
        if self._is_resuming and self._kept_goal is not None:
            self._is_resuming = False
            frames = (self.parameters.global_frame_id,)
            conversions.check_frame(msg.header.frame_id, frames, 'resume_goal')
            self.set_goal(msg)
            self.node.get_logger().info('Resuming the goal of the planner before this one')

    def set_goal(self, pose: PoseStamped, by_action: bool = False) -> None:
        """Plan for a goal pose of the map frame; errors of ``Planner.check_goal``."""
        position = conversions.position_from_pose(pose.pose, self._axes, 'goal')
        try:
            self.session.set_goal(position, conversions.stamp_to_ns(pose.header.stamp))
        except DFPlannerError as error:
            raise self.told(error)
        self._is_resuming = False
        stamp_ns = max(self.node.get_clock().now().nanoseconds, 1) if by_action else 0
        self._publish_goal(position, self.parameters.global_frame_id, stamp_ns)

    def drop_goal(self) -> None:
        """Forget the goal, cancel its plan and let the robot brake."""
        self.session.clear_goal()
        self._is_resuming, self._kept_goal = False, None  # the follower may repeat it late
        self._publish_goal(None, '')
        for what in ('goal', 'start', 'plan'):
            self._complaints.clear(what)
        self._brake()

    def last_brake(self) -> None:
        """Let the robot brake before the node ends; the goal is kept for the next planner."""
        if self.is_active:
            self._brake()
            self._trajectory.wait_for_all_acked(LAST_BRAKE_TIMEOUT)

    def _brake(self) -> None:
        odom = self.session.odom
        self.publish(None, self.node.get_clock().now().nanoseconds if odom is None
                     else odom.stamp_ns)

    # Outputs

    def publish(self, plan: Plan | None, stamp_ns: int) -> None:
        """Publish a plan, None for "brake"; the follower waits for the trajectory: it is first."""
        p, stamp, axes = self.parameters, conversions.ns_to_stamp(stamp_ns), self._axes
        rows = self.robot.trajectory(plan, stamp, p.global_frame_id)
        self._trajectory.publish(trajectory_bytes(rows, p.base_frame_id))
        self._path.publish(path_bytes(rows))
        if p.publish_candidates and self._candidates.get_subscription_count():
            self._candidates.publish(candidate_markers(plan, axes, stamp, p.global_frame_id))
        if p.publish_candidates and self._uncertainty.get_subscription_count():
            self._uncertainty.publish(uncertainty_markers(plan, axes, stamp, p.global_frame_id))

    def publish_time(self, duration_s: float, parts: dict[str, float]) -> None:
        """Publish how long a plan took, and the parts of that time."""
        self._time.publish(Float64(data=duration_s))
        self._time_detail.publish(DiagnosticStatus(
            name='planning_time', message=f'{duration_s:.4f} s', values=key_values(parts)))

    def _publish_goal(self, position: np.ndarray | None, frame_id: str, stamp_ns: int = 0) -> None:
        """Publish the goal (2,); None as a pose without a frame."""
        msg = PoseStamped()
        msg.header.stamp = conversions.ns_to_stamp(stamp_ns)
        if position is not None:
            msg.header.frame_id = frame_id
            msg.pose = conversions.pose_from_position(position, self._axes)
        self._goal.publish(msg)

    def told(self, error: Exception) -> DFPlannerError:
        """
        Return an error of the session as users get it: with positions in the axes of the map.

        One that is not typed (a defect, a failing device) is wrapped.
        """
        typed = error if isinstance(error, DFPlannerError) else DFPlannerError(repr(error))
        return typed.told_in(self._axes.to_map)

    # Services

    def _clear_goal(self, request: Trigger.Request, response: Trigger.Response):
        response.success = self.is_active
        response.message = 'the planner is not active'
        if self.is_active:
            response.message = 'no goal' if self.session.goal is None else 'goal cleared'
            self.drop_goal()
            self._end_drive('the goal was cleared')
        return response

    def _replan(self, request: Trigger.Request, response: Trigger.Response):
        response.success = self.is_active and self.session.goal is not None
        response.message = 'planning from the next odometry'
        if response.success:
            self.session.replan()
        else:
            response.message = 'no goal' if self.is_active else 'the planner is not active'
        return response

    async def _get_plan(self, request: GetPlan.Request, response: GetPlan.Response):
        """Plan once, from rest or (without a start frame) from the odometry; empty on failure."""
        stamp, frame_id = request.start.header.stamp, self.parameters.global_frame_id
        response.plan = self.robot.path(None, stamp, frame_id)
        try:
            if not self.is_active:
                raise PlanningCancelled('get_plan: the planner is not active')
            poses = [(request.goal, 'goal of get_plan')]
            if request.start.header.frame_id:
                poses.append((request.start, 'start of get_plan'))
            poses = await self._outcome(partial(self.map_frame.resolve, 'get_plan', poses))
            goal = conversions.position_from_pose(poses[0].pose, self._axes, 'get_plan')
            start = self.robot.at_rest(poses[1].pose, 'get_plan') if len(poses) > 1 else None
            plan = await self._outcome(
                lambda done: self.session.plan_once(start, goal, done, 'get_plan'))
            response.plan = self.robot.path(plan, stamp, frame_id)
            self._complaints.clear('get_plan')
        except DFPlannerError as error:
            self._complaints.add('get_plan', error)
        return response

    async def _outcome(self, begin: Callable[[Callable[[Outcome], None]], None]):
        """Begin a job and return its value, or raise its error."""
        future = self._get_plan_future = Future(executor=self.node.executor)
        begin(future.set_result)
        outcome = await future
        if outcome.error is not None:
            raise self.told(outcome.error)
        return outcome.value

    def _dismiss(self) -> None:
        """Answer a caller of ``get_plan`` whose plan will not come."""
        if self._get_plan_future is not None and not self._get_plan_future.done():
            self._get_plan_future.set_result(
                Outcome(error=PlanningCancelled('the planner was deactivated')))
