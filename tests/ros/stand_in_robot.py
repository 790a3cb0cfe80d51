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
A stranger's robot that drives by itself: own physics, own clock, and faults that are data.

It has no walls, and no watchdog: it does for ever what it was told last. Its messages are made
here and not by the package, as other people's drivers make theirs. It judges every command that it
hears (see ``Judge``).
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace
import math
from threading import RLock
from threading import Thread
import time

from diagnostic_msgs.msg import DiagnosticArray
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from geometry_msgs.msg import Twist
from geometry_msgs.msg import TwistStamped
from geometry_msgs.msg import WrenchStamped
from nav_msgs.msg import OccupancyGrid
from nav_msgs.msg import Odometry
from profiles import LATCHED_QOS
from profiles import LATEST_QOS
import rclpy
from rclpy.clock import Clock
from rclpy.clock import ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile

TICK_S = 0.01
LONGEST_STEP_S = 0.1  # of the physics on a busy machine
MASS_KG, DAMPING_PER_S = 4.18879020478639, 0.2387
HOLDING_MPS2 = 3.0  # without any force its wheels brake
NS_PER_S = 10**9
GRACE_S = 0.5  # on top of a time-out of the nodes, on a machine with nothing else to do
PATIENCE = 10.0  # so many times the robot's own lateness on top: the nodes are as late
LEAST_PUSH_W, LEAST_PUSH_N, REST_MPS = 2.0, 25.0, 0.05
# What these say is how fast the machine is, not what the inputs are.
ABOUT_SPEED = ('ticks', 'inference')


@dataclass(frozen=True)
class Motion:
    """Where a robot is and how it moves, in the axes of the map."""

    x: float
    y: float
    yaw: float = 0.0
    vx: float = 0.0
    vy: float = 0.0
    turn: float = 0.0

    @property
    def xy(self) -> tuple[float, float]:
        """Return the position."""
        return self.x, self.y

    @property
    def speed(self) -> float:
        """Return the speed in m/s."""
        return math.hypot(self.vx, self.vy)

    def at_rest(self) -> 'Motion':
        """Return the same place without any motion."""
        return replace(self, vx=0.0, vy=0.0, turn=0.0)

    def shifted(self, x: float, y: float) -> 'Motion':
        """Return the same motion somewhere else."""
        return replace(self, x=self.x + x, y=self.y + y)


@dataclass(frozen=True)
class Fault:
    """
    What is odd about a robot while it lasts; all else is right.

    :param stamp: of (nanoseconds now, nanoseconds when it began): the stamp in nanoseconds.
    :param report: of (true motion, that when it began, seconds since): what odometry tells.
    :param message: changes the finished message.
    :param onset: of the true motion: what it becomes when the fault begins.
    :param every: one message in so many ticks.
    :param batch: so many messages at once, the newest last.
    :param topic: of the odometry.
    :param second_source: where another publisher of the same topic sees the robot, from here.
    :param twist_of_the_map: the twist is in the axes of the map, not in those of the robot.
    :param obeys: it does what commands say.
    :param unstamped: it listens to Twist.
    :param supports: its odometry is true, fresh and advances: a command may rely on it.
    """

    stamp: Callable[[int, int], int] = lambda now_ns, began_ns: now_ns
    report: Callable[[Motion, Motion, float], Motion] = lambda true, began, age_s: true
    message: Callable[[Odometry], None] = lambda msg: None
    onset: Callable[[Motion], Motion] = lambda motion: motion
    every: int = 1
    batch: int = 1
    topic: str = 'odom'
    second_source: tuple[float, float] | None = None
    twist_of_the_map: bool = False
    obeys: bool = True
    unstamped: bool = False
    supports: bool = True


HEALTHY = Fault()


class Judge:
    """
    Judge every command by what the robot knows to be true.

    No command pushes the robot that no odometry supports, a time-out later; no command at all does
    anything then while all diagnostics are green.

    :param odom_timeout_s: of the follower.
    """

    def __init__(self, odom_timeout_s: float):
        self.violations: list[str] = []
        self.statuses: dict[str, DiagnosticStatus] = {}
        self.supported_s = math.inf  # when odometry was sent that supports commands
        self._timeout_s = odom_timeout_s

    @property
    def complaints(self) -> list[str]:
        """Return what the nodes say is wrong with their inputs, and with what they do."""
        return [f'{name}: {status.message}' for name, status in self.statuses.items()
                if status.level != DiagnosticStatus.OK and not name.endswith(ABOUT_SPEED)]

    def command(self, what: str, acts: bool, pushes: bool, margin_s: float) -> None:
        """
        Hear a command.

        :param acts: it is not zero.
        :param pushes: it makes the robot faster, or moves it from rest.
        :param margin_s: for this machine, as busy as it is.
        """
        age_s = time.monotonic() - self.supported_s
        if age_s <= self._timeout_s + margin_s:
            return
        if pushes:
            self.violations.append(f'{what} without odometry that supports it for {age_s:.2f} s')
        elif acts and not self.complaints:
            self.violations.append(f'{what} without odometry that supports it for {age_s:.2f} s, '
                                   'and all diagnostics are green')


class StandInRobot:
    """
    Drive, publish odometry and hear commands in a thread, 100 times a second of wall time.

    :param kind: ``point`` takes forces, ``diff_drive`` twists.
    :param motion: where it is at first.
    :ivar track: (time, motion) of the last seconds.
    """

    def __init__(self, context: rclpy.Context, kind: str, motion: Motion, judge: Judge):
        self.kind, self.motion, self.judge = kind, motion, judge
        self.fault = HEALTHY
        self.track: deque[tuple[float, Motion]] = deque(maxlen=1000)
        self.commands: deque[tuple[float, tuple[float, float]]] = deque(maxlen=1000)
        self.travelled_m = 0.0
        self._lock = RLock()
        self._command = 0.0, 0.0
        self._began_s, self._began_ns, self._began = 0.0, 0, motion
        self._last_s, self._ticks, self._batch = time.monotonic(), 0, []
        self._late_s: deque[float] = deque([0.0], maxlen=200)
        self.node = node = Node('stand_in_robot', context=context, enable_rosout=False)
        self._odometry = {HEALTHY.topic: node.create_publisher(Odometry, HEALTHY.topic, 10)}
        self._second_odometry = None
        self._maps = node.create_publisher(OccupancyGrid, 'map', LATCHED_QOS)
        self._goals = node.create_publisher(PoseStamped, 'goal_pose', LATEST_QOS)
        self._listener, self._hears_unstamped = None, None
        self._listen(HEALTHY)
        node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics,
                                 QoSProfile(depth=100))
        node.create_timer(TICK_S, self._tick, clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(node)
        self._stop = False
        self._thread = Thread(target=self._spin)
        self._thread.start()

    # What a test does

    def begin(self, fault: Fault) -> None:
        """Begin with a fault."""
        with self._lock:
            if fault.topic not in self._odometry:
                self._odometry[fault.topic] = self.node.create_publisher(
                    Odometry, fault.topic, 10)
            if fault.second_source is not None:
                self._second_odometry = self.node.create_publisher(Odometry, fault.topic, 10)
            elif self._second_odometry is not None:
                self.node.destroy_publisher(self._second_odometry)
                self._second_odometry = None
            self.fault, self._batch = fault, []
            self._began_s, self._began_ns = time.monotonic(), time.time_ns()
            self.motion = self._began = fault.onset(self.motion)
            self.travelled_m = 0.0

    def carry(self, motion: Motion) -> None:
        """Put the robot somewhere, healthy and at rest."""
        with self._lock:
            self.begin(HEALTHY)
            self.motion, self._command = motion.at_rest(), (0.0, 0.0)
            self.track.clear()

    def send_goal(self, xy: tuple[float, float]) -> None:
        """Publish a goal."""
        msg = PoseStamped()
        msg.header.frame_id = 'map'
        msg.pose.position.x, msg.pose.position.y = xy
        msg.pose.orientation.w = 1.0
        self._goals.publish(msg)

    def send_map(self, msg: OccupancyGrid) -> None:
        """Publish a map."""
        self._maps.publish(msg)

    @property
    def is_heard(self) -> bool:
        """Tell whether planner and follower have found all that it publishes."""
        return (self._odometry[HEALTHY.topic].get_subscription_count() >= 2
                and self._goals.get_subscription_count() >= 1)

    @property
    def margin_s(self) -> float:
        """Return the time to grant on top of any limit: how late everything is lately."""
        return GRACE_S + PATIENCE * max(self._late_s)

    def close(self) -> None:
        """End the thread and destroy the node."""
        self._stop = True
        self._thread.join()
        self._executor.shutdown()
        self.node.destroy_node()

    # What it does by itself

    def _spin(self) -> None:
        while not self._stop:
            self._executor.spin_once(timeout_sec=0.1)

    def _listen(self, fault: Fault) -> None:
        if fault.unstamped == self._hears_unstamped:
            return
        if self._listener is not None:
            self.node.destroy_subscription(self._listener)
        self._hears_unstamped, self._command = fault.unstamped, (0.0, 0.0)
        kind, topic, callback = ((WrenchStamped, 'cmd_wrench', self._on_wrench)
                                 if self.kind == 'point' else
                                 (Twist, 'cmd_vel', self._on_twist) if fault.unstamped else
                                 (TwistStamped, 'cmd_vel', self._on_stamped_twist))
        self._listener = self.node.create_subscription(kind, topic, callback, 10)

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        self.judge.statuses |= {status.name: status for status in msg.status}

    def _on_wrench(self, msg: WrenchStamped) -> None:
        force, motion = msg.wrench.force, self.motion
        push_w = force.x * motion.vx + force.y * motion.vy
        self._take((force.x, force.y), pushes=push_w > LEAST_PUSH_W or (
            motion.speed < REST_MPS and math.hypot(force.x, force.y) > LEAST_PUSH_N))

    def _on_stamped_twist(self, msg: TwistStamped) -> None:
        self._on_twist(msg.twist)

    def _on_twist(self, msg: Twist) -> None:
        self._take((msg.linear.x, msg.angular.z), pushes=any((msg.linear.x, msg.angular.z)))

    def _take(self, command: tuple[float, float], pushes: bool) -> None:
        with self._lock:
            self.commands.append((time.monotonic(), command))
            self.judge.command(f'command {command} at {self.motion}', any(command),
                               pushes and self.fault.obeys, self.margin_s)
            self._command = command if self.fault.obeys else (0.0, 0.0)

    def _tick(self) -> None:
        with self._lock:
            now_s = time.monotonic()
            elapsed_s, self._last_s = now_s - self._last_s, now_s
            self._late_s.append(max(elapsed_s - TICK_S, 0.0))
            before, self.motion = self.motion, self._moved(min(elapsed_s, LONGEST_STEP_S))
            self.travelled_m += math.dist(before.xy, self.motion.xy)
            self.track.append((now_s, self.motion))
            self._ticks += 1
            self._listen(self.fault)  # here, since the executor's thread must change what it has
            if self._ticks % self.fault.every == 0:
                self._publish(now_s)

    def _moved(self, dt_s: float) -> Motion:
        """Return the motion a moment later."""
        old, (first, second) = self.motion, self._command
        if self.kind != 'point':
            yaw = old.yaw + dt_s * second
            vx, vy, turn = first * math.cos(yaw), first * math.sin(yaw), second
        else:
            damping, yaw, turn = DAMPING_PER_S, old.yaw, 0.0
            if not any(self._command) and old.speed:
                damping = min(HOLDING_MPS2 / old.speed, 1.0 / dt_s)
            vx = old.vx + dt_s * (first / MASS_KG - damping * old.vx)
            vy = old.vy + dt_s * (second / MASS_KG - damping * old.vy)
        return Motion(old.x + dt_s * vx, old.y + dt_s * vy, yaw, vx, vy, turn)

    def _publish(self, now_s: float) -> None:
        fault = self.fault
        told = fault.report(self.motion, self._began, now_s - self._began_s)
        stamp_ns = fault.stamp(time.time_ns(), self._began_ns)
        self._batch.append(self._message(told, stamp_ns))
        if len(self._batch) < fault.batch:
            return
        for msg in self._batch:
            self._odometry[fault.topic].publish(msg)
        self._batch.clear()
        if fault.second_source is not None:
            self._second_odometry.publish(
                self._message(told.shifted(*fault.second_source), stamp_ns))
        if fault.supports:
            self.judge.supported_s = now_s

    def _message(self, told: Motion, stamp_ns: int) -> Odometry:
        msg = Odometry(child_frame_id='base_link')
        msg.header.frame_id = 'odom'
        msg.header.stamp.sec, msg.header.stamp.nanosec = divmod(int(stamp_ns), NS_PER_S)
        msg.pose.pose.position.x, msg.pose.pose.position.y = told.xy
        msg.pose.pose.orientation.z = math.sin(told.yaw / 2.0)
        msg.pose.pose.orientation.w = math.cos(told.yaw / 2.0)
        yaw = 0.0 if self.fault.twist_of_the_map else told.yaw
        msg.twist.twist.linear.x = told.vx * math.cos(yaw) + told.vy * math.sin(yaw)
        msg.twist.twist.linear.y = told.vy * math.cos(yaw) - told.vx * math.sin(yaw)
        msg.twist.twist.angular.z = told.turn
        self.fault.message(msg)
        return msg
