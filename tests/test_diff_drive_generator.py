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

"""Logs of the differential-drive robot: format, variety, and that they are the world's."""

from click.testing import CliRunner
import numpy as np
import pytest

from df_planner.cli.main import main
from df_planner.data.d4rl import load_dataset
from df_planner.errors import InvalidInput
from df_planner.robots.kinds import DIFF_DRIVE
from df_planner.sim.generate_drives import generate
from df_planner.sim.maze import load_maze
from df_planner.sim.robots import simulated_robot

NUM_STEPS = 12_000


@pytest.fixture(scope='module')
def dataset(tmp_path_factory):
    """Return a short log."""
    return load_dataset(generate('diff_drive', 'medium', NUM_STEPS, progress=False,
                                 out=tmp_path_factory.mktemp('log') / 'log.hdf5'))


def test_the_file_says_what_its_columns_are(dataset):
    """Signals and provenance are in the attributes."""
    assert dataset.signals == DIFF_DRIVE.signals
    assert dataset.attributes['robot'] == 'diff_drive'
    assert dataset.attributes['maze'] == 'medium'
    assert dataset.observations.shape == (NUM_STEPS, 6)


def test_rows_are_what_the_world_does(dataset):
    """From a standing start on, playing the actions gives the observations."""
    world = simulated_robot('diff_drive').world(load_maze('medium'))
    first = dataset.episode_starts[1]
    world.set_state(dataset.observations[first])
    for row in range(first, first + 40):
        assert world.state == pytest.approx(dataset.observations[row], abs=2e-3)
        world.step(dataset.actions[row])


def test_stretches_begin_at_rest_with_any_heading(dataset):
    """A jump to another start ends a stretch, and nothing else does."""
    starts = dataset.observations[dataset.episode_starts]
    headings = np.arctan2(starts[:, 5], starts[:, 4])

    assert len(starts) == 1 + dataset.terminals[:-1].sum() >= 4
    np.testing.assert_array_equal(starts[:, 2:4], 0.0)
    assert np.ptp(headings) > 1.0


def test_the_data_are_varied(dataset):
    """All of the maze is seen; the robot turns in place both ways, and drives."""
    robot, maze = simulated_robot('diff_drive'), load_maze('medium')
    cells = {maze.cell_of(position) for position in robot.to_maze(dataset.observations[:, :2])}
    speed = np.linalg.norm(dataset.observations[:, 2:4], axis=1)
    still = dataset.actions[speed < 0.1]

    assert len(cells) > 0.9 * len(maze.cells) and cells <= set(maze.cells)
    assert (still[:, 1] > 1.0).mean() > 0.1 and (still[:, 1] < -1.0).mean() > 0.1
    assert (speed > 0.8).mean() > 0.2
    assert dataset.timeouts.sum() > NUM_STEPS / 400


def test_the_seed_decides(tmp_path):
    """The same seed gives the same file content, another one another."""
    logs = [load_dataset(generate('diff_drive', 'umaze', 500, seed, progress=False,
                                  out=tmp_path / f'{i}.hdf5')) for i, seed in enumerate((1, 1, 2))]

    np.testing.assert_array_equal(logs[0].observations, logs[1].observations)
    assert not np.array_equal(logs[0].observations, logs[2].observations)


@pytest.mark.parametrize('bad', [{'num_steps': 1}, {'noise_std': -0.1}, {'noise_std': np.nan}])
def test_bad_numbers_are_refused(tmp_path, bad):
    """Nothing is written."""
    with pytest.raises(InvalidInput):
        generate('diff_drive', 'umaze', **{'num_steps': 100, **bad}, out=tmp_path / 'log.hdf5')

    assert not list(tmp_path.iterdir())


def test_command(tmp_path):
    """The command writes the file, and refuses what does not belong to this robot."""
    out = tmp_path / 'log.hdf5'
    command = ['data', 'generate', '--maze', 'umaze', '--robot', 'diff_drive',
               '--num-steps', '300', '--out', str(out)]
    refused = CliRunner().invoke(main, [*command, '--repair-stale'])
    assert refused.exit_code == 2 and '--repair-stale' in refused.output and not out.exists()

    assert CliRunner().invoke(main, command).exit_code == 0
    assert len(load_dataset(out)) == 300
