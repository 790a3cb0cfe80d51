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

"""The planner node in its own process, over DDS: what it answers to good and to bad inputs."""

import json
import math

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from lifecycle_msgs.srv import GetState
from nav_msgs.msg import OccupancyGrid
from nav_msgs.srv import GetPlan
from profiles import LATEST_QOS
from profiles import SENSOR_DATA_QOS
import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from robot import end_of
from robot import GOAL
from robot import OTHER_GOAL
from robot import OUTSIDE
from robot import pose
from robot import Robot
from robot import START
from robot import START_UP_S
from robot import TICK_NS
from robot import WALL
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Float64
from std_srvs.srv import Trigger
from tiny_model import write_tiny_model
from visualization_msgs.msg import Marker
from visualization_msgs.msg import MarkerArray

from df_planner.ros.conversions import ns_to_stamp
from df_planner.ros.conversions import stamp_to_ns

# An untrained model plans noise: without the collision check that is a plan like any other.
QUICK = {'collision_check': False, 'num_samples': 4, 'sampling_steps': 2,
         'compensate_latency': False, 'odom_timeout_s': 60.0, 'lockstep': True}
# A second or more per plan.
SLOW = {'collision_check': False, 'num_samples': 32, 'sampling_steps': 500,
        'timeout_s': 120.0, 'odom_timeout_s': 60.0, 'compensate_latency': False,
        'lockstep': True}


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    """Return the path of a tiny model."""
    return write_tiny_model(tmp_path_factory.mktemp('model'))


@pytest.fixture(scope='module')
def quick_node(start_module_node, model):
    """Return a planner that is shared by tests."""
    node = start_module_node('planner', checkpoint=model, **QUICK)
    node.wait_for_log('Ready for goals', START_UP_S)
    return node


@pytest.fixture(scope='module')
def shared_robot(quick_node, module_probe):
    """Return the robot around the shared planner."""
    robot = Robot(module_probe)
    robot.send_map()
    return robot


@pytest.fixture
def quick(shared_robot):
    """Return the robot around the shared planner, which has a map and no goal."""
    shared_robot.base += 200  # the time of each test is later
    shared_robot.clear_goal()
    return shared_robot


def test_a_goal_is_planned_for(quick):
    times = quick.listen(Float64, 'planner/planning_time')
    quick.wait_until_found()
    quick.send_goal(GOAL)
    quick.send_odometry(quick.base)
    quick.probe.wait_until(lambda: quick.trajectories and quick.paths and times, 'a plan')
    trajectory, path = quick.trajectories[0], quick.paths[0]
    assert trajectory.header.frame_id == path.header.frame_id == 'map'
    assert stamp_to_ns(trajectory.header.stamp) == quick.base * TICK_NS
    assert trajectory.joint_names == ['base_link']
    first = trajectory.points[0].transforms[0].translation
    assert (first.x, first.y) == START
    assert math.dist(end_of(trajectory), GOAL) <= 0.5
    assert len(path.poses) == len(trajectory.points) > 1
    for index, stamped in enumerate(path.poses):
        assert stamped.header.frame_id == 'map'
        assert stamp_to_ns(stamped.header.stamp) == (quick.base + index) * TICK_NS
    assert 0.0 < times[0].data < 5.0


def test_plans_follow_the_stamps_of_the_odometry_and_nothing_else(quick):
    quick.send_goal(GOAL)
    first = quick.plan(quick.base)
    for tick in (0, 0, 10, 24):  # repeated, and not yet due
        quick.send_odometry(quick.base + tick)
    quick.probe.spin_for(0.3)
    assert quick.trajectories == []
    second = quick.plan(quick.base + 25)

    # A new goal starts over: the same noise, hence the same plans.
    quick.set_goal(GOAL, tick=quick.base + 100)
    assert quick.plan(quick.base + 100).points == first.points
    assert quick.plan(quick.base + 125).points == second.points
    assert second.points != first.points


def test_a_goal_waits_for_odometry_of_its_own_time(quick):
    quick.send_odometry(quick.base)
    quick.send_goal(GOAL, tick=quick.base + 100)
    quick.send_odometry(quick.base + 1)
    quick.probe.spin_for(0.2)
    assert quick.trajectories == []
    quick.plan(quick.base + 100)


@pytest.mark.parametrize('position, frame_id, code', [
    (WALL, 'map', 'GOAL_OCCUPIED: goal (2.00, -2.00) is inside'),
    (OUTSIDE, 'map', 'GOAL_OUTSIDE_MAP: goal (50.00, 0.00) is outside'),
    ((math.nan, 0.0), 'map', 'INVALID_INPUT'),
    (GOAL, 'camera', 'TF_ERROR'),
    (GOAL, '', 'TF_ERROR'),
])
def test_a_bad_goal_is_named_and_changes_nothing(quick, quick_node, position, frame_id, code):
    quick.send_goal(OTHER_GOAL)
    quick.plan(quick.base)
    quick.send_goal(position, frame_id)
    assert quick.wait_for_status('inputs', code) == b'\x02'
    quick_node.wait_for_log(code)
    assert quick.trajectories == []
    assert math.dist(end_of(quick.plan(quick.base + 25)), OTHER_GOAL) <= 0.5
    quick.send_goal(GOAL)
    quick.wait_for_status('inputs', 'All inputs are there')


@pytest.mark.parametrize('tick, position, frame_id, code', [
    (25, (1.0, math.inf), 'odom', 'INVALID_INPUT'),
    (25, START, 'camera', 'TF_ERROR'),
    (-1, START, 'odom', 'STALE_INPUT'),
    (25, OUTSIDE, 'odom', 'START_OUTSIDE_MAP: start (50.00, 0.00)'),
    (25, WALL, 'odom', 'START_OCCUPIED: start (2.00, -2.00)'),
])
def test_bad_odometry_is_named_and_changes_nothing(quick, quick_node, tick, position, frame_id,
                                                   code):
    quick.send_goal(GOAL)
    quick.plan(quick.base)
    quick.send_odometry(quick.base + tick, position, frame_id)
    assert quick.wait_for_status('inputs', code) == b'\x02'
    quick_node.wait_for_log(code)
    assert quick.trajectories == []
    quick.plan(quick.base + 26)
    quick.wait_for_status('inputs', 'All inputs are there')


def test_a_start_is_no_longer_complained_about_without_a_goal(quick):
    quick.send_goal(GOAL)
    quick.plan(quick.base)
    quick.send_odometry(quick.base + 25, WALL)
    quick.wait_for_status('inputs', 'START_OCCUPIED')
    quick.clear_goal()
    quick.wait_for_status('inputs', 'All inputs are there')


def test_a_bad_map_is_named_and_changes_nothing(quick):
    quick.maps.publish(OccupancyGrid())
    assert quick.wait_for_status('inputs', 'TF_ERROR') == b'\x02'
    quick.send_goal(WALL)
    quick.wait_for_status('inputs', 'GOAL_OCCUPIED')
    quick.send_map()
    quick.send_goal(GOAL)
    quick.plan(quick.base)


def test_time_that_jumps_back_starts_over(quick):
    quick.send_goal(GOAL, tick=quick.base)
    quick.plan(quick.base)
    quick.plan(quick.base - 150)
    quick.plan(quick.base - 125)


def test_clear_goal_brakes(quick):
    quick.send_goal(GOAL)
    quick.plan(quick.base)
    response = quick.call(Trigger, 'clear_goal')
    assert (response.success, response.message) == (True, 'goal cleared')
    brake = quick.next_trajectory()
    assert brake.points == []
    assert stamp_to_ns(brake.header.stamp) == quick.base * TICK_NS
    quick.send_odometry(quick.base + 50)
    quick.probe.spin_for(0.2)
    assert quick.trajectories == []
    assert not quick.call(Trigger, 'replan').success


def test_replan_plans_before_it_is_due(quick):
    quick.send_goal(GOAL)
    quick.plan(quick.base)
    assert quick.call(Trigger, 'replan').success
    quick.plan(quick.base + 1)


def test_candidates_are_shown_to_those_who_look(quick):
    markers = []
    quick.probe.node.create_subscription(
        MarkerArray, 'planner/candidates', markers.append, LATEST_QOS)
    quick.wait_until_found()
    quick.send_goal(GOAL)
    quick.plan(quick.base)
    quick.probe.wait_until(lambda: markers, 'markers')
    clear, *lines = markers[0].markers
    assert clear.action == Marker.DELETEALL
    assert len(lines) == 4
    assert all(line.header.frame_id == 'map' and 2 <= len(line.points) <= 40 for line in lines)


def test_get_plan_answers_and_says_why_not(quick, quick_node):
    request = GetPlan.Request(start=pose(START, tick=7), goal=pose(GOAL))
    path = quick.call(GetPlan, 'get_plan', request).plan
    assert stamp_to_ns(path.header.stamp) == 7 * TICK_NS
    assert math.dist((path.poses[0].pose.position.x, path.poses[0].pose.position.y), START) == 0.0
    end = path.poses[-1].pose.position
    assert math.dist((end.x, end.y), GOAL) <= 0.5
    assert quick.trajectories == []

    for bad, code in ((GetPlan.Request(start=pose(START), goal=pose(WALL)),
                       'GOAL_OCCUPIED: goal (2.00, -2.00)'),
                      (GetPlan.Request(start=pose(WALL), goal=pose(GOAL)),
                       'START_OCCUPIED: start (2.00, -2.00)'),
                      (GetPlan.Request(start=pose(START, 'x'), goal=pose(GOAL)), 'TF_ERROR')):
        path = quick.call(GetPlan, 'get_plan', bad).plan
        assert (path.poses, path.header.frame_id) == ([], 'map')
        quick.wait_for_status('inputs', code)
        quick_node.wait_for_log(code)


def test_parameters_change_at_run_time_or_say_why_not(quick, model):
    change = quick.change
    quick.send_goal(GOAL)
    before = quick.plan(quick.base)
    assert change('seed', 7).successful
    quick.set_goal(GOAL, tick=quick.base + 50)
    assert quick.plan(quick.base + 50).points != before.points
    assert change('seed', 0).successful
    quick.set_goal(GOAL, tick=quick.base + 100)
    assert quick.plan(quick.base + 100).points == before.points
    refused = change('checkpoint', str(model) + 'x')
    assert not refused.successful and 'no such checkpoint' in refused.reason
    assert 'clean up first' in change('num_threads', 2).reason
    assert 'full_sequence' in change('schedule', 'spiral').reason


def test_lifecycle(quick, quick_node):
    move = quick.move
    quick.send_goal(GOAL)
    quick.plan(quick.base)
    assert move(Transition.TRANSITION_DEACTIVATE)
    assert quick.next_trajectory().points == []
    quick.send_goal(GOAL)
    quick_node.wait_for_log('the planner is not active')
    assert not quick.call(Trigger, 'clear_goal').success
    request = GetPlan.Request(start=pose(START), goal=pose(GOAL))
    assert quick.call(GetPlan, 'get_plan', request).plan.poses == []

    assert move(Transition.TRANSITION_CLEANUP)
    assert move(Transition.TRANSITION_CONFIGURE)
    assert move(Transition.TRANSITION_ACTIVATE)
    quick.probe.wait_until(lambda: quick.goals.get_subscription_count()
                           and quick.odometry.get_subscription_count()
                           and quick.probe.node.count_publishers('plan'), 'the planner')
    quick.clear_goal()
    quick.set_goal(GOAL, tick=quick.base + 100)
    quick.plan(quick.base + 100)


def test_a_goal_before_everything_and_odometry_that_stops(start_node, probe, model):
    node = start_node('planner', ('-r', '__ns:=/robot1'), checkpoint=model, odom_timeout_s=6.0,
                      num_samples=4, sampling_steps=2, use_sim_time=True)
    node.wait_for_log('Ready for goals', START_UP_S)
    robot = Robot(probe, '/robot1')
    robot.send_goal(GOAL, tick=2)
    node.wait_for_log('The goal waits for odom, map')
    assert robot.wait_for_status('inputs', 'Waiting for odom, map') == b'\x01'
    robot.send_odometry(0)
    robot.wait_for_status('inputs', 'Waiting for odom that advances, map')
    robot.send_odometry(1)
    robot.wait_for_status('inputs', 'Waiting for map')
    robot.send_map()
    # With the collision check on, an untrained model finds nothing: brake, and say so.
    brake = robot.plan(2)
    assert brake.points == []
    robot.wait_for_status('inputs', 'NO_VALID_PATH')
    robot.wait_for_status('inference', 'NO_VALID_PATH')
    probe.spin_for(6.2)
    robot.wait_for_status('inputs', 'NO_VALID_PATH')
    assert robot.call(Trigger, 'clear_goal').success
    robot.wait_for_status('inputs', 'Waiting for odom (last heard')
    robot.next_trajectory()
    robot.send_goal(GOAL)
    probe.spin_for(0.3)
    assert robot.trajectories == []
    robot.plan(50)

    clock = probe.publisher(Clock, '/clock', SENSOR_DATA_QOS)
    probe.wait_until_found_by('/robot1/planner')
    for second in (100, 101, 50):
        clock.publish(Clock(clock=ns_to_stamp(second * 100 * TICK_NS)))
        robot.state()  # heard, by when this is answered
    node.wait_for_log('The clock jumped back')
    robot.wait_for_status('inputs', 'NO_VALID_PATH')
    robot.call(Trigger, 'clear_goal')
    robot.wait_for_status('inputs', 'Waiting for odom')
    assert node.stop() == 0


def test_what_happens_while_planning(start_node, probe, model):
    node = start_node('planner', ('-r', '__ns:=/slow'), checkpoint=model, **SLOW)
    node.wait_for_log('Ready for goals', START_UP_S)
    robot = Robot(probe, '/slow')
    robot.client(Trigger, 'clear_goal')  # to find each other takes time, too
    robot.client(GetPlan, 'get_plan')
    robot.send_map()
    robot.send_odometry(1)
    robot.state()  # the answer comes after what was sent before has been heard

    # Two goals in a row: only the second is answered.
    robot.send_goal(OTHER_GOAL)
    probe.spin_for(0.2)
    assert robot.trajectories == []
    robot.send_goal(GOAL)
    assert math.dist(end_of(robot.next_trajectory(60.0)), GOAL) <= 0.5
    probe.spin_for(0.3)
    assert robot.trajectories == []

    # A robot that waited for the plan follows it from its start; one that moves is in the midst.
    robot.send_odometry(30)
    robot.state()
    robot.send_odometry(60)
    assert stamp_to_ns(robot.next_trajectory(60.0).header.stamp) == 60 * TICK_NS
    robot.send_odometry(90)
    robot.state()
    robot.send_odometry(95, position=(1.2, -3.0))
    assert stamp_to_ns(robot.next_trajectory(60.0).header.stamp) == 90 * TICK_NS
    robot.send_odometry(96)

    # get_plan takes long, and nobody has to wait for it.
    future = robot.client(GetPlan, 'get_plan').call_async(
        GetPlan.Request(start=pose(START), goal=pose(GOAL)))
    assert robot.state() == State.PRIMARY_STATE_ACTIVE
    assert not future.done()
    probe.wait_until(future.done, 'a plan', 60.0)
    assert len(future.result().plan.poses) > 1

    # clear_goal drops the plan in the making.
    robot.send_odometry(150)
    robot.state()
    assert robot.call(Trigger, 'clear_goal').success
    assert robot.next_trajectory().points == []
    probe.spin_for(0.3)

    # SIGINT ends the node with 0, without waiting for the plan.
    robot.send_goal(GOAL)
    robot.send_odometry(200)
    probe.spin_for(0.2)
    assert robot.trajectories == []
    assert node.stop(timeout_s=20.0) == 0
    assert robot.next_trajectory().points == []  # the last word: brake
    assert 'Traceback' not in node.log


def test_a_model_that_cannot_be_loaded_leaves_the_node_alive(start_node, probe, model, tmp_path):
    corrupt = write_tiny_model(tmp_path, 'corrupt')
    corrupt.write_bytes(corrupt.read_bytes()[:5000])
    old = write_tiny_model(tmp_path, 'old')
    card = json.loads(old.with_suffix('.json').read_text())
    old.with_suffix('.json').write_text(json.dumps(card | {'format_version': 0}))

    node = start_node('planner', ('-r', '__ns:=/broken'), checkpoint='no-such-model')
    node.wait_for_log('BAD_CHECKPOINT: no-such-model', START_UP_S)
    diagnostics = probe.listen(DiagnosticArray, '/diagnostics')
    state = probe.client(GetState, '/broken/planner/get_state')
    change = probe.client(ChangeState, '/broken/planner/change_state')
    parameters = probe.client(SetParameters, '/broken/planner/set_parameters')

    def model_status():
        return [status for msg in diagnostics for status in msg.status
                if status.name == 'broken/planner: model']

    def configure(checkpoint):
        diagnostics.clear()
        probe.call(parameters, SetParameters.Request(
            parameters=[Parameter('checkpoint', value=str(checkpoint)).to_parameter_msg()]))
        return probe.call(change, ChangeState.Request(
            transition=Transition(id=Transition.TRANSITION_CONFIGURE))).success

    probe.wait_until(model_status, 'diagnostics')
    assert model_status()[-1].level == b'\x02'
    assert 'no-such-model' in model_status()[-1].message
    for bad, words in ((corrupt, 'cannot be read'), (old, 'format version')):
        assert not configure(bad)
        node.wait_for_log(words)
        probe.wait_until(lambda: any(words in s.message for s in model_status()), words)
        answer = probe.call(state, GetState.Request())
        assert answer.current_state.id == State.PRIMARY_STATE_UNCONFIGURED
    assert configure(model)
    probe.wait_until(lambda: any(s.level == b'\x00' for s in model_status()), 'a loaded model')
    assert node.stop() == 0


def test_a_parameter_out_of_range_is_one_line_and_exit_code_1(start_node):
    node = start_node('planner', num_samples=0)
    assert node.wait(START_UP_S) == 1
    assert 'BAD_CONFIG: parameter num_samples' in node.log
    assert 'Traceback' not in node.log
