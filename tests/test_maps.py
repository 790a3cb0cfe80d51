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

"""Maps of any resolution, size, origin and turn, and the files that Nav2's map_server reads."""

import time

import numpy as np
from PIL import Image
import pytest
import torch

from df_planner.errors import ConfigError
from df_planner.errors import InvalidInput
from df_planner.maps.generator import unseen_place
from df_planner.maps.grid import FAR_M
from df_planner.maps.grid import GridMap
from df_planner.maps.map_file import load_map
from df_planner.maps.map_file import save_map
from df_planner.planning.rewards import DistanceField
from df_planner.robots.signals import MAZE2D

YAML = {'image': 'room.pgm', 'resolution': 0.05, 'origin': [-1.0, 2.0, 0.0], 'negate': 0,
        'occupied_thresh': 0.65, 'free_thresh': 0.25}
# What Nav2's rules make of these shades: free, between the thresholds, occupied.
SHADES = np.array([[255, 200, 192, 191, 160, 90, 89, 0]], np.uint8)
TRINARY = [0, 0, 0, -1, -1, -1, 100, 100]


def write(folder, pixels, image='room.pgm', **changes):
    """Write a map of pixels, (H, W) or (H, W, channels), and return its YAML file."""
    if pixels is not None:
        Image.fromarray(pixels).save(folder / image)
    lines = {**YAML, 'image': image, **changes}
    file = folder / 'room.yaml'
    file.write_text(''.join(f'{name}: {value}\n' for name, value in lines.items()
                            if value is not None))
    return file


def scaled(free, occupied):
    """Return what the shades become in mode scale, computed in another way."""
    return [0 if s <= free else 100 if s >= occupied else
            int(100 * (s - free) / (occupied - free) + 0.5)
            for s in (1.0 - SHADES[0] / 255.0).tolist()]


@pytest.mark.parametrize('image', ['room.pgm', 'room.png', 'room.bmp'])
def test_shades_are_free_unknown_or_occupied(tmp_path, image):
    assert load_map(write(tmp_path, SHADES, image)).cells.tolist() == [TRINARY]


def test_the_thresholds_themselves_count(tmp_path):
    shades = np.array([[126, 127, 128, 129]], np.uint8)
    file = write(tmp_path, shades, occupied_thresh=128 / 255, free_thresh=127 / 255, negate=1)
    assert load_map(file).cells.tolist() == [[0, 0, 100, 100]]


def test_negate_swaps_black_and_white(tmp_path):
    for negate in (1, 'true'):
        file = write(tmp_path, 255 - SHADES, negate=negate)
        assert load_map(file).cells.tolist() == [TRINARY]


def test_mode_scale_gives_numbers_which_are_obstacles_from_65_on(tmp_path):
    grid = load_map(write(tmp_path, SHADES, mode='Scale'))
    assert grid.occupied.tolist() == [[value >= 65 for value in scaled(0.25, 0.65)]]
    assert not grid.unknown.any()


def test_mode_raw_takes_pixels_as_they_are(tmp_path):
    pixels = np.array([[0, 64, 65, 100, 101, 200, 255]], np.uint8)
    grid = load_map(write(tmp_path, pixels, mode='raw', negate=1))
    assert grid.cells.tolist() == [[0, 0, 100, 100, -1, -1, -1]]


def test_the_lowest_row_of_pixels_is_the_first_row_of_cells(tmp_path):
    pixels = np.full((3, 4), 255, np.uint8)
    pixels[2, 1] = 0
    grid = load_map(write(tmp_path, pixels))
    assert np.argwhere(grid.occupied).tolist() == [[0, 1]]
    assert grid.clearance(np.array([-1.0 + 0.075, 2.0 + 0.025])) < 0.0


@pytest.mark.parametrize('text', [
    'P2\n# a comment\n2 2\n255\n0 255\n255 255\n', 'P2\n2 2\n1\n0 1 1 1\n',
    'P2 2 2 65535 0 65535 65535 65535'])
def test_pgm_as_text_with_any_largest_value(tmp_path, text):
    file = write(tmp_path, None)
    (tmp_path / 'room.pgm').write_text(text)
    assert load_map(file).cells.tolist() == [[0, 0], [100, 0]]


def test_colours_transparency_palettes_and_16_bits(tmp_path):
    colours = np.array([[[255, 255, 255], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert load_map(write(tmp_path, colours, 'a.png')).cells.tolist() == [[0, -1, 100]]
    clear = np.array([[[0, 0, 0, 255], [0, 0, 0, 254], [255, 255, 255, 0]]], np.uint8)
    assert load_map(write(tmp_path, clear, 'b.png')).cells.tolist() == [[100, -1, -1]]
    wide = np.array([[0, 40000, 65535]], np.uint16)
    assert load_map(write(tmp_path, wide, 'c.png')).cells.tolist() == [[100, -1, 0]]
    Image.fromarray(SHADES).convert('P').save(tmp_path / 'd.png')
    assert load_map(write(tmp_path, None, 'd.png')).cells.tolist() == [TRINARY]


@pytest.mark.parametrize('changes, words', [
    ({'image': 'none.pgm'}, 'none.pgm: no such image'), ({'image': '.'}, 'cannot be read'),
    ({'image': 'room.yaml'}, 'no image'), ({'image': None}, 'image: is missing'),
    ({'mode': 'scael'}, "mode: must be 'trinary', 'scale' or 'raw', got 'scael'"),
    ({'origin': '[.nan, 0, 0]'}, 'origin.0: must be a finite number'),
    ({'origin': '[0, 0]'}, 'origin'), ({'origin': 'here'}, 'origin'),
    ({'resolution': 0}, 'resolution: must be greater than 0, got 0'),
    ({'resolution': -0.05}, 'resolution'), ({'resolution': '.inf'}, 'resolution'),
    ({'resolution': None}, 'resolution: is missing'), ({'negate': 7}, 'negate'),
    ({'free_thresh': 0.9}, 'free_thresh must be at most occupied_thresh'),
    ({'occupied_thresh': 65}, 'occupied_thresh')])
def test_a_bad_yaml_is_one_line_that_names_file_and_field(tmp_path, changes, words):
    file = write(tmp_path, SHADES)
    write(tmp_path, None, **changes)
    with pytest.raises(ConfigError, match=words) as error:
        load_map(file)
    assert str(tmp_path) in str(error.value) and '\n' not in str(error.value)


@pytest.mark.parametrize('content, words', [
    (b'', 'no image'), (b'P5\n0 0\n255\n', 'no pixels'), (b'hello', 'no image'),
    (b'P5\n100000 10000\n255\n', 'more than 50000000 pixels'),
    (b'P5\n9000 9000\n255\n', 'more than 50000000 pixels'),
    (b'P5\n20 20\n255\nabc', 'cannot be read'), (b'P5\n2 2\n1000000\nabcd', 'cannot be read'),
    (b'P2\n2 2\n255\n1 2 x 4\n', 'cannot be read'), (b'\x89PNG\r\n\x1a\n', 'image')])
def test_a_bad_image_is_one_line_that_names_the_file(tmp_path, content, words):
    file = write(tmp_path, None)
    (tmp_path / 'room.pgm').write_bytes(content)
    with pytest.raises(ConfigError, match=words) as error:
        load_map(file)
    assert str(tmp_path / 'room.pgm') in str(error.value) and '\n' not in str(error.value)


def test_an_image_a_folder_and_a_text_are_no_maps(tmp_path):
    write(tmp_path, SHADES)
    (tmp_path / 'text').write_text('hello')
    (tmp_path / 'noise').write_bytes(bytes(range(256)))
    for name, words in (('room.pgm', 'give the YAML file'), ('.', 'cannot be read'),
                        ('text', 'must be a mapping'), ('noise', 'cannot be read'),
                        ('none.yaml', 'cannot be read')):
        with pytest.raises(ConfigError, match=words):
            load_map(tmp_path / name)


@pytest.mark.parametrize('seed', [0, 1, 2, 3])
def test_a_map_that_is_written_reads_the_same(tmp_path, seed):
    grid = unseen_place(seed).grid
    unknown = np.zeros_like(grid.occupied)
    unknown[5:9] = True
    grid = GridMap(grid.occupied, grid.resolution_m, grid.origin_xy, unknown=unknown,
                   origin_yaw=grid.origin_yaw)
    save_map(tmp_path / 'place.yaml', grid)
    copy = load_map(tmp_path / 'place.yaml')
    assert np.array_equal(copy.cells, grid.cells) and copy.resolution_m == grid.resolution_m
    assert [*copy.origin_xy, copy.origin_yaw] == [*grid.origin_xy, grid.origin_yaw]


# The grid

def room(yaw=0.0):
    """Return 3 m x 2 m with a wall at the left, its corner at (5, -3)."""
    occupied = np.zeros((20, 30), bool)
    occupied[:, :10] = True
    return GridMap(occupied, 0.1, np.array([5.0, -3.0]), origin_yaw=yaw)


@pytest.mark.parametrize('yaw', [0.0, 0.4, np.pi / 2, -2.5])
@pytest.mark.parametrize('axes', [((1.0, 0.0), (0.0, 1.0)), MAZE2D.observation_to_map])
def test_a_turned_map_is_the_same_map_seen_from_elsewhere(yaw, axes):
    in_grid = np.random.default_rng(0).uniform(-0.5, 3.5, (500, 2))
    turn = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
    points = ([5.0, -3.0] + in_grid @ turn.T) @ np.linalg.inv(axes).T
    straight, turned = room(), room(yaw).in_axes(axes)

    expected = straight.clearance(in_grid + [5.0, -3.0])
    assert turned.clearance(points) == pytest.approx(expected, abs=1e-9)
    assert np.array_equal(turned.contains(points), straight.contains(in_grid + [5.0, -3.0]))
    field = DistanceField.of(turned, dtype=torch.float64)
    assert np.allclose(field(torch.tensor(points)), expected)


def test_cells_and_their_centres():
    grid = room(0.7).in_axes(MAZE2D.observation_to_map)
    cells = np.argwhere(grid.occupied)
    assert (grid.clearance(grid.centers(cells)) < 0.0).all()
    more = grid.with_occupied(lambda points: np.ones(points.shape[:2], bool))
    assert more.occupied.all() and more.origin_yaw == grid.origin_yaw


def test_unknown_cells_are_obstacles_unless_they_are_allowed(tmp_path):
    cells = np.zeros((10, 10), np.int8)
    cells[:, 5:], cells[0, 0] = -1, 100
    for allowed in (False, True):
        assert load_map(write(tmp_path, SHADES), allowed).solid.sum() == (2 if allowed else 5)
        grid = GridMap.from_cells(cells, 0.1, np.zeros(2), allow_unknown=allowed)
        assert (grid.clearance(np.array([0.75, 0.5])) > 0.0) == allowed
        assert np.array_equal(grid.cells, cells)
        assert grid.with_occupied(lambda points: points[..., 1] > 0.9).allow_unknown == allowed


@pytest.mark.parametrize('change', [
    {'resolution_m': 0.0}, {'resolution_m': np.nan}, {'resolution_m': np.inf},
    {'origin_xy': [np.nan, 0.0]}, {'origin_yaw': np.inf}, {'occupied': np.zeros((0, 3), bool)},
    {'unknown': np.zeros((2, 3), bool)}])
def test_a_grid_that_describes_no_plane_is_refused(change):
    good = {'occupied': np.zeros((3, 3), bool), 'resolution_m': 0.1, 'origin_xy': [0.0, 0.0]}
    with pytest.raises(InvalidInput):
        GridMap(**{**good, **change})


@pytest.mark.parametrize('seed', range(8))
def test_cells_that_change_are_measured_as_if_all_were(seed):
    """Near obstacles to the last bit; farther than anybody looks both say so."""
    rng = np.random.default_rng(seed)
    known = {'resolution_m': rng.choice([0.05, 0.25]), 'origin_xy': np.zeros(2),
             'allow_unknown': bool(seed % 2)}
    cells = np.where(rng.random((150, 200)) < 0.003, 100, 0).astype(np.int8)
    grid = GridMap.from_cells(cells, **known)
    for changed in (100, -1, 0):
        height, width = rng.integers(1, 50, 2)
        iy, ix = rng.integers(0, (150 - height, 200 - width)) if seed % 3 else (0, 200 - width)
        cells[iy:iy + height, ix:ix + width] = np.where(
            rng.random((height, width)) < rng.choice([0.05, 1.0]), changed, 0)
        before = grid.cells
        grid = grid.with_cells(cells[iy:iy + height, ix:ix + width].copy(), (iy, ix))
        all_new = GridMap.from_cells(cells, **known)
        assert np.array_equal(grid.cells, cells) and not np.shares_memory(grid.cells, before)
        near = np.minimum(np.abs(grid.distance_m), np.abs(all_new.distance_m)) < FAR_M
        assert near.any()
        np.testing.assert_array_equal(grid.distance_m[near], all_new.distance_m[near])
        np.testing.assert_array_equal(grid.distance_m > 0.0, all_new.distance_m > 0.0)


def test_cells_change_in_a_small_part_of_the_time_of_a_map():
    cells = np.where(np.random.default_rng(0).random((2000, 2000)) < 0.002, 100, 0)
    cells = cells.astype(np.int8)

    def time_s(make) -> float:
        began_s = time.thread_time()
        assert make().distance_m.size
        return time.thread_time() - began_s
    whole_s = time_s(lambda: GridMap.from_cells(cells, 0.05, np.zeros(2)))
    grid, box = GridMap.from_cells(cells, 0.05, np.zeros(2)), np.full((100, 100), 100, np.int8)
    assert grid.distance_m.size
    assert time_s(lambda: grid.with_cells(box, (900, 900))) < whole_s / 10  # 8 of 500 ms
    cells[900:1000, 900:1000] = box
    assert time_s(lambda: grid.with_cells(cells)) < whole_s / 5  # 24 ms


def test_a_large_map_is_read_within_seconds():
    cells = np.where(np.random.default_rng(0).random((2000, 2000)) < 0.01, 100, 0).astype(np.int8)
    began = time.process_time()
    grid = GridMap.from_cells(cells, 0.05, np.zeros(2))
    assert time.process_time() - began < 20.0  # about 2 s
    assert grid.clearance(np.array([[50.0, 50.0]])).shape == (1,)
