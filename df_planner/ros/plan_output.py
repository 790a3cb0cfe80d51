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

"""What the planner node publishes: its goal, and of a plan the way, how sure it is, timings."""

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Path
import numpy as np
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import Float64
from trajectory_msgs.msg import MultiDOFJointTrajectory
from visualization_msgs.msg import MarkerArray

from df_planner.planning.plan import Plan
from df_planner.ros import qos
from df_planner.ros.candidates import candidate_markers
from df_planner.ros.conversions import MapAxes
from df_planner.ros.conversions import ns_to_stamp
from df_planner.ros.conversions import pose_from_position
from df_planner.ros.diagnostics import key_values
from df_planner.ros.plan_bytes import path_bytes
from df_planner.ros.plan_bytes import trajectory_bytes
from df_planner.ros.planner_parameters import PlannerParameters
from df_planner.ros.robot_messages import RobotMessages
from df_planner.ros.uncertainty import uncertainty_markers


class PlanOutput:
    """The publishers of a planner that has a model."""

    def __init__(self, node: LifecycleNode, axes: MapAxes):
        """Create them."""
        self._node = node
        self._axes = axes
        self._goal = node.create_lifecycle_publisher(
            PoseStamped, 'active_goal', qos.LATCHED_QOS)
        self._path = node.create_lifecycle_publisher(Path, 'plan', qos.LATCHED_QOS)
        self._trajectory = node.create_lifecycle_publisher(
            MultiDOFJointTrajectory, 'plan_trajectory', qos.PLAN_QOS)
        self._candidates = node.create_lifecycle_publisher(
            MarkerArray, '~/candidates', qos.LATEST_QOS)
        self._uncertainty = node.create_lifecycle_publisher(
            MarkerArray, '~/uncertainty', qos.LATEST_QOS)
        self._time = node.create_lifecycle_publisher(Float64, '~/planning_time', qos.STANDARD_QOS)
        self._time_detail = node.create_lifecycle_publisher(
            DiagnosticStatus, '~/planning_time_detail', qos.STANDARD_QOS)

    def close(self) -> None:
        """Destroy them."""
        for publisher in (self._goal, self._path, self._trajectory, self._candidates,
                          self._uncertainty, self._time, self._time_detail):
            self._node.destroy_lifecycle_publisher(publisher)

    def publish(self, plan: Plan | None, stamp_ns: int, robot: RobotMessages,
                parameters: PlannerParameters) -> None:
        """Publish a plan, None for "brake": first what the robot waits for."""
        stamp, axes, frame_id = ns_to_stamp(stamp_ns), robot.axes, parameters.global_frame_id
        rows = robot.trajectory(plan, stamp, frame_id)
        self._trajectory.publish(trajectory_bytes(rows, parameters.base_frame_id))
        self._path.publish(path_bytes(rows))
        if parameters.publish_candidates and self._candidates.get_subscription_count():
            self._candidates.publish(candidate_markers(plan, axes, stamp, frame_id))
        if parameters.publish_candidates and self._uncertainty.get_subscription_count():
            self._uncertainty.publish(uncertainty_markers(plan, axes, stamp, frame_id))

    def publish_goal(self, position: np.ndarray | None, frame_id: str) -> None:
        """Publish the goal (2,) that is planned for; without one, a pose without a frame."""
        msg = PoseStamped()
        if position is not None:
            msg.header.frame_id = frame_id
            msg.pose = pose_from_position(position, self._axes)
        self._goal.publish(msg)

    def publish_time(self, duration_s: float, parts: dict[str, object]) -> None:
        """Publish how long a plan took, and where the time went."""
        self._time.publish(Float64(data=duration_s))
        self._time_detail.publish(DiagnosticStatus(
            name='planning_time', message=f'{duration_s:.4f} s', values=key_values(parts)))
