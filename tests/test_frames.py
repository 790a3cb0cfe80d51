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

"""Frames: motion told from where it begins, and the symmetries of robots."""

import numpy as np
import pytest
import torch

from df_planner.data.frames import Frame
from df_planner.data.frames import mirrored
from df_planner.planning.request import reward_in

TURNED = np.array([[3.0, 4.0, 1.0, 0.0, 0.0, 1.0],      # drives along x, heads along y
                   [3.5, 4.0, 1.0, 0.5, -1.0, 0.0]])


def test_a_robot_with_a_heading_begins_at_the_origin_and_heads_along_x():
    inside = Frame.of(TURNED[0], True).states_in(TURNED)
    np.testing.assert_allclose(inside[0], [0.0, 0.0, 0.0, -1.0, 1.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(inside[1], [0.0, -0.5, 0.5, -1.0, 0.0, 1.0], atol=1e-12)


def test_a_point_begins_at_the_origin_and_is_not_turned():
    inside = Frame.of(TURNED[0, :4], False).states_in(TURNED[:, :4])
    np.testing.assert_allclose(inside, [[0.0, 0.0, 1.0, 0.0], [0.5, 0.0, 1.0, 0.5]])


@pytest.mark.parametrize('size', [4, 6])
def test_out_of_a_frame_is_the_way_back(size):
    states = TURNED[:, :size]
    frame = Frame.of(states[1], size == 6)
    np.testing.assert_allclose(frame.states_out(frame.states_in(states)), states, atol=1e-12)


def test_many_frames_at_once_are_those_one_by_one():
    random = np.random.default_rng(0)
    states = random.standard_normal((5, 7, 6))
    states[..., 4:] /= np.linalg.norm(states[..., 4:], axis=-1, keepdims=True)
    together = Frame.of(states[:, 0], True).states_in(states)
    for row, window in zip(together, states):
        np.testing.assert_allclose(row, Frame.of(window[0], True).states_in(window), atol=1e-12)


def test_a_mirrored_point_still_obeys_its_physics():
    """Velocities change by the forces, axis by axis, whatever symmetry was drawn."""
    random = np.random.default_rng(1)
    actions = random.standard_normal((64, 6, 1, 2))
    velocity = np.cumsum(actions[:, :, 0], axis=1)
    states = np.concatenate([np.cumsum(velocity, axis=1), velocity], -1)
    other, forces = mirrored(states, actions, random, is_turned=False)
    np.testing.assert_allclose(np.diff(other[..., 2:], axis=1), forces[:, 1:, 0])
    np.testing.assert_allclose(np.diff(other[..., :2], axis=1), other[:, 1:, 2:])
    assert len({tuple(np.sign(f[0, 0] / a[0, 0]).tolist()) for f, a in zip(forces, actions)}) > 2


def test_a_mirrored_drive_turns_the_other_way():
    """A differential drive on a circle to the left drives one to the right, or the same."""
    angle = 0.1 * np.arange(8)
    states = np.stack([np.sin(angle), 1.0 - np.cos(angle), np.cos(angle), np.sin(angle),
                       np.cos(angle), np.sin(angle)], -1)
    actions = np.tile([1.0, 0.1], (8, 1, 1))
    other, twists = mirrored(np.tile(states, (32, 1, 1)), np.tile(actions, (32, 1, 1, 1)),
                             np.random.default_rng(2), is_turned=True)
    assert set(np.unique(twists[..., 1])) == {-0.1, 0.1}
    for drive, twist in zip(other, twists):
        side = np.sign(twist[0, 0, 1])
        np.testing.assert_allclose(drive, states * [1, side, 1, side, 1, side])


def test_what_is_no_heading_does_not_turn_the_frame():
    """A load and a temperature follow the velocity."""
    states = np.array([[3.0, 4.0, 1.0, 0.5, 7.0, 20.0], [3.5, 4.5, 1.0, 0.5, 8.0, 21.0]])
    frame = Frame.of(states[0], False)
    np.testing.assert_allclose(frame.states_in(states), states - [3.0, 4.0, 0.0, 0.0, 0.0, 0.0])


def test_of_three_actions_without_a_heading_no_symmetry_is_known():
    random = np.random.default_rng(3)
    states, actions = random.standard_normal((4, 5, 4)), random.standard_normal((4, 5, 2, 3))
    assert all(same is given for same, given in zip(
        mirrored(states, actions, random, is_turned=False), (states, actions)))


@pytest.mark.parametrize('size', [4, 5, 6, 7])
def test_a_reward_of_a_plan_in_a_frame_sees_all_columns_in_the_axes_of_the_data(size):
    seen = []
    state = np.array([3.0, 4.0, 1.0, 0.5, 0.6, 0.8, 20.0])[:size]
    frame = Frame.of(state, size >= 6)
    reward = reward_in(frame, lambda states, actions, real: seen.append(states))
    inside = torch.tensor(frame.states_in(state[None]))
    reward(inside[None], torch.zeros(1, 1, 10, 2), torch.ones(1, 1, dtype=torch.bool))
    np.testing.assert_allclose(seen[0][0, 0], state, atol=1e-12)
