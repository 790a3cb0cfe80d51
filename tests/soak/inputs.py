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
The bad inputs of the soak test, one a line: its name, what is done, what is put right after.

Every function gets the hands and a random number generator, and returns what went wrong in one
sentence, or nothing. A refusal that can be seen at once, of a parameter or of a service, is
expected here; whatever else must not happen, the observer looks for.
"""

from collections.abc import Callable
from dataclasses import dataclass
import math
from pathlib import Path
from random import Random
from tempfile import NamedTemporaryFile
from typing import Any

from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped
from lifecycle_msgs.msg import Transition
from nav_msgs.srv import GetPlan
from rosgraph_msgs.msg import Clock
from soak.fuzz import good_message
from soak.fuzz import spoil
from soak.hands import Hands
from soak.hands import TICK_NS
from std_srvs.srv import SetBool
from std_srvs.srv import Trigger

from df_planner.ros.conversions import ns_to_stamp

NAN, INF, HUGE = math.nan, math.inf, 1e300
WALL, OUTSIDE = (0.0, 0.0), (500.0, 0.0)  # of every maze: the corner of its border; nowhere
HALF_S, HOUR = 500_000_000, 3600 * 10**9
Do = Callable[[Hands, Random], str | None]


@dataclass(frozen=True)
class BadInput:
    """
    Something that should not happen to the graph.

    :param then: what it may have changed for good, to be put right: 'map', 'goal', 'active', or
        'memory', which starts anew with another model.
    """

    name: str
    do: Do
    then: tuple[str, ...] = ()


def _send(topic: str, make: Callable[[Hands], Any], times: int = 1) -> Do:
    return lambda hands, rng: hands.send(topic, make(hands), times)


def _with(make: Callable[[Hands], Any], **changes: Any) -> Callable[[Hands], Any]:
    """Return a maker of the same message, but for some fields: ``info__width=3``."""
    def changed(hands: Hands) -> Any:
        msg = make(hands)
        for path, value in changes.items():
            *owners, name = path.split('__')
            owner = msg
            for part in owners:
                owner = owner[int(part)] if part.isdigit() else getattr(owner, part)
            setattr(owner, name, value)
        return msg
    return changed


def _refused(node: str, name: str, value: Any) -> Do:
    def change(hands: Hands, rng: Random) -> str | None:
        answer = hands.set_parameter(node, name, value)
        accepted = answer is not None and answer[0]
        return f'{node} accepted {name} = {value!r}' if accepted else None
    return change


def _no_checkpoint(hands: Hands, rng: Random) -> str | None:
    with NamedTemporaryFile(suffix='.safetensors') as file:
        Path(file.name).write_bytes(rng.randbytes(1000))
        return _refused('planner', 'checkpoint', file.name)(hands, rng)


def _transition(number: int) -> Do:
    """Return what asks for a transition that an active planner must refuse."""
    def ask(hands: Hands, rng: Random) -> str | None:
        done = hands.change_state(number)
        return f'the active planner made transition {number}' if done else None
    return ask


def _transitions(*numbers: int) -> Do:
    def walk(hands: Hands, rng: Random) -> str | None:
        for number in numbers:
            if hands.change_state(number) is False:
                return f'the planner refused transition {number} of {numbers}'
        return None
    return walk


def _trigger(name: str, times: int = 1, succeeds: bool | None = None) -> Do:
    def call(hands: Hands, rng: Random) -> str | None:
        for _ in range(times):
            response = hands.call(Trigger, name)
            if None not in (response, succeeds) and response.success != succeeds:
                return f'{name}: success = {response.success}, {response.message!r}'
        return None
    return call


def _no_plan(make_start: Callable[[Hands], PoseStamped],
             make_goal: Callable[[Hands], PoseStamped]) -> Do:
    def ask(hands: Hands, rng: Random) -> str | None:
        request = GetPlan.Request(start=make_start(hands), goal=make_goal(hands))
        response = hands.call(GetPlan, 'planner/get_plan', request, patience_s=30.0)
        return 'get_plan found a plan' if response and response.plan.poses else None
    return ask


def _pause(hands: Hands, rng: Random) -> str | None:
    hands.call(SetBool, 'maze_sim/pause', SetBool.Request(data=True))
    hands.spin(rng.uniform(0.2, 2.0))
    answer = hands.call(SetBool, 'maze_sim/pause', SetBool.Request(data=False), attempts=10)
    return 'the simulator stays paused' if answer is None else None


def _flood_of_goals(hands: Hands, rng: Random) -> None:
    x, y = hands.goal_xy or hands.xy
    for _ in range(300):
        hands.send('goal_pose', hands.goal((x + rng.gauss(0.0, 1.0), y + rng.gauss(0.0, 1.0))))


def _reversed_odometry(hands: Hands, rng: Random) -> None:
    for step in range(10, -10, -1):
        hands.send('odom', hands.odometry(step * TICK_NS))


def _decreasing_times(hands: Hands) -> Any:
    msg = hands.trajectory()
    msg.points.reverse()
    return msg


def _jump(time_ns: Callable[[int], int]) -> Do:
    return lambda hands, rng: hands.send(
        '/clock', Clock(clock=ns_to_stamp(max(time_ns(hands.now_ns), 0))))


def _generated(topic: str) -> Do:
    def send(hands: Hands, rng: Random) -> None:
        for _ in range(1 if topic in ('map', 'plan_trajectory') else 10):
            msg = good_message(hands, topic)
            spoil(msg, rng)
            hands.send(topic, msg)
    return send


def _here(hands: Hands) -> PoseStamped:
    return hands.goal(hands.goal_xy or hands.xy)


def _goal(*xy: float, **options: Any) -> Callable[[Hands], PoseStamped]:
    return lambda hands: hands.goal((xy[0], xy[1]), **options)


def _odom(ahead_ns: int = 0, **changes: Any) -> Callable[[Hands], Any]:
    return _with(lambda hands: hands.odometry(ahead_ns), **changes)


def _map(**changes: Any) -> Callable[[Hands], Any]:
    return _with(lambda hands: hands.occupancy_grid(), **changes)


def _plan(ahead_ns: int = 0, points: int = 20, **changes: Any) -> Callable[[Hands], Any]:
    return _with(lambda hands: hands.trajectory(points, ahead_ns), **changes)


def _wrench(x: float, y: float, **options: Any) -> Callable[[Hands], Any]:
    return lambda hands: hands.wrench((x, y), **options)


def _pose(*xy: float, **options: Any) -> Callable[[Hands], Any]:
    return lambda hands: hands.initial_pose((xy[0], xy[1]), **options)


def _cells(value: int) -> Callable[[Hands], Any]:
    def make(hands: Hands) -> Any:
        msg = hands.occupancy_grid()
        msg.data = [value] * len(msg.data)
        return msg
    return make


T = Transition
BAD_INPUTS = (
    BadInput('goal: NaN', _send('goal_pose', _goal(NAN, 0.0))),
    BadInput('goal: infinite', _send('goal_pose', _goal(INF, -INF))),
    BadInput('goal: huge', _send('goal_pose', _goal(HUGE, HUGE))),
    BadInput('goal: outside of the map', _send('goal_pose', _goal(*OUTSIDE))),
    BadInput('goal: in a wall', _send('goal_pose', _goal(*WALL))),
    BadInput('goal: foreign frame', _send('goal_pose', _goal(1.0, -1.0, frame_id='camera'))),
    BadInput('goal: no frame', _send('goal_pose', _goal(1.0, -1.0, frame_id=''))),
    BadInput('goal: stamp zero', _send('goal_pose', _with(_here, header__stamp=Time()))),
    BadInput('goal: stamp an hour ahead', _send('goal_pose', lambda hands: hands.goal(
        hands.goal_xy or hands.xy, stamp_ns=hands.now_ns + HOUR))),
    BadInput('goal: quaternion zero', _send('goal_pose', _with(
        _here, pose__orientation__w=0.0))),
    BadInput('goal: quaternion NaN', _send('goal_pose', _with(
        _here, pose__orientation__z=NAN))),
    BadInput('goal: flood of good ones', _flood_of_goals, ('goal',)),
    BadInput('goal: flood of bad ones', _send('goal_pose', _goal(NAN, NAN), 300)),
    BadInput('goal: flood of the same', _send('goal_pose', _here, 300)),
    BadInput('odom: position NaN', _send('odom', _odom(pose__pose__position__x=NAN))),
    BadInput('odom: velocity infinite', _send('odom', _odom(twist__twist__linear__y=INF))),
    BadInput('odom: position huge', _send('odom', _odom(pose__pose__position__x=HUGE))),
    BadInput('odom: velocity huge', _send('odom', _odom(twist__twist__linear__x=-HUGE))),
    BadInput('odom: in a wall', _send('odom', _odom(
        pose__pose__position__x=WALL[0], pose__pose__position__y=WALL[1]))),
    BadInput('odom: foreign frame', _send('odom', _odom(header__frame_id='camera'))),
    BadInput('odom: no frame', _send('odom', _odom(header__frame_id=''))),
    BadInput('odom: stamp zero', _send('odom', _odom(header__stamp=Time()))),
    BadInput('odom: stamp 0.5 s ago', _send('odom', _odom(-HALF_S))),
    BadInput('odom: stamp an hour ago', _send('odom', _odom(-HOUR))),
    BadInput('odom: stamp 0.5 s ahead', _send('odom', _odom(HALF_S))),
    BadInput('odom: stamp an hour ahead', _send('odom', _odom(HOUR))),
    BadInput('odom: stamps in reverse', _reversed_odometry),
    BadInput('odom: quaternion zero', _send('odom', _odom(pose__pose__orientation__w=0.0))),
    BadInput('odom: flood of NaN', _send('odom', _odom(pose__pose__position__y=NAN), 500)),
    BadInput('map: wrong size', _send('map', _map(info__width=3))),
    BadInput('map: size beyond memory', _send('map', _map(
        info__width=2**31, info__height=2**31))),
    BadInput('map: empty', _send('map', _map(info__width=0, info__height=0, data=[]))),
    BadInput('map: resolution negative', _send('map', _map(info__resolution=-0.1))),
    BadInput('map: resolution zero', _send('map', _map(info__resolution=0.0))),
    BadInput('map: resolution NaN', _send('map', _map(info__resolution=NAN))),
    BadInput('map: origin infinite', _send('map', _map(info__origin__position__x=INF))),
    BadInput('map: lying on its side', _send('map', _map(info__origin__orientation__x=0.7))),
    BadInput('map: foreign frame', _send('map', _map(header__frame_id='camera'))),
    BadInput('map: all occupied', _send('map', _cells(100)), ('map',)),
    BadInput('map: all unknown', _send('map', _cells(-1)), ('map',)),
    BadInput('map: somewhere else', _send('map', _map(info__origin__position__x=1e6)),
             ('map',)),
    BadInput('plan: empty', _send('plan_trajectory', _plan(points=0))),
    BadInput('plan: position NaN', _send('plan_trajectory', _plan(
        points__3__transforms__0__translation__x=NAN))),
    BadInput('plan: acceleration infinite', _send('plan_trajectory', _plan(
        points__0__accelerations__0__linear__x=INF))),
    BadInput('plan: acceleration huge', _send('plan_trajectory', _plan(
        points__0__accelerations__0__linear__x=1e300))),
    BadInput('plan: velocity huge', _send('plan_trajectory', _plan(
        points__0__velocities__0__linear__x=1e300))),
    BadInput('plan: times decrease', _send('plan_trajectory', _decreasing_times)),
    BadInput('plan: negative time', _send('plan_trajectory', _plan(
        points__0__time_from_start__sec=-1))),
    BadInput('plan: points without transforms', _send('plan_trajectory', _plan(
        points__5__transforms=[]))),
    BadInput('plan: foreign frame', _send('plan_trajectory', _plan(header__frame_id='odom'))),
    BadInput('plan: an hour old', _send('plan_trajectory', _plan(-HOUR))),
    BadInput('plan: an hour ahead', _send('plan_trajectory', _plan(HOUR))),
    BadInput('plan: a single point', _send('plan_trajectory', _plan(points=1))),
    BadInput('command: NaN', _send('cmd_wrench', _wrench(NAN, 0.0))),
    BadInput('command: beyond the limits', _send('cmd_wrench', _wrench(1e6, -1e6))),
    BadInput('command: foreign frame', _send('cmd_wrench', _wrench(1.0, 0.0, frame_id='x'))),
    BadInput('command: an hour ahead', _send('cmd_wrench', _wrench(1.0, 0.0, ahead_ns=HOUR))),
    BadInput('command: old', _send('cmd_wrench', _wrench(1.0, 0.0, ahead_ns=-HOUR))),
    BadInput('initialpose: NaN', _send('initialpose', _pose(NAN, 0.0))),
    BadInput('initialpose: in a wall', _send('initialpose', _pose(*WALL))),
    BadInput('initialpose: outside of the maze', _send('initialpose', _pose(*OUTSIDE))),
    BadInput('initialpose: foreign frame', _send('initialpose', _pose(
        1.0, -1.0, frame_id='camera'))),
    BadInput('the robot is carried to (1, -1)', _send('initialpose', _pose(1.0, -1.0))),
    BadInput('set_state: velocity NaN', _send('maze_sim/set_state', _odom(
        twist__twist__linear__x=NAN))),
    BadInput('reset to a random start', _trigger('maze_sim/reset')),
    BadInput('step while running', _trigger('maze_sim/step', succeeds=False)),
    BadInput('pause for up to 2 s', _pause),
    BadInput('clock: back to zero', _jump(lambda now_ns: 0)),
    BadInput('clock: back by 5 s', _jump(lambda now_ns: now_ns - 10 * HALF_S)),
    BadInput('clock: an hour ahead', _jump(lambda now_ns: now_ns + HOUR)),
    BadInput('parameter: text for a number', _refused('planner', 'num_samples', 'many')),
    BadInput('parameter: float for an integer', _refused('planner', 'num_samples', 2.5)),
    BadInput('parameter: NaN', _refused('planner', 'guidance_scale', NAN)),
    BadInput('parameter: below its range', _refused('planner', 'planning_frequency_hz', -1.0)),
    BadInput('parameter: none of the choices', _refused('planner', 'schedule', 'spiral')),
    BadInput('parameter: of a wrong element type', _refused(
        'planner', 'equivalent_frame_ids', [1, 2])),
    BadInput('parameter: unknown', _refused('planner', 'no_such_parameter', 1)),
    BadInput('parameter: read-only', _refused('planner', 'autostart', False)),
    BadInput('parameter: of the follower', _refused('follower', 'position_gain', -1.0)),
    BadInput('checkpoint: no such file', _refused('planner', 'checkpoint', '/no/such/model')),
    BadInput('checkpoint: not a model', _no_checkpoint),
    BadInput('get_plan: goal NaN', _no_plan(_here, _goal(NAN, NAN))),
    BadInput('get_plan: start in a wall', _no_plan(_goal(*WALL), _here)),
    BadInput('get_plan: foreign frame', _no_plan(_goal(1.0, -1.0, frame_id='x'), _here)),
    BadInput('replan: twenty times', _trigger('planner/replan', times=20)),
    BadInput('clear_goal: twice', _trigger('planner/clear_goal', times=2), ('goal',)),
    BadInput('replan: without a goal', lambda hands, rng: (
        _trigger('planner/clear_goal')(hands, rng)
        or _trigger('planner/replan', succeeds=False)(hands, rng)), ('goal',)),
    BadInput('lifecycle: configure while active', _transition(T.TRANSITION_CONFIGURE)),
    BadInput('lifecycle: activate while active', _transition(T.TRANSITION_ACTIVATE)),
    BadInput('lifecycle: clean up while active', _transition(T.TRANSITION_CLEANUP)),
    BadInput('lifecycle: no such transition', _transition(200)),
    BadInput('lifecycle: off and on', _transitions(
        T.TRANSITION_DEACTIVATE, T.TRANSITION_ACTIVATE), ('active', 'goal')),
    BadInput('lifecycle: down and up', _transitions(
        T.TRANSITION_DEACTIVATE, T.TRANSITION_CLEANUP, T.TRANSITION_CONFIGURE,
        T.TRANSITION_ACTIVATE), ('active', 'goal', 'memory')),
    BadInput('any field: goal', _generated('goal_pose'), ('goal',)),
    BadInput('any field: odom', _generated('odom')),
    BadInput('any field: map', _generated('map'), ('map',)),
    BadInput('any field: plan', _generated('plan_trajectory')),
    BadInput('any field: command', _generated('cmd_wrench')),
    BadInput('any field: initialpose', _generated('initialpose')),
)
