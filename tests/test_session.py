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


"""The simulator's clock and commands, without ROS."""

import numpy as np
import pytest

from df_planner.errors import ConfigError
from df_planner.errors import InvalidInput
from df_planner.errors import StaleInput
from df_planner.errors import StartOccupied
from df_planner.errors import StartOutsideMap
from df_planner.sim.maze import load_maze
from df_planner.sim.session import Session
from df_planner.sim.session import SessionSettings
from df_planner.sim.world import World

MAZE = load_maze('umaze')
TICK_NS = 10_000_000
START = np.array([1.0, 1.0, 0.0, 0.0])


def make_session(**settings):
    """Return a session at START."""
    session = Session(MAZE, SessionSettings(**settings))
    session.teleport(START)
    return session


def test_steps_are_those_of_the_world():
    session, world = make_session(), World(MAZE)
    world.set_state(START)
    for action in np.random.default_rng(0).uniform(-1.0, 1.0, (100, 2)):
        session.command(action, session.time_ns)
        assert np.array_equal(session.step(), world.step(action))


def test_time_only_goes_forward():
    session = make_session()
    before_ns = session.time_ns
    session.step()
    assert session.time_ns == before_ns + TICK_NS
    session.reset()
    assert session.time_ns == before_ns + TICK_NS + 1_000_000_000
    assert session.episode == 3


def test_command_times_out():
    session = make_session(cmd_timeout_s=0.05)
    session.command([1.0, 0.0])
    for _ in range(5):
        session.step()
    coasting = World(MAZE)
    coasting.set_state(session.state)
    assert np.array_equal(session.step(), coasting.step([0.0, 0.0]))


def test_command_acts_after_its_delay():
    session = make_session(command_delay_s=0.03)
    session.command([1.0, 0.0])
    speeds = [session.step()[2] for _ in range(5)]
    assert speeds[:3] == [0.0, 0.0, 0.0]
    assert 0.0 < speeds[3] < speeds[4]


def test_velocity_is_held():
    session = make_session(velocity_gain=4.0, cmd_timeout_s=0.0)
    session.command([0.0, 0.5])
    for _ in range(40):
        session.step()
    assert session.state[2:] == pytest.approx([0.0, 0.5], abs=0.01)


def test_noise_is_seeded():
    runs = []
    for seed in (1, 1, 2):
        session = make_session(action_noise_std=0.5, seed=seed)
        runs.append([session.step() for _ in range(20)])
    assert np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


@pytest.mark.parametrize('age_ns, error', [
    (500_000_000, StaleInput), (10_000_000_000, StaleInput), (-1, StaleInput)])
def test_stale_commands_change_nothing(age_ns, error):
    session = make_session()
    for _ in range(100):
        session.step()
    state = session.state
    with pytest.raises(error):
        session.command([1.0, 1.0], session.time_ns - age_ns)
    assert np.array_equal(session.step(), state)


def test_a_command_on_its_way_at_a_teleport_is_dropped():
    session = make_session()
    sent_ns = session.time_ns
    session.teleport([1.0, 1.0, 0.0, 0.0])
    session.command([1.0, 1.0], sent_ns)
    state = session.state
    assert np.array_equal(session.step(), state)
    for _ in range(100):
        session.step()
    with pytest.raises(StaleInput):
        session.command([1.0, 1.0], sent_ns)


@pytest.mark.parametrize('command', [[np.nan, 0.0], [np.inf, 0.0], [1.0], [[1.0, 0.0]]])
def test_bad_commands_are_refused(command):
    with pytest.raises(InvalidInput):
        make_session().command(command)


@pytest.mark.parametrize('state, error', [
    ([2.0, 2.0, 0.0, 0.0], StartOccupied),
    ([-0.8, 1.0, 0.0, 0.0], StartOutsideMap),
    ([1.0, 99.0, 0.0, 0.0], StartOutsideMap),
    ([np.nan, 1.0, 0.0, 0.0], InvalidInput),
    ([1.0, 1.0, np.inf, 0.0], InvalidInput),
    ([1.0, 1.0], InvalidInput)])
def test_bad_teleports_change_nothing(state, error):
    session = make_session()
    before = session.state, session.time_ns, session.episode
    with pytest.raises(error):
        session.teleport(state)
    assert np.array_equal(session.state, before[0])
    assert (session.time_ns, session.episode) == before[1:]


@pytest.mark.parametrize('settings', [
    {'velocity_gain': -2.0}, {'cmd_timeout_s': -1.0}, {'action_noise_std': float('nan')}])
def test_bad_settings_are_refused(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        SessionSettings(**settings)
