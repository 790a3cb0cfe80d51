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
Every topic, service and action of the graph: name, type, QoS, who uses it, whether it is recorded.

Nodes open publishers, subscriptions and services from these rows (``qos.py``); the recorder, the
launch files and the documentation read them. To change a topic, change its row. Nothing here
imports ROS, because ``launching/graph.py`` runs without it.

Names are relative to the namespace, except those that begin with a slash. A topic of one node is
``<node>/<name>``; that node itself calls it ``~/<name>``.
"""

from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from typing import Literal

from df_planner.robots.kinds import ROBOTS


@dataclass(frozen=True)
class Quality:
    """
    A QoS profile; ``qos.profile`` makes rclpy's of it.

    :param depth: messages kept, None for all of them.
    :param latched: late subscribers get the last messages (transient local).
    :param reliable: lost messages are sent again.
    """

    depth: int | None
    latched: bool = False
    reliable: bool = True

    def __str__(self) -> str:
        """Return the profile in words, for the documentation."""
        words = ('latched' if self.latched else 'reliable') if self.reliable else 'best effort'
        if self.depth != 1:
            words += f', depth {self.depth or "unlimited"}'
        return words


# Every message arrives at a subscriber that keeps up: measurements.
STANDARD = Quality(10)
# For publishers whose every message may be recorded; Fast DDS keeps 400 samples at most.
RECORDED = Quality(400)
# For subscribers that record: nothing is lost while they are busy for some seconds.
RECORDING = Quality(None)
# Only the newest message counts, and none from before the subscription: goals, commands.
LATEST = Quality(1)
# Late subscribers get the last message: maps, goals, markers.
LATCHED = Quality(1, latched=True)
# Latched, and a recorder that is busy for a moment misses none: plans as published.
PLANS = Quality(10, latched=True)
# What tf2 listeners expect of /tf.
TRANSFORMS = Quality(100)
# The newest reading, losses allowed: odometry as subscribed to, the clock.
SENSOR_DATA = Quality(1, reliable=False)


@dataclass(frozen=True)
class Topic:
    """
    A topic, its publishers and its subscribers by name of the node.

    :param kind: type, as ``ros2 topic info`` prints it.
    :param quality: QoS of publishers.
    :param description: one sentence for the documentation.
    :param heard: QoS of subscribers; None is that of publishers.
    :param lockstep: QoS of subscribers in lockstep, where a lost message would stop the run.
    :param keepers: nodes that subscribe with RECORDING, besides the recorder.
    :param headless: type of the message without a header, for a topic that may carry either.
    :param recorded: belongs into a bag.
    :param awaited: the recorder is ready when it has found a publisher, or has received a message:
        only a message proves that the publisher has found the recorder, too.
    """

    name: str
    kind: str
    quality: Quality
    description: str
    publishers: tuple[str, ...]
    subscribers: tuple[str, ...] = ()
    heard: Quality | None = None
    lockstep: Quality | None = None
    keepers: tuple[str, ...] = ()
    headless: str = ''
    recorded: bool = False
    awaited: Literal['publisher', 'message'] | None = None

    @property
    def publisher_name(self) -> str:
        """Return the name for publishers: with ``~/`` if the topic is their own."""
        return _private(self.name, self.publishers)

    @property
    def subscriber_name(self) -> str:
        """Return the name for subscribers: with ``~/`` if the topic is their own."""
        return _private(self.name, self.subscribers)

    def stamped(self, stamped: bool) -> 'Topic':
        """Return the row with its type, or without a header if ``stamped`` is false."""
        return self if stamped or not self.headless else replace(self, kind=self.headless)

    def resolved(self, namespace: str, renamed: Mapping[str, str] = {}) -> str:
        """Return the name from the root, for nodes in a namespace (empty for none)."""
        name = renamed.get(self.name, self.name)
        if name.startswith('/'):
            return name
        namespace = namespace.strip('/')
        return f'/{namespace}/{name}' if namespace else f'/{name}'


@dataclass(frozen=True)
class Service:
    """A service or an action (see ``kind``) that the node ``server`` offers."""

    name: str
    kind: str
    server: str
    description: str
    clients: tuple[str, ...] = ()

    @property
    def server_name(self) -> str:
        """Return the name for the server: with ``~/`` if it begins with the node's name."""
        return _private(self.name, (self.server,))


def _private(name: str, nodes: tuple[str, ...]) -> str:
    owner, _, rest = name.partition('/')
    return f'~/{rest}' if owner in nodes else name


CMD_WRENCH = Topic(
    'cmd_wrench', 'geometry_msgs/msg/WrenchStamped', RECORDED,
    'Command of a `point`: newtons in the axes of the map; stamp = that of the odometry answered.',
    ('follower',), ('maze_sim',), heard=SENSOR_DATA, lockstep=LATEST, keepers=('maze_benchmark',),
    recorded=True, awaited='publisher')
CMD_VEL = Topic(
    'cmd_vel', 'geometry_msgs/msg/TwistStamped', RECORDED,
    'Command of robots that take twists: m/s and rad/s in `base_link`, same stamp. With '
    '`control_mode: velocity`, the simulator takes the velocity of a `point` in the axes of the '
    'map.',
    ('follower',), ('maze_sim',), heard=SENSOR_DATA, lockstep=LATEST, keepers=('maze_benchmark',),
    headless='geometry_msgs/msg/Twist', recorded=True, awaited='publisher')
CLOCK = Topic(
    '/clock', 'rosgraph_msgs/msg/Clock', SENSOR_DATA,
    'Simulated time: one per control step (0.01 s of a `point`, 0.05 s of others), at most 125 '
    'per second of wall time.', ('maze_sim',), recorded=True)
DIAGNOSTICS = Topic(
    '/diagnostics', 'diagnostic_msgs/msg/DiagnosticArray', STANDARD,
    'State of each node, 1 Hz and on change.',
    ('planner', 'follower', 'maze_sim', 'maze_benchmark'), keepers=('maze_benchmark',),
    recorded=True)
TF = Topic(
    '/tf', 'tf2_msgs/msg/TFMessage', TRANSFORMS,
    '`odom` -> `base_link`, with the odometry; where `tf2_msgs` is installed.', ('maze_sim',),
    recorded=True)
TF_STATIC = Topic(
    '/tf_static', 'tf2_msgs/msg/TFMessage', LATCHED,
    '`map` -> `odom`, once: they are equal; where `tf2_msgs` is installed.', ('maze_sim',),
    recorded=True)
MAP = Topic(
    'map', 'nav_msgs/msg/OccupancyGrid', LATCHED,
    'Obstacles: goals and plans are checked against them; the follower knows which of the local '
    'ones are new, and with `execution: time_optimal` keeps clear of all.',
    ('maze_sim',), ('planner', 'follower'), recorded=True, awaited='message')
MAP_UPDATES = Topic(
    'map_updates', 'map_msgs/msg/OccupancyGridUpdate', STANDARD,
    'Cells of the map that have changed; where `map_msgs` is installed.',
    (), ('planner', 'follower'), heard=RECORDING)
LOCAL_COSTMAP = Topic(
    'local_costmap/costmap', 'nav_msgs/msg/OccupancyGrid', LATCHED,
    'Obstacles near the robot that are not on the map, as Nav2 publishes them: plans keep clear '
    'of them too, and a plan in hand that hits one is braked at once. Optional; the simulator '
    'makes it of `scan`.',
    ('maze_sim',), ('planner', 'follower'), heard=LATEST, recorded=True)
SCAN = Topic(
    'scan', 'sensor_msgs/msg/LaserScan', SENSOR_DATA,
    'What the simulated lidar measures, all around; with `scan_frequency_hz`.', ('maze_sim',),
    recorded=True)
ODOM = Topic(
    'odom', 'nav_msgs/msg/Odometry', RECORDED, 'State of the robot; twist in `child_frame_id`.',
    ('maze_sim',), ('planner', 'follower'), heard=SENSOR_DATA, lockstep=LATEST,
    keepers=('maze_benchmark',), recorded=True, awaited='message')
GOAL_POSE = Topic(
    'goal_pose', 'geometry_msgs/msg/PoseStamped', LATEST,
    'Where to go, position only; a new goal replaces the old one, even while planning. The robot '
    'is held there until `~/clear_goal`. The simulator shows it.',
    ('maze_benchmark',), ('planner', 'maze_sim'), recorded=True)
ACTIVE_GOAL = Topic(
    'active_goal', 'geometry_msgs/msg/PoseStamped', LATCHED,
    'What the planner plans for; an empty `frame_id` = nothing; a stamp = the goal of an action, '
    'which no later planner resumes.',
    ('planner',), ('follower',), recorded=True)
PLAN = Topic(
    'plan', 'nav_msgs/msg/Path', LATCHED,
    'The whole way to the goal: as many points as `planner/planning_time_detail` tells are '
    'diffused, the others its route. Stamp = when the robot is, or will be, at its first point; '
    'empty = no valid plan, brake.',
    ('planner',), recorded=True)
PLAN_TRAJECTORY = Topic(
    'plan_trajectory', 'trajectory_msgs/msg/MultiDOFJointTrajectory', PLANS,
    'The plan with times: positions, velocities, force / mass; headings of robots that have one; '
    'empty = brake.', ('planner',), ('follower',), heard=LATCHED,
    keepers=('maze_benchmark',), recorded=True, awaited='publisher')
CANDIDATES = Topic(
    'planner/candidates', 'visualization_msgs/msg/MarkerArray', LATEST, 'The sampled plans.',
    ('planner',), recorded=True)
UNCERTAINTY = Topic(
    'planner/uncertainty', 'visualization_msgs/msg/MarkerArray', LATEST,
    'Discs along the plan, 95 % by the spread of candidates.', ('planner',), recorded=True)
PLANNING_TIME = Topic(
    'planner/planning_time', 'std_msgs/msg/Float64', STANDARD, 'Wall seconds that a plan took.',
    ('planner',), keepers=('maze_benchmark',), recorded=True)
PLANNING_TIME_DETAIL = Topic(
    'planner/planning_time_detail', 'diagnostic_msgs/msg/DiagnosticStatus', STANDARD,
    'Where they went, in ms: route, network, guidance, checks, other; network calls; '
    '`diffused_steps`, the points of `plan` that the network made.', ('planner',),
    recorded=True, awaited='publisher')
TRACKING_ERROR = Topic(
    'follower/tracking_error', 'std_msgs/msg/Float64', STANDARD,
    'Metres between the robot and the plan.', ('follower',), recorded=True)
MARKERS = Topic(
    'maze_sim/markers', 'visualization_msgs/msg/MarkerArray', LATCHED, 'Walls, robot and goal.',
    ('maze_sim',), recorded=True)
CONTACT = Topic(
    'maze_sim/contact', 'std_msgs/msg/Bool', LATCHED, 'Whether the robot touches a wall.',
    ('maze_sim',), ('maze_benchmark',), recorded=True)
EPISODE = Topic(
    'maze_sim/episode', 'std_msgs/msg/UInt32', LATCHED, 'Counts teleports and resets.',
    ('maze_sim',), recorded=True)
RESUME_GOAL = Topic(
    'resume_goal', 'geometry_msgs/msg/PoseStamped', LATCHED,
    'The follower repeats `active_goal`, so that the goal outlives a planner that restarts.',
    ('follower',), ('planner',))
COMMAND_PERIOD = Topic(
    'follower/command_period', 'std_msgs/msg/Float64', RECORDED,
    'Wall seconds since the command before; not in lockstep.', ('follower',),
    keepers=('maze_benchmark',))
PAUSED = Topic(
    'maze_sim/paused', 'std_msgs/msg/Bool', LATCHED,
    'Whether time is paused; while it is, `navigate_to_pose` waits without end for a robot.',
    ('maze_sim',), ('planner',))
INITIAL_POSE = Topic(
    'initialpose', 'geometry_msgs/msg/PoseWithCovarianceStamped', LATEST,
    'Teleports the robot, at rest.', (), ('maze_sim',))
SET_STATE = Topic(
    'maze_sim/set_state', 'nav_msgs/msg/Odometry', LATEST, 'Teleports the robot, with a velocity.',
    ('maze_benchmark',), ('maze_sim',))
RECORDER_READY = Topic(
    'recorder/ready', 'std_msgs/msg/Bool', LATCHED,
    'The recorder hears all that a benchmark with `wait_for_recorder` waits for.', ('recorder',),
    ('maze_benchmark',))

TOPICS = tuple(row for row in list(globals().values()) if isinstance(row, Topic))
COMMANDS = {kind.name: topic for kind in ROBOTS.values() for topic in TOPICS
            if topic.name == kind.command_topic}

GET_PLAN = Service(
    'planner/get_plan', 'nav_msgs/srv/GetPlan', 'planner',
    'A plan between two poses, without driving; empty = refused, reason in the log.')
CLEAR_GOAL = Service('planner/clear_goal', 'std_srvs/srv/Trigger', 'planner',
                     'Forget the goal and brake.', clients=('maze_benchmark',))
REPLAN = Service('planner/replan', 'std_srvs/srv/Trigger', 'planner',
                 'Plan from the next odometry, before the next plan is due.')
COMPUTE_PATH = Service(
    'compute_path_to_pose', 'nav2_msgs/action/ComputePathToPose', 'planner',
    "Where `nav2_msgs` is installed: in place of Nav2's planner server; a newer goal replaces the "
    'one in hand.')
NAVIGATE = Service(
    'navigate_to_pose', 'nav2_msgs/action/NavigateToPose', 'planner',
    "Likewise, in place of Nav2's navigator: drives, tells how far it is, ends at the goal.")
RESET = Service('maze_sim/reset', 'std_srvs/srv/Trigger', 'maze_sim', 'A new random start.')
PAUSE = Service('maze_sim/pause', 'std_srvs/srv/SetBool', 'maze_sim', 'Stop or resume time.')
STEP = Service('maze_sim/step', 'std_srvs/srv/Trigger', 'maze_sim',
               '`steps_per_call` ticks, while paused only.')
GET_MAP = Service('maze_sim/get_map', 'nav_msgs/srv/GetMap', 'maze_sim', 'The map.')

SERVICES = tuple(row for row in list(globals().values()) if isinstance(row, Service))
IN_LOCKSTEP = ('follower', 'maze_sim')  # subscribe with ``Topic.lockstep`` in lockstep
NODES = ('planner', 'follower', 'maze_sim', 'recorder', 'maze_benchmark')


def recorded_topics(robot: str) -> tuple[Topic, ...]:
    """Return what is recorded of a kind of robot: its command first."""
    others = [topic for topic in TOPICS if topic.recorded and topic not in COMMANDS.values()]
    return (COMMANDS[robot], *others)


def interface(node: str) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield (direction, name, type, QoS, description) of all that a node opens."""
    for topic in TOPICS:
        kind = _short(topic.kind) + (f' or {_short(topic.headless)}' if topic.headless else '')
        heard = str(topic.heard or topic.quality)
        if topic.lockstep is not None and node in IN_LOCKSTEP:
            heard += f'; in lockstep {topic.lockstep}'
        if node in topic.keepers:
            yield 'sub', topic.name, kind, str(RECORDING), topic.description
        if node in topic.subscribers:
            yield 'sub', topic.subscriber_name, kind, heard, topic.description
        if node in topic.publishers:
            yield 'pub', topic.publisher_name, kind, str(topic.quality), topic.description
    for service in SERVICES:
        kind = _short(service.kind)
        if node == service.server:
            direction = 'act' if '/action/' in service.kind else 'srv'
            yield direction, service.server_name, kind, '', service.description
        if node in service.clients:
            yield 'client', service.name, kind, '', service.description


def markdown_table() -> str:
    """Return what every node opens as a Markdown table for the documentation."""
    rows = ['| Node | Dir | Name | Type | QoS | Notes |', '|---|---|---|---|---|---|']
    for node in NODES:
        named = f'`{node}`'
        for direction, name, *others in interface(node):
            rows.append(f'| {" | ".join((named, direction, f"`{name}`", *others))} |')
            named = ''
    return '\n'.join(rows) + '\n'


def _short(kind: str) -> str:
    package, _, name = kind.split('/')
    return f'{package}/{name}'
