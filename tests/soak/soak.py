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
The soak test: drive, disturb, kill, and have it watched.

One process per node under test, one for the observer; this one publishes goals, does what the
schedule says, and writes ``events.jsonl`` and ``memory.csv`` as things happen.
"""

from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
import json
import math
from pathlib import Path
from random import Random
import time

from lifecycle_msgs.msg import State
import rclpy
from rclpy.signals import SignalHandlerOptions
from soak.checks import Limits
from soak.hands import Hands
from soak.inputs import BAD_INPUTS
from soak.processes import Processes
from soak.schedule import Event
from soak.schedule import KILL

from df_planner.errors import WaitTimeout

STARTUP_S = 180.0
REACHED_M = 0.5
DWELL_S = 0.5  # at a goal before the next
GOAL_DEADLINE_S = 60.0  # of driving with an active planner
RESUME_S = 10.0  # within which a planner that was restarted goes on by itself
POLL_S = 1.0
INPUTS = {bad.name: bad for bad in BAD_INPUTS}
PLANNER = 'planner'


class Journal:
    """Events, one line each, with the seconds since the start of the run."""

    def __init__(self, folder: Path):
        """Open the files of a new run."""
        self._events = open(folder / 'events.jsonl', 'w', encoding='utf-8')
        self._memory = open(folder / 'memory.csv', 'w', encoding='utf-8')
        self._memory.write('seconds,process,life,mb\n')
        self.started = time.time()
        self.violations = 0
        self.add('start', time=self.started)

    def seconds(self) -> float:
        """Return the time of the run."""
        return time.time() - self.started

    def add(self, kind: str, **values: object) -> None:
        """Keep an event."""
        self.violations += kind == 'violation'
        self._events.write(json.dumps({'seconds': round(self.seconds(), 2), 'kind': kind,
                                       **values}) + '\n')
        self._events.flush()

    def add_memory(self, memory_mb: dict[str, float], lives: dict[str, int]) -> None:
        """Keep how much memory every process has."""
        for name, mb in memory_mb.items():
            self._memory.write(f'{self.seconds():.1f},{name},{lives[name]},{mb:.3f}\n')
        self._memory.flush()

    def close(self) -> None:
        """Close the files."""
        self._events.close()
        self._memory.close()


@dataclass
class Errand:
    """The goal in hand: since when, how long an active planner had it, when it was reached."""

    xy: tuple[float, float]
    waited_s: float = 0.0
    active_s: float = 0.0
    reached_at_s: float | None = None


class Soak:
    """
    One run.

    :param processes: of the graph, not yet started.
    :param goals: (x, y) in the map, as many as are asked for.
    """

    def __init__(self, processes: Processes, goals: Iterator[tuple[float, float]],
                 folder: Path):
        """Open the journal."""
        self.journal = Journal(folder)
        self.reached = self.kills = self.inputs = 0
        self._processes = processes
        self._goals = goals
        self._folder = folder
        self._errand: Errand | None = None
        self._active = False
        self._state_due_s = self._memory_due_s = 0.0
        self._resume_at_s: float | None = None

    def run(self, schedule: list[Event], duration_s: float,
            on_second: Callable[[float], None] = lambda seconds: None) -> None:
        """
        Drive for so long, or until a KeyboardInterrupt, and stop the processes.

        :raises WaitTimeout: if the graph does not start.
        """
        context = rclpy.Context()
        rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)
        hands = None
        try:
            hands = self._hands = Hands(context)
            self._start()
            self._drive(list(schedule), duration_s, on_second)
            self.journal.add('end')
        finally:
            self._processes.stop()
            for name in self._processes.tracebacks():
                self.journal.add('violation', check='crash', what=f'a traceback in logs/{name}')
            self.journal.close()
            if hands is not None:
                hands.close()
            rclpy.shutdown(context=context)

    def _start(self) -> None:
        for name in self._processes.names:
            self._processes.start(name)
        self.journal.add('starting', processes=self._processes.names)
        end_s = time.monotonic() + STARTUP_S
        while not self._active or self._hands.odom is None or self._hands.map_true is None:
            if self._processes.ended() or time.monotonic() > end_s:
                raise WaitTimeout(f'the graph did not start within {STARTUP_S:.0f} s; see '
                                  f'{self._folder / "logs"}')
            self._hands.spin(0.2)
            self._look_at_state()
            if self._hands.odom is not None and self._hands.map_true is None:
                self._hands.learn_map()
        limits = self._hands.read_parameters(
            'follower', ['max_force_n', 'plan_timeout_s', 'odom_timeout_s'])
        known = {name: value for name, value in limits.items() if value is not None}
        self.journal.add('limits', **{**vars(Limits()), **known})
        self._processes.add_observer(journal=self._folder / 'observed.jsonl', **known)
        self._hands.spin(3.0)

    def _drive(self, schedule: list[Event], duration_s: float,
               on_second: Callable[[float], None]) -> None:
        begin_s = last_s = time.monotonic()
        while ((now_s := time.monotonic()) - begin_s < duration_s or self._errand is not None
               or self._resume_at_s is not None):
            self._look_at_processes()
            self._look_at_state()
            if self._errand is None and self._active:  # nobody hears a goal without a planner
                self._errand = self._set_out()
            if self._errand is not None:
                self._pursue(self._errand, now_s - last_s)
            last_s = now_s
            if schedule and schedule[0].at_s <= now_s - begin_s and self._may(schedule[0]):
                self._do(schedule.pop(0))
                last_s = time.monotonic()  # what the disturbance took does not count
            on_second(now_s - begin_s)
            self._hands.spin(0.02)

    # Goals

    def _set_out(self) -> Errand:
        self._errand = errand = Errand(next(self._goals))
        self._hands.goal_xy = errand.xy
        self._send_goal('goal')
        return errand

    def _pursue(self, errand: Errand, elapsed_s: float) -> None:
        """Wait for the robot to get to the goal."""
        now_s = time.monotonic()
        if errand.reached_at_s is not None:
            if now_s - errand.reached_at_s > DWELL_S:
                self._errand = None
        elif math.dist(self._hands.xy, errand.xy) <= REACHED_M:
            errand.reached_at_s = now_s
            self.reached += 1
            self.journal.add('reached', goal=errand.xy, active_s=round(errand.active_s, 2))
        else:
            errand.waited_s += elapsed_s
            errand.active_s += elapsed_s * self._active
            self._resume(now_s)
            if errand.active_s > GOAL_DEADLINE_S:
                self._give_up(errand, 'goal', f'was not reached in {GOAL_DEADLINE_S:.0f} s')
            elif errand.waited_s - errand.active_s > STARTUP_S:
                self._give_up(errand, 'restart', f'waited {STARTUP_S:.0f} s for an active planner')

    def _give_up(self, errand: Errand, check: str, what: str) -> None:
        self.journal.add('violation', check=check, what=(
            f'goal {errand.xy} {what}; the robot is at {self._hands.xy}'))
        self._errand = None

    def _send_goal(self, why: str) -> None:
        if self._errand is not None and self._errand.reached_at_s is None:
            self._hands.send('goal_pose', self._hands.goal(self._errand.xy, stamp_ns=0))
            self.journal.add(why, goal=self._errand.xy)

    def _resume(self, now_s: float) -> None:
        """See whether a planner that was restarted goes on by itself; else tell it the goal."""
        if self._resume_at_s is None or not self._active:
            return
        if self._hands.planned_at_s > self._resume_at_s:
            self.journal.add('resumed')
            self._resume_at_s = None
        elif now_s > self._resume_at_s + RESUME_S:
            self.journal.add('violation', check='resumption', what=(
                f'a restarted planner did not go on by itself in {RESUME_S:.0f} s'))
            self._send_goal('goal sent again after a restart')
            self._resume_at_s = None

    # Events

    def _may(self, event: Event) -> bool:
        """Tell whether it is time for an event: to kill the planner, once its goal outlives it."""
        return event.name != KILL or (
            self._errand is not None and self._errand.reached_at_s is None
            and self._resume_at_s is None and self._hands.kept_goal_xy == self._errand.xy)

    def _do(self, event: Event) -> None:
        if event.name == KILL:
            self.kills += 1
            self.journal.add(KILL, life=self._processes.lives[PLANNER])
            self._processes.kill(PLANNER)
            self._restart(PLANNER)
        elif self._active or event.name.split(':')[0] not in ('lifecycle', 'get_plan'):
            self._disturb(event)

    def _disturb(self, event: Event) -> None:
        bad = INPUTS[event.name]
        self.inputs += 1
        self.journal.add('input', name=bad.name, seed=event.seed)
        was_active = self._active
        complaint = bad.do(self._hands, Random(event.seed))
        if complaint and was_active:
            self.journal.add('violation', check='refusal', what=f'{bad.name}: {complaint}')
        if 'active' in bad.then:
            self._hands.make_active()
        if 'memory' in bad.then:
            self._processes.lives[PLANNER] += 1
        if 'map' in bad.then:
            self._hands.send('map', self._hands.occupancy_grid())
        if 'goal' in bad.then:
            self._send_goal('goal sent again after an input')

    def _restart(self, name: str) -> None:
        self._processes.start(name)
        if name == PLANNER:
            self._active, self._resume_at_s = False, math.inf

    def _look_at_processes(self) -> None:
        for name, code in self._processes.ended():
            self.journal.add('violation', check='crash',
                             what=f'{name} ended by itself with exit code {code}')
            self._restart(name)
        if time.monotonic() >= self._memory_due_s:
            self._memory_due_s = time.monotonic() + POLL_S
            self.journal.add_memory(self._processes.memory_mb(), self._processes.lives)

    def _look_at_state(self) -> None:
        """Learn whether the planner is active; a restarted one may resume from then on."""
        if time.monotonic() < self._state_due_s:
            return
        self._state_due_s = time.monotonic() + (POLL_S if self._active else 0.2)
        self._active = self._hands.planner_state() == State.PRIMARY_STATE_ACTIVE
        if self._active and self._resume_at_s == math.inf:
            self._resume_at_s = time.monotonic()
            self.journal.add('planner back')
