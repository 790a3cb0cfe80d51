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
Execute plans: one command, a force or a twist, for every odometry message.

Its process loads neither the network nor the simulator, so planning never delays control. Except
in lockstep, it runs at a real-time priority where permitted, and ``time_optimal`` execution
prepares plans in a second thread.
"""

from dataclasses import replace
import sys
import time
from typing import Any

from nav_msgs.msg import Odometry
import numpy as np
from rclpy.clock import Clock
from rclpy.clock import ClockType
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import Float64

from df_planner.driving.elastic_band import ElasticBand
from df_planner.driving.elastic_band import RobotLimits
from df_planner.driving.executor import Executor
from df_planner.driving.following import PlanFollower
from df_planner.driving.stamps import NS_PER_S
from df_planner.driving.timeline import Latency
from df_planner.errors import StaleInput
from df_planner.maps.grid import GridMap
from df_planner.nodes.follower.parameters import FollowerParameters
from df_planner.planning.plan import Plan
from df_planner.ros import conversions
from df_planner.ros import qos
from df_planner.ros import topics
from df_planner.ros.clock import simulated_s
from df_planner.ros.diagnostics import Complaints
from df_planner.ros.diagnostics import Diagnostics
from df_planner.ros.diagnostics import ERROR
from df_planner.ros.diagnostics import guarded
from df_planner.ros.diagnostics import OK
from df_planner.ros.diagnostics import Status
from df_planner.ros.diagnostics import WARN
from df_planner.ros.maps import LocalMapReader
from df_planner.ros.maps import MapReader
from df_planner.ros.parameters import declare
from df_planner.ros.realtime import keep_on_time
from df_planner.ros.robots.kinds import robot_messages
from df_planner.ros.run import EventsExecutor
from df_planner.ros.run import IsStopped
from df_planner.ros.run import run_node
from df_planner.ros.run import SPIN_S
from df_planner.ros.timing import ResponseTimes
from df_planner.ros.timing import Seams
from df_planner.ros.timing import TickMeter
from df_planner.ros.trajectory_cdr import rows_from_bytes
from df_planner.ros.wiring import Wiring
from df_planner.ros.worker import Outcome
from df_planner.ros.worker import Worker

HOLD_PERIODS = 5  # of control, for which a command stands without odometry
LAST_COMMAND_TIMEOUT = Duration(seconds=0.5)
LAST_BRAKE_S = 2.0  # for how long a node that ends brakes at most


class Follower(Node):
    """Follow the newest plan."""

    def __init__(self):
        super().__init__('follower')
        self.parameters = p = declare(self, FollowerParameters)
        self._axes = conversions.MapAxes(p.observation_to_map)
        self._robot = robot_messages(
            p.robot, self._axes, p.max_force_n, p.mass_kg, p.enable_stamped_cmd_vel)
        self._executor = Executor(
            p.execution, p.law,
            ElasticBand(None, RobotLimits(p.max_force_n / p.mass_kg, p.max_speed_mps,
                                          p.damping_per_s), p.clearance_m))
        self._follower = PlanFollower(
            self._executor, p.control_period_s, p.plan_timeout_s, p.odom_timeout_s, p.lockstep,
            p.lockstep_plan_steps, p.action_limits, p.obstacles)
        self._waits_for_map = p.execution == 'time_optimal'
        self._unprepared: tuple[Plan | None, int] | None = None
        self._worker = None if p.lockstep else Worker(self)
        self._preparing = Latency()
        self._odom_received_s: float | None = None
        self._odom_lost = self._commands_something = False
        self._ticks, self._seams = TickMeter(p.control_period_s), Seams()
        self._responses = ResponseTimes()
        self._odom_sent_ns: int | None = None  # by the wall clock; of the odometry in hand
        self._scheduling = 'time-shared'
        self._diagnostics = diagnostics = Diagnostics(self)
        self._complaints = complaints = Complaints(self, diagnostics)
        self._command_publisher = qos.publisher(
            self, topics.COMMANDS[p.robot].stamped(p.enable_stamped_cmd_vel))
        self._error_publisher = qos.publisher(self, topics.TRACKING_ERROR)
        self._period_publisher = qos.publisher(self, topics.COMMAND_PERIOD)
        self._plans = qos.subscription(self, topics.PLAN_TRAJECTORY, guarded(
            self._on_trajectory, 'plan_trajectory', complaints), raw=True)
        take_odometry = guarded(self._on_odometry, 'odom', complaints)

        def hear_odometry(msg: Odometry, info: dict[str, Any]) -> None:
            self._odom_sent_ns = info['source_timestamp']
            take_odometry(msg)
        # The events executor of lockstep knows no callbacks with the message info.
        qos.subscription(self, topics.ODOM, take_odometry if p.lockstep else hear_odometry,
                         lockstep=p.lockstep)
        self._maps = MapReader(
            self, self._axes, lambda: p, self._take_map, complaints, self._worker,
            distances=self._waits_for_map)
        self._local_maps = LocalMapReader(
            self, self._axes, lambda: p, lambda: (p.odom_frame_id, p.global_frame_id),
            self._follower.obstacles.take, complaints, self._worker)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._hold = self.create_timer(HOLD_PERIODS * p.control_period_s, self._end_hold,
                                       clock=steady)
        self.create_timer(p.odom_timeout_s / 10, self._watch, clock=steady)
        # Keep the planner's goal for it: this node outlives a planner that restarts.
        kept_goal = qos.publisher(self, topics.RESUME_GOAL)
        qos.subscription(self, topics.ACTIVE_GOAL, kept_goal.publish)
        diagnostics.add('following', self._following_status)
        diagnostics.add('inputs', complaints.status)
        command = topics.COMMANDS[p.robot]
        diagnostics.add('topics', Wiring(
            self, (topics.ODOM, topics.PLAN_TRAJECTORY), lambda: ((command,),)).status)
        if not p.lockstep:
            diagnostics.add('ticks', self._ticks_status)
        self.get_logger().info(f'{p.execution} execution' + (', in lockstep' * p.lockstep))

    def start(self) -> None:
        """Take the real-time priority; lockstep does without."""
        if self._worker is not None:
            self._scheduling = keep_on_time(
                self, self.parameters.realtime_priority, helpers={self._worker.thread_id})

    def run(self, is_stopped: IsStopped) -> None:
        """Serve messages until a signal comes, then brake and send a last zero command."""
        executor = EventsExecutor() if self.parameters.lockstep else SingleThreadedExecutor()
        executor.add_node(self)
        while not is_stopped():
            executor.spin_once(timeout_sec=SPIN_S)
        if self.parameters.lockstep:
            return
        self._end_plans()
        ends_s = time.monotonic() + LAST_BRAKE_S
        while self._commands and not self._odom_lost and time.monotonic() < ends_s:
            executor.spin_once(timeout_sec=SPIN_S)
        if self._commands:
            self._let_go()
        self._command_publisher.wait_for_all_acked(LAST_COMMAND_TIMEOUT)

    def _end_plans(self) -> None:
        """Brake, and take no plan any more."""
        self.destroy_subscription(self._plans)
        self._unprepared = None
        if self._worker is not None:
            self._worker.cancel('prepare')
        if self._commands:
            self._follower.take_plan(None, self._follower.odom_stamp_ns)

    def close(self) -> None:
        """End the thread that prepares plans."""
        if self._worker is not None:
            self._worker.close()

    def _on_trajectory(self, data: bytes) -> None:
        p, rows = self.parameters, rows_from_bytes(data)
        plan = self._robot.plan(rows, (p.global_frame_id,), p.control_period_s)
        self._unprepared = plan, rows.stamp_ns
        self._prepare()

    def _take_map(self, grid: GridMap) -> None:
        self._follower.obstacles.map = grid
        if self._executor.execution == 'time_optimal':
            self._executor.band = replace(self._executor.band, grid=grid)
            self._waits_for_map = False
            self._prepare()

    def _prepare(self) -> None:
        """Prepare the newest plan: at once in lockstep, else in the second thread."""
        if self._unprepared is None or self._waits_for_map:
            return
        (plan, stamp_ns), self._unprepared = self._unprepared, None
        if plan is None or self._worker is None or self._executor.execution != 'time_optimal':
            if self._worker is not None:
                self._worker.cancel('prepare')
            self._follower.take_plan(self._executor.prepare(plan), stamp_ns)
            if self.parameters.lockstep:
                self._answer()
            return

        # The robot is ahead of the plan's time: prepare it from where the robot will be by then.
        plan, stamp_ns = self._follower.entered(
            plan, stamp_ns, self._preparing.steps(self.parameters.control_period_s))
        began_s = time.monotonic()

        def take(outcome: Outcome) -> None:
            prepared = outcome.result()
            self._preparing.add(time.monotonic() - began_s)
            self._follower.take_plan(prepared, stamp_ns)
        executor = self._executor
        self._worker.submit('prepare', lambda should_stop: executor.prepare(plan), take)

    def _on_odometry(self, msg: Odometry) -> None:
        p = self.parameters
        state = self._robot.state(msg, (p.odom_frame_id, p.global_frame_id))
        follower, now_s = self._follower, time.monotonic()
        follower.take_odometry(state, conversions.stamp_to_ns(msg.header.stamp),
                               None if p.lockstep else now_s, simulated_s(self.get_clock()))
        self._odom_received_s = now_s
        self._odom_lost = False
        self._hold.reset()
        self._answer()
        if follower.watch.fault is not None:
            raise StaleInput(follower.watch.fault)

    @property
    def _commands(self) -> bool:
        """Whether the robot is under control: a plan, or braking after one."""
        return self._odom_received_s is not None and self._follower.has_control

    def _answer(self) -> None:
        answer = self._follower.answer()
        if answer is None:
            self._ticks.interrupt()
            return
        self._publish_action(answer.action, answer.stamp_ns)
        if not self.parameters.lockstep:
            self._count_tick(answer.seam_jump)
        if answer.tracking_error_m is not None:
            self._error_publisher.publish(Float64(data=answer.tracking_error_m))

    def _count_tick(self, seam_jump: float | None) -> None:
        self._responses.add(max(time.time_ns() - self._odom_sent_ns, 0) / NS_PER_S)
        period_s = self._ticks.tick(time.monotonic())
        if period_s is not None and self._period_publisher.get_subscription_count():
            self._period_publisher.publish(Float64(data=period_s))
        if seam_jump is not None:
            self._seams.add(seam_jump)

    def _publish_action(self, action: np.ndarray, stamp_ns: int) -> None:
        p = self.parameters
        self._commands_something = bool(action.any())
        self._command_publisher.publish(self._robot.command(
            action, conversions.ns_to_stamp(stamp_ns), p.global_frame_id, p.base_frame_id))

    def _end_hold(self) -> None:
        """Take back a command that no odometry has followed; simulated time may just be slow."""
        if (self._commands_something and not self.parameters.lockstep
                and simulated_s(self.get_clock()) is None):
            self._let_go()

    def _watch(self) -> None:
        """Send a zero command when odometry has stopped: without it there is no braking."""
        if self._odom_received_s is None or self._odom_lost:
            return
        age_s = time.monotonic() - self._odom_received_s
        if age_s > self.parameters.odom_timeout_s:
            self._odom_lost = True
            self._ticks.interrupt()
            self._diagnostics.update()
            if self.parameters.lockstep:
                return
            commands = self._commands
            self.get_logger().warning(
                f'no odometry for {age_s:.1f} s' + ': zero command' * commands)
            if commands:
                self._let_go()

    def _let_go(self) -> None:
        self._publish_action(np.zeros(2), self._follower.odom_stamp_ns)

    def _following_status(self) -> Status:
        if self._odom_received_s is None:
            return Status(WARN, 'waiting for odometry')
        if self._odom_lost:
            return Status(ERROR, 'odometry has stopped')
        if self._follower.watch.fault is not None:
            return Status(ERROR, self._follower.watch.fault)
        if not self._follower.watch.is_sound:
            return Status(WARN, 'waiting for odometry that advances')
        if self._waits_for_map:
            return Status(WARN, 'waiting for a map')
        if self._follower.has_current_plan:
            return Status(OK, 'following a plan')
        if self._follower.braked_for is not None:
            return Status(WARN, f'braked: {self._follower.braked_for}')
        if self.parameters.lockstep:
            return Status(OK, 'waiting for a plan')
        age_s = self._follower.plan_age_s
        doing = 'braking' if self._follower.has_control else 'no commands'
        if age_s is None:
            return Status(OK, f'{doing}: no plan')
        order = 'before' if age_s > 0.0 else 'after'
        return Status(WARN, f'{doing}: the plan is stamped {abs(age_s):.1f} s {order} the '
                      'odometry')

    def _ticks_status(self) -> Status:
        age_s = self._follower.plan_age_s if self._follower.has_current_plan else None
        level = WARN if self._ticks.late else OK
        return Status(level, f'{self._ticks.late} ticks later than {self._ticks.late_s} s', {
            'scheduling': self._scheduling, **self._ticks.values(), **self._responses.values(),
            **self._seams.values(), 'plan_age_s': 'no plan' if age_s is None else f'{age_s:.2f}'})


def main(args: list[str] | None = None) -> int:
    """Run the follower until SIGINT or SIGTERM."""
    return run_node(Follower, args, Follower.run)


if __name__ == '__main__':
    sys.exit(main())
