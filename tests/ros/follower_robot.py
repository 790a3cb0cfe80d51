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


"""A robot around a follower: it publishes odometry and plans, and hears forces."""

import time

from geometry_msgs.msg import WrenchStamped
from nav_msgs.msg import Odometry
import numpy as np
from plan_messages import trajectory_message
import profiles
from trajectory_msgs.msg import MultiDOFJointTrajectory

from df_planner.planning.plan import Plan
from df_planner.robots.kinds import POINT
from df_planner.ros import conversions
from df_planner.ros.robots.point import PointRobot

AXES = conversions.MapAxes((0.0, 1.0, -1.0, 0.0))
SCALE = conversions.ForceScale(POINT.max_force_n, POINT.mass_kg)
ROBOT = PointRobot(AXES, SCALE)
TICK_NS = 10_000_000
START_NS = 5_000_000_000
TREMBLE_M = 6e-4
STATE = np.array([1.0, 2.0, 0.5, -0.25])


def make_plan(steps=100):
    """Return a plan whose actions tell their step: 0.001 times it."""
    actions = np.stack([1e-3 * np.arange(steps), np.zeros(steps)], 1).astype(np.float32)
    return Plan(actions=actions.astype(float), states=np.tile(STATE, (steps, 1)), dt_s=0.01,
                goal=STATE[:2])


class Robot:
    """Publish odometry and plans, hear forces."""

    def __init__(self, probe):
        self.probe = probe
        self.wrenches = probe.listen(WrenchStamped, 'cmd_wrench', profiles.RECORDING_QOS)
        self._tremble_m = TREMBLE_M
        self._odometry = probe.publisher(Odometry, 'odom', profiles.STANDARD_QOS)
        self.trajectories = probe.publisher(
            MultiDOFJointTrajectory, 'plan_trajectory', profiles.PLAN_QOS)
        probe.wait_until(lambda: probe.node.count_publishers('cmd_wrench') > 0, 'the follower')
        probe.wait_until_found_by('follower')

    def be(self, state, stamp_ns, frame_id='odom'):
        """Publish a state, trembling: odometry of a robot that moves never stands still."""
        self._tremble_m = -self._tremble_m
        self._odometry.publish(ROBOT.odometry(
            np.asarray(state) + (self._tremble_m, 0.0, 0.0, 0.0),
            conversions.ns_to_stamp(stamp_ns), frame_id, 'base_link'))

    def plan(self, plan, stamp_ns):
        """Publish a plan and return its message."""
        msg = trajectory_message(ROBOT, plan, conversions.ns_to_stamp(stamp_ns))
        self.trajectories.publish(msg)
        return msg

    def answer(self, state, stamp_ns, again_s=0.3):
        """
        Publish a state until it is answered and return the action.

        :param again_s: when to publish it again, as it may get lost outside of lockstep.
        """
        due_s, before, answers = time.monotonic(), len(self.wrenches), []

        def answered():
            nonlocal due_s
            answers[:] = [msg for msg in self.wrenches[before:]
                          if conversions.stamp_to_ns(msg.header.stamp) == stamp_ns]
            if answers:
                return True
            if time.monotonic() >= due_s:
                self.be(state, stamp_ns)
                due_s = time.monotonic() + again_s
            return False
        self.probe.wait_until(answered, 'an answer')
        return ROBOT.action(answers[0], ('map',))  # it is taken back when no odometry follows
