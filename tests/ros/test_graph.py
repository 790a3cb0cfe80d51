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

"""The description of the graph: arguments, processes, parameters, and that real nodes get them."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from rclpy.node import Node
import yaml

from df_planner.driving.tracking import LAWS
from df_planner.driving.tracking import tracking_law
from df_planner.errors import ConfigError
from df_planner.files import share_path
from df_planner.launching import graph
from df_planner.launching.graph import ARGUMENTS
from df_planner.launching.graph import build_graph
from df_planner.launching.graph import unknown_arguments
from df_planner.launching.pieces import COMMON
from df_planner.launching.pieces import PIECES
from df_planner.maps.map_file import save_map
from df_planner.nodes.follower.parameters import FollowerParameters
from df_planner.nodes.maze_benchmark.parameters import MazeBenchmarkParameters
from df_planner.nodes.maze_sim.parameters import MazeSimParameters
from df_planner.nodes.planner.parameters import PlannerParameters
from df_planner.planning.settings import PlannerSettings
from df_planner.planning.settings import settings_for
from df_planner.robots.kinds import EXECUTIONS
from df_planner.robots.kinds import ROBOTS
from df_planner.ros.conversions import MapAxes
from df_planner.ros.parameters import declare
from df_planner.ros.robots.kinds import MESSAGES
from df_planner.ros.robots.kinds import robot_messages
from df_planner.ros.topics import COMMANDS
from df_planner.sim.maze import load_maze
from df_planner.sim.robots import ROBOTS as SIMULATED

PARAMETERS = {'planner': PlannerParameters, 'follower': FollowerParameters,
              'maze_sim': MazeSimParameters, 'maze_benchmark': MazeBenchmarkParameters}


def processes(**values):
    """Return the processes by name."""
    return {process.name: process for process in build_graph(values).processes}


def shipped_parameters(name='params'):
    """Return a parameter file of config, by node."""
    content = yaml.safe_load(share_path(f'config/{name}.yaml').read_text())
    return {name.removeprefix('/**/'): section['ros__parameters']
            for name, section in content.items()}


def test_by_default_the_benchmark_of_the_medium_maze_in_lockstep():
    found = processes()
    assert list(found) == ['maze_sim', 'planner', 'follower', 'maze_benchmark']
    assert [p.name for p in found.values() if p.ends_run] == ['maze_benchmark']
    assert found['maze_sim'].parameters['maze'] == found['maze_benchmark'].parameters['maze'] \
        == 'medium'
    assert found['planner'].parameters['checkpoint'] == 'point'
    assert found['maze_sim'].parameters['lockstep'] and found['follower'].parameters['lockstep']
    assert found['planner'].parameters['compensate_latency'] is False
    assert found['planner'].parameters['realtime_priority'] == 0


def test_a_map_is_driven_on_instead_of_a_maze(tmp_path):
    file = tmp_path / 'office.yaml'
    save_map(file, load_maze('umaze').grid)
    found = processes(map=str(file), robot='diff_drive')
    assert found['maze_sim'].parameters['maze_file'] == str(file)
    assert found['maze_benchmark'].parameters['maze'] == str(file)
    assert found['planner'].parameters['checkpoint'] == 'diff_drive'
    assert processes(map=str(file), checkpoint='mine')['planner'].parameters[
        'checkpoint'] == 'mine'
    with pytest.raises(ConfigError, match='none.yaml: cannot be read'):
        build_graph({'map': str(tmp_path / 'none.yaml')})
    file.with_suffix('.png').unlink()
    with pytest.raises(ConfigError, match='office.png: no such image'):
        build_graph({'map': str(file)})


def test_without_benchmark_it_runs_in_real_time_until_stopped():
    found = processes(use_benchmark='false')
    assert list(found) == ['maze_sim', 'planner', 'follower']
    assert not any(p.ends_run for p in found.values())
    assert found['maze_sim'].parameters['lockstep'] is False
    assert found['planner'].parameters['compensate_latency'] is True
    # The planner does not know how fast the follower drives then; the follower compensates.
    found = processes(use_benchmark='false', execution='time_optimal')
    assert found['planner'].parameters['compensate_latency'] is False
    assert list(processes(use_benchmark=False, use_sim=False, use_follower=False)) == ['planner']
    assert list(processes(use_benchmark=False, use_planner=False, use_follower=False,
                          record=True)) == ['recorder', 'maze_sim']


def test_arguments_reach_every_node_they_concern(tmp_path):
    maze = tmp_path / 'mine.yaml'
    maze.write_text('')
    found = processes(maze=str(maze), execution='raw', planning_frequency_hz='10', seed='3',
                      use_sim_time='false')
    assert found['maze_sim'].parameters['maze_file'] == str(maze)
    assert found['maze_benchmark'].parameters['maze'] == str(maze)
    assert found['planner'].parameters['checkpoint'] == 'point'
    assert found['planner'].parameters['planning_frequency_hz'] == 10.0
    assert found['follower'].parameters['lockstep_plan_steps'] == 10
    assert found['follower'].parameters['execution'] == 'raw'
    assert found['planner'].parameters['hold_at_goal'] is False
    assert {found[n].parameters['seed'] for n in ('maze_sim', 'planner', 'maze_benchmark')} == {3}
    assert all(found[n].parameters['use_sim_time'] is False
               for n in ('planner', 'follower', 'maze_benchmark'))
    assert 'use_sim_time' not in found['maze_sim'].parameters  # it is the source of the time


def test_programs_of_a_ros_installation_are_commands(monkeypatch, tmp_path):
    monkeypatch.setattr(graph, 'find_spec', lambda name: name)
    monkeypatch.setattr(graph.shutil, 'which', lambda name: name)
    found = processes(use_rviz=True, record=True, namespace='/robot1/', results_dir=str(tmp_path))
    rviz, bag = found['rviz2'].command, found['bag'].command
    assert rviz[:2] == ('rviz2', '-d') and Path(rviz[2]).is_file()
    assert {'__ns:=/robot1', '/tf:=tf', '/clock:=clock'} <= set(rviz)
    assert bag[:5] == ('ros2', 'bag', 'record', '--storage', 'mcap')
    assert {'/robot1/odom', '/robot1/planner/uncertainty', '/robot1/clock', '/diagnostics'} <= set(
        bag[bag.index('--topics') + 1:])
    out_dir = found['maze_benchmark'].parameters['out_dir']
    assert Path(bag[bag.index('--output') + 1]).parent == Path(out_dir)
    assert Path(out_dir).parent == tmp_path
    assert found['bag'].stops_last and next(iter(found)) == 'bag'


def test_without_rosbag2_the_own_recorder_records_and_is_waited_for(monkeypatch, tmp_path):
    monkeypatch.setattr(graph, 'find_spec', lambda name: None)
    found = processes(record=True, results_dir=str(tmp_path))
    assert next(iter(found)) == 'recorder' and found['recorder'].stops_last
    assert Path(found['recorder'].parameters['bag']).parents[1] == tmp_path
    assert found['maze_benchmark'].parameters['wait_for_recorder'] is True
    assert processes()['maze_benchmark'].parameters['wait_for_recorder'] is False


def test_the_kind_of_the_robot_is_one_argument(monkeypatch):
    monkeypatch.setattr(graph, 'find_spec', lambda name: None)
    found = processes(robot='diff_drive', record=True)
    assert {process.parameters['robot'] for process in found.values()} == {'diff_drive'}
    assert len(found) == 5
    assert found['planner'].parameters['checkpoint'] == 'diff_drive'
    assert found['follower'].parameters['lockstep_plan_steps'] == 5  # of 0.05 s
    assert build_graph({'robot': 'diff_drive'}).params_file.name == 'diff_drive.yaml'
    with pytest.raises(ConfigError, match='robot must be one of point, diff_drive'):
        build_graph({'robot': 'boat'})


def test_every_kind_of_robot_is_driven_spoken_for_and_simulated():
    assert set(ROBOTS) == set(LAWS) == set(MESSAGES) == set(SIMULATED)
    for name, kind in ROBOTS.items():
        assert SIMULATED[name].signals == kind.signals
        assert set(kind.executions) <= set(EXECUTIONS)
        command_type = robot_messages(name, MapAxes(kind.signals.observation_to_map)).command_type
        assert command_type.__name__ == COMMANDS[name].kind.rsplit('/', 1)[1]
        assert share_path(kind.params_file).is_file()
        facts = kind.node_parameters()
        follower = FollowerParameters(robot=name, **facts['follower'])
        assert follower.action_limits == kind.signals.action_limits
        assert follower.law == tracking_law(name, kind.signals.action_limits)
        assert PlannerSettings(**facts['planner']) == settings_for(
            name, kind.signals.robot_radius_m)


def test_arguments_have_the_defaults_of_the_parameters_that_they_set():
    by_run = {'lockstep', 'compensate_latency', 'realtime_priority', 'hold_at_goal', 'out_dir'}
    for robot, kind in ROBOTS.items():
        for name, process in processes(robot=robot, checkpoint='mine').items():
            defaults = vars(PARAMETERS[name]())
            of_kind = {'robot': robot, 'checkpoint': 'mine',
                       'lockstep_plan_steps': round(0.25 / kind.signals.dt_s)}
            for parameter, value in process.parameters.items():
                if parameter not in by_run | {'use_sim_time'}:
                    assert value == of_kind.get(parameter, defaults[parameter]), parameter


def test_the_parameters_of_the_differential_drive_are_those_of_its_signals():
    signals, shipped = ROBOTS['diff_drive'].signals, shipped_parameters('diff_drive')
    assert shipped == ROBOTS['diff_drive'].node_parameters()
    follower = shipped['follower']
    assert np.array_equal(np.reshape(follower['observation_to_map'], (2, 2)),
                          signals.observation_to_map)
    assert (follower['max_linear_mps'], follower['max_angular_radps']) == signals.action_limits
    settings = settings_for('diff_drive', signals.robot_radius_m).model_dump()
    assert shipped['planner'].items() <= settings.items()
    assert PlannerSettings(**shipped['planner']).model_dump() == settings


def test_a_simulation_with_obstacles_that_move_has_a_lidar():
    assert 'scan_frequency_hz' not in processes()['maze_sim'].parameters
    parameters = processes(moving_obstacles='3')['maze_sim'].parameters
    assert parameters['moving_obstacles'] == 3 and parameters['scan_frequency_hz'] == 20.0


def test_robots_with_a_namespace_are_kept_apart():
    assert build_graph({}).remappings == ()
    apart = build_graph({'namespace': 'robot1'}).remappings
    assert apart == (('/tf', 'tf'), ('/tf_static', 'tf_static'), ('/clock', 'clock'))
    # Without a simulator of its own, the clock is everybody's.
    assert ('/clock', 'clock') not in build_graph(
        {'namespace': 'robot1', 'use_sim': False}).remappings


@pytest.mark.parametrize('name, value, words', [
    ('maize', 'medium', 'unknown argument maize; did you mean maze?'),
    ('episodes', 'many', 'episodes must be a int'),
    ('episodes', '-1', 'episodes must be at least 0'),
    ('use_sim', 'perhaps', 'use_sim must be a bool'),
    ('lockstep', 'maybe', 'lockstep must be one of auto, true, false'),
    ('real_time_factor', 'nan', 'real_time_factor must be at least 0'),
    ('starts', '/nowhere.npz', 'starts: no file /nowhere.npz'),
    ('params_file', '/nowhere.yaml', 'params_file: no file /nowhere.yaml'),
    ('robot', 'omni', 'no model is shipped for the robot omni: train one .* checkpoint:='),
])
def test_a_wrong_argument_is_named(name, value, words):
    with pytest.raises(ConfigError, match=words):
        build_graph({name: value})


@pytest.mark.parametrize('words, expected', [
    (['robott:=omni', 'maze:=large'], [
        'plan.launch.py has no argument robott; did you mean robot?']),
    (['quux:=1', '--show-args'], ['plan.launch.py has no argument quux']),
    (['maze:=umaze'], []),
])
def test_arguments_that_a_launch_file_does_not_have_are_named(words, expected):
    """``ros2 launch`` drops them; those of a launch file that includes ours are not judged."""
    known = [argument.name for argument in ARGUMENTS]
    for line in (['df_planner', 'plan.launch.py'], ['/a/b/plan.launch.py']):
        assert unknown_arguments(['ros2', 'launch', *line, *words], 'plan.launch.py', known
                                 ) == expected
    line = ['ros2', 'launch', 'mine', 'bringup.launch.py', *words]
    assert unknown_arguments(line, 'plan.launch.py', known) == []


@pytest.mark.parametrize('name', PIECES)
def test_a_piece_has_every_argument_that_changes_it(name, tmp_path):
    piece, file = PIECES[name], tmp_path / 'other.yaml'
    save_map(file, load_maze('umaze').grid)
    own = {'use_benchmark': 'false', 'namespace': 'left'}
    own |= {piece.switch: 'true'} if piece.switch else {}
    others = {p.switch for p in PIECES.values()} - {'use_sim', 'use_rviz'}
    texts = {'maze': 'large', 'checkpoint': 'other'} | dict.fromkeys(
        ('map', 'starts', 'rviz_config_file', 'params_file'), str(file))

    def outcome(**values):
        graph = build_graph(own | values)
        found = tuple(p for p in graph.processes if p.name in piece.processes)
        file_is_read = any(not p.command for p in found)
        return dataclasses.replace(graph, processes=found,
                                   params_file=graph.params_file if file_is_read else None)

    changing = {a.name for a in ARGUMENTS if a.name not in {piece.switch, *others} and outcome()
                != outcome(**{a.name: texts.get(a.name) or another(a)})}
    assert changing <= {*piece.arguments, *COMMON}
    if name == 'sim':
        assert changing >= {'maze', 'map', 'moving_obstacles', 'namespace'}


def another(argument):
    """Return a value of an argument that is not its default."""
    if argument.choice_texts:
        return next(text for text in argument.choice_texts if text != argument.default_text)
    return 'other' if isinstance(argument.default, str) else argument.default + 1


def test_every_argument_is_described_and_its_default_is_valid():
    assert len({argument.name for argument in ARGUMENTS}) == len(ARGUMENTS)
    for argument in ARGUMENTS:
        assert argument.description.endswith('.')
        assert argument.parse(argument.default_text) == argument.default
        assert not argument.choice_texts or argument.default_text in argument.choice_texts


def test_parameters_are_known_to_their_nodes_and_stand_in_one_place():
    shipped = shipped_parameters()
    for name, process in processes().items():
        known = {field.name for field in dataclasses.fields(PARAMETERS[name])}
        by_argument = set(process.parameters)
        assert by_argument <= known | {'use_sim_time'}
        assert set(shipped[name]) <= known
        assert not set(shipped[name]) & by_argument
    assert set(shipped) == set(PARAMETERS)


@pytest.mark.parametrize('namespace', ['', 'robot1'])
def test_a_node_gets_the_file_and_above_it_the_arguments(namespace, tmp_path, ros_context):
    mine = tmp_path / 'mine.yaml'
    mine.write_text('/**/planner:\n  ros__parameters: {num_samples: 5, seed: 1}\n')
    built = build_graph({'params_file': str(mine), 'namespace': namespace, 'seed': 7})
    planner = next(p for p in built.processes if p.name == 'planner')
    files = built.write_parameters(planner, tmp_path)
    node = Node('planner', namespace=built.namespace, context=ros_context, enable_rosout=False,
                cli_args=['--ros-args', *(a for f in files for a in ('--params-file', str(f)))])
    try:
        parameters = declare(node, PlannerParameters)
    finally:
        node.destroy_node()
    assert (parameters.num_samples, parameters.seed) == (5, 7)
    assert parameters.checkpoint == 'point'


@pytest.mark.parametrize('name', PARAMETERS)
def test_the_shipped_parameters_are_the_defaults(name, tmp_path, ros_context):
    node = Node(name, context=ros_context, enable_rosout=False, cli_args=[
        '--ros-args', '--params-file', str(share_path('config/params.yaml'))])
    try:
        assert declare(node, PARAMETERS[name]) == PARAMETERS[name]()
    finally:
        node.destroy_node()
