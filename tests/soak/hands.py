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
How the soak test reaches into the graph: messages, services, parameters, transitions.

What it forges on topics that have a true source carries a mark where no node looks, so that the
observer can tell it from the truth. Publishers of latched topics live only for one message: a late
joiner must not get a forged map or plan.
"""

from array import array
from dataclasses import replace
import time
from typing import Any

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import PoseStamped
from geometry_msgs.msg import PoseWithCovarianceStamped
from geometry_msgs.msg import Transform
from geometry_msgs.msg import Twist
from geometry_msgs.msg import WrenchStamped
from lifecycle_msgs.msg import State
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from lifecycle_msgs.srv import GetState
from nav_msgs.msg import OccupancyGrid
from nav_msgs.msg import Odometry
from nav_msgs.srv import GetMap
from rcl_interfaces.msg import Parameter
from rcl_interfaces.srv import SetParameters
import rclpy
from rclpy.duration import Duration as Span
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.publisher import Publisher
from trajectory_msgs.msg import MultiDOFJointTrajectory
from trajectory_msgs.msg import MultiDOFJointTrajectoryPoint

from df_planner.ros import qos
from df_planner.ros import topics
from df_planner.ros.conversions import ns_to_stamp
from df_planner.ros.conversions import stamp_to_ns
from df_planner.ros.rclpy_gaps import read_parameters

MARK = -1.0  # of forged odometry, in the first entry of its covariance, which no node reads
TICK_NS = 10_000_000
FORGED = {topic.name: topic for topic in (
    topics.GOAL_POSE, topics.ODOM, topics.MAP, topics.PLAN_TRAJECTORY, topics.CMD_WRENCH,
    topics.INITIAL_POSE, topics.SET_STATE, topics.CLOCK)}


def is_forged(msg: Odometry | WrenchStamped) -> bool:
    """Tell whether odometry or a command comes from the soak test."""
    if isinstance(msg, WrenchStamped):
        return msg.wrench.torque.z == MARK
    return msg.pose.covariance[0] == MARK


class Hands:
    """
    Publish, call, and know where the robot is and where it has to go.

    :param context: of rclpy, initialised.
    """

    def __init__(self, context: rclpy.Context):
        """Open the publishers; ``map_true`` is fetched by ``learn_map``."""
        self.node = Node('soak', context=context, enable_rosout=False)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)
        self._publishers = {
            name: self._publisher(name) for name, topic in FORGED.items()
            if not topic.quality.latched}
        self._clients: dict[str, Any] = {}
        qos.subscription(self.node, topics.ODOM, self._on_odometry)
        qos.subscription(self.node, topics.PLAN_TRAJECTORY, self._on_trajectory,
                         quality=topics.LATEST, raw=True)
        qos.subscription(self.node, topics.RESUME_GOAL, self._on_kept_goal)
        self.odom: Odometry | None = None
        self.kept_goal_xy: tuple[float, float] | None = None  # by the follower, for the planner
        self.goal_xy: tuple[float, float] | None = None
        self.map_true: OccupancyGrid | None = None
        self.planned_at_s = 0.0  # when the last plan that is not empty was heard

    def spin(self, duration_s: float) -> None:
        """Serve messages for some time."""
        end_s = time.monotonic() + duration_s
        while (left_s := end_s - time.monotonic()) > 0.0:
            self._executor.spin_once(timeout_sec=left_s)

    def close(self) -> None:
        """Destroy the node."""
        self._executor.shutdown()
        self.node.destroy_node()

    @property
    def xy(self) -> tuple[float, float]:
        """Return where the robot is in the map."""
        assert self.odom is not None
        return self.odom.pose.pose.position.x, self.odom.pose.pose.position.y

    @property
    def now_ns(self) -> int:
        """Return the time of the newest true odometry."""
        return 0 if self.odom is None else stamp_to_ns(self.odom.header.stamp)

    # Topics

    def send(self, topic: str, msg: Any, times: int = 1) -> None:
        """Publish a message, a latched one by a publisher that is gone afterwards."""
        if not FORGED[topic].quality.latched:
            for _ in range(times):
                self._publishers[topic].publish(msg)
            return
        publisher = self._publisher(topic)
        self._wait_for_subscribers(publisher, topic)
        publisher.publish(msg)
        publisher.wait_for_all_acked(Span(seconds=2))
        self.node.destroy_publisher(publisher)

    def goal(self, xy: tuple[float, float], frame_id: str = 'map', stamp_ns: int | None = None,
             w: float = 1.0) -> PoseStamped:
        """Return a goal, by default stamped now."""
        msg = PoseStamped()
        msg.header.frame_id = frame_id
        msg.header.stamp = ns_to_stamp(self.now_ns if stamp_ns is None else stamp_ns)
        msg.pose.position.x, msg.pose.position.y = xy
        msg.pose.orientation.w = w
        return msg

    def odometry(self, ahead_ns: int = 0) -> Odometry:
        """Return a marked copy of the newest true odometry, stamped so far ahead of it."""
        assert self.odom is not None
        msg = Odometry(child_frame_id=self.odom.child_frame_id)
        msg.header.frame_id = self.odom.header.frame_id
        msg.header.stamp = ns_to_stamp(max(self.now_ns + ahead_ns, 0))
        msg.pose.pose.position.x, msg.pose.pose.position.y = self.xy
        msg.pose.pose.orientation.w = 1.0
        msg.twist.twist.linear.x = self.odom.twist.twist.linear.x
        msg.twist.twist.linear.y = self.odom.twist.twist.linear.y
        msg.pose.covariance[0] = MARK
        return msg

    def occupancy_grid(self) -> OccupancyGrid:
        """Return a copy of the true map."""
        true = self.map_true
        assert true is not None
        msg = OccupancyGrid()
        msg.header.frame_id, msg.header.stamp = true.header.frame_id, ns_to_stamp(self.now_ns)
        msg.info.resolution = true.info.resolution
        msg.info.width, msg.info.height = true.info.width, true.info.height
        msg.info.origin.position.x = true.info.origin.position.x
        msg.info.origin.position.y = true.info.origin.position.y
        msg.info.origin.orientation.w = 1.0
        msg.data = array('b', true.data)
        return msg

    def trajectory(self, points: int = 20, ahead_ns: int = 0) -> MultiDOFJointTrajectory:
        """Return a trajectory that stays where the robot is."""
        msg = MultiDOFJointTrajectory(joint_names=['base_link'])
        msg.header.frame_id = 'map'
        msg.header.stamp = ns_to_stamp(max(self.now_ns + ahead_ns, 0))
        for index in range(points):
            transform = Transform()
            transform.translation.x, transform.translation.y = self.xy
            msg.points.append(MultiDOFJointTrajectoryPoint(
                transforms=[transform], velocities=[Twist()], accelerations=[Twist()],
                time_from_start=Duration(nanosec=index * TICK_NS)))
        return msg

    def wrench(self, force: tuple[float, float], frame_id: str = 'map',
               ahead_ns: int = 0) -> WrenchStamped:
        """Return a marked command."""
        msg = WrenchStamped()
        msg.header.frame_id = frame_id
        msg.header.stamp = ns_to_stamp(max(self.now_ns + ahead_ns, 0))
        msg.wrench.force.x, msg.wrench.force.y = force
        msg.wrench.torque.z = MARK
        return msg

    def initial_pose(self, xy: tuple[float, float],
                     frame_id: str = 'map') -> PoseWithCovarianceStamped:
        """Return a pose to teleport to."""
        msg = PoseWithCovarianceStamped()
        msg.header.frame_id = frame_id
        msg.pose.pose.position.x, msg.pose.pose.position.y = xy
        msg.pose.pose.orientation.w = 1.0
        return msg

    # Services

    def call(self, service_type: Any, name: str, request: Any = None, attempts: int = 3,
             patience_s: float = 10.0, wait_s: float = 5.0) -> Any:
        """Return the response of a service, None if it is not there or does not answer."""
        client = self._clients.get(name)
        if client is None:
            client = self._clients[name] = self.node.create_client(service_type, name)
        end_s = time.monotonic() + wait_s
        while not client.service_is_ready() and time.monotonic() < end_s:
            self.spin(0.05)
        for _ in range(attempts if client.service_is_ready() else 0):
            future = client.call_async(request or service_type.Request())
            end_s = time.monotonic() + patience_s
            while not future.done() and time.monotonic() < end_s:
                self.spin(0.01)
            if future.done():
                return future.result()
            client.remove_pending_request(future)
        return None

    def change_state(self, transition: int) -> bool | None:
        """Ask the planner for a transition; None without an answer."""
        request = ChangeState.Request()
        request.transition.id = transition
        response = self.call(ChangeState, 'planner/change_state', request, patience_s=30.0)
        return None if response is None else response.success

    def planner_state(self) -> int:
        """Return the planner's lifecycle state, 0 without an answer."""
        answer = self.call(GetState, 'planner/get_state', attempts=1, patience_s=2.0, wait_s=0.0)
        return State.PRIMARY_STATE_UNKNOWN if answer is None else answer.current_state.id

    def make_active(self) -> None:
        """Bring the planner up from whatever state it is in."""
        if self.planner_state() == State.PRIMARY_STATE_UNCONFIGURED:
            self.change_state(Transition.TRANSITION_CONFIGURE)
        if self.planner_state() == State.PRIMARY_STATE_INACTIVE:
            self.change_state(Transition.TRANSITION_ACTIVATE)

    def set_parameter(self, node: str, name: str, value: Any) -> tuple[bool, str] | None:
        """Ask a node to change a parameter; (accepted, reason), or None without an answer."""
        parameter = Parameter(name=name, value=rclpy.Parameter(name, value=value)
                              .to_parameter_msg().value)
        response = self.call(SetParameters, f'{node}/set_parameters',
                             SetParameters.Request(parameters=[parameter]))
        return None if response is None else (response.results[0].successful,
                                              response.results[0].reason)

    def read_parameters(self, node: str, names: list[str]) -> dict[str, Any]:
        """Return parameters of a node by name, those it has."""
        return read_parameters(self.node, self._executor, node, names, timeout_s=10.0)

    def learn_map(self) -> None:
        """Fetch the true map from the simulator."""
        response = self.call(GetMap, 'maze_sim/get_map')
        self.map_true = None if response is None else response.map

    def _on_odometry(self, msg: Odometry) -> None:
        if not is_forged(msg):
            self.odom = msg

    def _on_kept_goal(self, msg: PoseStamped) -> None:
        is_goal = bool(msg.header.frame_id)
        self.kept_goal_xy = (msg.pose.position.x, msg.pose.position.y) if is_goal else None

    def _on_trajectory(self, data: bytes) -> None:
        if len(data) > 200:  # a point alone takes more
            self.planned_at_s = time.monotonic()

    def _publisher(self, name: str) -> Publisher:
        """Open a publisher whose messages all arrive, if many come at once."""
        latched = FORGED[name].quality.latched
        return qos.publisher(self.node, replace(
            FORGED[name], quality=topics.LATCHED if latched else topics.STANDARD))

    def _wait_for_subscribers(self, publisher: Publisher, topic: str) -> None:
        end_s = time.monotonic() + 2.0
        while (publisher.get_subscription_count() < self.node.count_subscribers(topic)
               and time.monotonic() < end_s):
            self.spin(0.02)
