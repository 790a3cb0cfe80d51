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
The driver's bench: what other people's robots do wrong, each against the real nodes.

Planner and follower are started once per kind of robot. In every case the robot sets out healthy,
a fault begins on the way, and the robot either drives right, to the goal and through no wall, or
within a second it brakes and a diagnostic says why. Then all is well again, and it goes on by
itself. During all that every command is judged (``Judge``).
"""

from dataclasses import dataclass
from dataclasses import replace
import math
import time

from nav_msgs.msg import Odometry
import numpy as np
import pytest
from stand_in_robot import Fault
from stand_in_robot import HEALTHY
from stand_in_robot import Judge
from stand_in_robot import Motion
from stand_in_robot import NS_PER_S
from stand_in_robot import StandInRobot
from std_srvs.srv import Trigger

from df_planner.planning.map import maze_map
from df_planner.robots.kinds import ROBOTS
from df_planner.ros.conversions import ns_to_stamp
from df_planner.ros.maps import occupancy_grid_message
from df_planner.sim.maze import load_maze

START_UP_S = 120.0
ODOM_TIMEOUT_S = 0.5  # of both nodes
SAYS_S = 1.0  # within which the robot brakes and a diagnostic says why
ARRIVES_S = 8.0
ON_ITS_WAY_M = 0.7  # driven before a fault begins, and after it to show that all is well
ARRIVED_M = 0.5
CREEP_MPS = 0.1
IN_A_WALL_M = -0.05  # clearance of the centre of the robot
DECELERATION_MPS2 = 2.0  # at which every robot brakes at least


@dataclass(frozen=True)
class Place:
    """Where a kind of robot drives, with which model."""

    maze: str
    checkpoint: str
    start: Motion
    goal: tuple[float, float]


PLACES = {
    'point': Place('umaze', 'maze2d-umaze', Motion(1.0, -3.0), (1.0, -1.0)),
    'diff_drive': Place('medium', 'diff_drive-medium', Motion(1.0, -1.0, -1.0), (4.0, -3.0)),
}


class Bench:
    """A robot, its planner and its follower, which go on from case to case."""

    def __init__(self, kind, context, probe, start_node):
        self.place, self.probe = PLACES[kind], probe
        facts = ROBOTS[kind].node_parameters()
        self.nodes = [
            start_node('planner', robot=kind, checkpoint=self.place.checkpoint,
                       odom_timeout_s=ODOM_TIMEOUT_S, **facts['planner']),
            start_node('follower', robot=kind, odom_timeout_s=ODOM_TIMEOUT_S,
                       **facts['follower'])]
        self.judge = Judge(ODOM_TIMEOUT_S)
        self.robot = StandInRobot(context, kind, self.place.start, self.judge)
        self.walls = maze_map(self.place.maze, np.eye(2))
        self.send_map()
        self.nodes[0].wait_for_log('Ready for goals', START_UP_S)
        self._clear = probe.client(Trigger, 'planner/clear_goal')
        self.wait(lambda: self.robot.commands and self.is_green(), 'the follower', START_UP_S)

    def send_map(self, change=lambda msg: None):
        """Publish the map of the maze, changed."""
        data, origin = load_maze(self.place.maze).occupancy_grid(0.1)
        msg = occupancy_grid_message(data, origin, 0.1, ns_to_stamp(0), 'map')
        change(msg)
        self.robot.send_map(msg)

    def is_green(self):
        """Tell whether both nodes have said that all is well."""
        names = {name.split(':')[0] for name in self.judge.statuses}
        return names >= {'planner', 'follower'} and not self.judge.complaints

    def wait(self, condition, what, timeout_s):
        """Wait for a condition, longer on a machine that is late."""
        began_s = time.monotonic()
        while not condition():
            assert time.monotonic() < began_s + timeout_s + self.robot.margin_s, (
                f'waited {timeout_s} s (+ {self.robot.margin_s:.2f} s) in vain for {what}; '
                f'{self.robot.motion}; {self.judge.complaints}; '
                f'{[node.log[-500:] for node in self.nodes]}')
            time.sleep(0.005)

    def set_out(self):
        """Put the robot at the start, healthy, and send it on its way."""
        robot = self.robot
        self.probe.call(self._clear, Trigger.Request())
        robot.carry(self.place.start)
        self.wait(self.is_green, 'green diagnostics at the start', ARRIVES_S)
        self.judge.violations.clear()
        robot.send_goal(self.place.goal)
        self.wait(self.has_driven, 'the robot to set out', ARRIVES_S)

    def has_driven(self):
        """Tell whether the robot is on its way."""
        return self.robot.travelled_m > ON_ITS_WAY_M

    def drives(self, fault):
        """See the robot reach the goal through no wall, in spite of a fault."""
        robot = self.robot
        robot.begin(fault)
        self.wait(lambda: math.dist(robot.motion.xy, self.place.goal) < ARRIVED_M, 'the goal',
                  ARRIVES_S)
        way = np.array([motion.xy for _, motion in robot.track])
        clearance_m = self.walls.clearance(way)
        assert clearance_m.min() > IN_A_WALL_M, f'in a wall at {way[clearance_m.argmin()]}'

    def stands(self, fault, *words):
        """See the robot brake, and a diagnostic say why, within a second; then go on."""
        robot, speed_mps = self.robot, self.robot.motion.speed
        began_s = time.monotonic()
        robot.begin(fault)
        place = robot.motion

        def says():
            return any(all(word in complaint for word in words)
                       for complaint in self.judge.complaints)
        self.wait(says, f'a diagnostic with {words}', SAYS_S)
        braking_m = speed_mps * (SAYS_S + robot.margin_s) + speed_mps**2 / (
            2.0 * DECELERATION_MPS2)
        self.wait(lambda: robot.motion.speed < CREEP_MPS, 'the robot to stand',
                  began_s + SAYS_S + speed_mps / DECELERATION_MPS2 - time.monotonic())
        assert robot.travelled_m < braking_m
        at = robot.motion
        time.sleep(0.3)
        assert says() and math.dist(robot.motion.xy, at.xy) < 0.1, 'it does not stand still'

        robot.carry(place)
        self.wait(lambda: self.is_green() and self.has_driven(), 'the robot to go on', ARRIVES_S)


@pytest.fixture(scope='module')
def point(ros_context, module_probe, start_module_node):
    """Return the bench of a point."""
    bench = Bench('point', ros_context, module_probe, start_module_node)
    yield bench
    bench.robot.close()


def at(ns):
    """Return a fault of the stamps."""
    return Fault(stamp=ns)


def says(**values):
    """Return a fault of the message: ``pose__pose__position__x=nan``."""
    def change(msg: Odometry):
        for path, value in values.items():
            *owners, name = path.split('__')
            owner = msg
            for part in owners:
                owner = getattr(owner, part)
            setattr(owner, name, value)
    return change


def frozen(true, began, age_s):
    """Say what was true when the fault began."""
    return began


DRIVES = {
    'nothing': HEALTHY,
    'stamps 10 s in the past': Fault(stamp=lambda now_ns, began_ns: now_ns - 10 * NS_PER_S),
    'stamps 10 s in the future': Fault(stamp=lambda now_ns, began_ns: now_ns + 10 * NS_PER_S),
    'stamps since the start of the machine': Fault(
        stamp=lambda now_ns, began_ns: time.monotonic_ns()),
    'stamps since the start of the driver': Fault(
        stamp=lambda now_ns, began_ns: now_ns - began_ns),
    'a base that is turned by 90 degrees': Fault(
        onset=lambda motion: replace(motion, yaw=math.pi / 2.0)),
    'a base that is turned by 180 degrees': Fault(
        onset=lambda motion: replace(motion, yaw=math.pi)),
    'quaternion -w': Fault(message=says(pose__pose__orientation__w=-1.0)),
    'one in five messages, at 20 Hz': Fault(every=5),
    '5 Hz': Fault(every=20),
    '2 Hz': Fault(every=50),
    'ten messages at once, ten times a second': Fault(batch=10),
    'a correction of 0.4 m': Fault(onset=lambda motion: motion.shifted(
        -0.4 * motion.vx / motion.speed, -0.4 * motion.vy / motion.speed)),
}
STANDS = {
    'stamps zero': (Fault(stamp=lambda now_ns, began_ns: 0, supports=False), 'advance'),
    'stamps constant': (Fault(stamp=lambda now_ns, began_ns: began_ns, supports=False),
                        'advance'),
    'stamps in whole seconds': (Fault(
        stamp=lambda now_ns, began_ns: now_ns // NS_PER_S * NS_PER_S, supports=False), ''),
    'stamps that go back by 0.5 s every second': (Fault(
        stamp=lambda now_ns, began_ns: now_ns - (now_ns - began_ns) // NS_PER_S * NS_PER_S // 2,
        supports=False), ''),
    'a clock of half the speed': (Fault(
        stamp=lambda now_ns, began_ns: (now_ns + began_ns) // 2, supports=False), ''),
    'a clock of double the speed': (Fault(
        stamp=lambda now_ns, began_ns: 2 * now_ns - began_ns, supports=False), ''),
    'a pose that is frozen': (Fault(
        report=lambda true, began, age_s: replace(true, x=began.x, y=began.y), supports=False),
        ''),
    'pose and velocity frozen': (Fault(report=frozen, supports=False), ''),
    'all frozen': (Fault(report=frozen, stamp=lambda now_ns, began_ns: began_ns,
                         supports=False), 'advance'),
    'NaN in the pose': (Fault(message=says(pose__pose__position__x=math.nan), supports=False),
                        'odometry', 'finite'),
    'NaN in the twist': (Fault(message=says(twist__twist__linear__y=math.nan), supports=False),
                         'odometry', 'finite'),
    'quaternion zero': (Fault(message=says(pose__pose__orientation__w=0.0), supports=False),
                        'orientation'),
    'quaternion of length 2': (Fault(message=says(pose__pose__orientation__w=2.0),
                                     supports=False), 'orientation'),
    'frame odom_wrong': (Fault(message=says(header__frame_id='odom_wrong'), supports=False),
                         'odom_wrong'),
    'no frame': (Fault(message=says(header__frame_id=''), supports=False), 'frame'),
    'frame /odom': (Fault(message=says(header__frame_id='/odom'), supports=False), '/odom'),
    'odometry under a prefix': (Fault(topic='robot1/odom', supports=False), 'odom'),
    'no odometry': (Fault(every=10**9, supports=False), 'odom'),
    'a jump of 5 m': (Fault(report=lambda true, began, age_s: true.shifted(5.0, 0.0),
                            supports=False), ''),
    'two sources 0.4 m apart': (Fault(second_source=(0.4, 0.0), supports=False), ''),
    'twist in the axes of the map, base turned': (Fault(
        onset=lambda motion: replace(motion, yaw=math.pi), twist_of_the_map=True,
        supports=False), ''),
    'motors off': (Fault(obeys=False), ''),
}


@pytest.mark.parametrize('what', DRIVES)
def test_it_drives_right(point, what):
    point.set_out()
    point.drives(DRIVES[what])
    assert point.judge.violations == []


@pytest.mark.parametrize('what', STANDS)
def test_it_stands_still_and_says_why(point, what):
    fault, *words = STANDS[what]
    point.set_out()
    point.stands(fault, *words)
    assert point.judge.violations == []
