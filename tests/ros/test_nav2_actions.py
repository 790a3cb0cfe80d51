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

"""Nav2's actions of the planner node over DDS, with real nav2_msgs built for the test."""

from importlib import import_module
import math
import time

from action_msgs.msg import GoalStatus
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
import message_build
from nav_msgs.msg import OccupancyGrid
from nav_msgs.msg import Odometry
import profiles
import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.action import ActionClient
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger
from tiny_model import write_tiny_model
from trajectory_msgs.msg import MultiDOFJointTrajectory

from df_planner.ros.conversions import ns_to_stamp
from df_planner.ros.maps import occupancy_grid_message
from df_planner.sim.maze import load_maze

START_UP_S = 90.0
TICK_NS = 10_000_000
START, GOAL, OTHER_GOAL = (1.0, -3.0), (1.0, -1.0), (3.0, -3.0)  # x, y in the umaze
WALL, OUTSIDE = (2.0, -2.0), (50.0, 0.0)
QUICK = {'collision_check': False, 'num_samples': 4, 'sampling_steps': 2,
         'compensate_latency': False, 'odom_timeout_s': 60.0, 'timeout_s': 60.0,
         'lockstep': True}
SLOW_STEPS = 1000
SUCCEEDED, ABORTED, CANCELED = (GoalStatus.STATUS_SUCCEEDED, GoalStatus.STATUS_ABORTED,
                                GoalStatus.STATUS_CANCELED)

pytestmark = pytest.mark.skipif(not message_build.have_compiler(), reason='no C++ compiler')


@pytest.fixture(scope='module')
def nav2(tmp_path_factory):
    """Return the module of Nav2's actions, which processes find while the tests run."""
    folder = tmp_path_factory.mktemp('messages')
    message_build.build('nav2_msgs', folder)
    with message_build.installed(folder):
        yield import_module('nav2_msgs.action')


class Planner:
    """The planner and what surrounds it."""

    def __init__(self, node, probe, nav2):
        self.node, self.probe, self.nav2, self.tick = node, probe, nav2, 100
        self.path_client = ActionClient(probe.node, nav2.ComputePathToPose,
                                        'compute_path_to_pose')
        self.drive_client = ActionClient(probe.node, nav2.NavigateToPose, 'navigate_to_pose')
        self.trajectories = probe.listen(MultiDOFJointTrajectory, 'plan_trajectory')
        self.goals = probe.publisher(PoseStamped, 'goal_pose', profiles.LATEST_QOS)
        self.active_goals = probe.listen(PoseStamped, 'active_goal', profiles.LATCHED_QOS)
        self.odometry = probe.publisher(Odometry, 'odom')
        self.maps = probe.publisher(OccupancyGrid, 'map', profiles.LATCHED_QOS)
        probe.wait_until(lambda: self.path_client.server_is_ready()
                         and self.drive_client.server_is_ready()
                         and probe.node.count_publishers('plan_trajectory'), 'the servers')
        data, origin = load_maze('umaze').occupancy_grid(0.1)
        self.maps.publish(occupancy_grid_message(data, origin, 0.1, ns_to_stamp(0), 'map'))
        self.clear_goal = probe.client(Trigger, 'planner/clear_goal')
        self._set_parameters = probe.client(SetParameters, 'planner/set_parameters')

    def be(self, position=START, speed=0.0):
        """Publish odometry, half a second later than the last one."""
        self.tick += 50
        msg = Odometry(child_frame_id='base_link')
        msg.header.frame_id, msg.header.stamp = 'odom', ns_to_stamp(self.tick * TICK_NS)
        msg.pose.pose.position.x, msg.pose.pose.position.y = position
        msg.twist.twist.linear.x = speed
        self.odometry.publish(msg)

    def send(self, client, goal, feedback=None):
        """Send a goal and return its handle."""
        future = client.send_goal_async(goal, feedback_callback=feedback)
        self.probe.wait_until(future.done, 'an answer to the goal', 30.0)
        return future.result()

    def result(self, handle):
        """Return the status and the result of a goal that was accepted."""
        assert handle.accepted
        future = handle.get_result_async()
        self.probe.wait_until(future.done, 'the result', 60.0)
        return future.result().status, future.result().result

    def path_goal(self, goal=GOAL, start=START, frame_id='map'):
        """Return a goal of compute_path_to_pose."""
        found = self.nav2.ComputePathToPose.Goal(goal=pose(goal, frame_id),
                                                 use_start=start is not None)
        if start is not None:
            found.start = pose(start)
        return found

    def path(self, **arguments):
        """Ask for a path and return status and result."""
        return self.result(self.send(self.path_client, self.path_goal(**arguments)))

    def drive(self, goal=GOAL, frame_id='map', feedback=None):
        """Begin to drive and return the handle."""
        return self.send(self.drive_client, self.nav2.NavigateToPose.Goal(
            pose=pose(goal, frame_id)), feedback)

    def cancel(self, handle):
        """Cancel a goal, which the server must accept."""
        future = handle.cancel_goal_async()
        self.probe.wait_until(future.done, 'an answer to the cancellation')
        assert len(future.result().goals_canceling) == 1

    def set_sampling_steps(self, value):
        """Make plans slower or quicker from the next one on."""
        self.set_parameter('sampling_steps', value)

    def set_parameter(self, name, value):
        """Change a parameter."""
        assert self.probe.call(self._set_parameters, SetParameters.Request(parameters=[
            Parameter(name, value=value).to_parameter_msg()])).results[0].successful

    def stay_until(self, condition, what, *where):
        """Be somewhere, again and again as a robot's odometry goes on, until something is so."""
        odometry = self.probe.node.create_timer(0.2, lambda: self.be(*where))
        self.probe.wait_until(condition, what, 30.0)
        self.probe.node.destroy_timer(odometry)

    def wait_for_plan_to(self, position):
        """Be at the start until there is a plan to a position."""
        def found():
            if self.trajectories and self.trajectories[-1].points:
                end = self.trajectories[-1].points[-1].transforms[0].translation
                if math.dist((end.x, end.y), position) <= 0.5:
                    return True
            return False
        self.stay_until(found, f'a plan to {position}')

    def wait_for_brake(self):
        """Wait until the last word of the planner is an empty trajectory."""
        self.probe.wait_until(
            lambda: self.trajectories and not self.trajectories[-1].points, 'the brake')


def pose(position, frame_id='map'):
    """Return a pose."""
    msg = PoseStamped()
    msg.header.frame_id = frame_id
    msg.pose.position.x, msg.pose.position.y = position
    return msg


@pytest.fixture(scope='module')
def shared(nav2, start_module_node, module_probe, tmp_path_factory):
    """Return the planner that is shared by tests, before it has heard any odometry."""
    model = write_tiny_model(tmp_path_factory.mktemp('model'))
    node = start_module_node('planner', checkpoint=model, **QUICK)
    node.wait_for_log('Ready for goals', START_UP_S)
    return Planner(node, module_probe, nav2)


@pytest.fixture
def planner(shared):
    """Return the planner, quick and without a goal."""
    yield shared
    shared.set_sampling_steps(2)
    shared.trajectories.clear()


def test_a_path_from_the_odometry_needs_odometry(planner):
    status, result = planner.path(start=None)
    assert (status, result.error_code) == (ABORTED, result.TF_ERROR)
    planner.be(OTHER_GOAL)
    planner.probe.spin_for(0.3)
    status, result = planner.path(start=None)
    assert (status, result.error_code) == (SUCCEEDED, result.NONE)
    first = result.path.poses[0].pose.position
    assert (first.x, first.y) == OTHER_GOAL


def test_a_path_is_computed_without_driving(planner):
    status, result = planner.path()
    assert (status, result.error_code) == (SUCCEEDED, result.NONE)
    assert result.path.header.frame_id == 'map'
    first, last = (result.path.poses[i].pose.position for i in (0, -1))
    assert (first.x, first.y) == START
    assert math.dist((last.x, last.y), GOAL) <= 0.5
    assert 0 < result.planning_time.sec * 10**9 + result.planning_time.nanosec < 30 * 10**9
    planner.be()
    planner.probe.spin_for(0.2)
    assert planner.trajectories == []


@pytest.mark.parametrize('arguments, name', [
    ({'goal': WALL}, 'GOAL_OCCUPIED'), ({'goal': OUTSIDE}, 'GOAL_OUTSIDE_MAP'),
    ({'start': WALL}, 'START_OCCUPIED'), ({'start': OUTSIDE}, 'START_OUTSIDE_MAP'),
    ({'frame_id': 'camera'}, 'TF_ERROR'), ({'frame_id': ''}, 'TF_ERROR'),
    ({'goal': (math.nan, 0.0)}, 'UNKNOWN')])
def test_a_path_that_cannot_be_has_nav2s_code(planner, arguments, name):
    status, result = planner.path(**arguments)
    assert (status, result.error_code) == (ABORTED, getattr(result, name))
    assert result.path.poses == []


def test_a_path_is_cancelled_while_it_is_planned(planner):
    planner.set_sampling_steps(SLOW_STEPS)
    handle = planner.send(planner.path_client, planner.path_goal())
    planner.probe.spin_for(0.2)
    planner.cancel(handle)
    assert planner.result(handle)[0] == CANCELED
    planner.set_sampling_steps(2)
    assert planner.path()[0] == SUCCEEDED


def test_a_newer_goal_ends_the_one_before(planner):
    planner.set_sampling_steps(SLOW_STEPS)
    first = planner.send(planner.path_client, planner.path_goal())
    planner.probe.spin_for(0.2)
    planner.set_sampling_steps(2)
    second = planner.send(planner.path_client, planner.path_goal(goal=OTHER_GOAL))
    status, result = planner.result(first)
    assert (status, result.path.poses) == (ABORTED, [])
    status, result = planner.result(second)
    last = result.path.poses[-1].pose.position
    assert status == SUCCEEDED and math.dist((last.x, last.y), OTHER_GOAL) <= 0.5


def test_a_drive_tells_how_far_it_is_and_ends_at_the_goal(planner):
    told = []
    planner.be()
    handle = planner.drive(feedback=lambda msg: told.append(msg.feedback))
    planner.wait_for_plan_to(GOAL)
    planner.stay_until(lambda: any(
        time.sec or time.nanosec for time in (msg.estimated_time_remaining for msg in told)),
        'feedback')
    told.clear()
    planner.be((1.0, -2.0))
    planner.probe.wait_until(
        lambda: told and told[-1].current_pose.pose.position.y == -2.0, 'feedback')
    assert told[-1].current_pose.header.frame_id == 'map'
    assert told[-1].distance_remaining >= 1.0 - 1e-6
    planner.probe.wait_until(lambda: planner.active_goals and planner.active_goals[
        -1].header.stamp != Time(), 'the goal, which no other planner resumes')

    # Not while it passes, whether the speed tells so or only the position does.
    done = handle.get_result_async()
    for where in ((GOAL, 1.0), (GOAL, 0.0), ((1.0, -1.2), 0.0), ((1.0, -0.8), 0.0)):
        planner.be(*where)
        planner.probe.spin_for(0.3)
        assert not done.done()
    planner.trajectories.clear()
    planner.stay_until(done.done, 'success', GOAL)
    status, result = done.result().status, done.result().result
    assert (status, result.error_code, result.error_msg) == (SUCCEEDED, result.NONE, '')

    # Then it is over: somebody who moves the robot meets no plan any more.
    planner.wait_for_brake()
    planner.probe.wait_until(lambda: not planner.active_goals[-1].header.frame_id, 'no goal')
    planner.trajectories.clear()
    for _ in range(5):
        planner.be((1.0, -2.0))
        planner.probe.spin_for(0.1)
    assert planner.trajectories == []


def test_a_goal_is_held_after_its_action_only_if_that_is_asked_for(planner):
    planner.set_parameter('hold_after_action', True)
    planner.be()
    handle = planner.drive()
    planner.wait_for_plan_to(GOAL)
    done = handle.get_result_async()
    planner.stay_until(done.done, 'success', GOAL)
    assert done.result().status == SUCCEEDED
    planner.trajectories.clear()
    planner.wait_for_plan_to(GOAL)  # driven back
    planner.set_parameter('hold_after_action', False)
    assert planner.probe.call(planner.clear_goal, Trigger.Request()).success
    planner.wait_for_brake()


@pytest.mark.parametrize('goal, frame_id, name', [
    (WALL, 'map', 'GOAL_OCCUPIED'), (OUTSIDE, 'map', 'GOAL_OUTSIDE_MAP'),
    (GOAL, 'camera', 'TF_ERROR')])
def test_a_drive_that_cannot_be_has_the_planners_code(planner, goal, frame_id, name):
    status, result = planner.result(planner.drive(goal, frame_id))
    assert status == ABORTED
    assert result.error_code == getattr(planner.nav2.ComputePathToPose.Result, name)
    assert result.error_msg.startswith(name)
    if frame_id == 'map':
        assert f'goal ({goal[0]:.2f}, {goal[1]:.2f}) is' in result.error_msg


def test_a_drive_that_is_cancelled_brakes(planner):
    planner.be()
    handle = planner.drive()
    planner.wait_for_plan_to(GOAL)
    planner.cancel(handle)
    assert planner.result(handle)[0] == CANCELED
    planner.wait_for_brake()


def test_drives_and_goals_on_the_topic_replace_each_other(planner):
    planner.be()
    first = planner.drive()
    planner.wait_for_plan_to(GOAL)
    second = planner.drive(OTHER_GOAL)
    assert planner.result(first)[0] == ABORTED
    planner.wait_for_plan_to(OTHER_GOAL)
    planner.goals.publish(pose(GOAL))
    status, result = planner.result(second)
    assert status == ABORTED and 'goal_pose' in result.error_msg
    planner.wait_for_plan_to(GOAL)
    # An action takes over from the topic; a bad one then does not: it had nothing yet to end.
    third = planner.drive(OTHER_GOAL)
    planner.wait_for_plan_to(OTHER_GOAL)
    # Nobody wants to go there any more, even though what is wanted instead cannot be.
    bad = planner.drive(WALL)
    assert planner.result(third)[0] == planner.result(bad)[0] == ABORTED
    planner.wait_for_brake()


def test_an_inactive_planner_rejects_goals_and_ends_those_in_hand(planner):
    client = planner.probe.client(ChangeState, 'planner/change_state')

    def move(transition):
        assert planner.probe.call(client, ChangeState.Request(
            transition=Transition(id=transition))).success

    planner.be()
    handle = planner.drive()
    planner.wait_for_plan_to(GOAL)
    move(Transition.TRANSITION_DEACTIVATE)
    assert planner.result(handle)[0] == ABORTED
    assert not planner.drive().accepted
    assert not planner.send(planner.path_client, planner.path_goal()).accepted
    move(Transition.TRANSITION_CLEANUP)
    move(Transition.TRANSITION_CONFIGURE)
    move(Transition.TRANSITION_ACTIVATE)
    planner.probe.wait_until(planner.drive_client.server_is_ready, 'the server')
    planner.probe.wait_until(lambda: planner.odometry.get_subscription_count()
                             and planner.maps.get_subscription_count(), 'the planner')
    planner.probe.spin_for(0.5)
    status, result = planner.path()
    assert status == SUCCEEDED


def test_a_drive_ends_though_nobody_publishes_the_clock(shared, start_node, probe, nav2,
                                                        tmp_path):
    node = start_node('planner', ('-r', '__ns:=/timeless'), use_sim_time=True,
                      checkpoint=write_tiny_model(tmp_path), **{**QUICK, 'lockstep': False})
    node.wait_for_log('Ready for goals', START_UP_S)
    client = ActionClient(probe.node, nav2.NavigateToPose, '/timeless/navigate_to_pose')
    odometry = probe.publisher(Odometry, '/timeless/odom')
    maps = probe.publisher(OccupancyGrid, '/timeless/map', profiles.LATCHED_QOS)
    data, origin = load_maze('umaze').occupancy_grid(0.1)
    maps.publish(occupancy_grid_message(data, origin, 0.1, ns_to_stamp(0), 'map'))

    def be_at_the_start():
        msg = Odometry(child_frame_id='base_link')
        msg.header.frame_id, msg.header.stamp = 'odom', ns_to_stamp(time.time_ns())
        msg.pose.pose.position.x, msg.pose.pose.position.y = START
        odometry.publish(msg)
    timer = probe.node.create_timer(0.05, be_at_the_start)
    node.wait_for_log('use_sim_time is set, but nobody publishes /clock')
    probe.wait_until(client.server_is_ready, 'the server')
    sent = client.send_goal_async(nav2.NavigateToPose.Goal(pose=pose(GOAL)))
    probe.wait_until(sent.done, 'an answer to the goal')
    done = sent.result().get_result_async()
    probe.wait_until(done.done, 'the result', 60.0)
    probe.node.destroy_timer(timer)
    status, result = done.result().status, done.result().result
    assert (status, result.error_code) == (ABORTED, nav2.ComputePathToPose.Result.TIMEOUT)
    assert result.error_msg.startswith('TIMEOUT: navigate_to_pose waits for odom that advances; ')
    assert 'use_sim_time is set, but' in result.error_msg
    client.destroy()
    assert node.stop() == 0, node.log


def test_nothing_went_wrong_that_nobody_noticed(shared):
    assert 'Traceback' not in shared.node.log
    assert shared.node.stop() == 0, shared.node.log
