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

"""What changes in a planner at run time, over DDS: its parameters, and its model."""

import itertools
import json
import math
import shutil

from profiles import LATEST_QOS
import pytest
from robot import end_of
from robot import GOAL
from robot import Robot
from robot import START_UP_S
from robot import TICK_NS
from tiny_model import write_tiny_model
from visualization_msgs.msg import Marker
from visualization_msgs.msg import MarkerArray

from df_planner.files import share_path
from df_planner.ros.conversions import stamp_to_ns

# An untrained model plans noise: without the collision check that is a plan like any other.
QUICK = {'collision_check': False, 'num_samples': 4, 'sampling_steps': 2, 'backend': 'torch',
         'compensate_latency': False, 'odom_timeout_s': 60.0, 'lockstep': True}


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    """Return the untrained model that the node begins with."""
    return str(write_tiny_model(tmp_path_factory.mktemp('models')))


@pytest.fixture(scope='module')
def node(start_module_node, tiny):
    """Return a planner that is shared by tests."""
    node = start_module_node('planner', checkpoint=tiny, **QUICK)
    node.wait_for_log('Ready for goals', START_UP_S)
    return node


@pytest.fixture(scope='module')
def shared_robot(node, module_probe):
    """Return the robot around the planner."""
    robot = Robot(module_probe)
    robot.send_map()
    return robot


@pytest.fixture
def robot(shared_robot):
    """Return the robot around the planner, which has no goal."""
    shared_robot.base += 400  # the time of each test is later
    shared_robot.clear_goal()
    return shared_robot


def plan_after(robot, changes, tick=0):
    """Return the first plan for GOAL after parameters have been set."""
    for name, value in changes.items():
        result = robot.change(name, value)
        assert result.successful, result.reason
    robot.set_goal(GOAL, tick=robot.base + tick)
    return robot.plan(robot.base + tick)


@pytest.mark.parametrize('changes', [
    {'guide_goal': 5.0},
    {'guidance_scale': 50.0, 'guide_clearance': 10.0, 'clearance_margin_m': 2.0},
    {'guide_clearance': 10.0, 'clearance_margin_m': 2.0},
    {'temperature': 1.0},
    {'sampling_steps': 3},
])
def test_sampling_and_guidance_change_the_next_plan(robot, changes):
    names = {name: value for name, value in (
        ('guide_goal', 1.0), ('guidance_scale', 2.0), ('guide_clearance', 1.0),
        ('clearance_margin_m', 0.1), ('temperature', 0.6), ('sampling_steps', 2))
        if name in changes}
    before = plan_after(robot, {'guide_goal': 1.0})
    assert plan_after(robot, changes, 100).points != before.points
    assert plan_after(robot, names, 200).points == before.points  # as it was
    assert robot.change('guide_goal', 0.0).successful


def test_horizon_and_candidates_change_the_next_plan(robot):
    markers = []
    looking = robot.probe.node.create_subscription(
        MarkerArray, 'planner/candidates', markers.append, LATEST_QOS)
    robot.probe.wait_until(
        lambda: robot.probe.node.count_publishers('planner/candidates'), 'the candidates')
    robot.probe.spin_for(0.3)

    def candidates(changes, tick):
        markers.clear()
        trajectory = plan_after(robot, changes, tick)
        robot.probe.wait_until(lambda: markers, 'markers')
        return trajectory, [line for line in markers[-1].markers if line.action == Marker.ADD]

    before, whole = candidates({}, 0)
    assert len(whole) == 4
    assert len(candidates({'num_samples': 3}, 100)[1]) == 3
    # Less of it is diffused; it still leads to the goal.
    short, lines = candidates({'num_samples': 4, 'horizon_steps': 40}, 200)
    assert len(lines) == 4
    assert short.points != before.points and math.dist(end_of(short), GOAL) <= 0.5
    assert candidates({'horizon_steps': 0}, 300)[0].points == before.points
    robot.probe.node.destroy_subscription(looking)


def test_the_rate_changes_with_the_plan_in_hand(robot):
    plan_after(robot, {'planning_frequency_hz': 4.0})
    robot.send_odometry(robot.base + 10)
    robot.probe.spin_for(0.2)
    assert robot.trajectories == []
    assert robot.change('planning_frequency_hz', 20.0).successful
    robot.plan(robot.base + 11)
    robot.plan(robot.base + 16)
    assert robot.change('planning_frequency_hz', 4.0).successful
    robot.send_odometry(robot.base + 21)
    robot.probe.spin_for(0.2)
    assert robot.trajectories == []
    robot.plan(robot.base + 41)


def test_what_cannot_be_is_refused_with_a_reason_and_changes_nothing(robot):
    before = plan_after(robot, {})
    for name, value, reason in (
            ('guidance_scale', -1.0, 'guidance_scale'), ('guidance_scale', 1, 'type'),
            ('horizon_steps', 100000, 'horizon_steps'), ('num_samples', 0, 'num_samples'),
            ('planning_frequency_hz', math.nan, 'planning_frequency_hz'),
            ('schedule', 'spiral', 'full_sequence'), ('uncertainty_samples', 2, '4 or more'),
            ('schedule_file', '/no/such.csv', 'such.csv'), ('autostart', False, 'read')):
        result = robot.change(name, value)
        assert not result.successful and reason in result.reason, (name, result.reason)
    assert plan_after(robot, {}, 100).points == before.points


def drive_until(robot, condition, what, timeout_s=60.0):
    """Send odometry until something is so; return how many plans came meanwhile."""
    planned, ticks = len(robot.trajectories), itertools.count(robot.base + 1)

    def look():
        robot.send_odometry(next(ticks))
        robot.probe.spin_for(0.01)
        return condition()

    robot.probe.wait_until(look, what, timeout_s)
    robot.base = next(ticks) + 50  # when the next plan is due
    return len(robot.trajectories) - planned


def status_of_model(robot):
    """Return the statuses of the model heard so far, as texts and values."""
    return [(status.message, {value.key: value.value for value in status.values})
            for msg in robot.diagnostics for status in msg.status
            if status.name == 'planner: model']


def test_another_model_replaces_the_one_in_use_while_plans_go_on(robot, node, tiny):
    plan_after(robot, {'planning_frequency_hz': 100.0})
    robot.diagnostics.clear()
    assert robot.change('checkpoint', 'point').successful
    planned = drive_until(robot, lambda: any(
        values.get('checkpoint') == 'point' and message == 'Model loaded'
        for message, values in status_of_model(robot)), 'the other model in diagnostics')
    assert planned and all(trajectory.points for trajectory in robot.trajectories)
    loading = [values for message, values in status_of_model(robot) if 'Loading' in message]
    assert loading and loading[0]['checkpoint'] == tiny  # what planned meanwhile
    node.wait_for_log('Loaded point')
    latest = robot.base * TICK_NS  # the goal is still known
    robot.send_odometry(robot.base)
    robot.probe.wait_until(lambda: any(
        stamp_to_ns(trajectory.header.stamp) == latest for trajectory in robot.trajectories),
        'a plan of the other model')
    assert all(math.dist(end_of(trajectory), GOAL) <= 0.5 for trajectory in robot.trajectories)
    assert robot.change('planning_frequency_hz', 4.0).successful
    assert robot.change('checkpoint', tiny).successful
    robot.probe.wait_until(lambda: any(
        message == 'Model loaded' and values['checkpoint'] == tiny
        for message, values in status_of_model(robot)[-1:]), 'the first model', 60.0)


@pytest.mark.parametrize('kind, reason', [
    ('missing', 'no such checkpoint'),
    ('cut off', 'not a readable .safetensors file'),
    ('not a model', 'not a readable .safetensors file'),
    ('without card', 'card'),
    ('old', 'format version'),
    ('slower', 'dt_s 0.02'),
    ('turned', 'observation_to_map'),
    ('other robot', 'action_names'),
])
def test_a_bad_model_is_refused_with_the_reason(robot, tmp_path, kind, reason):
    path = write_tiny_model(tmp_path, 'bad')
    card_path = path.with_suffix('.json')
    card = json.loads(card_path.read_text())
    changes = {'old': {'format_version': 0}, 'slower': {'dt_s': 0.02},
               'turned': {'observation_to_map': [[1.0, 0.0], [0.0, 1.0]]},
               'other robot': {'action_names': ['left wheel', 'right wheel']}}
    card_path.write_text(json.dumps(card | changes.get(kind, {})))
    if kind == 'missing':
        path.unlink()
    elif kind == 'cut off':
        path.write_bytes(path.read_bytes()[:-100])
    elif kind == 'not a model':
        path.write_bytes(b'import os')
    elif kind == 'without card':
        card_path.unlink()

    before = plan_after(robot, {})
    result = robot.change('checkpoint', str(path))
    assert not result.successful and reason in result.reason, result.reason
    assert plan_after(robot, {}, 100).points == before.points


def test_a_model_that_fails_late_gives_the_parameter_back(robot, node, tiny, tmp_path):
    broken = write_tiny_model(tmp_path, 'broken')  # good until its weights meet the network
    card = json.loads(broken.with_suffix('.json').read_text())
    card['architecture']['width'] = 32
    broken.with_suffix('.json').write_text(json.dumps(card))
    before = plan_after(robot, {})
    robot.diagnostics.clear()
    assert robot.change('checkpoint', str(broken)).successful
    assert robot.wait_for_status('model', f'{broken} refused, planning with {tiny}') == b'\x01'
    robot.probe.wait_until(lambda: robot.value('checkpoint') == tiny, 'the parameter put back')
    assert plan_after(robot, {}, 100).points == before.points


def test_the_latest_of_several_models_wins(robot, tiny, tmp_path):
    paths = [write_tiny_model(tmp_path, f'model{index}') for index in range(3)]
    robot.diagnostics.clear()
    for path in paths:
        assert robot.change('checkpoint', str(path)).successful
    robot.probe.wait_until(lambda: any(
        message == 'Model loaded' and values['checkpoint'] == str(paths[-1])
        for message, values in status_of_model(robot)), 'the last model', 60.0)
    assert not any(message == 'Model loaded' and values['checkpoint'] in map(str, paths[:-1])
                   for message, values in status_of_model(robot)[-1:])
    # Back to the one before, and again before that is loaded: nothing needs to be loaded.
    assert robot.change('checkpoint', tiny).successful
    assert robot.change('checkpoint', str(paths[-1])).successful
    robot.wait_for_status('model', 'Model loaded')
    assert stamp_to_ns(plan_after(robot, {}).header.stamp) == robot.base * TICK_NS
    assert robot.change('checkpoint', tiny).successful
    robot.probe.wait_until(lambda: any(
        message == 'Model loaded' and values['checkpoint'] == tiny
        for message, values in status_of_model(robot)[-1:]), 'the first model', 60.0)


def test_messages_are_served_while_a_large_model_is_loaded(robot):
    # Compiling takes a second or more, in a thread of its own.
    plan_after(robot, {})
    robot.diagnostics.clear()
    assert robot.change('checkpoint', 'point').successful
    answers = 0
    while not any(message == 'Model loaded' and values['checkpoint'] == 'point'
                  for message, values in status_of_model(robot)):
        robot.state()
        answers += 1
        assert answers < 10000
    # A load that blocked the executor would be over before the first answer.
    assert answers > 3


def test_an_interrupt_while_a_model_is_loaded_ends_the_node_with_0(robot, node, tmp_path):
    for suffix in ('.safetensors', '.json'):
        shutil.copy(share_path(f'checkpoints/point{suffix}'), tmp_path / f'other{suffix}')
    other = str(tmp_path / 'other.safetensors')
    robot.diagnostics.clear()
    assert robot.change('checkpoint', other).successful
    robot.wait_for_status('model', f'Loading {other}')
    assert node.stop() == 0
    assert 'Traceback' not in node.log
