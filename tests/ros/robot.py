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

"""What surrounds a planner in the umaze: odometry, a map, goals, and ears for what it says."""

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from lifecycle_msgs.srv import GetState
from nav_msgs.msg import OccupancyGrid
from nav_msgs.msg import Odometry
from nav_msgs.msg import Path
from profiles import LATCHED_QOS
from profiles import LATEST_QOS
from rcl_interfaces.srv import GetParameters
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.parameter import parameter_value_to_python
from std_srvs.srv import Trigger
from trajectory_msgs.msg import MultiDOFJointTrajectory

from df_planner.ros.conversions import ns_to_stamp
from df_planner.ros.conversions import stamp_to_ns
from df_planner.ros.maps import occupancy_grid_message
from df_planner.sim.maze import load_maze

START_UP_S = 90.0  # torch takes its time to load on a busy machine
TICK_NS = 10_000_000
START, GOAL, OTHER_GOAL = (1.0, -3.0), (1.0, -1.0), (3.0, -3.0)  # x, y in the umaze
WALL, OUTSIDE = (2.0, -2.0), (50.0, 0.0)


class Robot:
    """What surrounds a planner: odometry, a map, goals, and ears for what it says."""

    def __init__(self, probe, namespace=''):
        self.probe, self.namespace, self.base = probe, namespace, 0
        self.clients = {}
        self.trajectories = self.listen(MultiDOFJointTrajectory, 'plan_trajectory')
        self.paths = self.listen(Path, 'plan')
        self.diagnostics = probe.listen(DiagnosticArray, '/diagnostics')
        self.active_goals = self.listen(PoseStamped, 'active_goal')
        self.goals = probe.publisher(PoseStamped, f'{namespace}/goal_pose', LATEST_QOS)
        self.odometry = probe.publisher(Odometry, f'{namespace}/odom')
        self.maps = probe.publisher(OccupancyGrid, f'{namespace}/map', LATCHED_QOS)
        probe.wait_until(lambda: all(
            probe.node.count_publishers(f'{namespace}/{topic}')
            for topic in ('plan', 'plan_trajectory')), 'the publishers of the planner')
        self.wait_until_found()

    def wait_until_found(self):
        """Wait until the planner knows all that listens and publishes here."""
        self.probe.wait_until_found_by(f'{self.namespace}/planner')

    def listen(self, message_type, topic):
        """Return a list that fills with the messages of a topic."""
        return self.probe.listen(message_type, f'{self.namespace}/{topic}')

    def client(self, service_type, name):
        """Return the client of a service of the planner."""
        if name not in self.clients:
            self.clients[name] = self.probe.client(
                service_type, f'{self.namespace}/planner/{name}')
        return self.clients[name]

    def call(self, service_type, name, request=None):
        """Call a service of the planner."""
        return self.probe.call(
            self.client(service_type, name), request or service_type.Request())

    def change(self, name, value):
        """Set a parameter of the planner and return the result."""
        return self.call(SetParameters, 'set_parameters', SetParameters.Request(
            parameters=[Parameter(name, value=value).to_parameter_msg()])).results[0]

    def value(self, name):
        """Return the value of a parameter of the planner."""
        return parameter_value_to_python(self.call(
            GetParameters, 'get_parameters', GetParameters.Request(names=[name])).values[0])

    def move(self, transition):
        """Have the planner make a lifecycle transition; return whether it did."""
        return self.call(ChangeState, 'change_state', ChangeState.Request(
            transition=Transition(id=transition))).success

    def state(self):
        """Return the id of the planner's lifecycle state."""
        return self.call(GetState, 'get_state').current_state.id

    def send_map(self):
        """Publish the map of the umaze."""
        data, origin = load_maze('umaze').occupancy_grid(0.1)
        self.maps.publish(occupancy_grid_message(data, origin, 0.1, ns_to_stamp(0), 'map'))

    def send_goal(self, position, frame_id='map', tick=None):
        """Publish a goal, by default of the time at which the test begins."""
        self.goals.publish(pose(position, frame_id, self.base if tick is None else tick))

    def set_goal(self, position, tick=None):
        """Publish a goal and wait until the planner has it: odometry may overtake it."""
        self.active_goals.clear()
        self.send_goal(position, tick=tick)
        self.probe.wait_until(lambda: self.active_goals, 'the goal, taken')

    def send_odometry(self, tick, position=START, frame_id='odom'):
        """Publish where the robot is, at rest, at a control step."""
        msg = Odometry(child_frame_id='base_link')
        msg.header.frame_id, msg.header.stamp = frame_id, ns_to_stamp(tick * TICK_NS)
        msg.pose.pose.position.x, msg.pose.pose.position.y = position
        self.odometry.publish(msg)

    def clear_goal(self):
        """Make the planner forget its goal, and forget what it said until then."""
        assert self.call(Trigger, 'clear_goal').success
        self.probe.wait_until(lambda: self.trajectories and not self.trajectories[-1].points
                              and self.paths and not self.paths[-1].poses, 'an empty plan')
        self.trajectories.clear()
        self.paths.clear()

    def next_trajectory(self, timeout_s=30.0):
        """Return the next trajectory; the same stamps must come as a path."""
        self.probe.wait_until(lambda: self.trajectories and self.paths, 'a plan', timeout_s)
        assert self.paths.pop(0).header == self.trajectories[0].header
        return self.trajectories.pop(0)

    def plan(self, tick, **where):
        """Send odometry and return the trajectory planned from it."""
        self.send_odometry(tick, **where)
        trajectory = self.next_trajectory()
        assert stamp_to_ns(trajectory.header.stamp) == tick * TICK_NS
        return trajectory

    def wait_for_status(self, task, text):
        """Wait until a task's status contains a text and return its level."""
        found = []

        def look():
            found.extend(status for msg in self.diagnostics for status in msg.status
                         if status.name == f'{self.namespace}/planner: {task}'.lstrip('/')
                         and text in status.message)
            self.diagnostics.clear()
            return found

        self.probe.wait_until(look, f'{text!r} in the status of {task}')
        return found[-1].level


def pose(position, frame_id='map', tick=0):
    """Return a pose."""
    msg = PoseStamped()
    msg.header.frame_id, msg.header.stamp = frame_id, ns_to_stamp(tick * TICK_NS)
    msg.pose.position.x, msg.pose.position.y = position
    return msg


def end_of(trajectory):
    """Return where a trajectory ends, (x, y)."""
    last = trajectory.points[-1].transforms[0].translation
    return last.x, last.y
