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
A maze or a map, and a robot in it: physics, clock, odometry and map on ROS topics.

The simulator sets the time. It advances by the pace of ``real_time_factor``, or in lockstep by one
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
from nav_msgs.msg import Odometry
import numpy as np
from rclpy.clock import Clock
from rclpy.clock import ClockType
from rclpy.node import Node

from df_planner.driving.stamps import NS_PER_S
from df_planner.errors import DFPlannerError
from df_planner.errors import StaleInput
from df_planner.nodes.maze_sim.output import SimulatorOutput
from df_planner.nodes.maze_sim.parameters import MazeSimParameters
from df_planner.robots.kinds import ROBOTS
from df_planner.ros import conversions
from df_planner.ros import qos
from df_planner.ros import topics
from df_planner.ros.diagnostics import Complaints
from df_planner.ros.diagnostics import Diagnostics
from df_planner.ros.diagnostics import guarded
from df_planner.ros.diagnostics import OK
from df_planner.ros.diagnostics import Status
from df_planner.ros.parameters import declare
from df_planner.ros.parameters import on_change
from df_planner.ros.realtime import keep_on_time
from df_planner.ros.robots.kinds import robot_messages
from df_planner.ros.run import EventsExecutor
from df_planner.ros.run import IsStopped
from df_planner.ros.run import run_node
from df_planner.ros.run import SPIN_S
from df_planner.ros.timing import Pacer
from df_planner.ros.timing import SpeedMeter
from df_planner.ros.timing import TickMeter
from df_planner.ros.wiring import Wiring
from df_planner.sim.map_place import load_place
from df_planner.sim.session import Session
from df_planner.sim.session import SessionSettings

TICKING_S = 0.001  # longest time of ticking without a look at messages
MARKER_PERIOD_S = 0.1


class MazeSim(Node):
    """Simulate one robot among walls."""

    def __init__(self):
        """Open the interface; time stands still until ``run``."""
        super().__init__('maze_sim')
        self.parameters = p = declare(self, MazeSimParameters)
        on_change(self, MazeSimParameters, self._apply_parameters)
        takes_velocity = ROBOTS[p.robot].takes_forces and p.control_mode == 'velocity'
        self._session = Session(load_place(p.maze_file or p.maze), SessionSettings(
            p.robot, p.velocity_gain if takes_velocity else None, p.cmd_timeout_s,
            p.command_delay_s, p.action_noise_std, p.seed, p.moving_obstacles,
            p.moving_obstacle_speed_mps))
        signals = self._session.world.signals
        self._axes = conversions.MapAxes(signals.observation_to_map)
        self._robot = robot_messages(
            p.robot, self._axes, p.max_force_n, stamped=p.enable_stamped_cmd_vel)
        self._pacer = Pacer(signals.dt_s, p.real_time_factor)
        self._speed = SpeedMeter()
        self._scheduling = 'time-shared'
        self._ticks = TickMeter(signals.dt_s / (p.real_time_factor or 1.0))
        diagnostics = Diagnostics(self)
        self._complaints = Complaints(self, diagnostics)
        self._paused = False
        self._repeat_at_s = 0.0
        self._output = SimulatorOutput(self, self._session, self._robot, p)
        if takes_velocity:
            self._listen(topics.CMD_VEL.stamped(p.enable_stamped_cmd_vel), self._on_velocity)
        else:
            self._listen(topics.COMMANDS[p.robot].stamped(p.enable_stamped_cmd_vel),
                         self._on_command)
        self._listen(topics.INITIAL_POSE, self._on_initial_pose)
        self._listen(topics.SET_STATE, self._on_set_state)
        self._listen(topics.GOAL_POSE, self._on_goal)
        self.create_timer(MARKER_PERIOD_S, self._output.show_motion,
                          clock=Clock(clock_type=ClockType.STEADY_TIME))
        qos.service(self, topics.RESET, self._serve_reset)
        qos.service(self, topics.PAUSE, self._serve_pause)
        qos.service(self, topics.STEP, self._serve_step)
        qos.service(self, topics.GET_MAP, self._serve_get_map)
        diagnostics.add('simulation', self._simulation_status)
        diagnostics.add('inputs', self._complaints.status)
        diagnostics.add('topics', Wiring(self).status)
        self._publish_episode()
        pace = ('in lockstep' if p.lockstep else 'as fast as possible'
                if p.real_time_factor == 0.0 else f'at {p.real_time_factor} x real time')
        self.get_logger().info(f'{self._session.place}, {p.robot}, {pace}')

    def _listen(self, topic: topics.Topic, callback: Callable) -> None:
        # In real time a command that got lost is not worth waiting for.
        qos.subscription(self, topic, guarded(
            callback, topic.subscriber_name.removeprefix('~/'), self._complaints),
            lockstep=self.parameters.lockstep)

    def run(self, is_stopped: IsStopped) -> None:
        """Advance time and serve messages until a signal arrives."""
        executor = EventsExecutor()
        executor.add_node(self)
        if not self.parameters.lockstep and self.parameters.real_time_factor == 1.0:
            self._scheduling = keep_on_time(self, self.parameters.realtime_priority)
        while not is_stopped():
            executor.spin_once(timeout_sec=min(self._wait_s(time.monotonic()), SPIN_S))
            self._advance_if_due(time.monotonic())

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
        self._publish_state(all_clocks=False)

    def _publish_state(self, all_clocks: bool = True) -> None:
        self._output.publish_state(all_clocks)
        self._repeat_in_time()

    def _publish_episode(self) -> None:
        self._output.publish_episode()
        self._repeat_in_time()

    def _repeat_in_time(self) -> None:
        """Publish the odometry of lockstep again if no command answers it."""
        self._repeat_at_s = time.monotonic() + self.parameters.lockstep_timeout_s

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
        """Return the allowed frames: all have parallel axes, and an empty one is the robot's."""
        p = self.parameters
        return p.base_frame_id, p.odom_frame_id, p.global_frame_id, ''

    def _command(self, command: np.ndarray, stamp: Time) -> None:
        stamp_ns = conversions.stamp_to_ns(stamp)
        if not self.parameters.lockstep:
            self._session.command(command, stamp_ns)
        elif stamp_ns == 0:
            raise StaleInput('command: has no stamp; in lockstep it must be that of the odometry')
        elif stamp_ns == self._session.time_ns and not self._paused:
            self._session.command(command, stamp_ns)
            self._tick()

    def _on_initial_pose(self, msg: PoseWithCovarianceStamped) -> None:
        conversions.check_frame(
            msg.header.frame_id, (self.parameters.global_frame_id,), 'initialpose')
        self._teleport(self._robot.at_rest(msg.pose.pose, 'initialpose'))

    def _on_set_state(self, msg: Odometry) -> None:
        p = self.parameters
        self._teleport(self._robot.state(msg, (p.odom_frame_id, p.global_frame_id)))

    def _teleport(self, state: np.ndarray) -> None:
        try:
            self._session.teleport(state)
        except DFPlannerError as error:
            raise error.told_in(self._axes.to_map)
        self._publish_episode()

    def _on_goal(self, msg: PoseStamped) -> None:
        """Show the goal, unless it needs a transform; the simulator has no other use for it."""
        p = self.parameters
        if msg.header.frame_id not in (p.global_frame_id, p.odom_frame_id):
            return
        self._output.goal = conversions.position_from_pose(msg.pose, self._axes, 'goal_pose')
        self._output.publish_markers()

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
        self._output.publish_paused(request.data)
        self._output.publish_clock()  # the last ticks may have had none
        response.success, response.message = True, 'paused' if request.data else 'running'
        return response

    def _serve_step(self, _request, response):
        if not self._paused:
            response.success, response.message = False, 'step works only while paused'
            return response
        for _ in range(self.parameters.steps_per_call):
            self._tick()
        self._output.publish_clock()
        response.success = True
        response.message = f'time {self._session.time_ns / NS_PER_S:.2f} s'
        return response

    def _serve_get_map(self, _request, response):
        response.map = self._output.map_message
        return response

    # Diagnostics

    def _simulation_status(self) -> Status:
        p = self.parameters
        now_s = self._session.time_ns / NS_PER_S
        speed = self._speed.read(now_s, time.monotonic())
        values = {'episode': self._session.episode, 'time [s]': f'{now_s:.2f}',
                  'real-time factor': 'unknown' if speed is None else f'{speed:.2f}',
                  'real-time factor wanted': 'lockstep' if p.lockstep else p.real_time_factor,
                  'scheduling': self._scheduling, 'in contact': self._output.in_contact}
        if not p.lockstep and p.real_time_factor == 1.0:
            values |= self._ticks.values()
        return Status(OK, 'paused' if self._paused else 'running', values)


def main(args: list[str] | None = None) -> int:
    """Run the simulator until SIGINT or SIGTERM."""
    return run_node(MazeSim, args, MazeSim.run)


if __name__ == '__main__':
    sys.exit(main())
