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

from collections.abc import Sequence
import time
from typing import Any

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import PoseStamped
from rclpy.clock import Clock
from rclpy.clock import ClockType

from df_planner.driving.stamps import seconds_to_ns
from df_planner.errors import DFPlannerError
from df_planner.errors import FrameError
from df_planner.errors import PlanningCancelled
from df_planner.errors import WaitTimeout
from df_planner.nodes.planner.interface import Interface
from df_planner.nodes.planner.navigation import Navigation
from df_planner.nodes.planner.planning_job import Reading
from df_planner.nodes.planner.planning_job import Result
from df_planner.nodes.planner.single_goal import SingleGoalServer
from df_planner.ros import conversions
from df_planner.ros import topics
from df_planner.ros.clock import PatienceClock
from df_planner.ros.rclpy_gaps import optional_type
from df_planner.ros.worker import Outcome

FEEDBACK_PERIOD_S = 0.1


class Nav2Actions:
    """Serve both actions, as far as ``nav2_msgs`` is installed."""

    def __init__(self, interface: Interface, clock: PatienceClock):
        path, navigate = (optional_type(action.kind, interface.node, f'the action {action.name}')
                          for action in (topics.COMPUTE_PATH, topics.NAVIGATE))
        self._path = self._navigate = None
        if path is not None:
            self._path = PathAction(interface, path)
        if navigate is not None:
            follow = optional_type('nav2_msgs/action/FollowPath', interface.node,
                                   'its error codes')
            codes = [kind.Result for kind in (path, follow) if kind is not None]
            self._navigate = NavigateAction(interface, clock, navigate, codes)

    def take(self, result: Result) -> None:
        """Take the result of planning for the goal in hand."""
        if self._navigate is not None:
            self._navigate.take(result)

    def end_drive(self, reason: str) -> None:
        """End a drive by action: its goal was replaced or cleared."""
        if self._navigate is not None:
            self._navigate.end(PlanningCancelled(reason))

    def end_all(self, reason: str) -> None:
        """Abort both actions."""
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

    def __init__(self, interface: Interface, kind: Any):
        self._interface = interface
        self._began_s = 0.0
        self.server = SingleGoalServer(
            interface.node, kind, topics.COMPUTE_PATH.name, lambda: interface.is_active,
            self._begin, self.stop)

    def stop(self) -> None:
        """Drop the work in hand."""
        self._interface.map_frame.cancel('compute_path')
        self._interface.session.cancel_plan_once('compute_path')

    def _begin(self, request: Any) -> None:
        self.stop()
        self._began_s = time.monotonic()
        poses = [(request.goal, 'goal of compute_path_to_pose')]
        if request.use_start:
            poses.append((request.start, 'start of compute_path_to_pose'))
        self._interface.map_frame.resolve('compute_path', poses, self._plan)

    def _plan(self, poses: Outcome) -> None:
        robot, session, what = self._interface.robot, self._interface.session, self.server.name
        try:
            goal, *start = poses.result()
            if not start and session.odom is None:
                raise FrameError(f'{what}: no odometry yet, so no start')
            position = conversions.position_from_pose(goal.pose, robot.axes, what)
            session.plan_once(robot.at_rest(start[0].pose, what) if start else None, position,
                              self._answer, 'compute_path')
        except DFPlannerError as error:
            self.server.abort(error)

    def _answer(self, outcome: Outcome) -> None:
        if outcome.error is not None:
            self.server.abort(self._interface.told(outcome.error))
            return
        interface, result = self._interface, self.server.kind.Result()
        result.path = interface.robot.path(
            outcome.value, interface.node.get_clock().now().to_msg(),
            interface.parameters.global_frame_id)
        result.planning_time = _duration(time.monotonic() - self._began_s)
        self.server.succeed(result)


class NavigateAction:
    """
    ``navigate_to_pose``: drive to a goal; the planner has none when the drive has ended.

    Only after success it may keep the goal (``hold_after_action``).

    :param clock: patience runs out by it.
    :param kind: the action, with Nav2's fields.
    :param codes: further classes with error codes, those of Nav2's servers.
    """

    def __init__(self, interface: Interface, clock: PatienceClock, kind: Any,
                 codes: Sequence[type]):
        self._interface, self._clock = interface, clock
        self._navigation: Navigation | None = None
        self._takes_over = False  # from a drive by action, whose goal the planner still has
        self._error: DFPlannerError | None = None
        self.server = SingleGoalServer(
            interface.node, kind, topics.NAVIGATE.name, lambda: interface.is_active, self._begin,
            self._on_cancel, codes)
        self._timer = interface.node.create_timer(
            FEEDBACK_PERIOD_S, self._watch, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def take(self, result: Result) -> None:
        """Take the result of planning for the goal in hand."""
        self._error = result.error

    def end(self, error: DFPlannerError) -> None:
        """End the drive in hand, if there is one; the planner has another goal, or none."""
        self._interface.map_frame.cancel('navigate')
        self._navigation, self._takes_over = None, False
        self.server.abort(error)

    def close(self) -> None:
        """Destroy server and timer."""
        self.server.close()
        self._interface.node.destroy_timer(self._timer)

    def _begin(self, request: Any) -> None:
        self._takes_over = self._takes_over or self._navigation is not None
        self._navigation = self._error = None
        self._interface.map_frame.resolve(
            'navigate', [(request.pose, 'goal of navigate_to_pose')], self._go)

    def _go(self, poses: Outcome) -> None:
        try:
            self._interface.set_goal(poses.result()[0], by_action=True)
        except DFPlannerError as error:
            if self._takes_over:
                self._takes_over = False
                self._interface.drop_goal()
            self.server.abort(error)
            return
        self._takes_over = False
        self._navigation = Navigation(self._interface.session.goal.position,
                                      self._interface.parameters.goal_tolerance_m, self._now_s)

    def _on_cancel(self) -> None:
        self._navigation, self._takes_over = None, False
        self._interface.map_frame.cancel('navigate')
        self._interface.drop_goal()

    @property
    def _now_s(self) -> float:
        interface = self._interface
        return self._clock.now_s(
            interface.parameters.lockstep and not interface.session.missing_inputs())

    def _watch(self) -> None:
        """Send feedback, and end the action when the drive has ended."""
        navigation, session = self._navigation, self._interface.session
        if navigation is None or not self.server.is_busy:
            return
        odom = session.odom if session.watch.fault is None else None
        missing, error = session.missing_inputs(), self._error
        if (odom is not None and not missing and session.rest.is_reached
                and navigation.is_at_goal(odom.state[:2])):
            self._navigation = None
            if not self._interface.parameters.hold_after_action:
                self._interface.drop_goal()
            self.server.succeed(self.server.kind.Result())
            return
        if missing:
            faults = filter(None, (session.watch.fault, self._clock.fault))
            error = WaitTimeout('; '.join((
                'navigate_to_pose waits for ' + ', '.join(missing), *faults)))
        try:
            navigation.check(self._now_s, None if odom is None else odom.state[:2], error)
        except DFPlannerError as failure:
            self._navigation = None
            self._interface.drop_goal()
            self.server.abort(failure)
            return
        if odom is not None:
            self.server.publish_feedback(self._feedback(navigation, odom))

    def _feedback(self, navigation: Navigation, odom: Reading) -> Any:
        interface, feedback = self._interface, self.server.kind.Feedback()
        progress = navigation.progress(
            self._now_s, odom.state[:2], interface.session.rest_at(odom.stamp_ns))
        feedback.current_pose = PoseStamped(pose=interface.robot.pose(odom.state))
        feedback.current_pose.header.stamp = conversions.ns_to_stamp(odom.stamp_ns)
        feedback.current_pose.header.frame_id = interface.parameters.global_frame_id
        feedback.navigation_time = _duration(max(progress.driven_s, 0.0))
        feedback.estimated_time_remaining = _duration(progress.remaining_s)
        feedback.distance_remaining = progress.remaining_m
        return feedback


def _duration(seconds: float) -> Duration:
    return conversions.ns_to_duration(seconds_to_ns(seconds))
