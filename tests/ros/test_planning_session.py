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

"""What a planning session lets out: plans of the shipped model, by way of a real worker."""

import time

import numpy as np
import pytest
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from df_planner.driving.replanner import Replanner
from df_planner.errors import GoalOccupied
from df_planner.errors import PlanInCollision
from df_planner.errors import PlanJumps
from df_planner.errors import PlanningCancelled
from df_planner.errors import PlanningTimeout
from df_planner.errors import PlanOffStart
from df_planner.errors import StaleInput
from df_planner.nodes.planner import session as planning_session
from df_planner.nodes.planner.model_swap import load_planner
from df_planner.nodes.planner.parameters import PlannerParameters
from df_planner.nodes.planner.session import PlanningSession
from df_planner.ros.worker import Worker
from df_planner.sim.maze import maze_map

START, GOAL = np.array([3.0, 1.0, 0.0, 0.0]), np.array([1.0, 1.0])  # of the umaze, in its data
TICK_NS = 10_000_000
PARAMETERS = {'checkpoint': 'point', 'backend': 'torch', 'compensate_latency': False,
              'odom_timeout_s': 60.0, 'timeout_s': 60.0, 'lockstep': True}


@pytest.fixture(scope='module')
def planner():
    """Return the planner of the shipped model."""
    return load_planner(PlannerParameters(**PARAMETERS))


class Drive:
    """A session, the results that came out of it, and a robot that is exactly on its plan."""

    def __init__(self, planner, node, executor):
        self.results, self.worker, self._executor = [], Worker(node), executor
        self.session = PlanningSession(planner, self.worker, PlannerParameters(**PARAMETERS),
                                       self.results.append)
        self.session.set_map(maze_map('umaze'))

    def change(self, **parameters):
        """Change parameters."""
        self.session.set_parameters(PlannerParameters(**{**PARAMETERS, **parameters}))

    def wait_until(self, condition):
        """Spin until a condition holds."""
        deadline = time.monotonic() + 60.0
        while not condition():
            assert time.monotonic() < deadline, 'no result'
            self._executor.spin_once(timeout_sec=0.02)

    def result(self):
        """Return the next result."""
        self.wait_until(lambda: self.results)
        return self.results.pop(0)

    def start(self):
        """Plan from START to GOAL and return the plan."""
        self.session.set_odometry(START, 0)
        self.session.set_goal(GOAL, 0)
        result = self.result()
        assert result.error is None
        return result.plan


@pytest.fixture
def drive(ros_context, planner):
    """Return a session with the map of the umaze."""
    node = Node('session', context=ros_context, enable_rosout=False)
    executor = SingleThreadedExecutor(context=ros_context)
    executor.add_node(node)
    drive = Drive(planner, node, executor)
    yield drive
    drive.worker.close()
    executor.shutdown()
    node.destroy_node()


def blocked_at(position, radius_m=0.15):
    """Return the map of the umaze with a round obstacle."""
    return maze_map('umaze').with_occupied(
        lambda points: np.linalg.norm(points - position, axis=-1) < radius_m)


def test_a_refused_plan_leaves_the_one_before_which_goes_on(drive):
    plan = drive.start()
    drive.change(max_plan_shift_m=1e-9)
    drive.session.set_odometry(plan.states[25], 25 * TICK_NS)
    result = drive.result()
    assert isinstance(result.error, PlanJumps)
    assert result.stamp_ns == 25 * TICK_NS
    np.testing.assert_array_equal(result.plan.states, plan.states[25:])
    # Nor does the next one jump from what is executed, once that is allowed again.
    drive.change()
    drive.session.set_odometry(plan.states[50], 50 * TICK_NS)
    result = drive.result()
    assert result.error is None
    assert np.linalg.norm(result.plan.states[0] - plan.states[50]) < 1e-6


def test_a_robot_off_its_plan_is_predicted_as_far_off_it(drive, monkeypatch):
    monkeypatch.setattr(planning_session, 'WORTH_WAITING_S', 60.0)  # on a busy machine, too
    first = drive.start()
    drive.change(compensate_latency=True, planning_frequency_hz=100.0)
    drive.session.set_odometry(first.states[1], TICK_NS)
    second = drive.result()
    assert second.stamp_ns == TICK_NS  # nothing is known of latency yet
    off = np.array([0.03, -0.02, 0.1, 0.2])
    drive.session.set_odometry(second.plan.states[1] + off, 2 * TICK_NS)
    third = drive.result()
    begins = third.stamp_ns // TICK_NS - 1
    assert third.error is None and begins > 2
    assert np.allclose(third.plan.states[0], second.plan.states[begins] + off, atol=1e-5)
    # The robot still follows the second plan when the fourth is made, which begins on the third.
    drive.session.set_odometry(second.plan.states[2] + 1.5 * off, 3 * TICK_NS)
    fourth = drive.result()
    assert fourth.error is None
    later = (fourth.stamp_ns - third.stamp_ns) // TICK_NS
    assert later >= 0
    assert np.allclose(fourth.plan.states[0], third.plan.states[later] + 0.5 * off, atol=1e-5)


def test_a_plan_that_takes_too_long_is_given_up_while_the_one_before_goes_on(drive, monkeypatch):
    first = drive.start()
    drive.change(compensate_latency=True, planning_frequency_hz=100.0)
    drive.session.set_odometry(first.states[1], TICK_NS)
    second = drive.result()
    monkeypatch.setattr(planning_session, 'WORTH_WAITING_S', 0.0)
    drive.session.set_odometry(second.plan.states[1], 2 * TICK_NS)
    result = drive.result()
    assert isinstance(result.error, PlanningCancelled)
    assert np.array_equal(result.plan.states, second.plan.states[1:])
    # A robot that has no plan to go on with waits as long as timeout_s says.
    drive.session.clear_goal()
    drive.session.set_goal(GOAL, 2 * TICK_NS)
    assert drive.result().error is None


def test_a_robot_far_from_its_plan_brakes_if_the_new_one_is_refused_too(drive):
    plan = drive.start()
    drive.change(start_tolerance_m=0.0)
    drive.session.set_odometry(plan.states[0], 25 * TICK_NS)
    # While the worker plans from there, the robot is carried away, where it is on neither plan.
    drive.session.set_odometry(np.array([1.0, 3.0, 0.0, 0.0]) + 0.2, 30 * TICK_NS)
    result = drive.result()
    assert isinstance(result.error, PlanOffStart)
    assert result.plan is None


def test_an_obstacle_in_the_way_stops_the_robot_at_once_and_has_it_plan_anew(drive):
    plan = drive.start()
    drive.session.set_odometry(plan.states[10], 10 * TICK_NS)
    blocked = blocked_at(plan.states[len(plan) // 2, :2])
    drive.session.set_map(blocked)
    result = drive.result()
    assert isinstance(result.error, PlanInCollision)
    assert result.plan is None and result.stamp_ns == 10 * TICK_NS  # brake, now
    again = drive.result()  # planned from the same odometry, before it was due
    assert again.plan is None or again.plan.valid
    if again.plan is not None:
        parameters = PlannerParameters()
        least_m = parameters.robot_radius_m - parameters.collision_tolerance_m
        assert blocked.clearance(again.plan.states[:, :2]).min() >= least_m - 1e-9


def test_an_obstacle_behind_the_robot_changes_nothing(drive):
    plan = drive.start()
    way_m = np.linalg.norm(plan.states[:, :2] - START[:2], axis=-1)
    far = int((way_m > 1.0).argmax())
    drive.session.set_odometry(plan.states[far], 10 * TICK_NS)
    drive.session.set_map(blocked_at(START[:2]))
    assert drive.results == []
    assert not drive.worker.is_busy('plan')


def test_a_goal_that_a_new_map_covers_is_given_up(drive):
    plan = drive.start()
    drive.session.set_odometry(plan.states[10], 10 * TICK_NS)
    drive.session.set_map(blocked_at(GOAL, 0.3))
    assert drive.result().plan is None
    result = drive.result()
    assert isinstance(result.error, GoalOccupied) and result.plan is None


def test_a_plan_apart_takes_the_inputs_that_driving_takes(drive, planner, monkeypatch):
    def answer(start=None, goal=GOAL):
        outcomes = []
        drive.session.plan_once(start, goal, outcomes.append, 'test')
        drive.wait_until(lambda: outcomes)
        return outcomes[0]
    with pytest.raises(StaleInput, match='no plan without odom$'):
        answer()
    assert answer(start=START).value.valid  # which takes no odometry
    drive.session.set_odometry(START, 0)
    assert answer().value.valid
    drive.change(odom_timeout_s=0.0)
    with pytest.raises(StaleInput, match=r'no plan without odom \(last heard'):
        answer()
    drive.change(timeout_s=1e-6)
    assert isinstance(answer().error, PlanningTimeout)
    drive.change()
    monkeypatch.setattr(planner, 'map', None)
    with pytest.raises(StaleInput, match='no plan without map$'):
        answer(start=START)


def test_time_that_starts_over_forgets_the_plan_but_not_the_goal(drive):
    plan = drive.start()
    drive.session.set_odometry(plan.states[10], 1000 * TICK_NS)
    assert drive.result().error is None
    drive.session.restart()
    assert drive.session.odom is None
    drive.session.set_odometry(START, 3 * TICK_NS)
    result = drive.result()
    assert result.error is None and result.stamp_ns == 3 * TICK_NS
    np.testing.assert_array_equal(result.plan.goal, GOAL)


@pytest.fixture
def in_hand(monkeypatch):
    """Return a list that fills with the plan in hand of every replan."""
    found, replan = [], Replanner.replan

    def listen(self, state, step, in_hand, should_stop):
        found.append(in_hand)
        return replan(self, state, step, in_hand, should_stop)
    monkeypatch.setattr(Replanner, 'replan', listen)
    return found


def test_a_new_goal_is_planned_for_from_scratch_even_at_the_same_position(drive, in_hand):
    plan = drive.start()
    assert np.array_equal(drive.session.rest_at(10 * TICK_NS).states, plan.states[10:])
    drive.session.set_goal(GOAL, 0)
    assert drive.session.rest_at(10 * TICK_NS) is None
    again = drive.result().plan
    assert np.array_equal(again.states, plan.states), 'same odometry, same count, same plan'
    assert np.array_equal(drive.session.rest_at(10 * TICK_NS).states, again.states[10:])
    assert in_hand == [None, None]
    drive.session.clear_goal()
    assert drive.session.rest_at(10 * TICK_NS) is None


def test_a_plan_continues_what_is_executed_whoever_planned_it(drive, in_hand):
    first = drive.start()
    # Another model, which has planned nothing yet.
    drive.session.set_planner(load_planner(PlannerParameters(**PARAMETERS)))
    drive.session.set_odometry(first.states[25], 25 * TICK_NS)
    second = drive.result().plan
    assert np.array_equal(in_hand[-1].states, first.states[25:])
    # A plan that the gate refuses is not executed, so it is not continued either.
    drive.change(max_plan_shift_m=1e-9)
    drive.session.set_odometry(second.states[25], 50 * TICK_NS)
    assert isinstance(drive.result().error, PlanJumps)
    drive.change()
    drive.session.set_odometry(second.states[50], 75 * TICK_NS)
    drive.result()
    assert np.array_equal(in_hand[-1].states, second.states[50:])


def test_a_plan_of_a_robot_that_waited_for_it_is_continued_from_when_it_counts(drive, in_hand):
    drive.session.set_odometry(START, 0)
    drive.session.set_goal(GOAL, 0)
    drive.session.set_odometry(START, 40 * TICK_NS)  # while the worker plans from the first
    result = drive.result()
    assert result.stamp_ns == 40 * TICK_NS
    drive.session.set_odometry(result.plan.states[25], 65 * TICK_NS)
    drive.result()
    assert np.array_equal(in_hand[-1].states, result.plan.states[25:])


def test_a_robot_that_was_told_to_brake_continues_nothing(drive, in_hand):
    plan = drive.start()
    drive.change(start_tolerance_m=0.0)
    drive.session.set_odometry(plan.states[0], 25 * TICK_NS)
    away = np.array([1.0, 3.0, 0.0, 0.0])
    drive.session.set_odometry(away + 0.2, 30 * TICK_NS)
    assert drive.result().plan is None
    drive.change()
    drive.session.set_odometry(away, 60 * TICK_NS)
    assert drive.result().error is None
    assert in_hand[-1] is None and in_hand[-2] is not None
