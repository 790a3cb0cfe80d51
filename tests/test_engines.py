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

"""Engines, with a real Ray cluster of this machine: same rows, lost workers, Ctrl-C, errors."""

import os
from pathlib import Path
import re
import signal
import socket
import subprocess
import sys
import time

from click.testing import CliRunner
import pytest
import ray
from small_grid import execute
from small_grid import fill_folder
from small_grid import journal_lines
from small_grid import living
from small_grid import planner_row
from small_grid import processes
from small_grid import without_times
from small_grid import write_grid
from small_training import write_config
import torch

from df_planner.cli.main import main
from df_planner.errors import ConfigError
from df_planner.errors import ProcessLost
from df_planner.evaluation.jobs import Job
from df_planner.evaluation.jobs import LocalEngine
from df_planner.grid.ray_engine import _work
from df_planner.grid.ray_engine import RayEngine
from df_planner.grid.ray_engine import RETRIES
from df_planner.grid.results import grid_results
from df_planner.grid.revision import sources_revision
from df_planner.grid.rows import expand
from df_planner.grid.rows import load_grid
from df_planner.grid.runs import GridRuns
from df_planner.sim.generate import generate

CONTROLLER = {'name': 'controller', 'policy': 'controller'}


@pytest.fixture(scope='module')
def engine():
    """Start a cluster of two workers for all tests of this file."""
    with RayEngine(2) as engine:
        yield engine


@pytest.fixture
def folder(tmp_path):
    """Return a folder with an untrained model and a maze with short episodes."""
    return fill_folder(tmp_path)


def _busy_workers():
    """Return the processes that do a job, of the cluster that this process has started."""
    parents = {number: process['parent'] for number, process in processes().items()}
    return [number for number, parent in parents.items() if parents.get(parent) == os.getpid()
            and Path(f'/proc/{number}/cmdline').read_bytes().startswith(b'ray::_work')]


def test_rows_are_those_of_local_processes_with_a_worker_killed_and_go_on(folder, engine):
    (folder / 'broken.json').write_text('{}')
    (folder / 'broken.safetensors').write_bytes(b'not weights')
    path = write_grid(folder, [
        CONTROLLER, planner_row(folder), planner_row(folder, 'raw', execution='raw'),
        planner_row(folder, 'broken', checkpoint=str(folder / 'broken'))], steps=200)
    local = execute(path, folder / 'local')
    grid = load_grid(path)
    rows = expand(grid)
    begun = GridRuns(grid, rows, folder / 'out', rows[:2], episodes=2)
    begun.execute(LocalEngine(1))
    before = journal_lines(folder / 'out')
    runs, killed = GridRuns(grid, rows, folder / 'out'), []

    def kill_one(run, episode):
        if not killed and episode is not None:
            killed.extend(_busy_workers()[:1])
            for process in killed:
                os.kill(process, signal.SIGKILL)

    runs.execute(engine, kill_one)
    assert killed, 'no worker was busy'
    after = journal_lines(folder / 'out')
    assert len(before) == 2 and all(set(before[name]) <= set(after[name]) for name in before)
    results = without_times(grid_results(runs))
    assert results == without_times(grid_results(local))
    assert [row['episodes'] for row in results] == [3, 3, 3, 3, 0]
    assert 'BAD_CHECKPOINT' in results[-1]['failure']


def test_a_job_that_kills_its_workers_fails_alone(engine, tmp_path):
    marks = str(tmp_path / 'marks')
    code = f'import os; open({marks!r}, "a").write("x"); os.kill(os.getpid(), 9)'
    jobs = [Job('deadly', exec, (code, {})), Job('good', divmod, (7, 2)),
            Job('wrong', divmod, (7, 0))]
    outcomes = {job.group: outcome for job, outcome in engine.outcomes(jobs)}
    assert outcomes['good'] == (3, 1) and isinstance(outcomes['wrong'], ZeroDivisionError)
    assert isinstance(outcomes['deadly'], ProcessLost)
    assert len(Path(marks).read_text()) == RETRIES + 1


def test_what_no_machine_has_is_an_error_instead_of_a_wait(engine):
    with pytest.raises(ConfigError, match='a job needs 3 CPU, and no machine .* more than 2'):
        list(engine.outcomes([Job('wide', divmod, (7, 2), num_cpus=3)]))
    with pytest.raises(ConfigError, match='a job needs 1 GPU, and no machine .* more than 0'):
        list(engine.outcomes([Job('on a GPU', divmod, (7, 2), num_gpus=1)]))


def test_a_machine_without_the_folder_or_the_sources_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a worker changes its folder
    revision = sources_revision()
    here = str(tmp_path)
    with pytest.raises(ConfigError, match='nowhere.*every machine of the cluster needs that'):
        _work(f'{here}/nowhere', revision, divmod, (7, 2))
    with pytest.raises(ConfigError, match='has another version of df_planner'):
        _work(here, 'other', divmod, (7, 2))


def test_a_running_cluster_does_the_jobs_and_goes_on_running(folder, engine):
    path = write_grid(folder, [CONTROLLER])
    address = ray.get_runtime_context().gcs_address
    result = subprocess.run(
        [sys.executable, '-m', 'df_planner.cli', 'benchmark', path.name, '--out', 'out',
         '--engine', 'ray', '--ray-address', address],
        cwd=folder, stderr=subprocess.PIPE, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert [len(lines) for lines in journal_lines(folder / 'out').values()] == [4, 4]
    assert re.search(r'\| engine +\| `ray ', (folder / 'out' / 'report.md').read_text())
    assert [outcome for _, outcome in engine.outcomes([Job('one', divmod, (7, 2))])] == [(3, 1)]


@pytest.mark.parametrize('name', ['local', 'ray'])
def test_ctrl_c_saves_trainings_and_leaves_no_process(folder, name):
    generate('umaze', 3000, seed=0, out=folder / 'log.hdf5')
    config = write_config(folder, folder / 'log.hdf5', steps=100_000)
    path = write_grid(folder, [planner_row(
        folder, checkpoint=None, train=str(config), seeds=[0, 1])])
    process = subprocess.Popen(
        [sys.executable, '-m', 'df_planner.cli', 'benchmark', str(path), '--engine', name,
         '--workers', '2', '--out', str(folder / 'out')],
        stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        deadline = time.monotonic() + 200
        while time.monotonic() < deadline and process.poll() is None:
            if sum(_last_step(log) > 0 for log in folder.glob('out/models/*/loss.csv')) == 2:
                break
            time.sleep(0.1)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        errors = process.communicate(timeout=90)[1]
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130, errors
    assert 'the same command goes on' in errors and 'Traceback' not in errors
    assert not living(process.pid)
    states = list(folder.glob('out/models/*/state.pt'))
    assert len(states) == 2
    for state in states:
        saved = torch.load(state, weights_only=True)['step']
        assert saved >= _last_step(state.with_name('loss.csv')) > 0
    listed = CliRunner().invoke(main, ['benchmark', str(path), '--list', '--out',
                                       str(folder / 'out')])
    assert listed.stdout.count('of 100000 steps') == 2


def _last_step(log):
    """Return the step of the last whole row of a log of losses."""
    rows = log.read_text().split('\n')[1:-1]
    return int(rows[-1].split(',')[0]) if rows else 0


@pytest.mark.parametrize(('arguments', 'message'), [
    (['--ray-address', 'auto'], '--ray-address: needs --engine ray'),
    (['--engine', 'ray', '--ray-address', 'nonsense'], 'must be HOST:PORT or auto'),
    (['--engine', 'ray', '--ray-address', 'auto', '--workers', '2'], '--workers: the cluster at'),
])
def test_options_that_do_not_fit_are_one_line(folder, arguments, message):
    _expect_one_line(folder, arguments, message)


def test_an_address_where_nothing_answers_is_one_line(folder):
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        address = f'127.0.0.1:{free.getsockname()[1]}'
        _expect_one_line(folder, ['--engine', 'ray', '--ray-address', address],
                         f'nothing answers at {address}')


def test_without_the_package_it_is_one_line(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, 'ray', None)  # Python's own way to say: not installed
    _expect_one_line(folder, ['--engine', 'ray'], 'not installed; pip install ray')


def _expect_one_line(folder, arguments, message):
    """Expect exit code 2, one line with the message, and nothing written."""
    path = write_grid(folder, [CONTROLLER])
    result = CliRunner().invoke(main, ['benchmark', str(path), '--out', str(folder / 'out'),
                                       *arguments])
    assert result.exit_code == 2 and result.stderr.count('\n') == 1
    assert result.stderr.startswith('error [BAD_CONFIG]: ') and message in result.stderr
    assert not (folder / 'out').exists()
