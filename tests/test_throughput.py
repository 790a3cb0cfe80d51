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

"""Throughput: every rate is of the real part, and the report has all of them."""

from dataclasses import dataclass
import json
from pathlib import Path

from click.testing import CliRunner
import pytest
import yaml

from df_planner.cli.main import main
from df_planner.errors import DatasetError
from df_planner.errors import WaitTimeout
from df_planner.experiments import throughput
from df_planner.files import share_path
from df_planner.sim.generate import generate


@dataclass(frozen=True)
class SmallBench(throughput.Bench):
    """Batches of 64 tokens, from a configuration of its own."""

    @property
    def config_path(self) -> Path:
        """Return the configuration."""
        return self.folder / 'small.yaml'


@pytest.fixture(scope='module')
def bench(tmp_path_factory):
    """Return a short bench on a generated log, whatever lies in data/."""
    folder = tmp_path_factory.mktemp('throughput')
    log = generate('umaze', 20_000, progress=False, out=folder / 'maze2d-umaze.hdf5')
    shipped = yaml.safe_load(share_path('config/train/point.yaml').read_text())
    (folder / 'small.yaml').write_text(yaml.safe_dump(
        {**shipped, 'dataset': str(log), 'tokens_per_batch': 64}))
    return SmallBench('umaze', seconds=0.3, steps=2, device='cpu', folder=folder)


def test_the_loader_is_faster_than_training(bench):
    opening, loader = throughput.measure_loader(bench)
    assert '20,000 rows' in opening[0] and 0.0 < opening[1] < 10.0
    rows = throughput.measure_training(bench)
    assert [row[2] for row in rows] == ['tokens/s'] * 2
    assert ['32' in rows[0][0], 'bf16-mixed' in rows[1][0]] == [True, True]
    assert loader[1] > 5.0 * max(row[1] for row in rows) > 0.0


def test_a_failing_training_is_one_line(bench):
    log = bench.folder / 'maze2d-umaze.hdf5'
    log.rename(bench.folder / 'moved.hdf5')
    log.write_text('no log')
    try:
        with pytest.raises(DatasetError, match=r'umaze\.hdf5') as error:
            throughput.measure_training(bench)
        assert '\n' not in str(error.value)
    finally:
        (bench.folder / 'moved.hdf5').rename(log)


def test_the_simulator_steps_faster_than_real_time(bench):
    rows = throughput.measure_simulator(bench)
    assert [row[2] for row in rows] == ['steps/s'] * 3
    assert all(row[1] > 100.0 for row in rows)  # real time
    assert rows[1][1] > rows[0][1]  # a batch is worth its while


def test_the_real_node_is_measured(bench):
    """The simulator over DDS, in its own process."""
    (_, per_s, unit), (_, cpu_ms, _) = throughput.measure_lockstep(bench)
    assert per_s > 1.0 and unit == 'ticks/s'
    assert 0.0 < cpu_ms < 100.0


def test_a_node_that_does_not_start_is_one_line(bench):
    broken = throughput.Bench('nowhere', 0.3, 1, 'cpu', bench.folder)
    with pytest.raises(WaitTimeout, match='maze_sim stopped after 0 ticks'):
        throughput.measure_lockstep(broken)


def test_the_command_measures_a_section_and_teaches(tmp_path):
    runner = CliRunner()
    shown = runner.invoke(main, ['measure', 'throughput', '--help']).output
    assert 'Examples:' in shown and all(section in shown for section in throughput.SECTIONS)
    result = runner.invoke(main, ['measure', 'throughput', '--maze', 'umaze', '--only',
                                  'simulator', '--seconds', '0.1', '--out', str(tmp_path)])
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / 'throughput.json').read_text())['rows']
    assert {row['section'] for row in rows} == {'simulator'} and len(rows) == 3
    for row in rows:
        assert row['name'] in result.output and row['value'] > 0.0
    assert 'throughput.json' in result.output


@pytest.mark.parametrize('arguments, word', [
    (['--maze', 'moon'], 'moon'), (['--only', 'nothing'], 'nothing'), (['--seconds', '0'], '0')])
def test_wrong_options_are_refused(arguments, word):
    result = CliRunner().invoke(main, ['measure', 'throughput', *arguments])
    assert result.exit_code == 2 and word in result.output
