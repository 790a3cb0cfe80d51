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


"""The benchmark over DDS: simulator, planner and follower as processes, scored like evaluate."""

import json
import re

from episode_records import without_latencies
import numpy as np
import pytest
from tiny_model import write_tiny_model
import yaml

from df_planner.driving.executor import EXECUTIONS
from df_planner.evaluation.episodes import EpisodeRunner
from df_planner.evaluation.episodes import Specification
from df_planner.evaluation.protocol import sample_starts
from df_planner.evaluation.protocol import save_starts
from df_planner.evaluation.protocol import Starts
from df_planner.sim.maze import load_maze

STEPS = 60
INTERVAL_STEPS = 10
# An untrained model plans noise between start and goal; these let it pass as a plan, mostly.
SETTINGS = {'collision_check': False, 'dynamics_tolerance': 50.0, 'num_samples': 4,
            'sampling_steps': 2}


@pytest.fixture(scope='module')
def maze_file(tmp_path_factory):
    """Return a maze like the umaze with short episodes."""
    maze = load_maze('umaze')
    path = tmp_path_factory.mktemp('maze') / 'short.yaml'
    path.write_text(yaml.safe_dump({
        'layout': list(maze.rows), 'max_episode_steps': STEPS,
        'reference_return': list(maze.reference_return)}))
    return str(path)


@pytest.fixture(scope='module', params=EXECUTIONS)
def chain(request, start_module_node, maze_file, tmp_path_factory):
    """Start simulator, planner and follower; return the same without ROS."""
    execution = request.param
    checkpoint = str(write_tiny_model(tmp_path_factory.mktemp('model')))
    nodes = [
        start_module_node('maze_sim', maze_file=maze_file, lockstep=True),
        start_module_node('planner', checkpoint=checkpoint, hold_at_goal=execution != 'raw',
                          compensate_latency=False, lockstep=True, realtime_priority=0,
                          planning_frequency_hz=100.0 / INTERVAL_STEPS, **SETTINGS),
        start_module_node('follower', lockstep=True, lockstep_plan_steps=INTERVAL_STEPS,
                          execution=execution)]
    yield Specification(maze_file, checkpoint=checkpoint, execution=execution, settings=SETTINGS,
                        replan_interval_s=0.01 * INTERVAL_STEPS)
    for node in nodes:
        assert node.stop() == 0
        assert 'Traceback' not in node.log


def test_lockstep_equals_evaluate(chain, start_node, maze_file, tmp_path):
    starts = sample_starts(load_maze(maze_file), episodes=3, seed=5, multi_goal=True)
    save_starts(tmp_path / 'starts.npz', starts)
    benchmark = start_node('maze_benchmark', maze=maze_file, episodes=0, out_dir=tmp_path / 'out',
                           starts=tmp_path / 'starts.npz', min_success_rate=0.0)
    assert benchmark.wait(200.0) == 0, benchmark.log
    results = json.loads((tmp_path / 'out/results.json').read_text())
    runner = EpisodeRunner(chain)
    for episode, record in enumerate(results['episodes']):
        expected = runner.run(episode, starts.state[episode], starts.goal[episode])['record']
        assert without_latencies(record) == without_latencies(expected)
        assert len(record['planning_times_s']) == len(expected['planning_times_s']) > 0
    assert len(results['episodes']) == 3
    assert sum(record['plans'] for record in results['episodes']) > 9
    assert results['meta']['execution'] == chain.execution
    assert results['meta']['checkpoint'] == chain.checkpoint
    assert 'episode' in benchmark.log and '[3/3]' in benchmark.log
    ticks_per_s, percent = re.search(
        r'(\d+) control ticks a second, (\d+) % of the time planning', benchmark.log).groups()
    assert 1 <= int(ticks_per_s) < 10_000 and 1 <= int(percent) <= 100
    assert (tmp_path / 'out/paths.png').stat().st_size > 10_000


def test_exit_code_tells_whether_the_goals_were_reached(chain, start_node, maze_file, tmp_path):
    maze = load_maze(maze_file)
    near = np.array([*maze.goal_cell, 0.0, 0.0], float)
    starts = Starts(near[None], near[None, :2])
    save_starts(tmp_path / 'near.npz', starts)
    benchmark = start_node('maze_benchmark', maze=maze_file, starts=tmp_path / 'near.npz',
                           episodes=1)
    assert benchmark.wait(200.0) == 0, benchmark.log
    far = Starts(np.array([[3.0, 1.0, 0.0, 0.0]]), near[None, :2])
    save_starts(tmp_path / 'far.npz', far)
    benchmark = start_node('maze_benchmark', maze=maze_file, starts=tmp_path / 'far.npz',
                           episodes=1)
    assert benchmark.wait(200.0) == 1, benchmark.log
    assert 'NOT reached' in benchmark.log


def test_interrupted_run_reports_what_is_finished(chain, start_node, maze_file, tmp_path):
    benchmark = start_node('maze_benchmark', maze=maze_file, episodes=500, out_dir=tmp_path)
    benchmark.wait_for_log('[  2/500]', 200.0)
    assert benchmark.stop() == 1, benchmark.log
    assert 'interrupted after' in benchmark.log
    results = json.loads((tmp_path / 'results.json').read_text())
    assert results['meta']['finished'] == len(results['episodes']) >= 2
    assert 'Traceback' not in benchmark.log


def test_waiting_in_vain_says_for_what(start_node):
    benchmark = start_node(
        'maze_benchmark', arguments=('-r', '__ns:=/alone'), startup_timeout_s=12.0)
    assert benchmark.wait() == 1
    assert 'waiting for odometry (maze_sim)' in benchmark.log
    assert 'TIMEOUT: waited in vain for odometry (maze_sim)' in benchmark.log


@pytest.mark.parametrize('parameters, complaint', [
    ({'maze': 'nowhere'}, "no maze 'nowhere'"),
    ({'starts': 'nowhere.npz'}, 'starts file nowhere.npz cannot be read'),
    ({'min_success_rate': 1.5}, 'min_success_rate')])
def test_bad_parameters_end_with_one_line(start_node, parameters, complaint):
    benchmark = start_node('maze_benchmark', **parameters)
    assert benchmark.wait() == 1
    assert complaint in benchmark.log
    assert 'Traceback' not in benchmark.log
