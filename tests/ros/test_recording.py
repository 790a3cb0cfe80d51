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


"""Episodes put together by stamps: order, repetition and losses do not matter."""

import numpy as np

from df_planner.nodes.maze_benchmark.recording import EpisodeRecording
from df_planner.planning.plan import Plan

TICK_NS = 10_000_000
START_NS = 7_000_000_000
STATES = np.cumsum(np.ones((11, 4)), axis=0) * [1.0, 2.0, -1.0, 0.5]
ACTIONS = np.stack([np.arange(10.0), -np.arange(10.0)], axis=1)


def stamp(step):
    """Return the stamp of a step."""
    return START_NS + step * TICK_NS


def make_recording():
    """Return a recording of ten steps."""
    return EpisodeRecording(STATES[0], START_NS, 10, TICK_NS, action_size=2)


def test_order_and_repetition_do_not_matter():
    recording = make_recording()
    for step in (3, 1, 1, 2, 10, 4, 5, 9, 8, 7, 6, 10):
        assert recording.add_state(STATES[step], stamp(step))
    for step in (9, 0, 8, 1, 7, 2, 6, 3, 5, 4, 4):
        recording.add_action(ACTIONS[step], stamp(step))
    assert recording.is_complete and recording.missing_states == 0
    assert np.array_equal(recording.states, STATES)
    assert np.array_equal(recording.actions, ACTIONS)


def test_an_episode_may_end_at_its_goal():
    goal = STATES[6, :2]
    recording = EpisodeRecording(STATES[0], START_NS, 10, TICK_NS, action_size=2, goal=goal)
    recording.add_plan(None, stamp(8))
    for step in range(1, 11):
        belongs = recording.add_state(STATES[step], stamp(step))
        assert belongs == (step <= 6) and recording.is_complete == (step >= 6)
        recording.add_action(ACTIONS[step - 1], stamp(step - 1))
    assert np.array_equal(recording.states, STATES[:7])
    assert np.array_equal(recording.actions, ACTIONS[:6]) and recording.plans == []


def test_losses_are_filled_in():
    recording = make_recording()
    for step in (1, 2, 6, 10):
        recording.add_state(STATES[step], stamp(step))
    for step in (2, 5):
        recording.add_action(ACTIONS[step], stamp(step))
    assert recording.missing_states == 6
    assert np.allclose(recording.states, STATES)  # they lie on a line
    assert recording.actions[:, 0].tolist() == [0, 0, 2, 2, 2, 5, 5, 5, 5, 5]


def test_what_is_outside_of_the_episode_does_not_count():
    recording = make_recording()
    assert not recording.add_state(STATES[3], stamp(-1))
    assert not recording.add_state(STATES[3], stamp(11))
    plan = Plan(actions=ACTIONS[:2], states=STATES[:2], dt_s=0.01, goal=np.zeros(2))
    for step in (-1, 10, 5, 0):
        recording.add_plan(plan, stamp(step))
    recording.add_plan(None, stamp(7))
    assert not recording.is_complete
    assert [(step, made is None) for step, made in recording.plans] == [
        (0, False), (5, False), (7, True)]
