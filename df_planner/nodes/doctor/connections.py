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

"""Judge who sends what the planner needs, and who hears what the follower sends."""

from collections.abc import Iterator
from collections.abc import Sequence
import os

from df_planner.nodes.doctor.recording import BAD
from df_planner.nodes.doctor.recording import Finding
from df_planner.nodes.doctor.recording import OK
from df_planner.nodes.doctor.recording import WARN

# Where the graph knows no name to remap to.
REMEDIES = {
    'odom': 'start the driver of the robot',
    'map': 'start a map server; to do without a map, set collision_check to false',
    'commands': 'start the driver of the base; does the parameter robot name its kind?'}


def _with_remedy(fault: str, what: str) -> str:
    return f'{fault}: {REMEDIES[what]}' if ': ' not in fault and ', but' not in fault else fault


def judge_graph(nodes: Sequence[str]) -> Iterator[Finding]:
    """Yield whether there is anybody to talk to; ``nodes`` are the others by full name."""
    where = (f'ROS_DOMAIN_ID {os.environ.get("ROS_DOMAIN_ID", "0")}, discovery range '
             f'{os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")}')
    if nodes:
        yield Finding(OK, 'graph', f'{len(nodes)} other nodes ({where})')
    else:
        yield Finding(BAD, 'graph', f'no other node ({where}): start the driver of the robot; '
                      'both variables must be the same in every terminal')


def judge_input(what: str, faults: Sequence[str], senders: Sequence[str], heard: int
                ) -> Iterator[Finding]:
    """
    Yield what keeps an input from arriving, or who else sends it; nothing if all is well.

    :param faults: what the graph says is wrong with the topic.
    :param senders: full names of the nodes that publish it.
    :param heard: messages that arrived.
    """
    for fault in faults:
        yield Finding(BAD, what, _with_remedy(fault, what))
    if not heard and not faults:
        yield Finding(BAD, what, f'nothing arrived from {", ".join(senders) or "anybody"}: does '
                      'it publish, and does the network pass messages on?')


def judge_command(name: str, faults: Sequence[str], hearers: Sequence[str],
                  rivals: Sequence[str]) -> Iterator[Finding]:
    """
    Yield whether somebody hears the commands of the follower, and whether it is alone.

    :param name: full name of the topic.
    :param faults: what the graph says is wrong with it.
    :param hearers: full names of the nodes that subscribe to it.
    :param rivals: full names of others that publish it.
    """
    for fault in faults:
        yield Finding(BAD, 'commands', _with_remedy(fault, 'commands'))
    if not faults:
        yield Finding(OK, 'commands', f'{", ".join(hearers)} listens to {name}')
    if rivals:
        yield Finding(WARN, 'commands', f'{", ".join(rivals)} publishes {name} too: end it before '
                      'the planner drives, or put a multiplexer (twist_mux) between')


def judge_others(faults: Sequence[str]) -> Iterator[Finding]:
    """Yield what the graph says is wrong with the other topics of planner and follower."""
    for fault in faults:
        yield Finding(WARN, 'topics', fault)
