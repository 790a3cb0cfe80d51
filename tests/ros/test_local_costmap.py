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


"""The local costmap over DDS: a plan in hand that gets blocked is braked for, and replaced."""

from diagnostic_msgs.msg import DiagnosticArray
from follower_robot import Robot
from follower_robot import TICK_NS
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import OccupancyGrid
from nav_msgs.msg import Odometry
import numpy as np
import profiles
import pytest
from sensor_msgs.msg import LaserScan
from trajectory_msgs.msg import MultiDOFJointTrajectory
from visualization_msgs.msg import MarkerArray

from df_planner.driving.executor import Executor
from df_planner.maps.grid import GridMap
from df_planner.planning.plan import Plan
from df_planner.robots.kinds import POINT
from df_planner.ros.conversions import MapAxes
from df_planner.ros.conversions import ns_to_stamp
from df_planner.ros.conversions import pose_from_position
from df_planner.ros.conversions import stamp_to_ns
from df_planner.ros.maps import occupancy_grid_message

AXES = MapAxes(sum(POINT.signals.observation_to_map, ()))
START, GOAL = np.array([-4.0, 2.0, 0.0, 0.0]), np.array([-4.0, 6.0])  # row and column
DISC_M, RADIUS_M = 0.15, POINT.signals.robot_radius_m
HALL = np.zeros((80, 80), np.int8)  # of 8 x 8 m


def show(costmaps, disc, center, stamp_ns, frame_id='odom'):
    """Publish a costmap of 3 x 3 m around a position (2,), with a disc and its inflation."""
    origin = AXES.to_map(np.asarray(center)) - 1.5
    blank = GridMap(np.zeros((60, 60), bool), 0.05, origin, AXES.observation_to_map)
    away_m = np.linalg.norm(
        blank.centers(np.moveaxis(np.indices((60, 60)), 0, -1)) - disc, axis=-1)
    cells = np.select([away_m < DISC_M, away_m < 0.6], [100, 99], 0)
    costmaps.publish(occupancy_grid_message(
        cells, origin, 0.05, ns_to_stamp(stamp_ns), frame_id))


def brake(state):
    """Return the action (2,) that stops a robot in a state (4,)."""
    return Executor('tracking').action(None, 0, state)


class Drive:
    """A robot in a hall between a planner, which replans every ten seconds, and a follower."""

    def __init__(self, start_node, probe):
        start_node('planner', checkpoint='point', planning_frequency_hz=0.1, backend='torch',
                   compensate_latency=False, odom_timeout_s=60.0, lockstep=True)  # invented stamps
        start_node('follower', plan_timeout_s=60.0, odom_timeout_s=60.0)
        self.robot, self.probe = Robot(probe), probe
        self.plans = probe.listen(MultiDOFJointTrajectory, 'plan_trajectory', profiles.PLAN_QOS)
        self.diagnostics = probe.listen(DiagnosticArray, '/diagnostics')
        self.costmaps = probe.publisher(OccupancyGrid, 'local_costmap/costmap',
                                        profiles.LATCHED_QOS, subscribers=2)
        maps = probe.publisher(OccupancyGrid, 'map', profiles.LATCHED_QOS)
        maps.publish(occupancy_grid_message(HALL, (0.0, 0.0), 0.1, ns_to_stamp(0), 'map'))
        goals = probe.publisher(PoseStamped, 'goal_pose', profiles.LATEST_QOS)
        probe.wait_until_found_by('planner')
        goal = PoseStamped(pose=pose_from_position(GOAL, AXES))
        goal.header.frame_id = 'map'
        goals.publish(goal)

    def wait_until_followed(self, state):
        """Stay where a plan begins, tick after tick, until the follower sets off."""
        def sets_off():
            self.last_ns += TICK_NS
            return np.linalg.norm(self.robot.answer(state, self.last_ns) - brake(state)) > 0.05
        self.probe.wait_until(sets_off, 'the plan to be followed')

    def go(self, states, began_ns, steps):
        """Drive on up to a step of a plan; stamps never go back."""
        for step in range((self.last_ns - began_ns) // TICK_NS + 1, steps + 1):
            self.robot.answer(states[step], began_ns + step * TICK_NS)

    def show(self, *seen, **frame):
        """Publish a costmap, as ``show``."""
        show(self.costmaps, *seen, **frame)

    def next_plan(self, state, stamp_ns):
        """Be in a state, tick after tick, until there is a plan; return states and its stamp."""
        self.plans.clear()

        def planned():
            nonlocal stamp_ns
            stamp_ns += TICK_NS
            self.robot.be(state, stamp_ns)
            self.probe.spin_for(0.05)
            return self.plans and self.plans[-1].points
        self.probe.wait_until(planned, 'a plan', 90.0)
        self.last_ns = stamp_ns
        points = self.plans[-1].points
        states = np.array([(p.transforms[0].translation.x, p.transforms[0].translation.y,
                            p.velocities[0].linear.x, p.velocities[0].linear.y) for p in points])
        return (np.hstack([AXES.to_observation(states[:, :2]), AXES.to_observation(
            states[:, 2:])]), stamp_to_ns(self.plans[-1].header.stamp), stamp_ns)

    def wait_for_status(self, name, text):
        """Wait until the status of a task contains a text."""
        self.probe.wait_until(lambda: any(
            status.name == name and text in status.message
            for msg in self.diagnostics for status in msg.status), f'{text!r} of {name}')


@pytest.fixture
def drive(start_node, probe):
    """Return a drive that has not begun."""
    return Drive(start_node, probe)


def test_a_plan_in_hand_that_gets_blocked_is_replaced_at_once(drive):
    states, began_ns, _ = drive.next_plan(START, 10**9)
    step = 30
    now_ns = began_ns + step * TICK_NS
    drive.wait_until_followed(START)
    assert states[step, 3] > 0.3
    drive.go(states, began_ns, step)
    drive.plans.clear()
    disc = states[step + 30, :2]  # 0.3 s ahead
    drive.show(disc, states[step, :2], now_ns)
    drive.probe.wait_until(lambda: drive.plans, 'an answer to the costmap')
    assert not drive.plans[0].points, 'brake, at once'
    # The next plan is made now, not in ten seconds: around the disc as seen, and clear of it.
    stopped = np.concatenate([states[step + 6, :2], np.zeros(2)])
    around, stamp_ns, _ = drive.next_plan(stopped, now_ns)
    assert stamp_ns <= now_ns + 10**9
    away_m = np.linalg.norm(around[:, :2] - disc, axis=-1) - DISC_M
    assert RADIUS_M <= away_m.min() < 1.0
    assert np.linalg.norm(around[-1, :2] - GOAL) < 0.5
    drive.wait_until_followed(stopped)


def test_the_follower_brakes_at_the_next_odometry_without_waiting_for_the_planner(
        start_node, probe):
    start_node('follower', odom_timeout_s=60.0)
    robot = Robot(probe)
    costmaps = probe.publisher(OccupancyGrid, 'local_costmap/costmap', profiles.LATCHED_QOS)
    states = np.tile([-4.0, 2.0, 0.0, 1.0], (300, 1))
    states[:, 1] += 0.01 * np.arange(300)
    plan = Plan(np.zeros((300, 2)), states, 0.01, states[-1, :2])
    for step in (1, 2):  # it trusts odometry that advances
        robot.answer(states[step], 10**9 + step * TICK_NS)
    robot.plan(plan, 10**9)
    off = np.array([0.02, 0.0, 0.0, 0.0])  # feedback brings it back, braking does not
    for step, distance_m, is_free in ((10, 1.0, True), (11, 0.4, False)):
        show(costmaps, states[step, :2] + (0.0, distance_m + DISC_M), states[step, :2],
             10**9 + step * TICK_NS)
        probe.spin_for(0.2)
        action = robot.answer(states[step] + off, 10**9 + (step + 1) * TICK_NS)
        assert np.allclose(action, brake(states[step]), atol=0.02) != is_free, action


def test_a_costmap_that_stops_stops_the_robot_and_is_named(drive):
    states, began_ns, _ = drive.next_plan(START, 10**9)
    drive.show((-1.0, 1.0), START[:2], began_ns, frame_id='map')

    drive.wait_until_followed(START)
    late_ns = began_ns + 150 * TICK_NS  # 1.5 s after the costmap
    drive.probe.spin_for(0.2)
    answer = drive.robot.answer(states[60], late_ns)
    assert np.allclose(answer, brake(states[60]), atol=0.01)
    for name, task in (('follower: following', 'braked: waiting for a newer local_costmap'),
                       ('planner: inputs', 'Waiting for a newer local_costmap/costmap')):
        drive.wait_for_status(name, task)
    drive.show((-1.0, 1.0), START[:2], late_ns, frame_id='nowhere')
    drive.wait_for_status('planner: inputs', 'local_costmap: frame_id must be one of')


def test_the_simulator_publishes_what_its_lidar_sees_and_a_robot_drives_among_what_moves(
        start_node, probe):
    lockstep = {'lockstep': True, 'realtime_priority': 0}
    start_node('planner', checkpoint='point', planning_frequency_hz=10.0, backend='torch',
               compensate_latency=False, **lockstep).wait_for_log(
        'Ready for goals', 90.0)
    start_node('follower', lockstep_plan_steps=10, **lockstep)
    scans = probe.listen(LaserScan, 'scan', profiles.SENSOR_DATA_QOS)
    costmaps = probe.listen(OccupancyGrid, 'local_costmap/costmap', profiles.LATCHED_QOS)
    odometry = probe.listen(Odometry, 'odom', profiles.RECORDING_QOS)
    markers = probe.listen(MarkerArray, 'maze_sim/markers', profiles.LATCHED_QOS)
    start_node('maze_sim', maze='medium', moving_obstacles=2, scan_frequency_hz=20.0, seed=1,
               **lockstep)
    goals = probe.publisher(PoseStamped, 'goal_pose', profiles.LATEST_QOS, subscribers=2)
    probe.wait_until(lambda: scans and costmaps and odometry, 'what the simulator sees')
    start = odometry[0].pose.pose.position
    goal = PoseStamped()
    goal.header.frame_id = 'map'
    corners = [(x, y) for x in (1.0, 6.0) for y in (-1.0, -6.0)]
    goal.pose.position.x, goal.pose.position.y = sorted(
        corners, key=lambda xy: np.hypot(xy[0] - start.x, xy[1] - start.y))[1]
    goals.publish(goal)

    def distance_m():
        at = odometry[-1].pose.pose.position
        return np.hypot(at.x - goal.pose.position.x, at.y - goal.pose.position.y)
    probe.wait_until(lambda: distance_m() < 0.5, 'the goal', 120.0)
    scan, costmap = scans[-1], costmaps[-1]
    assert scan.header.frame_id == 'base_link' and len(scan.ranges) == 360
    assert costmap.header.frame_id == 'odom' and set(costmap.data) == {-1, 0, 100}
    assert 0.05 < np.nanmin(scan.ranges) <= scan.range_max
    stamps = np.array([stamp_to_ns(msg.header.stamp) for msg in costmaps])
    assert (np.diff(stamps) == 5 * TICK_NS).mean() > 0.5
    assert sum(marker.ns == 'moving' for marker in markers[-1].markers) == 2
