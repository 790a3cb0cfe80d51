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
What the planner publishes: the plan, its candidates and its uncertainty, in every form.

The uncertainty of a plan as markers: where the robot will be, by the spread of candidates.

Sampled plans as markers, coloured by how they were judged.

What the planner node publishes: its goal, and of a plan the way, how sure it is, timings.
"""

import math

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Point
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Path
import numpy as np
from rclpy.lifecycle import LifecycleNode
from std_msgs.msg import ColorRGBA
from std_msgs.msg import Float64
from trajectory_msgs.msg import MultiDOFJointTrajectory
from visualization_msgs.msg import Marker
from visualization_msgs.msg import MarkerArray

from df_planner.nodes.planner.parameters import PlannerParameters
from df_planner.planning.plan import Plan
from df_planner.ros import qos
from df_planner.ros.conversions import MapAxes
from df_planner.ros.conversions import ns_to_stamp
from df_planner.ros.conversions import pose_from_position
from df_planner.ros.diagnostics import key_values
from df_planner.ros.robots.messages import RobotMessages
from df_planner.ros.trajectory_cdr import path_bytes
from df_planner.ros.trajectory_cdr import trajectory_bytes

MAX_DISCS = 30
SHARE = 0.95  # of robots that are expected within a disc
# uncertainty**2 is the sum of the variances of both axes of a round Gaussian.
RADIUS_PER_STD = math.sqrt(-math.log(1.0 - SHARE))
THICKNESS_M = 0.005
LEAST_DIAMETER_M = 0.01
COLOUR = ColorRGBA(r=0.95, g=0.6, b=0.1, a=0.25)


def uncertainty_markers(plan: Plan | None, axes: MapAxes, stamp: Time, frame_id: str
                        ) -> MarkerArray:
    """
    Return discs along a plan, at most MAX_DISCS, that hold SHARE of what the model draws.

    The first marker deletes those of the plan before.
    """
    clear = Marker(action=Marker.DELETEALL)
    clear.header.frame_id, clear.header.stamp = frame_id, stamp
    markers = MarkerArray(markers=[clear])
    if plan is None:
        return markers
    rows = np.unique(np.linspace(0, len(plan) - 1, MAX_DISCS).round().astype(int))
    radii_m = RADIUS_PER_STD * plan.uncertainty[rows]
    for index, ((x, y), radius_m) in enumerate(zip(
            axes.to_map(plan.states[rows, :2]).tolist(), radii_m.tolist())):
        marker = Marker(ns='uncertainty', id=index, type=Marker.CYLINDER, action=Marker.ADD,
                        color=COLOUR)
        marker.header.frame_id, marker.header.stamp = frame_id, stamp
        marker.pose.position = Point(x=x, y=y)
        marker.pose.orientation.w = 1.0
        marker.scale.x = marker.scale.y = max(2.0 * radius_m, LEAST_DIAMETER_M)
        marker.scale.z = THICKNESS_M
        markers.markers.append(marker)
    return markers


MAX_CANDIDATES = 16
MAX_POINTS = 40
LINE_WIDTH_M = 0.02
VALID = ColorRGBA(r=0.1, g=0.6, b=0.3, a=0.6)
INVALID = ColorRGBA(r=0.8, g=0.2, b=0.1, a=0.25)


def candidate_markers(plan: Plan | None, axes: MapAxes, stamp: Time, frame_id: str) -> MarkerArray:
    """
    Return the candidates of a plan as lines: green if they passed the checks, else red.

    The first marker deletes those of the plan before. At most MAX_CANDIDATES lines of about
    MAX_POINTS points are kept, the best rewards first, since a message is no place for them all.
    """
    clear = Marker(action=Marker.DELETEALL)
    clear.header.frame_id, clear.header.stamp = frame_id, stamp
    markers = MarkerArray(markers=[clear])
    if plan is None or not plan.candidates:
        return markers
    best_first = np.argsort(-plan.candidate_rewards, kind='stable')[:MAX_CANDIDATES]
    for index in best_first:
        states = plan.candidates[index]
        rows = np.unique(np.linspace(0, len(states) - 1, MAX_POINTS).round().astype(int))
        marker = Marker(ns='candidates', id=int(index), type=Marker.LINE_STRIP, action=Marker.ADD,
                        color=VALID if np.isfinite(plan.candidate_rewards[index]) else INVALID)
        marker.header.frame_id, marker.header.stamp = frame_id, stamp
        marker.pose.orientation.w = 1.0
        marker.scale.x = LINE_WIDTH_M
        marker.points = [Point(x=x, y=y) for x, y in axes.to_map(states[rows, :2]).tolist()]
        markers.markers.append(marker)
    return markers


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
