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

"""The examination: start to listen, wait, judge in the order in which a person would debug."""

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import replace
import time
from typing import TYPE_CHECKING

import numpy as np

from df_planner.errors import DFPlannerError
from df_planner.errors import StartOccupied
from df_planner.errors import StartOutsideMap
from df_planner.nodes.doctor.axes import judge_axes
from df_planner.nodes.doctor.connections import judge_command
from df_planner.nodes.doctor.connections import judge_graph
from df_planner.nodes.doctor.connections import judge_input
from df_planner.nodes.doctor.connections import judge_others
from df_planner.nodes.doctor.fitting import judge_given
from df_planner.nodes.doctor.fitting import judge_model
from df_planner.nodes.doctor.fitting import judge_parameters
from df_planner.nodes.doctor.fitting import judge_running
from df_planner.nodes.doctor.fitting import judge_statuses
from df_planner.nodes.doctor.listener import Listener
from df_planner.nodes.doctor.odometry import judge_odometry
from df_planner.nodes.doctor.recording import BAD
from df_planner.nodes.doctor.recording import Finding
from df_planner.nodes.doctor.recording import OK
from df_planner.nodes.doctor.recording import Recording
from df_planner.nodes.doctor.recording import Wanted
from df_planner.nodes.doctor.recording import WARN
from df_planner.nodes.doctor.started import as_started
from df_planner.nodes.doctor.started import Started
from df_planner.nodes.doctor.started import unused_by_both
from df_planner.nodes.doctor.started import with_facts
from df_planner.nodes.doctor.surroundings import judge_clock
from df_planner.nodes.doctor.surroundings import judge_map
from df_planner.nodes.planner.model_swap import load_planner
from df_planner.nodes.planner.transforms import MapFrame
from df_planner.nodes.planner.transforms import tf_buffer
from df_planner.planning.request import refuse_blocked
from df_planner.ros import topics
from df_planner.ros.conversions import MapAxes
from df_planner.ros.qos import profile
from df_planner.ros.robots.kinds import robot_messages
from df_planner.ros.run import IsStopped
from df_planner.ros.run import run_node
from df_planner.ros.wiring import Endpoint
from df_planner.ros.wiring import faults

if TYPE_CHECKING:
    from df_planner.model.checkpoint import ModelCard

DISCOVERY_S = 5.0  # at most, until another node is found
SIM_TIME = 'use_sim_time'
LOOK_S = 0.5  # how often nodes that run are looked for

Progress = Callable[[str], None]


def examine(ros_args: Sequence[str], seconds: float, checkpoint: str | None, robot: str | None,
            progress: Progress) -> list[Finding]:
    """
    Listen beside a robot and return what was found.

    :param ros_args: those of the nodes, beginning with ``--ros-args``; may be empty.
    :param checkpoint: in place of the parameter; ``robot`` likewise.
    :param progress: called with a line on what goes on.
    :raises ConfigError: for arguments that the nodes would refuse.
    """
    planner, follower = as_started(ros_args)
    examination = Examination(planner, follower, checkpoint, robot, progress)
    findings: list[Finding] = []
    run_node(Listener, list(ros_args), lambda node, is_stopped: findings.extend(
        examination.run(node, seconds, is_stopped)))
    return findings


class Examination:
    """
    The planner and the follower that run, or as they would start, and what is heard beside them.

    :ivar running: whether they run, by ``planner`` and ``follower``.
    """

    def __init__(self, planner: Started, follower: Started, checkpoint: str | None,
                 robot: str | None, progress: Progress):
        self.planner, self.follower = planner, follower
        self.running: set[str] = set()
        self._checkpoint, self._robot, self._progress = checkpoint, robot, progress
        self._given: list[Finding] = []
        self._card: 'ModelCard | None' = None
        self._model_error = ''

    def run(self, node: Listener, seconds: float, is_stopped: IsStopped) -> list[Finding]:
        """Listen for some time, or until a signal arrives, and judge."""
        self._progress('looking for nodes')
        transforms = MapFrame(node, self._frames, tf_buffer(node))
        self._follow(node)
        node.spin(DISCOVERY_S, lambda: is_stopped() or bool(node.others()))
        began_s = time.time()
        due_s = time.monotonic() + seconds
        while not is_stopped() and (left_s := due_s - time.monotonic()) > 0.0:
            self._progress(f'listening: {left_s:.0f} s to go, '
                           f'{node.count(self.planner.names[topics.ODOM.name])} odometry')
            node.spin(min(LOOK_S, left_s), is_stopped)
            self._follow(node)
        ended_s = time.time()
        self._progress('looking at parameters and model')
        self._take_parameters(node)
        self._load_model()
        findings = [*self._judge(node, began_s, ended_s, transforms)]
        transforms.close()
        return findings

    def _follow(self, node: Listener) -> None:
        """Listen to what the planner hears: where it would, or where the one that runs does."""
        nodes = node.others()
        for name in ('planner', 'follower'):
            started: Started = getattr(self, name)
            if started.name in nodes:
                self.running.add(name)
                setattr(self, name, replace(
                    started, names=node.names_of(started.name, started.names)))
        node.listen(*(self.planner.names[topic.name] for topic in (topics.ODOM, topics.MAP)))

    def _frames(self) -> tuple[str, ...]:
        p = self.planner.parameters
        return p.global_frame_id, *p.equivalent_frame_ids

    def _take_parameters(self, node: Listener) -> None:
        """Take the parameters of the nodes that run; for the others, the options."""
        options = {name: value for name, value in (
            ('checkpoint', self._checkpoint), ('robot', self._robot)) if value}
        self._given += [Finding(WARN if self.running else BAD, 'parameters', text)
                        for text in unused_by_both(self.planner, self.follower)]
        for name in ('planner', 'follower'):
            started: Started = getattr(self, name)
            if name not in self.running:
                setattr(self, name, started.with_values(options))
                continue
            values = node.parameters_of(started.name, [*started.parameter_names, SIM_TIME])
            if not values:
                self._given.append(Finding(BAD, name, f'{started.name} runs, but does not answer '
                                           'for its parameters: does it hang?'))
            else:
                given = {**started.given, **options}
                started = replace(started.with_values(values), use_sim_time=values[SIM_TIME])
                self._given += judge_given(given, started.parameters, name)
                setattr(self, name, started)
        if 'planner' in self.running:
            self._given += judge_running(node.state_of(self.planner.name), self.running)

    def _load_model(self) -> None:
        """Load the model as the planner would; only its card if the planner runs."""
        from df_planner.model.checkpoint import load_card  # torch takes seconds
        try:
            card = load_card(self.planner.parameters.checkpoint)
            kind = self.planner.parameters.robot
            if self._checkpoint and not self._robot and 'planner' not in self.running:
                kind = card.robot or kind
            for name in {'planner', 'follower'} - self.running:
                setattr(self, name, with_facts(getattr(self, name), kind))
            if 'planner' not in self.running:
                load_planner(self.planner.parameters)
            self._card = card
        except DFPlannerError as error:
            self._model_error = f'{error.code}: {error}'

    def _judge(self, node: Listener, began_s: float, ended_s: float, transforms: MapFrame
               ) -> Iterator[Finding]:
        p, f, card = self.planner.parameters, self.follower.parameters, self._card
        nodes = node.others()
        odom, map_name = (self.planner.names[topic.name] for topic in (topics.ODOM, topics.MAP))
        axes = MapAxes(f.observation_to_map if card is None else card.observation_to_map)
        robot = robot_messages(p.robot, axes, p.max_force_n, p.mass_kg)
        heard = Recording(
            began_s, ended_s,
            node.odometry_log(odom, {
                'planner': (robot, self._frames()),
                'follower': (robot, (f.odom_frame_id, f.global_frame_id))}),
            node.clock_log(),
            node.map_log(map_name, robot, p.global_frame_id, p.occupied_threshold))
        wanted = Wanted(
            f.control_period_s if card is None else card.dt_s,
            min(p.odom_timeout_s, f.odom_timeout_s),
            np.inf if card is None else
            max(card.statistics.max_speed) * p.dynamics_tolerance,
            p.robot_radius_m - p.collision_tolerance_m, p.collision_check,
            self.planner.use_sim_time, p.lockstep)
        yield from judge_graph(nodes)
        yield from judge_model(card, self._model_error, p.checkpoint)
        yield from self._given
        yield from judge_parameters(p, f, card, any(
            name.endswith('/maze_sim') for name in nodes))
        yield from judge_clock(heard, wanted)
        yield from judge_input('odom', self._faults(node, topics.ODOM, True),
                               node.publishers(odom), len(heard.odometry))
        if len(heard.odometry):
            yield from judge_odometry(heard, wanted)
            yield from _judge_frames(transforms, heard.odometry.frames[-1][0], p.global_frame_id)
            yield from judge_axes(heard.odometry, wanted)
        if wanted.needs_map or heard.newest_map is not None:
            yield from judge_input('map', self._faults(node, topics.MAP, True),
                                   node.publishers(map_name), node.count(map_name))
        yield from judge_map(heard, wanted, *_start(heard, axes))
        command = topics.COMMANDS[f.robot].stamped(f.enable_stamped_cmd_vel)
        name = self.follower.names[command.name]
        yield from judge_command(
            name, self._faults(node, command, True), node.subscribers(name),
            [other for other in node.publishers(name) if other != self.follower.name])
        vital = topics.ODOM, topics.MAP, *topics.COMMANDS.values()
        yield from judge_others([fault for topic in topics.TOPICS if topic not in vital
                                 for fault in self._faults(node, topic, False)])
        levels = {name: (status.level[0], status.message)
                  for name, status in node.statuses.items()}
        for name in sorted(self.running, reverse=True):
            yield from judge_statuses(levels, getattr(self, name).name)

    def _faults(self, node: Listener, topic: topics.Topic, is_vital: bool) -> list[str]:
        """Return what the graph says is wrong with a topic of planner and follower."""
        ends = []
        for short, started in (('planner', self.planner), ('follower', self.follower)):
            name = started.names[topic.name]
            if short in topic.subscribers:
                ends.append(Endpoint(short, name, topic.kind,
                                     profile(topic.heard or topic.quality), True))
            if short in topic.publishers:
                ends.append(Endpoint(short, name, topic.kind, profile(topic.quality), False))
        names = {end.topic for end in ends} if is_vital else set()
        is_sent = any(not end.is_input for end in ends)
        found = faults(node, ends, set() if is_sent else names, [names] if is_sent else [])
        return [fault.text for fault in found]


def _judge_frames(frames: MapFrame, frame_id: str, map_frame: str) -> Iterator[Finding]:
    try:
        frames.check_same(frame_id)
    except DFPlannerError as error:
        yield Finding(BAD, 'frames', str(error))
    else:
        how = '' if frames.has_transforms else '; tf2_ros is not installed, so not compared'
        yield Finding(OK, 'frames', f'odometry is in the map {map_frame!r}' if (
            frame_id == map_frame) else f'{frame_id!r} is taken to equal {map_frame!r}{how}')


def _start(heard: Recording, axes: MapAxes) -> tuple[np.ndarray | None, str]:
    """Return where the robot is, in the axes of the data, and why no plan could begin there."""
    log, found = heard.odometry, heard.newest_map
    if not len(log) or found is None or found.grid is None or (
            not np.isfinite(log.positions[-1]).all()):
        return None, ''
    start = axes.to_observation(log.positions[-1])
    try:
        refuse_blocked(start, found.grid, 'start', StartOutsideMap, StartOccupied)
    except DFPlannerError as error:
        return start, f'{error.code}: {error.told_in(axes.to_map)}'
    return start, ''
