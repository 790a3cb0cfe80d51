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
Whether the topics of a node are connected: who sends and who listens, with which type and QoS.

Between two types, or two QoS that do not fit, DDS carries nothing and says nothing. The ROS graph
knows; ``faults`` asks it about any inputs and outputs, ``Wiring`` once a second about a node's.
"""

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Sequence
from dataclasses import dataclass
import math
import time

from rclpy.clock import Clock
from rclpy.clock import ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from rclpy.topic_endpoint_info import TopicEndpointInfo

from df_planner.errors import some_of
from df_planner.ros import topics
from df_planner.ros.diagnostics import ERROR
from df_planner.ros.diagnostics import OK
from df_planner.ros.diagnostics import Status
from df_planner.ros.diagnostics import WARN

PERIOD_S = 1.0
PATIENCE_S = 5.0  # nodes need that long to find each other; a type or a QoS does not change
BYSTANDERS = ('recorder', 'rosbag2_recorder', 'maze_benchmark')  # listen, but drive no robot
BEST_EFFORT, RELIABLE = ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE
VOLATILE, TRANSIENT_LOCAL = DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL
STAMPED = 'enable_stamped_cmd_vel'


@dataclass(frozen=True)
class Endpoint:
    """
    An input or an output.

    :param topic: its name from the root, remappings applied.
    :param kind: type, as ``ros2 topic info`` prints it.
    :param owner: name of its node, in words to the user.
    """

    owner: str
    topic: str
    kind: str
    profile: QoSProfile
    is_input: bool


@dataclass(frozen=True)
class Fault:
    """
    What is wrong with a topic, and what to do about it.

    :param level: WARN, or ERROR if the node cannot do its work.
    :param patience_s: how long it may last before it is worth a line in the log.
    """

    level: bytes
    text: str
    patience_s: float = 0.0


def endpoints_of(node: Node) -> list[Endpoint]:
    """Return the inputs and outputs of a node that ``topics.TOPICS`` lists."""
    inputs = {node.resolve_topic_name(topic.subscriber_name) for topic in topics.TOPICS}
    outputs = {node.resolve_topic_name(topic.publisher_name) for topic in topics.TOPICS}
    owner = node.get_name()
    return [
        *(Endpoint(owner, s.topic_name, _kind(s.msg_type), s.qos_profile, True)
          for s in node.subscriptions if s.topic_name in inputs),
        *(Endpoint(owner, p.topic_name, _kind(p.msg_type), p.qos_profile, False)
          for p in node.publishers if p.topic_name in outputs)]


def faults(node: Node, endpoints: Sequence[Endpoint], inputs: Collection[str],
           outputs: Sequence[Collection[str]]) -> list[Fault]:
    """
    Return what is wrong with inputs and outputs, the worst first, as far as others are discovered.

    :param node: asks the graph.
    :param inputs: topics that somebody must send, names from the root.
    :param outputs: of each of these groups, somebody must listen to one topic at least.
    """
    needed = {*inputs, *(topic for group in outputs for topic in group)}
    found: list[Fault] = []
    unheard: set[str] = set()
    for topic, is_input in dict.fromkeys((e.topic, e.is_input) for e in endpoints):
        ours = [e for e in endpoints if (e.topic, e.is_input) == (topic, is_input)]
        others = _others(node, topic, is_input)
        fitting = []
        for other in others:
            text = _misfit(ours, other)
            if text:
                is_vital = topic in needed and not _is_bystander(other)
                found.append(Fault(ERROR if is_vital else WARN, f'{topic}: {text}'))
            else:
                fitting.append(other)
        if is_input and topic in inputs:
            senders = sorted({_name(other) for other in fitting})
            if len(senders) > 1:
                found.append(Fault(WARN, f'{topic}: {some_of(senders)} all send it; keep one',
                                   PATIENCE_S))
            elif not others:
                found.append(_unsent(node, ours[0]))
        elif not is_input and all(_is_bystander(other) for other in others):
            unheard.add(topic)
    for group in outputs:
        ours = [e for e in endpoints if e.topic in group and not e.is_input]
        if ours and all(e.topic in unheard for e in ours):
            found.append(_unheard(node, ours))
    return sorted(found, key=lambda fault: fault.level, reverse=True)


class Wiring:
    """
    Look at the topics of a node once a second; log every fault once.

    :param inputs: topics that somebody must send.
    :param outputs: returns groups of topics; somebody must listen to one of each.
    """

    def __init__(self, node: Node, inputs: Sequence[topics.Topic] = (),
                 outputs: Callable[[], Sequence[Sequence[topics.Topic]]] = lambda: ()):
        self._node, self._outputs = node, outputs
        self._inputs = {node.resolve_topic_name(topic.subscriber_name) for topic in inputs}
        self._since_s: dict[str, float] = {}
        self._logged: set[str] = set()
        self._faults: list[Fault] = []
        node.create_timer(PERIOD_S, self._look, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def status(self) -> Status:
        """Return the faults as last seen."""
        if not self._faults:
            return Status(OK, 'all topics are connected')
        return Status(self._faults[0].level, '; '.join(fault.text for fault in self._faults))

    def _look(self) -> None:
        node, now_s = self._node, time.monotonic()
        outputs = [{node.resolve_topic_name(topic.publisher_name) for topic in group}
                   for group in self._outputs()]
        self._faults = faults(node, endpoints_of(node), self._inputs, outputs)
        self._since_s = {fault.text: self._since_s.get(fault.text, now_s)
                         for fault in self._faults}
        for fault in self._faults:
            lasted_s = now_s - self._since_s[fault.text]
            if fault.text not in self._logged and lasted_s >= fault.patience_s:
                self._logged.add(fault.text)
                node.get_logger().warning(fault.text)


def _others(node: Node, topic: str, is_input: bool) -> list[TopicEndpointInfo]:
    """Return who sends an input, or who listens to an output."""
    ask = node.get_publishers_info_by_topic if is_input else node.get_subscriptions_info_by_topic
    return [info for info in ask(topic) if _name(info) != node.get_fully_qualified_name()]


def _is_bystander(other: TopicEndpointInfo) -> bool:
    """Tell whether a node only looks on: a recorder, a benchmark, a command-line tool."""
    return other.node_name.startswith('_ros2cli') or other.node_name in BYSTANDERS


def _misfit(ours: Sequence[Endpoint], other: TopicEndpointInfo) -> str:
    """Return why nothing is carried between endpoints of one topic; empty if something is."""
    same = [e for e in ours if e.kind == other.topic_type]
    if not same:
        return _between(ours[0], other, *_short(ours[0].kind, other.topic_type),
                        _remedy(ours[0], other))
    for e in same:
        sent, heard = e.profile, other.qos_profile
        if e.is_input:
            sent, heard = heard, sent
        ways = _unfit(sent, heard)
        if ways is None:
            return ''
    ours_is, theirs_is = reversed(ways) if e.is_input else ways
    return _between(e, other, ours_is, theirs_is, f'have {_name(other)} use {ours_is}')


def _unfit(sent: QoSProfile, heard: QoSProfile) -> tuple[str, str] | None:
    """Return in words what is offered and what is wanted, where that is more; else None."""
    if (sent.reliability, heard.reliability) == (BEST_EFFORT, RELIABLE):
        return 'best effort', 'reliable'
    if (sent.durability, heard.durability) == (VOLATILE, TRANSIENT_LOCAL):
        return 'volatile', 'transient local'
    return None


def _between(ours: Endpoint, other: TopicEndpointInfo, our_way: str, their_way: str,
             remedy: str) -> str:
    sends, listens = (ours.owner, our_way), (_name(other), their_way)
    if ours.is_input:
        sends, listens = listens, sends
    return f'{sends[0]} sends {sends[1]}, but {listens[0]} listens to {listens[1]}: {remedy}'


def _remedy(ours: Endpoint, other: TopicEndpointInfo) -> str:
    """Return what to do about two types."""
    for row in topics.COMMANDS.values():
        if {ours.kind, other.topic_type} == {row.kind, row.headless}:
            is_ours = ours.owner in (*row.publishers, *row.subscribers)
            value = (other.topic_type if is_ours else ours.kind) == row.kind
            of = '' if is_ours else f' for {_name(other)}'
            return f'set {STAMPED}:={str(value).lower()}{of}'
    return 'remap one of the two'


def _unsent(node: Node, ours: Endpoint) -> Fault:
    """Return that nobody sends an input, and which topics of its type there are."""
    found = [name for name, kinds in node.get_topic_names_and_types()
             if ours.kind in kinds and name != ours.topic and _others(node, name, True)]
    text = f'nobody sends {ours.topic} ({ours.kind})'
    if not found:
        return Fault(WARN, text, math.inf)
    return Fault(WARN, f'{text}, but there is {some_of(found)} of that type: remap '
                 f'{ours.topic}:={found[0]} if that is it', PATIENCE_S)


def _unheard(node: Node, ours: Sequence[Endpoint]) -> Fault:
    """Return that nobody listens to an output, and which topics a robot might listen to."""
    text = f'nobody listens to {" or ".join(f"{e.topic} ({e.kind})" for e in ours)}'
    names = {e.topic for e in ours}
    commands = {node.resolve_topic_name(row.publisher_name) for row in topics.COMMANDS.values()}
    if names & commands:
        for name in commands - names:
            for other in _others(node, name, False):
                if not _is_bystander(other):
                    return Fault(WARN, f'{text}, but {_name(other)} listens to {name}: does the '
                                 'parameter robot name its kind?', PATIENCE_S)
    kinds = {e.kind for e in ours}
    for name, found in node.get_topic_names_and_types():
        if kinds & set(found) and name not in names:
            for other in _others(node, name, False):
                if not _is_bystander(other):
                    return Fault(WARN, f'{text}, but {_name(other)} listens to {name}: remap '
                                 f'{ours[0].topic}:={name} if that is the robot', PATIENCE_S)
    return Fault(WARN, text, PATIENCE_S)


def _kind(message_type: type) -> str:
    return '/'.join((*message_type.__module__.split('.')[:2], message_type.__name__))


def _short(ours: str, theirs: str) -> tuple[str, str]:
    """Return two types without their packages, where that tells them apart."""
    short = ours.rpartition('/')[2], theirs.rpartition('/')[2]
    return short if short[0] != short[1] else (ours, theirs)


def _name(info: TopicEndpointInfo) -> str:
    return f'{info.node_namespace.rstrip("/")}/{info.node_name}'
