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
A recorded drive as arrays in the map frame: what was driven and planned, read from a bag.

Bags are MCAP or SQLite, of rosbag2 or of this package's recorder. No ROS is needed: the message
definitions are in the bag.
"""

from collections import Counter
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from df_planner.data.sources.bag_reader import open_bag
from df_planner.errors import BagError
from df_planner.geometry import headings_of
from df_planner.geometry import is_identity
from df_planner.geometry import ORIENTATION_RULE
from df_planner.geometry import turned
from df_planner.geometry import twist_is_of_robot


@dataclass(frozen=True)
class Occupancy:
    """
    The map.

    :param cells: int8 (H, W), from the lower-left corner: 0 free to 100 occupied, -1 unknown.
    :param origin_m: (2,) that corner.
    """

    cells: np.ndarray
    resolution_m: float
    origin_m: np.ndarray

    @property
    def extent_m(self) -> tuple[float, float, float, float]:
        """Return left, right, bottom and top."""
        (left, bottom), (height, width) = self.origin_m.tolist(), self.cells.shape
        return (left, left + width * self.resolution_m,
                bottom, bottom + height * self.resolution_m)


@dataclass(frozen=True)
class DrivenPlan:
    """
    A published plan; one without points means "brake".

    :param heard_s: when it was published, in the time of the drive.
    :param times_s: (n,) when the robot should be at each point.
    :param states: (n, 4) position and velocity there.
    :param planning_time_s: None if it was not recorded.
    """

    heard_s: float
    times_s: np.ndarray
    states: np.ndarray
    planning_time_s: float | None = None

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.times_s)


@dataclass(frozen=True)
class Discs:
    """Uncertainty of the position along a plan: (n, 2) centres and (n,) radii."""

    heard_s: float
    centres_m: np.ndarray
    radii_m: np.ndarray


@dataclass(frozen=True)
class Candidates:
    """Sampled plans: (n, 2) points of each, and whether it passed the checks."""

    heard_s: float
    lines: Sequence[np.ndarray]
    valid: Sequence[bool]


@dataclass(frozen=True)
class Goal:
    """A goal (2,) and when it was given."""

    heard_s: float
    position_m: np.ndarray


@dataclass(frozen=True)
class Drive:
    """
    A whole drive, every list in the order of time.

    :param times_s: (N,) stamps of the odometry, the time of the drive; rising.
    :param states: (N, 4) position and velocity.
    :param clock_jumps: how often the stamps jumped back; the longest stretch between two is kept.
    :param problems: warnings and errors in the diagnostics: how often, by text.
    """

    times_s: np.ndarray
    states: np.ndarray
    plans: Sequence[DrivenPlan]
    occupancy: Occupancy | None = None
    goals: Sequence[Goal] = ()
    uncertainty: Sequence[Discs] = ()
    candidates: Sequence[Candidates] = ()
    clock_jumps: int = 0
    problems: dict[str, int] = field(default_factory=dict)


NEEDED = {'odom': 'nav_msgs/msg/Odometry',
          'plan_trajectory': 'trajectory_msgs/msg/MultiDOFJointTrajectory'}
READ = NEEDED | {
    'map': 'nav_msgs/msg/OccupancyGrid',
    'goal_pose': 'geometry_msgs/msg/PoseStamped',
    'planner/planning_time': 'std_msgs/msg/Float64',
    'planner/candidates': 'visualization_msgs/msg/MarkerArray',
    'planner/uncertainty': 'visualization_msgs/msg/MarkerArray'}
DIAGNOSTICS = '/diagnostics'
WARN = 1  # of diagnostic_msgs/DiagnosticStatus: this level and those above are problems
STRIP, CYLINDER = 4, 3  # of visualization_msgs/Marker
MIN_STATES = 2

Heard = tuple[float, Any]  # when, in seconds of the recorder's clock, and the message


def read_drive(path: str | Path, namespace: str | None = None,
               on_message: Callable[[int], object] = lambda total: None) -> Drive:
    """
    Read a bag.

    :param path: the folder of the bag, or its .mcap file.
    :param namespace: of the robot, where the bag has several.
    :param on_message: called with the number of messages for every one that was read.
    :raises BagError: if it is no bag, is damaged, or lacks what a report needs.
    """
    path = Path(path)
    heard: dict[str, list[Heard]] = {name: [] for name in READ}
    diagnostics = []
    with open_bag(path) as bag:
        topics = _topics({topic.name: topic.kind for topic in bag.topics}, namespace, path)
        chosen = [topic for topic in bag.topics if topic.name in topics]
        total = sum(topic.count for topic in chosen)
        for topic, time_ns, message in bag.messages(chosen):
            on_message(total)
            if topic.name == DIAGNOSTICS:
                diagnostics.append(message)
            else:
                heard[topics[topic.name]].append((time_ns * 1e-9, message))
    return _drive(path, heard, diagnostics)


def _topics(found: dict[str, str], namespace: str | None, path: Path) -> dict[str, str]:
    """Return what is read as names without namespace, by topic."""
    spaces = sorted(topic.removesuffix('odom') for topic, kind in found.items()
                    if topic.endswith('/odom') and kind == READ['odom'])
    if namespace is not None:
        prefix = f'/{namespace.strip("/")}/'.replace('//', '/')
    elif len(spaces) > 1:
        raise BagError(f'{path}: has several robots, choose one with --namespace: '
                       + ', '.join(space.strip('/') or '/' for space in spaces))
    else:
        prefix = spaces[0] if spaces else '/'
    topics = {prefix + name: name for name, kind in READ.items()
              if found.get(prefix + name) == kind}
    missing = [f'{prefix}{name} ({kind})' for name, kind in NEEDED.items()
               if prefix + name not in topics]
    if missing:
        raise BagError(f'{path}: has no {", no ".join(missing)}; record it with '
                       '`df_planner demo --record`')
    return topics | ({DIAGNOSTICS: DIAGNOSTICS} if DIAGNOSTICS in found else {})


def _drive(path: Path, heard: dict[str, list[Heard]], diagnostics: list) -> Drive:
    """Put the messages in the order of the odometry's time."""
    received_s = np.array([time_s for time_s, _ in heard['odom']])
    stamps_s = np.array([_seconds(m.header.stamp) for _, m in heard['odom']])
    numbers = np.array([_odometry(m) for _, m in heard['odom']]).reshape(-1, 9)
    jumps = np.flatnonzero(np.diff(stamps_s) < 0.0) + 1
    kept = max(np.split(np.arange(len(stamps_s)), jumps), key=len)
    kept = kept[np.insert(np.diff(stamps_s[kept]) > 0.0, 0, True)[:len(kept)]]
    if len(kept) < MIN_STATES:
        raise BagError(f'{path}: has fewer than {MIN_STATES} messages of odometry')
    states = _states(path, numbers[kept])
    begin_s, end_s = received_s[kept[[0, -1]]]
    times_s = stamps_s[kept]

    def during(name: str) -> list[Heard]:
        first = -np.inf if kept[0] == 0 else begin_s
        last = np.inf if kept[-1] == len(stamps_s) - 1 else end_s
        return [(float(np.interp(time_s, received_s[kept], times_s)), message)
                for time_s, message in heard[name] if first <= time_s <= last]

    problems = Counter(f'{status.name}: {status.message}' for message in diagnostics
                       for status in message.status if status.level >= WARN)
    return Drive(
        times_s, states, _plans(during('plan_trajectory'), during('planner/planning_time')),
        _occupancy(path, heard['map'][-1][1]) if heard['map'] else None,
        [Goal(time_s, _xy(m.pose.position)) for time_s, m in during('goal_pose')],
        [_discs(time_s, m) for time_s, m in during('planner/uncertainty')],
        [_candidates(time_s, m) for time_s, m in during('planner/candidates')],
        len(jumps), dict(problems.most_common()))


def _plans(trajectories: list[Heard], durations: list[Heard]) -> list[DrivenPlan]:
    """Return the plans; how long one took is published right after it."""
    plans: list[DrivenPlan] = []
    events = sorted([*((t, 0, m) for t, m in trajectories), *((t, 1, m) for t, m in durations)],
                    key=lambda event: event[:2])
    for time_s, kind, message in events:
        if kind == 0:
            start_s = _seconds(message.header.stamp)
            plans.append(DrivenPlan(
                time_s,
                np.array([start_s + _seconds(p.time_from_start) for p in message.points]),
                np.array([_point(p) for p in message.points]).reshape(-1, 4)))
        elif plans and plans[-1].planning_time_s is None:
            plans[-1] = replace(plans[-1], planning_time_s=float(message.data))
    return plans


def _occupancy(path: Path, message) -> Occupancy:
    info = message.info
    if info.height * info.width != len(message.data) or not info.resolution > 0.0:
        raise BagError(f'{path}: its map has {len(message.data)} cells instead of '
                       f'{info.height} x {info.width}')
    turn = _quaternion(info.origin.orientation)
    if not is_identity(np.array(turn)):
        raise BagError(f'{path}: the orientation of the origin of its map must be the identity, '
                       f'(0, 0, 0, 1), got (x, y, z, w) = {turn}')
    return Occupancy(np.array(message.data, np.int8).reshape(info.height, info.width),
                     round(float(info.resolution), 6), _xy(info.origin.position))


def _discs(time_s: float, message) -> Discs:
    found = [m for m in message.markers if m.type == CYLINDER and m.action == 0]
    return Discs(time_s, np.array([_xy(m.pose.position) for m in found]).reshape(-1, 2),
                 np.array([m.scale.x / 2.0 for m in found]))


def _candidates(time_s: float, message) -> Candidates:
    found = [m for m in message.markers if m.type == STRIP and m.action == 0]
    return Candidates(time_s, [np.array([_xy(p) for p in m.points]) for m in found],
                      [bool(m.color.g > m.color.r) for m in found])


def _seconds(stamp) -> float:
    return stamp.sec + stamp.nanosec * 1e-9


def _xy(point) -> np.ndarray:
    return np.array([point.x, point.y])


def _quaternion(orientation) -> tuple[float, float, float, float]:
    return orientation.x, orientation.y, orientation.z, orientation.w


def _odometry(message) -> tuple[float, ...]:
    """Return position, orientation, twist, and whether that is in the axes of the robot."""
    position, velocity = message.pose.pose.position, message.twist.twist.linear
    return (position.x, position.y, *_quaternion(message.pose.pose.orientation),
            velocity.x, velocity.y, float(twist_is_of_robot(
                message.child_frame_id, (message.header.frame_id,))))


def _states(path: Path, numbers: np.ndarray) -> np.ndarray:
    """Return position and velocity (n, 4) of odometry (n, 9)."""
    if not np.isfinite(numbers).all():
        raise BagError(f'{path}: has odometry that is not finite')
    headings, velocities = headings_of(numbers[:, 2:6]), numbers[:, 6:8]
    bad = np.isnan(headings[:, 0])
    if bad.any():
        raise BagError(f'{path}: has odometry whose {ORIENTATION_RULE}, got (x, y, z, w) = '
                       f'{numbers[bad.argmax(), 2:6].tolist()}')
    velocities = np.where(numbers[:, 8:] == 1.0, turned(velocities, headings), velocities)
    return np.concatenate((numbers[:, :2], velocities), axis=1)


def _point(point) -> tuple[float, float, float, float]:
    position, velocity = point.transforms[0].translation, point.velocities[0].linear
    return position.x, position.y, velocity.x, velocity.y
