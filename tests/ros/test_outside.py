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
Talk to it from outside: clients and readers of other people, and the stock messages.

A plain rclpy script, which imports nothing of this package, sends a goal and gets a plan. What was
recorded meanwhile is read by rosbags, by mcap with mcap-ros2-support, and by message definitions
that the bag brings along, as Foxglove does.
"""

import json
import math
from pathlib import Path
import subprocess
import sys

from mcap.reader import make_reader
from mcap_ros2.decoder import DecoderFactory
import pytest
from rosbags.rosbag2 import Reader
from rosbags.typesys import get_types_from_msg
from rosbags.typesys import get_typestore
from rosbags.typesys import Stores
import yaml

from df_planner.drives.bag import read_drive
from df_planner.drives.metrics import legs
from df_planner.ros.topics import recorded_topics

GOAL = (1.0, -1.0)  # in the map; a corner of the umaze
CLIENT = """
import json, math, sys, time
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry, Path
import rclpy
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, qos_profile_sensor_data

rclpy.init()
node = rclpy.create_node('stranger')
plans, odoms = [], []
latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
node.create_subscription(Path, 'plan', plans.append, latched)
node.create_subscription(Odometry, 'odom', odoms.append, qos_profile_sensor_data)
goals = node.create_publisher(PoseStamped, 'goal_pose', 1)
x, y = map(float, sys.argv[1:3])
deadline = time.monotonic() + 60.0
def spin_until(condition):
    while not condition():
        assert time.monotonic() < deadline
        rclpy.spin_once(node, timeout_sec=0.1)
def distance(pose):
    return math.hypot(pose.position.x - x, pose.position.y - y)
spin_until(lambda: goals.get_subscription_count() >= 3 and odoms)
goal = PoseStamped()
goal.header.frame_id = 'map'
goal.pose.position.x, goal.pose.position.y = x, y
goals.publish(goal)
spin_until(lambda: any(plan.poses for plan in plans))
first = next(plan for plan in plans if plan.poses)
spin_until(lambda: distance(odoms[-1].pose.pose) < 0.4)
print(json.dumps({
    'frame': first.header.frame_id, 'frames': sorted({p.header.frame_id for p in first.poses}),
    'poses': len(first.poses), 'end': distance(first.poses[-1].pose),
    'stamps_rise': all(a.header.stamp.sec * 10**9 + a.header.stamp.nanosec
                       < b.header.stamp.sec * 10**9 + b.header.stamp.nanosec
                       for a, b in zip(first.poses, first.poses[1:])),
    'ours': [name for name in sys.modules if name.startswith('df_planner')]}))
"""


@pytest.fixture(scope='module')
def visit(start_module_node, module_probe, tmp_path_factory):
    """Let the stranger drive the robot; return what it says, the bag, and the types' hashes."""
    folder = tmp_path_factory.mktemp('visit')
    recorder = start_module_node('recorder', bag=folder / 'bag')
    start_module_node('maze_sim', maze='umaze', realtime_priority=0)
    planner = start_module_node('planner', checkpoint='point', num_threads=1,
                                use_sim_time=True, realtime_priority=0)
    start_module_node('follower', use_sim_time=True, realtime_priority=0)
    planner.wait_for_log('Ready for goals', timeout_s=120.0)
    script = folder / 'stranger.py'
    script.write_text(CLIENT)
    said = subprocess.run([sys.executable, str(script), *map(str, GOAL)], check=True,
                          capture_output=True, text=True, timeout=90, cwd=folder)
    node, hashes = module_probe.node, {}
    for name, _ in node.get_topic_names_and_types():
        hashes.update({name: str(one.topic_type_hash)
                       for one in node.get_publishers_info_by_topic(name)})
    assert recorder.stop() == 0
    return json.loads(said.stdout), folder / 'bag', hashes


def test_a_plain_client_gets_a_plan_to_its_goal(visit):
    said, _, _ = visit
    assert said['ours'] == []
    assert said['frame'] == 'map' and said['frames'] == ['map']
    assert said['poses'] > 10 and said['end'] < 0.5 and said['stamps_rise']


def test_rosbags_reads_the_bag_with_the_stock_messages(visit):
    _, bag, _ = visit
    store = get_typestore(Stores.ROS2_JAZZY)
    types = {topic.resolved(''): topic.kind for topic in recorded_topics('point')}
    with Reader(bag) as reader:
        assert {c.topic for c in reader.connections} >= {
            '/odom', '/map', '/plan', '/plan_trajectory', '/goal_pose', '/cmd_wrench', '/clock',
            '/diagnostics', '/planner/candidates', '/planner/uncertainty',
            '/planner/planning_time', '/follower/tracking_error'}
        for connection, _, raw in reader.messages():
            assert connection.msgtype == types[connection.topic]
            message = store.deserialize_cdr(raw, connection.msgtype)
            if connection.topic == '/goal_pose':
                goal = message.pose.position
        assert (goal.x, goal.y) == GOAL
        for connection in reader.connections:  # what the bag defines is what ROS 2 defines
            defined = get_types_from_msg(connection.msgdef.data, connection.msgtype)
            assert all(store.fielddefs[name] == fields for name, fields in defined.items())


def test_mcap_reads_the_bag_by_its_own_definitions(visit):
    _, bag, _ = visit
    counts, last, points = {}, {}, {'/plan': {}, '/plan_trajectory': {}}
    with (bag / 'bag.mcap').open('rb') as file:
        reader = make_reader(file, decoder_factories=[DecoderFactory()], validate_crcs=True)
        assert reader.get_header().profile == 'ros2'
        summary = reader.get_summary()
        assert {schema.encoding for schema in summary.schemas.values()} == {'ros2msg'}
        for _, channel, _, message in reader.iter_decoded_messages():
            counts[channel.topic] = counts.get(channel.topic, 0) + 1
            last[channel.topic] = message
            if channel.topic in points:
                stamp = message.header.stamp.sec, message.header.stamp.nanosec
                points[channel.topic][stamp] = len(
                    getattr(message, 'poses' if channel.topic == '/plan' else 'points'))
        assert {channel.message_encoding for channel in summary.channels.values()} == {'cdr'}
        assert sum(counts.values()) == summary.statistics.message_count
    position = last['/odom'].pose.pose.position
    assert math.dist((position.x, position.y), GOAL) < 0.5
    both = points['/plan'].keys() & points['/plan_trajectory'].keys()
    assert len(both) > 2
    assert all(points['/plan'][stamp] == points['/plan_trajectory'][stamp] for stamp in both)
    metadata = yaml.safe_load(Path(bag, 'metadata.yaml').read_text())
    info = metadata['rosbag2_bagfile_information']
    assert info['version'] == 9 and info['storage_identifier'] == 'mcap'
    assert {topic['topic_metadata']['name']: topic['message_count']
            for topic in info['topics_with_message_count']} == counts


def test_the_types_have_the_hashes_that_ros_says(visit):
    """A player refuses a bag whose types are not those of its own messages."""
    _, bag, hashes = visit
    metadata = yaml.safe_load(Path(bag, 'metadata.yaml').read_text())
    topics = [topic['topic_metadata'] for topic in
              metadata['rosbag2_bagfile_information']['topics_with_message_count']]
    checked = {topic['name'] for topic in topics if topic['name'] in hashes}
    assert {'/odom', '/plan', '/planner/uncertainty', '/cmd_wrench'} <= checked
    for topic in topics:
        if topic['name'] in checked:
            assert topic['type_description_hash'] in hashes[topic['name']], topic['name']


def test_the_report_reads_it_too(visit):
    _, bag, _ = visit
    drive = read_drive(bag)
    [leg] = legs(drive, 0.5)
    assert leg.reached_row is not None
    assert leg.goal.position_m.tolist() == list(GOAL)
