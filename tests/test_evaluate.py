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

"""Evaluation: real episodes on short mazes, with workers, with Ctrl-C and after a kill."""

from dataclasses import replace
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from ros.episode_records import without_latencies
import yaml

from df_planner.errors import CheckpointError
from df_planner.errors import ConfigError
from df_planner.errors import InvalidInput
from df_planner.evaluation.episodes import ControllerPolicy
from df_planner.evaluation.episodes import EpisodeRunner
from df_planner.evaluation.episodes import Specification
from df_planner.evaluation.evaluate import evaluate
from df_planner.evaluation.journal import Journal
from df_planner.evaluation.protocol import load_starts
from df_planner.evaluation.protocol import sample_starts
from df_planner.evaluation.protocol import Starts
from df_planner.sim.generate import generate
from df_planner.sim.maze import load_maze
from df_planner.sim.robots import simulated_robot
from df_planner.sim.world import World
from df_planner.training.train import train

CONTROLLER = Specification('umaze', policy='controller')


def _short_maze(folder, steps):
    """Write the umaze with another episode length and return its path."""
    maze = load_maze('umaze')
    path = folder / 'short.yaml'
    path.write_text(yaml.safe_dump({
        'layout': list(maze.rows), 'max_episode_steps': steps,
        'reference_return': list(maze.reference_return)}))
    return str(path)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    """Train a network for a moment: its plans are poor, but they are plans."""
    folder = tmp_path_factory.mktemp('model')
    log = generate('umaze', 3000, progress=False, out=folder / 'log.hdf5')
    config = folder / 'tiny.yaml'
    config.write_text(yaml.safe_dump({
        'name': 'tiny', 'dataset': str(log), 'max_tokens': 12, 'width': 16,
        'num_layers': 1, 'num_heads': 2, 'steps': 3, 'tokens_per_batch': 64, 'warmup_steps': 0,
        'holdout_share': 0.0, 'num_threads': 1, 'run_dir': str(folder / 'runs'),
        'out_dir': str(folder)}))
    return str(train(config))


def test_the_planner_drives_and_workers_do_not_change_what_it_does(tmp_path, checkpoint):
    specification = Specification(
        _short_maze(tmp_path, 60), checkpoint=checkpoint, planner_seed=3,
        settings={'collision_check': False, 'num_samples': 4, 'sampling_steps': 2})
    starts = sample_starts(load_maze('umaze'), 3, seed=1)
    one = evaluate(specification, starts, tmp_path / 'one')
    two = evaluate(specification, starts, tmp_path / 'two', workers=2)
    records, again = ([without_latencies(record) for record in results['episodes']]
                      for results in (one, two))
    assert records == again
    for record in one['episodes']:
        assert record['plans'] == 3  # 60 steps, a plan every 25
        assert 1 <= len(record['planning_times_s']) <= 3 and record['planning_time_p50_s'] > 0
        assert 0.0 <= record['wall_crossing_share'] <= 1.0
        assert record['plan_execution_gap'] > 0.0
    assert one['baseline']['name'] == 'waypoint controller'
    assert [record['start'] for record in one['baseline']['episodes']] == [
        record['start'] for record in records]
    assert one['meta']['settings']['num_samples'] == 4
    other = evaluate(replace(specification, planner_seed=4), starts, tmp_path / 'other')
    assert [without_latencies(record) for record in other['episodes']] != records


def test_raw_and_tracking_differ(tmp_path, checkpoint):
    starts = sample_starts(load_maze('umaze'), 1, seed=1)
    returns = []
    for execution in ('raw', 'tracking'):
        specification = Specification(
            _short_maze(tmp_path, 30), checkpoint=checkpoint, execution=execution,
            settings={'collision_check': False, 'num_samples': 4, 'sampling_steps': 2})
        results = evaluate(specification, starts, tmp_path / execution, baseline=False)
        assert 'baseline' not in results
        returns.append(results['episodes'][0]['path_length_m'])
    assert returns[0] != returns[1]


def test_controller_scores_what_is_published(tmp_path):
    starts = sample_starts(load_maze('umaze'), 100, seed=0)
    results = evaluate(CONTROLLER, starts, tmp_path)
    score = results['summary']['score']
    assert results['summary']['reached'] == 100
    assert abs(score['mean'] - 143.0) < 2 * score['stderr']
    assert 'baseline' not in results  # it would be the same thing twice


def test_an_episode_is_what_the_world_does():
    starts = sample_starts(load_maze('umaze'), 2, seed=5)
    record = EpisodeRunner(CONTROLLER).run(1, starts.state[1], starts.goal[1])['record']
    world, policy = World(load_maze('umaze')), ControllerPolicy(
        simulated_robot('point'), load_maze('umaze'))
    world.set_state(starts.state[1])
    policy.reset(starts.goal[1])
    inside = [np.linalg.norm(world.step(policy.act(world.state))[:2] - starts.goal[1]) <= 0.5
              for _ in range(300)]
    assert record['return'] == sum(inside)
    assert record['first_reach_step'] == inside.index(True) + 1
    assert record['start'] == starts.state[1].tolist()


def test_results_do_not_depend_on_the_episodes_before(tmp_path):
    specification = Specification(_short_maze(tmp_path, 120), policy='controller')
    starts = sample_starts(load_maze('umaze'), 5, seed=2, multi_goal=True)
    one = evaluate(specification, starts, tmp_path / 'one')
    backwards = Starts(starts.state[::-1], starts.goal[::-1])
    mirrored = evaluate(specification, backwards, tmp_path / 'two')
    assert ([record['return'] for record in mirrored['episodes']]
            == [record['return'] for record in one['episodes']][::-1])
    assert np.array_equal(load_starts(tmp_path / 'one' / 'starts.npz').state, starts.state)


def test_resume_runs_only_what_is_missing(tmp_path):
    starts = sample_starts(load_maze('umaze'), 4, seed=0)
    whole = evaluate(CONTROLLER, starts, tmp_path)
    journal = tmp_path / 'episodes.jsonl'
    lines = journal.read_text().splitlines(keepends=True)
    assert len(lines) == 5
    marked = lines[1].replace('"failed_plans": 0', '"failed_plans": 77')
    journal.write_text(lines[0] + marked + lines[2] + lines[3][:40])  # killed while writing
    seen = []
    resumed = evaluate(CONTROLLER, starts, tmp_path, resume=True, on_episode=seen.append)
    assert resumed['episodes'][0]['failed_plans'] == 77  # taken over, not run again
    assert resumed['episodes'][1:] == whole['episodes'][1:]
    assert len(seen) == 4
    assert len(journal.read_text().splitlines()) == 5
    afresh = evaluate(CONTROLLER, starts, tmp_path)
    assert afresh['episodes'] == whole['episodes']


def test_resume_refuses_another_run(tmp_path):
    starts = sample_starts(load_maze('umaze'), 1, seed=0)
    evaluate(CONTROLLER, starts, tmp_path)
    with pytest.raises(ConfigError, match='differs in starts_sha256'):
        evaluate(CONTROLLER, sample_starts(load_maze('umaze'), 1, seed=1), tmp_path, resume=True)


def test_an_empty_journal_is_a_fresh_start(tmp_path):
    path = tmp_path / 'episodes.jsonl'
    path.write_text('')
    with Journal(path, {'maze': 'umaze'}, resume=True) as journal:
        assert journal.finished() == []


def _living(group):
    """Return the processes of a group that are not zombies."""
    living = []
    for path in Path('/proc').glob('[0-9]*/stat'):
        try:
            state, _, process_group = path.read_text().rpartition(')')[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended meanwhile
        if int(process_group) == group and state != 'Z':
            living.append(path.parent.name)
    return living


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_keeps_finished_episodes_and_leaves_no_process(tmp_path, number):
    maze = _short_maze(tmp_path, 20000)
    command = [sys.executable, '-m', 'df_planner.cli', 'evaluate', '--policy', 'controller',
               '--maze', maze, '--episodes', '40', '--workers', '2', '--out',
               str(tmp_path / 'out')]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    journal = tmp_path / 'out' / 'episodes.jsonl'
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if journal.exists() and journal.read_text().count('\n') >= 3:
            break
        time.sleep(0.05)
    assert len(_living(process.pid)) >= 3
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + number, errors
    assert 'are kept in' in errors and 'Traceback' not in errors
    results = json.loads((tmp_path / 'out' / 'results.json').read_text())
    assert 2 <= len(results['episodes']) == results['meta']['finished'] < 40
    assert (tmp_path / 'out' / 'report.md').exists()
    deadline = time.monotonic() + 10
    while _living(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _living(process.pid)


def test_bad_specifications_are_typed_errors():
    for changes, message in [
        ({'policy': 'oracle'}, 'policy must be one of'),
        ({}, 'needs a checkpoint'),
        ({'checkpoint': 'x', 'robot': None, 'execution': 'raw'},
         'checkpoint x: its columns are those of no known robot; .* point, diff_drive'),
        ({'checkpoint': 'x', 'execution': 'rough'}, 'execution must be one of'),
        ({'checkpoint': 'x', 'replan_interval_s': float('nan')}, 'replan_interval_s'),
        ({'checkpoint': 'x', 'planner_seed': -1}, 'planner_seed'),
        ({'checkpoint': 'x', 'settings': {'speed': 1}}, 'planner setting speed'),
        ({'checkpoint': 'x', 'settings': {'num_samples': 0}}, 'planner setting num_samples'),
    ]:
        with pytest.raises(ConfigError, match=message):
            Specification('umaze', **changes)


def test_what_cannot_run_is_said_before_anything_is_written(tmp_path):
    out = tmp_path / 'out'
    starts = sample_starts(load_maze('umaze'), 1, seed=0)
    with pytest.raises(CheckpointError, match='no such checkpoint'):
        evaluate(Specification('umaze', checkpoint='missing'), starts, out)
    with pytest.raises(InvalidInput, match='state in row 0'):
        evaluate(CONTROLLER, Starts(np.zeros((1, 4)), np.ones((1, 2))), out)
    with pytest.raises(ConfigError, match='workers'):
        evaluate(CONTROLLER, starts, out, workers=0)
    assert not out.exists()
