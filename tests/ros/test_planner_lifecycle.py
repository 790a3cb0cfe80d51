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

"""The planner under a lifecycle manager of somebody else, over DDS, in a process of its own."""

from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.msg import TransitionEvent
from lifecycle_msgs.srv import ChangeState
from lifecycle_msgs.srv import GetAvailableTransitions
from lifecycle_msgs.srv import GetState
from nav_msgs.srv import GetPlan
from profiles import STANDARD_QOS
import pytest
from robot import GOAL
from robot import pose
from robot import Robot
from robot import START
from robot import START_UP_S
from tiny_model import write_tiny_model


QUICK = {'collision_check': False, 'num_samples': 4, 'sampling_steps': 2, 'backend': 'torch',
         'compensate_latency': False, 'lockstep': True}
WARM_UP, CYCLES = 5, 20
GROWTH = 1.02


@pytest.fixture(scope='module')
def model(tmp_path_factory):
    """Return the path of a tiny model."""
    return write_tiny_model(tmp_path_factory.mktemp('model'))


class Manager:
    """Only what Nav2's lifecycle manager uses: two services of the node that it manages."""

    def __init__(self, probe, name):
        self._probe = probe
        self._change = probe.client(ChangeState, f'{name}/change_state')
        self._get = probe.client(GetState, f'{name}/get_state')
        self._available = probe.client(
            GetAvailableTransitions, f'{name}/get_available_transitions')

    def move(self, transition):
        """Ask for a transition; return whether it succeeded."""
        return self._probe.call(self._change, ChangeState.Request(
            transition=Transition(id=transition)), 90.0).success

    @property
    def state(self):
        """Return the state that the node is in."""
        return self._probe.call(self._get, GetState.Request()).current_state.id

    @property
    def available(self):
        """Return the ids of the transitions that the node could make."""
        answer = self._probe.call(self._available, GetAvailableTransitions.Request())
        return {each.transition.id for each in answer.available_transitions}


def resident_kb(pid):
    """Return the memory that a process keeps resident, and how many threads it has."""
    status = dict(line.split(':', 1) for line in
                  Path(f'/proc/{pid}/status').read_text().splitlines())
    return int(status['VmRSS'].split()[0]), int(status['Threads'])


def test_a_manager_drives_it_through_all_states(start_node, probe, model):
    node = start_node('planner', ('-r', '__ns:=/managed'), checkpoint=model, autostart=False,
                      **QUICK)
    manager = Manager(probe, '/managed/planner')
    events = probe.listen(TransitionEvent, '/managed/planner/transition_event', STANDARD_QOS)
    assert manager.state == State.PRIMARY_STATE_UNCONFIGURED
    assert not manager.move(Transition.TRANSITION_ACTIVATE)  # not from here
    assert manager.available == {Transition.TRANSITION_CONFIGURE,
                                 Transition.TRANSITION_UNCONFIGURED_SHUTDOWN}
    assert not probe.node.count_publishers('/managed/plan')

    assert manager.move(Transition.TRANSITION_CONFIGURE)
    assert manager.state == State.PRIMARY_STATE_INACTIVE
    robot = Robot(probe, '/managed')
    robot.send_map()
    robot.send_odometry(1)
    robot.send_goal(GOAL)
    node.wait_for_log('the planner is not active')
    request = GetPlan.Request(start=pose(START), goal=pose(GOAL))
    assert robot.call(GetPlan, 'get_plan', request).plan.poses == []
    assert robot.trajectories == []

    assert manager.move(Transition.TRANSITION_ACTIVATE)
    assert manager.state == State.PRIMARY_STATE_ACTIVE
    robot.set_goal(GOAL, tick=2)
    assert robot.plan(2).points
    assert robot.call(GetPlan, 'get_plan', request).plan.poses

    assert manager.move(Transition.TRANSITION_DEACTIVATE)
    assert manager.state == State.PRIMARY_STATE_INACTIVE
    assert robot.next_trajectory().points == []  # brake
    robot.send_odometry(100)
    assert manager.move(Transition.TRANSITION_ACTIVATE)
    robot.send_odometry(101)
    probe.spin_for(0.3)
    assert robot.trajectories == []  # the goal was dropped
    assert manager.move(Transition.TRANSITION_DEACTIVATE)

    assert manager.move(Transition.TRANSITION_CLEANUP)
    assert manager.state == State.PRIMARY_STATE_UNCONFIGURED
    probe.wait_until(lambda: not probe.node.count_publishers('/managed/plan'), 'no interface')
    assert manager.move(Transition.TRANSITION_CONFIGURE)
    assert manager.move(Transition.TRANSITION_ACTIVATE)
    assert not manager.move(Transition.TRANSITION_CLEANUP)  # not from here either
    assert manager.state == State.PRIMARY_STATE_ACTIVE
    assert manager.move(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert manager.state == State.PRIMARY_STATE_FINALIZED
    assert events
    assert node.stop() == 0
    assert 'Traceback' not in node.log


def test_an_error_in_a_transition_leads_back_to_unconfigured(start_node, probe, model):
    # Two types on one topic are an error of the middleware, in the midst of opening the interface.
    node = start_node('planner', ('-r', '__ns:=/wrong', '-r', 'active_goal:=plan'),
                      checkpoint=model, **QUICK)
    node.wait_for_log('on_configure failed', START_UP_S)
    manager = Manager(probe, '/wrong/planner')
    diagnostics = probe.listen(DiagnosticArray, '/diagnostics')
    assert manager.state == State.PRIMARY_STATE_UNCONFIGURED
    probe.wait_until(lambda: any(
        'on_configure failed' in status.message and status.level == b'\x02'
        for msg in diagnostics for status in msg.status
        if status.name == 'wrong/planner: model'), 'the reason in diagnostics')
    # What had been opened is closed again, and another attempt comes as far as the first.
    assert not probe.node.count_publishers('/wrong/plan_trajectory')
    threads = resident_kb(node.pid)[1]
    for _ in range(3):
        assert not manager.move(Transition.TRANSITION_CONFIGURE)
        assert manager.state == State.PRIMARY_STATE_UNCONFIGURED
    assert resident_kb(node.pid)[1] == threads
    assert node.stop() == 0
    assert 'Traceback' not in node.log


def test_shutting_down_while_somebody_waits_for_a_plan(start_node, probe, model):
    node = start_node('planner', ('-r', '__ns:=/hasty'), checkpoint=model, collision_check=False,
                      num_samples=32, sampling_steps=900, timeout_s=120.0)
    node.wait_for_log('Ready for goals', START_UP_S)
    robot = Robot(probe, '/hasty')
    robot.send_map()
    manager = Manager(probe, '/hasty/planner')
    client = probe.client(GetPlan, '/hasty/planner/get_plan')
    answer = client.call_async(GetPlan.Request(start=pose(START), goal=pose(GOAL)))
    probe.spin_for(0.2)
    assert not answer.done()
    assert manager.move(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert manager.state == State.PRIMARY_STATE_FINALIZED
    probe.wait_until(answer.done, 'an answer of get_plan')
    assert answer.result().plan.poses == []
    assert manager.state == State.PRIMARY_STATE_FINALIZED  # it lives on, for the manager to see
    assert 'Traceback' not in node.log


def test_memory_and_threads_stay_flat_over_many_lives(start_node, probe, model):
    node = start_node('planner', ('-r', '__ns:=/cycled'), checkpoint=model, autostart=False,
                      **QUICK)
    manager = Manager(probe, '/cycled/planner')
    robot, taken = None, []
    for cycle in range(WARM_UP + CYCLES):
        assert manager.move(Transition.TRANSITION_CONFIGURE)
        assert manager.move(Transition.TRANSITION_ACTIVATE)
        if cycle in (0, WARM_UP + CYCLES - 1):  # planning, at both ends
            robot = robot or Robot(probe, '/cycled')
            probe.wait_until(lambda: robot.maps.get_subscription_count()
                             and robot.odometry.get_subscription_count()
                             and robot.goals.get_subscription_count(), 'the planner')
            probe.spin_for(0.3)
            robot.send_map()
            robot.trajectories.clear()
            robot.set_goal(GOAL)
            robot.send_odometry(1 + cycle)
            probe.wait_until(lambda: any(msg.points for msg in robot.trajectories), 'a plan')
        assert manager.move(Transition.TRANSITION_DEACTIVATE)
        assert manager.move(Transition.TRANSITION_CLEANUP)
        taken.append(resident_kb(node.pid))
    memory_kb, threads = zip(*taken)
    assert max(memory_kb[WARM_UP:]) <= GROWTH * memory_kb[WARM_UP - 1], memory_kb
    assert len(set(threads[WARM_UP - 1:])) == 1, threads
    assert node.stop() == 0
