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

"""The whole graph over DDS, started as ``df_planner demo`` starts it, and ended in every way."""

import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
import uuid

import pytest
from rosbags.highlevel import AnyReader
from tiny_model import write_tiny_model
import yaml

from df_planner.drives.bag import read_drive
from df_planner.errors import ConfigError
from df_planner.launching.runner import run
from df_planner.sim.maze import load_maze

RUN = """
import json, sys
from df_planner.launching.runner import run
sys.exit(run(json.loads(sys.argv[1])))
"""


class Demo:
    """A runner in a process of its own; it and all it starts carry a mark in the environment."""

    def __init__(self, log_path: Path, **arguments):
        self.mark = f'DF_PLANNER_TEST={uuid.uuid4().hex}'
        self.log_path = log_path
        env = dict(os.environ)
        env.update([self.mark.split('=')])
        env.pop('ROS_DOMAIN_ID')  # the runner picks one
        with open(log_path, 'w') as log:
            self.process = subprocess.Popen([sys.executable, '-c', RUN, json.dumps(arguments)],
                                            stdout=log, stderr=subprocess.STDOUT, env=env)

    @property
    def log(self) -> str:
        """Everything that was printed so far."""
        return self.log_path.read_text()

    def wait_for(self, text: str, timeout_s: float = 120.0) -> None:
        """Wait until a text was printed."""
        deadline = time.monotonic() + timeout_s
        while text not in self.log:
            assert time.monotonic() < deadline and self.process.poll() is None, self.log
            time.sleep(0.05)

    def alive(self) -> list[int]:
        """Return the ids of all processes of this demo."""
        found = []
        for path in Path('/proc').glob('[0-9]*/environ'):
            try:
                if self.mark.encode() in path.read_bytes():
                    found.append(int(path.parent.name))
            except OSError:  # not ours, or gone
                continue
        return found


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    """Return arguments for a short maze, a tiny model and parameters that let it plan."""
    folder = tmp_path_factory.mktemp('world')
    maze = folder / 'short.yaml'
    maze.write_text(yaml.safe_dump({'layout': list(load_maze('umaze').rows),
                                    'max_episode_steps': 60, 'reference_return': [0.0, 60.0]}))
    params = folder / 'params.yaml'
    params.write_text(yaml.safe_dump({
        '/**/planner': {'ros__parameters': {
            'collision_check': False, 'num_samples': 4, 'sampling_steps': 2}},
        '/**/maze_benchmark': {'ros__parameters': {'min_success_rate': 0.0}}}))
    return {'maze': str(maze), 'checkpoint': str(write_tiny_model(folder)),
            'params_file': str(params), 'results_dir': str(folder / 'results')}


@pytest.fixture
def start(tmp_path, world):
    """Return a function that starts a demo, which ends with the test."""
    demos = []

    def start_demo(**arguments):
        demos.append(Demo(tmp_path / f'{len(demos)}.log', **{**world, **arguments}))
        return demos[-1]

    yield start_demo
    for demo in demos:
        for pid in demo.alive():
            os.kill(pid, signal.SIGKILL)
        demo.process.wait()


def test_it_drives_scores_records_and_leaves_nothing_behind(start, world):
    demo = start(episodes=2, namespace='robot1', record=True)
    assert demo.process.wait(150) == 0, demo.log
    assert demo.alive() == []
    assert '[planner] [INFO] Ready for goals' in demo.log
    assert '2/2' in demo.log
    [results] = Path(world['results_dir']).glob('short-*/results.json')
    episodes = json.loads(results.read_text())['episodes']
    assert [len(episodes), *(len(e['start']) for e in episodes)] == [2, 4, 4]
    assert {'report.md', 'results.csv'} <= {path.name for path in results.parent.iterdir()}
    drive = read_drive(results.parent / 'bag')
    assert len(drive.goals) == 2 and len(drive.times_s) >= 120
    assert len(drive.plans) >= len(drive.uncertainty) > 2


def test_the_exit_code_is_that_of_the_benchmark(start):
    demo = start(episodes=1, params_file='')  # an untrained model reaches nothing
    assert demo.process.wait(150) == 1, demo.log
    assert 'NO_VALID_PATH' in demo.log
    assert demo.alive() == []


def test_ctrl_c_during_an_episode_leaves_nothing_behind(start):
    demo = start(episodes=1000)
    demo.wait_for('1/1000')
    assert len(demo.alive()) == 5
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(60) == 128 + signal.SIGINT
    assert demo.alive() == []
    assert 'Traceback' not in demo.log


def test_ctrl_c_makes_the_bag_whole(start, tmp_path):
    demo = start(use_benchmark=False, record=True, results_dir=str(tmp_path / 'results'))
    demo.wait_for('All awaited topics are heard')
    time.sleep(1.0)
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(60) == 128 + signal.SIGINT
    [bag] = (tmp_path / 'results').glob('*/bag')
    with AnyReader([bag]) as reader:
        counts = {connection.topic: connection.msgcount for connection in reader.connections}
    assert counts['/map'] == 1 and counts['/odom'] > 20


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='needs PR_SET_PDEATHSIG of Linux')
def test_killing_the_runner_leaves_nothing_behind(start):
    demo = start(use_benchmark=False)
    demo.wait_for('Ready for goals')
    assert len(demo.alive()) == 4
    demo.process.kill()
    demo.process.wait()
    deadline = time.monotonic() + 15.0
    while demo.alive():
        assert time.monotonic() < deadline, demo.alive()
        time.sleep(0.1)


def test_a_node_that_fails_ends_the_run(start, tmp_path):
    params = tmp_path / 'params.yaml'
    params.write_text('/**/follower:\n  ros__parameters: {position_gain: -1.0}\n')
    demo = start(params_file=str(params))
    assert demo.process.wait(90) == 1
    assert 'BAD_CONFIG: parameter position_gain' in demo.log
    assert 'follower ended too early, with exit code 1' in demo.log
    assert 'Traceback' not in demo.log
    assert demo.alive() == []


def test_a_model_that_is_missing_ends_the_run(start):
    demo = start(checkpoint='no-such-model', namespace='robot1')
    assert demo.process.wait(90) == 1
    assert 'BAD_CHECKPOINT: the planner has no model: no-such-model' in demo.log
    assert demo.alive() == []


def test_sigterm_at_once_leaves_nothing_behind(start):
    demo = start()
    demo.wait_for('Starting')
    demo.process.terminate()
    assert demo.process.wait(60) == 128 + signal.SIGTERM
    assert demo.alive() == []


def test_a_program_that_is_missing_is_named(monkeypatch):
    monkeypatch.setenv('PATH', '')
    with pytest.raises(ConfigError, match="rviz2 needs the program 'rviz2'"):
        run({'use_rviz': True})
