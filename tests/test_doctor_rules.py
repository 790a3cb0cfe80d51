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

"""What ``df_planner doctor`` says of a recording; ``ros/test_doctor.py`` makes one over DDS."""

from collections import Counter
from dataclasses import make_dataclass
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from df_planner.nodes.doctor.axes import judge_axes
from df_planner.nodes.doctor.connections import judge_command
from df_planner.nodes.doctor.connections import judge_graph
from df_planner.nodes.doctor.connections import judge_input
from df_planner.nodes.doctor.connections import judge_others
from df_planner.nodes.doctor.fitting import judge_given
from df_planner.nodes.doctor.fitting import judge_parameters
from df_planner.nodes.doctor.fitting import judge_running
from df_planner.nodes.doctor.fitting import judge_statuses
from df_planner.nodes.doctor.odometry import judge_odometry
from df_planner.nodes.doctor.recording import BAD
from df_planner.nodes.doctor.recording import ClockLog
from df_planner.nodes.doctor.recording import Finding
from df_planner.nodes.doctor.recording import MapLog
from df_planner.nodes.doctor.recording import OdometryLog
from df_planner.nodes.doctor.recording import OK
from df_planner.nodes.doctor.recording import Recording
from df_planner.nodes.doctor.recording import verdict
from df_planner.nodes.doctor.recording import Wanted
from df_planner.nodes.doctor.recording import WARN
from df_planner.nodes.doctor.started import Started
from df_planner.nodes.doctor.started import unused_by_both
from df_planner.nodes.doctor.surroundings import judge_clock
from df_planner.nodes.doctor.surroundings import judge_map
from df_planner.planning.map import GridMap

BEGAN_S, SECONDS, RATE_HZ = 1.7e9, 10.0, 50.0
WANTED = Wanted(dt_s=0.02, odom_timeout_s=0.5, max_speed_mps=1.0, robot_radius_m=0.1)
NO_CLOCK = ClockLog(np.zeros(0), np.zeros(0, np.int64))
ODOM = 'nav_msgs/msg/Odometry'


def turned(vectors, yaws):
    """Turn vectors (n, 2) by angles (n,)."""
    cos, sin = np.cos(yaws), np.sin(yaws)
    return np.stack((cos * vectors[:, 0] - sin * vectors[:, 1],
                     sin * vectors[:, 0] + cos * vectors[:, 1]), axis=1)


def drive(speed_mps=0.5, turn_radps=0.4, yaw=0.3):
    """Return the odometry of an omnidirectional robot on a curve, in the axes of REP 105."""
    t = np.arange(0.0, SECONDS, 1.0 / RATE_HZ)
    yaws = yaw + turn_radps * t
    twists = speed_mps * np.stack((np.ones_like(t), 0.3 * np.sin(t)), axis=1)
    velocities = turned(twists, yaws)
    steps = 0.5 * (velocities[1:] + velocities[:-1]) / RATE_HZ
    positions = np.concatenate((np.zeros((1, 2)), np.cumsum(steps, axis=0)))
    rotations = np.stack((0 * t, 0 * t, np.sin(yaws / 2), np.cos(yaws / 2)), axis=1)
    jitter_s = 0.002 * np.random.default_rng(0).random(len(t))
    return OdometryLog(
        BEGAN_S + t + jitter_s, ((BEGAN_S + t) * 1e9).astype(np.int64), positions, rotations,
        twists, velocities, (('odom', 'base_link'),) * len(t))


def recording(odometry, clock=NO_CLOCK, newest_map=None):
    """Return a recording."""
    return Recording(BEGAN_S, BEGAN_S + SECONDS, odometry, clock, newest_map)


def odometry_findings(log, wanted=WANTED, clock=NO_CLOCK):
    """Return what is said of odometry."""
    return [*judge_odometry(recording(log, clock), wanted), *judge_axes(log, wanted)]


def levels(findings):
    """Return the levels."""
    return [finding.level for finding in findings]


def only(findings, level=BAD):
    """Return the text of the only finding of a level."""
    texts = [finding.text for finding in findings if finding.level == level]
    assert len(texts) == 1, [*map(str, findings)]
    return texts[0]


def test_healthy_odometry_is_ok_in_two_lines():
    log = drive()

    assert [*map(str, odometry_findings(log))] == [
        f'ok   odom: 50.0 Hz, {ODOM}, odom -> base_link',
        'ok   twist: agrees with how the position moved, 5.0 m']


def keep(log, rows):
    """Return some rows of a log, frames kept."""
    return replace(log.only(rows), frames=log.frames[:rows.sum()])


def stamped(seconds):
    """Return a change of a log: stamps by a function of seconds since it began."""
    return lambda log: replace(log, stamps_ns=np.array(
        [round(seconds(ns / 1e9 - BEGAN_S) * 1e9) for ns in log.stamps_ns], np.int64))


@pytest.mark.parametrize(('change', 'words'), [
    (stamped(lambda t: 0.0), 'stamps are all 0'),
    (stamped(lambda t: 12.5), 'stamp has stood'),
    (stamped(lambda t: BEGAN_S + np.floor(t)), 'whole seconds'),
    (stamped(lambda t: BEGAN_S + min(t, 4.1)), 'stamp has stood'),
    (stamped(lambda t: BEGAN_S + 1e-3 * t), 'times as fast'),
    (stamped(lambda t: BEGAN_S + 5.0 * t), 'times as fast'),
    (stamped(lambda t: BEGAN_S + t - 0.05 * (int(t * RATE_HZ) % 2)), 'older than the one before'),
    (stamped(lambda t: BEGAN_S + t - 100.0 * (int(t * RATE_HZ) % 2)), 'back and forth'),
    (lambda log: keep(log, log.received_s < BEGAN_S + 6.0), 'silent for the last 4.0 s'),
    (lambda log: keep(log, np.abs(log.received_s - BEGAN_S - 5.0) > 0.5), 'silent for 1.0 s'),
    (lambda log: keep(log, np.arange(len(log)) % 45 == 0), 'odom_timeout_s'),
    (lambda log: keep(log, np.arange(len(log)) % 100 == 0), 'only 5 messages'),
    (lambda log: replace(log, positions=log.positions + np.where(
        np.arange(len(log))[:, None] % 2, 0.4, 0.0)), 'position jumps by'),
], ids=lambda value: value if isinstance(value, str) else '')
def test_odometry_that_arrives_wrongly_is_named(change, words):
    findings = odometry_findings(change(drive()))

    assert any(words in finding.text for finding in findings if finding.level == BAD), (
        [*map(str, findings)])
    assert not verdict(findings)[0]


@pytest.mark.parametrize(('change', 'words'), [
    (lambda log: keep(log, np.arange(len(log)) % 5 == 0), 'a command holds for 5.0 steps'),
    (stamped(lambda t: BEGAN_S - 3.0 + t), 'stamps are 3 s behind the clock of this machine'),
    (lambda log: replace(log, positions=log.positions + np.where(
        np.arange(len(log))[:, None] < 250, 0.0, 1.0)), 'jumped once'),
])
def test_odometry_that_is_odd_is_a_warning(change, words):
    findings = odometry_findings(change(drive()))

    assert words in only(findings, WARN)
    assert verdict(findings) == (True, 'The planner would drive.')


@pytest.mark.parametrize(('frame_id', 'words'), [
    ('', 'set header.frame_id in the driver'), ('/odom', 'leave out the slash'),
    ('world', "start the planner with -p equivalent_frame_ids:=\"['map','world']\" and start the "
     'follower with -p odom_frame_id:=world')])
def test_a_frame_that_the_nodes_refuse_comes_with_the_remedy(frame_id, words):
    log = drive()
    keys = [('planner', 'TF_ERROR'), ('follower', 'TF_ERROR')]
    log = replace(log, frames=((frame_id, 'base_link'),) * len(log), refused=Counter(
        dict.fromkeys(keys, len(log))), refusals=dict.fromkeys(keys, 'odometry: frame_id'),
        velocities=np.full((len(log), 2), np.nan))

    text = only(odometry_findings(log))

    assert text.startswith('planner and follower would refuse 500 of 500: TF_ERROR: odometry')
    assert words in text


@pytest.mark.parametrize(('twists', 'velocities', 'words'), [
    (lambda log: log.velocities, None, 'in the axes of the pose'),
    (lambda log: -log.twists, None, 'ahead and behind are swapped'),
    (lambda log: log.twists[:, ::-1] * (1.0, -1.0), None, 'turned by 90 degrees'),
    (lambda log: log.twists[:, ::-1] * (-1.0, 1.0), None, 'turned by -90 degrees'),
    (lambda log: 100.0 * log.twists, None, 'cm/s in place of m/s'),
    (lambda log: 3.6 * log.twists, None, 'km/h in place of m/s'),
    (lambda log: 0.5 * log.twists, None, '0.5 times as long'),
    (lambda log: 0.0 * log.twists, None, 'fill twist.twist.linear'),
    (lambda log: log.twists, lambda log: log.twists, 'set child_frame_id'),
])
def test_a_twist_that_does_not_fit_the_position_is_named(twists, velocities, words):
    log = drive()
    wrong = twists(log)
    log = replace(log, twists=wrong, velocities=(
        turned(wrong, log.yaws) if velocities is None else velocities(log)))

    assert words in only(judge_axes(log, WANTED))


def test_mirrored_positions_and_yaws_are_named():
    log = drive()
    mirrored = replace(log, positions=log.positions * (1.0, -1.0))
    backwards = replace(log, rotations=log.rotations * (1.0, 1.0, -1.0, 1.0))
    backwards = replace(backwards, velocities=turned(log.twists, backwards.yaws))

    assert 'y of the position' in only(judge_axes(mirrored, WANTED))
    assert 'the yaw turns the wrong way' in only(judge_axes(backwards, WANTED))


def test_twist_and_position_that_have_nothing_in_common():
    log = drive()
    walk = np.cumsum(np.random.default_rng(1).normal(0.0, 0.02, (len(log), 2)), axis=0)

    assert 'in any axes' in only(judge_axes(replace(log, positions=walk), WANTED))


def test_a_position_that_stands_while_the_twist_moves():
    log = drive()
    findings = odometry_findings(replace(log, positions=0.0 * log.positions))

    assert any('stood still' in f.text or 'stands still' in f.text for f in findings
               if f.level == BAD)


@pytest.mark.parametrize(('log', 'words'), [
    (drive(speed_mps=0.0), 'drive it about a metre by hand'),
    (drive(turn_radps=0.0, yaw=0.0), 'headed along x all the time'),
    (drive(speed_mps=1.5), 'the data of the model has at most 1.00 m/s')])
def test_what_the_drive_does_not_show_is_a_warning(log, words):
    assert words in only(judge_axes(log, WANTED), WARN)


def test_noise_of_a_real_robot_is_ok():
    log, rng = drive(), np.random.default_rng(0)
    noisy = log.twists + rng.normal(0.0, 0.1, log.twists.shape)
    log = replace(log, positions=log.positions + rng.normal(0.0, 0.005, log.positions.shape),
                  twists=noisy, velocities=turned(noisy, log.yaws))

    assert levels(odometry_findings(log)) == [OK, OK]


CLOCK_S = np.arange(0.0, SECONDS, 0.1)


@pytest.mark.parametrize(('use_sim_time', 'times_s', 'level', 'words'), [
    (False, [], OK, 'the clock of this machine'),
    (False, CLOCK_S, WARN, 'use_sim_time:=true'),
    (True, [], BAD, 'nobody publishes /clock'),
    (True, 0 * CLOCK_S + 5.0, BAD, '/clock stands at 5.000 s'),
    (True, CLOCK_S, OK, '1.00 s per second')])
def test_the_clock(use_sim_time, times_s, level, words):
    clock = ClockLog(BEGAN_S + CLOCK_S[:len(times_s)], (1e9 * np.array(times_s)).astype(np.int64))
    finding, = judge_clock(recording(drive(), clock),
                           replace(WANTED, use_sim_time=use_sim_time))

    assert (finding.level, words in finding.text) == (level, True)


def test_odometry_by_a_simulated_clock_is_ok():
    clock = ClockLog(BEGAN_S + CLOCK_S, (0.5e9 * CLOCK_S).astype(np.int64))
    log = stamped(lambda t: 0.5 * t)(drive())

    assert levels(judge_odometry(recording(log, clock), replace(WANTED, use_sim_time=True))
                  ) == [OK]


def room(resolution_m=0.1):
    """Return a map: walls around 4 m x 4 m, a closed cell of 0.4 m in its corner, unknown half."""
    cells = np.zeros((40, 40), bool)
    cells[[0, -1]] = cells[:, [0, -1]] = True
    cells[5, :6] = cells[:6, 5] = True
    unknown = np.zeros_like(cells)
    unknown[:, 30:] = True
    return MapLog('map', GridMap(cells | unknown, resolution_m, np.zeros(2), np.eye(2)), unknown)


@pytest.mark.parametrize(('place', 'error', 'expected', 'words'), [
    ((2.0, 2.0), '', [OK, OK], 'map (2.00, 2.00)'),
    ((0.25, 0.25), '', [OK, BAD], 'enclosed'),
    ((1.0, 0.15), '', [OK, WARN], 'nearer than its radius'),
    ((3.5, 2.0), 'START_OCCUPIED: unknown', [OK, BAD], 'START_OCCUPIED: unknown')])
def test_where_the_robot_stands_on_the_map(place, error, expected, words):
    findings = [*judge_map(recording(drive(), newest_map=room()), WANTED, np.array(place), error)]

    assert levels(findings) == expected
    assert '25% unknown' in findings[0].text
    assert words in findings[-1].text


def test_maps_that_are_refused_or_full():
    refused = MapLog('world', None, None, 'TF_ERROR: map: frame_id')
    full = MapLog('map', GridMap(np.ones((5, 5), bool), 0.1, np.zeros(2), np.eye(2)),
                  np.zeros((5, 5), bool))

    for heard, words in ((refused, 'would refuse it: TF_ERROR'), (full, 'no cell is free')):
        assert words in only(judge_map(recording(drive(), newest_map=heard), WANTED, None, ''))
    assert levels(judge_map(recording(drive()), replace(WANTED, needs_map=False), None, '')
                  ) == [OK]


@pytest.mark.parametrize(('faults', 'senders', 'heard', 'texts'), [
    ([], ['/base'], 500, []),
    ([], ['/base'], 0, ['nothing arrived from /base']),
    (['/odom: /base and /ekf all send it; keep one'], ['/base', '/ekf'], 500, ['keep one']),
    (['nobody sends /odom'], [], 0, ['nobody sends /odom: start the driver'])])
def test_an_input_that_does_not_come_is_told_once(faults, senders, heard, texts):
    findings = [*judge_input('odom', faults, senders, heard)]

    assert levels(findings) == [BAD] * len(texts)
    assert all(words in finding.text for finding, words in zip(findings, texts))


@pytest.mark.parametrize(('faults', 'rivals', 'expected', 'words'), [
    ([], [], [OK], '/base listens to /cmd_vel'),
    (['nobody listens to /cmd_vel'], [], [BAD], 'nobody listens to /cmd_vel: start'),
    ([], ['/teleop'], [OK, WARN], '/teleop publishes /cmd_vel too')])
def test_somebody_must_hear_the_commands(faults, rivals, expected, words):
    findings = [*judge_command('/cmd_vel', faults, ['/base'], rivals)]

    assert levels(findings) == expected
    assert words in findings[-1].text


def test_the_graph(monkeypatch):
    monkeypatch.setenv('ROS_DOMAIN_ID', '7')

    assert 'ROS_DOMAIN_ID 7' in only(judge_graph([]))
    assert levels(judge_graph(['/driver'])) == [OK]
    assert levels(judge_others(['/goal_pose: two types'])) == [WARN]


PLANNER = SimpleNamespace(
    robot='point', global_frame_id='map', max_force_n=100.0, mass_kg=4.0, occupied_threshold=65,
    autostart=True, lockstep=False, robot_radius_m=0.1)
FOLLOWER = SimpleNamespace(
    robot='point', global_frame_id='map', max_force_n=100.0, mass_kg=4.0, occupied_threshold=65,
    lockstep=False, control_period_s=0.01, observation_to_map=(0.0, 1.0, -1.0, 0.0),
    action_limits=(1.0, 1.0))
CARD = SimpleNamespace(robot='point', dt_s=0.01, observation_to_map=((0.0, 1.0), (-1.0, 0.0)),
                       action_limits=(1.0, 1.0), action_names=('a', 'b'), robot_radius_m=0.1)


@pytest.mark.parametrize(('node', 'values', 'level', 'words'), [
    ('planner', {}, OK, 'agree'),
    ('planner', {'global_frame_id': 'world'}, BAD, 'global_frame_id is world for the planner'),
    ('planner', {'robot': 'omni'}, BAD, 'robot is omni for the planner, point for the follower'),
    ('planner', {'robot_radius_m': 0.05}, WARN, '-p robot_radius_m:=0.1'),
    ('planner', {'autostart': False}, WARN, 'lifecycle manager'),
    ('planner', {'lockstep': True}, BAD, 'leave lockstep out'),
    ('planner', {'mass_kg': 5.0}, WARN, 'mass_kg is 5.0 for the planner'),
    ('follower', {'control_period_s': 0.05}, BAD, '-p control_period_s:=0.01'),
    ('follower', {'observation_to_map': (1.0, 0.0, 0.0, 1.0)}, BAD, 'observation_to_map'),
    ('follower', {'action_limits': (0.5, 0.5)}, WARN, 'limits commands to [0.5, 0.5]')])
def test_parameters_that_contradict_each_other(node, values, level, words):
    nodes = {'planner': PLANNER, 'follower': FOLLOWER}
    nodes[node] = SimpleNamespace(**{**vars(nodes[node]), **values})
    finding, = judge_parameters(nodes['planner'], nodes['follower'], CARD, False)

    assert (finding.level, words in finding.text) == (level, True)


@pytest.mark.parametrize(('planner', 'follower', 'expected'), [
    (['x is no parameter of /planner; did you mean y?'], ['x is no parameter of /follower'],
     ['x is no parameter of /planner; did you mean y?']),
    ([], ['robot_radius_m is no parameter of /follower'], []),
    (['f.yaml: the section /r/planner is not for /planner'], [],
     ['f.yaml: the section /r/planner is not for /planner']),
    ([], ['-p planner:x:=1 is for the node planner: /follower does not use it'], [])])
def test_what_one_of_the_nodes_uses_is_not_given_in_vain(planner, follower, expected):
    parameters = make_dataclass('Parameters', [('robot_radius_m', float)])(0.1)
    nodes = [Started(f'/{name}', parameters, {}, {}, tuple(texts), False)
             for name, texts in (('planner', planner), ('follower', follower))]

    assert unused_by_both(*nodes) == expected


def test_the_running_node_counts():
    text = only(judge_given({'robot': 'omni', 'mass_kg': 4.0, 'use_sim_time': True}, PLANNER,
                            'planner'), WARN)

    assert text.startswith('robot is point in the planner that runs, not omni')


@pytest.mark.parametrize(('statuses', 'expected', 'words'), [
    ({'planner: model': (0, 'loaded'), 'planner: inputs': (0, '')}, [OK], 'diagnostics are OK'),
    ({'planner: inputs': (1, 'Waiting for odom')}, [BAD], 'inputs: Waiting for odom'),
    ({'planner: inference': (1, 'late')}, [WARN], 'inference: late'),
    ({'planner: safety gate': (2, 'stopped')}, [BAD], 'safety gate: stopped'),
    ({'robot1/planner: model': (0, '')}, [BAD], 'were not heard')])
def test_what_running_nodes_say_counts(statuses, expected, words):
    findings = [*judge_statuses(statuses, '/planner')]

    assert levels(findings) == expected
    assert words in findings[0].text


@pytest.mark.parametrize(('state', 'running', 'expected'), [
    ('active', ['planner', 'follower'], []), ('inactive', ['planner', 'follower'], [BAD]),
    ('', ['planner', 'follower'], [BAD]), ('active', ['planner'], [WARN])])
def test_a_planner_that_runs_must_be_active(state, running, expected):
    assert levels(judge_running(state, running)) == expected


def test_the_last_sentence_counts_and_names_the_first():
    findings = [Finding(OK, 'graph', ''), Finding(BAD, 'odom', 'stamps are 0: mend'),
                Finding(BAD, 'map', 'none')]

    assert verdict(findings) == (
        False, 'The planner would not drive: 2 things to mend, first odom: stamps are 0: mend.')
    assert verdict(findings[:2])[1].startswith('The planner would not drive: 1 thing to mend')
