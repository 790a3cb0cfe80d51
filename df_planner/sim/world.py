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
The physics of Maze2D: a force-driven ball among walls, on MuJoCo.

A step is D4RL's: clip the action to [-1, 1], clip each velocity to 5 m/s, advance 10 ms. It
depends on the state and the action alone, so a run can be continued from any recorded state.
"""

from collections.abc import Sequence
import math

import mujoco
from mujoco import rollout
import numpy as np

from df_planner.errors import InvalidInput
from df_planner.files import share_path
from df_planner.robots.signals import MAZE2D
from df_planner.sim import lidar
from df_planner.sim.maze import Block
from df_planner.sim.maze import map_to_observation
from df_planner.sim.maze import observation_to_world
from df_planner.sim.movers import Movers
from df_planner.sim.place import Place

MAX_SPEED_MPS = 5.0  # per axis, enforced before a step
WALL_HALF_HEIGHT_M = 0.2
POSITION_DIGITS = 9  # of walls: those of a maze stand at whole numbers, exactly


def build_model(place: Place, blocks: Sequence[Block] = (), movers: Movers | None = None
                ) -> mujoco.MjModel:
    """
    Compile the ball, the walls and what stands or moves between them.

    Contacts are as soft as in MuJoCo 2.0, which D4RL ran on: it gave a body without rotation 2/3
    of today's inverse weight.
    """
    spec = mujoco.MjSpec.from_file(str(share_path('sim/point_mass.xml')))
    wall = spec.find_default('wall')
    for box in place.boxes:
        spec.worldbody.add_geom(
            wall, name=box.name, size=[box.size_m[0] / 2, box.size_m[1] / 2, WALL_HALF_HEIGHT_M],
            pos=[*observation_to_world(box.center).round(POSITION_DIGITS), 0.0],
            quat=[math.cos(box.yaw / 2), 0.0, 0.0, math.sin(box.yaw / 2)])
    for index, block in enumerate(blocks):
        half_m = block.edge_m / 2
        spec.worldbody.add_geom(
            wall, name=f'block_{index}', size=[half_m, half_m, WALL_HALF_HEIGHT_M],
            pos=[*observation_to_world(block.center), 0.0])
    if movers is not None:
        movers.add_to(spec, WALL_HALF_HEIGHT_M)
    model = spec.compile()
    ball = model.body('ball').id
    model.body_invweight0[ball, 0] = 2.0 / (3.0 * model.body_mass[ball])
    return model


class World:
    """
    One ball in a place. States (4,) are (row, column, row velocity, column velocity).

    :param blocks: obstacles that stand there besides the walls.
    :param movers: obstacles that move.
    """

    signals = MAZE2D

    def __init__(self, place: Place, blocks: Sequence[Block] = (), movers: Movers | None = None):
        self.place = place
        self.movers = movers
        self._model = build_model(place, blocks, movers)
        self._data = mujoco.MjData(self._model)
        if movers is not None:
            movers.bind(self._model, lambda positions: np.pad(
                observation_to_world(positions), ((0, 0), (0, 1))))

    @property
    def state(self) -> np.ndarray:
        """Return a copy of the state in the observation frame, (4,)."""
        return np.concatenate((self._data.qpos, self._data.qvel))

    @property
    def in_contact(self) -> bool:
        """Tell whether the ball touched a wall in the last step (or touches it after a set)."""
        return self._data.ncon > 0

    @property
    def touches_mover(self) -> bool:
        """Tell whether the ball touched an obstacle that moves in the last step."""
        return self.movers is not None and self.movers.are_touched(self._data)

    def ranges(self) -> np.ndarray:
        """Return what a lidar on the ball measures (see ``lidar.ranges``); it does not turn."""
        angles = lidar.bearings()
        directions = map_to_observation(np.stack([np.cos(angles), np.sin(angles)], axis=-1))
        return lidar.ranges(self._model, self._data, self._data.body('ball').xpos, directions,
                            'ball')

    def set_state(self, state: Sequence[float] | np.ndarray) -> None:
        """Put the ball into a state (4,)."""
        state = finite(state, (4,), 'state')
        self._data.qpos[:] = state[:2]
        self._data.qvel[:] = state[2:]
        if self.movers is not None:
            self.movers.place_in(self._data)
        mujoco.mj_forward(self._model, self._data)

    def step(self, action: Sequence[float] | np.ndarray) -> np.ndarray:
        """Apply an action (2,), clipped to [-1, 1], for 10 ms and return the new state (4,)."""
        action = finite(action, (2,), 'action')
        if self.movers is not None:
            self.movers.advance(self.signals.dt_s, self._data.qpos, self.signals.robot_radius_m,
                                float(np.linalg.norm(self._data.qvel)))
            self.movers.place_in(self._data)
        return np.array(self.advance(float(action[0]), float(action[1])))

    def advance(self, row_action: float, column_action: float) -> list[float]:
        """Step in plain floats, unchecked: what the inner loop of the data generator calls."""
        control, velocity = self._data.ctrl, self._data.qvel  # never kept: a copy has its own
        control[0] = min(max(row_action, -1.0), 1.0)
        control[1] = min(max(column_action, -1.0), 1.0)
        row_velocity, column_velocity = velocity.tolist()
        if abs(row_velocity) > MAX_SPEED_MPS:
            velocity[0] = MAX_SPEED_MPS if row_velocity > 0 else -MAX_SPEED_MPS
        if abs(column_velocity) > MAX_SPEED_MPS:
            velocity[1] = MAX_SPEED_MPS if column_velocity > 0 else -MAX_SPEED_MPS
        mujoco.mj_step(self._model, self._data)
        return self._data.qpos.tolist() + velocity.tolist()


class BatchWorld:
    """
    Many balls in copies of one place, stepped together; equal to as many ``World`` bit for bit.

    :param num_worlds: number of balls N.
    :param num_threads: threads that share the work; 0 steps in the calling thread.
    """

    def __init__(self, place: Place, num_worlds: int, num_threads: int = 0):
        self.num_worlds = num_worlds
        self._model = build_model(place)
        self._datas = [mujoco.MjData(self._model) for _ in range(max(num_threads, 1))]
        self._rollout = rollout.Rollout(nthread=num_threads)
        size = mujoco.mj_stateSize(self._model, mujoco.mjtState.mjSTATE_FULLPHYSICS)
        self._physics = np.zeros((num_worlds, size))  # time, position (2), velocity (2)
        self._result = np.zeros((num_worlds, 1, size))

    @property
    def states(self) -> np.ndarray:
        """Return a copy of the balls' states in the observation frame, (N, 4)."""
        return self._physics[:, 1:5].copy()

    def set_states(self, states: np.ndarray) -> None:
        """Put every ball into its state, (N, 4)."""
        self._physics[:, 1:5] = finite(states, (self.num_worlds, 4), 'states')

    def step(self, actions: np.ndarray) -> np.ndarray:
        """Apply actions (N, 2), clipped to [-1, 1], for 10 ms and return the new states (N, 4)."""
        actions = np.clip(finite(actions, (self.num_worlds, 2), 'actions'), -1.0, 1.0)
        velocities = self._physics[:, 3:5]
        np.clip(velocities, -MAX_SPEED_MPS, MAX_SPEED_MPS, out=velocities)
        self._rollout.rollout(
            self._model, self._datas, self._physics, actions[:, None], nstep=1,
            state=self._result)
        self._physics[:] = self._result[:, 0]
        return self.states


def finite(value: Sequence[float] | np.ndarray, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Return the value as a float64 array of the given shape; InvalidInput if it is not one."""
    array = np.asarray(value, dtype=np.float64)
    if array.shape != shape:
        raise InvalidInput(f'{name} must have shape {shape}, got {array.shape}')
    if not np.isfinite(array).all():
        raise InvalidInput(f'{name} must be finite, got {array}')
    return array
