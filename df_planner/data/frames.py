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
Frames: a model knows a robot, not a place, so motion is told from where it begins.

A frame has its origin at a position and, for a robot with a heading, its first axis along it.
Training moves every window into the frame of its first pose, planning moves the task into the
frame of the robot and the plan back.
"""

from dataclasses import dataclass

import numpy as np

from df_planner.geometry import turned

PLANAR = slice(0, 2), slice(2, 4), slice(4, 6)  # position, velocity, heading


@dataclass(frozen=True)
class Frame:
    """
    A frame of the plane, or B of them.

    :param origin: ([B,] 2) in the axes of the data.
    :param axis: ([B,] 2) unit vector, the first axis of the frame in those of the data.
    """

    origin: np.ndarray
    axis: np.ndarray

    @classmethod
    def of(cls, state: np.ndarray, has_heading: bool) -> 'Frame':
        """Return the frame of states ([B,] S); it is turned by their heading, if they have one."""
        if not has_heading:
            axis = np.broadcast_to(np.array([1.0, 0.0], state.dtype), state[..., :2].shape)
        else:
            heading = state[..., PLANAR[2]]
            axis = heading / np.linalg.norm(heading, axis=-1, keepdims=True).clip(1e-6)
        return cls(state[..., PLANAR[0]].copy(), axis)

    @property
    def matrix(self) -> np.ndarray:
        """Return the (2, 2) matrix that turns the axes of one frame into those of the data."""
        cos, sin = self.axis
        return np.array([[cos, -sin], [sin, cos]])

    def states_in(self, states: np.ndarray) -> np.ndarray:
        """Return states ([B,] T, S) of the data in the frame."""
        states = states.copy()
        states[..., PLANAR[0]] -= self.origin[..., None, :]
        return self._turned(states, self.axis * np.array([1.0, -1.0], states.dtype))

    def states_out(self, states: np.ndarray) -> np.ndarray:
        """Return states ([B,] T, S) of the frame in the axes of the data."""
        states = self._turned(states.copy(), self.axis)
        states[..., PLANAR[0]] += self.origin[..., None, :]
        return states

    def points_in(self, points: np.ndarray) -> np.ndarray:
        """Return positions ([N,] 2) of the data in one frame."""
        return (np.asarray(points, float) - self.origin) @ self.matrix

    def points_out(self, points: np.ndarray) -> np.ndarray:
        """Return positions ([N,] 2) of one frame in the axes of the data."""
        return np.asarray(points, float) @ self.matrix.T + self.origin

    @staticmethod
    def _turned(states: np.ndarray, axis: np.ndarray) -> np.ndarray:
        """Turn states ([B,] T, S), in place, from a frame with this axis ([B,] 2)."""
        for columns in PLANAR:
            if columns.stop <= states.shape[-1]:
                states[..., columns] = turned(states[..., columns], axis[..., None, :])
        return states


def mirrored(states: np.ndarray, actions: np.ndarray, random: np.random.Generator,
             is_turned: bool) -> tuple[np.ndarray, np.ndarray]:
    """
    Draw a symmetry of the robot for each of B windows in their frames; return states and actions.

    :param states: (B, T, S) and ``actions`` (B, T, n, A).
    :param is_turned: the robot has a heading: left and right are exchanged or not. Else two
        actions push along the two axes, which are swapped and mirrored; of other actions no
        symmetry is known.
    """
    if not is_turned and actions.shape[-1] != 2:
        return states, actions
    states, actions = states.copy(), actions.copy()
    count = len(states)
    if is_turned:
        flip = np.where(random.random(count) < 0.5, -1.0, 1.0).astype(states.dtype)[:, None]
        for columns in PLANAR:
            states[..., columns.start + 1] *= flip
        actions[..., 1:] *= flip[..., None, None]  # to the left, and turning to the left
        return states, actions
    signs = np.where(random.random((count, 2)) < 0.5, -1.0, 1.0).astype(states.dtype)
    swap = random.random(count) < 0.5
    for vectors in (states[..., :2], states[..., 2:4], actions):
        shape = (count,) + (1,) * (vectors.ndim - 2) + (2,)
        vectors *= signs.reshape(shape)
        vectors[swap] = vectors[swap][..., ::-1]
    return states, actions
