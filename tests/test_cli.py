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

"""The command line."""

from importlib import import_module
import json
import os
from pathlib import Path
import subprocess
import sys
import time

from click.testing import CliRunner
import numpy as np
import pytest
from robot_bag import ball
from robot_bag import write_bag
from rosbags.rosbag2 import StoragePlugin
import yaml

from df_planner.cli.main import COMMANDS
from df_planner.cli.main import DATA_COMMANDS
from df_planner.cli.main import main
from df_planner.cli.main import MEASURE_COMMANDS
from df_planner.evaluation.protocol import sample_starts
from df_planner.evaluation.protocol import save_starts
from df_planner.launching.graph import ARGUMENTS
from df_planner.sim.maze import load_maze

ROOT = Path(__file__).parents[1]


def _run(*arguments):
    """Run a command in this process: the same code, without the start of an interpreter."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.parametrize('arguments', [
    (), ('data', 'generate'), ('data', 'import'), ('data', 'map'), ('data', 'info'),
    ('data', 'check'),
    ('measure', 'throughput'), ('measure', 'realtime'), ('measure', 'soak'), ('train',),
    ('plan',), ('evaluate',), ('demo',), ('doctor',), ('info',),
    ('measure', 'blocks'), ('measure', 'calibration'), ('measure', 'inpainting'),
    ('measure', 'moving'), ('measure', 'noise'), ('measure', 'rollout'), ('measure', 'cost'),
    ('measure', 'latency'), ('profile',), ('report',), ('animate',)])
def test_help_teaches_with_examples(arguments):
    result = _run(*arguments, '--help')
    assert result.exit_code == 0, result.stderr
    command = ' '.join(['df_planner', *arguments])
    assert result.stdout.count(f'  {command} ') + result.stdout.count(f'  {command}\n') >= 1
    assert 'Examples:' in result.stdout


@pytest.mark.parametrize('table', [COMMANDS, DATA_COMMANDS, MEASURE_COMMANDS])
def test_the_list_of_commands_says_what_their_help_says(table):
    for name, (module, function, line) in table.items():
        command = getattr(import_module(f'df_planner.{module}'), function)
        assert ' '.join(command.help.split('\n\n')[0].split()) == line, name


@pytest.mark.parametrize('name', ['profile', *(
    f'measure {name}' for name in MEASURE_COMMANDS if name not in ('soak', 'throughput'))])
@pytest.mark.parametrize(('setting', 'message'), [
    ('speed=1', 'planner setting speed'), ('num_samples=0', 'planner setting num_samples'),
    ('num_samples', 'NAME=VALUE')])
def test_a_wrong_setting_is_one_line_before_anything_is_driven(tmp_path, monkeypatch, name,
                                                               setting, message):
    monkeypatch.chdir(tmp_path)
    result = _run(*name.split(), '--checkpoint', 'maze2d-umaze', '--set', setting)
    assert result.exit_code == 2, result.stderr
    assert result.stderr.startswith('error [BAD_CONFIG]: ')
    assert message in result.stderr and result.stderr.count('\n') == 1
    assert not list(tmp_path.iterdir())


def test_the_soak_test_is_for_a_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr('df_planner.cli.main.TESTS', tmp_path)
    result = _run('measure', 'soak', '--minutes', '1')
    assert result.exit_code == 2 and 'run `make soak` in a checkout' in result.stderr
    assert result.stderr.count('\n') == 1


def test_demo_offers_every_argument_of_the_graph():
    options = {option.name: option for option in main.get_command(None, 'demo').params}
    assert set(options) == {argument.name for argument in ARGUMENTS}
    for argument in ARGUMENTS:
        assert options[argument.name].default == argument.default
        assert options[argument.name].help == argument.description


def test_help_loads_nothing_heavy_and_is_instant():
    code = ('import sys; import df_planner.cli.main as cli;'
            'cli.main(["--help"], standalone_mode=False);'
            'print([m for m in ("torch", "mujoco", "rclpy", "numpy", "matplotlib", "h5py")'
            ' if m in sys.modules])')
    started = time.monotonic()
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                            check=True)
    assert result.stdout.splitlines()[-1] == '[]', result.stderr
    assert time.monotonic() - started < 3.0


@pytest.mark.parametrize(('arguments', 'code', 'message'), [
    (('evaluate',), 'BAD_CONFIG', 'give --checkpoint'),
    (('evaluate', '--checkpoint', 'nowhere'), 'BAD_CHECKPOINT', 'no such checkpoint'),
    (('evaluate', '--policy', 'controller', '--maze', 'moon'), 'BAD_CONFIG', "no maze 'moon'"),
    (('evaluate', '--checkpoint', 'maze2d-umaze', '--set', 'speed=1'),
     'BAD_CONFIG', 'planner setting speed'),
    (('evaluate', '--checkpoint', 'maze2d-umaze', '--set', 'speed'), 'BAD_CONFIG', 'NAME=VALUE'),
    (('evaluate', '--policy', 'controller', '--maze', 'umaze', '--starts', 'missing.npz'),
     'INVALID_INPUT', 'missing.npz'),
    (('evaluate', '--policy', 'controller', '--maze', 'umaze', '--starts', 'x', '--multi-goal'),
     'INVALID_INPUT', 'multi-goal'),
    (('profile', '--checkpoint', 'nowhere'), 'BAD_CHECKPOINT', 'no such checkpoint'),
    (('profile', '--checkpoint', 'maze2d-umaze', '--set', 'speed=1'),
     'BAD_CONFIG', 'planner setting speed'),
    (('measure', 'cost', '--checkpoint', 'nowhere'), 'BAD_CHECKPOINT', 'no such checkpoint'),
    (('measure', 'cost', '--checkpoint', 'maze2d-umaze', '--set', 'num_samples=0'),
     'BAD_CONFIG', 'planner setting num_samples'),
    (('measure', 'latency', '--checkpoint', 'maze2d-umaze', '--set', 'speed'),
     'BAD_CONFIG', 'NAME=VALUE'),
    *((('measure', name, '--checkpoint', 'diff_drive-medium'), 'BAD_CONFIG',
       f'measure {name} is for robots of the kind point; diff_drive-medium is of a diff_drive')
      for name in ('blocks', 'calibration', 'inpainting', 'noise', 'rollout')),
    (('data', 'info', 'missing.hdf5'), 'BAD_DATASET', 'missing.hdf5'),
    (('data', 'generate', '--maze', 'moon'), 'BAD_CONFIG', 'moon'),
    (('train', '--config', 'moon'), 'BAD_CONFIG', "no configuration 'moon': neither a file"),
    (('demo', '--episodes', '-1'), 'BAD_CONFIG', 'episodes must be at least 0'),
    (('demo', '--starts', 'missing.npz'), 'BAD_CONFIG', 'missing.npz'),
    (('info', 'nowhere'), 'BAD_CHECKPOINT', 'no such checkpoint'),
])
def test_a_wrong_input_is_one_line(tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    result = _run(*arguments)
    assert result.exit_code == 2, result.stderr
    assert result.stderr.startswith(f'error [{code}]: ')
    assert message in result.stderr and result.stderr.count('\n') == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(('arguments', 'message'), [
    *((('evaluate', '--policy', 'controller', '--maze', 'umaze', *options),
       f'{options[0]}: has no effect on the controller; leave it out') for options in (
           ('--execution', 'raw'), ('--set', 'num_samples=8'), ('--device', 'cpu'),
           ('--planner-seed', 1), ('--replan-interval-s', 0.25), ('--no-baseline',))),
    (('evaluate', '--checkpoint', 'maze2d-umaze', '--robot', 'omni'), '--robot: has no effect'),
    (('evaluate', '--checkpoint', 'maze2d-umaze', '--resume'), '--resume: has no effect without'),
    (('evaluate', '--policy', 'controller', '--maze', 'umaze', '--starts', 'x', '--seed', 1),
     '--seed: has no effect with --starts'),
    *((('measure', name, '--checkpoint', 'maze2d-umaze', '--resume'), '--resume: has no effect')
      for name in ('blocks', 'cost', 'noise')),
    (('measure', 'realtime', '--checkpoint', 'maze2d-umaze', '--episodes', 1, '--minutes', 1),
     '--minutes: has no effect with --episodes'),
    (('benchmark', 'smoke', '--list', '--only', 'raw*', '--only', 'rwa*'), '--only rwa*: '),
    (('benchmark', 'smoke', '--list', '--group', 'nobody'), '--group nobody: '),
    (('benchmark', 'smoke', '--list', '--task', 'mars'), '--task mars: '),
    (('benchmark', 'smoke', '--list', '--ray-address', 'a:1'), '--ray-address: needs --engine'),
    (('forecast', 'train', 'x.csv', '--out', 'm.safetensors', '--set', 'horizon=48'),
     '--set horizon: is what --horizon says'),
    (('train', '--config', 'medium', '--set', 'steps=1', '--set', 'steps=2'),
     '--set steps: is given twice')])
def test_what_is_given_is_used_or_refused(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    result = _run(*arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr and result.stderr.count('\n') == 1, result.stderr
    assert not list(tmp_path.iterdir())


def test_an_error_has_a_length_that_can_be_read(tmp_path):
    (tmp_path / 'config.yaml').write_text('name: [' + '[]' * 50_000 + ']\n')
    (tmp_path / 'wide.yaml').write_text(f'name: {"x " * 50_000}\ndataset: [{"1, " * 9999}]\n'
                                        + ''.join(f'field{i}: 1\n' for i in range(3000)))
    for name in ('config.yaml', 'wide.yaml'):
        result = _run('train', '--config', tmp_path / name)
        assert result.exit_code == 2 and result.stderr.startswith('error [BAD_CONFIG]: ')
        assert len(result.stderr) < 1700 and result.stderr.count('\n') == 1
    assert 'more faults' in result.stderr


def test_paths_as_people_have_them(tmp_path, monkeypatch):
    """The home folder where no shell expands it, and signs that mean something in a URI."""
    monkeypatch.setenv('HOME', str(tmp_path / 'h#1 50%25? é'))
    home = Path('~').expanduser()
    log, out, bag = '~/a b#?%20.hdf5', '~/ä%.hdf5', home / 'bag#?%41'
    result = _run('data', 'generate', '--maze', 'umaze', '--num-steps', 600, f'--out={log}')
    assert result.exit_code == 0, result.output
    assert _run('data', 'check', log).exit_code == 0
    assert _run('data', 'import', log, '--out', out).exit_code == 0
    write_bag(tmp_path / 'bag', ball(300), plugin=StoragePlugin.SQLITE3)  # the writer needs it
    (tmp_path / 'bag').rename(bag)
    result = _run('data', 'import', bag, '--out', home / 'bag?.hdf5')
    assert result.exit_code == 0, result.output
    assert '300 rows' in result.stdout
    (home / 'train.yaml').write_text('name: x\nmaze: umaze\ndataset: ~/none.hdf5\n')
    result = _run('train', '--config=~/train.yaml', '--set', 'run_dir=~/runs')
    assert f'{home}/none.hdf5: no such file' in result.stderr
    assert f'{home}/m.safetensors: no such' in _run('info', '~/m.safetensors').stderr
    assert not (tmp_path / '~').exists() and not Path('~').exists()


@pytest.mark.skipif(os.geteuid() == 0, reason='root may do everything')
def test_a_folder_that_may_not_be_written_is_named(tmp_path):
    tmp_path.chmod(0o555)
    for arguments in (
            ('data', 'generate', '--maze', 'umaze', '--num-steps', 10, '--out', tmp_path / 'x.h5'),
            ('evaluate', '--policy', 'controller', '--maze', 'umaze', '--out', tmp_path / 'x')):
        result = _run(*arguments)
        assert result.exit_code == 2 and result.stderr.startswith('error [OS_ERROR]: ')
        assert f'{tmp_path}' in result.stderr and 'no permission' in result.stderr


@pytest.mark.parametrize('options', [
    (), ('--maze', 'umaze'), ('--maze', 'umaze', '--execution', 'raw')])
def test_a_robot_of_no_known_kind_is_not_simulated(tmp_path, options):
    """It plans, but there is nothing to drive it in."""
    path = tmp_path / 'forklift.json'
    card = json.loads((ROOT / 'checkpoints/maze2d-umaze.json').read_text())
    card.update(maze=None, observation_names=[*card['observation_names'], 'load'])
    path.write_text(json.dumps(card))
    path.with_suffix('.safetensors').write_bytes(b'')
    result = _run('evaluate', '--checkpoint', path.with_suffix('.safetensors'), *options)
    assert result.exit_code == 2
    assert 'forklift.safetensors: its columns are those of no known robot' in result.stderr


def test_the_process_exits_with_the_code_of_the_command():
    result = subprocess.run([sys.executable, '-m', 'df_planner.cli', 'evaluate'],
                            capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stdout == '' and result.stderr.startswith('error [BAD_CONFIG]: ')


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / 'file').write_text('')
    result = _run('evaluate', '--policy', 'controller', '--maze', 'umaze', '--out',
                  tmp_path / 'file' / 'out')
    assert result.exit_code == 2
    assert result.stderr.startswith('error [OS_ERROR]: ') and result.stderr.count('\n') == 1


@pytest.mark.long
def test_generate_look_train_and_evaluate(tmp_path):
    log = tmp_path / 'log.hdf5'
    result = _run('data', 'generate', '--maze', 'umaze', '--num-steps', 3000, '--out', log)
    assert result.exit_code == 0, result.stderr
    result = _run('data', 'info', log)
    assert result.exit_code == 0, result.stderr
    assert '3,000' in result.stdout and 'umaze' in result.stdout and '#GOO#' in result.stdout
    config = tmp_path / 'tiny.yaml'
    config.write_text(yaml.safe_dump({
        'name': 'tiny', 'maze': 'umaze', 'dataset': str(log), 'max_tokens': 8, 'width': 16,
        'num_layers': 1, 'num_heads': 2, 'steps': 100, 'tokens_per_batch': 64, 'num_threads': 1,
        'holdout_share': 0.0, 'run_dir': str(tmp_path / 'runs'), 'out_dir': str(tmp_path)}))
    result = _run('train', '--config', config, '--set', 'steps=2')
    assert result.exit_code == 0, result.stderr
    checkpoint = result.stdout.splitlines()[-1]
    result = _run('info', checkpoint)
    assert 'tiny' in result.stdout and 'training_steps' in result.stdout
    result = _run('evaluate', '--checkpoint', checkpoint, '--episodes', 2, '--out',
                  tmp_path / 'out', '--set', 'num_samples=2', '--set', 'sampling_steps=1')
    assert result.exit_code == 0, result.stderr
    assert 'waypoint controller: 2 of 2 goals reached' in result.stdout
    results = json.loads((tmp_path / 'out' / 'results.json').read_text())
    assert results['meta']['starts'] == 'seed 0' and results['meta']['finished'] == 2


def test_seed_and_starts_file_agree(tmp_path):
    starts = sample_starts(load_maze('umaze'), 3, seed=4, multi_goal=True)
    save_starts(tmp_path / 'starts.npz', starts)
    common = ('evaluate', '--policy', 'controller', '--maze', 'umaze')
    seeded = _run(*common, '--seed', 4, '--multi-goal', '--episodes', 2, '--out', tmp_path / 'a')
    filed = _run(*common, '--starts', tmp_path / 'starts.npz', '--episodes', 2,
                 '--out', tmp_path / 'b')
    assert seeded.exit_code == filed.exit_code == 0, seeded.stderr + filed.stderr
    first, second = (json.loads((tmp_path / name / 'results.json').read_text())['episodes']
                     for name in 'ab')
    assert first == second
    assert np.allclose(first[1]['goal'], starts.goal[1], atol=0)
