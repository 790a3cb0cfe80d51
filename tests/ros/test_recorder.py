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

"""The recorder over DDS: all that was sent is in the bag, whatever ends it, in little memory."""

from pathlib import Path
import resource
import signal

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import WrenchStamped
from nav_msgs.msg import OccupancyGrid
from nav_msgs.msg import Odometry
import numpy as np
import profiles
import pytest
from rclpy.serialization import deserialize_message
from rosbags.highlevel import AnyReader
from rosbags.interfaces import QosDurability
from rosbags.interfaces import QosReliability
from std_msgs.msg import Bool
from trajectory_msgs.msg import MultiDOFJointTrajectory

from df_planner.errors import ConfigError
from df_planner.nodes.recorder.bag_writer import BagWriter
from df_planner.ros.topics import recorded_topics

BURST = 300  # less than the history of the publisher: sent faster than they could be recorded
AWAITED = {'odom': Odometry, 'map': OccupancyGrid, 'cmd_wrench': WrenchStamped,
           'planner/planning_time_detail': DiagnosticStatus,
           'plan_trajectory': MultiDOFJointTrajectory}


def odometry(x):
    """Return a message that can be told from the others."""
    message = Odometry()
    message.header.frame_id = 'odom'
    message.pose.pose.position.x = float(x)
    return message


def read(bag):
    """Return the serialised messages of a bag by topic, and its connections by topic."""
    with AnyReader([Path(bag)]) as reader:
        messages = {connection.topic: [] for connection in reader.connections}
        for connection, _, raw in reader.messages():
            messages[connection.topic].append(bytes(raw))
        return messages, {connection.topic: connection for connection in reader.connections}


@pytest.mark.parametrize('signal_number', [signal.SIGINT, signal.SIGTERM])
def test_a_burst_right_before_the_end_is_kept_as_it_was_sent(
        start_node, probe, tmp_path, signal_number):
    grid = OccupancyGrid()
    grid.info.resolution = 0.5
    latched = probe.node.create_publisher(OccupancyGrid, 'map', profiles.LATCHED_QOS)
    latched.publish(grid)  # before anybody listens
    recorder = start_node('recorder', bag=tmp_path / 'bag')
    publisher = probe.publisher(Odometry, 'odom', profiles.RECORDED_QOS)
    probe.wait_until(lambda: latched.get_subscription_count() == 1, 'a match of map')
    probe.spin_for(0.2)
    for index in range(BURST):
        publisher.publish(odometry(index))
    assert publisher.wait_for_all_acked() and latched.wait_for_all_acked()
    assert recorder.stop(signal_number) == 0
    assert f'{BURST + 1} messages in' in recorder.log and 'lost' not in recorder.log
    messages, connections = read(tmp_path / 'bag')
    assert [deserialize_message(raw, OccupancyGrid) for raw in messages['/map']] == [grid]
    assert [deserialize_message(raw, Odometry) for raw in messages['/odom']] == [
        odometry(index) for index in range(BURST)]
    [of_map], [of_odom] = (
        connections[name].ext.offered_qos_profiles for name in ('/map', '/odom'))
    assert of_map.durability == QosDurability.TRANSIENT_LOCAL
    assert of_odom.durability == QosDurability.VOLATILE
    assert of_map.reliability == of_odom.reliability == QosReliability.RELIABLE


def test_it_takes_less_from_a_robot_that_offers_less(start_node, probe, tmp_path):
    recorder = start_node('recorder', ('-r', '__ns:=/robot1'), bag=tmp_path / 'bag')
    publisher = probe.publisher(Odometry, '/robot1/odom', profiles.SENSOR_DATA_QOS)
    recorder.wait_for_log('/robot1/odom is offered as best effort')
    probe.wait_until(lambda: publisher.get_subscription_count() == 1, 'a match of odom')
    probe.wait_until_found_by('/robot1/recorder')
    for index in range(3):
        publisher.publish(odometry(index))
        probe.spin_for(0.05)
    assert recorder.stop() == 0
    messages, connections = read(tmp_path / 'bag')
    assert len(messages['/robot1/odom']) == 3
    [offered] = connections['/robot1/odom'].ext.offered_qos_profiles
    assert offered.reliability == QosReliability.BEST_EFFORT


@pytest.mark.parametrize('last', AWAITED)
def test_it_says_when_it_hears_all_that_a_benchmark_needs(start_node, probe, tmp_path, last):
    said_unasked = ('odom', 'map')  # of these it must have heard a message
    ready = probe.listen(Bool, 'recorder/ready', profiles.LATCHED_QOS)
    start_node('recorder', bag=tmp_path / 'bag')
    assert set(AWAITED) == {topic.name for topic in recorded_topics('point') if topic.awaited}
    publishers = {name: probe.publisher(kind, name, profiles.PLAN_QOS)
                  for name, kind in AWAITED.items() if name != last or name in said_unasked}
    for name in said_unasked:
        if name != last:
            publishers[name].publish(AWAITED[name]())
    probe.wait_until_found_by('recorder')
    probe.spin_for(0.1)
    assert not ready
    if last in said_unasked:
        publishers[last].publish(AWAITED[last]())
    else:
        probe.publisher(AWAITED[last], last, profiles.PLAN_QOS)
    probe.wait_until(lambda: [message.data for message in ready] == [True], 'recorder/ready')


def test_a_bag_is_never_overwritten(start_node, tmp_path):
    (tmp_path / 'bag').mkdir()
    (tmp_path / 'bag' / 'precious').touch()
    recorder = start_node('recorder', bag=tmp_path / 'bag')
    assert recorder.wait() == 1
    [line] = recorder.log.strip().splitlines()
    assert 'BAD_CONFIG: bag: ' in line and 'exists already' in line
    assert [path.name for path in (tmp_path / 'bag').iterdir()] == ['precious']
    with pytest.raises(ConfigError, match='exists already'):
        BagWriter(tmp_path / 'bag')


def test_a_long_recording_does_not_fill_the_memory(tmp_path):
    topic = next(topic for topic in recorded_topics('point') if topic.name == 'odom')
    writer = BagWriter(tmp_path / 'bag')
    writer.add('/odom', topic, [])
    noise = np.random.default_rng(0).bytes(3_000_000)  # does not compress

    def write(megabytes):
        for index in range(10 * megabytes):
            begin = index % 30 * 100_000
            writer.write('/odom', 1, noise[begin:begin + 100_000])
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    before_mib = write(20)
    assert write(100) - before_mib < 10.0
    writer.close()
    assert (tmp_path / 'bag' / 'bag.mcap').stat().st_size > 100e6


def test_an_empty_recording_is_a_bag_too(start_node, tmp_path):
    recorder = start_node('recorder', bag=tmp_path / 'bag')
    recorder.wait_for_log('Recording')
    assert recorder.stop() == 0
    assert read(tmp_path / 'bag') == ({}, {})
