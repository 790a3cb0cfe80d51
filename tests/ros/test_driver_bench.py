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
within a second it brakes and a diagnostic says why. Then all is well again, and it sets out by
itself, into the next case. During all that every command is judged (``Judge``).
"""

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import replace
import math
import time

from nav_msgs.msg import Odometry
import numpy as np
import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from stand_in_robot import Fault
from stand_in_robot import HEALTHY
from stand_in_robot import Judge
from stand_in_robot import Motion
from stand_in_robot import NS_PER_S
from stand_in_robot import StandInRobot
from std_srvs.srv import Trigger

from df_planner.robots.kinds import ROBOTS
from df_planner.ros.conversions import ns_to_stamp
from df_planner.ros.maps import occupancy_grid_message
from df_planner.sim.maze import load_maze
from df_planner.sim.maze import maze_map

START_UP_S = 120.0
ODOM_TIMEOUT_S = 0.5  # of both nodes
SAYS_S = 1.0  # within which the robot brakes and a diagnostic says why
ARRIVES_S = 20.0
ON_ITS_WAY_M = 0.7  # driven before a fault begins, and after it to show that all is well
ARRIVED_M = 0.5
CREEP_MPS = 0.1
IN_A_WALL_M = -0.05  # clearance of the centre of the robot
LEAST_SPEED_MPS = 2.0  # that a robot may have by the time that a fault shows
BRAKE_MPS2, SLACK_M = 2.0, 0.5  # every robot brakes like this at least, and stands so near
WATCH_S = 0.3  # how long a robot that stands is watched


@dataclass(frozen=True)
class Place:
    """Where a kind of robot drives, with which model."""

    maze: str
    checkpoint: str
    start: Motion
    goal: tuple[float, float]


PLACES = {
    'point': Place('umaze', 'point', Motion(1.0, -3.0), (1.0, -1.0)),
    'diff_drive': Place('medium', 'diff_drive', Motion(1.0, -1.0, -1.0), (4.0, -3.0)),
}


class Bench:
    """A robot, its planner and its follower, which go on from case to case."""

    def __init__(self, kind, robot, probe, start_node):
        self.place, self.robot, self.judge = PLACES[kind], robot, robot.judge
        facts = ROBOTS[kind].node_parameters()
        self.planner = start_node(
            'planner', robot=kind, checkpoint=self.place.checkpoint,
            odom_timeout_s=ODOM_TIMEOUT_S, **facts['planner'])
        self.follower = start_node('follower', robot=kind, odom_timeout_s=ODOM_TIMEOUT_S,
                                   **facts['follower'])
        self.walls = maze_map(self.place.maze, np.eye(2))
        self._probe = probe
        self._sets_out = False  # by itself, after the case before
        self.send_map()
        self.planner.wait_for_log('Ready for goals', START_UP_S)
        self._clear = probe.client(Trigger, 'planner/clear_goal')
        self._parameters = [probe.client(SetParameters, f'{node}/set_parameters')
                            for node in ('planner', 'follower')]
        self.wait(lambda: self.robot.is_heard, 'both nodes to hear the robot', START_UP_S)

    def send_map(self, change=lambda msg: None):
        """Publish the map of the maze, changed."""
        data, origin = load_maze(self.place.maze).occupancy_grid(0.1)
        msg = occupancy_grid_message(data, origin, 0.1, ns_to_stamp(0), 'map')
        change(msg)
        self.robot.send_map(msg)

    def send_map_of_unknown_start(self):
        """Publish a map that knows nothing of where the robot starts."""
        def change(msg):
            origin, start = msg.info.origin.position, self.place.start
            at_x = round((start.x - origin.x) / msg.info.resolution)
            at_y = round((start.y - origin.y) / msg.info.resolution)
            for row in range(at_y - 3, at_y + 4):
                for column in range(at_x - 3, at_x + 4):
                    msg.data[row * msg.info.width + column] = -1
        self.send_map(change)

    def set_sim_time(self, value):
        """Set ``use_sim_time`` of both nodes."""
        parameter = Parameter('use_sim_time', value=value).to_parameter_msg()
        request = SetParameters.Request(parameters=[parameter])
        for client in self._parameters:
            assert self._probe.call(client, request).results[0].successful

    def wait(self, condition, what, limit_s):
        """Wait for a condition, longer on a machine that is late."""
        began_s = time.monotonic()
        while not condition():
            assert time.monotonic() < began_s + limit_s + self.robot.margin_s, (
                f'waited {limit_s:.1f} s (+ {self.robot.margin_s:.2f} s) in vain for {what}; '
                f'{self.robot.motion}; complaints: {self.judge.complaints}')
            time.sleep(0.005)

    def is_green(self):
        """Tell whether both nodes have said that all is well."""
        names = {name.split(':')[0] for name in self.judge.statuses}
        return names >= {'planner', 'follower'} and not self.judge.complaints

    def has_driven(self):
        """Tell whether the robot is on its way."""
        return self.robot.travelled_m > ON_ITS_WAY_M

    def says(self, words):
        """Tell whether a diagnostic has these words, if there are any."""
        return not words or any(all(word in complaint for word in words)
                                for complaint in self.judge.complaints)

    def wait_at_the_start(self):
        """Put the robot at the start, healthy and without a goal."""
        self._probe.call(self._clear, Trigger.Request())
        self.robot.carry(self.place.start)
        self.wait(self.is_green, 'green diagnostics at the start', ARRIVES_S)
        self.judge.violations.clear()
        self._sets_out = False

    def set_out(self):
        """See the robot set out, healthy: by itself, or from the start with a new goal."""
        if not self._sets_out:
            self.wait_at_the_start()
            self.robot.send_goal(self.place.goal)
        self.wait(self.has_driven, 'the robot to set out', ARRIVES_S)
        self._sets_out = False

    def set_out_with(self, case):
        """See the robot set out, or say why it does not, with a fault from the start."""
        self.wait_at_the_start()
        time.sleep(WATCH_S)  # commands from before have arrived by now
        self.robot.carry(self.place.start.shifted(0.2, 0.0))
        self.robot.commands.clear()
        time.sleep(WATCH_S)
        pushes = [command for _, command in self.robot.commands if any(command)]
        assert not pushes, f'who carries a robot without a goal is resisted: {pushes}'

        self.robot.carry(self.place.start)
        self.begin(case)
        self.robot.send_goal(self.place.goal)
        self.wait(lambda: self.says(case.words) or any(
            any(command) for _, command in tuple(self.robot.commands)), 'a command', ARRIVES_S)

    def begin(self, case):
        """Let the fault of a case begin."""
        self.robot.begin(case.fault)
        case.begin(self)

    def drives(self, case):
        """See the robot reach the goal through no wall, in spite of a fault."""
        robot = self.robot
        self.begin(case)
        self.wait(lambda: self.says(case.words), f'a diagnostic with {case.words}', case.says_s)
        self.wait(lambda: math.dist(robot.motion.xy, self.place.goal) < ARRIVED_M, 'the goal',
                  ARRIVES_S)
        way = np.array([motion.xy for _, motion in robot.track])
        clearance_m = self.walls.clearance(way)
        assert clearance_m.min() > IN_A_WALL_M, f'in a wall at {way[clearance_m.argmin()]}'

    def stands(self, case):
        """See the robot brake, and a diagnostic say why, within a second; then set out again."""
        robot = self.robot
        speed_mps = max(robot.motion.speed, LEAST_SPEED_MPS)
        began_s = time.monotonic()
        if not case.always:
            self.begin(case)
        self.wait(lambda: self.says(case.words), f'a diagnostic with {case.words}', case.says_s)
        brakes_s = speed_mps / BRAKE_MPS2
        self.wait(lambda: robot.motion.speed < CREEP_MPS, 'the robot to stand',
                  case.says_s + brakes_s - (time.monotonic() - began_s))
        allowed_m = speed_mps * (ODOM_TIMEOUT_S + robot.margin_s + brakes_s / 2.0) + SLACK_M
        assert robot.travelled_m < allowed_m, 'it ran away'
        stands_at = robot.motion.xy
        time.sleep(WATCH_S)
        assert math.dist(robot.motion.xy, stands_at) < CREEP_MPS, 'it does not stand still'
        assert self.says(case.words), self.judge.complaints

        case.end(self)
        robot.carry(self.place.start)
        if case.stays:
            return
        self.wait(lambda: self.is_green() and self.has_driven(), 'the robot to set out again',
                  ARRIVES_S)
        self._sets_out = True


@pytest.fixture(scope='module')
def bench(request, ros_context, module_probe, start_module_node):
    """Return the bench of a kind of robot."""
    kind = request.param
    robot = StandInRobot(ros_context, kind, PLACES[kind].start, Judge(ODOM_TIMEOUT_S))
    try:
        bench = Bench(kind, robot, module_probe, start_module_node)
        yield bench
    finally:
        robot.close()
    for node in (bench.planner, bench.follower):
        assert node.stop() == 0, node.log
        assert 'Traceback' not in node.log


def says(**values):
    """Return what sets fields of a message: ``pose__pose__position__x=nan``."""
    def change(msg: Odometry):
        for path, value in values.items():
            *owners, name = path.split('__')
            owner = msg
            for part in owners:
                owner = getattr(owner, part)
            setattr(owner, name, value)
    return change


def tilt_map(msg):
    """Tilt a map by a tenth of a radian."""
    msg.info.origin.orientation.x, msg.info.origin.orientation.w = math.sin(0.05), math.cos(0.05)


def going_back(now_ns, began_ns, back_s):
    """Return stamps that go back every second."""
    return now_ns - (1 + (now_ns - began_ns) // NS_PER_S) * round(back_s * NS_PER_S)


def lies(**what):
    """Return a fault whose odometry supports no command."""
    return Fault(supports=False, **what)


POINT, DIFF_DRIVE, BOTH = ('point',), ('diff_drive',), ('point', 'diff_drive')


@dataclass(frozen=True)
class Case:
    """
    A fault and what must come of it.

    :param words: of a diagnostic that says what is wrong.
    :param drives: it drives right; by default, if no words need to be said.
    :param begin: what else is done to the bench when the fault begins.
    :param end: undoes that.
    :param robots: the kinds that it is tried with.
    :param stays: somebody must send the goal again; else the robot goes on by itself.
    :param says_s: within which a diagnostic says why; the graph is looked at once a second.
    :param always: the robot has the fault when it sets out; else it begins on the way.
    """

    name: str
    fault: Fault
    words: tuple[str, ...] = ()
    robots: tuple[str, ...] = POINT
    stays: bool = False
    always: bool = False
    says_s: float = SAYS_S
    drives: bool = False
    begin: Callable[[Bench], None] = lambda bench: None
    end: Callable[[Bench], None] = lambda bench: None


CASES = (
    Case('nothing', HEALTHY, robots=BOTH),
    Case('stamps 10 s in the past', Fault(
        stamp=lambda now_ns, began_ns: now_ns - 10 * NS_PER_S)),
    Case('stamps 10 s in the future', Fault(
        stamp=lambda now_ns, began_ns: now_ns + 10 * NS_PER_S)),
    Case('stamps since the start of the machine', Fault(
        stamp=lambda now_ns, began_ns: time.monotonic_ns())),
    Case('stamps since the start of the driver', Fault(
        stamp=lambda now_ns, began_ns: now_ns - began_ns)),
    Case('a base that is turned by 90 degrees', Fault(
        onset=lambda motion: replace(motion, yaw=math.pi / 2.0))),
    Case('a base that is turned by 180 degrees', Fault(
        onset=lambda motion: replace(motion, yaw=math.pi))),
    Case('quaternion -w', Fault(message=says(pose__pose__orientation__w=-1.0))),
    Case('one in five messages, at 20 Hz', Fault(every=5)),
    Case('a correction of 0.4 m', Fault(onset=lambda motion: motion.shifted(
        -0.4 * motion.vx / motion.speed, -0.4 * motion.vy / motion.speed)), robots=BOTH),
    Case('stamps zero', lies(stamp=lambda now_ns, began_ns: 0), ('stamps are all 0',), BOTH),
    Case('stamps constant', lies(stamp=lambda now_ns, began_ns: began_ns), ('stamp has stood',)),
    Case('stamps in whole seconds', lies(
        stamp=lambda now_ns, began_ns: now_ns // NS_PER_S * NS_PER_S), ('whole seconds',)),
    Case('stamps that go back by 0.05 s every second', Fault(
        stamp=lambda now_ns, began_ns: going_back(now_ns, began_ns, 0.05))),
    Case('stamps that go back by 0.1 s every second', Fault(
        stamp=lambda now_ns, began_ns: going_back(now_ns, began_ns, 0.1))),
    Case('stamps that go back by 0.2 s every second', lies(
        stamp=lambda now_ns, began_ns: going_back(now_ns, began_ns, 0.2)), ('went back',)),
    Case('stamps that go back by 0.3 s every second', lies(
        stamp=lambda now_ns, began_ns: going_back(now_ns, began_ns, 0.3)), ('went back',)),
    Case('stamps that go back by 0.7 s every second', lies(
        stamp=lambda now_ns, began_ns: going_back(now_ns, began_ns, 0.7)), ('odometry',)),
    Case('a clock of half the speed', Fault(
        stamp=lambda now_ns, began_ns: (now_ns + began_ns) // 2)),
    Case('a clock of double the speed', Fault(
        stamp=lambda now_ns, began_ns: 2 * now_ns - began_ns)),
    Case('a clock of a tenth of the speed', lies(
        stamp=lambda now_ns, began_ns: (now_ns + 9 * began_ns) // 10), ('times as fast',)),
    Case('a clock of ten times the speed', lies(
        stamp=lambda now_ns, began_ns: 10 * now_ns - 9 * began_ns), ('times as fast',)),
    Case('a position that is frozen', lies(
        report=lambda true, began, age_s: replace(true, x=began.x, y=began.y)),
        ('position',), BOTH),
    Case('position and velocity frozen', lies(report=lambda true, began, age_s: began),
         ('position',)),
    Case('all frozen', lies(report=lambda true, began, age_s: began,
                            stamp=lambda now_ns, began_ns: began_ns), ('',), BOTH),
    Case('NaN in the pose', lies(message=says(pose__pose__position__x=math.nan)),
         ('odometry', 'finite'), BOTH),
    Case('NaN in the twist', lies(message=says(twist__twist__linear__y=math.nan)),
         ('odometry', 'finite')),
    Case('quaternion zero', lies(message=says(pose__pose__orientation__w=0.0)),
         ('orientation',), BOTH),
    Case('quaternion of length 2', lies(message=says(pose__pose__orientation__w=2.0)),
         ('orientation',)),
    Case('frame odom_wrong', lies(message=says(header__frame_id='odom_wrong')), ('odom_wrong',)),
    Case('no frame', lies(message=says(header__frame_id='')), ('frame',)),
    Case('frame /odom', lies(message=says(header__frame_id='/odom')), ('/odom',)),
    Case('odometry under a prefix', lies(topic='robot1/odom'), ('odom',)),
    Case('no odometry', lies(every=10**9), ('odometry has stopped',), BOTH),
    Case('5 Hz', lies(every=20), ('control needs it every',)),
    Case('2 Hz', lies(every=50), ('',)),
    Case('ten messages at once, ten times a second', lies(batch=10), ('control needs it every',)),
    Case('a jump of 5 m', lies(report=lambda true, began, age_s: true.shifted(5.0, 0.0)),
         ('START_OUTSIDE_MAP',)),
    Case('two sources 0.4 m apart', lies(second_source=(0.4, 0.0)), ('second publisher',), BOTH),
    Case('twist in the axes of the map, base turned by 180 degrees', Fault(
        onset=lambda motion: replace(motion, yaw=math.pi), twist_of_the_map=True),
        ('child_frame_id',), stays=True, always=True),
    Case('twist in the axes of the map, base turned by 90 degrees', Fault(
        onset=lambda motion: replace(motion, yaw=math.pi / 2.0), twist_of_the_map=True),
        ('child_frame_id',), stays=True, always=True),
    Case('motors off', Fault(obeys=False), ('push',), BOTH, stays=True, always=True),
    Case('the base listens to Twist', Fault(unstamped=True), ('Twist',), DIFF_DRIVE,
         stays=True, always=True, says_s=3.0),
    Case('a map that is tilted', HEALTHY, ('map', 'orientation'), drives=True,
         begin=lambda bench: bench.send_map(tilt_map), end=lambda bench: bench.send_map()),
    Case('a map that does not know the start', HEALTHY, ('unknown',), always=True,
         begin=lambda bench: bench.send_map_of_unknown_start(),
         end=lambda bench: bench.send_map()),
    Case('simulated time without a clock', HEALTHY, ('use_sim_time',),
         begin=lambda bench: bench.set_sim_time(True),
         end=lambda bench: bench.set_sim_time(False)),
)
RUNS = [(kind, case) for kind in PLACES for case in CASES if kind in case.robots]


@pytest.mark.parametrize('bench, case', RUNS, indirect=['bench'], scope='module',
                         ids=[f'{kind}-{case.name}' for kind, case in RUNS])
def test_it_drives_right_or_stands_still_and_says_why(bench, case):
    if case.always:
        bench.set_out_with(case)
    else:
        bench.set_out()
    try:
        if case.drives or not case.words:
            bench.drives(case)
        else:
            bench.stands(case)
    finally:
        case.end(bench)
    violations, bench.judge.violations = bench.judge.violations, []
    assert violations == []
