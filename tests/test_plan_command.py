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

"""``df_planner plan``: one plan on a map from a file or in a maze, in numbers and as a picture."""

import re

from click.testing import CliRunner
import numpy as np
from PIL import Image
import pytest

from df_planner.cli.main import main
from df_planner.maps.grid import GridMap
from df_planner.maps.map_file import save_map


@pytest.fixture(scope='module')
def office(tmp_path_factory):
    """Write a hall of 8 m x 6 m, its corner at (-2, -1), with a wall across and a closed box."""
    occupied = np.zeros((120, 160), bool)
    occupied[[0, -1]] = occupied[:, [0, -1]] = True
    occupied[:80, 78:82] = True  # at x = 2, open above y = 3
    occupied[20:40, [130, 149]] = occupied[[20, 39], 130:150] = True
    unknown = np.zeros_like(occupied)
    unknown[100:, :20] = True
    file = tmp_path_factory.mktemp('office') / 'office.yaml'
    save_map(file, GridMap(occupied, 0.05, np.array([-2.0, -1.0]), unknown=unknown))
    return file


def run(*arguments):
    """Run the command in this process."""
    return CliRunner().invoke(main, ['plan', *map(str, arguments)])


def numbers(result):
    """Return the table of a command that went well, the first number of every line."""
    assert result.exit_code == 0, result.stderr
    lines = [line.split('  ', 1) for line in result.stdout.splitlines()]
    return {name: float(found[0]) if (found := re.findall(r'[\d.]+', rest)) else rest.strip()
            for name, rest in lines}


@pytest.mark.parametrize('robot, start', [('point', ('-1', '0')), ('diff_drive', ('-1', 0, 1.57))])
def test_a_plan_on_a_map_goes_round_its_wall(tmp_path, office, robot, start):
    """Positions are in the map frame, whatever the axes of the robot's log are."""
    result = run('--checkpoint', robot, '--map', office, '--start', *start, '--goal', 4, '1.5',
                 '--out', tmp_path / 'new/plan.png')
    table = numbers(result)
    assert table['valid'] == 'yes' and 1 <= table['candidates valid'] <= 8
    shortest_m = np.hypot(3.0, 3.0) + np.hypot(2.0, 1.5)  # over the end of the wall
    assert shortest_m < table['length'] < 1.2 * shortest_m
    assert table['duration'] > table['length'] / 5.3
    with Image.open(tmp_path / 'new/plan.png') as picture:
        assert min(picture.size) > 400
        assert len(picture.convert('RGB').getcolors(1 << 20)) > 50


def test_way_points_are_passed_and_the_seed_decides_the_plan(tmp_path, office):
    def length_m(*more):
        return numbers(run('--checkpoint', 'point', '--map', office, '--start', -1, 0, '--goal',
                           4, 1.5, '--out', tmp_path / 'plan.svg', *more))['length']
    straight_m = length_m()
    assert straight_m == length_m('--seed', 0)
    assert len({length_m('--seed', seed) for seed in range(1, 4)}) > 1
    assert length_m('--waypoint', -1, 3, '--waypoint', '1', '-0.5') > straight_m + 3.0
    assert (tmp_path / 'plan.svg').read_text().startswith('<?xml')


def test_in_a_maze_positions_are_those_of_the_log(tmp_path):
    table = numbers(run('--checkpoint', 'point', '--maze', 'umaze', '--start', 1, 1, '--goal',
                        3, 1, '--set', 'sampling_steps=3', '--out', tmp_path / 'plan.png'))
    assert 4.0 < table['length'] < 7.0  # round the U, 2 m as the crow flies


@pytest.mark.parametrize('arguments, words', [
    ('--start 9 0 --goal 4 1', r'START_OUTSIDE_MAP\]: start \(9.00, 0.00\)'),
    ('--start -1 0 --goal 2 1', r'GOAL_OCCUPIED\]: goal \(2.00, 1.00\) is inside an obstacle'),
    ('--start -1 0 --goal -1.5 4.5', r'goal \(-1.50, 4.50\) is unknown'),
    ('--start -1 0 --goal 5 0.5', r'NO_VALID_PATH\].*\(5.00, 0.50\)'),
    ('--start -1 0 --goal 4 1 --waypoint 2 0', r'GOAL_OCCUPIED\].*\(2.00, 0.00\)'),
    ('--start -1 0 3.1 --goal 4 1', '--start: point is of a robot without a heading; give X Y$'),
    ('--start -1 0 --goal 4 1 --checkpoint diff_drive', 'give X Y HEADING'),
    ('--start -1 --goal 4 1', "needs 2 or 3 numbers, got '-1'"),
    ('--start -1 0 --goal 4 1 7', "needs 2 numbers, got '4 1 7'"),
    ('--start -1 0 --goal 4 nan', "needs finite numbers, got '4 nan'"),
    ('--start here --goal 4 1', "'here' are not numbers"),
    ('--start -1 0 --goal 4 1 --out plan.bmp', '--out plan.bmp: must end in .png or .svg'),
    ('--start -1 0 --goal 4 1 --maze umaze', 'give --maze or --map, not both'),
    ('--start -1 0 --goal 4 1 --set speed=1', 'planner setting speed'),
])
def test_what_is_wrong_is_named_and_nothing_is_drawn(tmp_path, office, monkeypatch, arguments,
                                                     words):
    monkeypatch.chdir(tmp_path)
    result = run('--checkpoint', 'point', '--map', office, *arguments.split())
    assert result.exit_code == 2
    assert re.search(words, result.stderr.splitlines()[-1]), result.stderr
    assert not [*tmp_path.iterdir()]


def test_a_plan_needs_a_place(tmp_path):
    result = run('--checkpoint', 'point', '--start', 1, 1, '--goal', 2, 2)
    assert result.exit_code == 2 and 'give --map' in result.stderr
