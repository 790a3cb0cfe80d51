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

"""Robots that take twists over DDS, and the frames of their messages."""

import json

from geometry_msgs.msg import PoseWithCovarianceStamped
from geometry_msgs.msg import Twist
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
import numpy as np
from plan_messages import trajectory_message
import profiles
import pytest
from rclpy.serialization import deserialize_message
from rclpy.serialization import serialize_message
from tiny_model import write_tiny_model
from trajectory_msgs.msg import MultiDOFJointTrajectory
from visualization_msgs.msg import MarkerArray
import yaml

from df_planner.errors import FrameError
from df_planner.errors import InvalidInput
from df_planner.files import share_path
from df_planner.planning.plan import Plan
from df_planner.robots.kinds import DIFF_DRIVE
from df_planner.robots.kinds import OMNI
from df_planner.robots.kinds import ROBOTS
from df_planner.ros import conversions
from df_planner.ros.robots.kinds import robot_messages
from df_planner.ros.robots.twist import TwistRobot
from df_planner.ros.trajectory_cdr import rows_from_bytes
from df_planner.ros.trajectory_cdr import trajectory_bytes
from df_planner.sim.bases import DiffDriveWorld
from df_planner.sim.maze import load_maze

AXES = conversions.MapAxes(DIFF_DRIVE.signals.observation_to_map)
ROBOT = TwistRobot(AXES)
STAMP = conversions.ns_to_stamp(5_000_000_000)
TICK_NS = 50_000_000
MAZE = load_maze('umaze')
SHIPPED = ('--params-file', str(share_path('config/diff_drive.yaml')))
STEPS, INTERVAL_STEPS = 40, 5
# An untrained model plans noise between start and goal; these let it pass as a plan, mostly.
SETTINGS = {'collision_check': False, 'dynamics_tolerance': 50.0, 'num_samples': 4,
            'sampling_steps': 2}
START = np.array([0.8, -0.8, 0.0, 0.0, np.cos(0.4), np.sin(0.4)])  # in a corner of the umaze


def over_the_wire(msg):
    """Return a message as a subscriber would get it."""
    return deserialize_message(serialize_message(msg), type(msg))


def random_states(count, rng):
    """Return states (N, 6) of any heading."""
    yaw = rng.uniform(-np.pi, np.pi, count)
    return np.column_stack([rng.normal(0.0, 3.0, (count, 4)), np.cos(yaw), np.sin(yaw)])


def make_plan(steps=30, limits=DIFF_DRIVE.signals.action_limits):
    """Return a plan of random states and float32 actions within the limits."""
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1.0, 1.0, (steps, len(limits))) * limits
    states = random_states(steps, rng)
    return Plan(actions=actions.astype(np.float32).astype(np.float64), states=states,
                dt_s=DIFF_DRIVE.signals.dt_s, goal=states[-1, :2])


@pytest.mark.parametrize('axes', [(1.0, 0.0, 0.0, 1.0), (0.0, 1.0, -1.0, 0.0),
                                  (0.0, 1.0, 1.0, 0.0)])
@pytest.mark.parametrize('kind', [DIFF_DRIVE, OMNI])
def test_states_plans_and_actions_cross(kind, axes):
    """Whatever the axes of the data, mirrored ones too."""
    robot = robot_messages(kind.name, conversions.MapAxes(axes))
    plan = make_plan(limits=kind.signals.action_limits)
    for state in random_states(50, np.random.default_rng(1)):
        msg = over_the_wire(robot.odometry(state, STAMP, 'odom', 'base_link'))
        assert np.allclose(robot.state(msg, ('odom',)), state, rtol=0.0, atol=1e-12)
    data = trajectory_bytes(robot.trajectory(plan, STAMP, 'map'), 'base_link')
    copy = robot.plan(rows_from_bytes(data), ('map',), plan.dt_s)
    assert np.array_equal(copy.actions, plan.actions)
    assert np.allclose(copy.states, plan.states, rtol=0.0, atol=1e-12)
    command = over_the_wire(robot.command(plan.actions[0], STAMP, 'map', 'base_link'))
    assert np.array_equal(robot.action(command, ('base_link',)), plan.actions[0])
    nothing = robot.trajectory(None, STAMP, 'map')
    assert robot.plan(nothing, ('map',), 0.05) is None


def test_frames_are_those_of_rep_105():
    """A robot that faces up the map and drives backwards, in numbers."""
    state = np.array([1.0, 2.0, 0.1, -0.5, 0.0, 1.0])
    msg = ROBOT.odometry(state, STAMP, 'odom', 'base_link')
    assert msg.child_frame_id == 'base_link'
    assert msg.pose.pose.orientation.z == pytest.approx(np.sqrt(0.5))
    assert msg.twist.twist.linear.x == pytest.approx(-0.5)
    assert msg.twist.twist.linear.y == pytest.approx(-0.1)
    plan = Plan(actions=np.array([[-0.75, 2.0]]), states=state[None], dt_s=0.05, goal=state[:2])
    [point] = trajectory_message(ROBOT, plan, STAMP).points
    assert point.velocities[0].linear.y == -0.5 and point.velocities[0].angular.z == 2.0
    assert point.accelerations[0].linear.y == pytest.approx((-0.75 + 0.5) / 0.05)
    [pose] = ROBOT.path(plan, STAMP, 'map').poses
    assert pose.pose.orientation == msg.pose.pose.orientation


def test_what_is_no_heading_is_refused():
    for values in ((0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 2.0, 0.0), (0.0, np.sqrt(0.5), 0.0,
                   np.sqrt(0.5)), (0.0, 0.0, np.nan, 1.0)):
        msg = ROBOT.odometry(START, STAMP, 'odom', 'base_link')
        rotation = msg.pose.pose.orientation
        rotation.x, rotation.y, rotation.z, rotation.w = values
        with pytest.raises(InvalidInput, match='odometry: '):
            ROBOT.state(msg, ('odom',))
    with pytest.raises(FrameError, match='cmd_vel'):
        ROBOT.action(ROBOT.command(np.zeros(2), STAMP, 'map', 'moon'), ('base_link', ''))


class Driver:
    """Set states, publish twists and hear the odometry of a simulator."""

    def __init__(self, probe, kind=TwistStamped):
        self.probe = probe
        self.odometry = probe.listen(Odometry, 'odom', profiles.RECORDING_QOS)
        self._states = probe.publisher(Odometry, 'maze_sim/set_state', profiles.LATEST_QOS)
        self.commands = probe.publisher(kind, 'cmd_vel', profiles.LATEST_QOS)
        probe.wait_until(lambda: self.odometry, 'odometry')

    @property
    def state(self):
        """Return the newest one, (6,)."""
        return ROBOT.state(self.odometry[-1], ('odom',))

    @property
    def stamp_ns(self):
        """Return its stamp."""
        return conversions.stamp_to_ns(self.odometry[-1].header.stamp)

    def put(self, state):
        """Teleport."""
        self._states.publish(ROBOT.odometry(
            state, self.odometry[-1].header.stamp, 'odom', 'base_link'))
        self.probe.wait_until(lambda: np.allclose(self.state, state, rtol=0.0, atol=1e-9),
                              f'the state {state}')

    def command(self, action, stamp_ns):
        """Publish a twist."""
        self.commands.publish(ROBOT.command(
            np.asarray(action), conversions.ns_to_stamp(stamp_ns), 'map', 'base_link'))


def test_lockstep_is_the_world_step_by_step(start_node, probe):
    sim = start_node('maze_sim', maze='umaze', robot='diff_drive', lockstep=True)
    sim.wait_for_log('diff_drive')
    driver = Driver(probe)
    world, rng = DiffDriveWorld(MAZE), np.random.default_rng(0)
    driver.put(START)
    world.set_state(START)
    for action in rng.uniform(-1.0, 1.0, (40, 2)) * DIFF_DRIVE.signals.action_limits:
        stamp_ns = driver.stamp_ns
        driver.command(action, stamp_ns)
        probe.wait_until(lambda: driver.stamp_ns > stamp_ns, 'the next tick')
        assert driver.stamp_ns == stamp_ns + TICK_NS
        assert np.allclose(driver.state, world.step(action), rtol=0.0, atol=1e-9)
    driver.command([np.nan, 0.0], driver.stamp_ns)
    sim.wait_for_log('cmd_vel: must be finite')
    assert sim.stop() == 0


def test_a_twist_without_a_stamp_drives_and_times_out(start_node, probe):
    sim = start_node('maze_sim', maze='umaze', robot='diff_drive', enable_stamped_cmd_vel=False,
                     cmd_timeout_s=0.3)
    sim.wait_for_log('diff_drive')
    driver = Driver(probe, Twist)
    markers = probe.listen(MarkerArray, 'maze_sim/markers', profiles.LATCHED_QOS)
    poses = probe.publisher(PoseWithCovarianceStamped, 'initialpose', profiles.LATEST_QOS)
    pose = PoseWithCovarianceStamped()
    pose.header.frame_id = 'map'
    pose.pose.pose = ROBOT.pose(START)
    poses.publish(pose)
    probe.wait_until(lambda: np.allclose(driver.state, START, rtol=0.0, atol=1e-3), 'the pose')
    turning = Twist()
    turning.angular.z = 2.0
    driver.commands.publish(turning)
    probe.wait_until(lambda: driver.state[5] > np.sin(0.6), 'a turn to the left')
    end_ns = driver.stamp_ns + 20 * TICK_NS
    probe.wait_until(lambda: driver.stamp_ns > end_ns, 'the timeout')
    assert np.allclose(ROBOT.state(driver.odometry[-5], ('odom',)), driver.state, atol=1e-3)
    assert np.allclose(driver.state[:2], START[:2], atol=0.05)
    probe.wait_until(lambda: markers, 'markers')
    assert [m.ns for m in markers[-1].markers] == ['walls', 'robot', 'goal']
    assert sim.stop() == 0


def test_a_follower_keeps_its_limits_and_stops_when_the_plan_is_old(start_node, probe):
    follower = start_node('follower', SHIPPED, robot='diff_drive', plan_timeout_s=0.5,
                          odom_timeout_s=60.0,  # on a busy machine, too
                          base_frame_id='base_footprint')
    follower.wait_for_log('tracking execution')
    commands = probe.listen(TwistStamped, 'cmd_vel', profiles.RECORDING_QOS)
    odometry = probe.publisher(Odometry, 'odom')
    trajectories = probe.publisher(MultiDOFJointTrajectory, 'plan_trajectory', profiles.PLAN_QOS)
    probe.wait_until_found_by('follower')

    def answer(state, stamp_ns):
        """Return the twist and the frame of the answer to a state."""
        stamp, last = conversions.ns_to_stamp(stamp_ns), []

        def answered():
            if not last:
                odometry.publish(ROBOT.odometry(state, stamp, 'odom', 'base_footprint'))
            probe.spin_for(0.05)
            last[:] = [msg for msg in commands if msg.header.stamp == stamp]
            return last
        probe.wait_until(answered, 'an answer')
        return last[0].twist, last[0].header.frame_id

    begin_ns = 5_000_000_000
    twist, frame_id = answer(START, begin_ns)  # no plan yet
    assert (twist.linear.x, twist.angular.z, frame_id) == (0.0, 0.0, 'base_footprint')
    # A plan that goes on straight ahead, 3 m to the left of the robot and 3 m ahead of it.
    heading = START[4:]
    ahead = 3.0 + 0.05 * np.arange(60)[:, None]
    way = START[:2] + ahead * heading + 3.0 * np.array((-heading[1], heading[0]))
    plan = Plan(actions=np.tile([1.0, 0.0], (60, 1)), dt_s=DIFF_DRIVE.signals.dt_s, goal=way[-1],
                states=np.column_stack([way, np.tile(np.tile(heading, 2), (60, 1))]))
    trajectories.publish(trajectory_message(
        ROBOT, plan, conversions.ns_to_stamp(begin_ns), joint='base_footprint'))
    probe.wait_until_found_by('follower')  # the answer comes after the plan has been heard
    twist, _ = answer(START, begin_ns + TICK_NS)
    assert (twist.linear.x, twist.angular.z) == DIFF_DRIVE.signals.action_limits
    twist, _ = answer(START, begin_ns + 10 * TICK_NS)
    assert (twist.linear.x, twist.angular.z) == (0.0, 0.0)
    assert follower.stop() == 0


@pytest.mark.parametrize('parameters, complaint', [
    ({'execution': 'time_optimal'}, 'time_optimal'),
    ({'lockstep': True, 'enable_stamped_cmd_vel': False}, 'enable_stamped_cmd_vel')])
def test_a_follower_refuses_what_is_not_for_the_robot(start_node, parameters, complaint):
    follower = start_node('follower', robot='diff_drive', **parameters)
    assert follower.wait() == 1
    [line] = follower.log.strip().splitlines()
    assert 'BAD_CONFIG' in line and complaint in line


def test_sideways_is_to_the_left():
    """A base that faces up the map and is told to go left goes to minus x, in numbers."""
    robot = robot_messages('omni', AXES)
    twist = robot.command(np.array([0.5, 0.25, -1.0]), STAMP, 'map', 'base_link').twist
    assert (twist.linear.x, twist.linear.y, twist.angular.z) == (0.5, 0.25, -1.0)
    state = np.array([1.0, 2.0, 0.0, 0.0, 0.0, 1.0])
    plan = Plan(np.array([[0.5, 0.25, -1.0]]), state[None], dt_s=0.05, goal=state[:2])
    [point] = trajectory_message(robot, plan, STAMP).points
    assert point.accelerations[0].linear.x == pytest.approx(-0.25 / 0.05)
    assert point.accelerations[0].linear.y == pytest.approx(0.5 / 0.05)


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    """Return an untrained model of the robot."""
    return write_tiny_model(tmp_path_factory.mktemp('model'), robot='diff_drive')


def test_a_planner_refuses_a_model_of_another_robot(start_node, model):
    planner = start_node('planner', checkpoint=model)
    planner.wait_for_log('BAD_CHECKPOINT')
    assert 'is for a diff_drive, with x, y, vx, vy, heading_cos, heading_sin' in planner.log
    assert planner.stop() == 0


@pytest.mark.parametrize('robot', ['diff_drive', 'omni'])
def test_the_benchmark_drives_planner_follower_and_simulator(start_node, robot, tmp_path):
    model = write_tiny_model(tmp_path, robot=robot)
    facts = ROBOTS[robot].node_parameters()
    path = tmp_path / 'short.yaml'
    path.write_text(yaml.safe_dump({'layout': list(MAZE.rows), 'max_episode_steps': STEPS}))
    nodes = [
        start_node('maze_sim', maze_file=path, robot=robot, lockstep=True),
        start_node('planner', robot=robot, checkpoint=model,
                   compensate_latency=False, lockstep=True, realtime_priority=0,
                   planning_frequency_hz=1.0 / (INTERVAL_STEPS * DIFF_DRIVE.signals.dt_s),
                   **{**facts['planner'], **SETTINGS}),
        start_node('follower', robot=robot, lockstep=True,
                   lockstep_plan_steps=INTERVAL_STEPS, **facts['follower'])]
    benchmark = start_node('maze_benchmark', maze=path, robot=robot, episodes=2,
                           seed=3, multi_goal=True, min_success_rate=0.0, out_dir=tmp_path)
    assert benchmark.wait(120.0) == 0, benchmark.log + ''.join(node.log for node in nodes)
    results = json.loads((tmp_path / 'results.json').read_text())
    assert results['meta']['robot'] == robot and results['summary']['dt_s'] == 0.05
    for record in results['episodes']:
        assert record['steps'] == STEPS and record['plans'] + record['failed_plans'] == 8
        assert not MAZE.is_wall(record['start'][:2]) and not MAZE.is_wall(record['goal'])
        assert record['path_length_m'] > 0.2
    assert (tmp_path / 'paths.png').stat().st_size > 10_000
    for node in nodes:
        assert node.stop() == 0
        assert 'Traceback' not in node.log
