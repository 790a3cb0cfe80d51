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

"""What the simulator publishes: clock, state, transforms, map and markers."""

import time

from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import LaserScan
from std_msgs.msg import Bool
from std_msgs.msg import Header
from std_msgs.msg import UInt32

from df_planner.nodes.maze_sim.markers import place_markers
from df_planner.nodes.maze_sim.parameters import MazeSimParameters
from df_planner.ros import conversions
from df_planner.ros import qos
from df_planner.ros import topics
from df_planner.ros.maps import occupancy_grid_message
from df_planner.ros.rclpy_gaps import optional_type
from df_planner.ros.robots.messages import RobotMessages
from df_planner.sim.lidar import bearings
from df_planner.sim.lidar import RANGE_M
from df_planner.sim.session import Session

# Shortest wall time between two messages of /clock: every subscriber pays for each, and faster
# than real time nobody needs one per tick.
CLOCK_PERIOD_S = 0.008


class SimulatorOutput:
    """
    The publishers of a simulated robot.

    :ivar goal: (2,) the goal that is shown.
    :ivar map_message: the map as published.
    """

    def __init__(self, node: Node, session: Session, robot: RobotMessages,
                 parameters: MazeSimParameters):
        """Create the publishers and publish the map."""
        p = parameters
        self.goal = session.goal
        self.in_contact: bool | None = None
        self._session, self._robot, self._parameters = session, robot, parameters
        self._clock_at_s = 0.0
        self._clock = qos.publisher(node, topics.CLOCK)
        self._odom = qos.publisher(node, topics.ODOM)
        self._map = qos.publisher(node, topics.MAP)
        self._scan = qos.publisher(node, topics.SCAN)
        self._costmap = qos.publisher(node, topics.LOCAL_COSTMAP)
        self._scan_ticks = p.scan_frequency_hz and max(
            1, round(1.0 / (p.scan_frequency_hz * session.world.signals.dt_s)))
        self._markers = qos.publisher(node, topics.MARKERS)
        self._contact = qos.publisher(node, topics.CONTACT)
        self._episode = qos.publisher(node, topics.EPISODE)
        self._paused = qos.publisher(node, topics.PAUSED)
        self.publish_paused(False)
        self._transform_type = optional_type(
            topics.TF.kind, node, 'transforms on /tf') if p.publish_tf else None
        if self._transform_type is not None:
            self._transforms = qos.publisher(node, topics.TF)
            self._static_transforms = qos.publisher(node, topics.TF_STATIC)
            if p.global_frame_id != p.odom_frame_id:
                equal = TransformStamped(child_frame_id=p.odom_frame_id)
                equal.header.frame_id = p.global_frame_id
                equal.transform.rotation.w = 1.0
                self._static_transforms.publish(self._transform_type(transforms=[equal]))
        grid = session.place.grid_to_publish(p.map_resolution_m)
        self.map_message = occupancy_grid_message(
            grid.cells, grid.origin_xy, grid.resolution_m, self._stamp(), p.global_frame_id,
            grid.origin_yaw)
        self._map.publish(self.map_message)

    def publish_clock(self) -> None:
        """Publish the present time."""
        if self._parameters.publish_clock:
            self._clock.publish(Clock(clock=self._stamp()))
            self._clock_at_s = time.monotonic()

    def publish_paused(self, is_paused: bool) -> None:
        """Publish whether time is paused."""
        self._paused.publish(Bool(data=is_paused))

    def publish_state(self, all_clocks: bool = True) -> None:
        """
        Publish where the robot is.

        :param all_clocks: with the clock even if the last one was less than CLOCK_PERIOD_S ago.
        """
        p = self._parameters
        if all_clocks or time.monotonic() - self._clock_at_s >= CLOCK_PERIOD_S:
            self.publish_clock()
        if self._scan_ticks and self._session.ticks % self._scan_ticks == 0:
            self._publish_scan()
        odom = self._robot.odometry(
            self._session.state, self._stamp(), p.odom_frame_id, p.base_frame_id)
        self._odom.publish(odom)
        if self._transform_type is not None:
            self._transforms.publish(self._transform_type(
                transforms=[transform_from_odometry(odom, p.base_frame_id)]))
        if self._session.world.in_contact != self.in_contact:
            self.in_contact = self._session.world.in_contact
            self._contact.publish(Bool(data=self.in_contact))

    def _publish_scan(self) -> None:
        """Publish what the lidar measures, and the costmap that this makes."""
        p, (ranges_m, local) = self._parameters, self._session.local_map()
        angles = bearings()
        self._scan.publish(LaserScan(
            header=Header(stamp=self._stamp(), frame_id=p.base_frame_id),
            angle_min=angles[0], angle_max=angles[-1], angle_increment=angles[1] - angles[0],
            scan_time=1.0 / p.scan_frequency_hz, range_max=RANGE_M, ranges=ranges_m))
        self._costmap.publish(occupancy_grid_message(
            local.cells, local.origin_xy, local.resolution_m, self._stamp(), p.odom_frame_id))

    def publish_episode(self) -> None:
        """Publish that the robot has been put elsewhere."""
        self._episode.publish(UInt32(data=self._session.episode))
        self.publish_state()
        self.publish_markers()

    def show_motion(self) -> None:
        """Publish the markers if anybody subscribes."""
        if self._markers.get_subscription_count():
            self.publish_markers()

    def publish_markers(self) -> None:
        """Publish walls, robot and goal."""
        self._markers.publish(place_markers(
            self._session.place, self._parameters.robot, self._robot.pose(self._session.state),
            conversions.pose_from_position(self.goal, self._robot.axes),
            self._session.world.movers,
            Header(stamp=self._stamp(), frame_id=self._parameters.global_frame_id)))

    def _stamp(self) -> Time:
        return conversions.ns_to_stamp(self._session.time_ns)


def transform_from_odometry(odom: Odometry, base_frame: str) -> TransformStamped:
    """Return the transform from the frame of the odometry to that of the robot."""
    found = TransformStamped(header=odom.header, child_frame_id=base_frame)
    at = odom.pose.pose.position
    move = found.transform.translation
    move.x, move.y, move.z = at.x, at.y, at.z
    found.transform.rotation = odom.pose.pose.orientation
    return found
