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

"""RViz, Foxglove and the recorder name only topics that the graph really has, as it has them."""

import dataclasses
import importlib
import json
import re

import foxglove.layouts
import pytest
from rclpy.qos import DurabilityPolicy
from rclpy.qos import ReliabilityPolicy
from tiny_model import write_tiny_model
import yaml

from df_planner.drives.bag import READ
from df_planner.files import share_path
from df_planner.ros.topics import COMMANDS
from df_planner.ros.topics import recorded_topics

RVIZ_TYPES = {
    'Map': 'nav_msgs/msg/OccupancyGrid', 'MarkerArray': 'visualization_msgs/msg/MarkerArray',
    'Path': 'nav_msgs/msg/Path', 'Pose': 'geometry_msgs/msg/PoseStamped',
    'Odometry': 'nav_msgs/msg/Odometry', 'SetGoal': 'geometry_msgs/msg/PoseStamped',
    'SetInitialPose': 'geometry_msgs/msg/PoseWithCovarianceStamped',
}
FOXGLOVE_PANELS = {
    '3D': foxglove.layouts.ThreeDeeConfig, 'Plot': foxglove.layouts.PlotConfig,
    'DiagnosticSummary': foxglove.layouts.DiagnosticsSummaryConfig,
}
OLD_PLOT_SETTINGS = {'showLegend', 'sidebarDimension', 'showXAxisLabels', 'showYAxisLabels'}
NOT_RECORDED = re.compile('|'.join((  # what a report has no use for
    '/rosout', '/parameter_events', '.*/transition_event', '/initialpose', '/cmd_vel',
    '/maze_sim/set_state', '/maze_sim/paused', '/follower/command_period', '/resume_goal')))


@pytest.fixture(scope='module')
def graph(start_module_node, module_probe, tmp_path_factory):
    """Return a node in a graph of simulator, planner and follower that is complete."""
    model = write_tiny_model(tmp_path_factory.mktemp('model'))
    start_module_node('maze_sim', maze='umaze')
    start_module_node('planner', checkpoint=model, use_sim_time=True)
    start_module_node('follower', use_sim_time=True)
    module_probe.wait_until(lambda: {
        '/maze_sim/episode', '/planner/planning_time_detail', '/follower/command_period'
    } <= set(topics(module_probe.node)), 'the topics of all nodes', timeout_s=60.0)
    module_probe.wait_until(lambda: {'maze_sim', 'planner'} <= {
        one.node_name for one in module_probe.node.get_subscriptions_info_by_topic('/goal_pose')},
        'the names of the nodes')
    return module_probe.node


def topics(node):
    """Return the type of every topic that somebody publishes or subscribes to."""
    return {name: kinds[0] for name, kinds in node.get_topic_names_and_types()}


def foxglove_panels():
    """Return kind and settings of every panel of the layout."""
    layout = json.loads(share_path('config/foxglove_layout.json').read_text(encoding='utf-8'))
    return [(name.split('!')[0], settings) for name, settings in layout['configById'].items()]


def rviz():
    """Return the displays and the tools of RViz that name a topic."""
    config = yaml.safe_load(share_path('config/df_planner.rviz').read_text(encoding='utf-8'))
    manager = config['Visualization Manager']
    return manager['Displays'], [tool for tool in manager['Tools'] if 'Topic' in tool]


def plugin(entry):
    """Return the name of an RViz plugin without its package."""
    return entry['Class'].split('/')[1]


def test_rviz_displays_what_is_published_and_can_be_heard(graph):
    displays, _ = rviz()
    found = topics(graph)
    assert {'map', 'maze_sim/markers', 'planner/uncertainty', 'planner/candidates', 'plan',
            'active_goal', 'odom'} == {d['Topic']['Value'] for d in displays}
    for display in displays:
        topic = display['Topic']
        name = f'/{topic["Value"]}'
        assert found[name] == RVIZ_TYPES[plugin(display)], name
        [offered] = [publisher.qos_profile
                     for publisher in graph.get_publishers_info_by_topic(name)]
        assert (topic['Durability Policy'] == 'Transient Local') == (
            offered.durability == DurabilityPolicy.TRANSIENT_LOCAL), name
        assert topic['Reliability Policy'] == 'Best Effort' or (
            offered.reliability == ReliabilityPolicy.RELIABLE), name


def test_the_tools_of_rviz_talk_to_somebody_who_listens(graph):
    _, tools = rviz()
    assert [plugin(tool) for tool in tools] == ['SetGoal', 'SetInitialPose']
    for tool in tools:
        name = f'/{tool["Topic"]["Value"]}'
        listeners = graph.get_subscriptions_info_by_topic(name)
        assert listeners and {one.topic_type for one in listeners} == {RVIZ_TYPES[plugin(tool)]}
        assert {one.qos_profile.durability for one in listeners} == {DurabilityPolicy.VOLATILE}


def test_foxglove_shows_what_is_published(graph):
    commands = {f'/{topic.name}': topic.kind for topic in COMMANDS.values()}  # of every robot
    found = topics(graph) | commands
    published = {name for name in found if graph.get_publishers_info_by_topic(name)}
    published |= set(commands)
    panels = foxglove_panels()
    assert sorted(kind for kind, _ in panels) == ['3D', 'DiagnosticSummary', *['Plot'] * 4]
    for kind, settings in panels:
        if kind == '3D':
            assert set(settings['topics']) <= published
            assert graph.get_subscriptions_info_by_topic(settings['publish']['poseTopic'])
            assert graph.get_subscriptions_info_by_topic(settings['publish']['poseEstimateTopic'])
        elif kind == 'DiagnosticSummary':
            assert found[settings['topicToRender']] == 'diagnostic_msgs/msg/DiagnosticArray'
        for path in settings.get('paths', ()):
            name, *fields = path['value'].split('.')
            assert name in published
            message = message_class(found[name])()
            for field in fields:
                message = getattr(message, field)  # fails for a field that is not there
            assert isinstance(message, float), path['value']


def test_foxglove_knows_the_settings_of_the_layout():
    """Against the types of Foxglove's own SDK."""
    for kind, settings in foxglove_panels():
        cls = FOXGLOVE_PANELS[kind]
        known = set(cls()._to_dict()) | {'imageMode'} | OLD_PLOT_SETTINGS
        assert set(settings) <= known, kind
        if kind == 'Plot':
            series = set(foxglove.layouts.PlotSeries(value='')._to_dict())
            assert all(set(path) <= series for path in settings['paths'])
    camera = dict(foxglove_panels())['3D']['cameraState']
    names = {field.name for field in dataclasses.fields(foxglove.layouts.ThreeDeeCameraState)}
    assert {re.sub('([A-Z])', r'_\1', name).lower() for name in camera} <= names


def test_what_is_recorded_is_what_there_is(graph):
    found = topics(graph)
    for topic in recorded_topics('point'):
        if topic.kind.startswith('tf2_msgs'):
            continue  # of a ROS 2 installation
        name = topic.resolved('')
        assert found.pop(name) == topic.kind
        for publisher in graph.get_publishers_info_by_topic(name):
            offered = publisher.qos_profile
            latched = offered.durability == DurabilityPolicy.TRANSIENT_LOCAL
            assert topic.quality.latched == latched, name
            assert topic.quality.reliable == (
                offered.reliability == ReliabilityPolicy.RELIABLE), name
    assert not [name for name in found if not NOT_RECORDED.fullmatch(name)]


def test_a_report_reads_what_is_recorded():
    for robot in COMMANDS:
        kept = recorded_topics(robot)
        assert READ.items() <= {topic.name: topic.kind for topic in kept}.items()
        assert '/clock' in {topic.resolved('/robot1/') for topic in kept}
        assert kept[0].resolved('/robot1/') == f'/robot1/{COMMANDS[robot].name}'


def message_class(kind):
    """Return the class of a message type."""
    package, _, name = kind.split('/')
    return getattr(importlib.import_module(f'{package}.msg'), name)
