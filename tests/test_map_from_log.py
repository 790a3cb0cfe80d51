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

"""The map that a log tells: where the robot has been is free, the rest is unknown."""

import re

from click.testing import CliRunner
import numpy as np
import pytest
from small_log import save_dataset

from df_planner.cli.main import main
from df_planner.errors import InvalidInput
from df_planner.errors import StartOccupied
from df_planner.evaluation.episodes import EpisodeRunner
from df_planner.evaluation.episodes import identity_of
from df_planner.evaluation.episodes import Specification
from df_planner.maps.grid import GridMap
from df_planner.maps.map_file import load_map
from df_planner.maps.map_file import save_map
from df_planner.robots.kinds import ROBOTS
from df_planner.sim.maze import load_maze

TO_MAP = ROBOTS['point'].signals.observation_to_map
MOVES = np.concatenate([np.linspace((1.0, 1.0), (3.0, 1.0), 41),  # an L, 5 cm a row
                        np.linspace((3.0, 1.0), (3.0, 4.0), 61)])


@pytest.mark.parametrize('pieces', [1, 7])
def test_free_is_what_the_robot_has_swept(pieces):
    grid = GridMap.from_log(np.array_split(MOVES, pieces), 0.3, 0.5)
    assert grid.unknown.any() and not grid.occupied.any() and not grid.allow_unknown
    assert grid.clearance(MOVES).min() > 0.2
    across = np.array([(2.0, 1.0 + beside) for beside in (-0.36, -0.24, 0.0, 0.24, 0.36)])
    assert grid.is_solid(across).tolist() == [True, False, False, False, True]
    assert grid.is_solid(np.array([1.5, 3.0]))  # inside the L, where nobody has been
    area_m2 = (~grid.unknown).sum() * grid.resolution_m ** 2
    assert area_m2 == pytest.approx(5.0 * 0.6 + 0.25 * np.pi * 0.6 ** 2, rel=0.1)


def test_a_jump_sweeps_nothing():
    there_and_back = np.array([[0.0, 0.0], [0.1, 0.0], [5.0, 5.0], [5.1, 5.0]])
    grid = GridMap.from_log([there_and_back], 0.2, 0.5)
    assert grid.is_solid(np.array([2.5, 2.5])) and not grid.is_solid(there_and_back).any()


def test_fast_rows_leave_no_gaps():
    grid = GridMap.from_log([np.array([[0.0, 0.0], [4.0, 3.0]])], 0.1, 10.0)
    line = np.linspace((0.0, 0.0), (4.0, 3.0), 400)
    assert grid.clearance(line).min() > 0.03


@pytest.mark.parametrize('drives, words', [
    ([], 'without positions'), ([np.array([[0.0, 0.0], [1e6, 0.0]])], 'look for a position')])
def test_what_tells_no_map_is_refused(drives, words):
    with pytest.raises(InvalidInput, match=words):
        GridMap.from_log(drives, 1e3 if drives else 0.1, 0.1)


def write_log(path, positions):
    """Write a log of a point that is at (row, column) positions."""
    count = len(positions)
    save_dataset(path, {
        'observations': np.hstack([positions, np.zeros((count, 2))]).astype(np.float32),
        'actions': np.zeros((count, 2), np.float32), 'rewards': np.zeros(count, np.float32),
        'terminals': np.zeros(count, bool), 'timeouts': np.zeros(count, bool),
        'infos/goal': np.zeros((count, 2), np.float32),
        'infos/qpos': np.zeros((count, 2), np.float32),
        'infos/qvel': np.zeros((count, 2), np.float32)})


def test_the_command_writes_a_map_that_can_be_planned_on(tmp_path):
    """The robot has driven through the corridors of the umaze: the map is that of the umaze."""
    corners = np.array([(3, 1), (3, 3), (1, 3), (1, 1)], float)
    way = np.concatenate([np.linspace(a, b, 60) for a, b in zip(corners, corners[1:])])
    write_log(tmp_path / 'log.hdf5', way)
    run = CliRunner().invoke(main, ['data', 'map', str(tmp_path / 'log.hdf5'), '--margin-m', '0.1',
                                    '--out', str(tmp_path / 'new/umaze.yaml')])
    assert run.exit_code == 0, run.stderr
    free_m2 = float(re.search(r'([\d.]+) m2 free', run.stdout)[1])
    assert free_m2 == pytest.approx(6.0 * 0.4, rel=0.15)
    grid, maze = load_map(tmp_path / 'new/umaze.yaml').in_axes(TO_MAP), load_maze('umaze')
    assert grid.clearance(way).min() > 0.1 and not maze.is_wall(
        grid.centers(np.argwhere(~grid.solid))).any()
    run = CliRunner().invoke(main, [
        'plan', '--checkpoint', 'point', '--map', str(tmp_path / 'new/umaze.yaml'), '--start',
        '1', '-3', '--goal', '1', '-1', '--out', str(tmp_path / 'plan.png')])
    assert run.exit_code == 0, run.stderr


def test_an_evaluation_plans_on_another_map_than_it_drives_in(tmp_path):
    """What the map does not know is no place to plan through, though the maze is free there."""
    corners = np.array([(3, 1), (3, 3), (1, 3), (1, 1)], float)
    seen = GridMap.from_log([np.linspace(a, b, 60) for a, b in zip(corners, corners[1:])], 0.3,
                            0.5, TO_MAP)
    file = tmp_path / 'seen.yaml'
    save_map(file, seen)
    specification = Specification('umaze', checkpoint='point', planner_map=str(file))
    runner = EpisodeRunner(specification)
    drive = runner.run(0, np.array([3.0, 1.0, 0.0, 0.0]), np.array([1.0, 1.0]))
    assert drive['record']['reached']
    planned = np.concatenate([points for _, points in drive['sketch']['plans']])
    assert seen.clearance(planned).min() > 0.0
    with pytest.raises(StartOccupied, match='unknown'):
        runner.run(1, np.array([2.5, 2.5, 0.0, 0.0]), np.array([1.0, 1.0]))
    identity = identity_of(specification)
    save_map(file, GridMap.from_log([corners], 0.4, 9.0, TO_MAP))
    assert identity != identity_of(specification)
