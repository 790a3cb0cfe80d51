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

"""Several processes, and parts of a batch one after the other, learn what one process learns."""

from concurrent.futures import ThreadPoolExecutor
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

from lightning_fabric import Fabric
import pytest
from safetensors.torch import load_file
from small_training import load_config
from small_training import read_log
from small_training import write_config
import torch

from df_planner.diffusion.networks import build_denoiser
from df_planner.diffusion.noise import NoiseSchedule
from df_planner.diffusion.objective import diffusion_loss
from df_planner.diffusion.objective import level_sampler
from df_planner.errors import ConfigError
from df_planner.model.checkpoint import load_card
from df_planner.sim.generate import generate
from df_planner.training.batches import Share
from df_planner.training.loop import read_state
from df_planner.training.processes import StopRequests
from df_planner.training.train import train

# Sums of float32 in another order; over these 40 steps losses differ by 1e-7, weights by 1e-6.
LOSS, WEIGHTS = {'rel': 1e-5}, {'atol': 1e-4, 'rtol': 0.0}
ONCE = ('-m', 'df_planner.cli')
TORCHRUN = ('-m', 'torch.distributed.run', '--nproc-per-node', '2', '-m', 'df_planner.cli')


@pytest.fixture(scope='module')
def dataset(tmp_path_factory):
    return generate('umaze', 3000, progress=False,
                    out=tmp_path_factory.mktemp('data') / 'umaze.hdf5')


@pytest.fixture(scope='module')
def alone(tmp_path_factory, dataset):
    """Return the folder of a run of one process."""
    folder = tmp_path_factory.mktemp('alone')
    train(write_config(folder, dataset))
    return folder


def start(program, folder, dataset, *settings, **changes):
    """Start the command line with these settings of one small run."""
    path = write_config(folder, dataset, **changes)
    return subprocess.Popen(
        [sys.executable, *program, 'train', '--config', str(path),
         *(word for setting in settings for word in ('--set', setting))],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, 'OMP_NUM_THREADS': '1'})


def assert_same(alone, other):
    """Compare what two runs have learnt, and how."""
    one, two = read_log(alone), read_log(other)
    assert [row['step'] for row in one] == [row['step'] for row in two] == [10, 20, 30, 40]
    for name in ('loss', 'held_out_loss'):
        assert [row[name] for row in two] == pytest.approx([row[name] for row in one], **LOSS)
    weights, others = (load_file(f / 'out/small.safetensors') for f in (alone, other))
    for name, weight in weights.items():
        torch.testing.assert_close(others[name], weight, **WEIGHTS)


def test_two_processes_end_within_the_minutes_after_the_same_step(tmp_path, dataset):
    run = start(ONCE, tmp_path, dataset, 'devices=2', steps=10**6, minutes=0.03)
    _, errors = run.communicate(timeout=120)
    assert run.returncode == 0, errors
    last = read_log(tmp_path)[-1]
    assert last['step'] == load_card(tmp_path / 'out/small').training_steps < 10**5
    assert last['learning_rate'] < 0.01 * 1e-3


@pytest.mark.parametrize('batch, count', [(7, 3), (3, 3), (10, 1), (5, 8)])
def test_shares_are_the_batch(batch, count):
    rows = [list(range(batch))[Share(i, count).rows(batch)] for i in range(count)]
    assert sum(rows, []) == list(range(batch))
    assert max(map(len, rows)) - min(map(len, rows)) <= 1


@pytest.mark.parametrize('levels', ['diffusion_forcing', 'teacher_forcing'])
def test_losses_and_gradients_of_shares_add_up(levels):
    torch.manual_seed(0)
    denoiser = build_denoiser('transformer', part_sizes=(2, 2, 6), max_tokens=5, num_levels=50,
                              width=16, num_layers=1, num_heads=2)
    torch.nn.init.normal_(denoiser.read_out[-1].weight if isinstance(
        denoiser.read_out, torch.nn.Sequential) else denoiser.read_out.weight)
    x0 = torch.randn(7, 5, 10)
    drawn, carries_loss = level_sampler(levels, 0.5, 0.8, 0.6)(
        7, 5, 3, 50, torch.Generator().manual_seed(1))

    def loss_of(share):
        rows = share.rows(7)
        return diffusion_loss(denoiser, NoiseSchedule(50), x0[rows], drawn,
                              torch.Generator().manual_seed(2), carries_loss, rows)

    def gradients(loss):
        return torch.autograd.grad(loss, list(denoiser.parameters()))

    whole = loss_of(Share())
    parts = [loss_of(Share(i, 3)) for i in range(3)]
    assert sum(parts).item() == pytest.approx(whole.item(), rel=1e-5)
    for expected, *shares in zip(gradients(whole), *map(gradients, parts)):
        torch.testing.assert_close(sum(shares), expected, atol=1e-5, rtol=1e-4)


def test_accumulated_gradients_are_those_of_the_batch(alone, tmp_path, dataset):
    train(write_config(tmp_path, dataset, accumulate=3))
    assert_same(alone, tmp_path)


def test_torchrun_runs_the_same_command(alone, tmp_path, dataset):
    process = start(TORCHRUN, tmp_path, dataset)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    path = tmp_path / 'out/small.safetensors'
    assert output.splitlines() == [str(path)], 'the first process alone talks'
    assert_same(alone, tmp_path)
    card = load_card(path)
    assert card.training_processes == 2 and load_card(
        alone / 'out/small.safetensors').training_processes == 1


def wait_for_a_row(process, folder):
    """Wait until a run has told of its first steps."""
    log = folder / 'runs/small/loss.csv'
    deadline = time.monotonic() + 120
    while not log.exists() or log.read_text().count('\n') < 2:  # a header and a row
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)


def test_two_processes_stop_together_and_one_goes_on(tmp_path, dataset):
    process = start(ONCE, tmp_path / 'two', dataset, 'devices=2', steps=400)
    wait_for_a_row(process, tmp_path / 'two')
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    step = torch.load(tmp_path / 'two/runs/small/state.pt', weights_only=True)['step']
    assert process.returncode == 130, errors
    assert output == f'stopped small at step {step}; the same command resumes it\n'
    assert 10 <= step < 400
    others = load_file(train(tmp_path / 'two/config.yaml'))
    whole = load_file(train(write_config(tmp_path / 'one', dataset, steps=400)))
    for name, weight in whole.items():
        torch.testing.assert_close(others[name], weight, atol=1e-3, rtol=0.0)


def test_a_killed_process_ends_the_others_with_a_line(tmp_path, dataset):
    process = start(ONCE, tmp_path, dataset, 'devices=2', steps=100_000, save_interval_s=1e-6)
    wait_for_a_row(process, tmp_path)
    children = Path(f'/proc/{process.pid}/task/{process.pid}/children').read_text().split()
    assert len(children) == 1
    os.kill(int(children[0]), signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode in (2, -signal.SIGKILL), 'Lightning may be faster and kill all'
    config = load_config(tmp_path / 'config.yaml')
    assert read_state(tmp_path / 'runs/small/state.pt', config)['step'] >= 9
    if process.returncode == 2:
        assert errors.splitlines()[-1] == (
            'error [PROCESS_LOST]: process 0 of 2 cannot reach the others; the same command '
            'resumes from the last saved state')


NOTED = """
import os
import signal

from lightning_fabric import Fabric

from df_planner.training.processes import StopRequests

before = signal.getsignal(signal.SIGTERM)
with StopRequests(Fabric(accelerator='cpu', devices=1)) as requests:
    assert not requests.agreed(1)
    os.kill(os.getpid(), signal.SIGTERM)
    assert requests.agreed(2) and signal.getsignal(signal.SIGTERM) is before
assert requests.exception().code == 128 + signal.SIGTERM
os.kill(os.getpid(), signal.SIGTERM)
"""


def test_the_first_signal_is_noted_and_the_next_one_acts():
    # In a process of its own: this one has threads of other tests, any of which may get a signal.
    result = subprocess.run([sys.executable, '-c', NOTED], capture_output=True, text=True)
    assert result.returncode == -signal.SIGTERM, result.stderr


def test_signals_are_left_alone_in_a_thread():
    before = signal.getsignal(signal.SIGINT)

    def seen():
        with StopRequests(Fabric(accelerator='cpu', devices=1)) as requests:
            return requests.agreed(1), signal.getsignal(signal.SIGINT)

    with ThreadPoolExecutor() as pool:
        assert pool.submit(seen).result() == (False, before)


def test_what_is_wrong_is_told_once(tmp_path):
    process = start(ONCE, tmp_path, tmp_path / 'nothing.hdf5', 'devices=2')
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert [line for line in errors.splitlines() if 'rror' in line] == [
        f'error [BAD_DATASET]: {tmp_path}/nothing.hdf5: no such file']


def test_a_batch_too_small_for_its_shares_is_refused(tmp_path, dataset):
    path = write_config(tmp_path, dataset, accumulate=11)
    with pytest.raises(ConfigError, match='tokens_per_batch: 64 .* accumulate 11 .* least 66'):
        train(path)


@pytest.mark.parametrize('device', ['warp', pytest.param('cuda', marks=pytest.mark.skipif(
    torch.cuda.is_available(), reason='there is a CUDA device'))])
def test_a_device_that_is_not_there_is_named(tmp_path, dataset, device):
    with pytest.raises(ConfigError, match=f'device {device}, devices 1: .*'):
        train(write_config(tmp_path, dataset, device=device))
