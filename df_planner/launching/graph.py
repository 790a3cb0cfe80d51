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

"""
Which processes run, with which parameters: the one description of the graph.

``launch/plan.launch.py`` builds it for ``ros2 launch`` and ``df_planner/launching/runner.py`` for
``df_planner demo``. Both offer ARGUMENTS and start what ``build_graph`` returns. A node gets the
facts of the kind of robot (``robots/kinds.py``), then the parameter file, then what the arguments
say; the last one wins.

Nothing here imports ROS.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from datetime import datetime
from importlib.util import find_spec
import math
import os
from pathlib import Path
import shutil

import yaml

from df_planner.errors import ConfigError
from df_planner.errors import did_you_mean
from df_planner.files import share_path
from df_planner.robots.kinds import DESCRIPTIONS
from df_planner.robots.kinds import EXECUTIONS
from df_planner.robots.kinds import POINT
from df_planner.robots.kinds import ROBOTS
from df_planner.ros.topics import recorded_topics

PACKAGE = 'df_planner'
# Name of the folder of the run of this process; others may start in the same second.
RUN_NAME = f'{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}'

SCAN_HZ = 20.0

Value = bool | int | float | str
Remappings = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Argument:
    """
    An argument of the launch file and an option of the demo.

    :param default: its type is the argument's type.
    :param choices: the only allowed values, if there are so few.
    """

    name: str
    default: Value
    description: str
    choices: tuple[str, ...] = ()
    low: float = -math.inf

    @property
    def default_text(self) -> str:
        """Return the default as it is written on a command line."""
        return str(self.default).lower() if isinstance(self.default, bool) else str(self.default)

    @property
    def choice_texts(self) -> tuple[str, ...]:
        """All allowed values as they are written on a command line, if there are so few."""
        return ('true', 'false') if isinstance(self.default, bool) else self.choices

    def parse(self, value: Value) -> Value:
        """Return a value, given as text or typed, in the type of the default."""
        kind = type(self.default)
        try:
            if kind is bool:
                parsed = {'true': True, 'false': False}[str(value).lower()]
            else:
                parsed = kind(value)
        except (KeyError, ValueError):
            raise ConfigError(f'{self.name} must be a {kind.__name__}, got {value!r}') from None
        if self.choices and parsed not in self.choices:
            raise ConfigError(f'{self.name} must be one of {", ".join(self.choices)}, '
                              f'got {value!r}')
        if kind in (int, float) and not self.low <= parsed < math.inf:
            raise ConfigError(f'{self.name} must be at least {self.low:g}, got {value!r}')
        return parsed


ARGUMENTS = (
    Argument('maze', 'medium', 'Maze by name (umaze, medium, large, eval-umaze, eval-medium, '
             'eval-large, giant), or a YAML file.'),
    Argument('map', '', 'YAML file of a map, as map_server of Nav2 reads it, to drive on instead '
             'of a maze.'),
    Argument('robot', POINT.name, f'Kind of the robot: {DESCRIPTIONS}.', tuple(ROBOTS)),
    Argument('checkpoint', '', 'Model by name, or a .safetensors file; if empty, '
             'that of the kind of the robot: point or diff_drive.'),
    Argument('device', 'cpu', 'Where the network runs.', ('auto', 'cpu', 'cuda')),
    Argument('episodes', 5, 'Episodes of the benchmark; 0 takes all of starts.', low=0),
    Argument('seed', 0, 'Seed of the starts and of the plans.', low=0),
    Argument('starts', '', 'NPZ file of starts and goals (arrays state and goal), instead of '
             'drawing them with the seed.'),
    Argument('execution', 'tracking', 'Play the planned actions as they are (raw), follow the '
             'planned states with feedback (tracking), or follow the planned way as fast as the '
             'robot can (time_optimal).', EXECUTIONS),
    Argument('planning_frequency_hz', 4.0, 'Plans per second of the time of the odometry.',
             low=0.1),
    Argument('lockstep', 'auto', 'The simulator waits for every command, so that the speed of the '
             'computer does not matter; auto: if there is a benchmark.',
             ('auto', 'true', 'false')),
    Argument('real_time_factor', 1.0, 'Speed of the simulation, 0 is as fast as possible; not '
             'used in lockstep.', low=0.0),
    Argument('moving_obstacles', 0, 'Discs and boxes that wander about in the simulation; it then '
             'has a lidar and publishes a local costmap, too.', low=0),
    Argument('use_sim', True, 'Start the simulator.'),
    Argument('use_planner', True, 'Start the planner.'),
    Argument('use_follower', True, 'Start the follower.'),
    Argument('use_benchmark', True, 'Start the benchmark; when it ends, all ends. Without it, '
             'publish goals on goal_pose.'),
    Argument('use_rviz', False, 'Start RViz.'),
    Argument('rviz_config_file', '', 'Configuration of RViz; if empty, config/df_planner.rviz.'),
    Argument('record', False, 'Record what matters into an MCAP bag in the folder of the run, '
             'with ros2 bag where there is one; `df_planner report` reads it.'),
    Argument('results_dir', 'results', 'Where the benchmark makes a folder per run.'),
    Argument('params_file', '', 'Parameter file; if empty, that of the kind of the robot in '
             'config. What an argument sets is not read from it.'),
    Argument('namespace', '', 'Namespace of all nodes.'),
    Argument('log_level', 'info', 'Log level of all nodes.',
             ('debug', 'info', 'warn', 'error', 'fatal')),
    Argument('autostart', True, 'Configure and activate the planner at start-up.'),
    Argument('use_sim_time', True, 'Take the time from /clock.'),
)


@dataclass(frozen=True)
class Process:
    """
    A node of this package, or with a ``command`` another program.

    :param name: name of the node, of its executable and of its folder in df_planner.nodes.
    :param parameters: what the arguments say, above the parameter file.
    :param facts: what the kind of the robot says, below the parameter file.
    :param ends_run: when this process ends, all end, with its exit code.
    :param stops_last: it is stopped after the others have ended, to record their last messages.
    """

    name: str
    parameters: dict[str, Value] = field(default_factory=dict)
    facts: dict[str, Value | list] = field(default_factory=dict)
    command: tuple[str, ...] = ()
    ends_run: bool = False
    stops_last: bool = False


@dataclass(frozen=True)
class Graph:
    """
    All processes of a run and what they have in common.

    :param remappings: names and what they become, for every node.
    """

    processes: tuple[Process, ...]
    params_file: Path
    namespace: str
    log_level: str
    remappings: Remappings = ()

    def write_parameters(self, process: Process, folder: Path) -> list[Path]:
        """
        Return the parameter files of a process, the one that wins last.

        What the arguments say is written to a file too: ``-p name:=value`` would lose against a
        node's own section of the parameter file.
        """
        files = {}
        for title, values in (('facts', process.facts), ('arguments', process.parameters)):
            files[title] = folder / f'{process.name}-{title}.yaml'
            files[title].write_text(yaml.safe_dump(
                {f'/**/{process.name}': {'ros__parameters': values}}), encoding='utf-8')
        return [files['facts'], self.params_file, files['arguments']]


def build_graph(values: Mapping[str, Value]) -> Graph:
    """
    Return the graph for arguments by name; those left out have their defaults.

    :raises ConfigError: naming the argument that is unknown or does not fit, or the map.
    """
    known = [argument.name for argument in ARGUMENTS]
    for name in values:
        if name not in known:
            raise ConfigError(f'unknown argument {name}' + did_you_mean(name, known))
    a = {argument.name: argument.parse(values.get(argument.name, argument.default))
         for argument in ARGUMENTS}
    if a['map']:
        from df_planner.sim.map_place import MapPlace  # scipy, only for those who need it
        MapPlace.load(a['map'])  # a bad one is an error here, not in a process
        a['maze'] = a['map']
    a['checkpoint'] = a['checkpoint'] or _shipped_model(a['robot'])
    a['lockstep'] = a['use_benchmark'] if a['lockstep'] == 'auto' else a['lockstep'] == 'true'
    for name in ('starts', 'params_file', 'rviz_config_file'):
        if a[name] and not Path(a[name]).is_file():
            raise ConfigError(f'{name}: no file {a[name]}')
    namespace = a['namespace'].strip('/')
    # Keep robots apart: their transforms, and the clock if each has a simulator.
    own = ('tf', 'tf_static', *(['clock'] if a['use_sim'] else [])) if namespace else ()
    remappings = tuple((f'/{name}', name) for name in own)
    return Graph(tuple(_processes(a, namespace, remappings)),
                 Path(a['params_file'] or share_path(ROBOTS[a['robot']].params_file)).absolute(),
                 namespace, a['log_level'], remappings)


def _shipped_model(robot: str) -> str:
    """Return the name of the model that is shipped for a robot; ConfigError without one."""
    try:
        return share_path(f'checkpoints/{robot}.safetensors').stem
    except FileNotFoundError:
        raise ConfigError(f'no model is shipped for the robot {robot}: train one (`df_planner '
                          'train --help`) and name it with checkpoint:=') from None


def unknown_arguments(words: Sequence[str], file: str, known: Sequence[str]) -> list[str]:
    """
    Return in words the arguments that a launch file, started by itself, does not have.

    ``ros2 launch`` drops them without a word. A launch file that is included by another may find
    that one's arguments, too.

    :param words: the command line.
    """
    found = [index for index, word in enumerate(words) if Path(word).name == file]
    given = [word.partition(':=')[0] for index in found[:1] for word in words[index + 1:]
             if ':=' in word]
    return [f'{file} has no argument {name}' + did_you_mean(name, known) for name in given
            if name not in known]


def _processes(a: Mapping[str, Value], namespace: str, remappings: Remappings) -> list[Process]:
    clock, kind = {'use_sim_time': a['use_sim_time']}, ROBOTS[a['robot']]
    facts = kind.node_parameters()
    maze = ({'maze_file': str(Path(a['maze']).absolute())} if Path(a['maze']).is_file()
            else {'maze': a['maze']})
    run_folder = Path(a['results_dir']).absolute() / f'{Path(a["maze"]).stem}-{RUN_NAME}'
    processes = []
    if a['record']:  # first, to hear it all
        processes.append(_recorder(run_folder / 'bag', a['robot'], namespace, remappings))
    if a['use_sim']:
        processes.append(Process('maze_sim', {
            **maze, 'robot': a['robot'], 'seed': a['seed'], 'lockstep': a['lockstep'],
            'real_time_factor': a['real_time_factor'], 'moving_obstacles': a['moving_obstacles'],
            **({'scan_frequency_hz': SCAN_HZ} if a['moving_obstacles'] else {})}))
    if a['use_planner']:
        processes.append(Process('planner', {
            **clock, 'robot': a['robot'], 'checkpoint': _absolute(a['checkpoint']),
            'device': a['device'], 'seed': a['seed'], 'autostart': a['autostart'],
            'planning_frequency_hz': a['planning_frequency_hz'], 'lockstep': a['lockstep'],
            'compensate_latency': not a['lockstep'] and a['execution'] != 'time_optimal',
            **({'realtime_priority': 0} if a['lockstep'] else {}),
            'hold_at_goal': a['execution'] != 'raw'}, facts['planner']))
    if a['use_follower']:
        processes.append(Process('follower', {
            **clock, 'robot': a['robot'], 'execution': a['execution'], 'lockstep': a['lockstep'],
            'lockstep_plan_steps': max(1, round(
                1.0 / (a['planning_frequency_hz'] * kind.signals.dt_s)))}, facts['follower']))
    if a['use_rviz']:
        config = _absolute(a['rviz_config_file']) or str(share_path('config/df_planner.rviz'))
        remap = [f'__ns:=/{namespace}'] if namespace else []
        remap += [f'{old}:={new}' for old, new in remappings]
        processes.append(Process('rviz2', command=(
            'rviz2', '-d', config, '--ros-args', '-p',
            f'use_sim_time:={str(a["use_sim_time"]).lower()}',
            *(word for rule in remap for word in ('-r', rule)))))
    if a['use_benchmark']:
        processes.append(Process('maze_benchmark', {
            **clock, 'maze': _absolute(a['maze']), 'robot': a['robot'],
            'episodes': a['episodes'], 'seed': a['seed'],
            'starts': _absolute(a['starts']), 'out_dir': str(run_folder),
            'wait_for_recorder': any(process.name == 'recorder' for process in processes)},
            ends_run=True))
    return processes


def _recorder(bag: Path, robot: str, namespace: str, remappings: Remappings) -> Process:
    """Return rosbag2 as a process where it is installed, else this package's recorder."""
    if find_spec('ros2bag') is None or shutil.which('ros2') is None:
        return Process('recorder', {'bag': str(bag), 'robot': robot}, stops_last=True)
    topics = [topic.resolved(namespace, dict(remappings)) for topic in recorded_topics(robot)]
    return Process('bag', command=(
        'ros2', 'bag', 'record', '--storage', 'mcap', '--output', str(bag), '--topics', *topics),
        stops_last=True)


def _absolute(path: str) -> str:
    """Return an existing file or a folder as an absolute path, a name as it is."""
    return str(Path(path).absolute()) if path and Path(path).exists() else path
