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

"""The benchmark in places that nobody has seen, and the route without a model beside it."""

import json

from click.testing import CliRunner
import numpy as np
import pytest
import yaml

from df_planner.cli.main import main
from df_planner.errors import ConfigError
from df_planner.evaluation.episodes import EpisodeRunner
from df_planner.evaluation.episodes import Specification
from df_planner.evaluation.metrics import batch_counts
from df_planner.evaluation.places import place_name
from df_planner.evaluation.places import starts_of
from df_planner.evaluation.route_planner import timed
from df_planner.grid.contact_sheet import is_shown
from df_planner.grid.rows import expand
from df_planner.grid.rows import load_grid
from df_planner.maps.generator import unseen_place
from df_planner.maps.route import Way
from df_planner.planning.plan import Plan
from df_planner.sim.map_place import load_place
from df_planner.sim.maze import in_maze

L_SHAPE = Way(np.concatenate([np.stack([np.linspace(0.0, 3.0, 31), np.zeros(31)], -1),
                              np.stack([np.full(30, 3.0), np.linspace(0.1, 3.0, 30)], -1)]))


def test_random_places_have_names():
    place = load_place('unseen-17')
    assert place.name == unseen_place(17).name and place.in_map_frame
    assert [place_name('unseen', episode) for episode in range(4)] == [
        'unseen-0', 'unseen-0', 'unseen-1', 'unseen-1']
    assert place_name('medium', 7) == 'medium'
    with pytest.raises(ConfigError, match="no maze 'unseen-x'"):
        load_place('unseen-x')


@pytest.mark.parametrize('robot', ['point', 'diff_drive'])
def test_starts_in_random_places_are_those_of_the_places(robot):
    starts = starts_of('unseen', 5, 0, False, robot)
    fewer = starts_of('unseen', 3, 0, False, robot)
    assert np.array_equal(starts.state[:3], fewer.state)
    to_map = ((0.0, 1.0), (-1.0, 0.0)) if robot == 'point' else ((1.0, 0.0), (0.0, 1.0))
    for episode in range(5):
        place = unseen_place(episode // 2)
        for ours, theirs in ((starts.state[episode, :2], place.starts[episode % 2]),
                             (starts.goal[episode], place.goals[episode % 2])):
            assert np.array_equal(to_map @ ours, theirs)
        assert not load_place(place_name('unseen', episode)).is_wall(
            in_maze(starts.state[episode, :2], to_map))


def test_a_way_is_driven_as_fast_as_the_limits_allow():
    rows = timed(L_SHAPE, np.zeros(2), 2.0, 4.0, 0.01)
    positions, velocities = rows[:, :2], rows[:, 2:]
    speed = np.linalg.norm(velocities, axis=-1)
    assert positions[0] == pytest.approx([0.0, 0.0]) and positions[-1] == pytest.approx([3.0, 3.0])
    assert speed.max() == pytest.approx(2.0)
    corner = np.linalg.norm(positions - [3.0, 0.0], axis=-1).argmin()
    assert speed[corner] < 0.6  # sqrt(4 m/s^2 * 0.1 m / 90 degrees)
    # Between points, speeds are interpolated.
    assert np.abs(np.diff(speed)).max() < 4.0 * 0.01 * 1.6
    assert np.linalg.norm(np.diff(positions, axis=0), axis=-1).max() < 2.0 * 0.01 * 1.01
    moving = timed(L_SHAPE, np.array([1.5, 9.0]), 2.0, 4.0, 0.01)
    assert moving[0, 2:] == pytest.approx([1.5, 0.0]) and len(moving) < len(rows)


def test_the_route_without_a_model_reaches_goals_and_touches_nothing():
    for robot in ('point', 'diff_drive'):
        specification = Specification('unseen', 'route', robot, robot=robot)
        starts = starts_of('unseen', 3, 0, False, robot)
        for episode in range(3):
            runner = EpisodeRunner(specification, episode)
            record = runner.run(episode, starts.state[episode], starts.goal[episode])['record']
            assert record['reached'] and record['touches'] == 0, record
            assert record['wall_crossing_share'] == 0.0 and record['first_batches'] is None


def test_a_route_has_no_actions():
    with pytest.raises(ConfigError, match='a route has no actions to play; take tracking'):
        Specification('medium', 'route', 'point', 'raw')
    with pytest.raises(ConfigError, match='the route needs a checkpoint'):
        Specification('medium', 'route')


def _plan(batches, rewards=(0.0,), rows=2, valid=True):
    return Plan(np.zeros((rows, 2)), np.zeros((rows, 4)), 0.01, np.zeros(2), valid=valid,
                batches=batches, candidate_rewards=np.array(rewards))


def test_first_batches_are_counted():
    held = _plan(0, rows=1)
    rest_of_an_earlier_plan = _plan(2, [0.0, 1.0]).shifted(1)
    counted = batch_counts([
        _plan(1, [1.0, -np.inf]), _plan(3), rest_of_an_earlier_plan, held, None, _plan(1)])
    assert counted == {'calls': 4, 'first_batches': 2, 'valid_candidates': 1.5 / 4}
    assert batch_counts([None, held]) == {'calls': 1, 'first_batches': 0, 'valid_candidates': 0.0}
    nothing = dict.fromkeys(counted)
    assert batch_counts([_plan(0)]) == batch_counts([held]) == batch_counts([]) == nothing


def test_failures_are_drawn_and_the_first_places():
    good = {'reached': True, 'touches': 0}
    shown = [episode for episode in range(2000)
             if is_shown('unseen', {'episode': episode, **good})]
    assert shown == list(range(0, 24, 2))
    assert is_shown('unseen', {'episode': 999, 'reached': False, 'touches': 0})
    assert is_shown('unseen', {'episode': 999, 'reached': True, 'touches': 1})
    assert not is_shown('medium', {'episode': 0, 'reached': False, 'touches': None})


def test_the_shipped_grid_names_every_place():
    grid = load_grid('unseen')
    rows = expand(grid)
    assert grid.episodes == 1000 and grid.tasks['random-diff_drive'].episodes == 200
    for row in rows:
        specification, = row.specifications
        assert specification.robot == grid.tasks[row.task].robot
        assert specification.checkpoint in (None, specification.robot)
    assert {row.task for row in rows if row.name == 'raw'} == set(grid.tasks)


def test_two_random_places(tmp_path):
    rows = [{'name': 'controller', 'policy': 'controller'},
            {'name': 'tracking', 'checkpoint': '{robot}', 'replan_interval_s': 0.5},
            {'name': 'route', 'policy': 'route', 'checkpoint': '{robot}'}]
    path = tmp_path / 'grid.yaml'
    path.write_text(yaml.safe_dump({
        'episodes': 4, 'reference': 'controller', 'rows': rows, 'tasks': {
            'random': {'maze': 'unseen'},
            'wheels': {'maze': 'unseen', 'robot': 'diff_drive', 'episodes': 1}}}))
    command = ['benchmark', str(path), '--workers', '1', '--out', str(tmp_path / 'out')]
    result = CliRunner().invoke(main, [*command, '--episodes', '2'])
    assert result.exit_code == 0, result.output
    kept = {file: file.read_text() for file in (tmp_path / 'out' / 'episodes').iterdir()}
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    for file, text in kept.items():
        assert file.read_text().startswith(text)
    results = json.loads((tmp_path / 'out' / 'results.json').read_text())
    shown = {(row['name'], row['task']): row for row in results['rows']}
    assert shown['tracking', 'wheels']['episodes'] == 1
    tracking = shown['tracking', 'random']
    assert tracking['episodes'] == 4 and tracking['summary']['reach_rate'] == 1.0
    assert tracking['summary']['first_batch_rate'] > 0.5
    assert tracking['measured']['name'] == 'seconds'
    assert tracking['difference']['mean'] < 0.0  # faster than the controller
    assert shown['route', 'random']['summary']['first_batch_rate'] is None
    report = (tmp_path / 'out' / 'report.md').read_text()
    assert '![tracking [random]: the first drives' in report
    assert {'places-random-tracking.png', 'places-wheels-route.png'} <= {
        file.name for file in (tmp_path / 'out').iterdir()}
