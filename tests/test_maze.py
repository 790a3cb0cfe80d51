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

"""Layouts, frames and the occupancy grid."""

from itertools import product

import numpy as np
import pytest

from df_planner.errors import ConfigError
from df_planner.errors import InvalidInput
from df_planner.robots.kinds import POINT
from df_planner.sim.maze import load_maze
from df_planner.sim.maze import map_to_observation
from df_planner.sim.maze import Maze
from df_planner.sim.maze import MAZE_NAMES
from df_planner.sim.maze import OBSERVATION_TO_MAP
from df_planner.sim.maze import observation_to_map
from df_planner.sim.maze import observation_to_world
from df_planner.sim.maze import WORLD_OFFSET_M
from df_planner.sim.world import build_model


@pytest.mark.parametrize('name, num_cells, goal, steps', [
    ('umaze', 7, (1, 1), 300), ('medium', 26, (6, 6), 600), ('large', 46, (7, 9), 800),
    ('eval-umaze', 7, (1, 3), 300), ('eval-medium', 26, (1, 6), 600),
    ('eval-large', 47, (1, 9), 800)])
def test_shipped_mazes_are_those_of_d4rl(name, num_cells, goal, steps):
    maze = load_maze(name)
    assert len(maze.cells) == num_cells == np.count_nonzero(~maze.walls)
    assert maze.goal_cell == goal == maze.cells[-1]
    assert maze.cells[:-1] == sorted(maze.cells[:-1])
    assert maze.max_episode_steps == steps


def test_score_is_0_at_the_random_and_100_at_the_reference_return():
    maze = load_maze('medium')
    assert maze.normalized_score(13.13) == 0.0
    assert maze.normalized_score(277.39) == pytest.approx(100.0)
    assert maze.normalized_score(0.5 * (13.13 + 277.39)) == pytest.approx(50.0)
    assert maze.normalized_score(44.264742, dense=True) == 0.0
    with pytest.raises(ConfigError, match='mine has no reference return'):
        Maze('mine', ('###', '#O#', '###'), 10).normalized_score(1.0)


def test_map_frame_round_trip_is_exact_to_the_bit():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((10_000, 2)) * 10.0 ** rng.integers(-300, 300, (10_000, 1))
    there = observation_to_map(vectors)
    np.testing.assert_array_equal(
        map_to_observation(there).view(np.int64), vectors.view(np.int64))
    back = map_to_observation(vectors)
    np.testing.assert_array_equal(
        observation_to_map(back).view(np.int64), vectors.view(np.int64))


def test_map_frame_has_x_along_columns_and_y_against_rows():
    np.testing.assert_array_equal(observation_to_map([3.0, 5.0]), [5.0, -3.0])
    vectors = np.random.default_rng(0).standard_normal((4, 5, 2))
    np.testing.assert_array_equal(
        observation_to_map(vectors), vectors @ np.array(OBSERVATION_TO_MAP).T)
    np.testing.assert_array_equal(
        map_to_observation(vectors), vectors @ np.linalg.inv(OBSERVATION_TO_MAP).T)


def test_world_frame_is_where_mujoco_has_the_ball_and_the_walls():
    maze = load_maze('medium')
    model = build_model(maze)
    np.testing.assert_allclose(model.body('ball').pos[:2], observation_to_world([0.0, 0.0]))
    assert model.body('ball').mass[0] == pytest.approx(POINT.mass_kg, rel=1e-15)
    for row, column in np.argwhere(maze.walls):
        wall = model.geom(f'wall_{row}_{column}')
        centre = wall.pos[:2] - WORLD_OFFSET_M
        np.testing.assert_allclose(centre, [row - 0.2, column - 0.2])
        inside = centre + np.array(list(product((-1, 1), repeat=2))) * wall.size[:2] * 0.999
        assert maze.is_wall(inside).all()


def test_is_wall_knows_the_offset_of_the_cells_and_the_outside():
    maze = load_maze('umaze')  # free: row 1 columns 1-3, (2, 3), row 3 columns 1-3
    free = [(1.0, 1.0), (0.31, 0.31), (1.29, 3.29), (2.0, 2.31), (3.29, 0.31)]
    blocked = [(0.29, 1.0), (1.0, 0.29), (1.31, 1.0), (2.0, 2.29), (-0.69, -0.69)]
    outside = [(-0.71, 1.0), (1.0, 4.31), (100.0, 1.0), (1.0, -1e9), (np.inf, 1.0)]
    assert not maze.is_wall(free).any()
    assert maze.is_wall(blocked).all()
    assert maze.is_wall(outside).all()
    assert maze.is_wall([np.nan, 1.0])
    assert maze.is_wall(np.zeros((2, 3, 2))).shape == (2, 3)


@pytest.mark.parametrize('name', MAZE_NAMES)
@pytest.mark.parametrize('resolution_m', [1.0, 0.1, 0.05])
def test_occupancy_grid_says_what_is_wall_says(name, resolution_m):
    maze = load_maze(name)
    data, origin = maze.occupancy_grid(resolution_m)
    assert data.dtype == np.int8
    assert data.shape == tuple(round(n / resolution_m) for n in maze.walls.shape)
    height, width = data.shape
    x = origin[0] + (np.arange(width) + 0.5) * resolution_m
    y = origin[1] + (np.arange(height) + 0.5) * resolution_m
    centres = np.stack(np.meshgrid(x, y), axis=-1)
    np.testing.assert_array_equal(data == 100, maze.is_wall(map_to_observation(centres)))
    assert set(np.unique(data)) == {0, 100}


def test_occupancy_grid_has_the_goal_of_medium_at_the_lower_right():
    data, origin = load_maze('medium').occupancy_grid(1.0)
    np.testing.assert_allclose(origin, [-0.7, -7.3])
    assert data[1, 6] == 0
    assert data[0].min() == 100
    assert data[1, 5] == 0
    assert data[1, 4] == 100


@pytest.mark.parametrize('resolution_m', [0.3, 0.0, -0.1, 2.0, float('nan')])
def test_occupancy_grid_rejects_a_resolution_that_does_not_fit(resolution_m):
    with pytest.raises(InvalidInput, match='resolution_m'):
        load_maze('umaze').occupancy_grid(resolution_m)


def test_own_maze_from_a_file(tmp_path):
    path = tmp_path / 'room.yaml'
    path.write_text('layout: ["####", "#OO#", "####"]\nmax_episode_steps: 50\n')
    maze = load_maze(path)
    assert maze.name == 'room'
    assert maze.cells == [(1, 1), (1, 2)]
    assert maze.goal_cell == (1, 1)
    assert maze.reference_return is None


@pytest.mark.parametrize('text, cause', [
    ('layout: ["###", "#O#"]\nmax_episode_steps: 50', 'border'),
    ('layout: ["###", "#O##", "###"]\nmax_episode_steps: 50', 'one length'),
    ('layout: ["###", "#x#", "###"]\nmax_episode_steps: 50', 'unknown tiles'),
    ('layout: ["###", "###"]\nmax_episode_steps: 50', 'no empty cell'),
    ('layout: ["####", "#GG#", "####"]\nmax_episode_steps: 50', 'more than one goal'),
    ('layout: ["###", "#O#", "###"]\nmax_episode_steps: 0', 'max_episode_steps'),
    ('layout: ["###", "#O#", "###"]\nmax_episode_steps: soon', 'max_episode_steps'),
    ('layout: ["###", "#O#", "###"]\nmax_episode_steps: 5\nreference_return: [2, 1]', 'rising'),
    ('layout: 3\nmax_episode_steps: 50', 'list of strings'),
    ('layout: []\nmax_episode_steps: 50', 'one length'),
    ('layout: ["###"]', 'needs the keys'),
    ('[1, 2', 'cannot be read'),
    ('', 'must be a mapping')])
def test_bad_maze_file_is_answered_with_its_cause(tmp_path, text, cause):
    path = tmp_path / 'bad.yaml'
    path.write_text(text)
    with pytest.raises(ConfigError, match=cause) as error:
        load_maze(path)
    assert 'bad' in str(error.value)
    assert '\n' not in str(error.value)


def test_unknown_maze_names_the_known_ones():
    with pytest.raises(ConfigError, match='no maze .colossal.: .*umaze, medium, large'):
        load_maze('colossal')
