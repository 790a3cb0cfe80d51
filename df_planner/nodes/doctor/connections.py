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
from difflib import SequenceMatcher
import os

from df_planner.nodes.doctor.recording import BAD
from df_planner.nodes.doctor.recording import Endpoint
from df_planner.nodes.doctor.recording import Finding
from df_planner.nodes.doctor.recording import Graph
from df_planner.nodes.doctor.recording import OK
from df_planner.nodes.doctor.recording import WARN
from df_planner.ros.topics import CMD_VEL
from df_planner.ros.topics import Topic


def judge_graph(graph: Graph) -> Iterator[Finding]:
    """Yield whether there is anybody to talk to."""
    where = (f'ROS_DOMAIN_ID {os.environ.get("ROS_DOMAIN_ID", "0")}, discovery range '
             f'{os.environ.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")}')
    if graph.nodes or any(graph.publishers.values()):
        yield Finding(OK, 'graph', f'{len(graph.nodes)} nodes ({where})')
    else:
        yield Finding(BAD, 'graph', f'no other node ({where}): start the driver of the robot; '
                      'both variables must be the same in every terminal')


def judge_source(graph: Graph, topic: Topic, name: str, heard: int) -> Iterator[Finding]:
    """
    Yield what keeps an input from arriving, or who else sends it; nothing if all is well.

    :param name: full name of the topic.
    :param heard: messages that arrived.
    """
    for fault in graph.faults.get(name, ()):
        yield Finding(BAD, topic.name, fault)
    senders = [end for end in graph.publishers.get(name, ()) if end.kind == topic.kind]
    if len(senders) > 1:
        yield Finding(BAD, topic.name, f'{len(senders)} publishers on {name} '
                      f'({_names(senders)}): leave one, or remap {topic.name} to the right one')
    if heard or graph.faults.get(name):
        return
    if not senders:
        others = [end for end in graph.publishers.get(name, ()) if end.kind != topic.kind]
        text = (f'{_names(others)} publishes {others[0].kind} on {name}' if others
                else f'nobody publishes {name}')
        yield Finding(BAD, topic.name, f'{text}; the planner needs {topic.kind}: '
                      + _elsewhere(graph.publishers, topic.kind, topic.name, name))
    else:
        yield Finding(BAD, topic.name, f'nothing arrived from {_names(senders)}, which publishes '
                      f'{name}: is the driver running, and does the network pass messages on? '
                      + _elsewhere(graph.publishers, topic.kind, topic.name, name))


def judge_command(graph: Graph, topic: Topic, name: str, follower: str) -> Iterator[Finding]:
    """
    Yield whether somebody hears the commands of the follower, and whether it is alone.

    :param topic: with the type that the follower sends.
    :param name: full name of the topic, ``follower`` that of the node.
    """
    what, faults = 'commands', graph.faults.get(name, ())
    for fault in faults:
        yield Finding(BAD, what, fault)
    hearers = [end for end in graph.subscribers.get(name, ()) if end.kind == topic.kind]
    others = [end for end in graph.subscribers.get(name, ()) if end.kind != topic.kind]
    if not hearers and others and not faults:
        kinds = {end.kind for end in others}
        remedy = (f'start the follower with -p enable_stamped_cmd_vel:={_other_flag(topic)}'
                  if topic.headless and kinds & {topic.headless, CMD_VEL.kind} else
                  'another kind of robot? see the parameter robot')
        yield Finding(BAD, what, f'{_names(others)} hears {", ".join(sorted(kinds))} on {name}, '
                      f'but the follower sends {topic.kind}: {remedy}')
    elif not hearers and not faults:
        yield Finding(BAD, what, f'nobody hears {name}: start the driver of the base; '
                      + _elsewhere(graph.subscribers, topic.kind, topic.name, name))
    elif hearers:
        yield Finding(OK, what, f'{_names(hearers)} hears {topic.kind} on {name}')
    rivals = [end for end in graph.publishers.get(name, ()) if end.node != follower]
    if rivals:
        yield Finding(WARN, what, f'{_names(rivals)} publishes {name} too: end it before the '
                      'planner drives, or put a multiplexer (twist_mux) between')


def _other_flag(topic: Topic) -> str:
    return str(topic.kind == topic.headless).lower()


def _names(ends: list[Endpoint]) -> str:
    return ', '.join(dict.fromkeys(end.node for end in ends))


def _elsewhere(ends: dict[str, tuple[Endpoint, ...]], kind: str, row: str, name: str) -> str:
    """Return where the same type is found, the nearest name first, and how to get there."""
    found = [other for other, those in ends.items()
             if other != name and any(end.kind == kind for end in those)]
    if not found:
        return f'no other topic has that type ({kind})'
    found.sort(key=lambda other: (not other.endswith(f'/{row}'),
                                  -SequenceMatcher(None, other, name).ratio()))
    nearest = found[0]
    remap = f'-r {row}:={nearest}'
    space = nearest.removesuffix(f'/{row}')
    if space != nearest and space:
        remap = f'-r __ns:={space} (or {remap})'
    return f'{nearest} has that type: start planner and follower with {remap}'
