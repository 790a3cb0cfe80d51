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


"""The simulator node, over DDS."""

import signal
import time

from geometry_msgs.msg import PoseWithCovarianceStamped
from geometry_msgs.msg import TwistStamped
from geometry_msgs.msg import WrenchStamped
from nav_msgs.msg import OccupancyGrid
from nav_msgs.msg import Odometry
from nav_msgs.srv import GetMap
import numpy as np
import profiles
import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from std_msgs.msg import UInt32
from std_srvs.srv import SetBool
from std_srvs.srv import Trigger
from visualization_msgs.msg import MarkerArray

from df_planner.robots.kinds import POINT
from df_planner.ros import conversions
from df_planner.ros.robots.point import PointRobot
from df_planner.sim.maze import load_maze
from df_planner.sim.maze import OBSERVATION_TO_MAP
from df_planner.sim.world import World

AXES = conversions.MapAxes(OBSERVATION_TO_MAP)
ROBOT = PointRobot(AXES, conversions.ForceScale(POINT.max_force_n, POINT.mass_kg))
MAZE = load_maze('umaze')
START = np.array([1.03, 1.96, 0.2, -0.1])
TICK_NS = 10_000_000


def stamp_ns(msg):
    """Return the stamp of a message in nanoseconds."""
    return conversions.stamp_to_ns(msg.header.stamp)


def state_of(odometry):
    """Return the state (4,) of an odometry message."""
    return ROBOT.state(odometry, ('odom',))


class Driver:
    """Set states, publish actions and hear the odometry of a simulator."""

    def __init__(self, probe):
        self.probe = probe
        self.odometry = probe.listen(Odometry, 'odom', profiles.RECORDING_QOS)
        self._state_publisher = probe.publisher(
            Odometry, 'maze_sim/set_state', profiles.LATEST_QOS)
        self._wrench_publisher = probe.publisher(WrenchStamped, 'cmd_wrench', profiles.LATEST_QOS)
        probe.wait_until(lambda: self.odometry, 'odometry')
        probe.wait_until_found_by('maze_sim')

    def put(self, state):
        """Teleport and return the first odometry from there."""
        self._state_publisher.publish(ROBOT.odometry(
            state, self.odometry[-1].header.stamp, 'odom', 'base_link'))
        self.probe.wait_until(lambda: np.array_equal(state_of(self.odometry[-1]), state),
                              f'the state {state}')
        return self.odometry[-1]

    def command(self, action, time_ns, frame_id='map'):
        """Publish an action."""
        self._wrench_publisher.publish(ROBOT.command(
            np.asarray(action, float), conversions.ns_to_stamp(time_ns), frame_id, 'base_link'))

    def drive(self, actions):
        """In lockstep, answer every odometry with the next action; return the states."""
        states = []
        for action in actions:
            time_ns = stamp_ns(self.odometry[-1])
            self.command(action, time_ns)
            self.probe.wait_until(lambda: stamp_ns(self.odometry[-1]) > time_ns, 'the next tick')
            assert stamp_ns(self.odometry[-1]) == time_ns + TICK_NS
            states.append(state_of(self.odometry[-1]))
        return np.array(states)


def test_lockstep_is_the_world_step_by_step(start_node, probe):
    start_node('maze_sim', maze='umaze', lockstep=True, lockstep_timeout_s=0.2)
    driver = Driver(probe)
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1.0, 1.0, (150, 2)).astype(np.float32).astype(np.float64)
    world = World(MAZE)
    world.set_state(START)
    expected = np.array([world.step(action) for action in actions])
    for _ in range(2):
        driver.put(START)
        assert np.array_equal(driver.drive(actions), expected)

    # Without an answer the same odometry comes again; another stamp's answer changes nothing.
    time_ns = stamp_ns(driver.odometry[-1])
    driver.command([1.0, 1.0], time_ns - TICK_NS)
    driver.command([1.0, 1.0], time_ns + TICK_NS)
    heard = len(driver.odometry)
    probe.wait_until(lambda: len(driver.odometry) >= heard + 2, 'odometry to be repeated')
    assert stamp_ns(driver.odometry[-1]) == time_ns
    assert np.array_equal(state_of(driver.odometry[-1]), expected[-1])


def test_a_recorder_that_is_busy_for_a_second_misses_nothing(start_node, probe):
    start_node('maze_sim', maze='umaze', real_time_factor=5.0)
    odometry = probe.listen(Odometry, 'odom', profiles.RECORDING_QOS)
    probe.wait_until(lambda: odometry, 'odometry')
    before_ns = stamp_ns(odometry[-1])
    time.sleep(1.2)  # not spinning is being busy
    late_ns = before_ns + 500 * TICK_NS
    probe.wait_until(lambda: stamp_ns(odometry[-1]) > late_ns, 'five hundred ticks')
    assert (np.diff([stamp_ns(msg) for msg in odometry]) == TICK_NS).all()


def test_bad_inputs_change_nothing(start_node, probe):
    sim = start_node('maze_sim', maze='umaze', lockstep=True)
    driver = Driver(probe)
    poses = probe.publisher(PoseWithCovarianceStamped, 'initialpose', profiles.LATEST_QOS)
    states = probe.publisher(Odometry, 'maze_sim/set_state', profiles.LATEST_QOS)
    first = driver.put(START)

    def pose_at(row, column, frame_id='map'):
        msg = PoseWithCovarianceStamped()
        msg.header.frame_id = frame_id
        msg.pose.pose.position.x, msg.pose.pose.position.y = float(column), -float(row)
        return msg

    for msg, complaint in [
            (pose_at(2.0, 2.0), 'START_OCCUPIED: the start (2.00, -2.00)'),
            (pose_at(50.0, 1.0), 'START_OUTSIDE_MAP: the start (1.00, -50.00)'),
            (pose_at(float('nan'), 1.0), 'INVALID_INPUT'),
            (pose_at(1.0, 1.0, 'moon'), 'TF_ERROR')]:
        poses.publish(msg)
        sim.wait_for_log(complaint)
    msg = ROBOT.odometry(START, first.header.stamp, 'odom', 'base_link')
    msg.twist.twist.linear.x = float('inf')
    states.publish(msg)
    sim.wait_for_log('odometry: must be finite')
    wrench = WrenchStamped(header=first.header)
    wrench.wrench.force.x = float('nan')
    driver._wrench_publisher.publish(wrench)
    sim.wait_for_log('wrench: must be finite')
    driver.command([1.0, 1.0], stamp_ns(first), 'moon')
    sim.wait_for_log('wrench: frame_id must be one of')
    driver.command([1.0, 1.0], 0)
    sim.wait_for_log('STALE_INPUT')

    probe.spin_for(0.1)
    assert stamp_ns(driver.odometry[-1]) == stamp_ns(first)
    assert np.array_equal(state_of(driver.odometry[-1]), START)
    assert sim.stop() == 0


def test_clock_pause_and_reset(start_node, probe):
    sim = start_node('maze_sim', maze='umaze', real_time_factor=2.0, steps_per_call=3)
    clock = probe.listen(Clock, '/clock', profiles.SENSOR_DATA_QOS)
    odometry = probe.listen(Odometry, 'odom')
    episodes = probe.listen(UInt32, 'maze_sim/episode', profiles.LATCHED_QOS)
    pause = probe.client(SetBool, 'maze_sim/pause')
    step = probe.client(Trigger, 'maze_sim/step')
    reset = probe.client(Trigger, 'maze_sim/reset')
    probe.wait_until(lambda: odometry and clock and episodes, 'clock, odometry and episode')

    def goes_at(factor):
        """Tell whether time goes at a pace for a while; a busy machine may need a few tries."""
        begin_ns, begin_s = stamp_ns(odometry[-1]), time.monotonic()
        probe.spin_for(0.6)
        pace = (stamp_ns(odometry[-1]) - begin_ns) * 1e-9 / (time.monotonic() - begin_s)
        return pace == pytest.approx(factor, rel=0.15)

    def clock_tells_the_last_tick():
        return conversions.stamp_to_ns(clock[-1].clock) == stamp_ns(odometry[-1])

    probe.wait_until(lambda: goes_at(2.0), 'twice the real time')

    assert not probe.call(step, Trigger.Request()).success
    assert probe.call(pause, SetBool.Request(data=True)).success
    probe.spin_for(0.2)
    probe.wait_until(clock_tells_the_last_tick, 'all that was sent before the pause')
    paused_ns, heard = stamp_ns(odometry[-1]), len(odometry)
    probe.spin_for(0.3)
    assert len(odometry) == heard
    assert conversions.stamp_to_ns(clock[-1].clock) == paused_ns  # not left behind by the pace
    assert probe.call(step, Trigger.Request()).success
    probe.wait_until(lambda: len(odometry) >= heard + 3, 'three steps')
    assert stamp_ns(odometry[-1]) == paused_ns + 3 * TICK_NS
    probe.wait_until(clock_tells_the_last_tick, 'the clock of the last step')
    probe.spin_for(0.3)
    resumed_s = time.monotonic()
    assert probe.call(pause, SetBool.Request(data=False)).success
    probe.wait_until(lambda: stamp_ns(odometry[-1]) > paused_ns + 10 * TICK_NS, 'time to go on')
    went_s = (stamp_ns(odometry[-1]) - paused_ns) * 1e-9
    assert went_s < 2.0 * (time.monotonic() - resumed_s) + 0.35  # the pause is not caught up

    episode, before_ns = episodes[-1].data, stamp_ns(odometry[-1])
    assert probe.call(reset, Trigger.Request()).success
    probe.wait_until(lambda: episodes[-1].data == episode + 1, 'the next episode')
    probe.wait_until(lambda: stamp_ns(odometry[-1]) >= before_ns + 1_000_000_000,
                     'the second between episodes')

    set_parameters = probe.client(SetParameters, 'maze_sim/set_parameters')

    def set_parameter(name, value):
        return probe.call(set_parameters, SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg()])).results[0]

    assert set_parameter('real_time_factor', 0.5).successful
    probe.wait_until(lambda: goes_at(0.5), 'half the real time')
    assert 'real_time_factor' in set_parameter('real_time_factor', -1.0).reason
    assert not set_parameter('maze', 'large').successful

    for times_ns in ([conversions.stamp_to_ns(msg.clock) for msg in clock],
                     [stamp_ns(msg) for msg in odometry]):
        assert (np.diff(times_ns) >= 0).all()
    assert sim.stop(signal.SIGTERM) == 0


def test_commands_time_out_and_stale_ones_are_refused(start_node, probe):
    sim = start_node('maze_sim', maze='umaze', cmd_timeout_s=0.2)
    driver = Driver(probe)
    driver.put(np.array([1.0, 1.0, 0.0, 0.0]))
    driver.command([0.0, 0.3], 0)  # no stamp means now
    probe.wait_until(lambda: state_of(driver.odometry[-1])[3] > 0.1, 'the ball to move')
    end_ns = stamp_ns(driver.odometry[-1]) + 30 * TICK_NS
    probe.wait_until(lambda: stamp_ns(driver.odometry[-1]) > end_ns, 'the timeout')
    coasting = state_of(driver.odometry[-1])
    world = World(MAZE)
    world.set_state(state_of(driver.odometry[-2]))
    assert np.array_equal(world.step([0.0, 0.0]), coasting)
    driver.command([1.0, 1.0], stamp_ns(driver.odometry[-1]) - 10 * 100 * TICK_NS)
    sim.wait_for_log('STALE_INPUT')


def test_velocity_control_and_latched_topics(start_node, probe):
    start_node('maze_sim', maze='umaze', control_mode='velocity')
    odometry = probe.listen(Odometry, 'odom')
    maps = probe.listen(OccupancyGrid, 'map', profiles.LATCHED_QOS)
    markers = probe.listen(MarkerArray, 'maze_sim/markers', profiles.LATCHED_QOS)
    poses = probe.publisher(PoseWithCovarianceStamped, 'initialpose', profiles.LATEST_QOS)
    commands = probe.publisher(TwistStamped, 'cmd_vel', profiles.LATEST_QOS)
    get_map = probe.client(GetMap, 'maze_sim/get_map')
    probe.wait_until(lambda: maps and markers and odometry, 'latched topics')

    assert probe.call(get_map, GetMap.Request()).map == maps[0]
    origin = maps[0].info.origin.position
    column = round((2.0 - origin.x) / 0.1)
    row = round((-2.0 - origin.y) / 0.1)
    assert maps[0].data[row * maps[0].info.width + column] == 100  # the wall in the middle
    assert {marker.ns for marker in markers[0].markers} == {'walls', 'robot', 'goal'}

    pose = PoseWithCovarianceStamped()
    pose.header.frame_id = 'map'
    pose.pose.pose.position.x, pose.pose.pose.position.y = 1.0, -1.0
    poses.publish(pose)
    probe.wait_until(lambda: state_of(odometry[-1])[0] == 1.0, 'the teleport')
    command = TwistStamped()
    command.twist.linear.x = 0.5

    def moves_as_told():
        command.header.stamp = odometry[-1].header.stamp
        commands.publish(command)
        return abs(odometry[-1].twist.twist.linear.x - 0.5) < 0.02

    probe.wait_until(moves_as_told, 'the velocity')


@pytest.mark.parametrize('parameters, complaint', [
    ({'maze': 'nowhere'}, "no maze 'nowhere'"),
    ({'real_time_factor': -1.0}, 'real_time_factor'),
    ({'lockstep': 1.5}, 'lockstep'),
    ({'map_resolution_m': 0.3}, 'resolution_m must divide')])
def test_bad_parameters_end_with_one_line(start_node, parameters, complaint):
    sim = start_node('maze_sim', **parameters)
    assert sim.wait() == 1
    assert complaint in sim.log
    assert 'Traceback' not in sim.log


def test_flat_out_has_fewer_clocks_than_ticks(start_node, probe):
    """Faster than real time /clock goes on by the wall clock, not by ticks."""
    start_node('maze_sim', maze='umaze', real_time_factor=0.0)
    clock = probe.listen(Clock, '/clock', profiles.SENSOR_DATA_QOS)
    probe.wait_until(lambda: clock, 'a clock')
    first, began_s = len(clock), time.monotonic()
    probe.wait_until(lambda: len(clock) >= first + 20, 'twenty clocks')
    assert time.monotonic() - began_s > 20 * 0.008 / 2  # some may have waited in the reader
    times_ns = np.array([conversions.stamp_to_ns(msg.clock) for msg in clock[first:]])
    assert np.median(np.diff(times_ns)) > 2 * TICK_NS
