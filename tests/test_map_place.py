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

"""Maps from files as places to drive in: walls, starts, ways, and whole evaluations."""

import time

from click.testing import CliRunner
import gymnasium
import h5py
import numpy as np
from PIL import Image
import pytest
from scipy.ndimage import binary_erosion

from df_planner.cli.main import main
from df_planner.errors import ConfigError
from df_planner.errors import InvalidInput
from df_planner.errors import StartOccupied
from df_planner.errors import StartOutsideMap
from df_planner.evaluation.episodes import EpisodeRunner
from df_planner.evaluation.episodes import Specification
from df_planner.evaluation.evaluate import evaluate
from df_planner.evaluation.protocol import load_starts
from df_planner.evaluation.protocol import sample_starts
from df_planner.evaluation.protocol import Starts
from df_planner.maps.generator import unseen_place
from df_planner.maps.grid import GridMap
from df_planner.robots.kinds import ROBOTS
from df_planner.sim.map_place import load_place
from df_planner.sim.map_place import MapPlace
from df_planner.sim.map_place import rectangles
from df_planner.sim.maze import load_maze
from df_planner.sim.maze import observation_to_map
from df_planner.sim.robots import simulated_robot
from df_planner.sim.session import Session

TURN = 0.5  # of the rooms, in radians


@pytest.fixture(scope='module')
def rooms(tmp_path_factory):
    """Write two rooms with a door between them, 6 m x 4 m, turned, and unknown around them."""
    pixels = np.full((100, 140), 205, np.uint8)
    pixels[8:92, 8:132] = 0
    pixels[10:90, 10:130] = 254
    pixels[10:90, 68:72] = 0
    pixels[40:60, 68:72] = 254
    file = tmp_path_factory.mktemp('rooms') / 'rooms.yaml'
    Image.fromarray(pixels).save(file.with_suffix('.png'))
    file.write_text('image: rooms.png\nresolution: 0.05\nnegate: 0\nmode: trinary\n'
                    f'origin: [3.0, -2.0, {TURN}]\noccupied_thresh: 0.65\nfree_thresh: 0.19\n')
    return file


def in_rooms(x, y):
    """Return where a point of the picture, in metres from its lower left, is on the map."""
    return np.array([3.0 + x * np.cos(TURN) - y * np.sin(TURN),
                     -2.0 + x * np.sin(TURN) + y * np.cos(TURN)])


def states_at(robot, xy, heading=0.0):
    """Return a state at rest of a robot at (x, y) of the map."""
    position = xy @ np.array(ROBOTS[robot].signals.observation_to_map)
    size = ROBOTS[robot].signals.observation_size
    return np.array([*position, 0.0, 0.0, np.cos(heading), np.sin(heading)][:size])


@pytest.mark.parametrize('seed', range(8))
def test_rectangles_cover_all_walls_and_nothing_else(seed):
    solid = unseen_place(seed).grid.occupied
    skin = solid & ~binary_erosion(solid, iterations=2)
    covered = np.zeros_like(solid)
    found = rectangles(solid, skin)
    for iy, ix, height, width in found:
        covered[iy:iy + height, ix:ix + width] = True
    assert not (covered & ~solid).any() and not (skin & ~covered).any()
    assert len(found) < solid.sum() / 8


@pytest.mark.parametrize('robot', ['point', 'diff_drive', 'omni'])
@pytest.mark.parametrize('toward', [(1, 0), (-1, 0), (0, 1), (0, -1)])
def test_a_robot_stops_where_the_map_has_a_wall(rooms, robot, toward):
    place, kind = load_place(rooms), ROBOTS[robot]
    world = simulated_robot(robot).world(place)
    grid = place.grid.in_axes(kind.signals.observation_to_map)
    heading = TURN + np.arctan2(toward[1], toward[0])
    world.set_state(states_at(robot, in_rooms(1.0, 2.5), heading))
    assert not world.in_contact
    ahead = np.array([np.cos(heading), np.sin(heading)])
    action = (0.3 * ahead @ np.array(kind.signals.observation_to_map) if kind.takes_forces
              else [1.0] + [0.0] * (kind.signals.action_size - 1))
    touched = False
    for _ in range(round(6.0 / kind.signals.dt_s)):
        state = world.step(action)
        touched |= world.in_contact
    assert touched
    assert grid.clearance(state[:2]) == pytest.approx(kind.signals.robot_radius_m, abs=0.04)


def test_the_unknown_and_the_edge_of_a_map_are_walls():
    cells = np.zeros((60, 60), np.int8)
    cells[:, 40:] = -1
    place = MapPlace(GridMap.from_cells(cells, 0.05, np.zeros(2)), 'half')
    world = simulated_robot('point').world(place)
    for x, y in ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)):
        world.set_state([-1.5, 1.0, 0.0, 0.0])
        for _ in range(400):
            state = world.step([-y, x])
        assert world.in_contact and not place.is_wall(state[:2])


def test_starts_and_goals_are_free_reachable_and_the_same_by_seed(rooms):
    place = load_place(rooms)
    starts = sample_starts(place, 50, seed=3, robot='diff_drive')
    clear_m = place.grid.clearance(np.concatenate((starts.state[:, :2], starts.goal)))
    assert clear_m.min() > 0.25
    assert np.linalg.norm(starts.goal - starts.state[:, :2], axis=1).min() >= 1.0
    again = sample_starts(place, 10, seed=3, robot='diff_drive')
    assert np.array_equal(again.state, starts.state[:10])
    point = sample_starts(place, 10, seed=3)
    assert observation_to_map(point.state[:, :2]) == pytest.approx(again.state[:, :2])


def test_a_way_keeps_off_the_walls(rooms):
    place = load_place(rooms)
    start, goal = (np.array([-xy[1], xy[0]]) for xy in (in_rooms(1.0, 1.0), in_rooms(6.0, 1.0)))
    way = place.way(start, goal)
    steps = np.linalg.norm(np.diff([start, *way], axis=0), axis=1)
    assert steps.max() < 0.6 and 5.0 < steps.sum() < 8.0 and np.array_equal(way[-1], goal)
    assert place.grid.clearance(observation_to_map(way)).min() > 0.19


@pytest.mark.parametrize('robot', ['point', 'diff_drive', 'omni'])
def test_an_evaluation_is_in_the_map_frame_and_ends_at_the_goals(rooms, tmp_path, robot):
    place = load_place(rooms)
    starts = sample_starts(place, 3, seed=0, robot=robot)
    results = evaluate(Specification(str(rooms), policy='controller', robot=robot), starts,
                       tmp_path)
    for record in results['episodes']:
        assert record['reached'] and record['steps'] == record['first_reach_step']
        assert record['touches'] == 0 and record['score'] is None
        assert place.grid.clearance(np.array([record['start'][:2], record['goal']])).min() > 0.2
    assert results['summary']['touches']['mean'] == 0.0
    with np.load(tmp_path / 'starts.npz') as file:
        assert file['goal'].tolist() == [record['goal'] for record in results['episodes']]
        assert file['state'][:, :4].tolist() == [
            record['start'][:4] for record in results['episodes']]
    assert np.array_equal(load_starts(tmp_path / 'starts.npz', robot, place).state, starts.state)
    report = (tmp_path / 'report.md').read_text()
    assert '# map rooms' in report and 'touches of walls' in report and 'score' not in report
    assert 'start_x,start_y' in (tmp_path / 'results.csv').read_text()
    assert Image.open(tmp_path / 'paths.png').width > 500


def test_a_touch_counts_once(rooms):
    start, goal = (states_at('point', in_rooms(x, 1.0)) for x in (1.0, 6.0))
    runner = EpisodeRunner(Specification(str(rooms), policy='controller'))
    runner._policy.act = lambda state: np.array([1.0, 0.3])  # into the wall, and along it
    record = runner.run(0, start, goal[:2])['record']
    assert not record['reached'] and 1 <= record['touches'] < 20
    limit = load_place(rooms).episode_steps(0.01)
    assert record['steps'] == limit


def test_a_start_in_a_wall_is_named_in_the_map_frame(rooms):
    place = load_place(rooms)
    blocked, outside = in_rooms(3.5, 1.0), in_rooms(-1.0, 1.0)
    good = states_at('point', in_rooms(1.0, 1.0))
    for bad in (blocked, outside):
        starts = Starts(states_at('point', bad)[None], good[None, :2])
        with pytest.raises(InvalidInput, match=rf"row 0, \[ *{bad[0]:.3f}.*map 'rooms'"):
            starts.check_inside(place)
    session = Session(place)
    with pytest.raises(StartOccupied, match=r"\(-?\d.*inside a wall of map 'rooms'"):
        session.teleport(states_at('point', blocked))
    with pytest.raises(StartOutsideMap, match='is outside of map'):
        session.teleport(states_at('point', outside))


def test_the_environment_takes_a_map(rooms):
    env = gymnasium.make(
        'df_planner.sim.env:df_planner/DiffDrive-umaze-v1', maze=str(rooms), multi_goal=True,
        render_mode='rgb_array').unwrapped
    state, info = env.reset(seed=1)
    assert env.observation_space.contains(state) and env.place.grid.clearance(info['goal']) > 0.2
    assert env.render().shape[2] == 3
    assert env.step(env.action_space.sample())[0].shape == (6,)


def test_a_log_of_drives_on_a_map(rooms, tmp_path):
    for robot in ('point', 'diff_drive'):
        out = tmp_path / f'{robot}.hdf5'
        result = CliRunner().invoke(main, [
            'data', 'generate', '--map', str(rooms), '--robot', robot, '--num-steps', '600',
            '--out', str(out)])
        assert result.exit_code == 0, result.output
        with h5py.File(out) as file:
            xy = (file['observations'][:, :2]
                  @ np.array(ROBOTS[robot].signals.observation_to_map).T)
            assert load_place(rooms).grid.clearance(xy).min() > 0.05
            assert file.attrs['map'] == 'rooms' and np.ptp(xy, axis=0).max() > 0.5


def test_evaluate_says_what_is_wrong_with_a_map_in_one_line(rooms, tmp_path):
    (tmp_path / 'none.yaml').write_text(rooms.read_text())
    solid = tmp_path / 'solid.yaml'
    solid.write_text(rooms.read_text().replace('rooms.png', 'solid.png'))
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / 'solid.png')
    runner = CliRunner()
    for arguments, words in (
            (['--map', str(tmp_path / 'none.yaml')], 'rooms.png: no such image'),
            (['--map', str(rooms.with_suffix('.png'))], 'give the YAML file'),
            (['--map', str(solid)], 'no free cell is 0.3 m from every obstacle'),
            (['--map', str(tmp_path)], 'cannot be read'),
            (['--map', str(rooms), '--maze', 'large'], '--maze or --map, not both')):
        result = runner.invoke(main, ['evaluate', '--policy', 'controller', *arguments])
        assert result.exit_code == 2 and words in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1


def test_a_place_is_a_maze_or_a_map_by_what_its_file_says(rooms):
    assert load_place('umaze') == load_maze('umaze')
    assert str(load_place(rooms)) == "map 'rooms'" and str(load_place('umaze')) == "maze 'umaze'"
    with pytest.raises(ConfigError, match="no maze 'nowhere'"):
        load_place('nowhere')


def test_a_large_map_becomes_a_world_within_seconds():
    place = unseen_place(2)
    cells = np.kron(place.grid.cells, np.ones((14, 14), np.int8))
    began = time.process_time()
    large = MapPlace(GridMap.from_cells(cells, 0.05, np.zeros(2)), 'large')
    simulated_robot('diff_drive').world(large)
    assert cells.size > 1_500_000 and time.process_time() - began < 20.0  # about 2 s
