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

"""What an action says of a drive and of errors, and poses in any frame; no DDS needed."""

import math
import time
from types import SimpleNamespace

from geometry_msgs.msg import PoseStamped
from geometry_msgs.msg import Quaternion
from geometry_msgs.msg import Transform
from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Odometry
import numpy as np
import pytest
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import Bool

from df_planner.errors import At
from df_planner.errors import ConfigError
from df_planner.errors import FrameError
from df_planner.errors import GoalOccupied
from df_planner.errors import InvalidInput
from df_planner.errors import NoProgress
from df_planner.errors import PlanInCollision
from df_planner.errors import PlanningCancelled
from df_planner.errors import PlanningTimeout
from df_planner.nodes.maze_sim.output import transform_from_odometry
from df_planner.nodes.planner.navigation import Navigation
from df_planner.nodes.planner.navigation import PATIENCE_S
from df_planner.nodes.planner.navigation import PROGRESS_M
from df_planner.nodes.planner.navigation import PROGRESS_S
from df_planner.nodes.planner.single_goal import error_code
from df_planner.nodes.planner.single_goal import fill_error
from df_planner.nodes.planner.transforms import MapFrame
from df_planner.nodes.planner.transforms import TIMEOUT_S
from df_planner.nodes.planner.transforms import transformed
from df_planner.planning.plan import Plan
from df_planner.ros import clock
from df_planner.ros.conversions import check_frame

GOAL = np.array([2.0, 1.0])


class PathCodes:
    """Codes of another distribution than the one at hand: only names are to be relied on."""

    NONE, UNKNOWN, TF_ERROR = 0, 1201, 1203
    GOAL_OCCUPIED, TIMEOUT, NO_VALID_PATH = 1207, 1208, 1209


class FollowCodes:
    """Codes of another server."""

    UNKNOWN, FAILED_TO_MAKE_PROGRESS = 1100, 1105


@pytest.mark.parametrize('error, codes, expected', [
    (GoalOccupied('x'), (PathCodes,), 1207),
    (FrameError('x'), (PathCodes,), 1203),
    (PlanningTimeout('x'), (PathCodes,), 1208),
    (PlanInCollision('x'), (PathCodes,), 1209),  # a reason to have no valid path
    (ConfigError('x'), (PathCodes,), 1201),
    (NoProgress('x'), (PathCodes, FollowCodes), 1105),
    (NoProgress('x'), (PathCodes,), 1201),
    (PlanningCancelled('x'), (PathCodes,), 0),
    (GoalOccupied('x'), (), 0)])
def test_error_codes_are_looked_up_by_name(error, codes, expected):
    assert error_code(error, codes) == expected


def test_a_result_is_filled_as_far_as_it_has_fields():
    jazzy, newer, humble = PathCodes(), PathCodes(), SimpleNamespace()
    jazzy.error_code = newer.error_code = 0
    newer.error_msg = ''
    for result in (jazzy, newer, humble):
        fill_error(result, GoalOccupied('goal ', At(2, 1), ' is inside an obstacle'))
    assert jazzy.error_code == newer.error_code == 1207
    assert newer.error_msg == 'GOAL_OCCUPIED: goal (2.00, 1.00) is inside an obstacle'
    assert not hasattr(jazzy, 'error_msg') and not vars(humble)


def test_progress_is_measured_along_the_plan():
    navigation = Navigation(GOAL, 0.5, 100.0)
    here = np.array([1.0, 1.0])
    without = navigation.progress(103.0, here, None)
    assert (without.driven_s, without.remaining_m, without.remaining_s) == (3.0, 1.0, 0.0)
    states = np.zeros((201, 4))  # 1 m down the rows in 1 s, then 1 m along the columns
    states[:, 0] = 1.0 + np.minimum(np.arange(201), 100) * 0.01
    states[:, 1] = 1.0 - np.maximum(np.arange(201) - 100, 0) * 0.01
    plan = Plan(np.zeros((201, 2)), states, 0.01, states[-1, :2])
    navigation = Navigation(plan.goal, 0.1, 100.0)
    found = navigation.progress(100.5, states[50, :2], plan.shifted(50))
    assert found.remaining_m == pytest.approx(1.5)
    assert found.remaining_s == pytest.approx(1.5, abs=0.02)
    assert not navigation.is_at_goal(states[180, :2])
    assert navigation.is_at_goal(states[195, :2])


def test_a_drive_without_plan_or_input_is_given_up_after_a_while():
    navigation = Navigation(GOAL, 0.5, 0.0)
    reason = PlanningTimeout('too slow')
    navigation.check(1.0, np.zeros(2), reason)
    navigation.check(1.0 + PATIENCE_S - 0.1, np.zeros(2), reason)
    navigation.check(1.0 + PATIENCE_S, np.zeros(2), None)  # well again, just in time
    navigation.check(1.5 + PATIENCE_S, np.zeros(2), reason)
    with pytest.raises(PlanningTimeout):
        navigation.check(1.5 + 2 * PATIENCE_S, np.zeros(2), reason)


def test_a_robot_that_does_not_move_is_given_up():
    navigation = Navigation(GOAL, 0.5, 50.0)
    navigation.check(50.0, np.zeros(2), None)
    navigation.check(50.0 + PROGRESS_S - 0.1, np.array([PROGRESS_M, 0.0]), None)
    navigation.check(50.0 + PROGRESS_S + 1.0, np.array([PROGRESS_M, 0.1]), None)
    assert navigation.progress(61.0, np.zeros(2), None).driven_s == pytest.approx(11.0)
    with pytest.raises(NoProgress):
        navigation.check(50.0 + 2.0 * PROGRESS_S, np.array([PROGRESS_M, 0.2]), None)


def quarter_turn(frame_id='map', child_frame_id='camera'):
    """Return a transform: a quarter turn to the left about z, then (1, 2, 3)."""
    found = TransformStamped(child_frame_id=child_frame_id)
    found.header.frame_id = frame_id
    move, turn = found.transform.translation, found.transform.rotation
    move.x, move.y, move.z = 1.0, 2.0, 3.0
    turn.z = turn.w = math.sqrt(0.5)
    return found


def pose(x, y, frame_id):
    """Return a pose that looks along x."""
    found = PoseStamped()
    found.header.frame_id = frame_id
    found.pose.position.x, found.pose.position.y = x, y
    found.pose.orientation.w = 1.0
    return found


@pytest.mark.parametrize('length', [1.0, 1.05, -1.0])
def test_a_pose_is_transformed(length):
    """By the rotation, whatever the length of its quaternion."""
    turn = quarter_turn()
    turn.transform.rotation.z *= length
    turn.transform.rotation.w *= length
    found = transformed(pose(1.0, 0.5, 'camera'), turn)
    assert found.header.frame_id == 'map'
    at, turn = found.pose.position, found.pose.orientation
    assert (at.x, at.y, at.z) == pytest.approx((0.5, 3.0, 3.0))
    half = math.copysign(math.sqrt(0.5), length)
    assert (turn.x, turn.y, turn.z, turn.w) == pytest.approx((0.0, 0.0, half, half))


def test_a_transform_without_rotation_is_refused():
    with pytest.raises(InvalidInput, match='rotation of the transform'):
        transformed(pose(1.0, 0.5, 'camera'), TransformStamped(
            transform=Transform(rotation=Quaternion(w=0.0))))


def test_the_transform_of_the_robot_is_its_odometry():
    odom = Odometry(child_frame_id='base_link')
    odom.header.frame_id, odom.header.stamp.sec = 'odom', 7
    odom.pose.pose = pose(1.0, -2.0, 'odom').pose
    found = transform_from_odometry(odom, 'base_link')
    assert (found.header.frame_id, found.child_frame_id) == ('odom', 'base_link')
    assert found.header.stamp.sec == 7
    origin = transformed(pose(0.0, 0.0, 'base_link'), found).pose.position
    assert (origin.x, origin.y) == (1.0, -2.0)


class Buffer:
    """Transforms by their source frame, looked up as in tf2's buffer."""

    def __init__(self):
        self.transforms, self.asked = {}, 0
        self.listener, self.is_heard = self, True

    def unregister(self):
        """Stop listening, as tf2's listener does."""
        self.is_heard = False

    def clear(self):
        """Forget all transforms."""
        self.transforms.clear()

    def lookup_transform(self, target, source, when):
        """Return a transform, or fail as tf2 does: with an exception of its own."""
        assert target == 'map' and when.nanoseconds >= 0
        self.asked += 1
        return self.transforms[source]


class Frames:
    """A MapFrame and what it answered."""

    def __init__(self, context, buffer):
        self.node = Node('frames', context=context, enable_rosout=False)
        self._executor = SingleThreadedExecutor(context=context)
        self._executor.add_node(self.node)
        self.frames = MapFrame(self.node, lambda: ('map', 'odom'), buffer)

    def resolve(self, *poses, key='goal'):
        """Ask for poses and return a list that fills with the outcome."""
        outcomes = []
        self.frames.resolve(key, [(pose, 'goal') for pose in poses], outcomes.append)
        return outcomes

    def wait(self, condition, timeout_s=TIMEOUT_S + 5.0):
        """Spin until a condition holds."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline
            self._executor.spin_once(timeout_sec=0.02)

    def close(self):
        """Destroy the node."""
        self.frames.close()
        self._executor.shutdown()
        self.node.destroy_node()


@pytest.fixture
def make_frames(ros_context):
    """Return a function that makes Frames."""
    made = []

    def make(buffer):
        made.append(Frames(ros_context, buffer))
        return made[-1]
    yield make
    for frames in made:
        frames.close()


def test_without_tf2_other_frames_are_refused_at_once(make_frames):
    frames = make_frames(None)
    known, unknown = frames.resolve(pose(1, 2, 'odom')), frames.resolve(pose(1, 2, 'camera'))
    assert known[0].value[0].pose.position.x == 1.0
    assert isinstance(unknown[0].error, FrameError) and 'camera' in str(unknown[0].error)
    with pytest.raises(FrameError, match="must be one of 'map', 'odom', got"):  # each once
        check_frame('camera', ('map', 'map', 'odom'), 'goal')


def test_with_tf2_a_pose_comes_from_any_frame(make_frames):
    buffer = Buffer()
    buffer.transforms['camera'] = quarter_turn()
    frames = make_frames(buffer)
    outcome, = frames.resolve(pose(1.0, 0.5, 'camera'), pose(4.0, 5.0, 'map'))
    camera, in_map = outcome.value
    assert (camera.pose.position.x, camera.pose.position.y) == pytest.approx((0.5, 3.0))
    assert in_map.pose.position.x == 4.0 and buffer.asked == 1


def test_a_transform_may_come_a_little_later_or_never(make_frames):
    buffer = Buffer()
    frames = make_frames(buffer)
    late = frames.resolve(pose(1.0, 0.5, 'camera'))
    frames.wait(lambda: buffer.asked > 2)
    assert late == []
    buffer.transforms['camera'] = quarter_turn()
    frames.wait(lambda: late)
    assert late[0].error is None

    began_s = time.monotonic()
    never = frames.resolve(pose(1.0, 0.5, 'moon'))
    frames.wait(lambda: never)
    assert time.monotonic() - began_s >= TIMEOUT_S
    assert never[0].error.code == 'TF_ERROR' and "'moon' to 'map'" in str(never[0].error)


def test_a_newer_request_replaces_one_that_waits_and_a_cancelled_one_is_forgotten(make_frames):
    buffer = Buffer()
    frames = make_frames(buffer)
    first = frames.resolve(pose(1.0, 0.5, 'camera'))
    second = frames.resolve(pose(1.0, 0.5, 'map'))
    cancelled = frames.resolve(pose(1.0, 0.5, 'camera'), key='other')
    frames.frames.cancel('other')
    buffer.transforms['camera'] = quarter_turn()
    last = frames.resolve(pose(1.0, 0.5, 'camera'), key='last')
    frames.wait(lambda: last)
    assert len(second) == 1 and first == cancelled == []


def test_a_frame_that_is_taken_to_be_the_map_and_is_not_is_named(make_frames):
    buffer = Buffer()
    frames = make_frames(buffer).frames
    frames.check_same('odom')  # nobody says where it is
    buffer.transforms['odom'] = TransformStamped()
    buffer.transforms['odom'].transform.rotation.w = -1.0  # no turn, too
    frames.check_same('odom')
    buffer.transforms['odom'].transform.translation.y = -0.5
    with pytest.raises(FrameError, match="'odom' .* 0.50 m and 0 degrees"):
        frames.check_same('odom')
    buffer.transforms['odom'] = quarter_turn()
    with pytest.raises(FrameError, match='90 degrees'):
        frames.check_same('odom')
    frames.check_same('map')
    make_frames(None).frames.check_same('odom')


def test_transforms_are_forgotten_when_time_jumps_back_and_not_heard_when_closed(make_frames):
    buffer = Buffer()
    buffer.transforms['camera'] = quarter_turn()
    frames = make_frames(buffer)
    frames.frames.forget()
    outcomes = frames.resolve(pose(1.0, 0.5, 'camera'))
    frames.wait(lambda: outcomes)
    assert outcomes[0].error.code == 'TF_ERROR'
    assert buffer.is_heard
    frames.frames.close()
    assert not buffer.is_heard


def test_a_transform_that_is_not_finite_is_refused(make_frames):
    buffer = Buffer()
    buffer.transforms['camera'] = quarter_turn()
    buffer.transforms['camera'].transform.translation.x = math.nan
    outcome, = make_frames(buffer).resolve(pose(1.0, 0.5, 'camera'))
    assert outcome.error.code == 'INVALID_INPUT'


class Time:
    """A node whose simulated time is set by hand, and a wall clock beside it."""

    def __init__(self, context, monkeypatch):
        self.node = Node('patient', context=context, enable_rosout=False)
        self.wall_s = 100.0
        monkeypatch.setattr(clock, 'time', SimpleNamespace(monotonic=lambda: self.wall_s))
        self.node.get_clock()._set_ros_time_is_active(True)  # as with use_sim_time
        self.patience = clock.PatienceClock(self.node)

    def passes(self, wall_s, simulated_s=0.0, may_stand=False):
        """Let time pass; return the seconds of patience that this took."""
        now = self.node.get_clock()
        before_s = self.patience.now_s(may_stand)
        for _ in range(10):
            self.wall_s += wall_s / 10
            now.set_ros_time_override(now.now() + Duration(seconds=simulated_s / 10))
            after_s = self.patience.now_s(may_stand)
        return after_s - before_s


@pytest.fixture
def simulated(ros_context, monkeypatch):
    """Return a simulated time that has not begun."""
    found = Time(ros_context, monkeypatch)
    yield found
    found.node.destroy_node()


def test_patience_is_simulated_while_the_clock_runs_and_of_the_wall_when_it_stands(simulated):
    assert simulated.passes(4.0) == pytest.approx(3.2)  # after more than a second
    assert simulated.patience.fault is None, 'nodes need seconds to find each other'
    simulated.passes(1.5)
    assert simulated.patience.fault == 'use_sim_time is set, but nobody publishes /clock'
    simulated.passes(0.1, 1000.0)  # it begins, and 900 s of it are ahead
    assert simulated.patience.fault is None
    assert simulated.passes(1.0, 5.0) == pytest.approx(5.0)
    assert simulated.passes(5.0, 0.5) == pytest.approx(0.5)
    assert simulated.passes(4.0) == pytest.approx(3.2)
    assert '/clock has stood still for 4 s' in simulated.patience.fault
    assert simulated.passes(0.1, -1000.0) == 0.0  # the simulator starts again
    assert simulated.patience.fault is None


def test_no_patience_is_lost_in_a_pause_that_is_said_or_in_lockstep(simulated):
    simulated.passes(0.1, 10.0)
    assert simulated.passes(60.0, may_stand=True) == 0.0
    simulated.patience._take_paused(Bool(data=True))
    assert simulated.passes(60.0) == 0.0 and simulated.patience.fault is None
    assert simulated.passes(1.0, 3.0) == pytest.approx(3.0)  # steps of a paused simulator
    simulated.patience._take_paused(Bool(data=False))
    assert simulated.passes(20.0) > 10.0 and simulated.patience.fault is not None


def test_without_simulated_time_patience_is_of_the_wall(ros_context):
    node = Node('patient', context=ros_context, enable_rosout=False)
    patience = clock.PatienceClock(node)
    before_s, began_s = patience.now_s(False), time.monotonic()
    time.sleep(0.02)
    assert 0.01 < patience.now_s(False) - before_s < time.monotonic() - began_s + 0.01
    assert patience.fault is None
    node.destroy_node()
