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

"""The table of topics and services: the only place that names them and chooses their QoS."""

import ast
from dataclasses import replace
from pathlib import Path
import re

import pytest
from rclpy.qos import DurabilityPolicy
from rclpy.qos import HistoryPolicy
from rclpy.qos import ReliabilityPolicy
from std_msgs.msg import Bool

from df_planner.ros import qos
from df_planner.ros import topics

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / 'df_planner'
FILES = sorted(path for folder in ('df_planner/nodes', 'df_planner/ros', 'tests/soak')
               for path in (ROOT / folder).rglob('*.py'))
OPENS = re.compile(r'create_(lifecycle_)?(publisher|subscription|service|client)$')
# Of the soak, which calls whatever service it is given, and of the doctor: every lifecycle node's.
OF_ANY_TYPE = {'call', 'state_of'}
ROWS = (*topics.TOPICS, *topics.SERVICES)


def calls(path):
    """Yield (name of the enclosing function, name of what is called, call)."""
    tree = ast.parse(path.read_text(encoding='utf-8'))
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            for call in ast.walk(function):
                if isinstance(call, ast.Call):
                    yield function.name, getattr(
                        call.func, 'attr', getattr(call.func, 'id', '')), call


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_everything_is_opened_from_the_table(path):
    """No name, type or QoS stands at a call: ``qos`` takes all three from a row."""
    if path == PACKAGE / 'ros/qos.py':
        return
    found = list(calls(path))

    assert not [function for function, name, _ in found
                if OPENS.match(name) and function not in OF_ANY_TYPE]
    assert not [name for _, name, _ in found if name in (
        'QoSProfile', 'Topic', 'Service', 'Quality') and path.name != 'topics.py']
    servers = [call for _, name, call in found if name == 'SingleGoalServer']
    assert all('topics.' in ast.unparse(call.args[2]) for call in servers)


def test_constants_and_tuples_have_the_same_rows():
    """A row that is not in the tuple would be in no document and in no bag."""
    rows = [row for row in vars(topics).values()
            if isinstance(row, (topics.Topic, topics.Service))]

    assert len(rows) == len(ROWS) and set(rows) == set(ROWS)
    assert len({row.name for row in rows}) == len(rows)


@pytest.mark.parametrize('row', ROWS, ids=lambda row: row.name)
def test_rows_have_a_type_a_sentence_and_users(row):
    package = row.kind.split('/')[0]
    if package not in ('map_msgs', 'nav2_msgs', 'tf2_msgs'):  # of a ROS 2 installation
        assert qos.interface_type(row.kind).__name__ == row.kind.split('/')[-1]
    assert re.match(r'[A-Z`].*[^ ]\.$', row.description)
    users = ({row.server, *row.clients} if isinstance(row, topics.Service) else
             {*row.publishers, *row.subscribers, *row.keepers})
    assert users and users <= set(topics.NODES)


def test_own_topics_are_private_names():
    """So they follow a node that is given another name."""
    assert topics.CANDIDATES.publisher_name == '~/candidates'
    assert topics.CANDIDATES.subscriber_name == 'planner/candidates'
    assert topics.SET_STATE.publisher_name == 'maze_sim/set_state'
    assert topics.SET_STATE.subscriber_name == '~/set_state'
    assert topics.RESET.server_name == '~/reset'
    assert topics.MAP.publisher_name == topics.MAP.subscriber_name == 'map'
    assert topics.CLOCK.publisher_name == '/clock'


@pytest.mark.parametrize('quality', dict.fromkeys(
    quality for topic in topics.TOPICS
    for quality in (topic.quality, topic.heard, topic.lockstep, topics.RECORDING) if quality),
    ids=str)
def test_profiles_are_what_the_table_says(quality):
    profile = qos.profile(quality)

    assert (profile.durability == DurabilityPolicy.TRANSIENT_LOCAL) == quality.latched
    assert (profile.reliability == ReliabilityPolicy.RELIABLE) == quality.reliable
    assert (profile.history == HistoryPolicy.KEEP_ALL) == (quality.depth is None)
    assert quality.depth in (None, profile.depth)


def test_a_row_is_all_there_is_to_change(probe):
    """Publisher and subscriber of a changed row have its name, type and QoS."""
    row = replace(topics.GOAL_POSE, name='somewhere', kind='std_msgs/msg/Bool',
                  quality=topics.LATCHED)
    heard = []
    publisher = qos.publisher(probe.node, row)
    publisher.publish(Bool(data=True))
    qos.subscription(probe.node, row, heard.append)
    probe.wait_until(lambda: heard == [Bool(data=True)], 'the latched message')
    [found] = probe.node.get_subscriptions_info_by_topic('/somewhere')
    assert found.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL


def test_the_table_for_the_documents_has_every_row():
    table = topics.markdown_table()

    for row in ROWS:
        assert f'`{row.name}`' in table or f'`~/{row.name.split("/")[-1]}`' in table, row.name
