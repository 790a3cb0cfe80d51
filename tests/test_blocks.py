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

"""Unseen blocks: a way past them stays, the simulator stops at them, rates are what they say."""

import json

from click.testing import CliRunner
from interrupting import interrupted_and_resumed
import numpy as np
import pytest

from df_planner import Planner
from df_planner.cli.main import main
from df_planner.errors import ConfigError
from df_planner.evaluation.evaluate import Specification
from df_planner.experiments import blocks as benchmark
from df_planner.sim.maze import BALL_RADIUS_M
from df_planner.sim.maze import Block
from df_planner.sim.maze import load_maze
from df_planner.sim.maze import maze_map
from df_planner.sim.world import World

MEDIUM = load_maze('medium')
START, GOAL = np.array([1.0, 1.0]), np.array([6.0, 6.0])


def test_the_distance_to_a_block_is_that_to_its_edge():
    block = Block((2.0, 3.0), 0.4)
    points = np.array([[2.1, 3.1], [2.5, 3.0], [2.5, 3.6]])
    assert block.distance(points) == pytest.approx([0.0, 0.3, 0.5])


def test_a_block_stops_the_ball():
    block = Block((0.9, 1.6), 0.4)
    for blocks, end in (((), 2.2), ((block,), 1.4 - BALL_RADIUS_M)):
        world = World(MEDIUM, blocks)
        world.set_state([0.9, 0.9, 0.0, 0.0])
        columns = [world.step([0.0, 0.3])[1] for _ in range(100)]
        assert max(columns) == pytest.approx(end, abs=0.05)


def test_the_map_shows_the_very_block():
    block = Block((0.9, 1.6), 0.4)
    grid = benchmark.block_map(maze_map('medium'), [block])
    points = np.array([[0.9, 1.6], [0.75, 1.45], [1.05, 1.75]])
    assert (grid.clearance(points) < 0.0).all()
    assert int(grid.occupied.sum() - maze_map('medium').occupied.sum()) == 16
    near = np.array([[0.9, 1.25], [0.55, 1.6]])
    assert grid.clearance(near) == pytest.approx(block.distance(near), abs=1e-6)


@pytest.mark.parametrize('count', [1, 2, 3])
def test_drawn_blocks_leave_a_way_and_keep_off_the_ends(count):
    for seed in range(5):
        blocks = benchmark.draw_blocks(MEDIUM, START, GOAL, count, np.random.default_rng(seed))
        grid = benchmark.block_map(maze_map('medium'), blocks)
        assert len(blocks) == count
        assert benchmark.leaves_a_way(MEDIUM, grid, START, GOAL)
        assert min(b.distance(p) for b in blocks for p in (START, GOAL)) >= benchmark.KEEP_OFF_M
    again = benchmark.draw_blocks(MEDIUM, START, GOAL, count, np.random.default_rng(4))
    assert again == blocks


@pytest.mark.parametrize(('center', 'edge_m', 'free'), [
    ((2.8, 1.3), 0.5, True), ((2.8, 1.8), 1.0, False)])
def test_a_closed_corridor_leaves_no_way(center, edge_m, free):
    blocks = [Block(center, edge_m), Block((2.8, 2.8), 1.0)]
    grid = benchmark.block_map(maze_map('medium'), blocks[:1] if free else blocks)
    assert benchmark.leaves_a_way(MEDIUM, grid, START, GOAL) == free


def test_more_blocks_than_fit_are_refused(monkeypatch):
    monkeypatch.setattr(benchmark, 'MAX_DRAWS', 100)
    with pytest.raises(ConfigError, match='40 blocks do not fit'):
        benchmark.draw_blocks(MEDIUM, START, GOAL, 40, np.random.default_rng(0))


def test_rates_have_wilsons_interval():
    rate = benchmark.rate(8, 10)
    assert rate['share'] == 0.8
    assert (rate['low'], rate['high']) == pytest.approx((0.4902, 0.9433), abs=1e-3)
    assert benchmark.rate(0, 5)['low'] == 0.0 and benchmark.rate(5, 5)['high'] == 1.0


def test_a_planner_that_does_not_see_the_block_drives_into_it():
    umaze = load_maze('umaze')
    planner = Planner.load('point', grid=maze_map('umaze'))
    blocks = [Block((0.8, 1.8), 0.5), Block((1.05, 2.0), 0.4)]
    arm = benchmark.arms(Specification('umaze', checkpoint='point',
                                       settings={'num_samples': 16}))['blind']
    record, positions = benchmark.drive(planner, arm, umaze, blocks, np.array([0.9, 3.0, 0, 0]),
                                        np.array([1.0, 1.0]), 0)
    assert record['touched'] and not record['success']
    assert record['block_distance_m'] < BALL_RADIUS_M and len(positions) == record['steps'] + 1


def test_the_command_writes_numbers_and_a_picture(tmp_path):
    result = CliRunner().invoke(main, [
        'measure', 'blocks', '--checkpoint', 'point', '--maze', 'umaze',
        '--episodes', '1', '--blocks', '1..1',
        '--arm', 'blind', '--set', 'num_samples=8', '--out', str(tmp_path)])
    assert result.exit_code == 0, result.output
    content = json.loads((tmp_path / 'blocks.json').read_text())
    assert content['summary']['blind']['episodes'] == 1
    assert len(content['episodes'][0]['blocks']) == 1
    assert (tmp_path / 'blocks.png').stat().st_size > 1000


def test_ctrl_c_keeps_finished_drives_and_resume_goes_on(tmp_path):
    drive, results = interrupted_and_resumed(
        ['--checkpoint', 'point', '--maze', 'umaze',
         '--episodes', '4', '--blocks', '1..1', '--arm', 'blind',
         '--set', 'num_samples=8'], tmp_path, 'blocks', num_drives=4)
    assert results['episodes'][0]['arms']['blind'] == drive


def test_a_setting_replaces_what_the_arms_have_in_common():
    given = {'robot_radius_m': 0.2, 'temperature': 0.5, 'guidance_scale': 2.0}
    arms = benchmark.arms(Specification('umaze', checkpoint='point', settings=given))
    for name, arm in arms.items():
        assert (arm.settings.robot_radius_m, arm.settings.temperature) == (0.2, 0.5)
        assert arm.settings.guidance_scale == (2.0 if name == 'clearance' else 0.0)
        assert arm.settings.guide_clearance == (3.0 if name == 'clearance' else 0.0)
        assert arm.settings.collision_tolerance_m == 0.0
    assert [arm.sees_blocks for arm in arms.values()] == [True, True, False]


def test_a_bad_count_is_one_line(tmp_path):
    result = CliRunner().invoke(main, ['measure', 'blocks', '--checkpoint', 'point', '--blocks',
                                       '3'])
    assert result.exit_code == 2 and '--blocks must be FEWEST..MOST' in result.output
