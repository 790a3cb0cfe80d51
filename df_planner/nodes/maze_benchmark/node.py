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
Drive episodes through simulator, planner and follower, score them, and exit.

An episode: clear the planner's goal, teleport the robot, publish the goal with the stamp of the
first odometry, record the maze's number of steps. The records are those of
``df_planner evaluate``. The exit code is 0 if enough goals were reached.
"""

from collections.abc import Callable
import sys
import time

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from geometry_msgs.msg import TwistStamped
from geometry_msgs.msg import WrenchStamped
from nav_msgs.msg import Odometry
import numpy as np
from rclpy.node import Node
from std_msgs.msg import Bool
from std_msgs.msg import Float64
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from df_planner.driving.stamps import seconds_to_ns
from df_planner.errors import At
from df_planner.errors import CheckpointError
from df_planner.errors import DFPlannerError
from df_planner.errors import WaitTimeout
from df_planner.nodes.maze_benchmark.parameters import MazeBenchmarkParameters
from df_planner.nodes.maze_benchmark.recording import EpisodeRecording
from df_planner.nodes.maze_benchmark.recording import RealTimeRecording
from df_planner.nodes.maze_benchmark.scoring import print_now
from df_planner.nodes.maze_benchmark.scoring import Scoring
from df_planner.robots.kinds import ROBOTS
from df_planner.ros import conversions
from df_planner.ros import qos
from df_planner.ros import topics
from df_planner.ros.diagnostics import Complaints
from df_planner.ros.diagnostics import Diagnostics
from df_planner.ros.diagnostics import ERROR
from df_planner.ros.diagnostics import guarded
from df_planner.ros.parameters import declare
from df_planner.ros.rclpy_gaps import read_parameters
from df_planner.ros.realtime import keep_on_time
from df_planner.ros.robots.kinds import robot_messages
from df_planner.ros.run import EventsExecutor
from df_planner.ros.run import IsStopped
from df_planner.ros.run import run_node
from df_planner.ros.run import SPIN_S
from df_planner.ros.trajectory_cdr import rows_from_bytes
from df_planner.ros.wiring import Wiring
from df_planner.sim.maze import load_maze

ROUNDING = 1e-9  # of a state that has become a message and a state again
REPORT_WAITING_S = 5.0
RESPONSE_TIMEOUT_S = 10.0
# What the report says about how the other nodes were run.
FACTS = {
    'planner': ('checkpoint', 'device', 'num_threads', 'planning_frequency_hz', 'seed'),
    'follower': ('execution', 'lockstep'),
    'maze_sim': ('real_time_factor', 'action_noise_std', 'command_delay_s'),
}


class MazeBenchmark(Node):
    """Run episodes one after the other."""

    def __init__(self):
        super().__init__('maze_benchmark')
        self.parameters = p = declare(self, MazeBenchmarkParameters)
        self._maze = load_maze(p.maze)
        self._scoring = Scoring(p, self._maze)
        self._signals = ROBOTS[p.robot].signals
        self._axes = conversions.MapAxes(self._signals.observation_to_map)
        self._robot = robot_messages(p.robot, self._axes, p.max_force_n)
        self._period_ns = seconds_to_ns(self._signals.dt_s)
        self._executor = EventsExecutor()
        self._executor.add_node(self)
        diagnostics = Diagnostics(self)
        self._complaints = Complaints(self, diagnostics)
        diagnostics.add('inputs', self._complaints.status)
        diagnostics.add('topics', Wiring(self).status)
        self._planner_failure = ''
        self._odom_stamp_ns: int | None = None
        self._expected_start: np.ndarray | None = None
        self._recording: EpisodeRecording | None = None
        self._real_time = RealTimeRecording()
        self._goal_publisher = qos.publisher(self, topics.GOAL_POSE)
        self._state_publisher = qos.publisher(self, topics.SET_STATE)
        self._clear_goal = qos.client(self, topics.CLEAR_GOAL)
        for topic, callback in (
                (topics.ODOM, self._on_odometry), (topics.COMMANDS[p.robot], self._on_command),
                (topics.PLANNING_TIME, self._on_planning_time),
                (topics.COMMAND_PERIOD, self._on_command_period),
                (topics.DIAGNOSTICS, self._on_diagnostics)):
            self._listen(topic, callback)
        self._listen(topics.PLAN_TRAJECTORY, self._on_trajectory, raw=True)
        self._is_recorded = not p.wait_for_recorder
        if p.wait_for_recorder:
            qos.subscription(self, topics.RECORDER_READY, self._on_recorder)

    def _listen(self, topic: topics.Topic, callback: Callable, raw: bool = False) -> None:
        qos.subscription(self, topic, guarded(callback, topic.name, self._complaints),
                         quality=topics.RECORDING, raw=raw)

    def run(self, is_stopped: IsStopped) -> int:
        """Run all episodes and return the exit code; report those that have ended in any case."""
        p, scoring, complete = self.parameters, self._scoring, False
        self._is_stopped = is_stopped
        try:
            facts = self._wait_for_chain()
            self._real_time = RealTimeRecording()
            if not facts.get('lockstep', True):
                keep_on_time(self, p.realtime_priority)
            began_s = time.monotonic()
            for state, goal in zip(scoring.starts.state, scoring.starts.goal):
                scoring.add(self._drive(state, goal))
            complete = True
        except KeyboardInterrupt:
            print_now(f'interrupted after {len(scoring.records)} of {len(scoring.starts)} '
                      'episodes')
        except DFPlannerError as error:
            print_now(f'{error.code}: {error}')
        if not scoring.records:
            return 1
        reach_rate = scoring.report(facts, time.monotonic() - began_s, self._real_time)
        return 0 if complete and reach_rate >= p.min_success_rate else 1

    # One episode

    def _drive(self, start: np.ndarray, goal: np.ndarray) -> EpisodeRecording:
        """Drive from a start (S,) to a goal (2,)."""
        p = self.parameters
        self._stop_planning()
        self._recording, self._expected_start = None, start
        now = conversions.ns_to_stamp(self._odom_stamp_ns)
        self._state_publisher.publish(self._robot.odometry(
            start, now, p.odom_frame_id, 'base_link'))
        self._wait_until(lambda: self._recording is not None, RESPONSE_TIMEOUT_S,
                         f'the simulator to take the start {At(*self._axes.to_map(start[:2]))}; '
                         'is its maze '
                         f'{self._maze.name!r}?')
        recording: EpisodeRecording = self._recording
        header = Header(stamp=conversions.ns_to_stamp(recording.stamp_ns),
                        frame_id=p.global_frame_id)
        self._goal_publisher.publish(PoseStamped(
            header=header, pose=conversions.pose_from_position(goal, self._axes)))
        while not recording.is_complete:
            before_ns = self._odom_stamp_ns
            self._wait_until(lambda: self._odom_stamp_ns != before_ns, p.stall_timeout_s,
                             'odometry to go on; is a node gone, or does it log an error?')
            if self._odom_stamp_ns > recording.stamp_ns + recording.num_steps * self._period_ns:
                break
        self._stop_planning()  # its answer comes after all plans of this episode
        self._recording = None
        if recording.missing_states:
            self.get_logger().warning(
                f'{recording.missing_states} of {recording.num_steps} states were not heard')
        return recording

    def _on_odometry(self, msg: Odometry) -> None:
        p, stamp_ns = self.parameters, conversions.stamp_to_ns(msg.header.stamp)
        state = self._robot.state(msg, (p.odom_frame_id, p.global_frame_id))
        self._odom_stamp_ns = stamp_ns
        if self._recording is not None:
            self._recording.add_state(state, stamp_ns)
        elif self._expected_start is not None and np.allclose(
                state, self._expected_start, rtol=0.0, atol=ROUNDING):
            self._expected_start = None
            self._recording = EpisodeRecording(
                state, stamp_ns, self._maze.max_episode_steps, self._period_ns,
                self._signals.action_size)

    def _on_command(self, msg: WrenchStamped | TwistStamped) -> None:
        if self._recording is not None:
            self._recording.add_action(self._robot.action(msg, (msg.header.frame_id,)),
                                       conversions.stamp_to_ns(msg.header.stamp))

    def _on_trajectory(self, data: bytes) -> None:
        if self._recording is not None:
            rows = rows_from_bytes(data)
            plan = self._robot.plan(rows, (self.parameters.global_frame_id,), self._signals.dt_s)
            # At the end of an episode, an empty plan is no failure.
            if plan is not None or not self._recording.is_complete:
                self._recording.add_plan(plan, rows.stamp_ns)

    def _on_planning_time(self, msg: Float64) -> None:
        if self._recording is not None:
            self._recording.planning_times_s.append(msg.data)

    def _on_command_period(self, msg: Float64) -> None:
        self._real_time.command_periods_s.append(msg.data)

    # Waiting

    def _wait_for_chain(self) -> dict:
        """Wait until everything that an episode needs is there; return how it is run."""
        command = topics.COMMANDS[self.parameters.robot].name
        needs = {
            'odometry (maze_sim)': lambda: self._odom_stamp_ns is not None,
            'maze_sim/set_state (maze_sim)':
                lambda: self._state_publisher.get_subscription_count() > 0,
            f'{command} (follower)': lambda: self.count_publishers(command) > 0,
            'plan_trajectory (planner)':
                lambda: self.count_publishers(topics.PLAN_TRAJECTORY.name) > 0,
            'planner/clear_goal (planner)': self._clear_goal.service_is_ready,
            'a match of goal_pose (planner)':
                lambda: self._goal_publisher.get_subscription_count()
                >= max(self.count_subscribers(topics.GOAL_POSE.name), 1),
            'an active planner': self._planner_is_active,
            'a recorder that hears all (recorder)': lambda: self._is_recorded,
        }
        deadline_s = time.monotonic() + self.parameters.startup_timeout_s
        for need, is_there in needs.items():
            self._wait_until(is_there, deadline_s - time.monotonic(), need)
        facts = {}
        for node_name, names in FACTS.items():
            facts |= read_parameters(self, self._executor, node_name, names)
        return facts

    def _on_diagnostics(self, msg: DiagnosticArray) -> None:
        self._real_time.add_diagnostics(msg)
        planner = f'{self.get_namespace()}/planner: model'.lstrip('/')
        for status in msg.status:
            if status.name == planner and status.level == ERROR:
                self._planner_failure = status.message

    def _on_recorder(self, msg: Bool) -> None:
        self._is_recorded = msg.data

    def _planner_is_active(self) -> bool:
        try:
            self._stop_planning()
        except DFPlannerError:
            return False
        return True

    def _stop_planning(self) -> None:
        """Drop the goal of the planner; wait until it has."""
        future = self._clear_goal.call_async(Trigger.Request())
        self._wait_until(future.done, RESPONSE_TIMEOUT_S, 'planner/clear_goal to answer')
        if not future.result().success:
            raise WaitTimeout(f'planner/clear_goal: {future.result().message}')

    def _wait_until(self, condition: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Serve messages until a condition holds; WaitTimeout if it never does."""
        begin_s = reported_s = time.monotonic()
        while not condition():
            if self._is_stopped():
                raise KeyboardInterrupt
            if self._planner_failure:
                raise CheckpointError(f'the planner has no model: {self._planner_failure}')
            self._executor.spin_once(timeout_sec=SPIN_S)
            now_s = time.monotonic()
            if now_s - begin_s > timeout_s:
                raise WaitTimeout(f'waited in vain for {what}')
            if now_s - reported_s > REPORT_WAITING_S:
                reported_s = now_s
                print_now(f'waiting for {what}')


def main(args: list[str] | None = None) -> int:
    """Run the benchmark."""
    return run_node(MazeBenchmark, args, MazeBenchmark.run)


if __name__ == '__main__':
    sys.exit(main())
