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
A place with a clock: what a simulator is, apart from how it is talked to.

Time counts in whole nanoseconds and never goes back. Every new episode (reset or teleport) jumps
ahead by one second, so that nothing stamped before can be taken for current.
"""

from collections import deque
from dataclasses import dataclass
import math

import numpy as np

from df_planner.errors import At
from df_planner.errors import ConfigError
from df_planner.errors import InvalidInput
from df_planner.errors import StaleInput
from df_planner.errors import StartOccupied
from df_planner.errors import StartOutsideMap
from df_planner.maps.grid import GridMap
from df_planner.robots.kinds import POINT
from df_planner.robots.signals import PLANAR_SIZE
from df_planner.sim.lidar import local_costmap
from df_planner.sim.maze import observation_to_map
from df_planner.sim.movers import Movers
from df_planner.sim.place import Place
from df_planner.sim.robots import RobotWorld
from df_planner.sim.robots import simulated_robot
from df_planner.sim.robots import SimulatedRobot

NS_PER_S = 1_000_000_000
EPISODE_GAP_NS = NS_PER_S


@dataclass(frozen=True)
class SessionSettings:
    """
    How commands act.

    :param robot: kind of the robot; a command is an action (A,) of it, in its units.
    :param velocity_gain: if there is one, a command is a velocity (2,) in m/s instead, and the
        action is ``velocity_gain * (command - velocity)``; for a robot that takes forces.
    :param cmd_timeout_s: a command older than this is stale; once in force this long it becomes
        zero. 0 keeps commands for ever, whatever their age.
    :param command_delay_s: time between a command and its effect.
    :param action_noise_std: standard deviation of Gaussian noise on the action, as a share of its
        limits.
    :param seed: of the noise, of the starts after a reset and of what moves.
    :param moving_obstacles: how many there are.
    :param moving_obstacle_speed_mps: the highest speed of one.
    """

    robot: str = POINT.name
    velocity_gain: float | None = None
    cmd_timeout_s: float = 0.5
    command_delay_s: float = 0.0
    action_noise_std: float = 0.0
    seed: int = 0
    moving_obstacles: int = 0
    moving_obstacle_speed_mps: float = 0.5

    def __post_init__(self):
        for name in ('velocity_gain', 'cmd_timeout_s', 'command_delay_s', 'action_noise_std'):
            if getattr(self, name) is not None and not getattr(self, name) >= 0.0:
                raise ConfigError(f'{name} must be 0 or more, got {getattr(self, name)}')


class Session:
    """One robot, its clock, and the command in force."""

    def __init__(self, place: Place, settings: SessionSettings = SessionSettings()):
        """Start the first episode at a random start."""
        self.place = place
        self._robot = simulated_robot(settings.robot)
        self.world = self._robot.world(place, movers=Movers(
            place, settings.moving_obstacles, settings.moving_obstacle_speed_mps,
            settings.seed) if settings.moving_obstacles else None)
        self.tick_ns = round(self.world.signals.dt_s * NS_PER_S)
        self.time_ns = 0
        self.episode = 0
        self._settings = settings
        self._timeout_ns = round(settings.cmd_timeout_s * NS_PER_S)
        self._delay_ns = round(settings.command_delay_s * NS_PER_S)
        self._rng = np.random.default_rng(settings.seed)
        self._commands: deque[tuple[int, np.ndarray]] = deque()  # (time of effect, command)
        self.reset()

    @property
    def state(self) -> np.ndarray:
        """Return the present state, (S,)."""
        return self.world.state

    @property
    def ticks(self) -> int:
        """Return how many ticks long the time is by now."""
        return self.time_ns // self.tick_ns

    @property
    def goal(self) -> np.ndarray:
        """Return the goal of the place, (2,), in the axes of the states."""
        return self._robot.from_maze(self.place.goal)

    def local_map(self) -> tuple[np.ndarray, GridMap]:
        """Return what a lidar measures now, (RAYS,), and the local map that this makes."""
        return local_map(self.world, self._robot)

    def command(self, command: np.ndarray, stamp_ns: int = 0) -> None:
        """
        Take a command of shape (A,), in force until the next one or the timeout.

        A command that answers an observation of the episode before is dropped; that is no error
        within the timeout, because new observations may still be on their way.

        :param stamp_ns: time of the observation it answers; 0 means now.
        :raises StaleInput: for a stamp in the future or beyond the timeout; nothing changes.
        """
        command = np.asarray(command, np.float64)
        size = self.world.signals.action_size
        if command.shape != (size,) or not np.isfinite(command).all():
            raise InvalidInput(f'command must be {size} finite numbers, got {command.tolist()}')
        age_ns = self.time_ns - stamp_ns if stamp_ns else 0
        if age_ns < 0:
            raise StaleInput(f'command: stamped {-age_ns / NS_PER_S:.3f} s in the future')
        began_ns = self._began_ns
        if 0 < stamp_ns < began_ns and self.time_ns - began_ns < self._timeout_ns:
            return
        if self._timeout_ns and age_ns >= self._timeout_ns:
            raise StaleInput(f'command: {age_ns / NS_PER_S:.3f} s old, timeout '
                             f'{self._settings.cmd_timeout_s} s')
        self._commands.append((self.time_ns + self._delay_ns, command))

    def step(self) -> np.ndarray:
        """Advance by one tick under the command in force; return the state (S,)."""
        action, settings = self._command_in_force(), self._settings
        if settings.velocity_gain is not None:
            action = settings.velocity_gain * (action - self.world.state[2:4])
        if settings.action_noise_std > 0.0:
            limits = np.array(self.world.signals.action_limits)
            noise = settings.action_noise_std * self._rng.standard_normal(len(limits))
            action = np.clip(action, -limits, limits) + limits * noise
        self.time_ns += self.tick_ns
        return self.world.step(action)

    def teleport(self, state: np.ndarray) -> None:
        """
        Start an episode in a state (S,).

        :raises InvalidInput: for a state that is not S finite numbers.
        :raises StartOutsideMap, StartOccupied: for a position outside the place or in a wall.
        """
        state = np.asarray(state, np.float64)
        size = self.world.signals.observation_size
        if state.shape != (size,) or not np.isfinite(state).all():
            raise InvalidInput(f'state must be {size} finite numbers, got {state.tolist()}')
        position = self._robot.to_maze(state[:2])
        if not self.place.grid.contains(observation_to_map(position)):
            raise StartOutsideMap('the start ', At(*state[:2]), f' is outside of {self.place}')
        if self.place.is_wall(position):
            raise StartOccupied('the start ', At(*state[:2]), f' is inside a wall of {self.place}')
        if self.world.movers is not None:
            self.world.movers.start(position[None], self._settings.seed + self.episode)
        self.world.set_state(state)
        self._commands.clear()
        self.time_ns += EPISODE_GAP_NS
        self._began_ns = self.time_ns
        self.episode += 1

    def reset(self) -> None:
        """Start an episode as D4RL does: near a random cell, a point almost at rest."""
        self.teleport(self._robot.start(self.place.draw_position(self._rng), self._rng))

    def _command_in_force(self) -> np.ndarray:
        """Return the newest command (A,) that has taken effect and has not timed out, or zero."""
        while len(self._commands) > 1 and self._commands[1][0] <= self.time_ns:
            self._commands.popleft()
        if not self._commands or self._commands[0][0] > self.time_ns:
            return np.zeros(self.world.signals.action_size)
        since_ns, command = self._commands[0]
        timed_out = self._timeout_ns and self.time_ns - since_ns >= self._timeout_ns
        return np.zeros_like(command) if timed_out else command


def local_map(world: RobotWorld, robot: SimulatedRobot) -> tuple[np.ndarray, GridMap]:
    """Return what a lidar on a robot measures, (RAYS,), and the local map, in map axes."""
    ranges_m, state = world.ranges(), world.state
    yaw = math.atan2(state[5], state[4]) if len(state) > PLANAR_SIZE else 0.0
    return ranges_m, local_costmap(ranges_m, observation_to_map(robot.to_maze(state[:2])), yaw)
