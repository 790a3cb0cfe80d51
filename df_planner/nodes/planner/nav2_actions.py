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
Nav2's actions, served by the planner node where ``nav2_msgs`` is installed.

``compute_path_to_pose`` makes the node a drop-in for Nav2's planner server, ``navigate_to_pose``
for its navigator: the planner owns the goal and knows every reason for failure, and the follower
drives. A goal on the topic and one of ``navigate_to_pose`` replace each other.
"""

from collections.abc import Callable
from collections.abc import Sequence
import time
from typing import Any

from geometry_msgs.msg import PoseStamped
from rclpy.clock import Clock
from rclpy.clock import ClockType
from rclpy.node import Node

from df_planner.driving.stamps import NS_PER_S
from df_planner.driving.stamps import seconds_to_ns
from df_planner.errors import DFPlannerError
from df_planner.errors import FrameError
from df_planner.errors import PlanningCancelled
from df_planner.errors import WaitTimeout
from df_planner.nodes.planner.navigation import Navigation
from df_planner.nodes.planner.navigation import Progress
from df_planner.nodes.planner.parameters import PlannerParameters
from df_planner.nodes.planner.session import PlanningSession
from df_planner.nodes.planner.session import Result
from df_planner.nodes.planner.single_goal import SingleGoalServer
from df_planner.nodes.planner.transforms import MapFrame
from df_planner.ros.conversions import ns_to_duration
from df_planner.ros.conversions import ns_to_stamp
from df_planner.ros.conversions import position_from_pose
from df_planner.ros.rclpy_gaps import optional_type
from df_planner.ros.robots.messages import RobotMessages
from df_planner.ros.worker import Outcome

FEEDBACK_PERIOD_S = 0.1


class Nav2Actions:
    """
    Both actions, as far as ``nav2_msgs`` is installed.

    :param accepts: tells whether goals are taken now.
    :param set_goal: gives the planner a goal pose of the map frame; errors of ``check_goal``.
    :param drop_goal: makes the planner forget its goal and lets the robot brake.
    """

    def __init__(self, node: Node, session: PlanningSession, robot: RobotMessages,
                 map_frame: MapFrame, parameters: Callable[[], PlannerParameters],
                 accepts: Callable[[], bool], set_goal: Callable[[PoseStamped], None],
                 drop_goal: Callable[[], None]):
        path, navigate = (optional_type('nav2_msgs.action', name, node, f'the action {topic}')
                          for name, topic in (('ComputePathToPose', 'compute_path_to_pose'),
                                              ('NavigateToPose', 'navigate_to_pose')))
        self._path = self._navigate = None
        if path is not None:
            self._path = PathAction(node, path, session, robot, map_frame, parameters, accepts)
        if navigate is not None:
            follow = optional_type('nav2_msgs.action', 'FollowPath', node, 'its error codes')
            codes = [kind.Result for kind in (path, follow) if kind is not None]
            self._navigate = NavigateAction(node, navigate, session, robot, map_frame, parameters,
                                            accepts, set_goal, drop_goal, codes)

    def take(self, result: Result) -> None:
        """Take what became of planning for the goal in hand."""
        if self._navigate is not None:
            self._navigate.take(result)

    def end_drive(self, reason: str) -> None:
        """End a drive by action: the goal in hand is another's now, or nobody's."""
        if self._navigate is not None:
            self._navigate.end(PlanningCancelled(reason))

    def end_all(self, reason: str) -> None:
        """Abort what is in hand."""
        self.end_drive(reason)
        if self._path is not None:
            self._path.stop()
            self._path.server.abort(PlanningCancelled(reason))

    def close(self) -> None:
        """Destroy the servers."""
        if self._navigate is not None:
            self._navigate.close()
        if self._path is not None:
            self._path.server.close()


class PathAction:
    """
    ``compute_path_to_pose``: one plan, without driving; ``planner_id`` is ignored.

    :param kind: the action, with Nav2's fields.
    """

    def __init__(self, node: Node, kind: Any, session: PlanningSession, robot: RobotMessages,
                 map_frame: MapFrame, parameters: Callable[[], PlannerParameters],
                 accepts: Callable[[], bool]):
        self._node, self._session, self._robot = node, session, robot
        self._map_frame, self._parameters = map_frame, parameters
        self._began_s = 0.0
        self.server = SingleGoalServer(
            node, kind, 'compute_path_to_pose', accepts, self._begin, self.stop)

    def stop(self) -> None:
        """Drop the work in hand."""
        self._map_frame.cancel('compute_path')
        self._session.cancel_plan_once('compute_path')

    def _begin(self, request: Any) -> None:
        self.stop()
        self._began_s = time.monotonic()
        poses = [(request.goal, 'goal of compute_path_to_pose')]
        if request.use_start:
            poses.append((request.start, 'start of compute_path_to_pose'))
        self._map_frame.resolve('compute_path', poses, self._plan)

    def _plan(self, poses: Outcome) -> None:
        try:
            if poses.error is not None:
                raise poses.error
            goal, *start = poses.value
            what, axes = 'compute_path_to_pose', self._robot.axes
            if not start and self._session.odom is None:
                raise FrameError('compute_path_to_pose: no odometry yet, so no start')
            self._session.plan_once(
                self._robot.at_rest(start[0].pose, what) if start else None,
                position_from_pose(goal.pose, axes, what), self._answer, 'compute_path')
        except DFPlannerError as error:
            self.server.abort(error)

    def _answer(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self.server.abort(as_typed(outcome.error))
            return
        result = self.server.kind.Result()
        result.path = self._robot.path(outcome.value, self._node.get_clock().now().to_msg(),
                                       self._parameters().global_frame_id)
        result.planning_time = ns_to_duration(seconds_to_ns(time.monotonic() - self._began_s))
        self.server.succeed(result)


class NavigateAction:
    """
    ``navigate_to_pose``: drive to a goal, and hold there.

    :param kind: the action, with Nav2's fields.
    :param set_goal: gives the planner a goal pose of the map frame; errors of ``check_goal``.
    :param drop_goal: lets the robot brake.
    :param codes: further classes with error codes, those of Nav2's servers.
    """

    def __init__(self, node: Node, kind: Any, session: PlanningSession, robot: RobotMessages,
                 map_frame: MapFrame, parameters: Callable[[], PlannerParameters],
                 accepts: Callable[[], bool], set_goal: Callable[[PoseStamped], None],
                 drop_goal: Callable[[], None], codes: Sequence[type]):
        self._node, self._session, self._robot = node, session, robot
        self._map_frame, self._parameters = map_frame, parameters
        self._set_goal, self._drop_goal = set_goal, drop_goal
        self._navigation: Navigation | None = None
        self._takes_over = False  # from a drive by action, whose goal the planner still has
        self._error: DFPlannerError | None = None
        self.server = SingleGoalServer(
            node, kind, 'navigate_to_pose', accepts, self._begin, self._on_cancel, codes)
        self._timer = node.create_timer(FEEDBACK_PERIOD_S, self._watch,
                                        clock=Clock(clock_type=ClockType.STEADY_TIME))

    def take(self, result: Result) -> None:
        """Take what became of planning for the goal in hand."""
        self._error = result.error

    def end(self, error: DFPlannerError) -> None:
        """End the drive in hand, if there is one: the planner's goal is another's now."""
        self._map_frame.cancel('navigate')
        self._navigation, self._takes_over = None, False
        self.server.abort(error)

    def close(self) -> None:
        """Destroy server and timer."""
        self.server.close()
        self._node.destroy_timer(self._timer)

    def _begin(self, request: Any) -> None:
        self._takes_over = self._takes_over or self._navigation is not None
        self._navigation = self._error = None
        self._map_frame.resolve('navigate', [(request.pose, 'goal of navigate_to_pose')],
                                self._go)

    def _go(self, poses: Outcome) -> None:
        try:
            if poses.error is not None:
                raise poses.error
            self._set_goal(poses.value[0])
        except DFPlannerError as error:
            if self._takes_over:
                self._takes_over = False
                self._drop_goal()
            self.server.abort(error)
            return
        self._takes_over = False
        self._navigation = Navigation(self._session.goal.position,
                                      self._parameters().goal_tolerance_m, self._now_s)

    def _on_cancel(self) -> None:
        self._navigation, self._takes_over = None, False
        self._map_frame.cancel('navigate')
        self._drop_goal()

    @property
    def _now_s(self) -> float:
        return self._node.get_clock().now().nanoseconds / NS_PER_S

    def _watch(self) -> None:
        """Tell how far the drive is, and end it when it has ended."""
        navigation, odom = self._navigation, self._session.odom
        if navigation is None or not self.server.is_busy:
            return
        if odom is not None and navigation.has_arrived(odom.state[:2]):
            self._navigation = None
            self.server.succeed(self.server.kind.Result())
            return
        missing, error = self._session.missing_inputs(), self._error
        if missing:
            error = WaitTimeout('navigate_to_pose waits for ' + ', '.join(missing))
        try:
            navigation.check(self._now_s, None if odom is None else odom.state[:2], error)
        except DFPlannerError as failure:
            self._navigation = None
            self._drop_goal()
            self.server.abort(failure)
            return
        if odom is not None:
            position = odom.state[:2]
            self.server.publish_feedback(navigation_feedback(
                self.server.kind.Feedback(),
                navigation.progress(self._now_s, position, self._session.rest_at(odom.stamp_ns)),
                PoseStamped(pose=self._robot.pose(odom.state)), odom.stamp_ns,
                self._parameters().global_frame_id))


def navigation_feedback(feedback: Any, progress: Progress, pose: PoseStamped, stamp_ns: int,
                        frame_id: str) -> Any:
    """Return a feedback of ``navigate_to_pose`` with its fields filled."""
    pose.header.stamp, pose.header.frame_id = ns_to_stamp(stamp_ns), frame_id
    feedback.current_pose = pose
    feedback.navigation_time = ns_to_duration(seconds_to_ns(max(progress.driven_s, 0.0)))
    feedback.estimated_time_remaining = ns_to_duration(seconds_to_ns(progress.remaining_s))
    feedback.distance_remaining = progress.remaining_m
    return feedback


def as_typed(error: Exception) -> DFPlannerError:
    """Return an error of planning, or wrap one that is a defect or a failing device."""
    return error if isinstance(error, DFPlannerError) else DFPlannerError(repr(error))
