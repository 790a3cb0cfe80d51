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

"""The soak test: a short one for real, and its checks, each of which can fail."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from soak.checks import CommandCheck
from soak.checks import growth
from soak.checks import Limits
from soak.checks import PERSISTENT
from soak.inputs import BAD_INPUTS
from soak.report import summarise
from soak.schedule import goals
from soak.schedule import KILL
from soak.schedule import make_schedule

SECOND_NS = 10**9
NAMES = [bad.name for bad in BAD_INPUTS]


def soak(folder, minutes):
    """Start ``df_planner measure soak``."""
    command = [sys.executable, '-m', 'df_planner.cli', 'measure', 'soak', '--maze', 'umaze',
               '--minutes', str(minutes), '--warm-up-s', '75', '--out',
               str(folder)]
    with open(folder / 'output.txt', 'w') as output:
        return subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT,
                                env={**os.environ, 'OMP_NUM_THREADS': '1'})


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_short_soak(tmp_path):
    """What `make soak` does in an hour: nothing dies, nothing unsafe, all goals, flat memory."""
    code = soak(tmp_path, minutes=2.5).wait(850)

    report = (tmp_path / 'report.md').read_text()
    assert code == 0, report
    found = json.loads((tmp_path / 'soak.json').read_text())
    assert found['violations'] == []
    assert found['kinds_of_bad_inputs'] >= 25, report
    assert found['goals_reached'] == found['goals_sent'] >= 5, report
    assert found['resumed_by_itself'] == found['planner_kills'] >= 1, report
    assert found['commands'] > 5000, report
    assert {g['process'] for g in found['memory']} >= {'maze_sim', 'follower'}
    assert {path.name for path in tmp_path.iterdir()} >= {'soak.png', 'seconds.csv', 'logs'}


@pytest.mark.timeout(300)
def test_an_interrupted_soak_leaves_a_report(tmp_path):
    """Ctrl-C ends all processes and keeps what there is."""
    process = soak(tmp_path, minutes=10)
    journal, end_s = tmp_path / 'events.jsonl', time.monotonic() + 200.0
    while not journal.exists() or '"reached"' not in journal.read_text():
        assert process.poll() is None and time.monotonic() < end_s
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)

    assert process.wait(60) == 130
    assert 'cut short' in (tmp_path / 'report.md').read_text()
    assert json.loads((tmp_path / 'soak.json').read_text())['goals_reached'] >= 1


def checked(*commands, plans=()):
    """
    Return what is said about commands (seconds, force, velocity), odometry heard with each.

    :param plans: (seconds, points), heard with the first.
    """
    check = CommandCheck(Limits())
    said = []
    for at_s, force, velocity in commands:
        stamp_ns = round(at_s * SECOND_NS)
        check.odometry(stamp_ns, velocity, at_s)
        for planned_s, points in plans:
            check.plan(round(planned_s * SECOND_NS), points)
        plans = ()
        said.append(check.command(stamp_ns, force, at_s))
    return said


@pytest.mark.parametrize('force', [(float('nan'), 0.0), (0.0, float('inf')), (100.1, 0.0)])
def test_a_command_that_no_motor_can_take_is_unsafe(force):
    assert checked((1.0, force, (0.0, 0.0)))[0] is not None
    assert checked((1.0, (100.0, -100.0), (0.0, 0.0)), plans=[(1.0, 50)]) == [None]


def test_driving_without_a_plan_is_unsafe_braking_is_not():
    late = [(4.5 + 0.01 * step, (50.0, 0.0), (1.0, 0.0)) for step in range(PERSISTENT)]
    braking = [(at_s, (-50.0, 0.0), velocity) for at_s, _, velocity in late]
    in_time = [(at_s - 2.0, force, velocity) for at_s, force, velocity in late]
    begin, plan, safe = (1.0, (50.0, 0.0), (0.0, 0.0)), (1.0, 50), [None] * (1 + PERSISTENT)

    assert 'after the last plan' in checked(begin, *late, plans=[plan])[-1]
    assert checked(begin, *braking, plans=[plan]) == safe
    assert checked(begin, *in_time, plans=[plan]) == safe
    assert checked(begin, *in_time, plans=[plan, (1.0, 0)])[-1] is not None  # ended
    # A plan stamped ahead is followed when its time has come, and not before.
    assert checked(begin, *late, plans=[plan, (4.0, 50)]) == safe
    assert checked(begin, *late, plans=[plan, (9.0, 50)])[-1] is not None


def test_force_without_odometry_is_unsafe():
    check = CommandCheck(Limits())
    check.odometry(SECOND_NS, (0.0, 0.0), 10.0)
    check.plan(SECOND_NS, 50)

    assert check.command(SECOND_NS, (10.0, 0.0), 10.1) is None
    assert 'stopped' in check.command(SECOND_NS, (10.0, 0.0), 12.0)
    assert check.command(SECOND_NS, (0.0, 0.0), 12.0) is None
    check.odometry(SECOND_NS, (0.0, 0.0), 12.0)  # it arrives, but does not advance
    assert 'stopped' in check.command(SECOND_NS, (10.0, 0.0), 12.0)


def test_green_diagnostics_beside_a_command_without_odometry_are_unsafe():
    check = CommandCheck(Limits())
    check.odometry(SECOND_NS, (0.0, 0.0), 10.0)
    check.diagnostics('follower: following', True)

    assert check.command(SECOND_NS, (0.0, 0.0), 10.1) is None
    assert 'green' in check.command(SECOND_NS, (0.0, 0.0), 12.0)
    check.diagnostics('planner: inputs', False)
    assert check.command(SECOND_NS, (0.0, 0.0), 12.0) is None


def test_memory_is_judged_after_warm_up():
    flat = [(float(at_s), 200.0 - 100.0 * (at_s < 50)) for at_s in range(400)]
    leak = [(float(at_s), 200.0 + 0.05 * at_s) for at_s in range(400)]

    assert growth('planner', 0, flat, 60.0).is_flat
    assert not growth('planner', 0, leak, 60.0).is_flat
    assert growth('planner', 0, flat[:80], 60.0) is None


def test_the_schedule_is_the_seeds():
    schedule = make_schedule(150.0, 1, NAMES)

    assert schedule == make_schedule(150.0, 1, NAMES) != make_schedule(150.0, 2, NAMES)
    inputs = [event.name for event in schedule if event.name != KILL]
    assert len(set(inputs)) == len(inputs) >= 25
    assert len(inputs) < len(schedule)
    assert len(set(NAMES)) == len(NAMES) >= 25
    positions = goals([(1, 1), (1, 2)], 0)
    assert [round(next(positions)[0]) for _ in range(3)] in ([1, 2, 1], [2, 1, 2])


def test_whatever_was_written_makes_a_summary(tmp_path):
    events = [{'seconds': 0.0, 'kind': 'start', 'time': 100.0},
              {'seconds': 1.0, 'kind': 'violation', 'check': 'crash', 'what': 'follower'}]
    (tmp_path / 'events.jsonl').write_text('\n'.join(map(json.dumps, events)) + '\n{"seco')
    (tmp_path / 'observed.jsonl').write_text(json.dumps(
        {'time': 103.0, 'kind': 'unsafe', 'what': 'too much'}) + '\n')
    (tmp_path / 'memory.csv').write_text('seconds,process,life,mb\n' + ''.join(
        f'{at_s},maze_sim,0,{50 + at_s}\n' for at_s in range(100)) + '100,maz')
    summary = summarise(tmp_path, 20.0)

    assert not summary['complete']
    assert {v['check'] for v in summary['violations']} == {'crash', 'command', 'memory'}
