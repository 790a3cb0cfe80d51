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
The documented interface and the SROS2 policy against live nodes: parameters, topics, and so on.

Every node runs as it does by default, and once more, in namespaces, in the modes and for the robot
that open other topics.
"""

from importlib.machinery import PathFinder
from pathlib import Path
import re
from xml.etree import ElementTree

from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
import pytest
from rcl_interfaces.srv import DescribeParameters
from rcl_interfaces.srv import GetParameters
from rcl_interfaces.srv import ListParameters
from rclpy.parameter import parameter_value_to_python

from df_planner.ros import topics
from df_planner.ros.parameters import shown

ROOT = Path(__file__).parents[2]
POLICY = ROOT / 'config/sros2/policy.xml'
NODES = ('planner', 'follower', 'maze_sim', 'maze_benchmark')
OTHER_MODES, OTHER_ROBOT = '/other_modes', '/other_robot'
STARTED_WITH = {
    'planner': {'use_sim_time': True}, 'follower': {'use_sim_time': True}, 'maze_sim': {},
    'maze_benchmark': {'use_sim_time': True, 'episodes': 1000}}  # more than it lives to see
START_UP_S = 120.0  # torch and a model, on a busy machine
TYPE_NAMES = {1: 'bool', 2: 'int', 3: 'float', 4: 'str', 7: 'list of int', 8: 'list of float',
              9: 'list of str'}
OF_RCLPY = re.compile(r'use_sim_time$|start_type_description_service$|qos_overrides\.')
# What every node has, or every lifecycle node: in the policy, but not in docs/interface.md.
OF_EVERY_NODE = re.compile(
    r'^/rosout$|^/parameter_events$|/(describe|get|list|set)_parameters(_atomically)?$'
    r'|/get_parameter_types$|/get_type_description$|/(change|get)_state$|/transition_event$'
    r'|/get_available_(states|transitions)$|/get_transition_graph$')
KINDS = {'pub': 'publish', 'sub': 'subscribe', 'srv': 'reply', 'client': 'request',
         'act': 'execute'}
# A part of the policy that only matters with a package that may not be installed.
OPTIONAL = {'actions': 'nav2_msgs', '/tf': 'tf2_msgs', '/tf_static': 'tf2_msgs',
            '/map_updates': 'map_msgs'}


class Live:
    """What live nodes have, asked for from outside."""

    def __init__(self, probe):
        self._probe = probe
        self._node = probe.node

    def wait_for_planner(self) -> None:
        """Wait until it is active."""
        client = self._node.create_client(GetState, 'planner/get_state')
        self._probe.wait_until(client.service_is_ready, 'the planner', START_UP_S)

        def is_active():
            answer = self._probe.call(client, GetState.Request(), START_UP_S)
            return answer.current_state.id == State.PRIMARY_STATE_ACTIVE
        self._probe.wait_until(is_active, 'an active planner', START_UP_S)

    def interface(self, node: str, namespace: str = '/') -> dict[tuple[str, str], set[str]]:
        """Return the types by (rule, name without the namespace) of all that a node uses."""
        questions = {'publish': self._node.get_publisher_names_and_types_by_node,
                     'subscribe': self._node.get_subscriber_names_and_types_by_node,
                     'reply': self._node.get_service_names_and_types_by_node,
                     'request': self._node.get_client_names_and_types_by_node}
        found: dict[tuple[str, str], set[str]] = {}
        for rule, ask in questions.items():
            for name, types in ask(node, namespace):
                name = name if namespace == '/' else name.removeprefix(namespace)
                name, _, part = name.partition('/_action/')
                if part:
                    served = (rule == 'reply') or (part in ('feedback', 'status') and (
                        rule == 'publish'))
                    types = [kind.rsplit('_', 1)[0] for kind in types if part == 'send_goal']
                    key = 'execute' if served else 'call', name
                else:
                    key = rule, name
                found.setdefault(key, set()).update(
                    re.sub('/(msg|srv|action)/', '/', kind) for kind in types)
        return found

    def settled_interface(self, node: str, namespace: str = '/'):
        """Return the interface once it has stopped to grow: discovery takes its time."""
        last: list = [None, 0]

        def settled():
            now = self._ask(node, namespace)
            last[:] = [now, last[1] + 1 if now == last[0] else 0]
            self._probe.spin_for(0.2)
            return now and last[1] >= 5
        self._probe.wait_until(settled, f'the topics of {node}', START_UP_S)
        return last[0]

    def _ask(self, node: str, namespace: str):
        try:
            return self.interface(node, namespace)
        except RuntimeError:  # NodeNameNonExistentError: not discovered yet
            return None

    def parameters(self, node: str) -> list[tuple[str, str, object, str]]:
        """Return (name, type, value, description) of the parameters that a node declares."""
        def call(kind, service, **request):
            client = self._probe.client(kind, f'{node}/{service}')
            return self._probe.call(client, kind.Request(**request))
        names = [name for name in call(ListParameters, 'list_parameters').result.names
                 if not OF_RCLPY.match(name)]
        described = call(DescribeParameters, 'describe_parameters', names=names).descriptors
        values = call(GetParameters, 'get_parameters', names=names).values
        return [(name, TYPE_NAMES[descriptor.type], parameter_value_to_python(value),
                 descriptor.description)
                for name, descriptor, value in zip(names, described, values)]


@pytest.fixture(scope='module')
def live(start_module_node, module_probe) -> Live:
    """Return a graph in which every node has opened all that it ever opens."""
    for node in NODES[:-1]:
        start_module_node(node, **STARTED_WITH[node])
    namespace = ('-r', f'__ns:={OTHER_MODES}')
    start_module_node('maze_sim', namespace, control_mode='velocity', publish_clock=False)
    start_module_node('follower', namespace, execution='time_optimal')
    start_module_node('follower', ('-r', f'__ns:={OTHER_ROBOT}'), robot='diff_drive')
    graph = Live(module_probe)
    graph.wait_for_planner()
    start_module_node('maze_benchmark', **STARTED_WITH['maze_benchmark'])
    start_module_node('maze_benchmark', ('-r', f'__ns:={OTHER_ROBOT}'), robot='diff_drive',
                      wait_for_recorder=True)
    return graph


@pytest.fixture(scope='module')
def used(live) -> dict[str, dict[tuple[str, str], set[str]]]:
    """Return for every node the types by (rule, name) of all that it uses in any mode."""
    interfaces = {node: live.settled_interface(node) for node in NODES}
    for node, namespace in (('maze_sim', OTHER_MODES), ('follower', OTHER_MODES),
                            ('follower', OTHER_ROBOT), ('maze_benchmark', OTHER_ROBOT)):
        for key, types in live.settled_interface(node, namespace).items():
            interfaces[node].setdefault(key, set()).update(types)
    return interfaces


def is_installed(package: str) -> bool:
    """Tell whether a package can be found, whatever other tests have imported."""
    return PathFinder.find_spec(package) is not None


def section(title: str) -> str:
    """Return a section of docs/interface.md."""
    text = (ROOT / 'docs/interface.md').read_text(encoding='utf-8')
    return re.search(rf'^##+ {title}\n(.*?)(^##|\Z)', text, flags=re.DOTALL | re.MULTILINE)[1]


def resolved(name: str, node: str) -> str:
    """Return the full name of a topic or service of a node in the root namespace."""
    return name if name.startswith('/') else '/' + re.sub('^~/?', f'{node}/', name)


@pytest.mark.parametrize('node', NODES)
def test_the_table_of_topics_has_every_topic_and_service_and_no_other(node, used):
    """By direction, name and type: nodes open what their rows say, and nothing else."""
    rows = {(KINDS[direction], resolved(name, node)): set(kinds.split(' or '))
            for direction, name, kinds, *_ in topics.interface(node)
            if is_installed(kinds.split('/')[0])}
    here = {key: types for key, types in used[node].items()
            if not OF_EVERY_NODE.search(key[1]) and key != ('subscribe', '/clock')}

    assert set(here) == set(rows)
    assert not {key: types for key, types in here.items() if not types <= rows[key]}


@pytest.mark.parametrize('node', NODES)
def test_documents_have_every_parameter_and_no_other(node, live):
    """By name, type, default and description."""
    documented = {row[0]: row[1:] for row in re.findall(
        r'^\| `(\w+)` \| (.*?) \| `(.*?)` \| (.*?) \|$', section(f'`{node}`'), flags=re.MULTILINE)}
    declared = live.parameters(node)

    assert {name for name, *_ in declared} == set(documented)
    for name, kind, value, description in declared:
        documented_kind, default, text = documented[name]
        assert kind == documented_kind, name
        assert text.startswith(description), name
        value = value if isinstance(value, (bool, int, float, str)) else tuple(value)
        assert name in STARTED_WITH[node] or shown(value) == default, name


def allowed() -> dict[str, set[tuple[str, str]]]:
    """Return for every node the (rule, name) that the policy allows."""
    found: dict[str, set[tuple[str, str]]] = {}
    for profile in ElementTree.parse(POLICY).iter('profile'):
        node = profile.get('node', '')
        assert profile.get('ns') == '/'
        rules = found.setdefault(node, set())
        for group in profile:
            for rule, value in group.items():
                assert value == 'ALLOW'
                rules.update((rule, resolved(item.text or '', node)) for item in group)
    return found


def needs_missing_package(rule: str, name: str) -> bool:
    """Tell whether a right is for something that is not installed here."""
    package = OPTIONAL['actions'] if rule in ('execute', 'call') else OPTIONAL.get(name)
    return package is not None and not is_installed(package)


def test_policy_has_an_enclave_per_node():
    """As in the commands of SECURITY.md."""
    enclaves = [context.get('path') for context in ElementTree.parse(POLICY).iter('context')]

    assert enclaves == [f'/df_planner/{node}' for node in NODES]
    assert set(allowed()) == set(NODES)


@pytest.mark.parametrize('node', NODES)
def test_policy_allows_what_a_node_uses_and_nothing_else(node, used):
    """The least privilege: a right that nobody uses is one too many."""
    rights = {key for key in allowed()[node] if not needs_missing_package(*key)}

    assert sorted(set(used[node]) - rights) == [], 'used, but not allowed'
    assert sorted(rights - set(used[node])) == [], 'allowed, but not used'
