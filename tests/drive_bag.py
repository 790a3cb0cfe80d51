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

"""Write a bag of a small drive whose numbers are known, without ROS."""

from pathlib import Path

import numpy as np
from rosbags.interfaces import Nodetype
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer
from rosbags.typesys import get_typestore
from rosbags.typesys import Stores

STORE = get_typestore(Stores.ROS2_JAZZY)
DT_S = 0.01
SPEED_MPS = 1.0
OFF_M = 0.03  # beside the plan
GOALS = ((2.0, 1.0), (0.5, 0.5))
TELEPORT_TO = (3.0, 3.0)
RADIUS_M = 0.2
PLANNING_S = 0.025
NS = 1_000_000_000
BEGIN_NS = 1_700_000_000 * NS  # of the recorder's clock
KINDS = {
    'odom': 'nav_msgs/msg/Odometry', 'map': 'nav_msgs/msg/OccupancyGrid',
    'goal_pose': 'geometry_msgs/msg/PoseStamped',
    'plan_trajectory': 'trajectory_msgs/msg/MultiDOFJointTrajectory',
    'planner/planning_time': 'std_msgs/msg/Float64',
    'planner/candidates': 'visualization_msgs/msg/MarkerArray',
    'planner/uncertainty': 'visualization_msgs/msg/MarkerArray',
    '/diagnostics': 'diagnostic_msgs/msg/DiagnosticArray',
}


def make(kind, **fields):
    """Return a message of a type with these fields, the others zero."""
    return STORE.types[kind](**{
        name: fields[name] if name in fields else blank(*description)
        for name, description in STORE.fielddefs[kind][1]})


def blank(node, detail):
    """Return the zero of a field."""
    if node == Nodetype.BASE:
        kind = detail[0]
        return {'string': '', 'bool': False}.get(kind, 0.0 if kind.startswith('float') else 0)
    if node == Nodetype.NAME:
        return make(detail)
    (inner, kind), length = detail  # an array has its length, a sequence begins empty
    basic = inner == Nodetype.BASE and kind[0] != 'string'
    return np.zeros(length if node == Nodetype.ARRAY else 0, kind[0]) if basic else []


def header(time_s, frame_id):
    """Return a header."""
    seconds, nanoseconds = divmod(round(time_s * NS), NS)
    return make('std_msgs/msg/Header', frame_id=frame_id, stamp=make(
        'builtin_interfaces/msg/Time', sec=seconds, nanosec=nanoseconds))


def point(x, y, kind='Point'):
    """Return a point or a vector."""
    return make(f'geometry_msgs/msg/{kind}', x=float(x), y=float(y))


def pose(x, y):
    """Return a pose."""
    return make('geometry_msgs/msg/Pose', position=point(x, y),
                orientation=make('geometry_msgs/msg/Quaternion', w=1.0))


def odometry(time_s, x, y):
    """Return the odometry of a robot that drives along x."""
    twist = make('geometry_msgs/msg/Twist', linear=point(SPEED_MPS, 0.0, 'Vector3'))
    covariance = np.zeros(36)
    return make('nav_msgs/msg/Odometry', header=header(time_s, 'odom'),
                pose=make('geometry_msgs/msg/PoseWithCovariance', pose=pose(x, y),
                          covariance=covariance),
                twist=make('geometry_msgs/msg/TwistWithCovariance', twist=twist,
                           covariance=covariance))


def trajectory(time_s, xs, y):
    """Return a plan along x, a point per step."""
    points = []
    for index, x in enumerate(xs):
        seconds, nanoseconds = divmod(round(index * DT_S * NS), NS)
        points.append(make(
            'trajectory_msgs/msg/MultiDOFJointTrajectoryPoint',
            transforms=[make('geometry_msgs/msg/Transform', translation=point(x, y, 'Vector3'))],
            velocities=[make('geometry_msgs/msg/Twist')],
            time_from_start=make('builtin_interfaces/msg/Duration', sec=seconds,
                                 nanosec=nanoseconds)))
    return make(KINDS['plan_trajectory'], header=header(time_s, 'map'), points=points)


def markers(kind, positions, green=0.0):
    """Return discs along a plan (kind 3), or a line (kind 4)."""
    color = make('std_msgs/msg/ColorRGBA', r=0.5, g=green)
    scale = point(2 * RADIUS_M, 2 * RADIUS_M, 'Vector3')
    if kind == 4:
        return [make('visualization_msgs/msg/Marker', type=4, color=color,
                     points=[point(x, y) for x, y in positions])]
    return [make('visualization_msgs/msg/Marker', type=3, color=color, scale=scale,
                 pose=pose(x, y)) for x, y in positions]


def drive_messages():
    """
    Return (receive time in s, topic, message) of two legs.

    The first: from x = 0 at 1 m/s to the goal at x = 2, planned 3 cm beside, in time. Then a
    teleport, and a goal that is never reached, with one plan that says "brake".
    """
    cells = np.zeros((8, 10), np.int8)
    cells[0] = cells[-1] = 100
    info = make('nav_msgs/msg/MapMetaData', resolution=0.5, width=10, height=8,
                origin=pose(-0.5, -0.5))
    messages = [
        (0.0, 'map', make(KINDS['map'], header=header(5.0, 'map'), info=info,
                          data=cells.ravel())),
        (0.0, '/diagnostics', make(KINDS['/diagnostics'], status=[
            make('diagnostic_msgs/msg/DiagnosticStatus', name='planner: inputs', level=1,
                 message='no map')]))]
    for index in range(301):
        time_s = index * DT_S
        messages.append((time_s, 'odom', odometry(5.0 + time_s, time_s * SPEED_MPS, 1.0 + OFF_M)
                         if index <= 250 else odometry(5.0 + time_s, *TELEPORT_TO)))
    for begin_s in (0.0, 0.5, 1.0):
        xs = begin_s + DT_S * np.arange(round((2.0 - begin_s) / DT_S) + 1)
        messages += [
            (begin_s + 0.001, 'plan_trajectory', trajectory(5.0 + begin_s, xs, 1.0)),
            (begin_s + 0.002, 'planner/uncertainty', make(
                KINDS['planner/uncertainty'], markers=markers(3, [(x, 1.0) for x in xs[::20]]))),
            (begin_s + 0.003, 'planner/candidates', make(
                KINDS['planner/candidates'], markers=[
                    *markers(4, [(begin_s, 1.0), (2.0, 1.0)], 0.9),
                    *markers(4, [(begin_s, 1.0), (2.0, -1.0)])])),
            (begin_s + 0.004, 'planner/planning_time', make(
                KINDS['planner/planning_time'], data=PLANNING_S))]
    messages.append((2.6, 'plan_trajectory', trajectory(7.6, [], 1.0)))
    for time_s, goal in zip((0.0, 2.51), GOALS):
        messages.append((time_s, 'goal_pose', make(
            KINDS['goal_pose'], header=header(0.0, 'map'), pose=pose(*goal))))
    return sorted(messages, key=lambda message: message[0])


def write_bag(path: Path, messages=None, namespace='', plugin=StoragePlugin.MCAP,
              left_out=()) -> Path:
    """Write messages (those of ``drive_messages``) into a bag and return its folder."""
    messages = drive_messages() if messages is None else messages
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        connections = {name: writer.add_connection(
            name if name.startswith('/') else f'{namespace}/{name}', kind, typestore=STORE)
            for name, kind in KINDS.items() if name not in left_out}
        for time_s, name, message in messages:
            if name in connections:
                writer.write(connections[name], BEGIN_NS + round(time_s * NS),
                             STORE.serialize_cdr(message, KINDS[name]))
    return path
