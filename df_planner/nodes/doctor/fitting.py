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

"""Judge whether model, robot, and the parameters of planner and follower fit each other."""

from collections.abc import Collection
from collections.abc import Iterator
from typing import Any
from typing import TYPE_CHECKING

import numpy as np

from df_planner.nodes.doctor.recording import BAD
from df_planner.nodes.doctor.recording import Finding
from df_planner.nodes.doctor.recording import OK
from df_planner.nodes.doctor.recording import WARN
from df_planner.robots.kinds import ROBOTS

if TYPE_CHECKING:
    from df_planner.model.checkpoint import ModelCard

# Tasks of the diagnostics that stop the robot when they are not OK.
VITAL = ('model', 'inputs', 'following')


def judge_model(card: 'ModelCard | None', error: str, checkpoint: str) -> Iterator[Finding]:
    """Yield whether the model loads, and what it is; ``error`` is why it does not."""
    if card is None:
        yield Finding(BAD, 'model', error)
        return
    yield Finding(OK, 'model', f'{checkpoint}: {card.robot}, a control step is {card.dt_s:g} s')


def judge_parameters(planner: Any, follower: Any, card: 'ModelCard | None', has_simulator: bool
                     ) -> Iterator[Finding]:
    """
    Yield which parameters contradict each other or the card; one OK if none do.

    :param planner: the PlannerParameters, ``follower`` the FollowerParameters.
    :param has_simulator: this package's simulator runs.
    """
    findings = [*_against_each_other(planner, follower)]
    if (planner.lockstep or follower.lockstep) and not has_simulator:
        findings.append(Finding(BAD, 'parameters', 'lockstep is true, but maze_sim does not run: '
                                'only this simulator waits for commands; leave lockstep out'))
    if card is not None:
        findings += _against_card(planner, follower, card)
    yield from findings or [Finding(OK, 'parameters', 'planner, follower and model agree')]


def _against_each_other(planner: Any, follower: Any) -> Iterator[Finding]:
    for name, stops in (('robot', True), ('global_frame_id', True), ('max_force_n', False),
                        ('mass_kg', False), ('occupied_threshold', False)):
        ours, theirs = getattr(planner, name), getattr(follower, name)
        is_used = not name.endswith(('_n', '_kg')) or ROBOTS[planner.robot].takes_forces
        if ours != theirs and is_used:
            yield Finding(BAD if stops else WARN, 'parameters', f'{name} is {ours} for the '
                          f'planner, {theirs} for the follower: set it alike for both')
    if not planner.autostart:
        yield Finding(WARN, 'parameters', 'autostart is false: the planner waits until a '
                      'lifecycle manager configures and activates it')


def _against_card(planner: Any, follower: Any, card: 'ModelCard') -> Iterator[Finding]:
    if not np.isclose(follower.control_period_s, card.dt_s, rtol=1e-6):
        yield Finding(BAD, 'parameters', f'control_period_s of the follower is '
                      f'{follower.control_period_s:g}, the model steps by {card.dt_s:g} s and the '
                      f'follower would refuse its plans: -p control_period_s:={card.dt_s:g}')
    matrix = np.ravel(card.observation_to_map).tolist()
    if list(follower.observation_to_map) != matrix:
        yield Finding(BAD, 'parameters', 'observation_to_map of the follower is '
                      f'{list(follower.observation_to_map)}, that of the model {matrix}: set it '
                      'to that of the model')
    if card.robot == follower.robot and not np.allclose(
            follower.action_limits, card.action_limits):
        yield Finding(WARN, 'parameters', 'the follower limits commands to '
                      f'{list(follower.action_limits)}, the data of the model has '
                      f'{list(card.action_limits)} ({", ".join(card.action_names)}): '
                      'the smaller limits are kept, and the robot may lag behind its plans')
    if planner.robot_radius_m < card.robot_radius_m - 1e-9:
        yield Finding(WARN, 'parameters', f'robot_radius_m is {planner.robot_radius_m:g}, the '
                      f'robot of the data has {card.robot_radius_m:g}: plans pass obstacles '
                      f'nearer; -p robot_radius_m:={card.robot_radius_m:g}')


def judge_given(given: dict[str, Any], running: Any, node: str) -> Iterator[Finding]:
    """Yield which parameters of the arguments a running node does not have."""
    for name, value in given.items():
        theirs = getattr(running, name, None)
        ours = tuple(value) if isinstance(theirs, tuple) else value
        if hasattr(running, name) and theirs != ours:
            yield Finding(WARN, 'parameters', f'{name} is {theirs} in the {node} that runs, not '
                          f'{value} as given here: the running one counts')


def judge_running(state: str, running: Collection[str]) -> Iterator[Finding]:
    """
    Yield what keeps a planner that runs from driving.

    :param state: of its lifecycle.
    :param running: which of ``planner`` and ``follower`` run.
    """
    if state != 'active':
        yield Finding(BAD, 'planner', f'its lifecycle state is {state or "not told"}: only an '
                      'active planner takes goals; configure and activate it, or set autostart')
    if 'follower' not in running:
        yield Finding(WARN, 'follower', 'does not run, the planner does: without it, or a '
                      'controller of your own on plan, nothing moves the robot')


def judge_statuses(statuses: dict[str, tuple[int, str]], node: str) -> Iterator[Finding]:
    """
    Yield what the diagnostics of a running node say.

    :param statuses: level (0 OK, 1 WARN, 2 ERROR) and text, by name.
    :param node: full name of the node.
    """
    what = node.rpartition('/')[2]
    found = {name.partition(': ')[2]: status for name, status in statuses.items()
             if name.partition(': ')[0] == node.lstrip('/')}
    if not found:
        yield Finding(BAD, what, f'{node} runs, but its diagnostics were not heard: does the '
                      'process hang?')
        return
    bad = {task: text for task, (level, text) in found.items() if level}
    for task, text in bad.items():
        level = BAD if task in VITAL or found[task][0] > 1 else WARN
        yield Finding(level, what, f'its diagnostics, {task}: {text}')
    if not bad:
        yield Finding(OK, what, 'runs, and its diagnostics are OK')
