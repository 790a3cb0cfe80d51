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

"""Throughput: the numbers add up, are those of the real parts, and say where they come from."""

import csv
import json

from click.testing import CliRunner
import numpy as np
import pytest

from df_planner.cli.main import main
from df_planner.errors import ConfigError
from df_planner.experiments import throughput
from df_planner.experiments import throughput as throughput_command
from df_planner.experiments import throughput as throughput_report
from df_planner.experiments import throughput_data
from df_planner.experiments import throughput_gpu
from df_planner.experiments import throughput_ros
from df_planner.experiments import throughput_sim
from df_planner.experiments import throughput_training
from df_planner.experiments.throughput import Row
from df_planner.sim.generate import generate
from df_planner.training.config import load_config


@pytest.fixture(scope='module')
def plan(tmp_path_factory):
    """Return a short plan on a generated log, whatever lies in data/."""
    folder = tmp_path_factory.mktemp('throughput')
    generate('umaze', 20_000, progress=False, out=folder / 'umaze.hdf5')

    class ShortPlan(throughput.Plan):

        def config(self, **overrides):
            return load_config(self.config_path, {
                'dataset': self.folder / 'umaze.hdf5', 'tokens_per_batch': 200, **overrides})

    return ShortPlan('umaze', seconds=0.3, steps=3, episodes=2, folder=folder)


def by_unit(rows, name=None):
    """Return values by unit, of one name if that is given."""
    return {row.unit: row.value for row in rows if name in (None, row.name)}


def test_training_speeds_are_one_measurement_in_several_units(plan):
    config = plan.config()
    rows = throughput_training.speed_rows(plan, config, 'small', '32', 1)
    values = by_unit(rows)
    assert {row.name for row in rows} == {'small, 32, 1 thread'}
    assert values['ms/sequence'] == pytest.approx(1e3 / values['sequences/s'])
    shapes = throughput_training.batch_shapes(config, range(3, 6))
    sequences, tokens = sum(b for b, _ in shapes), sum(b * t for b, t in shapes)
    assert all(0 < b * t <= 200 for b, t in shapes)
    assert values['sequences/s'] / values['steps/s'] == pytest.approx(sequences / 3)
    assert values['tokens/s'] / values['steps/s'] == pytest.approx(tokens / 3)
    assert f'{sequences} sequences, {tokens} tokens, 3 steps' in rows[0].note
    assert '1.2 M parameters' in rows[0].note


def test_a_failing_training_is_one_line(plan):
    config = plan.config().model_copy(update={'dataset': plan.folder / 'none.hdf5'})
    with pytest.raises(ConfigError, match=r'none\.hdf5: no such file') as error:
        throughput_training.train_some(plan, config, '32', 3, 'cpu')
    assert '\n' not in str(error.value)


def test_the_reference_is_marked_as_published(plan, monkeypatch):
    sizes = []

    def train_some(_plan, config, precision, threads, _device):
        sizes.append((config.max_tokens, config.num_layers, precision, threads))
        return {'steps': 1, 'seconds': 1.0, 'sequences': 10, 'tokens': 100, 'parameters': 1}

    monkeypatch.setattr(throughput_training, 'train_some', train_some)
    rows = throughput_training.measure_training(plan)
    assert [row.source for row in rows[:-1]] == ['measured'] * (len(rows) - 1)
    assert rows[-1].source == 'published' and 'not measured here' in rows[-1].note
    assert rows[-1].unit == 'ms/sequence' and 9.0 <= rows[-1].value <= 11.0
    shipped = plan.config()
    assert sizes == [
        *((shipped.max_tokens, shipped.num_layers, precision, threads)
          for precision in ('32', 'bf16-mixed') for threads in (1, 2)),
        (81, 12, '32', 2), (81, 12, 'bf16-mixed', 2)]


def test_the_size_of_the_reference_has_its_parameters(plan):
    from df_planner.diffusion.networks import build_denoiser
    config = plan.config(**throughput_training.REFERENCE_SIZE)
    network = build_denoiser(
        network=config.network, part_sizes=(2, 2, 20), max_tokens=config.max_tokens,
        num_levels=config.num_levels, width=config.width, num_layers=config.num_layers,
        num_heads=config.num_heads)
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(2.4e6, rel=0.02)


def test_the_loader_is_compared_with_what_training_consumes(plan):
    rows = throughput_data.measure_data(plan)
    named = {(row.name, row.unit): row for row in rows}
    loader = named['loader alone', 'tokens/s'].value
    consumed = named['consumed by training, bf16-mixed', 'tokens/s'].value
    ratio = named['loader to training', 'times']
    assert ratio.value == pytest.approx(loader / consumed) and ratio.source == 'derived'
    assert ratio.value > 5.0  # with batches of 200 tokens, where the loader is at its worst
    assert 0.0 < named['opening the log', 's'].value < 10.0
    assert '20,000 rows' in named['opening the log', 's'].note


def test_the_simulator_steps_faster_than_real_time(plan):
    rows = throughput_sim.measure_simulator(plan)
    assert [row.unit for row in rows] == ['steps/s'] * 3
    assert all(row.value > 100.0 for row in rows)  # real time
    assert rows[1].value > rows[0].value  # a batch is worth its while


def test_shares_of_the_ros_benchmark_add_up():
    record = {'steps': 300, 'planning_times_s': [0.3, 0.1]}
    rows = throughput_ros.share_rows(throughput_ros.Benchmark(
        [10.0, 11.0, 12.0], [{'planner': 1.0}, {'planner': 1.5}, {'planner': 2.2}],
        [{'steps': 300, 'planning_times_s': [9.0]}, record, record]))
    named = {row.name: row.value for row in rows}
    assert named['benchmark, lockstep'] == pytest.approx(600 / 2.0)
    assert named['share of planning'] == pytest.approx(100 * 0.8 / 2.0)
    assert named['planning'] + named['all else'] == pytest.approx(1e3 * 2.0 / 600)
    assert named['planner, processor time'] == pytest.approx(1e3 * 1.2 / 600)


def test_the_real_nodes_are_measured(plan):
    """The simulator over DDS, and the whole graph, in their own processes."""
    named = {row.name: row.value for row in throughput_ros.measure_ros(plan)}
    assert named['maze_sim in lockstep'] > 1.0
    assert 0.0 < named['maze_sim in lockstep, processor time'] < 100.0
    assert 0.0 <= named['share of planning'] < 100.0
    for node in ('maze_sim', 'planner', 'follower', 'maze_benchmark'):
        assert named[f'{node}, processor time'] > 0.0


def test_a_failing_node_is_one_line(plan):
    broken = throughput.Plan('nowhere', 0.3, 1, 2, plan.folder)
    with pytest.raises(ConfigError, match='nowhere') as error:
        throughput_ros.run_benchmark(broken)
    assert '\n' not in str(error.value)


def test_planning_speeds_on_any_device():
    rows = throughput_gpu.planning_rows('umaze', 'cpu', 0.1, many=16)
    values = by_unit(rows)
    assert values['candidates/s'] == pytest.approx(16 * values['batches/s'])
    assert values['ms'] > 0.0


def test_without_a_gpu_it_says_so(plan):
    import torch
    rows = throughput_gpu.measure_gpu(plan)
    if torch.cuda.is_available():
        assert all(row.value > 0.0 for row in rows)
    else:
        assert [row.note for row in rows] == ['not measured: no CUDA device']
        assert rows[0].value is None


def test_the_report_has_every_row_in_every_file(tmp_path):
    rows = [Row('data', 'loader', 12345.6, 'tokens/s'), Row('gpu', 'all', None, '', 'not there')]
    throughput_report.write_report(tmp_path, 'large', {'command': 'x | y'}, rows)
    found = json.loads((tmp_path / 'throughput.json').read_text())
    assert found['rows'] == [row.content() for row in rows] and found['maze'] == 'large'
    table = list(csv.DictReader((tmp_path / 'throughput.csv').open()))
    assert [(row['name'], row['value']) for row in table] == [('loader', '12345.6'), ('all', '')]
    text = (tmp_path / 'throughput.md').read_text()
    assert '| loader | 12,346 | tokens/s |' in text and '| all | - |' in text
    assert r'x \| y' in text
    assert (tmp_path / 'throughput.png').stat().st_size > 1000
    assert np.isfinite(found['rows'][0]['value'])


def test_the_command_measures_a_section_and_teaches(tmp_path):
    runner = CliRunner()
    shown = runner.invoke(main, ['measure', 'throughput', '--help']).output
    assert 'Examples:' in shown and '--only' in shown
    assert all(section in shown for section in throughput_command.SECTIONS)
    assert tuple(throughput.sections()) == throughput_command.SECTIONS
    result = runner.invoke(main, ['measure', 'throughput', '--maze', 'umaze', '--only',
                                  'simulator', '--only', 'gpu', '--seconds', '0.1', '--out',
                                  str(tmp_path)])
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / 'throughput.json').read_text())['rows']
    assert {row['section'] for row in rows} == {'simulator', 'gpu'}
    assert 'Gymnasium environment' in result.output and 'throughput.md' in result.output


@pytest.mark.parametrize('arguments, word', [
    (['--maze', 'moon'], 'moon'), (['--only', 'nothing'], 'nothing'), (['--episodes', '1'], '1'),
    (['--seconds', '0'], '0')])
def test_wrong_options_are_refused(arguments, word):
    result = CliRunner().invoke(main, ['measure', 'throughput', *arguments])
    assert result.exit_code == 2 and word in result.output
