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
The maze as a robot: physics, clock, odometry and map on ROS topics.

Time is the simulator's own. It advances by the pace of ``real_time_factor``, or in lockstep by one
tick per command that answers the present odometry. Everything happens in one thread.
"""

from collections.abc import Callable
import sys
import time

from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped
from geometry_msgs.msg import PoseWithCovarianceStamped
from geometry_msgs.msg import Twist
from geometry_msgs.msg import TwistStamped
from geometry_msgs.msg import WrenchStamped
from nav_msgs.msg import OccupancyGrid
from nav_msgs.msg import Odometry
from nav_msgs.srv import GetMap
import numpy as np
from rclpy.clock import Clock as RosClock
from rclpy.clock import ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Bool
from std_msgs.msg import UInt32
from std_srvs.srv import SetBool
from std_srvs.srv import Trigger
from visualization_msgs.msg import MarkerArray

from df_planner.driving.stamps import NS_PER_S
from df_planner.errors import StaleInput
from df_planner.nodes.maze_sim import markers
from df_planner.nodes.maze_sim.parameters import MazeSimParameters
from df_planner.nodes.maze_sim.transform_output import TransformOutput
from df_planner.ros import conversions
from df_planner.ros import qos
from df_planner.ros.diagnostics import Complaints
from df_planner.ros.diagnostics import Diagnostics
from df_planner.ros.diagnostics import guarded
from df_planner.ros.diagnostics import inputs_status
from df_planner.ros.diagnostics import OK
from df_planner.ros.diagnostics import Status
from df_planner.ros.maps import occupancy_grid_message
from df_planner.ros.parameters import declare
from df_planner.ros.parameters import on_change
from df_planner.ros.realtime import keep_on_time
from df_planner.ros.robots.kinds import robot_messages
from df_planner.ros.run import events_executor
from df_planner.ros.run import IsStopped
from df_planner.ros.run import run_node
from df_planner.ros.run import SPIN_S
from df_planner.ros.timing import Pacer
from df_planner.ros.timing import SpeedMeter
from df_planner.ros.timing import TickMeter
from df_planner.ros.topics import COMMANDS
from df_planner.sim.maze import BALL_MASS_KG
from df_planner.sim.maze import load_maze
from df_planner.sim.session import Session
from df_planner.sim.session import SessionSettings

TICKING_S = 0.001  # longest time of ticking without a look at messages
MARKER_PERIOD_S = 0.1
# Shortest wall time between two messages of /clock: every subscriber pays for each, and faster
# than real time nobody needs one per tick.
CLOCK_PERIOD_S = 0.008


class MazeSim(Node):
    """Simulate one robot in a maze."""

    def __init__(self):
        super().__init__('maze_sim')
        self.parameters = p = declare(self, MazeSimParameters)
        on_change(self, MazeSimParameters, self._apply_parameters)
        self._takes_velocity = p.robot == 'point' and p.control_mode == 'velocity'
        self._session = Session(load_maze(p.maze_file or p.maze), SessionSettings(
            p.robot, p.velocity_gain if self._takes_velocity else None, p.cmd_timeout_s,
            p.command_delay_s, p.action_noise_std, p.seed))
        signals = self._session.world.signals
        self._axes = conversions.MapAxes(signals.observation_to_map)
        self._robot = robot_messages(
            p.robot, self._axes, p.max_force_n, BALL_MASS_KG, p.enable_stamped_cmd_vel)
        self._goal = self._session.goal
        self._pacer = Pacer(signals.dt_s, p.real_time_factor)
        self._speed = SpeedMeter()
        self._scheduling = 'time-shared'
        self._ticks = TickMeter(signals.dt_s / (p.real_time_factor or 1.0))
        diagnostics = Diagnostics(self)
        self._complaints = Complaints(self, diagnostics)
        self._paused = False
        self._repeat_at_s = 0.0
        self._clock_at_s = 0.0
        self._contact: bool | None = None
        self._create_publishers()
        self._create_subscriptions()
        self._create_services()
        diagnostics.add('simulation', self._simulation_status)
        diagnostics.add('inputs', lambda: inputs_status(self._complaints))
        self._publish_map()
        self._publish_episode()
        maze = self._session.maze
        pace = ('in lockstep' if p.lockstep else 'as fast as possible'
                if p.real_time_factor == 0.0 else f'at {p.real_time_factor} x real time')
        self.get_logger().info(f'maze {maze.name!r}, {p.robot}, {pace}')

    def run(self, is_stopped: IsStopped) -> None:
        """Advance time and serve messages until a signal has come."""
        executor = events_executor()
        executor.add_node(self)
        if not self.parameters.lockstep and self.parameters.real_time_factor == 1.0:
            self._scheduling = keep_on_time(self, self.parameters.realtime_priority)
        while not is_stopped():
            executor.spin_once(timeout_sec=min(self._wait_s(time.monotonic()), SPIN_S))
            self._advance_if_due(time.monotonic())

    def _create_publishers(self) -> None:
        self._clock_publisher = self.create_publisher(Clock, '/clock', qos.SENSOR_DATA_QOS)
        self._odom_publisher = self.create_publisher(Odometry, 'odom', qos.RECORDED_QOS)
        self._map_publisher = self.create_publisher(OccupancyGrid, 'map', qos.LATCHED_QOS)
        self._marker_publisher = self.create_publisher(
            MarkerArray, '~/markers', qos.LATCHED_QOS)
        self._contact_publisher = self.create_publisher(Bool, '~/contact', qos.LATCHED_QOS)
        self._episode_publisher = self.create_publisher(UInt32, '~/episode', qos.LATCHED_QOS)
        p = self.parameters
        self._transforms = TransformOutput(
            self, p.global_frame_id, p.odom_frame_id, p.base_frame_id, p.publish_tf)

    def _create_subscriptions(self) -> None:
        p = self.parameters
        # In real time a command that got lost is not worth waiting for.
        quality = qos.LATEST_QOS if p.lockstep else qos.SENSOR_DATA_QOS
        if self._takes_velocity:
            kind = TwistStamped if p.enable_stamped_cmd_vel else Twist
            self._listen(kind, 'cmd_vel', self._on_velocity, quality)
        else:
            self._listen(self._robot.command_type, COMMANDS[p.robot].name, self._on_command,
                         quality)
        self._listen(PoseWithCovarianceStamped, 'initialpose', self._on_initial_pose)
        self._listen(Odometry, '~/set_state', self._on_set_state)
        self._listen(PoseStamped, 'goal_pose', self._on_goal)
        self.create_timer(MARKER_PERIOD_S, self._show_motion,
                          clock=RosClock(clock_type=ClockType.STEADY_TIME))

    def _listen(self, message_type: type, topic: str, callback: Callable,
                quality: QoSProfile = qos.LATEST_QOS) -> None:
        self.create_subscription(message_type, topic, guarded(
            callback, topic.removeprefix('~/'), self._complaints), quality)

    def _create_services(self) -> None:
        self.create_service(Trigger, '~/reset', self._serve_reset)
        self.create_service(SetBool, '~/pause', self._serve_pause)
        self.create_service(Trigger, '~/step', self._serve_step)
        self.create_service(GetMap, '~/get_map', self._serve_get_map)

    # Time

    def _wait_s(self, now_s: float) -> float:
        if self._paused:
            return SPIN_S
        if self.parameters.lockstep:
            return max(self._repeat_at_s - now_s, 0.0)
        return self._pacer.wait_s(now_s)

    def _advance_if_due(self, now_s: float) -> None:
        if self._paused or self._wait_s(now_s) > 0.0:
            return
        if self.parameters.lockstep:
            self._publish_state()
            return
        end_s = now_s + TICKING_S
        while self._pacer.wait_s(now_s) == 0.0 and now_s < end_s:
            self._tick()
            self._ticks.tick(now_s)
            self._pacer.ticked(now_s)
            now_s = time.monotonic()

    def _tick(self) -> None:
        self._session.step()
        self._publish_state(time.monotonic() - self._clock_at_s >= CLOCK_PERIOD_S)

    def _stamp(self) -> Time:
        return conversions.ns_to_stamp(self._session.time_ns)

    # Inputs

    def _on_command(self, msg: WrenchStamped | TwistStamped | Twist) -> None:
        self._command(self._robot.action(msg, self._command_frames()),
                      msg.header.stamp if hasattr(msg, 'header') else Time())

    def _on_velocity(self, msg: TwistStamped | Twist) -> None:
        twist = conversions.stamped_twist(msg)
        conversions.check_frame(twist.header.frame_id, self._command_frames(), 'cmd_vel')
        linear = twist.twist.linear
        self._command(self._axes.to_observation(conversions.finite(
            (linear.x, linear.y), 'cmd_vel')), twist.header.stamp)

    def _command_frames(self) -> tuple[str, ...]:
        """All axes are parallel; a command without a frame is in the robot's."""
        p = self.parameters
        return p.base_frame_id, p.odom_frame_id, p.global_frame_id, ''

    def _command(self, command: np.ndarray, stamp: Time) -> None:
        stamp_ns = conversions.stamp_to_ns(stamp)
        if not self.parameters.lockstep:
            self._session.command(command, stamp_ns)
        elif stamp_ns == 0:
            raise StaleInput('command: in lockstep it must carry the stamp of the odometry')
        elif stamp_ns == self._session.time_ns and not self._paused:
            self._session.command(command, stamp_ns)
            self._tick()

    def _on_initial_pose(self, msg: PoseWithCovarianceStamped) -> None:
        conversions.check_frame(
            msg.header.frame_id, (self.parameters.global_frame_id,), 'initialpose')
        self._session.teleport(self._robot.at_rest(msg.pose.pose, 'initialpose'))
        self._publish_episode()

    def _on_set_state(self, msg: Odometry) -> None:
        p = self.parameters
        self._session.teleport(self._robot.state(msg, (p.odom_frame_id, p.global_frame_id)))
        self._publish_episode()

    def _on_goal(self, msg: PoseStamped) -> None:
        """Show the goal, unless it takes a transform; the simulator has no other use for it."""
        p = self.parameters
        if msg.header.frame_id not in (p.global_frame_id, p.odom_frame_id):
            return
        self._goal = conversions.position_from_pose(msg.pose, self._axes, 'goal_pose')
        self._publish_markers()

    def _apply_parameters(self, parameters: MazeSimParameters) -> None:
        if parameters.real_time_factor != self.parameters.real_time_factor:
            self._pacer = Pacer(self._session.world.signals.dt_s, parameters.real_time_factor)
        self.parameters = parameters

    # Services

    def _serve_reset(self, _request, response):
        self._session.reset()
        self._publish_episode()
        response.success, response.message = True, f'episode {self._session.episode}'
        return response

    def _serve_pause(self, request, response):
        self._paused = request.data
        self._publish_clock()  # the last ticks may have had none
        response.success, response.message = True, 'paused' if request.data else 'running'
        return response

    def _serve_step(self, _request, response):
        if not self._paused:
            response.success, response.message = False, 'step works only while paused'
            return response
        for _ in range(self.parameters.steps_per_call):
            self._tick()
        self._publish_clock()
        response.success = True
        response.message = f'time {self._session.time_ns / NS_PER_S:.2f} s'
        return response

    def _serve_get_map(self, _request, response):
        response.map = self._map
        return response

    # Outputs

    def _publish_clock(self) -> None:
        if self.parameters.publish_clock:
            self._clock_publisher.publish(Clock(clock=self._stamp()))
            self._clock_at_s = time.monotonic()

    def _publish_state(self, with_clock: bool = True) -> None:
        p, stamp = self.parameters, self._stamp()
        if with_clock:
            self._publish_clock()
        odom = self._robot.odometry(
            self._session.state, stamp, p.odom_frame_id, p.base_frame_id)
        self._odom_publisher.publish(odom)
        self._transforms.publish(odom)
        if self._session.world.in_contact != self._contact:
            self._contact = self._session.world.in_contact
            self._contact_publisher.publish(Bool(data=self._contact))
        self._repeat_at_s = time.monotonic() + p.lockstep_timeout_s

    def _publish_episode(self) -> None:
        self._episode_publisher.publish(UInt32(data=self._session.episode))
        self._publish_state()
        self._publish_markers()

    def _publish_map(self) -> None:
        p = self.parameters
        data, origin_xy = self._session.maze.occupancy_grid(p.map_resolution_m)
        self._map = occupancy_grid_message(
            data, origin_xy, p.map_resolution_m, self._stamp(), p.global_frame_id)
        self._map_publisher.publish(self._map)

    def _show_motion(self) -> None:
        if self._marker_publisher.get_subscription_count():
            self._publish_markers()

    def _publish_markers(self) -> None:
        p = self.parameters
        where = self._stamp(), p.global_frame_id
        self._marker_publisher.publish(MarkerArray(markers=[
            markers.walls_marker(self._session.maze, *where),
            markers.robot_marker(p.robot, self._robot.pose(self._session.state), *where),
            markers.goal_marker(conversions.pose_from_position(self._goal, self._axes), *where)]))

    def _simulation_status(self) -> Status:
        p = self.parameters
        now_s = self._session.time_ns / NS_PER_S
        speed = self._speed.read(now_s, time.monotonic())
        values = {'episode': self._session.episode, 'time [s]': f'{now_s:.2f}',
                  'real-time factor': 'unknown' if speed is None else f'{speed:.2f}',
                  'real-time factor wanted': 'lockstep' if p.lockstep else p.real_time_factor,
                  'scheduling': self._scheduling, 'in contact': self._contact}
        if not p.lockstep and p.real_time_factor == 1.0:
            values |= self._ticks.values()
        return Status(OK, 'paused' if self._paused else 'running', values)


def main(args: list[str] | None = None) -> int:
    """Run the simulator until SIGINT or SIGTERM."""
    return run_node(MazeSim, args, MazeSim.run)


if __name__ == '__main__':
    sys.exit(main())
