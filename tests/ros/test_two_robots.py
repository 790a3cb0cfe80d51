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

"""Two robots in one ROS domain, each with a graph of its own: neither hears the other."""

import math
from pathlib import Path

from conftest import NodeProcess
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Odometry
import profiles
import pytest
from rosgraph_msgs.msg import Clock
from trajectory_msgs.msg import MultiDOFJointTrajectory

from df_planner.launching.graph import build_graph
from df_planner.launching.runner import node_command

START_UP_S = 150.0
DRIVE_S = 150.0  # of wall time, both together on a busy machine; some seconds of the robots'
GOALS = {'robot1': (1.0, -1.0), 'robot2': (3.0, -1.0)}  # the two ends of the umaze


class Robot:
    """The processes of one robot, and what is heard of it."""

    def __init__(self, probe, name, folder):
        self.name, self._probe = name, probe
        self._goals = None
        graph = build_graph({'maze': 'umaze', 'use_benchmark': False, 'namespace': name,
                             'seed': int(name[-1])})
        folder.mkdir()
        self.processes = {process.name: NodeProcess(
            node_command(graph, process, folder), folder / f'{process.name}.log')
            for process in graph.processes}
        self.odometry = probe.listen(Odometry, f'/{name}/odom', profiles.SENSOR_DATA_QOS)
        self.clock = probe.listen(Clock, f'/{name}/clock', profiles.SENSOR_DATA_QOS)
        self.trajectories = probe.listen(
            MultiDOFJointTrajectory, f'/{name}/plan_trajectory', profiles.PLAN_QOS)

    def send_goal(self, position):
        """Send it to a goal."""
        if self._goals is None:
            self._goals = self._probe.publisher(
                PoseStamped, f'/{self.name}/goal_pose', profiles.LATEST_QOS, subscribers=2)
        msg = PoseStamped()
        msg.header.frame_id = 'map'
        msg.pose.position.x, msg.pose.position.y = position
        self._goals.publish(msg)

    def is_at(self, position):
        """Tell whether the robot is at a goal."""
        if not self.odometry:
            return False
        del self.odometry[:-1]
        at = self.odometry[-1].pose.pose.position
        return math.dist((at.x, at.y), position) <= 0.5

    def planned_ends(self):
        """Return where the plans so far end."""
        ends = [msg.points[-1].transforms[0].translation
                for msg in self.trajectories if msg.points]
        return [(end.x, end.y) for end in ends]


@pytest.fixture
def robots(probe, tmp_path):
    """Return two robots that have come up."""
    found = [Robot(probe, name, Path(tmp_path, name)) for name in GOALS]
    for robot in found:
        robot.processes['planner'].wait_for_log('Ready for goals', START_UP_S)
    yield found
    for robot in found:
        for process in robot.processes.values():
            process.end()


def test_two_robots_side_by_side(robots, probe):
    first, second = robots
    probe.wait_until(lambda: all(robot.odometry and robot.clock for robot in robots),
                     'both simulators', 60.0)
    # One drives, the other, which has no goal, is left alone.
    probe.spin_for(0.5)
    first.send_goal(GOALS['robot1'])
    probe.wait_until(lambda: first.is_at(GOALS['robot1']), 'the first robot', DRIVE_S)
    assert second.planned_ends() == []
    # Both drive, to goals of their own.
    first.trajectories.clear()
    first.send_goal(GOALS['robot2'])
    second.send_goal(GOALS['robot2'])
    probe.wait_until(lambda: second.is_at(GOALS['robot2']) and first.is_at(GOALS['robot2']),
                     'both robots', DRIVE_S)
    second.trajectories.clear()
    second.send_goal(GOALS['robot1'])
    probe.wait_until(lambda: second.is_at(GOALS['robot1']), 'the second robot', DRIVE_S)
    assert second.trajectories and first.is_at(GOALS['robot2'])

    # Each has a clock of its own; neither publishes on a name that both would share.
    shared = {topic: [info.node_namespace + '/' + info.node_name
                      for info in probe.node.get_publishers_info_by_topic(topic)]
              for topic in ('/clock', '/odom', '/plan', '/tf')}
    assert not any(shared.values()), shared
    for robot in robots:
        assert probe.node.count_publishers(f'/{robot.name}/clock') == 1
        for process in robot.processes.values():
            assert process.stop() == 0, process.log
            assert 'Traceback' not in process.log and 'jumped back' not in process.log
